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
use crate::memory::{split_off, zeros, Blocks};
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
        let roots = Stream::new(&*random::<16>()?);
        let key = self.next_key();
        let (leaves, depth) = (self.params.leaves(), self.params.depth());
        let (secret, of_trees) = q.split_at(self.params.k());
        let mut out = zeros(self.params.n());
        let mut message = vec![0; self.params.message_len()];
        let trees = out
            .par_chunks_exact_mut(leaves)
            .zip(message.par_chunks_exact_mut(depth * tree::SUM))
            .zip(of_trees.par_chunks_exact(depth));
        each(self.threads, trees, |i, ((out, sums), q)| {
            let mut root = Zeroizing::new([0; 16]);
            roots.fill_at(16 * i as u64, &mut root[..]);
            tree::grow(
                key,
                i as u64,
                delta,
                u128::from_le_bytes(*root),
                q,
                sums,
                out,
            );
            self.code.add(secret, (i * leaves) as u64, out);
        });
        Ok((out, message))
    }

    /// `t` are [`Params::need`] blocks; gives [`Params::n`] new ones.
    pub(crate) fn receive(&mut self, t: &[u128], message: &[u8]) -> Result<Blocks, Error> {
        length("Ferret extension", message.len(), self.params.message_len())?;
        let key = self.next_key();
        let (leaves, depth) = (self.params.leaves(), self.params.depth());
        let (secret, of_trees) = t.split_at(self.params.k());
        let mut out = zeros(self.params.n());
        let trees = out
            .par_chunks_exact_mut(leaves)
            .zip(message.par_chunks_exact(depth * tree::SUM))
            .zip(of_trees.par_chunks_exact(depth));
        each(self.threads, trees, |i, ((out, sums), t)| {
            tree::regrow(key, i as u64, t, sums, out);
            self.code.add(secret, (i * leaves) as u64, out);
        });
        Ok(out)
    }
}

/// `work` on every tree with its number, on one thread or on as many of the pool's as given. A tree and its
/// part of the code are done together, while its leaves are in cache.
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

/// Refused where one more extension would pass the last number of a session.
fn room_for(made: u64, params: &Params) -> Result<(), Error> {
    if made + params.gain() as u64 > MOST {
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
        room_for(self.made, self.params())?;
        let (mut all, message) = self.extension.send(*self.delta, &self.reserve)?;
        let gain = self.params().gain();
        self.reserve = split_off(&mut all, gain);
        let cots = SenderCots::new(&self.session, *self.delta, self.made, all);
        self.made += gain as u64;
        Ok((cots, message))
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
        room_for(self.made, self.params())?;
        let mut all = self.extension.receive(&self.reserve, message)?;
        let gain = self.params().gain();
        self.reserve = split_off(&mut all, gain);
        let cots = ReceiverCots::new(&self.session, self.made, all);
        self.made += gain as u64;
        Ok(cots)
    }
}
