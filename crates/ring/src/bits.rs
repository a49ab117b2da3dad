//! Bit-sliced booleans: `width` planes of ceil(n / 64) words; bit `e` of word `w` of plane `b` is bit `b` of element
//! 64 w + e. Bits beyond `n` are zero.
//!
//! Words become planes and planes words in chunks of 512 elements, for which every plane has one line of cache.

use crate::backend::Backend;
use crate::elementwise::Word;
use crate::multiversion;
use rayon::prelude::*;

/// Words of a plane of `n` bits.
pub fn words(n: usize) -> usize {
    n.div_ceil(64)
}

/// Zero the bits beyond `n` in every plane.
pub fn clear_pad(planes: &mut [u64], n: usize) {
    if !n.is_multiple_of(64) {
        let mask = (1u64 << (n % 64)) - 1;
        for plane in planes.chunks_mut(words(n)) {
            if let Some(last) = plane.last_mut() {
                *last &= mask;
            }
        }
    }
}

/// Whether the bits beyond `n` are zero in every plane.
pub fn pad_is_zero(planes: &[u64], n: usize) -> bool {
    n.is_multiple_of(64)
        || planes
            .chunks(words(n))
            .all(|plane| plane.last().is_none_or(|last| last >> (n % 64) == 0))
}

/// `out = !x` on planes of `n` bits, pad bits zero.
pub fn not(out: &mut [u64], x: &[u64], n: usize) {
    crate::elementwise::unary::<u64, crate::elementwise::Invert>(out, x, 0);
    clear_pad(out, n);
}

/// Elements of a chunk.
const CHUNK: usize = 512;
/// Chunks of one thread's part.
const PART: usize = 64;

/// 64 planes of a chunk.
#[repr(C, align(64))]
struct Lines([[u64; 8]; 64]);

/// Planes to which several threads write, each its own words.
#[derive(Clone, Copy)]
struct Planes {
    start: *mut u64,
    words: usize,
    width: usize,
}

// SAFETY: `put` says who may write where.
unsafe impl Send for Planes {}
// SAFETY: as above.
unsafe impl Sync for Planes {}

impl Planes {
    /// Set words `at..` of planes `low..` from lines, as far as both reach.
    ///
    /// # Safety
    /// No other thread uses words `at..at + 8` of any plane meanwhile.
    unsafe fn put(&self, low: usize, at: usize, lines: &Lines) {
        let count = (self.words - at).min(8);
        let start = self.start.add(low * self.words + at);
        for (b, line) in lines.0[..(self.width - low).min(64)].iter().enumerate() {
            let to = start.add(b * self.words);
            if count == 8 {
                to.cast::<[u64; 8]>().write_unaligned(*line);
            } else {
                to.copy_from_nonoverlapping(line.as_ptr(), count);
            }
        }
    }
}

/// The low `width` bits of the words of `x`, sliced. `planes` has `width * words(x.len())` words.
pub fn from_words<T: Word>(planes: &mut [u64], x: &[T], width: usize) {
    assert_eq!(planes.len(), width * words(x.len()));
    let planes = Planes {
        start: planes.as_mut_ptr(),
        words: words(x.len()),
        width,
    };
    let part = |(i, x): (usize, &[T])| {
        for (j, x) in x.chunks(CHUNK).enumerate() {
            for low in (0..width).step_by(64) {
                let mut lines = Lines([[0; 8]; 64]);
                slice(&mut lines, x, low as u32, width - low);
                // SAFETY: every chunk of elements is visited once and has words of its own.
                unsafe { planes.put(low, (i * PART + j) * 8, &lines) };
            }
        }
    };
    if x.len() < 4 * PART * CHUNK {
        part((0, x));
    } else {
        x.par_chunks(PART * CHUNK).enumerate().for_each(part);
    }
}

/// The words whose low `width` bits are the planes; `width` is at most the bits of a word.
pub fn to_words<T: Word>(out: &mut [T], planes: &[u64], width: usize) {
    let words = words(out.len());
    assert_eq!(planes.len(), width * words);
    let part = |(i, out): (usize, &mut [T])| {
        for (j, out) in out.chunks_mut(CHUNK).enumerate() {
            let at = (i * PART + j) * 8;
            let count = (words - at).min(8);
            let mut halves = [Lines([[0; 8]; 64]), Lines([[0; 8]; 64])];
            for (b, line) in halves
                .iter_mut()
                .flat_map(|h| &mut h.0)
                .take(width)
                .enumerate()
            {
                line[..count].copy_from_slice(&planes[b * words + at..b * words + at + count]);
            }
            unslice(out, &mut halves, width);
        }
    };
    if out.len() < 4 * PART * CHUNK {
        part((0, out));
    } else {
        out.par_chunks_mut(PART * CHUNK).enumerate().for_each(part);
    }
}

