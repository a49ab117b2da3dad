//! From shared bits of a length to an additive sharing of the length in Z_256.
//!
//! A word of seven bits l_0..l_5, p is shared as u ^ v. Wanted: E = p + sum of 2^j l_j mod 256. As
//! u ^ v = v + u (1 - 2v) for bits, E is a sum of products of a bit of u by plus or minus one. Bit j counts 2^j times,
//! so its product is needed mod 2^(8-j) only: the seven masked bits of u fit into 41 bits.

use argot_prf::Stream;
use rayon::prelude::*;

/// Bytes of the message for each element.
pub const BYTES: usize = 6;

const CHUNK: usize = 4096;

/// (offset, width, weight as a shift) of the field of each bit of the word.
const FIELDS: [(u32, u32, u32); 7] = [
    (0, 8, 0),
    (8, 7, 1),
    (15, 6, 2),
    (21, 5, 3),
    (26, 4, 4),
    (30, 3, 5),
    (33, 8, 0),
];

#[inline(always)]
fn word_of(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..BYTES].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

/// The masked bits of u.
pub fn left(u: &[u8], key: &[u8; 16], out: &mut [u8]) {
    assert_eq!(out.len(), u.len() * BYTES);
    let stream = Stream::new(key);
    out.par_chunks_mut(CHUNK * BYTES)
        .enumerate()
        .for_each(|(c, out)| {
            stream.fill_at((c * CHUNK * BYTES) as u64, out);
            for (j, bytes) in out.chunks_exact_mut(BYTES).enumerate() {
                let (u, mask) = (u[c * CHUNK + j] as u64, word_of(bytes));
                let mut hidden = mask & !((1 << 41) - 1); // unused, but uniform like the rest
                for (j, (offset, width, _)) in FIELDS.into_iter().enumerate() {
                    let field = (u >> j & 1).wrapping_sub(mask >> offset) & ((1 << width) - 1);
                    hidden |= field << offset;
                }
                bytes.copy_from_slice(&hidden.to_le_bytes()[..BYTES]);
            }
        });
}

/// This side's half of E. `factors` is the stream that masks, at the first side, or what came, at the second.
pub fn right(v: &[u8], factors: &[u8], first: bool, out: &mut [u8]) {
    assert_eq!(factors.len(), v.len() * BYTES);
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(c, out)| {
        for (j, out) in out.iter_mut().enumerate() {
            let i = c * CHUNK + j;
            let word = word_of(&factors[i * BYTES..(i + 1) * BYTES]);
            let mut sum = 0u64;
            for (j, (offset, _, weight)) in FIELDS.into_iter().enumerate() {
                let bit = (v[i] >> j & 1) as u64;
                let product = (word >> offset).wrapping_mul(1u64.wrapping_sub(2 * bit));
                sum = sum.wrapping_add(product.wrapping_add(bit & first as u64) << weight);
            }
            *out = sum as u8;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_add_up_to_the_length() {
        let words: Vec<u8> = (0..=127).cycle().take(128 * 40).collect();
        let u: Vec<u8> = (0..words.len())
            .map(|i| ((i * 37) >> 3) as u8 & 127)
            .collect();
        let v: Vec<u8> = words.iter().zip(&u).map(|(x, u)| x ^ u).collect();
        let mut sent = vec![0; u.len() * BYTES];
        left(&u, &[9; 16], &mut sent);
        let mut drawn = vec![0; u.len() * BYTES];
        Stream::new(&[9; 16]).fill(&mut drawn);
        let (mut x, mut y) = (vec![0; u.len()], vec![0; u.len()]);
        right(&v, &drawn, true, &mut x);
        right(&v, &sent, false, &mut y);
        for i in 0..u.len() {
            assert_eq!(
                x[i].wrapping_add(y[i]),
                (words[i] & 63) + (words[i] >> 6),
                "{i}"
            );
        }
    }
}
