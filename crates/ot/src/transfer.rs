//! What correlations are spent on: strings, sums and messages.
//!
//! A pad is the hash of a block under a key of its own, made from the session, the direction and the number of the
//! correlation ([`argot_prf::hash_each`]), and of the number of the block where a pad has several. The receiver knows `t_i`, so one pad; the other is the hash of
//! `t_i + delta`, and `delta` is unknown. Messages of some bits take the low bits of pads, and travel without gaps.
//!
//! | | bits from the sender | from the receiver |
//! | --- | --- | --- |
//! | [`SenderCots::random`]: two random words, of which the receiver has that of its random bit | 0 | 0 |
//! | [`SenderCots::correlated`]: in Z_2^w, x and `x + b d` for the sender's d | w | 0 |
//! | [`SenderCots::messages`]: one of two messages | 2 w | 0 |
//! | [`SenderCots::many`]: one of N = 2^m messages | N w | 0 |
//! | [`ReceiverCots::choose`], before any of them: bits of the receiver's choice in place of random ones | 0 | 1, or m |

use crate::bits::{check_width, low, pack, unpack};
use crate::cots::PLAIN;
use crate::error::length;
use crate::memory::{copied, Blocks};
use crate::{masked, Error, ReceiverCots, SenderCots};
use argot_prf::hash_each;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Pads made together: in cache, and enough for the pool to share.
const PART: usize = 1024;
/// The most bits of a choice among many.
pub(crate) const MOST_BITS: u32 = 4;

impl SenderCots {
    /// Words of `width` bits for each correlation: the receiver has that of the second list where its bit is 1.
    pub fn random(self, width: u32) -> Result<[Vec<u64>; 2], Error> {
        check_width(width, 64)?;
        let mut out = [vec![0; self.len()], vec![0; self.len()]];
        self.pads(&mut out, width);
        Ok(out)
    }

    /// Words x such that the receiver has `x + b * delta` modulo `2^width`, for a `delta` of the sender's choice in each
    /// correlation. The message is `x_0 + delta - x_1` for the two random words x_0 = x and x_1.
    pub fn correlated(self, deltas: &[u64], width: u32) -> Result<(Vec<u64>, Vec<u8>), Error> {
        length("deltas", deltas.len(), self.len())?;
        let [x0, mut x1] = self.random(width)?;
        for ((x1, x0), delta) in x1.iter_mut().zip(&x0).zip(deltas) {
            *x1 = x0.wrapping_add(*delta).wrapping_sub(*x1);
        }
        Ok((x0, pack(&x1, width)))
    }

    /// Of two messages the receiver gets that of its bit.
    pub fn messages(self, zero: &[u64], one: &[u64], width: u32) -> Result<Vec<u8>, Error> {
        length("messages for 0", zero.len(), self.len())?;
        length("messages for 1", one.len(), self.len())?;
        let pads = self.random(width)?.map(Zeroizing::new);
        let both = pads[0].iter().zip(pads[1].iter()).zip(zero.iter().zip(one));
        let hidden: Vec<u64> = both
            .flat_map(|((p0, p1), (m0, m1))| [p0 ^ m0, p1 ^ m1])
            .collect();
        Ok(pack(&hidden, width))
    }

    /// Of `2^bits` messages the receiver gets one; a transfer takes `bits` correlations. `messages` has those of the
    /// first transfer, then those of the second.
    ///
    /// With x a root of the polynomial of GF(2^128), `T = sum of x^j t_j` and `Q = sum of x^j q_j` differ by `c * delta`
    /// for the choice c as a polynomial (as in SoftSpoken, eprint 2022/192). The pad of message v is the hash of
    /// `Q + v * delta = T + (v + c) * delta`, which only v = c makes known.
    pub fn many(self, bits: u32, messages: &[u64], width: u32) -> Result<Vec<u8>, Error> {
        let (count, choices) = (transfers(self.len(), bits)?, 1 << bits);
        check_width(width, 64)?;
        length("messages to choose from", messages.len(), count * choices)?;
        let multiples: Vec<u128> = (0..choices)
            .map(|v| multiple(*self.delta, v as u64))
            .collect();
        let multiples = Zeroizing::new(multiples);
        let mut hidden = messages.to_vec();
        hidden
            .par_chunks_mut(PART * choices)
            .enumerate()
            .for_each(|(part, hidden)| {
                let at = part * PART;
                let n = hidden.len() / choices;
                let sums = sums(&self.run.blocks()[at * bits as usize..], bits, n);
                for (v, multiple) in multiples.iter().enumerate() {
                    let keys = self.run.pad_keys(bits as usize, v as u8, at, n);
                    let mut pads =
                        Zeroizing::new(sums.iter().map(|sum| sum ^ multiple).collect::<Vec<_>>());
                    hash_each(&keys, [&mut pads]);
                    for (hidden, pad) in hidden[v..].iter_mut().step_by(choices).zip(pads.iter()) {
                        *hidden ^= *pad as u64;
                    }
                }
            });
        Ok(pack(&hidden, width))
    }

