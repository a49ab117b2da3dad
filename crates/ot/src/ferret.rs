//! Ferret: Yang, Weng, Lan, Zhang and Wang, "Ferret: Fast Extension for Correlated OT with Small Communication" (eprint
//! 2020/924), with regular noise, honest but curious.
//!
//! Of `k + t log2(n / t)` correlations the first k are a secret of parity with noise: q at the sender, b and t at the
//! receiver. The others make t trees (half trees, eprint 2022/1431), whose leaves v and w are equal but for one leaf of
//! each tree, which differs by `delta`. With A the local code,
//!
//! `A q + v` and `A t + w` differ by `(A b + e) * delta`,
//!
//! where e, one 1 in each block of `n / t`, makes `A b + e` as good as random. The last `k + t log2(n / t)` of these
//! are kept for the next extension.
//!
//! The receiver sends nothing: the paths of its trees, which are the noise, are the random bits of the correlations that
//! make them. These bits are used for nothing else, and the sender knows nothing of them. From the sender comes one block
//! a level of each tree: 16 `t log2(n / t)` bytes, 0.39 bits a correlation for [`crate::Params::LARGE`].

use crate::code::Code;
use crate::cots::MOST;
use crate::error::length;
use crate::memory::{cut, split_off, zeros, Blocks};
use crate::words::{Hashes, WORD};
use crate::{random, tree, Error, Params, ReceiverCots, SenderCots, Session};
use argot_prf::Stream;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// What both sides of one kind of extension share.
pub(crate) struct Extension {
    params: Params,
    code: Code,
    session: Session,
    /// Tells the trees of this kind apart from those of other kinds.
    stage: u64,
    done: u64,
    threads: usize,
}

impl Extension {
    pub(crate) fn new(session: Session, params: Params, stage: usize, threads: usize) -> Extension {
        let code = Code::new(session.key("code", (stage as u64) << 48), params.k());
        Extension {
            params,
            code,
            session,
            stage: stage as u64,
            done: 0,
            threads,
        }
    }

    /// The key of the trees. The code is another one for every extension: an attack on one code would serve against all
    /// extensions that use it, and the estimates are for one.
    fn next_key(&mut self) -> u128 {
        let number = self.stage << 48 | self.done;
        let key = self.session.key("trees", number);
        self.code = Code::new(self.session.key("code", number), self.params.k());
        self.done += 1;
        key
    }

    /// `q` are [`Params::need`] blocks; gives [`Params::n`] new ones, and the message.
    pub(crate) fn send(&mut self, delta: u128, q: &[u128]) -> Result<(Blocks, Vec<u8>), Error> {
        let key = self.next_key();
        let trees = self.growing(key, delta, q)?;
        let (leaves, depth) = (self.params.leaves(), self.params.depth());
        let mut out = zeros(self.params.n());
        let mut message = vec![0; self.params.message_len()];
        let rows = out
            .par_chunks_exact_mut(leaves)
            .zip(message.par_chunks_exact_mut(depth * tree::SUM));
        each(self.threads, rows, |i, (rows, sums)| {
            trees.grow(i, sums, rows)
        });
        Ok((out, message))
    }

    /// As [`Extension::send`], but the rows of all trees except the last ones, number `first` and on, become products in
    /// the cache: gives [`Params::word_gain`] blocks of them, and the rows of [`Params::kept_trees`].
    pub(crate) fn send_words(
        &mut self,
        delta: u128,
        q: &[u128],
        first: u64,
    ) -> Result<(Blocks, Blocks, Vec<u8>), Error> {
        let hashes = Hashes::new(&self.session);
        let key = self.next_key();
        let trees = self.growing(key, delta, q)?;
        let (leaves, depth) = (self.params.leaves(), self.params.depth());
        let mut message = vec![0; self.params.message_len()];
        let (of_words, of_kept) = message.split_at_mut(self.hashed() * depth * tree::SUM);
        let mut words = zeros(self.params.word_gain());
        let parts = words
            .par_chunks_exact_mut(leaves / WORD)
            .zip(of_words.par_chunks_exact_mut(depth * tree::SUM));
        each_with(self.threads, leaves, parts, |i, rows, (words, sums)| {
            trees.grow(i, sums, rows);
            hashes.of_sender(delta, first + (i * leaves) as u64, rows, words);
        });
        let mut kept = zeros(self.params.kept_trees() * leaves);
        let parts = kept
            .par_chunks_exact_mut(leaves)
            .zip(of_kept.par_chunks_exact_mut(depth * tree::SUM));
        each(self.threads, parts, |i, (rows, sums)| {
            trees.grow(self.hashed() + i, sums, rows);
        });
        Ok((words, kept, message))
    }

