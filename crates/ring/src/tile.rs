//! The innermost loop of a matrix product: a tile of the result, kept in registers, along the whole depth of two
//! strips.

use crate::backend::Backend;
use crate::element::{Ring, Z128};
use crate::matmul::Blocked;

/// How to make one tile.
pub trait Tile<T: Ring>: 'static {
    const ROWS: usize;
    const COLUMNS: usize;
    /// Depth of a strip: one of the right matrix stays in the first cache.
    const DEPTH: usize = 128;
    /// Room for a tile.
    type Buffer: AsMut<[T]> + Default;

    /// Set `tile` (row by row) to the product of `left`, `depth` columns of `ROWS` elements, and `right`, `depth`
    /// rows of `COLUMNS`.
    fn multiply(depth: usize, left: &[T], right: &[T], tile: &mut [T]);
}

/// Elements of a ring whose matrices can be multiplied by tiles.
pub trait Tiled: Ring {
    /// Run a product with the tiles of the current backend.
    fn tile(product: Blocked<'_, Self>);
}

/// A tile's memory, aligned as vectors.
#[repr(C, align(64))]
pub struct Room<T, const N: usize>([T; N]);

impl<T: Ring, const N: usize> Default for Room<T, N> {
    fn default() -> Self {
        Room([T::default(); N])
    }
}

impl<T, const N: usize> AsMut<[T]> for Room<T, N> {
    fn as_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// For any processor.
struct Portable;

impl<T: Ring> Tile<T> for Portable {
    const ROWS: usize = 4;
    const COLUMNS: usize = 4;
    type Buffer = Room<T, 16>;

