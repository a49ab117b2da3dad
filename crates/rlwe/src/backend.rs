//! Which instructions the kernels use, and the eight lanes that they are written in.
//!
//! Every kernel is written once, over `Lanes`, and compiled for each backend by `kernels!`. The multiplier is that of
//! AVX-512 IFMA, 52 bits by 52: the portable lanes compute the same numbers with the 64-bit multiplier, so all
//! backends agree in every bit, also before the last reduction. There is no backend for AVX2: it has no multiplier
//! beyond 32 bits, and putting 52 together from those, or from doubles, takes as many instructions an element as the
//! scalar multiplier that every such machine has. Processors without IFMA run the portable lanes.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions. All give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Backend {
    /// AVX-512 F, BW, DQ, VL, IFMA, VBMI, VPOPCNTDQ, and BMI2: Ice Lake, Zen 4 and later.
    Ifma = 1,
    /// The 64-bit multiplier, one lane after the other: any processor.
    Portable = 2,
}

/// What [`Backend::current`] gives; 0 until first asked.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Backend {
    /// From fastest to slowest.
    pub const ALL: [Backend; 2] = [Backend::Ifma, Backend::Portable];

    pub fn name(self) -> &'static str {
        match self {
            Backend::Ifma => "ifma",
            Backend::Portable => "portable",
        }
    }

    pub fn by_name(name: &str) -> Option<Backend> {
        Backend::ALL.into_iter().find(|b| b.name() == name)
    }

    /// Whether this processor (and its operating system) can run it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            match self {
                Backend::Ifma => {
                    is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl")
                        && is_x86_feature_detected!("avx512ifma")
                        && is_x86_feature_detected!("avx512vbmi")
                        && is_x86_feature_detected!("avx512vpopcntdq")
                        && is_x86_feature_detected!("bmi2")
                        && is_x86_feature_detected!("popcnt")
                }
                Backend::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Backend::Portable
        }
    }

    /// The one in use: the fastest available, unless a test chose another.
    #[inline]
    pub fn current() -> Backend {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Backend::Ifma,
            2 => Backend::Portable,
            _ => Backend::detect(),
        }
    }

    #[cold]
    fn detect() -> Backend {
        let best = Backend::ALL
            .into_iter()
            .find(|b| b.is_available())
            .unwrap_or(Backend::Portable);
        CURRENT.store(best as u8, Ordering::Relaxed);
        best
    }

    /// Use this one from now on; `false`, and no change, where the processor cannot.
    pub fn choose(self) -> bool {
        let can = self.is_available();
        if can {
            CURRENT.store(self as u8, Ordering::Relaxed);
        }
        can
    }
}

/// Bits that a multiplier takes of each factor.
pub(crate) const BITS: u32 = 52;
pub(crate) const LOW: u64 = (1 << BITS) - 1;

/// Eight words. Only the methods of one backend may run where that backend is available: [`kernels`] sees to it.
pub(crate) trait Lanes: Copy {
    fn load(x: &[u64; 8]) -> Self;
    fn store(self, x: &mut [u64; 8]);
    fn splat(x: u64) -> Self;
    /// Modulo 2^64.
    fn add(self, y: Self) -> Self;
    /// Modulo 2^64.
    fn sub(self, y: Self) -> Self;
    fn min(self, y: Self) -> Self;
    fn and(self, y: Self) -> Self;
    fn or(self, y: Self) -> Self;
    fn shift_right<const N: u32>(self) -> Self;
    /// Each lane by its own count, below 64.
    fn shift_right_each(self, counts: Self) -> Self;
    fn shift_left_each(self, counts: Self) -> Self;
    /// Byte i is number `places[i]` of the 64 here, or zero where that is no place.
    fn bytes(self, places: &[u8; 64]) -> Self;
    /// `self` plus the low 52 bits of x y, of whose factors only the low 52 bits count.
    fn add_low(self, x: Self, y: Self) -> Self;
    /// `self` plus x y / 2^52 rounded down, of whose factors only the low 52 bits count.
    fn add_high(self, x: Self, y: Self) -> Self;
    /// Rows become columns.
    fn transpose(x: [Self; 8]) -> [Self; 8];
}

/// The portable lanes.
#[derive(Clone, Copy)]
pub(crate) struct Words([u64; 8]);

impl Words {
    #[inline(always)]
    fn zip(self, y: Words, f: impl Fn(u64, u64) -> u64) -> Words {
        Words(std::array::from_fn(|i| f(self.0[i], y.0[i])))
    }
}