    /// The low bits of both pads of each correlation.
    fn pads(&self, [zero, one]: &mut [Vec<u64>; 2], width: u32) {
        let parts = zero.par_chunks_mut(PART).zip(one.par_chunks_mut(PART));
        parts
            .zip(self.run.blocks().par_chunks(PART))
            .enumerate()
            .for_each(|(part, ((zero, one), q))| {
                let [first, second] = self.pad_blocks(0, part * PART, q.len());
                for (out, pads) in [(zero, &first), (one, &second)] {
                    for (out, pad) in out.iter_mut().zip(pads.iter()) {
                        *out = *pad as u64 & low(width);
                    }
                }
            });
    }

    /// Block number `block` of both pads of `n` correlations from number `at` on.
    pub(crate) fn pad_blocks(&self, block: u64, at: usize, n: usize) -> [Blocks; 2] {
        let q = &self.run.blocks()[at..at + n];
        let mut zero = copied(q);
        let mut one = copied(q);
        one.iter_mut().for_each(|q| *q ^= *self.delta);
        let keys = self.run.block_keys(block, PLAIN, at, n);
        hash_each(&keys, [&mut zero, &mut one]);
        [zero, one]
    }
}

impl ReceiverCots {
    /// The word of its bit for each correlation; see [`SenderCots::random`].
    pub fn random(self, width: u32) -> Result<Vec<u64>, Error> {
        check_width(width, 64)?;
        let mut out = vec![0; self.len()];
        let parts = out
            .par_chunks_mut(PART)
            .zip(self.run.blocks().par_chunks(PART));
        parts.enumerate().for_each(|(part, (out, t))| {
            let pads = self.pad_blocks(0, part * PART, t.len());
            for (out, pad) in out.iter_mut().zip(pads.iter()) {
                *out = *pad as u64 & low(width);
            }
        });
        Ok(out)
    }

    /// Block number `block` of the pads of its bits of `n` correlations from number `at` on.
    pub(crate) fn pad_blocks(&self, block: u64, at: usize, n: usize) -> Blocks {
        let mut pads = copied(&self.run.blocks()[at..at + n]);
        hash_each(&self.run.block_keys(block, PLAIN, at, n), [&mut pads]);
        pads
    }

    /// `x + b * delta` modulo `2^width`; see [`SenderCots::correlated`].
    pub fn correlated(self, width: u32, message: &[u8]) -> Result<Vec<u64>, Error> {
        check_width(width, 64)?;
        let corrections = unpack(
            message,
            self.len(),
            width,
            "message of correlated transfers",
        )?;
        let bits: Vec<u64> = self
            .blocks()
            .iter()
            .map(|t| 0u64.wrapping_sub(*t as u64 & 1))
            .collect();
        let bits = Zeroizing::new(bits);
        let mut words = self.random(width)?;
        for ((word, correction), bit) in words.iter_mut().zip(corrections).zip(bits.iter()) {
            *word = word.wrapping_add(correction & bit) & low(width);
        }
        Ok(words)
    }

