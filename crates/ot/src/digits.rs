//! Functions of two parties' digits: what each could be, of which the receiver's digit chooses.
//!
//! The sender's number a and the receiver's c are cut from the lowest bit into digits of `bits` planes, of which the last
//! may have fewer. For digits of b planes there are shares (by exclusive or) of bits of a function of both:
//!
//! * [`SenderCots::digits`] and [`ReceiverCots::digits`], the leaves of a comparison: which of the digits' sums carries,
//!   `g = [a + c >= 2^b]`, and which would pass a carry on, `p = [a + c = 2^b - 1]`.
//! * [`SenderCots::near`] and [`ReceiverCots::near`]: how far digits are from one another, `[|d| < 2^m]` for each of some
//!   m, where d = c - a is taken modulo `2^b` as a number with a sign, and the highest bits of d. With m = 0 that is
//!   whether they are equal; the highest bit is `[d < 0]`. The sender may have several numbers, which all meet the one of
//!   the receiver.
//!
//! It is a transfer of one of `2^b` messages of some bits, as [`SenderCots::many`] makes them of b correlations: message v is
//! what the bits are where c = v, plus the sender's shares. These are such that message 0 is its own pad, which so needs not
//! travel. Everything but the hashes runs on 64 elements at a time: v is public, and functions of a and v are a few
//! operations on the planes of a.
//!
//! The message has, for each digit, for v from 1 to `2^b - 1`, the planes of the bits, each of `ceil(size / 8)` bytes
//! ([`message_len`]), after the b bits from the receiver with which it chose.
//!
//! Pads `2 i` and `2 i + 1` have one key. A key so hashes two blocks that the receiver does not know, and a call of AES finds
//! `delta` with probability 2^-127: no better than a guess of its 127 bits.

use crate::bits::{check_width, low, low_words};
use crate::error::length;
use crate::planes::{each, Layout, PART};
use crate::transfer::{multiple, MOST_BITS};
use crate::{Error, ReceiverCots, SenderCots};
use zeroize::Zeroizing;

/// One plane for each digit.
pub type Planes = Vec<u64>;

/// The most bits of digits that are compared, and of what is said of a digit.
pub const MOST_NEAR: u32 = 7;
pub const MOST_RESULTS: usize = 7;
/// The most planes of a digit, of all numbers of the sender.
const MOST_PLANES: usize = MOST_RESULTS * MOST_NEAR as usize;

/// Bytes of the message for `width` planes of `size` elements, with so many results for a digit.
pub fn message_len(size: usize, width: usize, bits: u32, results: usize) -> usize {
    let (whole, rest) = (width / bits as usize, width % bits as usize);
    (whole * sent(bits, results) + sent(rest as u32, results)) * size.div_ceil(8)
}

/// Of [`SenderCots::digits`].
pub fn digits_len(size: usize, width: usize, bits: u32) -> usize {
    message_len(size, width, bits, 2)
}

/// The first plane of each digit and the number of its planes.
fn cut(width: usize, bits: u32) -> impl Iterator<Item = (usize, u32)> {
    (0..width)
        .step_by(bits as usize)
        .map(move |first| (first, bits.min((width - first) as u32)))
}

/// Planes of the message for a digit.
fn sent(bits: u32, results: usize) -> usize {
    results * ((1 << bits) - 1)
}

/// What is asked about digits that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// Numbers of the sender.
    pub numbers: usize,
    /// The m of `[|d| < 2^m]`.
    pub bounds: &'a [u32],
    /// How many of the highest bits of d are asked, too: the lowest of them comes first.
    pub top: usize,
}

impl Questions<'_> {
    /// Results for a digit.
    pub fn results(&self) -> usize {
        self.numbers * (self.bounds.len() + self.top)
    }

    /// Their planes for the digit v, in 64 elements at which the numbers have digits with the planes `a`.
    fn answers<const R: usize>(&self, v: usize, a: &[u64]) -> [u64; R] {
        let mut found = [0; R];
        let mut next = found.iter_mut();
        for a in a.chunks(a.len() / self.numbers) {
            let (mut d, mut borrow) = ([0; MOST_NEAR as usize], 0);
            for (j, (d, a)) in d.iter_mut().zip(a).enumerate() {
                if v >> j & 1 == 1 {
                    *d = !(a ^ borrow);
                    borrow &= a;
                } else {
                    *d = a ^ borrow;
                    borrow |= a;
                }
            }
            let d = &d[..a.len()];
            for bound in self.bounds {
                // 0 <= d < 2^m, or -2^m <= d < 0 and not -2^m itself.
                let (rest, high) = d.split_at((*bound as usize).min(d.len()));
                let (mut zeros, mut ones) = (u64::MAX, u64::MAX);
                for plane in high {
                    zeros &= !plane;
                    ones &= plane;
                }
                let above = rest.iter().fold(0, |any, plane| any | plane);
                *next.next().expect("as many as results") = zeros | ones & above;
            }
            for place in 0..self.top {
                let plane = (d.len() + place).checked_sub(self.top);
                *next.next().expect("as many as results") = plane.map_or(0, |j| d[j]);
            }
        }
        found
    }
}