impl Lanes for Words {
    #[inline(always)]
    fn load(x: &[u64; 8]) -> Words {
        Words(*x)
    }
    #[inline(always)]
    fn store(self, x: &mut [u64; 8]) {
        *x = self.0;
    }
    #[inline(always)]
    fn splat(x: u64) -> Words {
        Words([x; 8])
    }
    #[inline(always)]
    fn add(self, y: Words) -> Words {
        self.zip(y, u64::wrapping_add)
    }
    #[inline(always)]
    fn sub(self, y: Words) -> Words {
        self.zip(y, u64::wrapping_sub)
    }
    #[inline(always)]
    fn min(self, y: Words) -> Words {
        // The difference's borrow as a mask: no branch on the values.
        self.zip(y, |x, y| {
            let less = 0u64.wrapping_sub(u64::from(x < y));
            y ^ ((x ^ y) & less)
        })
    }
    #[inline(always)]
    fn and(self, y: Words) -> Words {
        self.zip(y, |x, y| x & y)
    }
    #[inline(always)]
    fn or(self, y: Words) -> Words {
        self.zip(y, |x, y| x | y)
    }
    #[inline(always)]
    fn shift_right_each(self, counts: Words) -> Words {
        self.zip(counts, |x, n| x >> n)
    }
    #[inline(always)]
    fn shift_left_each(self, counts: Words) -> Words {
        self.zip(counts, |x, n| x << n)
    }
    #[inline(always)]
    fn bytes(self, places: &[u8; 64]) -> Words {
        let byte = |place: u8| match place {
            0..64 => self.0[usize::from(place) / 8] >> (place % 8 * 8) & 0xff,
            _ => 0,
        };
        Words(std::array::from_fn(|i| {
            (0..8).fold(0, |word, j| word | byte(places[8 * i + j]) << (8 * j))
        }))
    }
    #[inline(always)]
    fn shift_right<const N: u32>(self) -> Words {
        Words(self.0.map(|x| x >> N))
    }
    #[inline(always)]
    fn add_low(self, x: Words, y: Words) -> Words {
        self.add(x.zip(y, |x, y| x.wrapping_mul(y) & LOW))
    }
    #[inline(always)]
    fn add_high(self, x: Words, y: Words) -> Words {
        self.add(x.zip(y, |x, y| {
            ((u128::from(x & LOW) * u128::from(y & LOW)) >> BITS) as u64
        }))
    }
    #[inline(always)]
    fn transpose(x: [Words; 8]) -> [Words; 8] {
        std::array::from_fn(|i| Words(std::array::from_fn(|j| x[j].0[i])))
    }
}

#[cfg(target_arch = "x86_64")]
mod ifma {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// One register. Intrinsics become instructions when these methods are inlined into a function that has the
    /// features; [`super::kernels`] makes no other.
    #[derive(Clone, Copy)]
    pub(crate) struct Wide(__m512i);

