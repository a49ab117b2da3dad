//! Correlations spent on arrays: products of bits without a message, and bits times numbers of the sender.
//!
//! The correlations of an array lie plane by plane: that of plane p and element e is number `p * size + e`, without gaps.
//! Bits come and go as planes of `ceil(size / 64)` words, element e at bit `e % 64` of word `e / 64`; the bits beyond the
//! last element are zero.
//!
//! | | bits from the sender | from the receiver |
//! | --- | --- | --- |
//! | [`SenderCots::plane_products`]: `b`, `u` and `a`, `v` with `u + v = a b`, random | 0 | 0 |
//! | [`SenderCots::weighted`]: `sum over p of 2^(p + shift) bit_p delta_p` in Z_2^k | k - shift - p a bit | 0 |
//! | [`ReceiverCots::choose_planes`], before: bits of the receiver's choice | 0 | 1 a bit |

use crate::bits::{low, low_words};
use crate::cots::{Run, PLAIN};
use crate::error::length;
use crate::transfer::times_x;
use crate::{Error, ReceiverCots, SenderCots};
use argot_prf::{hash_each, transpose};
use argot_ring::kernels_trunc::{pack, packed_len, unpack};
use argot_ring::Ring;
use rayon::prelude::*;
use std::ops::Range;
use zeroize::Zeroizing;

/// Elements worked on together: their pads stay in the first cache. A multiple of 64.
pub(crate) const PART: usize = 512;
/// Parts from which work is shared among threads: some 50 microseconds.
const SHARED: usize = 16;
/// The most pairs of bits that one hash gives.
pub const MOST_STRINGS: usize = 64;

impl SenderCots {
    /// Planes `(b, u)`, each `strings * w` of them for `w * size` correlations: row `s * w + p` is string s of plane p.
    /// With the `(a, v)` of [`ReceiverCots::plane_products`], `u[s * w + p] ^ v[s * w + p] = a[p] & b[s * w + p]`. Bit s of
    /// the two pads of a correlation makes string s.
    pub fn plane_products(
        self,
        size: usize,
        strings: usize,
    ) -> Result<(Vec<u64>, Vec<u64>), Error> {
        let layout = Layout::of_random(&self.run, size, strings)?;
        let (mut b, mut u) = (layout.rows(strings), layout.rows(strings));
        let parts = layout.cut(&mut b).into_iter().zip(layout.cut(&mut u));
        each(parts.collect(), |pads, i, (mut b, mut u)| {
            let (zero, one) = pads.two(&self, layout.place(i));
            for (at, (zero, one)) in zero.chunks(64).zip(one.chunks_mut(64)).enumerate() {
                for (one, zero) in one.iter_mut().zip(zero) {
                    *one ^= zero;
                }
                low_bits(one, at, &mut b);
                low_bits(zero, at, &mut u);
            }
        });
        Ok((b, u))
    }

    /// This side's part of `sum over p of 2^(p + shift) * bit_p * delta_p` for n elements, and the message; what both sides
    /// get adds up to the sum. `deltas` are n numbers for all planes, or n for each.
    ///
    /// Plane p matters modulo `2^(BITS - shift - p)` alone, so its n numbers have so many bits in the message, without gaps;
    /// each plane begins at a byte ([`weighted_len`]).
    pub fn weighted<W: Ring>(
        self,
        deltas: &[W],
        n: usize,
        planes: usize,
        shift: u32,
    ) -> Result<(Vec<W>, Vec<u8>), Error> {
        self.weighted_sums(deltas, 1, n, planes, shift)
    }