    /// `t` are [`Params::need`] blocks; gives [`Params::n`] new ones.
    pub(crate) fn receive(&mut self, t: &[u128], message: &[u8]) -> Result<Blocks, Error> {
        length("Ferret extension", message.len(), self.params.message_len())?;
        let key = self.next_key();
        let trees = self.growing_again(key, t, message);
        let mut out = zeros(self.params.n());
        let rows = out.par_chunks_exact_mut(self.params.leaves());
        each(self.threads, rows, |i, rows| trees.grow(i, rows));
        Ok(out)
    }

    /// As [`Extension::send_words`].
    pub(crate) fn receive_words(
        &mut self,
        t: &[u128],
        message: &[u8],
        first: u64,
    ) -> Result<(Blocks, Blocks), Error> {
        let hashes = Hashes::new(&self.session);
        length("Ferret extension", message.len(), self.params.message_len())?;
        let key = self.next_key();
        let trees = self.growing_again(key, t, message);
        let leaves = self.params.leaves();
        let mut words = zeros(self.params.word_gain());
        let parts = words.par_chunks_exact_mut(leaves / WORD);
        each_with(self.threads, leaves, parts, |i, rows, words| {
            trees.grow(i, rows);
            hashes.of_receiver(first + (i * leaves) as u64, rows, words);
        });
        let mut kept = zeros(self.params.kept_trees() * leaves);
        let parts = kept.par_chunks_exact_mut(leaves);
        each(self.threads, parts, |i, rows| {
            trees.grow(self.hashed() + i, rows);
        });
        Ok((words, kept))
    }

    /// Trees of which products are made.
    fn hashed(&self) -> usize {
        self.params.t() - self.params.kept_trees()
    }

    fn growing<'a>(&'a self, key: u128, delta: u128, q: &'a [u128]) -> Result<Growing<'a>, Error> {
        let roots = Stream::new(&*random::<16>()?);
        let (secret, of_trees) = q.split_at(self.params.k());
        Ok(Growing {
            key,
            code: &self.code,
            roots,
            delta,
            secret,
            of_trees,
            depth: self.params.depth(),
        })
    }

    fn growing_again<'a>(
        &'a self,
        key: u128,
        t: &'a [u128],
        message: &'a [u8],
    ) -> GrowingAgain<'a> {
        let (secret, of_trees) = t.split_at(self.params.k());
        GrowingAgain {
            key,
            code: &self.code,
            message,
            secret,
            of_trees,
            depth: self.params.depth(),
        }
    }
}

/// The sender's trees of one extension. A tree and its part of the code are done together, while its leaves are in cache.
struct Growing<'a> {
    key: u128,
    code: &'a Code,
    roots: Stream,
    delta: u128,
    secret: &'a [u128],
    of_trees: &'a [u128],
    depth: usize,
}

impl Growing<'_> {
    /// Tree `i`: what the receiver needs of it, and its rows.
    fn grow(&self, i: usize, sums: &mut [u8], rows: &mut [u128]) {
        let mut root = Zeroizing::new([0; 16]);
        self.roots.fill_at(16 * i as u64, &mut root[..]);
        let q = &self.of_trees[i * self.depth..(i + 1) * self.depth];
        let root = u128::from_le_bytes(*root);
        tree::grow(self.key, i as u64, self.delta, root, q, sums, rows);
        self.code.add(self.secret, (i * rows.len()) as u64, rows);
    }
}

/// The receiver's.
struct GrowingAgain<'a> {
    key: u128,
    code: &'a Code,
    message: &'a [u8],
    secret: &'a [u128],
    of_trees: &'a [u128],
    depth: usize,
}

impl GrowingAgain<'_> {
    /// Tree `i`: its rows.
    fn grow(&self, i: usize, rows: &mut [u128]) {
        let t = &self.of_trees[i * self.depth..(i + 1) * self.depth];
        let length = self.depth * tree::SUM;
        let sums = &self.message[i * length..(i + 1) * length];
        tree::regrow(self.key, i as u64, t, sums, rows);
        self.code.add(self.secret, (i * rows.len()) as u64, rows);
    }
}

