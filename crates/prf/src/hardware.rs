//! AES-128-CTR with the processor's AES instructions: one, two or four blocks in a register.
//!
//! Eight registers at a time, since an AES round takes several cycles but a new one can start in each.

use crate::stream::RoundKeys;
use std::arch::x86_64::*;

/// The key schedule of FIPS 197 as Intel's manual has it.
#[target_feature(enable = "aes,sse2")]
pub(crate) fn expand(key: &[u8; 16]) -> RoundKeys {
    let mut keys = RoundKeys([*key; 11]);
    // SAFETY: 16 readable bytes; the load is unaligned.
    let mut last = unsafe { _mm_loadu_si128(key.as_ptr().cast()) };
    macro_rules! rounds {
        ($($i:literal: $constant:literal),*) => {$(
            let assist = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(last, $constant), 0xff);
            last = _mm_xor_si128(last, _mm_slli_si128(last, 4));
            last = _mm_xor_si128(last, _mm_slli_si128(last, 8));
            last = _mm_xor_si128(last, assist);
            // SAFETY: 16 writable bytes; the store is unaligned.
            unsafe { _mm_storeu_si128(keys.0[$i].as_mut_ptr().cast(), last) };
        )*};
    }
    rounds!(1: 0x01, 2: 0x02, 3: 0x04, 4: 0x08, 5: 0x10, 6: 0x20, 7: 0x40, 8: 0x80, 9: 0x1b, 10: 0x36);
    keys
}

/// A kernel over registers of `$lanes` blocks. `$counter(i)` is the register of counters from block `i` on.
macro_rules! kernel {
    ($name:ident, $features:literal, $register:ty, $lanes:literal, $broadcast:ident, $counter:ident, $zero:ident,
     $xor:ident, $round:ident, $last:ident, $store:ident) => {
        /// Whole blocks of the counter stream, the first of them number `first`.
        #[target_feature(enable = $features)]
        pub(crate) fn $name(keys: &RoundKeys, first: u64, out: &mut [u8]) {
            const BYTES: usize = 16 * $lanes;
            // SAFETY: each round key is 16 readable bytes; the load is unaligned.
            let k: [$register; 11] = std::array::from_fn(|i| {
                $broadcast(unsafe { _mm_loadu_si128(keys.0[i].as_ptr().cast()) })
            });
            let mut block = first;
            let mut wide = out.chunks_exact_mut(8 * BYTES);
            for chunk in &mut wide {
                let mut s: [$register; 8] = [$zero(); 8];
                for (i, s) in s.iter_mut().enumerate() {
                    *s = $xor($counter(block.wrapping_add((i * $lanes) as u64)), k[0]);
                }
                for key in &k[1..10] {
                    for s in &mut s {
                        *s = $round(*s, *key);
                    }
                }
                for (i, s) in s.into_iter().enumerate() {
                    // SAFETY: the chunk has 8 * BYTES writable bytes; the store is unaligned.
                    unsafe { $store(chunk.as_mut_ptr().add(i * BYTES).cast(), $last(s, k[10])) };
                }
                block = block.wrapping_add(8 * $lanes);
            }
            for chunk in wide.into_remainder().chunks_mut(BYTES) {
                let mut s = $xor($counter(block), k[0]);
                for key in &k[1..10] {
                    s = $round(s, *key);
                }
                s = $last(s, k[10]);
                if chunk.len() == BYTES {
                    // SAFETY: BYTES writable bytes; the store is unaligned.
                    unsafe { $store(chunk.as_mut_ptr().cast(), s) };
                } else {
                    let mut end = [0u8; BYTES];
                    // SAFETY: as above.
                    unsafe { $store(end.as_mut_ptr().cast(), s) };
                    chunk.copy_from_slice(&end[..chunk.len()]);
                }
                block = block.wrapping_add($lanes);
            }
        }
    };
}

kernel!(
    blocks_aesni,
    "aes,sse2",
    __m128i,
    1,
    itself,
    counter1,
    _mm_setzero_si128,
    _mm_xor_si128,
    _mm_aesenc_si128,
    _mm_aesenclast_si128,
    _mm_storeu_si128
);
kernel!(
    blocks_vaes256,
    "aes,vaes,avx2",
    __m256i,
    2,
    _mm256_broadcastsi128_si256,
    counter2,
    _mm256_setzero_si256,
    _mm256_xor_si256,
    _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128,
    _mm256_storeu_si256
);
kernel!(
    blocks_vaes512,
    "aes,vaes,avx512f",
    __m512i,
    4,
    _mm512_broadcast_i32x4,
    counter4,
    _mm512_setzero_si512,
    _mm512_xor_si512,
    _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128,
    _mm512_storeu_si512
);

#[inline]
#[target_feature(enable = "sse2")]
fn itself(x: __m128i) -> __m128i {
    x
}

#[inline]
#[target_feature(enable = "sse2")]
fn counter1(i: u64) -> __m128i {
    _mm_set_epi64x(0, i as i64)
}

#[inline]
#[target_feature(enable = "avx2")]
fn counter2(i: u64) -> __m256i {
    _mm256_set_epi64x(0, i.wrapping_add(1) as i64, 0, i as i64)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn counter4(i: u64) -> __m512i {
    let steps = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
    _mm512_mask_add_epi64(steps, 0b0101_0101, steps, _mm512_set1_epi64(i as i64))
}