    // SAFETY of the unsafe blocks below: `kernels!` calls these only after `Backend::Ifma.is_available()`.
    impl Lanes for Wide {
        #[inline(always)]
        fn load(x: &[u64; 8]) -> Wide {
            Wide(unsafe { _mm512_loadu_si512(x.as_ptr().cast()) })
        }
        #[inline(always)]
        fn store(self, x: &mut [u64; 8]) {
            unsafe { _mm512_storeu_si512(x.as_mut_ptr().cast(), self.0) }
        }
        #[inline(always)]
        fn splat(x: u64) -> Wide {
            Wide(unsafe { _mm512_set1_epi64(x as i64) })
        }
        #[inline(always)]
        fn add(self, y: Wide) -> Wide {
            Wide(unsafe { _mm512_add_epi64(self.0, y.0) })
        }
        #[inline(always)]
        fn sub(self, y: Wide) -> Wide {
            Wide(unsafe { _mm512_sub_epi64(self.0, y.0) })
        }
        #[inline(always)]
        fn min(self, y: Wide) -> Wide {
            Wide(unsafe { _mm512_min_epu64(self.0, y.0) })
        }
        #[inline(always)]
        fn and(self, y: Wide) -> Wide {
            Wide(unsafe { _mm512_and_si512(self.0, y.0) })
        }
        #[inline(always)]
        fn or(self, y: Wide) -> Wide {
            Wide(unsafe { _mm512_or_si512(self.0, y.0) })
        }
        #[inline(always)]
        fn shift_right_each(self, counts: Wide) -> Wide {
            Wide(unsafe { _mm512_srlv_epi64(self.0, counts.0) })
        }
        #[inline(always)]
        fn shift_left_each(self, counts: Wide) -> Wide {
            Wide(unsafe { _mm512_sllv_epi64(self.0, counts.0) })
        }
        #[inline(always)]
        fn bytes(self, places: &[u8; 64]) -> Wide {
            unsafe {
                let places = _mm512_loadu_si512(places.as_ptr().cast());
                let real = _mm512_cmplt_epu8_mask(places, _mm512_set1_epi8(64));
                Wide(_mm512_maskz_permutexvar_epi8(real, places, self.0))
            }
        }
        #[inline(always)]
        fn shift_right<const N: u32>(self) -> Wide {
            Wide(unsafe { _mm512_srli_epi64::<N>(self.0) })
        }
        #[inline(always)]
        fn add_low(self, x: Wide, y: Wide) -> Wide {
            Wide(unsafe { _mm512_madd52lo_epu64(self.0, x.0, y.0) })
        }
        #[inline(always)]
        fn add_high(self, x: Wide, y: Wide) -> Wide {
            Wide(unsafe { _mm512_madd52hi_epu64(self.0, x.0, y.0) })
        }
        /// Swap halves of pairs of rows at distance one, then two, then four.
        #[inline(always)]
        fn transpose(x: [Wide; 8]) -> [Wide; 8] {
            let x = x.map(|x| x.0);
            unsafe {
                let a: [__m512i; 8] = std::array::from_fn(|i| match i % 2 {
                    0 => _mm512_unpacklo_epi64(x[i], x[i + 1]),
                    _ => _mm512_unpackhi_epi64(x[i - 1], x[i]),
                });
                // Lanes of 128 bits: rows (i, i + 2) hold the even ones of both, then the odd ones.
                let even = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
                let odd = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
                let b: [__m512i; 8] = std::array::from_fn(|i| match i % 4 {
                    0 | 1 => _mm512_permutex2var_epi64(a[i], even, a[i + 2]),
                    _ => _mm512_permutex2var_epi64(a[i - 2], odd, a[i]),
                });
                std::array::from_fn(|i| match i {
                    0..4 => Wide(_mm512_shuffle_i64x2::<0b01_00_01_00>(b[i], b[i + 4])),
                    _ => Wide(_mm512_shuffle_i64x2::<0b11_10_11_10>(b[i - 4], b[i])),
                })
            }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(crate) use ifma::Wide;

/// Functions whose body, generic over [`Lanes`] by the name `L`, is compiled for each [`Backend`].
macro_rules! kernels {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<L>($($arg:ident : $ty:ty),* $(,)?) $body:block
    )*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) {
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            fn body<L: $crate::backend::Lanes>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,avx512vpopcntdq,bmi2,popcnt")]
            fn ifma($($arg: $ty),*) {
                body::<$crate::backend::Wide>($($arg),*)
            }

            match $crate::backend::Backend::current() {
                // SAFETY: a backend is only ever current where the processor has its instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::backend::Backend::Ifma => unsafe { ifma($($arg),*) },
                _ => body::<$crate::backend::Words>($($arg),*),
            }
        }
    )*};
}
pub(crate) use kernels;

/// Run a test with each backend of this processor in turn; no other test changes it meanwhile.
#[cfg(test)]
pub(crate) fn with_each(mut test: impl FnMut(Backend)) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = ONE_AT_A_TIME.lock();
    for backend in Backend::ALL {
        if backend.choose() {
            test(backend);
        }
    }
    Backend::detect();
    drop(guard);
}

#[cfg(test)]
mod tests {
    use super::*;

    kernels! {
        fn transposed<L>(x: &mut [[u64; 8]; 8]) {
            let rows: [L; 8] = std::array::from_fn(|i| L::load(&x[i]));
            let columns = L::transpose(rows);
            for i in 0..8 {
                columns[i].store(&mut x[i]);
            }
        }

        fn products<L>(x: &[u64; 8], y: &[u64; 8], low: &mut [u64; 8], high: &mut [u64; 8]) {
            let (x, y) = (L::load(x), L::load(y));
            L::load(low).add_low(x, y).store(low);
            L::load(high).add_high(x, y).store(high);
        }
    }

    #[test]
    fn rows_become_columns_and_products_split_at_52_bits() {
        with_each(|backend| {
            let mut x: [[u64; 8]; 8] =
                std::array::from_fn(|i| std::array::from_fn(|j| (8 * i + j) as u64));
            transposed(&mut x);
            for i in 0..8 {
                for j in 0..8 {
                    assert_eq!(x[i][j], (8 * j + i) as u64, "{backend:?}");
                }
            }
            let a = [u64::MAX, LOW, 1 << 51, 3, 0, 1 << 52, 12345678901234567, 7];
            let b = [u64::MAX, LOW, 1 << 51, 5, 9, 77, 98765432109876543, LOW];
            let (mut low, mut high) = ([1; 8], [2; 8]);
            products(&a, &b, &mut low, &mut high);
            for i in 0..8 {
                let want = u128::from(a[i] & LOW) * u128::from(b[i] & LOW);
                assert_eq!(low[i], (want as u64 & LOW) + 1, "{backend:?} {i}");
                assert_eq!(high[i], (want >> 52) as u64 + 2, "{backend:?} {i}");
            }
        });
    }
}
