//! Powers of two of an exponent that is split into two addends, as products in Z_M with M = 2^128 - 1.
//!
//! In Z_M two has order 128: 2^128 = 1. An exponent y given as a 64-bit word with 57 fraction bits, so that the word
//! counts mod 128, may therefore be split as y = a + b mod 2^64 in any way:
//!
//! ```text
//! 2^(a / 2^57) * 2^(b / 2^57) = 2^(y / 2^57)  in Z_M
//! ```
//!
//! where 2^(i + t), i whole and 0 <= t < 1, stands for round(2^t * 2^28) rotated left by i. (The carry of the fractions
//! is in the product of the two rounded powers.) Halves z1 + z2 = z of the product are rounded to z / 2^64 in Z_2^64
//! without interaction: the integers z1 + z2 and z differ by 0 or by 2^128 - 1, and 2^128 / 2^64 is 0 in Z_2^64. Each
//! half is rounded to nearest, so the sum is off by less than 1, and exact where z is a multiple of 2^64 (the two
//! fractions then add up to a whole number, or to one less 2^-64, which changes a rounding with probability 2^-64).

use crate::approx_turns::{nearest, power_of_two};
use argot_prf::Stream;
use rayon::prelude::*;

/// Fraction bits of each of the two rounded powers.
pub const POWER_BITS: u32 = 28;

const CHUNK: usize = 4096;

/// z + 2^126 is never negative for |z| <= 2^126.
const BIAS: u128 = 1 << 126;

#[inline(always)]
fn add(x: u128, y: u128) -> u128 {
    let (sum, carry) = x.overflowing_add(y);
    sum.wrapping_add(carry as u128)
}

#[inline(always)]
fn sub(x: u128, y: u128) -> u128 {
    add(x, !y)
}

#[inline(always)]
fn mul(x: u128, y: u128) -> u128 {
    let (x0, x1) = (x as u64 as u128, x >> 64);
    let (y0, y1) = (y as u64 as u128, y >> 64);
    let low = x0 * y0;
    let (middle, wrapped) = (x0 * y1).overflowing_add(x1 * y0);
    let high = x1 * y1 + ((wrapped as u128) << 64);
    // middle * 2^64 is middle rotated by half: 2^128 = 1.
    add(add(low, high), middle.rotate_left(64))
}

/// round(2^fraction * 2^28) * 2^whole, negated where `sign` is 1.
#[inline(always)]
fn power(exponent: u64, shift: u32, sign: u8) -> u128 {
    let scaled = power_of_two(exponent & (u64::MAX >> 7)) * (1u64 << POWER_BITS) as f64;
    let rotated = (nearest(scaled) as u128).rotate_left((exponent >> 57) as u32 + shift);
    rotated ^ (sign as u128).wrapping_neg()
}

/// A bit for every element, or none: 0 or 1 in a byte.
pub type Flags<'a> = Option<&'a [u8]>;

#[inline(always)]
fn flag(flags: Flags<'_>, i: usize, otherwise: u8) -> u8 {
    flags.map_or(otherwise, |f| f[i] & 1)
}

/// What both sides know of the factor (-1)^sign * gate * 2^(exponent + shift): each side has one addend (xor for the
/// two bits) of every part.
#[derive(Clone, Copy)]
pub struct Factor<'a> {
    pub exponent: &'a [u64],
    /// Added to the whole part; only one side has it other than 0.
    pub shift: u32,
    pub sign: Flags<'a>,
    pub gate: Flags<'a>,
}

impl Factor<'_> {
    /// Ring elements that are sent for each element: with a gate g = u ^ v = v + u (1 - 2v) there are two products.
    pub fn terms(&self) -> usize {
        1 + self.gate.is_some() as usize
    }
}