    /// The messages of its bits; see [`SenderCots::messages`].
    pub fn messages(self, width: u32, message: &[u8]) -> Result<Vec<u64>, Error> {
        check_width(width, 64)?;
        let hidden = unpack(
            message,
            2 * self.len(),
            width,
            "message of transfers of one of two",
        )?;
        let bits: Vec<u64> = self
            .blocks()
            .iter()
            .map(|t| 0u64.wrapping_sub(*t as u64 & 1))
            .collect();
        let bits = Zeroizing::new(bits);
        let mut words = self.random(width)?;
        for ((word, pair), bit) in words
            .iter_mut()
            .zip(hidden.as_chunks::<2>().0)
            .zip(bits.iter())
        {
            *word ^= pair[0] ^ (pair[0] ^ pair[1]) & bit;
        }
        Ok(words)
    }

    /// The message of each choice, which is the number that the bits of `bits` correlations make, the lowest first; see
    /// [`SenderCots::many`].
    pub fn many(self, bits: u32, width: u32, message: &[u8]) -> Result<Vec<u64>, Error> {
        let (count, choices) = (transfers(self.len(), bits)?, 1 << bits);
        check_width(width, 64)?;
        let hidden = unpack(
            message,
            count * choices,
            width,
            "message of transfers of one of many",
        )?;
        let mut out = vec![0; count];
        out.par_chunks_mut(PART)
            .zip(hidden.par_chunks(PART * choices))
            .enumerate()
            .for_each(|(part, (out, hidden))| {
                let (at, n) = (part * PART, out.len());
                let t = &self.run.blocks()[at * bits as usize..(at + n) * bits as usize];
                let mut pads = sums(t, bits, n);
                let keys = self.run.pad_keys(bits as usize, 0, at, n);
                let mut keys = Zeroizing::new(keys);
                let chosen: Vec<u64> = t
                    .chunks_exact(bits as usize)
                    .map(|t| {
                        t.iter()
                            .enumerate()
                            .fold(0, |c, (j, t)| c | (*t as u64 & 1) << j)
                    })
                    .collect();
                let chosen = Zeroizing::new(chosen);
                for (key, c) in keys.iter_mut().zip(chosen.iter()) {
                    *key ^= u128::from(*c);
                }
                hash_each(&keys, [&mut pads]);
                for (i, out) in out.iter_mut().enumerate() {
                    // Every message is read, so that the choice shows in no address.
                    let hidden = hidden[i * choices..(i + 1) * choices].iter().enumerate();
                    let word = hidden.fold(0, |word, (v, hidden)| {
                        word | hidden & crate::equal(v as u64, chosen[i])
                    });
                    *out = (word ^ pads[i] as u64) & low(width);
                }
            });
        Ok(out)
    }
}

/// Transfers that `have` correlations make.
fn transfers(have: usize, bits: u32) -> Result<usize, Error> {
    check_width(bits, MOST_BITS)?;
    let count = have / bits as usize;
    length("correlations for one of many", have, count * bits as usize)?;
    Ok(count)
}

/// `sum of x^j block_j` over each `bits` blocks.
fn sums(blocks: &[u128], bits: u32, n: usize) -> Blocks {
    let sums = blocks.chunks_exact(bits as usize).take(n);
    // Horner: the last block has the highest power.
    sums.map(|blocks| {
        blocks
            .iter()
            .rev()
            .fold(0, |sum, block| times_x(sum) ^ block)
    })
    .collect()
}

/// `v * a` for a polynomial v of degree below 8.
pub(crate) fn multiple(a: u128, v: u64) -> u128 {
    (0..8).rev().fold(0, |sum, j| {
        times_x(sum) ^ masked(a, 0u64.wrapping_sub(v >> j & 1))
    })
}

/// `x * a` in GF(2^128) with x^128 = x^7 + x^2 + x + 1.
#[inline]
pub(crate) fn times_x(a: u128) -> u128 {
    a << 1 ^ masked(0x87, 0u64.wrapping_sub((a >> 127) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_those_of_the_field() {
        let a = 0xdead_beef_0123_4567_89ab_cdef_8000_0001u128;
        assert_eq!(multiple(a, 1), a);
        assert_eq!(multiple(a, 2), a << 1 ^ 0x87);
        for (v, w) in [(3, 5), (9, 6), (15, 15)] {
            assert_eq!(multiple(a, v) ^ multiple(a, w), multiple(a, v ^ w));
        }
        // x^128 by squaring's other way: 127 steps from x.
        assert_eq!((0..127).fold(2, |p, _| times_x(p)), 0x87);
    }
}
