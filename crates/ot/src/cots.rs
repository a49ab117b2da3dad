//! Correlations as they are handed on: taken from, never copied.

use crate::bits::{bytes_to_words, low, low_words, words_to_bytes};
use crate::error::length;
use crate::memory::{copied, Blocks};
use crate::{masked, Error, Session};
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

/// The kind of pads of one or of two messages; those of many have the number of the message.
pub(crate) const PLAIN: u8 = 0xff;

/// Numbers of correlations in one session stay below 2^48, which [`Run::pad_keys`] relies on.
pub(crate) const MOST: u64 = 1 << 48;

/// The sender's side of some correlations: `q_i`, with lowest bit 0.
pub struct SenderCots {
    pub(crate) delta: Zeroizing<u128>,
    pub(crate) run: Run,
}

/// The receiver's side: `t_i = q_i ^ b_i * delta`, with lowest bit `b_i`.
pub struct ReceiverCots {
    pub(crate) run: Run,
}

/// Consecutive blocks of one session, from number `first` on.
pub(crate) struct Run {
    pub(crate) session: Session,
    /// Of the session, for the pads. Public.
    key: u128,
    first: u64,
    blocks: Blocks,
    used: usize,
    /// Whether the bits are the receiver's choice: then another choice would send the first one in clear.
    chosen: bool,
}

impl Run {
    pub(crate) fn new(session: &Session, first: u64, blocks: Blocks) -> Run {
        assert!(
            first + blocks.len() as u64 <= MOST,
            "a session ends at 2^48 correlations"
        );
        Run {
            session: *session,
            key: session.key("pads", 0),
            first,
            blocks,
            used: 0,
            chosen: false,
        }
    }