/// The left factors less the masks of all `keys`, of which there is at least one: two little-endian words each, `terms`
/// in a row.
pub fn left(factor: &Factor<'_>, keys: &[[u8; 16]], out: &mut [u64]) {
    let terms = factor.terms();
    assert_eq!(out.len(), factor.exponent.len() * terms * 2);
    let streams: Vec<_> = keys.iter().map(Stream::new).collect();
    let (stream, more) = streams.split_first().expect("factors leave masked");
    out.par_chunks_mut(CHUNK * terms * 2)
        .enumerate()
        .for_each(|(c, out)| {
            let at = (c * CHUNK * terms * 2) as u64;
            stream.words_at(at, out);
            for (j, row) in out.chunks_exact_mut(terms * 2).enumerate() {
                let i = c * CHUNK + j;
                let u = power(factor.exponent[i], factor.shift, flag(factor.sign, i, 0));
                let gate = (flag(factor.gate, i, 1) as u128).wrapping_neg();
                let factors = [u, u & gate];
                for (words, value) in row.chunks_exact_mut(2).zip(factors) {
                    let hidden = sub(value, joined(words));
                    (words[0], words[1]) = (hidden as u64, (hidden >> 64) as u64);
                }
            }
            let mut masks = vec![0; if more.is_empty() { 0 } else { out.len() }];
            for stream in more {
                stream.words_at(at, &mut masks);
                for (words, mask) in out.chunks_exact_mut(2).zip(masks.chunks_exact(2)) {
                    let hidden = sub(joined(words), joined(mask));
                    (words[0], words[1]) = (hidden as u64, (hidden >> 64) as u64);
                }
            }
        });
}

/// An element of two words.
#[inline(always)]
fn joined(words: &[u64]) -> u128 {
    words[0] as u128 | (words[1] as u128) << 64
}

