//! AES-128, in counter mode and on blocks, with the processor's AES instructions: one, two or four blocks in a register.
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

/// Kernels on blocks, over registers of `$lanes` of them.
macro_rules! block_kernels {
    ($permute:ident, $hash_each:ident, $features:literal, $register:ty, $lanes:literal, $broadcast:ident,
     $xor:ident, $spread:ident, $next:ident, $round:ident, $last:ident, $load:ident, $store:ident) => {
        /// Blocks through the permutation, or `HASH`ed ([`crate::Cipher`]).
        #[target_feature(enable = $features)]
        pub(crate) fn $permute<const HASH: bool>(keys: &RoundKeys, blocks: &mut [u128]) {
            // SAFETY: each round key is 16 readable bytes; the load is unaligned.
            let k: [$register; 11] = std::array::from_fn(|i| {
                $broadcast(unsafe { _mm_loadu_si128(keys.0[i].as_ptr().cast()) })
            });
            in_parts::<{ 8 * $lanes }, 1>([blocks], |[part]| {
                let (mut x, mut s) = ([k[0]; 8], [k[0]; 8]);
                for i in 0..8 {
                    // SAFETY: a part is 8 registers of readable memory; the loads are unaligned.
                    x[i] = unsafe { $load(part.as_ptr().add(i * $lanes).cast()) };
                    if HASH {
                        x[i] = $spread(x[i]);
                    }
                    s[i] = $xor(x[i], k[0]);
                }
                for key in &k[1..10] {
                    for s in &mut s {
                        *s = $round(*s, *key);
                    }
                }
                for i in 0..8 {
                    let mut y = $last(s[i], k[10]);
                    if HASH {
                        y = $xor(y, x[i]);
                    }
                    // SAFETY: and of writable memory; the stores are unaligned.
                    unsafe { $store(part.as_mut_ptr().add(i * $lanes).cast(), y) };
                }
            });
        }

        /// Block `i` of each column hashed under `keys[i]`.
        #[target_feature(enable = $features)]
        pub(crate) fn $hash_each<const COLUMNS: usize>(
            keys: &[u128],
            columns: [&mut [u128]; COLUMNS],
        ) {
            let mut all_keys = keys;
            in_parts::<{ 4 * $lanes }, COLUMNS>(columns, |parts| {
                let mut last_keys = [0; 4 * $lanes];
                let keys = match all_keys.split_first_chunk::<{ 4 * $lanes }>() {
                    Some((keys, rest)) => {
                        all_keys = rest;
                        keys
                    }
                    None => {
                        last_keys[..all_keys.len()].copy_from_slice(all_keys);
                        &last_keys
                    }
                };
                let zero = $broadcast(_mm_setzero_si128());
                let mut k: [$register; 4] = [zero; 4];
                let mut x: [[$register; 4]; COLUMNS] = [[zero; 4]; COLUMNS];
                let mut s = x;
                for i in 0..4 {
                    // SAFETY: four registers of readable memory each; the loads are unaligned.
                    k[i] = unsafe { $load(keys.as_ptr().add(i * $lanes).cast()) };
                    for c in 0..COLUMNS {
                        // SAFETY: as above.
                        x[c][i] =
                            $spread(unsafe { $load(parts[c].as_ptr().add(i * $lanes).cast()) });
                        s[c][i] = $xor(x[c][i], k[i]);
                    }
                }
                for (round, constant) in CONSTANTS.into_iter().enumerate() {
                    for k in &mut k {
                        *k = $next(*k, $broadcast(_mm_set1_epi32(constant)));
                    }
                    for s in &mut s {
                        for i in 0..4 {
                            s[i] = if round < 9 {
                                $round(s[i], k[i])
                            } else {
                                $last(s[i], k[i])
                            };
                        }
                    }
                }
                for c in 0..COLUMNS {
                    for i in 0..4 {
                        // SAFETY: and of writable memory; the stores are unaligned.
                        unsafe {
                            $store(
                                parts[c].as_mut_ptr().add(i * $lanes).cast(),
                                $xor(s[c][i], x[c][i]),
                            )
                        };
                    }
                }
            });
        }
    };
}

/// The round constants of the key schedule, as the low byte of each word.
const CONSTANTS: [i32; 10] = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];