/// Calls a function with the number of results as a constant.
macro_rules! with_results {
    ($results:expr, $self:ident.$call:ident($($arg:expr),*)) => {
        match $results {
            1 => $self.$call::<1>($($arg),*),
            2 => $self.$call::<2>($($arg),*),
            3 => $self.$call::<3>($($arg),*),
            4 => $self.$call::<4>($($arg),*),
            5 => $self.$call::<5>($($arg),*),
            6 => $self.$call::<6>($($arg),*),
            7 => $self.$call::<7>($($arg),*),
            got => Err(Error::Shape(format!("{got} results of a digit: want 1 to {MOST_RESULTS}"))),
        }
    };
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
        let ([g, p], message) = self.answer(planes, 1, size, bits, |v, a| {
            let (mut carries, mut passes) = (0, u64::MAX);
            for (j, a) in a.iter().enumerate() {
                if v >> j & 1 == 1 {
                    carries |= a;
                    passes &= !a;
                } else {
                    carries &= a;
                    passes &= a;
                }
            }
            [carries, passes]
        })?;
        Ok((g, p, message))
    }

    /// For each number and each question planes of the shares, one for each digit, and the message. `planes` are those of
    /// the first number, then those of the next; `bits` 1 to [`MOST_NEAR`].
    pub fn near(
        self,
        planes: &[u64],
        size: usize,
        bits: u32,
        questions: Questions,
    ) -> Result<(Vec<Planes>, Vec<u8>), Error> {
        check_width(bits, MOST_NEAR)?;
        with_results!(
            questions.results(),
            self.near_of(planes, size, bits, questions)
        )
    }

    fn near_of<const R: usize>(
        self,
        planes: &[u64],
        size: usize,
        bits: u32,
        questions: Questions,
    ) -> Result<(Vec<Planes>, Vec<u8>), Error> {
        let (found, message) = self.answer(planes, questions.numbers, size, bits, |v, a| {
            questions.answers::<R>(v, a)
        })?;
        Ok((found.into(), message))
    }

    /// Shares of R functions of every digit, and the message. `value` has them for the digit v and the planes of the
    /// sender's digits, those of one number after the other.
    fn answer<const R: usize>(
        self,
        planes: &[u64],
        numbers: usize,
        size: usize,
        bits: u32,
        value: impl Fn(usize, &[u64]) -> [u64; R] + Sync,
    ) -> Result<([Planes; R], Vec<u8>), Error> {
        let layout = Layout::new(self.len(), size)?;
        length(
            "words of planes",
            planes.len(),
            numbers * layout.width * layout.words,
        )?;
        let digits: Vec<(usize, u32)> = cut(layout.width, bits).collect();
        let results = layout.of_width(digits.len());
        let mut found: [Planes; R] = std::array::from_fn(|_| results.rows(1));
        let mut message = vec![0; message_len(size, layout.width, bits, R)];
        let mut rows = message.chunks_mut(size.div_ceil(8).max(1));
        let mut pieces: Vec<Vec<&mut [u8]>> = Vec::new();
        for (_, bits) in &digits {
            let first = pieces.len();
            pieces.resize_with(first + results.parts(), Vec::new);
            for row in rows.by_ref().take(sent(*bits, R)) {
                for (piece, bytes) in pieces[first..].iter_mut().zip(row.chunks_mut(PART / 8)) {
                    piece.push(bytes);
                }
            }
        }
        let multiples: Vec<u128> = (0..1 << bits).map(|v| multiple(*self.delta, v)).collect();
        let multiples = Zeroizing::new(multiples);
        let shares = results.cut_all(&mut found);
        each(
            shares.into_iter().zip(pieces).collect(),
            |pads, i, (mut shares, mut pieces)| {
                let (first, bits) = digits[i / results.parts()];
                let (from, to) = results.elements(i);
                let n = to - from;
                let at = first * size + from;
                let mut a = [0; MOST_PLANES];
                let a = &mut a[..numbers * bits as usize];
                pads.sum(&self.run, at, size, bits, n);
                for v in (0..1usize << bits).step_by(2) {
                    let (even, odd) = pads.pair(
                        &self.run,
                        at,
                        v as u8 / 2,
                        [multiples[v], multiples[v + 1]],
                        n,
                    );
                    for (v, pads) in [(v, even), (v + 1, odd)] {
                        for (w, pads) in pads.chunks(64).enumerate() {
                            for (j, a) in a.iter_mut().enumerate() {
                                let (number, j) = (j / bits as usize, j % bits as usize);
                                let plane = number * layout.width + first + j;
                                *a = planes[plane * layout.words + from / 64 + w];
                            }
                            let (pads_low, inside) = (low_words::<R>(pads), low(pads.len() as u32));
                            let values = value(v, a);
                            for r in 0..R {
                                let hidden = values[r] & inside ^ pads_low[r];
                                if v == 0 {
                                    shares[r][w] = hidden;
                                } else {
                                    put(pieces[R * (v - 1) + r], w, hidden ^ shares[r][w]);
                                }
                            }
                        }
                    }
                }
            },
        );
        Ok((found, message))
    }
}

