//! A trigonometric sum of a value that is split into two addends, evaluated as a cross product.
//!
//! f(t) = sum over k of c_k cos(kt) + d_k sin(kt) at t = a + b is, by the addition theorems,
//!
//! ```text
//! sum over k of  cos(ka) * [c_k cos(kb) + d_k sin(kb)]  +  sin(ka) * [d_k cos(kb) - c_k sin(kb)]
//! ```
//!
//! 2K products of a function of `a` by a function of `b`. Angles are 64-bit words in units of 2^-64 turns, so adding
//! them mod 2^64 adds them on the circle: the split needs no care. Products are formed in Z_2^w with w = 8 * `bytes`.
//! Whoever knows `a` makes the left factors and hides them with a stream; the others make the right ones.
//!
//! Further products, whose factors the caller computed, can be summed along. Masked factors travel in blocks of 64
//! elements: within a block factor by factor, within a factor element by element, each in `bytes` bytes, little endian.
//! The stream that masks them has the same layout.

use crate::approx_turns::{cos_sin, nearest, Lane, BLOCK};
use crate::multiversion;
use argot_prf::Stream;
use rayon::prelude::*;

/// Elements per task where several threads share the work.
const CHUNK: usize = 64 * BLOCK;

/// What the side of `b` multiplies with: (c_k, d_k), scaled, for k = 1.. ; `factors`, after the harmonics, are
/// right factors that were computed elsewhere, row by row.
pub struct Series<'a> {
    pub cos: &'a [f64],
    pub sin: &'a [f64],
    pub factors: &'a [&'a [u64]],
}

impl Series<'_> {
    fn terms(&self) -> usize {
        2 * self.cos.len() + self.factors.len()
    }
}

/// The left factors less the masks of all `keys`, of which there is at least one: `gains[k-1]` times cos(ka) and sin(ka)
/// for k = 1.., then the rows of `factors`. `bytes` bytes a factor and element.
pub fn left(
    phase: &[u64],
    gains: &[f64],
    factors: &[&[u64]],
    bytes: usize,
    keys: &[[u8; 16]],
    out: &mut [u8],
) {
    let row = (2 * gains.len() + factors.len()) * bytes;
    assert_eq!(out.len(), phase.len() * row);
    let streams: Vec<_> = keys.iter().map(Stream::new).collect();
    let (stream, more) = streams.split_first().expect("factors leave masked");
    phase
        .par_chunks(CHUNK)
        .zip(out.par_chunks_mut(CHUNK * row.max(1)))
        .enumerate()
        .for_each(|(c, (phase, out))| {
            let mut scratch = Scratch::new(gains.len());
            let mut buffer = vec![0u8; if more.is_empty() { 0 } else { BLOCK * row }];
            for (b, (phase, out)) in phase
                .chunks(BLOCK)
                .zip(out.chunks_mut(BLOCK * row))
                .enumerate()
            {
                let start = c * CHUNK + b * BLOCK;
                stream.fill_at((start * row) as u64, out);
                let (harmonics, rest) = out.split_at_mut(2 * gains.len() * phase.len() * bytes);
                dispatch(
                    Work::Left {
                        gains,
                        bytes,
                        out: harmonics,
                    },
                    phase,
                    &mut scratch,
                );
                for (row, out) in factors.iter().zip(rest.chunks_mut(phase.len() * bytes)) {
                    subtract_packed(&row[start..start + phase.len()], out, bytes);
                }
                for stream in more {
                    let masks = &mut buffer[..out.len()];
                    stream.fill_at((start * row) as u64, masks);
                    take_off(out, masks, bytes);
                }
            }
        });
}