    /// As [`SenderCots::weighted`], several sums of the same bits: one after the other the deltas of each, its n results,
    /// and its message. A pad of 128 bits hides one number of each sum: there are [`most_sums`] at most.
    pub fn weighted_sums<W: Ring>(
        self,
        deltas: &[W],
        sums: usize,
        n: usize,
        planes: usize,
        shift: u32,
    ) -> Result<(Vec<W>, Vec<u8>), Error> {
        check_sums::<W>(sums)?;
        let total = weighted_len::<W>(n, planes, shift)?;
        length("correlations", self.len(), n * planes)?;
        let step = if deltas.len() == sums * n { 0 } else { n };
        let each_sum = n.max(step * planes);
        length("deltas", deltas.len(), sums * each_sum)?;
        let (mut out, mut message) = (vec![W::default(); sums * n], vec![0; sums * total]);
        let count = n.div_ceil(PART);
        let mut pieces: Vec<Vec<&mut [u8]>> = (0..count).map(|_| Vec::new()).collect();
        let mut rest = &mut message[..];
        for width in (0..sums).flat_map(|_| widths::<W>(planes, shift)) {
            let (plane, after) = rest.split_at_mut(packed_len(n, width));
            for (piece, bytes) in pieces
                .iter_mut()
                .zip(plane.chunks_mut(packed_len(PART, width)))
            {
                piece.push(bytes);
            }
            rest = after;
        }
        let outs = by_parts(&mut out, n);
        let parts = outs.into_iter().zip(pieces).collect();
        each(parts, |pads, i, (mut outs, mut pieces)| {
            let (first, count) = (i * PART, outs[0].len());
            let mut corrections = [W::default(); PART];
            let corrections = &mut corrections[..count];
            for (p, width) in widths::<W>(planes, shift).enumerate() {
                let at = p * n + first;
                let (zeros, ones) = pads.two(&self, at..at + count);
                for (sum, out) in outs.iter_mut().enumerate() {
                    let deltas = &deltas[sum * each_sum + p * step + first..][..count];
                    for e in 0..count {
                        let [zero, one] = [zeros[e], ones[e]].map(|pad| number(pad, sum));
                        corrections[e] = W::plus(zero, deltas[e]).minus(one);
                        out[e] = out[e].minus(zero.left(W::BITS - width));
                    }
                    pack(corrections, width, pieces[sum * planes + p]);
                }
            }
        });
        Ok((out, message))
    }
}

impl ReceiverCots {
    /// Bits of one's own choice in place of the random ones, as planes, and the message to the sender, as of
    /// [`ReceiverCots::choose`].
    pub fn choose_planes(
        self,
        planes: &[u64],
        size: usize,
    ) -> Result<(ReceiverCots, Vec<u8>), Error> {
        let layout = Layout::new(self.len(), size)?;
        length("words of planes", planes.len(), layout.width * layout.words)?;
        let choices = Zeroizing::new(layout.joined(planes));
        self.choose(&choices)
    }

    /// Planes `(a, v)`, w and `strings * w` of them; see [`SenderCots::plane_products`].
    pub fn plane_products(
        self,
        size: usize,
        strings: usize,
    ) -> Result<(Vec<u64>, Vec<u64>), Error> {
        let layout = Layout::of_random(&self.run, size, strings)?;
        let (mut a, mut v) = (layout.rows(1), layout.rows(strings));
        let parts = layout.cut(&mut a).into_iter().zip(layout.cut(&mut v));
        each(parts.collect(), |pads, i, (mut a, mut v)| {
            let place = layout.place(i);
            let blocks = &self.blocks()[place.clone()];
            for (at, (bits, pads)) in blocks
                .chunks(64)
                .zip(pads.one(&self.run, place).chunks(64))
                .enumerate()
            {
                low_bits(bits, at, &mut a);
                low_bits(pads, at, &mut v);
            }
        });
        Ok((a, v))
    }

    /// This side's part of the sum; see [`SenderCots::weighted`].
    pub fn weighted<W: Ring>(
        self,
        n: usize,
        planes: usize,
        shift: u32,
        message: &[u8],
    ) -> Result<Vec<W>, Error> {
        self.weighted_sums(1, n, planes, shift, message)
    }