/// Where the right side has its half of the left factors from: the stream that masks them, or what came.
#[derive(Clone, Copy)]
pub enum HalfWords<'a> {
    Mask(&'a [u8; 16]),
    Sent(&'a [u64]),
}

impl<'a> HalfWords<'a> {
    fn stream(&self) -> Option<Stream> {
        match self {
            HalfWords::Mask(key) => Some(Stream::new(key)),
            HalfWords::Sent(_) => None,
        }
    }
}

/// This side's addend of round(factor * 2^(rotation - 64)) in Z_2^64 for each of `rotations`, which are how far to
/// rotate left in Z_M. The results must lie between -2^62 and 2^64 - 2^62; `out` has a row for each. One side is the
/// `first`.
pub fn right(
    factor: &Factor<'_>,
    half: HalfWords<'_>,
    first: bool,
    rotations: &[u32],
    out: &mut [u64],
) {
    let (n, terms) = (factor.exponent.len(), factor.terms());
    assert_eq!(out.len(), n * rotations.len());
    if let HalfWords::Sent(sent) = half {
        assert_eq!(sent.len(), n * terms * 2);
    }
    let stream = half.stream();
    let chunks = n.div_ceil(CHUNK);
    let mut rows: Vec<_> = out
        .chunks_mut(n.max(1))
        .map(|row| row.chunks_mut(CHUNK))
        .collect();
    let work: Vec<(usize, Vec<&mut [u64]>)> = (0..chunks)
        .map(|c| (c, rows.iter_mut().filter_map(|row| row.next()).collect()))
        .collect();
    work.into_par_iter().for_each(|(c, mut rows)| {
        let count = CHUNK.min(n - c * CHUNK);
        let at = c * CHUNK * terms * 2;
        let mut buffer = vec![
            0u64;
            if stream.is_some() {
                count * terms * 2
            } else {
                0
            }
        ];
        let words: &[u64] = match (&stream, half) {
            (Some(stream), _) => {
                stream.words_at(at as u64, &mut buffer);
                &buffer
            }
            (None, HalfWords::Sent(sent)) => &sent[at..at + count * terms * 2],
            (None, HalfWords::Mask(_)) => unreachable!("a mask has a stream"),
        };
        for (j, row) in words.chunks_exact(terms * 2).enumerate() {
            let i = c * CHUNK + j;
            let v = power(factor.exponent[i], factor.shift, flag(factor.sign, i, 0));
            let gate = (flag(factor.gate, i, 0) as u128).wrapping_neg();
            // Without a gate: u * v. With one: u * (gate and v) + (u where its gate is 1) * (v, negated by gate).
            let factors = if terms == 1 {
                [v, 0]
            } else {
                [v & gate, v ^ gate]
            };
            let mut z = 0;
            for (words, value) in row.chunks_exact(2).zip(factors) {
                z = add(z, mul(joined(words), value));
            }
            for (out, &rotation) in rows.iter_mut().zip(rotations) {
                out[j] = round(z.rotate_left(rotation), first);
            }
        }
    });
}

/// Ring elements that are sent for each element by [`scale_left`].
pub const SCALE_TERMS: usize = 3;

/// The masked left factors of x * (-1)^sign * 2^(exponent + shift) for a shared x = a + b mod 2^64, |x| < 2^62. As
/// integers x = a + b - 2^64 (u v + t), with u, v, t as in `approx_lift`: three products.
pub fn scale_left(a: &[u64], factor: &Factor<'_>, key: &[u8; 16], out: &mut [u64]) {
    assert_eq!(out.len(), a.len() * SCALE_TERMS * 2);
    assert_eq!(factor.exponent.len(), a.len());
    let stream = Stream::new(key);
    out.par_chunks_mut(CHUNK * SCALE_TERMS * 2)
        .enumerate()
        .for_each(|(c, out)| {
            stream.words_at((c * CHUNK * SCALE_TERMS * 2) as u64, out);
            for (j, row) in out.chunks_exact_mut(SCALE_TERMS * 2).enumerate() {
                let i = c * CHUNK + j;
                let power = power(factor.exponent[i], factor.shift, flag(factor.sign, i, 0));
                let quarter = a[i] >> 62;
                let t = (quarter | quarter >> 1) & 1;
                let u = a[i].wrapping_sub(1 << 62) >> 63;
                let wrapped = sub(a[i] as u128, (t as u128) << 64);
                let high = mul((u as u128) << 64, power);
                let factors = [mul(wrapped, power), power, high];
                for (words, value) in row.chunks_exact_mut(2).zip(factors) {
                    let mask = joined(words);
                    let hidden = sub(value, mask);
                    (words[0], words[1]) = (hidden as u64, (hidden >> 64) as u64);
                }
            }
        });
}

/// The other side of [`scale_left`]: this side's addend of round(x * (-1)^sign * 2^(exponent + shift - 64)).
pub fn scale_right(b: &[u64], factor: &Factor<'_>, half: HalfWords<'_>, out: &mut [u64]) {
    let width = SCALE_TERMS * 2;
    assert_eq!(out.len(), b.len());
    assert_eq!(factor.exponent.len(), b.len());
    if let HalfWords::Sent(sent) = half {
        assert_eq!(sent.len(), b.len() * width);
    }
    let stream = half.stream();
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(c, out)| {
        let at = c * CHUNK * width;
        let mut buffer = vec![
            0u64;
            if stream.is_some() {
                out.len() * width
            } else {
                0
            }
        ];
        let words: &[u64] = match (&stream, half) {
            (Some(stream), _) => {
                stream.words_at(at as u64, &mut buffer);
                &buffer
            }
            (None, HalfWords::Sent(sent)) => &sent[at..at + out.len() * width],
            (None, HalfWords::Mask(_)) => unreachable!("a mask has a stream"),
        };
        for (j, (row, out)) in words.chunks_exact(width).zip(out).enumerate() {
            let i = c * CHUNK + j;
            let power = power(factor.exponent[i], factor.shift, flag(factor.sign, i, 0));
            let v = ((b[i] >> 63) as u128).wrapping_neg();
            // x U V = (a - 2^64 t) U * V + U * b V - 2^64 u U * v V
            let factors = [power, mul(b[i] as u128, power), !power & v];
            let z = row
                .chunks_exact(2)
                .zip(factors)
                .fold(0, |z, (words, value)| add(z, mul(joined(words), value)));
            *out = round(z, stream.is_some());
        }
    });
}

