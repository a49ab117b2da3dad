//! Bit-sliced booleans: `width` planes of ceil(n / 64) words; bit `e` of word `w` of plane `b` is bit `b` of element
//! 64 w + e. Bits beyond `n` are zero.

use crate::elementwise::Word;
use crate::multiversion;

/// Words of a plane of `n` bits.
pub fn words(n: usize) -> usize {
    n.div_ceil(64)
}

/// Zero the bits beyond `n` in every plane.
pub fn clear_pad(planes: &mut [u64], n: usize) {
    if n % 64 != 0 {
        let mask = (1u64 << (n % 64)) - 1;
        for plane in planes.chunks_mut(words(n)) {
            if let Some(last) = plane.last_mut() {
                *last &= mask;
            }
        }
    }
}

/// `out = !x` on planes of `n` bits, pad bits zero.
pub fn not(out: &mut [u64], x: &[u64], n: usize) {
    crate::elementwise::unary::<u64, crate::elementwise::Invert>(out, x, 0);
    clear_pad(out, n);
}

/// Transpose a 64 x 64 bit matrix in place: bit j of word i becomes bit i of word j.
#[inline(always)]
pub fn transpose64(a: &mut [u64; 64]) {
    let mut mask = 0x0000_0000_ffff_ffffu64;
    let mut j = 32;
    while j != 0 {
        for base in (0..64).step_by(2 * j) {
            for i in base..base + j {
                let t = ((a[i] >> j) ^ a[i + j]) & mask;
                a[i] ^= t << j;
                a[i + j] ^= t;
            }
        }
        j >>= 1;
        if j != 0 {
            mask ^= mask << j;
        }
    }
}

/// The low `width` bits of the words of `x`, sliced. `planes` has `width * words(x.len())` words.
pub fn from_words<T: Word>(planes: &mut [u64], x: &[T], width: usize) {
    slice(planes, x, width, words(x.len()));
}

/// The words whose low `width` bits are the planes; `width` is at most the bits of a word.
pub fn to_words<T: Word>(out: &mut [T], planes: &[u64], width: usize) {
    let words = words(out.len());
    unslice(out, planes, width, words);
}

multiversion! {
    fn slice<T: Word>(planes: &mut [u64], x: &[T], width: usize, words: usize) {
        for (w, part) in x.chunks(64).enumerate() {
            let mut block = [0u64; 64];
            for low in (0..width).step_by(64) {
                for (block, x) in block.iter_mut().zip(part) {
                    *block = (x.zero_extended() >> low) as u64;
                }
                block[part.len()..].fill(0);
                transpose64(&mut block);
                for (b, word) in block[..(width - low).min(64)].iter().enumerate() {
                    planes[(low + b) * words + w] = *word;
                }
            }
        }
    }

    fn unslice<T: Word>(out: &mut [T], planes: &[u64], width: usize, words: usize) {
        for (w, part) in out.chunks_mut(64).enumerate() {
            let mut halves = [[0u64; 64]; 2];
            for (half, block) in halves.iter_mut().enumerate() {
                let low = 64 * half;
                if low >= width {
                    break;
                }
                for b in 0..(width - low).min(64) {
                    block[b] = planes[(low + b) * words + w];
                }
                transpose64(block);
            }
            for (i, out) in part.iter_mut().enumerate() {
                *out = T::truncated(halves[0][i] as u128 | (halves[1][i] as u128) << 64);
            }
        }
    }
}