/// `work` on every tree with its number, on one thread or on as many of the pool's as given.
fn each<T: Send>(
    threads: usize,
    trees: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(usize, T) + Sync + Send,
) {
    let count = trees.len();
    trees
        .enumerate()
        .with_min_len(count.div_ceil(threads.max(1)))
        .for_each(|(i, tree)| work(i, tree));
}

/// As [`each`], with room for the rows of a tree, which is wiped at the end.
fn each_with<T: Send>(
    threads: usize,
    leaves: usize,
    trees: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(usize, &mut [u128], T) + Sync + Send,
) {
    let count = trees.len();
    trees
        .enumerate()
        .with_min_len(count.div_ceil(threads.max(1)))
        .for_each_init(|| zeros(leaves), |rows, (i, tree)| work(i, rows, tree));
}

/// Refused where one more extension would pass the last number of a session.
fn room_for(made: u64, gain: usize) -> Result<(), Error> {
    if made + gain as u64 > MOST {
        return Err(Error::Exhausted { made });
    }
    Ok(())
}

/// Who holds `delta`, ready to extend again and again.
pub struct Sender {
    session: Session,
    delta: Zeroizing<u128>,
    extension: Extension,
    reserve: Blocks,
    made: u64,
}

/// Who holds the bits.
pub struct Receiver {
    session: Session,
    extension: Extension,
    reserve: Blocks,
    made: u64,
}

impl Sender {
    /// From [`Params::need`] correlations or more, which must be used for nothing else.
    pub(crate) fn new(
        session: Session,
        delta: u128,
        extension: Extension,
        mut reserve: Blocks,
    ) -> Sender {
        reserve.truncate(extension.params.need());
        Sender {
            session,
            delta: Zeroizing::new(delta),
            extension,
            reserve,
            made: 0,
        }
    }

    pub fn params(&self) -> &Params {
        &self.extension.params
    }

    /// [`Params::gain`] more correlations, and the message to the receiver.
    pub fn extend(&mut self) -> Result<(SenderCots, Vec<u8>), Error> {
        room_for(self.made, self.params().gain())?;
        let (mut all, message) = self.extension.send(*self.delta, &self.reserve)?;
        let gain = self.params().gain();
        self.reserve = split_off(&mut all, gain);
        let cots = SenderCots::new(&self.session, *self.delta, self.made, all);
        self.made += gain as u64;
        Ok((cots, message))
    }

    /// [`Params::word_gain`] blocks of products ([`crate::words`]), and the message to the receiver.
    pub(crate) fn extend_words(&mut self) -> Result<(Blocks, Vec<u8>), Error> {
        let gain = self.params().word_gain() * WORD;
        room_for(self.made, gain)?;
        let (words, reserve, message) =
            self.extension
                .send_words(*self.delta, &self.reserve, self.made)?;
        self.keep(reserve);
        self.made += gain as u64;
        Ok((words, message))
    }

    fn keep(&mut self, mut reserve: Blocks) {
        cut(&mut reserve, self.params().need());
        self.reserve = reserve;
    }
}

impl Receiver {
    pub(crate) fn new(session: Session, extension: Extension, mut reserve: Blocks) -> Receiver {
        reserve.truncate(extension.params.need());
        Receiver {
            session,
            extension,
            reserve,
            made: 0,
        }
    }

    pub fn params(&self) -> &Params {
        &self.extension.params
    }

    /// The other side of the same correlations, from the sender's message.
    pub fn extend(&mut self, message: &[u8]) -> Result<ReceiverCots, Error> {
        room_for(self.made, self.params().gain())?;
        let mut all = self.extension.receive(&self.reserve, message)?;
        let gain = self.params().gain();
        self.reserve = split_off(&mut all, gain);
        let cots = ReceiverCots::new(&self.session, self.made, all);
        self.made += gain as u64;
        Ok(cots)
    }

    /// As [`Sender::extend_words`].
    pub(crate) fn extend_words(&mut self, message: &[u8]) -> Result<Blocks, Error> {
        let gain = self.params().word_gain() * WORD;
        room_for(self.made, gain)?;
        let (words, reserve) = self
            .extension
            .receive_words(&self.reserve, message, self.made)?;
        self.keep(reserve);
        self.made += gain as u64;
        Ok(words)
    }

    fn keep(&mut self, mut reserve: Blocks) {
        cut(&mut reserve, self.params().need());
        self.reserve = reserve;
    }
}