/// Bits `low..low + width` of up to 512 words as lines; `lines` is zero before.
fn slice<T: Word>(lines: &mut Lines, x: &[T], low: u32, width: usize) {
    #[cfg(target_arch = "x86_64")]
    if Backend::current() == Backend::Avx512 {
        // SAFETY: the processor has what this backend needs.
        return unsafe { x86::slice(lines, x, low, width) };
    }
    let _ = width;
    slice_portable(lines, x, low);
}

/// Up to 512 words from the lines of their bits, in `halves` of 64; leaves the lines without a meaning.
fn unslice<T: Word>(out: &mut [T], halves: &mut [Lines; 2], width: usize) {
    #[cfg(target_arch = "x86_64")]
    if Backend::current() == Backend::Avx512 {
        // SAFETY: the processor has what this backend needs.
        return unsafe { x86::unslice(out, halves, width) };
    }
    unslice_portable(out, halves, width);
}

/// Transpose eight 64 x 64 bit matrices at once: bit j of a[i] becomes bit i of a[j], in each of the eight lanes.
#[inline(always)]
fn transpose(a: &mut [[u64; 8]; 64]) {
    let mut mask = 0x0000_0000_ffff_ffffu64;
    let mut j = 32;
    while j != 0 {
        for base in (0..64).step_by(2 * j) {
            for i in base..base + j {
                for lane in 0..8 {
                    let t = ((a[i][lane] >> j) ^ a[i + j][lane]) & mask;
                    a[i][lane] ^= t << j;
                    a[i + j][lane] ^= t;
                }
            }
        }
        j >>= 1;
        mask ^= mask << j;
    }
}

multiversion! {
    fn slice_portable<T: Word>(lines: &mut Lines, x: &[T], low: u32) {
        for (lane, x) in x.chunks(64).enumerate() {
            for (line, x) in lines.0.iter_mut().zip(x) {
                line[lane] = (x.zero_extended() >> low) as u64;
            }
        }
        transpose(&mut lines.0);
    }

    fn unslice_portable<T: Word>(out: &mut [T], halves: &mut [Lines; 2], width: usize) {
        let [low, high] = halves;
        transpose(&mut low.0);
        if width > 64 {
            transpose(&mut high.0);
        }
        for (lane, out) in out.chunks_mut(64).enumerate() {
            for ((out, low), high) in out.iter_mut().zip(&low.0).zip(&high.0) {
                *out = T::truncated(low[lane] as u128 | (high[lane] as u128) << 64);
            }
        }
    }
}