    /// Refused where the bits have been chosen: what follows takes them for random.
    pub(crate) fn random_bits(&self) -> Result<(), Error> {
        if self.chosen {
            return Err(Error::Shape(
                "these correlations have bits of the receiver's choice; random ones are wanted"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Refused where the bits are random: what follows takes them for the receiver's choice.
    pub(crate) fn chosen_bits(&self) -> Result<(), Error> {
        if !self.chosen {
            return Err(Error::Shape(
                "these correlations have random bits; those of the receiver's choice are wanted: choose and follow first"
                    .into(),
            ));
        }
        Ok(())
    }

    pub(crate) fn blocks(&self) -> &[u128] {
        &self.blocks[self.used..]
    }

    pub(crate) fn first(&self) -> u64 {
        self.first + self.used as u64
    }

    /// `work` on every 64 blocks and their word, on several threads if there are many.
    fn each_word(&mut self, words: &mut [u64], work: impl Fn(&mut [u128], &mut u64) + Sync) {
        const WORDS: usize = 64;
        self.blocks[self.used..]
            .par_chunks_mut(64 * WORDS)
            .zip(words.par_chunks_mut(WORDS))
            .with_min_len(8)
            .for_each(|(blocks, words)| {
                for (blocks, word) in blocks.chunks_mut(64).zip(words) {
                    work(blocks, word);
                }
            });
    }

    /// All blocks of a run from which none was taken.
    pub(crate) fn into_blocks(self) -> Blocks {
        assert_eq!(self.used, 0);
        self.blocks
    }

    fn take(&mut self, n: usize) -> Result<Run, Error> {
        let have = self.blocks().len();
        if n > have {
            return Err(Error::TooFew { got: have, want: n });
        }
        let first = self.first();
        let taken = &mut self.blocks[self.used..self.used + n];
        let blocks = copied(taken);
        taken.zeroize();
        self.used += n;
        Ok(Run {
            session: self.session,
            key: self.key,
            first,
            blocks,
            used: 0,
            chosen: self.chosen,
        })
    }

    /// The keys under which pads of correlations `first + step * i` are hashed, of kind `kind`: all keys of a session
    /// differ, so each hashes no more than what one correlation gives.
    pub(crate) fn pad_keys(&self, step: usize, kind: u8, at: usize, n: usize) -> Vec<u128> {
        let first = self.first() + (step * at) as u64;
        (0..n)
            .map(|i| self.key ^ u128::from((first + (step * i) as u64) << 8 | u64::from(kind)))
            .collect()
    }

    /// Those of block `block` of long pads; block 0 has the keys of pads of one.
    pub(crate) fn block_keys(&self, block: u64, kind: u8, at: usize, n: usize) -> Vec<u128> {
        let mut keys = self.pad_keys(1, kind, at, n);
        for key in &mut keys {
            *key ^= u128::from(block) << 64;
        }
        keys
    }

    /// The keys of a kind of correlations `at`, `at + 1` and on.
    pub(crate) fn keys_from(&self, at: usize, kind: u8, keys: &mut [u128]) {
        let first = self.first() + at as u64;
        for (key, number) in keys.iter_mut().zip(first..) {
            *key = self.key ^ u128::from(number << 8 | u64::from(kind));
        }
    }
}

impl SenderCots {
    pub(crate) fn new(session: &Session, delta: u128, first: u64, blocks: Blocks) -> SenderCots {
        SenderCots {
            delta: Zeroizing::new(delta),
            run: Run::new(session, first, blocks),
        }
    }

    pub fn len(&self) -> usize {
        self.run.blocks().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the first one, counted from the start of the session: the same at both parties.
    pub fn first(&self) -> u64 {
        self.run.first()
    }

    pub fn delta(&self) -> u128 {
        *self.delta
    }

    /// The blocks `q_i`.
    pub fn blocks(&self) -> &[u128] {
        self.run.blocks()
    }

    /// The next `n`, which are no longer in here.
    pub fn take(&mut self, n: usize) -> Result<SenderCots, Error> {
        Ok(SenderCots {
            delta: self.delta.clone(),
            run: self.run.take(n)?,
        })
    }

    /// The correlations of the receiver's own choices, from its message: where bit and choice differ, `q_i + delta`
    /// takes the place of `q_i`.
    pub fn follow(mut self, request: &[u8]) -> Result<SenderCots, Error> {
        self.run.random_bits()?;
        let mut flips = bytes_to_words(request, self.len(), "choices")?;
        self.run.chosen = true;
        let delta = *self.delta;
        self.run.each_word(&mut flips, |blocks, flip| {
            for (i, q) in blocks.iter_mut().enumerate() {
                *q = (*q ^ masked(delta, 0u64.wrapping_sub(*flip >> i & 1))) & !1;
            }
        });
        Ok(self)
    }
}

impl ReceiverCots {
    pub(crate) fn new(session: &Session, first: u64, blocks: Blocks) -> ReceiverCots {
        ReceiverCots {
            run: Run::new(session, first, blocks),
        }
    }

    pub fn len(&self) -> usize {
        self.run.blocks().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`SenderCots::first`].
    pub fn first(&self) -> u64 {
        self.run.first()
    }

    /// The blocks `t_i`.
    pub fn blocks(&self) -> &[u128] {
        self.run.blocks()
    }

    /// The bits `b_i`, 64 a word.
    pub fn choices(&self) -> Vec<u64> {
        let words = self.run.blocks().chunks(64);
        words.map(|blocks| low_words::<1>(blocks)[0]).collect()
    }

    /// The next `n`, which are no longer in here.
    pub fn take(&mut self, n: usize) -> Result<ReceiverCots, Error> {
        Ok(ReceiverCots {
            run: self.run.take(n)?,
        })
    }

    /// The same correlations with bits of one's own choice, 64 a word, and the message to the sender: one bit each, the
    /// choice hidden by the random bit.
    pub fn choose(mut self, choices: &[u64]) -> Result<(ReceiverCots, Vec<u8>), Error> {
        self.run.random_bits()?;
        let n = self.len();
        length("words of choices", choices.len(), n.div_ceil(64))?;
        self.run.chosen = true;
        // The choices first, what to send of them after.
        let mut words = choices.to_vec();
        self.run.each_word(&mut words, |blocks, word| {
            let [random] = low_words(blocks);
            let choices = *word & low(blocks.len() as u32);
            for (i, t) in blocks.iter_mut().enumerate() {
                *t = *t & !1 | u128::from(choices >> i & 1);
            }
            *word = choices ^ random;
        });
        Ok((self, words_to_bytes(&words, n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of every correlation and kind, over runs that were cut from one another and in both directions.
    #[test]
    fn no_key_of_a_pad_comes_twice() {
        let mut keys = Vec::new();
        for rank in 0..2 {
            let blocks = || Blocks::from(vec![0; 300]);
            let mut runs = [0, 300, MOST - 300]
                .map(|first| Run::new(&Session::new(&[1; 32], rank), first, blocks()));
            for run in &mut runs {
                let [first, second] = [100, 200].map(|n| run.take(n).expect("300"));
                for kind in [0, 1, 15, 0xff] {
                    keys.extend(first.pad_keys(1, kind, 0, 64));
                    keys.extend(first.pad_keys(1, kind, 64, 36));
                    for block in [1, 2, u64::MAX] {
                        keys.extend(first.block_keys(block, kind, 0, 100));
                    }
                    keys.extend(second.pad_keys(4, kind, 0, 20));
                    keys.extend(second.pad_keys(4, kind, 20, 30));
                }
            }
        }
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((keys.len(), all), (all, 2 * 3 * 4 * 450));
    }
}