    fn multiply(depth: usize, left: &[T], right: &[T], tile: &mut [T]) {
        let mut sums = [[T::default(); 4]; 4];
        for (x, y) in left.chunks_exact(4).zip(right.chunks_exact(4)).take(depth) {
            for i in 0..4 {
                for j in 0..4 {
                    sums[i][j] = sums[i][j].plus(x[i].times(y[j]));
                }
            }
        }
        tile.copy_from_slice(sums.as_flattened());
    }
}

impl Tiled for u32 {
    fn tile(product: Blocked<'_, u32>) {
        match Backend::current() {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => product.run::<x86::Avx512U32>(),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => product.run::<x86::Avx2U32>(),
            _ => product.run::<Portable>(),
        }
    }
}

impl Tiled for u64 {
    fn tile(product: Blocked<'_, u64>) {
        match Backend::current() {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => product.run::<x86::Avx512U64>(),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => product.run::<x86::Avx2U64>(),
            _ => product.run::<Portable>(),
        }
    }
}

impl Tiled for Z128 {
    fn tile(product: Blocked<'_, Z128>) {
        match Backend::current() {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => product.run::<x86::Avx512U128>(),
            _ => product.run::<Portable>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Room, Tile, Z128};
    use std::arch::x86_64::*;

    /// Check the sizes that a kernel relies on.
    fn check<T, K: Tile<T>>(depth: usize, left: &[T], right: &[T], tile: &[T])
    where
        T: crate::element::Ring,
    {
        assert!(left.len() >= depth * K::ROWS && right.len() >= depth * K::COLUMNS);
        assert_eq!(tile.len(), K::ROWS * K::COLUMNS);
    }

    macro_rules! avx512 {
        ($name:ident, $element:ty, $columns:literal, $signed:ty, $broadcast:ident, $multiply:ident, $add:ident) => {
            /// 8 rows of 3 vectors: 24 of the 32 registers hold sums.
            pub struct $name;

            impl Tile<$element> for $name {
                const ROWS: usize = 8;
                const COLUMNS: usize = $columns;
                type Buffer = Room<$element, { 8 * $columns }>;

                fn multiply(
                    depth: usize,
                    left: &[$element],
                    right: &[$element],
                    tile: &mut [$element],
                ) {
                    #[target_feature(enable = "avx512f,avx512dq")]
                    fn run(
                        depth: usize,
                        left: &[$element],
                        right: &[$element],
                        tile: &mut [$element],
                    ) {
                        const LANES: usize = $columns / 3;
                        let mut sums = [[_mm512_setzero_si512(); 3]; 8];
                        let (mut x, mut y) = (left.as_ptr(), right.as_ptr());
                        for _ in 0..depth {
                            // SAFETY: `check` saw `depth` columns and rows in the strips.
                            unsafe {
                                let y0 = _mm512_loadu_si512(y.cast());
                                let y1 = _mm512_loadu_si512(y.add(LANES).cast());
                                let y2 = _mm512_loadu_si512(y.add(2 * LANES).cast());
                                for (i, sums) in sums.iter_mut().enumerate() {
                                    let x = $broadcast(*x.add(i) as $signed);
                                    sums[0] = $add(sums[0], $multiply(x, y0));
                                    sums[1] = $add(sums[1], $multiply(x, y1));
                                    sums[2] = $add(sums[2], $multiply(x, y2));
                                }
                                x = x.add(8);
                                y = y.add($columns);
                            }
                        }
                        for (i, sum) in sums.as_flattened().iter().enumerate() {
                            // SAFETY: `check` saw 24 vectors in the tile.
                            unsafe {
                                _mm512_storeu_si512(tile.as_mut_ptr().add(i * LANES).cast(), *sum)
                            };
                        }
                    }
                    check::<$element, Self>(depth, left, right, tile);
                    // SAFETY: chosen only where the backend is AVX-512.
                    unsafe { run(depth, left, right, tile) }
                }
            }
        };
    }
    avx512!(
        Avx512U64,
        u64,
        24,
        i64,
        _mm512_set1_epi64,
        _mm512_mullo_epi64,
        _mm512_add_epi64
    );
    avx512!(
        Avx512U32,
        u32,
        48,
        i32,
        _mm512_set1_epi32,
        _mm512_mullo_epi32,
        _mm512_add_epi32
    );

    /// 8 rows of 8 elements, cut into limbs of 52, 52 and 24 bits. Products of limbs go to three sums, of weights 1, 2^52
    /// and 2^104; the last counts mod 2^24 only, the others take less than 3 * 2^52 a step.
    pub struct Avx512U128;

    /// The limbs of eight elements.
    ///
    /// # Safety
    /// Eight elements are there.
    #[target_feature(enable = "avx512f")]
    unsafe fn limbs(x: *const Z128) -> [__m512i; 3] {
        let a = _mm512_loadu_si512(x.cast());
        let b = _mm512_loadu_si512(x.add(4).cast());
        let even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
        let odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
        let low = _mm512_permutex2var_epi64(a, even, b);
        let high = _mm512_permutex2var_epi64(a, odd, b);
        // The product instruction reads 52 bits of a word, whatever is above them.
        let middle = _mm512_or_si512(_mm512_srli_epi64(low, 52), _mm512_slli_epi64(high, 12));
        [low, middle, _mm512_srli_epi64(high, 40)]
    }

    impl Tile<Z128> for Avx512U128 {
        const ROWS: usize = 8;
        const COLUMNS: usize = 8;
        type Buffer = Room<Z128, 64>;

        fn multiply(depth: usize, left: &[Z128], right: &[Z128], tile: &mut [Z128]) {
            #[target_feature(enable = "avx512f,avx512ifma")]
            fn run(depth: usize, left: &[Z128], right: &[Z128], tile: &mut [Z128]) {
                let mut sums = [[_mm512_setzero_si512(); 3]; 8];
                let (mut x, mut y) = (left.as_ptr(), right.as_ptr());
                for _ in 0..depth {
                    // SAFETY: `check` saw `depth` columns and rows in the strips; each array of words is a vector.
                    let (words, [y0, y1, y2]) = unsafe {
                        let words: [[i64; 8]; 3] = std::mem::transmute(limbs(x));
                        (words, limbs(y))
                    };
                    for (i, [s0, s1, s2]) in sums.iter_mut().enumerate() {
                        let x0 = _mm512_set1_epi64(words[0][i]);
                        let x1 = _mm512_set1_epi64(words[1][i]);
                        let x2 = _mm512_set1_epi64(words[2][i]);
                        *s0 = _mm512_madd52lo_epu64(*s0, x0, y0);
                        *s1 = _mm512_madd52hi_epu64(*s1, x0, y0);
                        *s2 = _mm512_madd52lo_epu64(*s2, x0, y2);
                        *s1 = _mm512_madd52lo_epu64(*s1, x0, y1);
                        *s2 = _mm512_madd52hi_epu64(*s2, x0, y1);
                        *s1 = _mm512_madd52lo_epu64(*s1, x1, y0);
                        *s2 = _mm512_madd52hi_epu64(*s2, x1, y0);
                        *s2 = _mm512_madd52lo_epu64(*s2, x1, y1);
                        *s2 = _mm512_madd52lo_epu64(*s2, x2, y0);
                    }
                    // SAFETY: as above; at most one step past the end.
                    (x, y) = unsafe { (x.add(8), y.add(8)) };
                }
                let first = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
                let second = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
                for (i, [s0, s1, s2]) in sums.into_iter().enumerate() {
                    let low = _mm512_add_epi64(s0, _mm512_slli_epi64(s1, 52));
                    let carry = _mm512_cmplt_epu64_mask(low, s0);
                    let high =
                        _mm512_add_epi64(_mm512_srli_epi64(s1, 12), _mm512_slli_epi64(s2, 40));
                    let one = _mm512_set1_epi64(1);
                    let high = _mm512_mask_add_epi64(high, carry, high, one);
                    // SAFETY: `check` saw 8 rows of 8 elements in the tile.
                    unsafe {
                        let to = tile.as_mut_ptr().add(8 * i).cast::<__m512i>();
                        _mm512_storeu_si512(to, _mm512_permutex2var_epi64(low, first, high));
                        _mm512_storeu_si512(
                            to.add(1),
                            _mm512_permutex2var_epi64(low, second, high),
                        );
                    }
                }
            }
            assert!(depth <= 1024, "sums of this depth could overflow");
            check::<Z128, Self>(depth, left, right, tile);
            // SAFETY: chosen only where the backend is AVX-512.
            unsafe { run(depth, left, right, tile) }
        }
    }

    /// 6 rows of one vector. There is no 64-bit product: the low halves' products are summed as 64-bit numbers, and those
    /// of a low and a high half, which matter mod 2^32 only, as pairs of 32-bit numbers.
    pub struct Avx2U64;

    impl Tile<u64> for Avx2U64 {
        const ROWS: usize = 6;
        const COLUMNS: usize = 4;
        const DEPTH: usize = 512;
        type Buffer = Room<u64, 24>;

        fn multiply(depth: usize, left: &[u64], right: &[u64], tile: &mut [u64]) {
            #[target_feature(enable = "avx2")]
            fn run(depth: usize, left: &[u64], right: &[u64], tile: &mut [u64]) {
                let mut low = [_mm256_setzero_si256(); 6];
                let mut cross = [_mm256_setzero_si256(); 6];
                let (mut x, mut y) = (left.as_ptr(), right.as_ptr());
                for _ in 0..depth {
                    // SAFETY: `check` saw `depth` columns and rows in the strips.
                    unsafe {
                        let y0 = _mm256_loadu_si256(y.cast());
                        let swapped = _mm256_shuffle_epi32(y0, 0b10_11_00_01);
                        for i in 0..6 {
                            let x = _mm256_set1_epi64x(*x.add(i) as i64);
                            low[i] = _mm256_add_epi64(low[i], _mm256_mul_epu32(x, y0));
                            let halves = _mm256_mullo_epi32(x, swapped);
                            cross[i] = _mm256_add_epi32(cross[i], halves);
                        }
                        x = x.add(6);
                        y = y.add(4);
                    }
                }
                for i in 0..6 {
                    let cross = _mm256_add_epi32(cross[i], _mm256_srli_epi64(cross[i], 32));
                    let sum = _mm256_add_epi64(low[i], _mm256_slli_epi64(cross, 32));
                    // SAFETY: `check` saw 6 vectors in the tile.
                    unsafe { _mm256_storeu_si256(tile.as_mut_ptr().add(4 * i).cast(), sum) };
                }
            }
            check::<u64, Self>(depth, left, right, tile);
            // SAFETY: chosen only where the backend is AVX2.
            unsafe { run(depth, left, right, tile) }
        }
    }

    /// 6 rows of 2 vectors.
    pub struct Avx2U32;

    impl Tile<u32> for Avx2U32 {
        const ROWS: usize = 6;
        const COLUMNS: usize = 16;
        type Buffer = Room<u32, 96>;

        fn multiply(depth: usize, left: &[u32], right: &[u32], tile: &mut [u32]) {
            #[target_feature(enable = "avx2")]
            fn run(depth: usize, left: &[u32], right: &[u32], tile: &mut [u32]) {
                let mut sums = [[_mm256_setzero_si256(); 2]; 6];
                let (mut x, mut y) = (left.as_ptr(), right.as_ptr());
                for _ in 0..depth {
                    // SAFETY: `check` saw `depth` columns and rows in the strips.
                    unsafe {
                        let y0 = _mm256_loadu_si256(y.cast());
                        let y1 = _mm256_loadu_si256(y.add(8).cast());
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let x = _mm256_set1_epi32(*x.add(i) as i32);
                            sums[0] = _mm256_add_epi32(sums[0], _mm256_mullo_epi32(x, y0));
                            sums[1] = _mm256_add_epi32(sums[1], _mm256_mullo_epi32(x, y1));
                        }
                        x = x.add(6);
                        y = y.add(16);
                    }
                }
                for (i, sum) in sums.as_flattened().iter().enumerate() {
                    // SAFETY: `check` saw 12 vectors in the tile.
                    unsafe { _mm256_storeu_si256(tile.as_mut_ptr().add(8 * i).cast(), *sum) };
                }
            }
            check::<u32, Self>(depth, left, right, tile);
            // SAFETY: chosen only where the backend is AVX2.
            unsafe { run(depth, left, right, tile) }
        }
    }
}