/// Bytes move between registers by permutations, bits within bytes by GFNI.
///
/// Take 64 elements as 8 vectors r of 8 words e; word e has the bytes j, a byte the bits k. Plane p = 8 j + k.
/// A vector becomes (j, e, k) by a permutation of bytes, then (j, k, e) by a product of 8 x 8 bit matrices: its byte p
/// has the bits of elements 8 r..8 r + 7 in plane p. Eight vectors r of words j become eight vectors j of words r, then
/// (k, r) by a permutation of bytes: word k is the plane's word. Eight such blocks b of 64 elements give vectors (b) of
/// words k, hence vectors k of words b: lines.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Lines, CHUNK};
    use crate::elementwise::Word;
    use std::arch::x86_64::*;

    type Vector = __m512i;

    /// Byte 8 a + b of the result is byte 8 b' + a of the source, with b' = 7 - b if `reversed`, else b.
    const fn across(reversed: bool) -> [u8; 64] {
        let mut index = [0; 64];
        let mut i = 0;
        while i < 64 {
            let (a, b) = (i / 8, i % 8);
            index[i] = (8 * (if reversed { 7 - b } else { b }) + a) as u8;
            i += 1;
        }
        index
    }

    /// Byte 8 a + b of the result is byte 8 (7 - b) + a: what the bit product wants, which numbers rows from the top.
    const REVERSED: [u8; 64] = across(true);
    const STRAIGHT: [u8; 64] = across(false);

    #[target_feature(enable = "avx512f")]
    fn constant(bytes: &[u8; 64]) -> Vector {
        // SAFETY: 64 bytes are there.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    /// Transpose each 8 x 8 bit matrix whose rows are the bytes of a word, the last row first.
    #[target_feature(enable = "avx512f,gfni")]
    fn bits_across(v: Vector) -> Vector {
        _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(0x8040_2010_0804_0201u64 as i64), v)
    }

    /// Word i of vector j becomes word j of vector i.
    #[target_feature(enable = "avx512f")]
    fn words_across(v: [Vector; 8]) -> [Vector; 8] {
        let [a, b, c, d, e, f, g, h] = v;
        let ab = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let cd = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        let ef = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
        let gh = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
        // Pairs of words are now the elements of 4 x 4 matrices, one of even words, one of odd.
        let (e0, e2, e4, e6) = pairs_across(ab.0, cd.0, ef.0, gh.0);
        let (o1, o3, o5, o7) = pairs_across(ab.1, cd.1, ef.1, gh.1);
        [e0, o1, e2, o3, e4, o5, e6, o7]
    }

    #[target_feature(enable = "avx512f")]
    fn pairs_across(
        a: Vector,
        b: Vector,
        c: Vector,
        d: Vector,
    ) -> (Vector, Vector, Vector, Vector) {
        let ab02 = _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b);
        let ab13 = _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b);
        let cd02 = _mm512_shuffle_i64x2::<0b10_00_10_00>(c, d);
        let cd13 = _mm512_shuffle_i64x2::<0b11_01_11_01>(c, d);
        (
            _mm512_shuffle_i64x2::<0b10_00_10_00>(ab02, cd02),
            _mm512_shuffle_i64x2::<0b10_00_10_00>(ab13, cd13),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(ab02, cd02),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(ab13, cd13),
        )
    }

    /// Eight elements as words; of 128-bit ones the half that begins at bit `low`, which is 0 or 64.
    ///
    /// # Safety
    /// Eight elements are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load<T: Word>(x: *const T, low: u32) -> Vector {
        match std::mem::size_of::<T>() {
            1 => _mm512_cvtepu8_epi64(_mm_loadl_epi64(x.cast())),
            2 => _mm512_cvtepu16_epi64(_mm_loadu_si128(x.cast())),
            4 => _mm512_cvtepu32_epi64(_mm256_loadu_si256(x.cast())),
            8 => _mm512_loadu_si512(x.cast()),
            _ => {
                let (a, b) = (
                    _mm512_loadu_si512(x.cast()),
                    _mm512_loadu_si512(x.add(4).cast()),
                );
                let first = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
                let index = _mm512_add_epi64(first, _mm512_set1_epi64((low / 64) as i64));
                _mm512_permutex2var_epi64(a, index, b)
            }
        }
    }

    /// Store eight words as elements; `high` has the upper halves of 128-bit ones.
    ///
    /// # Safety
    /// There is room for eight elements.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn store<T: Word>(out: *mut T, v: Vector, high: Vector) {
        match std::mem::size_of::<T>() {
            1 => _mm_storel_epi64(out.cast(), _mm512_cvtepi64_epi8(v)),
            2 => _mm_storeu_si128(out.cast(), _mm512_cvtepi64_epi16(v)),
            4 => _mm256_storeu_si256(out.cast(), _mm512_cvtepi64_epi32(v)),
            8 => _mm512_storeu_si512(out.cast(), v),
            _ => {
                let a = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
                let b = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
                _mm512_storeu_si512(out.cast(), _mm512_permutex2var_epi64(v, a, high));
                _mm512_storeu_si512(out.add(4).cast(), _mm512_permutex2var_epi64(v, b, high));
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni")]
    pub fn slice<T: Word>(lines: &mut Lines, x: &[T], low: u32, width: usize) {
        let mut padded = [const { std::mem::MaybeUninit::<T>::uninit() }; CHUNK];
        let whole = x.len().next_multiple_of(64);
        let x = if whole == x.len() {
            x
        } else {
            for (i, to) in padded[..whole].iter_mut().enumerate() {
                to.write(x.get(i).copied().unwrap_or(T::truncated(0)));
            }
            // SAFETY: the loop has written `whole` elements.
            unsafe { std::slice::from_raw_parts(padded.as_ptr().cast::<T>(), whole) }
        };
        if std::mem::size_of::<T>() == 1 {
            for (b, x) in x.chunks_exact(64).enumerate() {
                // SAFETY: 64 bytes are there.
                let v = unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
                for (k, line) in lines.0[..width.min(8)].iter_mut().enumerate() {
                    line[b] = _mm512_test_epi8_mask(v, _mm512_set1_epi8(1 << k));
                }
            }
            return;
        }
        let groups = width.div_ceil(8).min(8);
        let (reversed, straight) = (constant(&REVERSED), constant(&STRAIGHT));
        let mut planes = [[_mm512_setzero_si512(); 8]; 8];
        for (b, x) in x.chunks_exact(64).enumerate() {
            let mut v = [_mm512_setzero_si512(); 8];
            for (r, v) in v.iter_mut().enumerate() {
                // SAFETY: 64 elements are there.
                let elements = unsafe { load(x.as_ptr().add(8 * r), low) };
                *v = bits_across(_mm512_permutexvar_epi8(reversed, elements));
            }
            let v = words_across(v);
            for j in 0..groups {
                planes[j][b] = _mm512_permutexvar_epi8(straight, v[j]);
            }
        }
        for (planes, lines) in planes[..groups].iter().zip(lines.0.chunks_exact_mut(8)) {
            for (v, line) in words_across(*planes).iter().zip(lines) {
                // SAFETY: a line has 64 bytes.
                unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), *v) };
            }
        }
    }

    /// The first steps of `unslice`: block b as 8 vectors r of 8 words e.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni")]
    fn blocks(lines: &Lines, width: usize) -> [[Vector; 8]; 8] {
        let reversed = constant(&REVERSED);
        let straight = constant(&STRAIGHT);
        let mut blocks = [[_mm512_setzero_si512(); 8]; 8];
        for (j, lines) in lines.0.chunks_exact(8).enumerate().take(width.div_ceil(8)) {
            let mut v = [_mm512_setzero_si512(); 8];
            for (v, line) in v.iter_mut().zip(lines) {
                // SAFETY: a line has 64 bytes.
                *v = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
            }
            for (b, v) in words_across(v).iter().enumerate() {
                blocks[b][j] = _mm512_permutexvar_epi8(reversed, *v);
            }
        }
        for block in &mut blocks {
            *block = words_across(*block);
            for v in block.iter_mut() {
                *v = _mm512_permutexvar_epi8(straight, bits_across(*v));
            }
        }
        blocks
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni")]
    pub fn unslice<T: Word>(out: &mut [T], halves: &[Lines; 2], width: usize) {
        if std::mem::size_of::<T>() == 1 {
            for (b, out) in out.chunks_mut(64).enumerate() {
                let mut v = _mm512_setzero_si512();
                for (k, line) in halves[0].0[..width.min(8)].iter().enumerate() {
                    v = _mm512_or_si512(v, _mm512_maskz_set1_epi8(line[b], 1 << k));
                }
                let there = if out.len() == 64 {
                    !0
                } else {
                    (1u64 << out.len()) - 1
                };
                // SAFETY: writes only the bytes that are there.
                unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), there, v) };
            }
            return;
        }
        let low = blocks(&halves[0], width.min(64));
        let high = if width > 64 {
            blocks(&halves[1], width - 64)
        } else {
            [[_mm512_setzero_si512(); 8]; 8]
        };
        for (i, out) in out.chunks_mut(8).enumerate() {
            let (low, high) = (low[i / 8][i % 8], high[i / 8][i % 8]);
            if out.len() == 8 {
                // SAFETY: there is room for 8 elements.
                unsafe { store(out.as_mut_ptr(), low, high) };
                continue;
            }
            let mut last = [const { std::mem::MaybeUninit::<T>::uninit() }; 8];
            // SAFETY: there is room for 8 elements, all of which are then written.
            unsafe { store(last.as_mut_ptr().cast::<T>(), low, high) };
            for (out, last) in out.iter_mut().zip(last) {
                // SAFETY: written just above.
                *out = unsafe { last.assume_init() };
            }
        }
    }
}