/// Where the right side has its half of the left factors from.
#[derive(Clone, Copy)]
pub enum Half<'a> {
    /// The stream that masks them.
    Mask(&'a [u8; 16]),
    /// What came, masked.
    Sent(&'a [u8]),
}

/// This side's addend of the sum, mod 2^(8 * bytes), plus `constant`.
pub fn right(
    phase: &[u64],
    series: &Series<'_>,
    bytes: usize,
    half: Half<'_>,
    constant: u64,
    out: &mut [u64],
) {
    assert_eq!(out.len(), phase.len());
    let row = series.terms() * bytes;
    let stream = match half {
        Half::Mask(key) => Some(Stream::new(key)),
        Half::Sent(sent) => {
            assert_eq!(sent.len(), phase.len() * row);
            None
        }
    };
    phase
        .par_chunks(CHUNK)
        .zip(out.par_chunks_mut(CHUNK))
        .enumerate()
        .for_each(|(c, (phase, out))| {
            let mut scratch = Scratch::new(series.cos.len());
            let mut buffer = vec![0u8; BLOCK * row];
            for (b, (phase, out)) in phase.chunks(BLOCK).zip(out.chunks_mut(BLOCK)).enumerate() {
                let start = c * CHUNK + b * BLOCK;
                let first = start * row;
                let length = phase.len() * row;
                let factors: &[u8] = match (&stream, half) {
                    (Some(stream), _) => {
                        stream.fill_at(first as u64, &mut buffer[..length]);
                        &buffer[..length]
                    }
                    (None, Half::Sent(sent)) => &sent[first..first + length],
                    (None, Half::Mask(_)) => unreachable!("a mask has a stream"),
                };
                let (harmonics, rest) =
                    factors.split_at(2 * series.cos.len() * phase.len() * bytes);
                let work = Work::Right {
                    series,
                    bytes,
                    factors: harmonics,
                    constant,
                    out,
                };
                dispatch(work, phase, &mut scratch);
                for (row, sent) in series.factors.iter().zip(rest.chunks(phase.len() * bytes)) {
                    unpack(sent, &mut scratch.words, bytes);
                    for (o, (u, v)) in out.iter_mut().zip(scratch.words.iter().zip(&row[start..])) {
                        *o = o.wrapping_add(u.wrapping_mul(*v))
                            & (u64::MAX >> (64 - 8 * bytes as u32));
                    }
                }
            }
        });
}

enum Work<'a> {
    Left {
        gains: &'a [f64],
        bytes: usize,
        out: &'a mut [u8],
    },
    Right {
        series: &'a Series<'a>,
        bytes: usize,
        factors: &'a [u8],
        constant: u64,
        out: &'a mut [u64],
    },
}

/// cos(kt) and sin(kt) for k = 1.. of one block, and room for its factors.
struct Scratch {
    cos: Vec<Lane>,
    sin: Vec<Lane>,
    words: [u64; BLOCK],
}

impl Scratch {
    fn new(harmonics: usize) -> Scratch {
        Scratch {
            cos: vec![[0.0; BLOCK]; harmonics],
            sin: vec![[0.0; BLOCK]; harmonics],
            words: [0; BLOCK],
        }
    }
}

multiversion! {
/// `block`; f64 arithmetic is exact to the bit whatever the width of the registers.
fn dispatch(work: Work<'_>, phase: &[u64], scratch: &mut Scratch) {
    block(work, phase, scratch);
}
}

#[inline(always)]
fn block(work: Work<'_>, phase: &[u64], scratch: &mut Scratch) {
    let n = phase.len();
    let mut angles = [0; BLOCK];
    angles[..n].copy_from_slice(phase);
    multiples(&angles, scratch);
    match work {
        Work::Left { gains, bytes, out } => {
            for (k, &gain) in gains.iter().enumerate() {
                for (half, lane) in [&scratch.cos[k], &scratch.sin[k]].into_iter().enumerate() {
                    for (word, value) in scratch.words.iter_mut().zip(lane) {
                        *word = nearest(value * gain);
                    }
                    let masks = &mut out[(2 * k + half) * n * bytes..][..n * bytes];
                    subtract_packed(&scratch.words[..n], masks, bytes);
                }
            }
        }
        Work::Right {
            series,
            bytes,
            factors,
            constant,
            out,
        } => {
            let mut sum = [constant; BLOCK];
            for k in 0..series.cos.len() {
                let (c, d) = (series.cos[k], series.sin[k]);
                for half in 0..2 {
                    unpack(
                        &factors[(2 * k + half) * n * bytes..][..n * bytes],
                        &mut scratch.words,
                        bytes,
                    );
                    // cos(ka) meets c cos(kb) + d sin(kb), sin(ka) meets d cos(kb) - c sin(kb).
                    let (p, q) = if half == 0 { (c, d) } else { (d, -c) };
                    for i in 0..BLOCK {
                        let factor = nearest(scratch.cos[k][i] * p + scratch.sin[k][i] * q);
                        sum[i] = sum[i].wrapping_add(scratch.words[i].wrapping_mul(factor));
                    }
                }
            }
            let mask = u64::MAX >> (64 - 8 * bytes as u32);
            for (o, s) in out.iter_mut().zip(sum) {
                *o = s & mask;
            }
        }
    }
}

/// Fills `scratch.cos` and `scratch.sin` with the multiples of the angles, each from the one before.
#[inline(always)]
fn multiples(angles: &[u64; BLOCK], scratch: &mut Scratch) {
    let Some((cos, more_cos)) = scratch.cos.split_first_mut() else {
        return;
    };
    let (sin, more_sin) = scratch.sin.split_at_mut(1);
    cos_sin(angles, cos, &mut sin[0]);
    let (mut last_cos, mut last_sin) = (*cos, sin[0]);
    for (next_cos, next_sin) in more_cos.iter_mut().zip(more_sin) {
        for i in 0..BLOCK {
            next_cos[i] = last_cos[i] * cos[i] - last_sin[i] * sin[0][i];
            next_sin[i] = last_sin[i] * cos[i] + last_cos[i] * sin[0][i];
        }
        (last_cos, last_sin) = (*next_cos, *next_sin);
    }
}