    /// This side's parts of the sums; see [`SenderCots::weighted_sums`].
    pub fn weighted_sums<W: Ring>(
        self,
        sums: usize,
        n: usize,
        planes: usize,
        shift: u32,
        message: &[u8],
    ) -> Result<Vec<W>, Error> {
        check_sums::<W>(sums)?;
        let total = weighted_len::<W>(n, planes, shift)?;
        length("correlations", self.len(), n * planes)?;
        length("message of bits times numbers", message.len(), sums * total)?;
        let mut out = vec![W::default(); sums * n];
        let outs = by_parts(&mut out, n);
        each(outs, |pads, i, mut outs| {
            let (first, count) = (i * PART, outs[0].len());
            let mut corrections = [W::default(); PART];
            let corrections = &mut corrections[..count];
            let mut before = 0;
            for (p, width) in widths::<W>(planes, shift).enumerate() {
                let at = p * n + first;
                let blocks = &self.blocks()[at..at + count];
                let pads = pads.one(&self.run, at..at + count);
                for (sum, out) in outs.iter_mut().enumerate() {
                    let plane = &message[sum * total + before..][..packed_len(n, width)];
                    let bytes = &plane[packed_len(first, width)..packed_len(first + count, width)];
                    unpack(bytes, width, corrections);
                    for e in 0..count {
                        let bit = W::default().minus(W::from_u64(blocks[e] as u64 & 1));
                        let word = W::plus(number(pads[e], sum), corrections[e].and(bit));
                        out[e] = out[e].plus(word.left(W::BITS - width));
                    }
                }
                before += packed_len(n, width);
            }
        });
        Ok(out)
    }
}

/// The most sums of the same bits.
pub fn most_sums<W: Ring>() -> usize {
    (128 / W::BITS) as usize
}

fn check_sums<W: Ring>(sums: usize) -> Result<(), Error> {
    if (1..=most_sums::<W>()).contains(&sums) {
        return Ok(());
    }
    Err(Error::Shape(format!(
        "{sums} sums of the same bits: want 1 to {}",
        most_sums::<W>()
    )))
}

/// What a pad has for a sum.
#[inline(always)]
fn number<W: Ring>(pad: u128, sum: usize) -> W {
    W::from_u128(pad >> (sum as u32 * W::BITS))
}

/// Bytes of the message of [`SenderCots::weighted`].
pub fn weighted_len<W: Ring>(n: usize, planes: usize, shift: u32) -> Result<usize, Error> {
    if shift as usize + planes > W::BITS as usize {
        return Err(Error::Shape(format!(
            "{planes} planes from bit {shift} on: numbers have {} bits",
            W::BITS
        )));
    }
    Ok(widths::<W>(planes, shift)
        .map(|width| packed_len(n, width))
        .sum())
}

/// Rows of n numbers by parts: of each part the pieces of all rows.
fn by_parts<W>(rows: &mut [W], n: usize) -> Vec<Vec<&mut [W]>> {
    let mut parts: Vec<Vec<&mut [W]>> = (0..n.div_ceil(PART)).map(|_| Vec::new()).collect();
    for row in rows.chunks_mut(n.max(1)) {
        for (part, piece) in parts.iter_mut().zip(row.chunks_mut(PART)) {
            part.push(piece);
        }
    }
    parts
}

/// Bits of a number in each plane of the message of [`SenderCots::weighted`].
fn widths<W: Ring>(planes: usize, shift: u32) -> impl Iterator<Item = u32> {
    (0..planes as u32).map(move |p| W::BITS - shift - p)
}

/// How correlations lie in planes.
pub(crate) struct Layout {
    size: usize,
    /// Planes.
    pub(crate) width: usize,
    /// Words of a plane.
    pub(crate) words: usize,
}

impl Layout {
    pub(crate) fn new(correlations: usize, size: usize) -> Result<Layout, Error> {
        let width = correlations.checked_div(size).unwrap_or(0);
        length("correlations", correlations, width * size)?;
        Ok(Layout {
            size,
            width,
            words: size.div_ceil(64),
        })
    }