impl ReceiverCots {
    /// Planes of the shares of g and of p; the planes of c are the bits of the correlations, as
    /// [`ReceiverCots::choose_planes`] makes them.
    pub fn digits(self, size: usize, bits: u32, message: &[u8]) -> Result<(Planes, Planes), Error> {
        check_width(bits, MOST_BITS)?;
        let [g, p] = self.choose_answer(size, bits, message)?;
        Ok((g, p))
    }

    /// Its shares; see [`SenderCots::near`].
    pub fn near(
        self,
        size: usize,
        bits: u32,
        questions: Questions,
        message: &[u8],
    ) -> Result<Vec<Planes>, Error> {
        check_width(bits, MOST_NEAR)?;
        with_results!(questions.results(), self.near_of(size, bits, message))
    }

    fn near_of<const R: usize>(
        self,
        size: usize,
        bits: u32,
        message: &[u8],
    ) -> Result<Vec<Planes>, Error> {
        Ok(self.choose_answer::<R>(size, bits, message)?.into())
    }

    fn choose_answer<const R: usize>(
        self,
        size: usize,
        bits: u32,
        message: &[u8],
    ) -> Result<[Planes; R], Error> {
        let layout = Layout::new(self.len(), size)?;
        length(
            "message of digits",
            message.len(),
            message_len(size, layout.width, bits, R),
        )?;
        let digits: Vec<(usize, u32)> = cut(layout.width, bits).collect();
        let results = layout.of_width(digits.len());
        let mut found: [Planes; R] = std::array::from_fn(|_| results.rows(1));
        let bytes = size.div_ceil(8);
        let shares = results.cut_all(&mut found);
        each(shares, |pads, i, mut shares| {
            let (first, bits) = digits[i / results.parts()];
            let (from, to) = results.elements(i);
            // The digits before all have as many planes as the first.
            let skipped = i / results.parts() * sent(digits[0].1, R);
            let rows = &message[skipped * bytes..][..sent(bits, R) * bytes];
            let at = first * size + from;
            pads.sum(&self.run, at, size, bits, to - from);
            let blocks = &self.blocks()[at..];
            let pads = pads.chosen(&self.run, at, size, bits, to - from);
            for (w, pads) in pads.chunks(64).enumerate() {
                let mut mine = low_words::<R>(pads);
                let mut c = [0; MOST_NEAR as usize];
                for (j, c) in c.iter_mut().enumerate().take(bits as usize) {
                    [*c] = low_words::<1>(&blocks[j * size + 64 * w..][..pads.len()]);
                }
                // Every message is read, so that the choice shows in no address.
                for v in 1..1 << bits {
                    let mut here = low(pads.len() as u32);
                    for (j, c) in c.iter().enumerate().take(bits as usize) {
                        here &= if v >> j & 1 == 1 { *c } else { !c };
                    }
                    for (r, mine) in mine.iter_mut().enumerate() {
                        let row = &rows[(R * (v - 1) + r) * bytes..][..bytes];
                        *mine ^= here & get(row, from / 64 + w);
                    }
                }
                for (share, mine) in shares.iter_mut().zip(mine) {
                    share[w] = mine;
                }
            }
        });
        Ok(found)
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