/// `masks` becomes `words - masks`, packed.
#[inline(always)]
fn subtract_packed(words: &[u64], masks: &mut [u8], bytes: usize) {
    match bytes {
        4 => subtract_packed_by::<4>(words, masks),
        5 => subtract_packed_by::<5>(words, masks),
        6 => subtract_packed_by::<6>(words, masks),
        7 => subtract_packed_by::<7>(words, masks),
        8 => subtract_packed_by::<8>(words, masks),
        _ => panic!("factors of {bytes} bytes"),
    }
}

#[inline(always)]
fn subtract_packed_by<const B: usize>(words: &[u64], masks: &mut [u8]) {
    for (word, mask) in words.iter().zip(masks.chunks_exact_mut(B)) {
        let mut wide = [0; 8];
        wide[..B].copy_from_slice(mask);
        let hidden = word.wrapping_sub(u64::from_le_bytes(wide));
        mask.copy_from_slice(&hidden.to_le_bytes()[..B]);
    }
}

/// `words` becomes `words - masks`, both packed.
fn take_off(words: &mut [u8], masks: &[u8], bytes: usize) {
    for (word, mask) in words.chunks_exact_mut(bytes).zip(masks.chunks_exact(bytes)) {
        let (mut x, mut y) = ([0; 8], [0; 8]);
        x[..bytes].copy_from_slice(word);
        y[..bytes].copy_from_slice(mask);
        let hidden = u64::from_le_bytes(x).wrapping_sub(u64::from_le_bytes(y));
        word.copy_from_slice(&hidden.to_le_bytes()[..bytes]);
    }
}

#[inline(always)]
fn unpack(packed: &[u8], words: &mut [u64; BLOCK], bytes: usize) {
    match bytes {
        4 => unpack_by::<4>(packed, words),
        5 => unpack_by::<5>(packed, words),
        6 => unpack_by::<6>(packed, words),
        7 => unpack_by::<7>(packed, words),
        8 => unpack_by::<8>(packed, words),
        _ => panic!("factors of {bytes} bytes"),
    }
}

#[inline(always)]
fn unpack_by<const B: usize>(packed: &[u8], words: &mut [u64; BLOCK]) {
    for (word, bytes) in words.iter_mut().zip(packed.chunks_exact(B)) {
        let mut wide = [0; 8];
        wide[..B].copy_from_slice(bytes);
        *word = u64::from_le_bytes(wide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: usize, seed: u64) -> Vec<u64> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                state ^ (state >> 31)
            })
            .collect()
    }

    #[test]
    fn parts_add_up_to_the_sum() {
        let (c, d) = ([0.3, -0.11, 0.02], [0.6, 0.05, -0.01]);
        for bytes in [4, 5, 6, 7, 8] {
            let scale = 2f64.powi(8 * bytes as i32 - 4);
            let g = scale.sqrt();
            let left_gains = [g; 3];
            let (cs, ds) = (c.map(|v| v * g), d.map(|v| v * g));

            for n in [0, 1, 63, 64, 65, 200, 5000] {
                let (a, b) = (words(n, 3), words(n, 8));
                let (p, q) = (vec![3; n], vec![11; n]);
                let series = Series {
                    cos: &cs,
                    sin: &ds,
                    factors: &[&q],
                };
                let mut sent = vec![0; n * 7 * bytes];
                let keys = [[7; 16], [8; 16]];
                left(&a, &left_gains, &[&p], bytes, &keys, &mut sent);
                let (mut first, mut second, mut third) = (vec![0; n], vec![0; n], vec![0; n]);
                right(&b, &series, bytes, Half::Mask(&keys[0]), 5, &mut first);
                right(&b, &series, bytes, Half::Mask(&keys[1]), 0, &mut third);
                right(&b, &series, bytes, Half::Sent(&sent), 0, &mut second);
                for (sum, also) in second.iter_mut().zip(third) {
                    *sum = sum.wrapping_add(also);
                }
                for i in 0..n {
                    let t = a[i].wrapping_add(b[i]) as f64 / 2f64.powi(64) * std::f64::consts::TAU;
                    let want: f64 = (0..3)
                        .map(|k| {
                            let t = t * (k + 1) as f64;
                            c[k] * t.cos() + d[k] * t.sin()
                        })
                        .sum();
                    let shift = 64 - 8 * bytes as u32;
                    let got = (first[i].wrapping_add(second[i]).wrapping_sub(5 + 33) << shift)
                        as i64
                        >> shift;
                    let error = got as f64 / scale - want;
                    assert!(error.abs() < 8.0 / g, "{bytes} bytes, {i}: {error}");
                }
            }
        }
    }
}