    fn of_random(run: &Run, size: usize, strings: usize) -> Result<Layout, Error> {
        run.random_bits()?;
        if !(1..=MOST_STRINGS).contains(&strings) {
            return Err(Error::Shape(format!(
                "{strings} strings of a correlation: want 1 to {MOST_STRINGS}"
            )));
        }
        Layout::new(run.blocks().len(), size)
    }

    /// Another number of planes of as many elements.
    pub(crate) fn of_width(&self, width: usize) -> Layout {
        Layout { width, ..*self }
    }

    /// Zero planes, `strings` for each.
    pub(crate) fn rows(&self, strings: usize) -> Vec<u64> {
        vec![0; strings * self.width * self.words]
    }

    /// Parts of a plane.
    pub(crate) fn parts(&self) -> usize {
        self.size.div_ceil(PART)
    }

    /// The elements of part `i`, counted along each plane.
    pub(crate) fn elements(&self, i: usize) -> (usize, usize) {
        let from = i % self.parts() * PART;
        (from, self.size.min(from + PART))
    }

    /// The correlations of part `i`.
    fn place(&self, i: usize) -> Range<usize> {
        let ((from, to), p) = (self.elements(i), i / self.parts());
        p * self.size + from..p * self.size + to
    }

    /// The pieces of each part: one of every string.
    pub(crate) fn cut<'a>(&self, rows: &'a mut [u64]) -> Vec<Vec<&'a mut [u64]>> {
        let mut cut: Vec<Vec<&mut [u64]>> = Vec::new();
        cut.resize_with(self.width * self.parts(), Vec::new);
        for (row, plane) in rows.chunks_mut(self.words.max(1)).enumerate() {
            let first = row % self.width * self.parts();
            for (part, words) in plane.chunks_mut(PART / 64).enumerate() {
                cut[first + part].push(words);
            }
        }
        cut
    }

    /// As [`Layout::cut`], of several results: their pieces of a part together.
    pub(crate) fn cut_all<'a>(&self, results: &'a mut [Vec<u64>]) -> Vec<Vec<&'a mut [u64]>> {
        let mut every: Vec<Vec<&mut [u64]>> = Vec::new();
        every.resize_with(self.width * self.parts(), Vec::new);
        for result in results {
            for (part, mut pieces) in every.iter_mut().zip(self.cut(result)) {
                part.append(&mut pieces);
            }
        }
        every
    }

    /// The bits of planes one after the other.
    fn joined(&self, planes: &[u64]) -> Vec<u64> {
        let mut out = vec![0; (self.width * self.size).div_ceil(64) + 1];
        for (p, plane) in planes.chunks(self.words.max(1)).enumerate() {
            for (w, word) in plane.iter().enumerate() {
                let word = word & low((self.size - 64 * w).min(64) as u32);
                let at = p * self.size + 64 * w;
                let wide = u128::from(word) << (at % 64);
                out[at / 64] |= wide as u64;
                out[at / 64 + 1] |= (wide >> 64) as u64;
            }
        }
        out.truncate((self.width * self.size).div_ceil(64));
        out
    }
}

/// Room for the pads of one part, wiped at the end.
pub(crate) struct Pads {
    keys: Zeroizing<[u128; PART]>,
    sums: Zeroizing<[u128; PART]>,
    zero: Zeroizing<[u128; PART]>,
    one: Zeroizing<[u128; PART]>,
}

impl Pads {
    fn new() -> Box<Pads> {
        Box::new(Pads {
            keys: Zeroizing::new([0; PART]),
            sums: Zeroizing::new([0; PART]),
            zero: Zeroizing::new([0; PART]),
            one: Zeroizing::new([0; PART]),
        })
    }