/// A half of z / 2^64, rounded; one side (`first`) shifts z to where it is not negative, and back.
#[inline(always)]
fn round(z: u128, first: bool) -> u64 {
    let z = if first { add(z, BIAS) } else { z };
    let rounded = (z.wrapping_add(1 << 63) >> 64) as u64;
    rounded.wrapping_sub(if first { (BIAS >> 64) as u64 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: &mut u64) -> u64 {
        *seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        *seed ^ (*seed >> 29)
    }

    fn run(
        exponent: &[u64],
        whole: bool,
        shift: u32,
        sign: &[u8],
        gate: Option<&[u8]>,
        rotations: &[u32],
        masks: usize,
    ) -> Vec<u64> {
        let mut seed = 9;
        let n = exponent.len();
        let keep = if whole { 127 << 57 } else { u64::MAX };
        let a: Vec<u64> = (0..n).map(|_| random(&mut seed) & keep).collect();
        let b: Vec<u64> = exponent
            .iter()
            .zip(&a)
            .map(|(y, a)| y.wrapping_sub(*a))
            .collect();
        let coin: Vec<u8> = (0..n)
            .map(|_| (random(&mut seed) >> 40) as u8 & 1)
            .collect();
        let other = |bits: &[u8]| {
            bits.iter()
                .zip(&coin)
                .map(|(x, c)| x ^ c)
                .collect::<Vec<_>>()
        };
        let (sign_b, gate_b) = (other(sign), gate.map(other));
        let p = Factor {
            exponent: &a,
            shift,
            sign: Some(&coin),
            gate: gate.map(|_| &coin[..]),
        };
        let q = Factor {
            exponent: &b,
            shift: 0,
            sign: Some(&sign_b),
            gate: gate_b.as_deref(),
        };
        let mut sent = vec![0; n * p.terms() * 2];
        let keys = [[3; 16], [4; 16]];
        left(&p, &keys[..masks], &mut sent);
        let mut total = vec![0u64; n * rotations.len()];
        let halves = keys[..masks].iter().map(HalfWords::Mask);
        for (i, half) in halves.chain([HalfWords::Sent(&sent)]).enumerate() {
            let mut addend = vec![0; total.len()];
            right(&q, half, i == 0, rotations, &mut addend);
            for (sum, also) in total.iter_mut().zip(addend) {
                *sum = sum.wrapping_add(also);
            }
        }
        total
    }

    #[test]
    fn whole_exponents_are_exact() {
        let n = 64 * 300;
        let exponent: Vec<u64> = (0..n).map(|i| ((i % 63) as u64) << 57).collect();
        let sign: Vec<u8> = (0..n).map(|i| (i / 63) as u8 & 1).collect();
        let gate: Vec<u8> = (0..n).map(|i| (i / 126) as u8 & 1).collect();
        let shift = 64 - 2 * POWER_BITS;
        for gated in [false, true] {
            let got = run(
                &exponent,
                true,
                shift,
                &sign,
                gated.then_some(&gate[..]),
                &[0, 125],
                1,
            );
            for i in 0..n {
                let e = i % 63;
                let open = !gated || gate[i] == 1;
                let want = if open {
                    if sign[i] == 1 {
                        -(1i64 << e)
                    } else {
                        1 << e
                    }
                } else {
                    0
                };
                assert_eq!(got[i] as i64, want, "{i}");
                let eighth = want as f64 / 8.0;
                assert!((got[n + i] as i64 as f64 - eighth).abs() < 1.0, "{i}");
            }
        }
    }

    #[test]
    fn fractions_are_close() {
        let n = 50_000;
        let mut seed = 4;
        let exponent: Vec<u64> = (0..n)
            .map(|_| ((random(&mut seed) >> 8) as i64).wrapping_sub(1 << 55) as u64)
            .collect();
        let sign = vec![0; n];
        for masks in [1, 2] {
            let got = run(
                &exponent,
                false,
                64 + 18 - 2 * POWER_BITS,
                &sign,
                None,
                &[0],
                masks,
            );
            for i in 0..n {
                let want = (exponent[i] as i64 as f64 / 2f64.powi(57)).exp2() * 2f64.powi(18);
                let error = got[i] as i64 as f64 - want;
                assert!(
                    error.abs() < 0.5 + 0.5 * masks as f64 + want * 8e-9,
                    "{i}: {want} off by {error}"
                );
            }
        }
    }

    #[test]
    fn a_shared_number_is_scaled() {
        let mut seed = 77;
        let n = 20_000;
        let (mut a, mut b, mut p, mut q) = (vec![], vec![], vec![], vec![]);
        let (mut coin, mut sign, mut want) = (vec![], vec![], vec![]);
        for i in 0..n {
            // x * 2^s stays below 2^62; the exponent is given as s + 40 and undone by the shift.
            let s = (random(&mut seed) >> 20) as i64 % 80 - 40;
            let width = (61 - s.max(0)) as u32;
            let x = (random(&mut seed) as i64) >> (63 - width) >> (i % 30);
            let y = ((s + 40) as u64) << 57;
            a.push(random(&mut seed));
            p.push(random(&mut seed) & (127 << 57));
            b.push((x as u64).wrapping_sub(a[i]));
            q.push(y.wrapping_sub(p[i]));
            coin.push((random(&mut seed) >> 50) as u8 & 1);
            sign.push((i & 1) as u8);
            let size = x as f64 * 2f64.powi(s as i32);
            want.push(if sign[i] == 1 { -size } else { size });
        }
        let sign_b: Vec<u8> = sign.iter().zip(&coin).map(|(s, c)| s ^ c).collect();
        let shift = 64 - 40 + 128 - 2 * POWER_BITS;
        let left = Factor {
            exponent: &p,
            shift: shift % 128,
            sign: Some(&coin),
            gate: None,
        };
        let right = Factor {
            exponent: &q,
            shift: 0,
            sign: Some(&sign_b),
            gate: None,
        };
        let mut sent = vec![0; n * SCALE_TERMS * 2];
        scale_left(&a, &left, &[5; 16], &mut sent);
        let (mut x, mut y) = (vec![0; n], vec![0; n]);
        scale_right(&b, &right, HalfWords::Mask(&[5; 16]), &mut x);
        scale_right(&b, &right, HalfWords::Sent(&sent), &mut y);
        for i in 0..n {
            let got = x[i].wrapping_add(y[i]) as i64 as f64;
            assert!(
                (got - want[i]).abs() <= 1.0 + want[i].abs() * 1e-15,
                "{i}: {got}, not {}",
                want[i]
            );
        }
    }

    #[test]
    fn products_in_z_m() {
        let mut seed = 1;
        let m = u128::MAX;
        let mut value = || (random(&mut seed) as u128) << 64 | random(&mut seed) as u128;
        for _ in 0..1000 {
            let (x, y, z) = (value(), value(), value());
            let same = |p: u128, q: u128| p % m == q % m;
            assert!(same(mul(x, add(y, z)), add(mul(x, y), mul(x, z))));
            assert!(same(mul(x, y), mul(y, x)));
            assert!(same(add(sub(x, y), y), x));
            assert!(same(mul(x, 1 << 77), x.rotate_left(77)));
            assert!(same(mul(x, m), 0));
        }
    }
}
