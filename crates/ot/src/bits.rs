//! Bits in bytes and in words: message `i` of `width` bits starts at bit `i * width`, the lowest bit first.

use crate::error::length;
use crate::Error;
use argot_prf::Backend;

/// Bytes that `count` messages of `width` bits take: the last byte is filled with zeros.
pub fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The low `width` bits of a word.
#[inline]
pub fn low(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

/// Refuses widths outside `1..=most`.
pub(crate) fn check_width(width: u32, most: u32) -> Result<(), Error> {
    if (1..=most).contains(&width) {
        Ok(())
    } else {
        Err(Error::Width {
            got: width,
            from: 1,
            to: most,
        })
    }
}

/// The low `width` bits of each word, one after the other. `1 <= width <= 64`.
pub fn pack(words: &[u64], width: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(packed_len(words.len(), width) + 8);
    let (mut waiting, mut count) = (0u128, 0);
    for word in words {
        waiting |= u128::from(word & low(width)) << count;
        count += width;
        if count >= 64 {
            out.extend_from_slice(&(waiting as u64).to_le_bytes());
            waiting >>= 64;
            count -= 64;
        }
    }
    out.extend_from_slice(&waiting.to_le_bytes()[..count.div_ceil(8) as usize]);
    out
}

/// `count` words of `width` bits from exactly the bytes that [`pack`] makes of them.
pub fn unpack(
    bytes: &[u8],
    count: usize,
    width: u32,
    what: &'static str,
) -> Result<Vec<u64>, Error> {
    length(what, bytes.len(), packed_len(count, width))?;
    let (mut waiting, mut have) = (0u128, 0);
    let mut parts = bytes.chunks(8);
    let words = (0..count).map(|_| {
        if have < width {
            let mut part = [0; 8];
            let next = parts.next().unwrap_or(&[]);
            part[..next.len()].copy_from_slice(next);
            waiting |= u128::from(u64::from_le_bytes(part)) << have;
            have += 64;
        }
        let word = waiting as u64 & low(width);
        waiting >>= width;
        have -= width;
        word
    });
    Ok(words.collect())
}

/// The lowest bit of each of `n` values into words, 64 a word.
pub(crate) fn gather(n: usize, bit: impl Fn(usize) -> u64) -> Vec<u64> {
    (0..n.div_ceil(64))
        .map(|w| (64 * w..n.min(64 * w + 64)).fold(0, |word, i| word | (bit(i) & 1) << (i % 64)))
        .collect()
}

/// Bit j of each of up to 64 blocks, in word j.
#[inline]
pub(crate) fn low_words<const N: usize>(blocks: &[u128]) -> [u64; N] {
    #[cfg(target_arch = "x86_64")]
    if let (Ok(blocks), Backend::Vaes512) = (blocks.try_into(), Backend::current()) {
        // SAFETY: this backend has AVX-512.
        return unsafe { low_words_avx512(blocks) };
    }
    std::array::from_fn(|j| {
        blocks
            .iter()
            .rev()
            .fold(0, |word, block| word << 1 | (*block >> j) as u64 & 1)
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn low_words_avx512<const N: usize>(blocks: &[u128; 64]) -> [u64; N] {
    use std::arch::x86_64::*;
    let low_halves = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
    let mut words = [0; N];
    for (i, eight) in blocks.as_chunks::<8>().0.iter().enumerate() {
        // SAFETY: eight blocks are two registers of readable memory; the loads are unaligned.
        let [a, b] = [0, 4].map(|at| unsafe { _mm512_loadu_si512(eight.as_ptr().add(at).cast()) });
        let lows = _mm512_permutex2var_epi64(a, low_halves, b);
        for (j, word) in words.iter_mut().enumerate() {
            let bits = _mm512_test_epi64_mask(lows, _mm512_set1_epi64(1 << j));
            *word |= u64::from(bits) << (8 * i);
        }
    }
    words
}

/// Little-endian words of a bit vector as its bytes.
pub(crate) fn words_to_bytes(words: &[u64], bits: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    bytes.truncate(bits.div_ceil(8));
    bytes
}

/// The words of a bit vector of `bits` bits from its bytes; bits beyond are dropped.
pub(crate) fn bytes_to_words(
    bytes: &[u8],
    bits: usize,
    what: &'static str,
) -> Result<Vec<u64>, Error> {
    length(what, bytes.len(), bits.div_ceil(8))?;
    let mut words: Vec<u64> = bytes
        .chunks(8)
        .map(|part| {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            u64::from_le_bytes(word)
        })
        .collect();
    if let (Some(last), 1..) = (words.last_mut(), bits % 64) {
        *last &= low((bits % 64) as u32);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_comes_back_at_every_width() {
        for width in 1..=64 {
            for count in [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 200] {
                let words: Vec<u64> = (0..count as u64)
                    .map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & low(width))
                    .collect();
                let bytes = pack(&words, width);
                assert_eq!(bytes.len(), packed_len(count, width), "{width} {count}");
                assert_eq!(unpack(&bytes, count, width, "test").unwrap(), words);
                for (i, word) in words.iter().enumerate() {
                    for b in 0..width as usize {
                        let at = i * width as usize + b;
                        assert_eq!(u64::from(bytes[at / 8] >> (at % 8) & 1), word >> b & 1);
                    }
                }
            }
        }
        assert!(matches!(
            unpack(&[0; 3], 2, 8, "test"),
            Err(Error::Length {
                got: 3,
                want: 2,
                ..
            })
        ));
    }

    #[test]
    fn low_bits_of_blocks_are_gathered() {
        for backend in Backend::ALL {
            backend.choose();
            for n in [0, 1, 8, 63, 64] {
                let blocks: Vec<u128> = (1..=n)
                    .map(|i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 60)
                    .collect();
                let words = low_words::<3>(&blocks);
                for (j, word) in words.into_iter().enumerate() {
                    for i in 0..64 {
                        let want = blocks.get(i).map_or(0, |b| (*b >> j) as u64 & 1);
                        assert_eq!(word >> i & 1, want, "{backend:?} {n} {i} {j}");
                    }
                }
            }
        }
        assert!(Backend::ALL.into_iter().any(Backend::choose));
    }

    #[test]
    fn bit_vectors_come_back() {
        for n in [0, 1, 8, 63, 64, 65, 130] {
            let words = gather(n, |i| (i * i % 3) as u64);
            assert!((0..n).all(|i| words[i / 64] >> (i % 64) & 1 == (i * i % 3) as u64 & 1));
            let bytes = words_to_bytes(&words, n);
            assert_eq!(bytes_to_words(&bytes, n, "test").unwrap(), words);
        }
    }
}