    /// Those of the receiver.
    fn one(&mut self, run: &Run, place: Range<usize>) -> &mut [u128] {
        let n = place.len();
        run.keys_from(place.start, PLAIN, &mut self.keys[..n]);
        self.zero[..n].copy_from_slice(&run.blocks()[place]);
        hash_each(&self.keys[..n], [&mut self.zero[..n]]);
        &mut self.zero[..n]
    }

    /// Both of the sender.
    fn two(&mut self, cots: &SenderCots, place: Range<usize>) -> (&mut [u128], &mut [u128]) {
        let n = place.len();
        self.sums[..n].copy_from_slice(&cots.blocks()[place.clone()]);
        self.pair(&cots.run, place.start, PLAIN, [0, *cots.delta], n)
    }

    /// Take `sum of x^j block_j` over `bits` planes of blocks, for the n elements from block `at` on ([`crate::transfer`]).
    pub(crate) fn sum(&mut self, run: &Run, at: usize, size: usize, bits: u32, n: usize) {
        let sums = &mut self.sums[..n];
        sums.fill(0);
        for j in (0..bits as usize).rev() {
            for (sum, block) in sums.iter_mut().zip(&run.blocks()[at + j * size..]) {
                *sum = times_x(*sum) ^ block;
            }
        }
    }

    /// The hashes of the sums plus either of two blocks, under keys of this kind.
    pub(crate) fn pair(
        &mut self,
        run: &Run,
        at: usize,
        kind: u8,
        plus: [u128; 2],
        n: usize,
    ) -> (&mut [u128], &mut [u128]) {
        let (keys, zero, one) = (&mut self.keys[..n], &mut self.zero[..n], &mut self.one[..n]);
        run.keys_from(at, kind, keys);
        for ((zero, one), sum) in zero.iter_mut().zip(&mut *one).zip(self.sums.iter()) {
            (*zero, *one) = (sum ^ plus[0], sum ^ plus[1]);
        }
        hash_each(keys, [&mut *zero, &mut *one]);
        (zero, one)
    }

    /// The hashes of the sums, each under the key of the kind that holds its choice, the bits of `bits` planes.
    pub(crate) fn chosen(
        &mut self,
        run: &Run,
        at: usize,
        size: usize,
        bits: u32,
        n: usize,
    ) -> &mut [u128] {
        let (keys, zero) = (&mut self.keys[..n], &mut self.zero[..n]);
        run.keys_from(at, 0, keys);
        // Kind i is that of choices 2 i and 2 i + 1.
        for j in 1..bits as usize {
            for (key, block) in keys.iter_mut().zip(&run.blocks()[at + j * size..]) {
                *key ^= (*block & 1) << (j - 1);
            }
        }
        zero.copy_from_slice(&self.sums[..n]);
        hash_each(keys, [&mut *zero]);
        zero
    }
}

/// `work` on every part with its number, on several threads if there are many.
pub(crate) fn each<T: Send>(parts: Vec<T>, work: impl Fn(&mut Pads, usize, T) + Sync) {
    if parts.len() < SHARED {
        let mut pads = Pads::new();
        for (i, part) in parts.into_iter().enumerate() {
            work(&mut pads, i, part);
        }
        return;
    }
    parts
        .into_par_iter()
        .enumerate()
        .with_min_len(SHARED / 2)
        .for_each_init(Pads::new, |pads, (i, part)| work(pads, i, part));
}

/// Bit s of each of up to 64 blocks as word `at` of row s.
fn low_bits(blocks: &[u128], at: usize, rows: &mut [&mut [u64]]) {
    if let [row] = rows {
        [row[at]] = low_words(blocks);
        return;
    }
    let mut words = Zeroizing::new([0; 64]);
    for (word, block) in words.iter_mut().zip(blocks) {
        *word = *block as u64;
    }
    transpose(&mut words);
    for (row, word) in rows.iter_mut().zip(words.iter()) {
        row[at] = *word;
    }
}
