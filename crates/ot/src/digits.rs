//! The leaves of a comparison: the sums of two parties' digits, which one of them carries and which would pass a carry on.
//!
//! The sender's number a and the receiver's c are cut from the lowest bit into digits of `bits` planes, of which the last
//! may have fewer. For digits of b planes, [`SenderCots::digits`] and [`ReceiverCots::digits`] share (by exclusive or)
//!
//! `g = [a + c >= 2^b]` and `p = [a + c = 2^b - 1]`.
//!
//! It is a transfer of one of `2^b` messages of two bits, as [`SenderCots::many`] makes them of b correlations: message v is
//! what g and p are where c = v, plus the sender's shares. These are such that message 0 is its own pad, which so needs not
//! travel. Everything but the hashes runs on 64 elements at a time: v is public, and the sums of a and v are a few
//! operations on the planes of a.
//!
//! The message has, for each digit, for v from 1 to `2^b - 1`, the plane of g and that of p, each of `ceil(size / 8)` bytes
//! ([`digits_len`]): `2 (2^b - 1)` bits a digit, after the b bits from the receiver with which it chose.
//!
//! Pads `2 i` and `2 i + 1` have one key. A key so hashes two blocks that the receiver does not know, and a call of AES finds
//! `delta` with probability 2^-127: no better than a guess of its 127 bits.

use crate::bits::{check_width, low, low_words};
use crate::error::length;
use crate::planes::{each, Layout, PART};
use crate::transfer::{multiple, MOST_BITS};
use crate::{Error, ReceiverCots, SenderCots};

/// One plane for each digit.
pub type Planes = Vec<u64>;

/// Bytes of the message for `width` planes of `size` elements.
pub fn digits_len(size: usize, width: usize, bits: u32) -> usize {
    let (whole, rest) = (width / bits as usize, width % bits as usize);
    (whole * sent(bits) + sent(rest as u32)) * size.div_ceil(8)
}

/// The first plane of each digit and the number of its planes.
fn cut(width: usize, bits: u32) -> impl Iterator<Item = (usize, u32)> {
    (0..width)
        .step_by(bits as usize)
        .map(move |first| (first, bits.min((width - first) as u32)))
}

/// Planes of the message for a digit.
fn sent(bits: u32) -> usize {
    2 * ((1 << bits) - 1)
}

impl SenderCots {
    /// Planes of the shares of g and of p, one for each digit, and the message. `planes` are those of a, `bits` 1 to 4.
    pub fn digits(
        self,
        planes: &[u64],
        size: usize,
        bits: u32,
    ) -> Result<(Planes, Planes, Vec<u8>), Error> {
        check_width(bits, MOST_BITS)?;
        let layout = Layout::new(self.len(), size)?;
        length("words of planes", planes.len(), layout.width * layout.words)?;
        let digits: Vec<(usize, u32)> = cut(layout.width, bits).collect();
        let results = layout.of_width(digits.len());
        let (mut g, mut p) = (results.rows(1), results.rows(1));
        let mut message = vec![0; digits_len(size, layout.width, bits)];
        let mut rows = message.chunks_mut(size.div_ceil(8).max(1));
        let mut pieces: Vec<Vec<&mut [u8]>> = Vec::new();
        for (_, bits) in &digits {
            let first = pieces.len();
            pieces.resize_with(first + results.parts(), Vec::new);
            for row in rows.by_ref().take(sent(*bits)) {
                for (piece, bytes) in pieces[first..].iter_mut().zip(row.chunks_mut(PART / 8)) {
                    piece.push(bytes);
                }
            }
        }
        let multiples: [u128; 1 << MOST_BITS] =
            std::array::from_fn(|v| multiple(*self.delta, v as u64));
        let shares = results.cut(&mut g).into_iter().zip(results.cut(&mut p));
        each(
            shares.zip(pieces).collect(),
            |pads, i, ((mut g, mut p), mut pieces)| {
                let (first, bits) = digits[i / results.parts()];
                let (from, to) = results.elements(i);
                let n = to - from;
                let words = &planes[first * layout.words + from / 64..];
                let a = |j: usize, w: usize| words[j * layout.words + w];
                pads.sum(&self.run, first * size + from, size, bits, n);
                for v in (0..1usize << bits).step_by(2) {
                    let at = first * size + from;
                    let (even, odd) = pads.pair(
                        &self.run,
                        at,
                        v as u8 / 2,
                        [multiples[v], multiples[v + 1]],
                        n,
                    );
                    for (v, pads) in [(v, even), (v + 1, odd)] {
                        for (w, pads) in pads.chunks(64).enumerate() {
                            let [pad_g, pad_p] = low_words::<2>(pads);
                            let inside = low(pads.len() as u32);
                            let (mut carries, mut passes) = (0, inside);
                            for j in 0..bits as usize {
                                if v >> j & 1 == 1 {
                                    carries |= a(j, w);
                                    passes &= !a(j, w);
                                } else {
                                    carries &= a(j, w);
                                    passes &= a(j, w);
                                }
                            }
                            let (carries, passes) = (carries & inside ^ pad_g, passes ^ pad_p);
                            if v == 0 {
                                (g[0][w], p[0][w]) = (carries, passes);
                                continue;
                            }
                            put(pieces[2 * v - 2], w, carries ^ g[0][w]);
                            put(pieces[2 * v - 1], w, passes ^ p[0][w]);
                        }
                    }
                }
            },
        );
        Ok((g, p, message))
    }
}

