//! From two halves of a small number in Z_2^w to halves in a larger ring, rounded, by one product of two private bits.
//!
//! Let L = 2^w and Z = z1 + z2 mod L with |Z| < L/4, z1 and z2 each known to one side. As integers
//! Z = z1 + z2 - L * W with
//!
//! ```text
//! W = [(z1 - L/4) mod L >= L/2] * [z2 >= L/2]  +  [z1 >= L/4]
//! ```
//!
//! (Guo et al., eprint 2025/200). So round(z1 / 2^d) + round(z2 / 2^d) - W * 2^(w-d) is Z / 2^d, off by less than 1 and
//! without bias, in any ring. The product of the two bits comes from a product r * s that a third party deals: r is
//! known to it and the first side, s to it and the second, and r * s = c1 + c2 with c1 drawn with the first side and c2
//! sent to the second. Each side sends its bit masked: p = bit1 ^ r and q = bit2 ^ s are then known to both, and
//!
//! ```text
//! bit1 * bit2 = pq + p(1-2q) s + q(1-2p) r + (1-2p)(1-2q) (c1 + c2)
//! ```

use argot_prf::Stream;
use rayon::prelude::*;

const CHUNK: usize = 4096;

/// Bit i of packed bits.
#[inline(always)]
fn bit(bits: &[u8], i: usize) -> u64 {
    (bits[i / 8] >> (i % 8) & 1) as u64
}

/// `n` bits of the stream of `key`, packed, the pad bits zero.
fn bits(key: &[u8; 16], n: usize) -> Vec<u8> {
    let mut out = vec![0; n.div_ceil(8)];
    Stream::new(key).fill(&mut out);
    clear_pad(&mut out, n);
    out
}

fn clear_pad(bits: &mut [u8], n: usize) {
    if !n.is_multiple_of(8) {
        if let Some(last) = bits.last_mut() {
            *last &= (1 << (n % 8)) - 1;
        }
    }
}

/// The third party's message to the second side: c2 = r * s - c1 in `bytes` bytes each.
pub fn deal(
    n: usize,
    bytes: usize,
    key_r: &[u8; 16],
    key_s: &[u8; 16],
    key_c: &[u8; 16],
) -> Vec<u8> {
    let (r, s) = (bits(key_r, n), bits(key_s, n));
    let mut out = vec![0; n * bytes];
    Stream::new(key_c).fill_parallel(0, &mut out, CHUNK * bytes);
    for (i, word) in out.chunks_exact_mut(bytes).enumerate() {
        let c2 = (bit(&r, i) & bit(&s, i)).wrapping_sub(word_of(word));
        word.copy_from_slice(&c2.to_le_bytes()[..bytes]);
    }
    out
}

#[inline(always)]
fn word_of(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

/// One side of the conversion.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// This side's addends, below 2^w.
    pub halves: &'a [u64],
    pub w: u32,
    /// The key of r at the first side, of s at the second.
    pub key_bit: &'a [u8; 16],
    pub first: bool,
}