/// `work` on `PART` blocks of every column after the other; what is left at the end goes through copies.
#[inline(always)]
fn in_parts<const PART: usize, const COLUMNS: usize>(
    columns: [&mut [u128]; COLUMNS],
    mut work: impl FnMut([&mut [u128; PART]; COLUMNS]),
) {
    let mut parts = columns.map(|column| column.as_chunks_mut::<PART>());
    let whole = parts.first().map_or(0, |(whole, _)| whole.len());
    for i in 0..whole {
        work(parts.each_mut().map(|(whole, _)| &mut whole[i]));
    }
    if parts.first().is_some_and(|(_, rest)| !rest.is_empty()) {
        let mut copies = [[0; PART]; COLUMNS];
        for (copy, (_, rest)) in copies.iter_mut().zip(&parts) {
            copy[..rest.len()].copy_from_slice(rest);
        }
        work(copies.each_mut());
        for (copy, (_, rest)) in copies.iter().zip(&mut parts) {
            let n = rest.len();
            rest.copy_from_slice(&copy[..n]);
        }
    }
}

block_kernels!(
    permute_aesni,
    hash_each_aesni,
    "aes,ssse3",
    __m128i,
    1,
    itself,
    _mm_xor_si128,
    spread1,
    next1,
    _mm_aesenc_si128,
    _mm_aesenclast_si128,
    _mm_loadu_si128,
    _mm_storeu_si128
);
block_kernels!(
    permute_vaes256,
    hash_each_vaes256,
    "aes,vaes,avx2",
    __m256i,
    2,
    _mm256_broadcastsi128_si256,
    _mm256_xor_si256,
    spread2,
    next2,
    _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128,
    _mm256_loadu_si256,
    _mm256_storeu_si256
);
block_kernels!(
    permute_vaes512,
    hash_each_vaes512,
    "aes,vaes,avx512f,avx512bw",
    __m512i,
    4,
    _mm512_broadcast_i32x4,
    _mm512_xor_si512,
    spread4,
    next4,
    _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128,
    _mm512_loadu_si512,
    _mm512_storeu_si512
);

/// Halves exchanged, and the high half added once more to the high half.
#[inline]
#[target_feature(enable = "sse2")]
fn spread1(x: __m128i) -> __m128i {
    let high = _mm_set_epi64x(-1, 0);
    _mm_xor_si128(_mm_shuffle_epi32(x, 0x4e), _mm_and_si128(x, high))
}

#[inline]
#[target_feature(enable = "avx2")]
fn spread2(x: __m256i) -> __m256i {
    let high = _mm256_set_epi64x(-1, 0, -1, 0);
    _mm256_xor_si256(_mm256_shuffle_epi32(x, 0x4e), _mm256_and_si256(x, high))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn spread4(x: __m512i) -> __m512i {
    let swapped = _mm512_shuffle_epi32(x, 0x4e);
    _mm512_mask_xor_epi64(swapped, 0b1010_1010, swapped, x)
}

/// The next round key. The last encryption round on four copies of the rotated last word substitutes its bytes and
/// adds the constant (its shift of rows moves bytes between equal columns); two shifts add up the words.
#[inline]
#[target_feature(enable = "aes,ssse3")]
fn next1(key: __m128i, constant: __m128i) -> __m128i {
    let last = _mm_shuffle_epi8(key, _mm_set1_epi32(0x0c0f_0e0d));
    let word = _mm_aesenclast_si128(last, constant);
    let key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    let key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
    _mm_xor_si128(key, word)
}

#[inline]
#[target_feature(enable = "aes,vaes,avx2")]
fn next2(key: __m256i, constant: __m256i) -> __m256i {
    let last = _mm256_shuffle_epi8(key, _mm256_set1_epi32(0x0c0f_0e0d));
    let word = _mm256_aesenclast_epi128(last, constant);
    let key = _mm256_xor_si256(key, _mm256_bslli_epi128(key, 4));
    let key = _mm256_xor_si256(key, _mm256_bslli_epi128(key, 8));
    _mm256_xor_si256(key, word)
}

#[inline]
#[target_feature(enable = "aes,vaes,avx512f,avx512bw")]
fn next4(key: __m512i, constant: __m512i) -> __m512i {
    let last = _mm512_shuffle_epi8(key, _mm512_set1_epi32(0x0c0f_0e0d));
    let word = _mm512_aesenclast_epi128(last, constant);
    let key = _mm512_xor_si512(key, _mm512_bslli_epi128(key, 4));
    let key = _mm512_xor_si512(key, _mm512_bslli_epi128(key, 8));
    _mm512_xor_si512(key, word)
}

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