impl ReceiverCots {
    /// Planes of the shares of g and of p; the planes of c are the bits of the correlations, as
    /// [`ReceiverCots::choose_planes`] makes them.
    pub fn digits(self, size: usize, bits: u32, message: &[u8]) -> Result<(Planes, Planes), Error> {
        check_width(bits, MOST_BITS)?;
        let layout = Layout::new(self.len(), size)?;
        length(
            "message of digits",
            message.len(),
            digits_len(size, layout.width, bits),
        )?;
        let digits: Vec<(usize, u32)> = cut(layout.width, bits).collect();
        let results = layout.of_width(digits.len());
        let (mut g, mut p) = (results.rows(1), results.rows(1));
        let bytes = size.div_ceil(8);
        let shares = results.cut(&mut g).into_iter().zip(results.cut(&mut p));
        each(shares.collect(), |pads, i, (mut g, mut p)| {
            let (first, bits) = digits[i / results.parts()];
            let (from, to) = results.elements(i);
            // The digits before all have as many planes as the first.
            let skipped = i / results.parts() * sent(digits[0].1);
            let rows = &message[skipped * bytes..][..sent(bits) * bytes];
            let at = first * size + from;
            pads.sum(&self.run, at, size, bits, to - from);
            let blocks = &self.blocks()[at..];
            let pads = pads.chosen(&self.run, at, size, bits, to - from);
            for (w, pads) in pads.chunks(64).enumerate() {
                let [mut mine_g, mut mine_p] = low_words::<2>(pads);
                let mut c = [0; MOST_BITS as usize];
                for (j, c) in c.iter_mut().enumerate().take(bits as usize) {
                    [*c] = low_words::<1>(&blocks[j * size + 64 * w..][..pads.len()]);
                }
                // Every message is read, so that the choice shows in no address.
                for v in 1..1 << bits {
                    let mut here = low(pads.len() as u32);
                    for (j, c) in c.iter().enumerate().take(bits as usize) {
                        here &= if v >> j & 1 == 1 { *c } else { !c };
                    }
                    let row = |i: usize| &rows[i * bytes..][..bytes];
                    mine_g ^= here & get(row(2 * v - 2), from / 64 + w);
                    mine_p ^= here & get(row(2 * v - 1), from / 64 + w);
                }
                (g[0][w], p[0][w]) = (mine_g, mine_p);
            }
        });
        Ok((g, p))
    }
}

/// Word `w` of a plane of bytes, whose last word may be cut.
fn put(bytes: &mut [u8], w: usize, word: u64) {
    let bytes = &mut bytes[8 * w..];
    let n = bytes.len().min(8);
    bytes[..n].copy_from_slice(&word.to_le_bytes()[..n]);
}

fn get(bytes: &[u8], w: usize) -> u64 {
    let bytes = &bytes[8 * w..];
    if let Some((whole, _)) = bytes.split_first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