impl Side<'_> {
    /// This side's factor of the product of bits.
    #[inline(always)]
    fn factor(&self, z: u64) -> u64 {
        let quarter = if self.first { 1u64 << (self.w - 2) } else { 0 };
        z.wrapping_sub(quarter) >> (self.w - 1) & 1
    }

    /// The masked bits, packed: the message to the other side.
    pub fn masked_bits(&self) -> Vec<u8> {
        let mut out = bits(self.key_bit, self.halves.len());
        for (out, halves) in out.iter_mut().zip(self.halves.chunks(8)) {
            for (j, &z) in halves.iter().enumerate() {
                *out ^= (self.factor(z) as u8) << j;
            }
        }
        out
    }

    /// This side's half of round(Z / 2^d) in Z_2^64. `theirs` are the other side's masked bits, `products` this side's
    /// halves of r * s, `bytes` bytes each, of which at least 64 - w + d bits are used (fewer if only the low bits of
    /// the result are wanted).
    pub fn finish(&self, d: u32, products: &[u8], bytes: usize, theirs: &[u8], out: &mut [u64]) {
        let n = self.halves.len();
        assert_eq!(out.len(), n);
        assert_eq!(products.len(), n * bytes);
        assert_eq!(theirs.len(), n.div_ceil(8));
        let mine = bits(self.key_bit, n);
        let flag = self.first as u64;
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(c, out)| {
            for (j, out) in out.iter_mut().enumerate() {
                let i = c * CHUNK + j;
                let z = self.halves[i];
                let own = bit(&mine, i);
                let (masked, other) = (self.factor(z) ^ own, bit(theirs, i));
                let share = word_of(&products[i * bytes..(i + 1) * bytes]);
                let plus_minus = |b: u64| 1u64.wrapping_sub(2 * b);
                let product = (masked & other & (1 - flag))
                    .wrapping_add((other & own).wrapping_mul(plus_minus(masked)))
                    .wrapping_add(
                        plus_minus(masked)
                            .wrapping_mul(plus_minus(other))
                            .wrapping_mul(share),
                    );
                let quarter = z >> (self.w - 2);
                let wrap = product.wrapping_add(flag & (quarter | quarter >> 1));
                let rounded = (z >> d) + (z >> (d - 1) & 1);
                *out = rounded.wrapping_sub(shifted(wrap, self.w - d));
            }
        });
    }
}

#[inline(always)]
fn shifted(x: u64, by: u32) -> u64 {
    if by < 64 {
        x << by
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_small_ring_become_halves_of_a_large_one() {
        let mut seed = 12345u64;
        let mut random = || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            seed ^ (seed >> 29)
        };
        for (w, d) in [(32, 11), (32, 1), (48, 20), (56, 28), (64, 40), (64, 1)] {
            for n in [0, 1, 7, 64, 9001] {
                let mask = u64::MAX >> (64 - w);
                let limit = (1u64 << (w - 2)) - 1;
                let want: Vec<i64> = (0..n)
                    .map(|i| match i % 5 {
                        0 => limit as i64,
                        1 => -(limit as i64),
                        2 => (random() % 3) as i64 - 1,
                        _ => (random() & limit) as i64 - (random() & limit) as i64 / 2 * 2,
                    })
                    .map(|z| z.clamp(-(limit as i64), limit as i64))
                    .collect();
                let z1: Vec<u64> = (0..n)
                    .map(|i| match i % 7 {
                        0 => 0,
                        1 => mask,
                        2 => 1 << (w - 2),
                        3 => (1 << (w - 1)) - 1,
                        _ => random() & mask,
                    })
                    .collect();
                let z2: Vec<u64> = want
                    .iter()
                    .zip(&z1)
                    .map(|(z, z1)| (*z as u64).wrapping_sub(*z1) & mask)
                    .collect();
                let bytes = ((64 - w + d) as usize).div_ceil(8);
                let keys = [[1; 16], [2; 16], [3; 16]];
                let dealt = deal(n, bytes, &keys[0], &keys[1], &keys[2]);
                let mut drawn = vec![0; n * bytes];
                Stream::new(&keys[2]).fill(&mut drawn);
                let one = Side {
                    halves: &z1,
                    w,
                    key_bit: &keys[0],
                    first: true,
                };
                let two = Side {
                    halves: &z2,
                    w,
                    key_bit: &keys[1],
                    first: false,
                };
                let (p, q) = (one.masked_bits(), two.masked_bits());
                let (mut x, mut y) = (vec![0; n], vec![0; n]);
                one.finish(d, &drawn, bytes, &q, &mut x);
                two.finish(d, &dealt, bytes, &p, &mut y);
                for i in 0..n {
                    let got = x[i].wrapping_add(y[i]) as i64 as i128;
                    let error = (got << d) - want[i] as i128;
                    assert!(
                        error.abs() <= 1 << d,
                        "w {w}, d {d}, {} from {}: {got}",
                        want[i],
                        z1[i]
                    );
                }
            }
        }
    }
}
