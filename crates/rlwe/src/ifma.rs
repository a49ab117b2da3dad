//! The passes of [`crate::ntt`] on eight coefficients at a time, with the 52-bit multipliers of AVX-512 (IFMA).
//!
//! `madd52lo` and `madd52hi` add the low and the high 52 bits of a product. Modulo 2^52, `x w - floor(x w' / 2^52) q`
//! is exact because the difference is below 2q < 2^52.

use crate::ntt::{Ntt, Twiddles};
use std::arch::x86_64::*;

/// q, 2q, zero and the mask of 52 bits in all lanes.
#[derive(Clone, Copy)]
struct Lanes {
    q: __m512i,
    q2: __m512i,
    zero: __m512i,
    mask: __m512i,
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn lanes(q: u64) -> Lanes {
    Lanes {
        q: _mm512_set1_epi64(q as i64),
        q2: _mm512_set1_epi64(2 * q as i64),
        zero: _mm512_setzero_si512(),
        mask: _mm512_set1_epi64((1 << 52) - 1),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn once(x: __m512i, q: __m512i) -> __m512i {
    _mm512_min_epu64(x, _mm512_sub_epi64(x, q))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn times_lazy(x: __m512i, w: __m512i, quotient: __m512i, k: Lanes) -> __m512i {
    let high = _mm512_madd52hi_epu64(k.zero, x, quotient);
    let difference = _mm512_sub_epi64(
        _mm512_madd52lo_epu64(k.zero, x, w),
        _mm512_madd52lo_epu64(k.zero, high, k.q),
    );
    _mm512_and_si512(difference, k.mask)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn there(x: &mut __m512i, y: &mut __m512i, w: __m512i, quotient: __m512i, k: Lanes) {
    let u = once(*x, k.q2);
    let v = times_lazy(*y, w, quotient, k);
    *x = _mm512_add_epi64(u, v);
    *y = _mm512_sub_epi64(_mm512_add_epi64(u, k.q2), v);
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn back(x: &mut __m512i, y: &mut __m512i, w: __m512i, quotient: __m512i, k: Lanes) {
    let (u, v) = (*x, *y);
    *x = once(_mm512_add_epi64(u, v), k.q2);
    let difference = _mm512_sub_epi64(_mm512_add_epi64(u, k.q2), v);
    *y = times_lazy(difference, w, quotient, k);
}

/// Rows to columns of 8 x 8 words; its own inverse.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn transpose(v: [__m512i; 8]) -> [__m512i; 8] {
    // Pairs of rows: words of even (a) and odd (b) columns, as 2 x 2.
    let a01 = _mm512_unpacklo_epi64(v[0], v[1]);
    let b01 = _mm512_unpackhi_epi64(v[0], v[1]);
    let a23 = _mm512_unpacklo_epi64(v[2], v[3]);
    let b23 = _mm512_unpackhi_epi64(v[2], v[3]);
    let a45 = _mm512_unpacklo_epi64(v[4], v[5]);
    let b45 = _mm512_unpackhi_epi64(v[4], v[5]);
    let a67 = _mm512_unpacklo_epi64(v[6], v[7]);
    let b67 = _mm512_unpackhi_epi64(v[6], v[7]);
    // Quarters 0 2 of each (0x88), or 1 3 (0xdd).
    let even = |x, y| _mm512_shuffle_i64x2::<0x88>(x, y);
    let odd = |x, y| _mm512_shuffle_i64x2::<0xdd>(x, y);
    let (a_even, a_odd) = (even(a01, a23), odd(a01, a23));
    let (b_even, b_odd) = (even(b01, b23), odd(b01, b23));
    let (c_even, c_odd) = (even(a45, a67), odd(a45, a67));
    let (d_even, d_odd) = (even(b45, b67), odd(b45, b67));
    [
        even(a_even, c_even),
        even(b_even, d_even),
        even(a_odd, c_odd),
        even(b_odd, d_odd),
        odd(a_even, c_even),
        odd(b_even, d_even),
        odd(a_odd, c_odd),
        odd(b_odd, d_odd),
    ]
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn load(p: *const u64) -> __m512i {
    _mm512_loadu_si512(p.cast())
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn store(p: *mut u64, x: __m512i) {
    _mm512_storeu_si512(p.cast(), x)
}

/// Constant `row` of the seven of `block`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn tail(t: &Twiddles, block: usize, row: usize) -> (__m512i, __m512i) {
    let at = block * 56 + row * 8;
    (
        load(t.w.as_ptr().add(at)),
        load(t.quotient.as_ptr().add(at)),
    )
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn constant(t: &Twiddles, at: usize) -> (__m512i, __m512i) {
    (
        _mm512_set1_epi64(*t.w.get_unchecked(at) as i64),
        _mm512_set1_epi64(*t.quotient.get_unchecked(at) as i64),
    )
}

/// The passes over groups of at most `start` coefficients, for the values from `first` on.
///
/// # Safety
/// The processor has IFMA; `a`, `start` and `first` are as [`Ntt::forward_tile`] checks.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn forward(t: &Ntt, a: &mut [u64], start: usize, first: usize) {
    let k = lanes(t.modulus.q);
    let length = a.len();
    let p = a.as_mut_ptr();
    let mut half = start / 2;
    // Two passes at a time while both are wider than a vector: half the loads and stores.
    while half >= 16 {
        // Where the constants of this pass, and of this tile in it, begin.
        let groups = (t.n + first) / (2 * half);
        let quarter = half / 2;
        for i in 0..length / (2 * half) {
            let (w, wq) = constant(&t.forward, groups + i);
            let (l, lq) = constant(&t.forward, 2 * (groups + i));
            let (h, hq) = constant(&t.forward, 2 * (groups + i) + 1);
            let base = p.add(2 * half * i);
            for j in (0..quarter).step_by(8) {
                let at = [0, 1, 2, 3].map(|part| base.wrapping_add(part * quarter + j));
                let (mut x0, mut x1) = (load(at[0]), load(at[1]));
                let (mut x2, mut x3) = (load(at[2]), load(at[3]));
                there(&mut x0, &mut x2, w, wq, k);
                there(&mut x1, &mut x3, w, wq, k);
                there(&mut x0, &mut x1, l, lq, k);
                there(&mut x2, &mut x3, h, hq, k);
                store(at[0], x0);
                store(at[1], x1);
                store(at[2], x2);
                store(at[3], x3);
            }
        }
        half /= 4;
    }
    if half == 8 {
        for i in 0..length / 16 {
            let (w, wq) = constant(&t.forward, (t.n + first) / 16 + i);
            let (mut x, mut y) = (load(p.add(16 * i)), load(p.add(16 * i + 8)));
            there(&mut x, &mut y, w, wq, k);
            store(p.add(16 * i), x);
            store(p.add(16 * i + 8), y);
        }
    }
    for block in 0..length / 64 {
        let base = p.add(64 * block);
        let v = transpose([0, 1, 2, 3, 4, 5, 6, 7].map(|i| unsafe { load(base.add(8 * i)) }));
        last_passes(t, v, first / 64 + block, base, k);
    }
}

/// The last three passes of `block`, whose groups of eight coefficients are the lanes of `v`, and the values below q.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn last_passes(t: &Ntt, mut v: [__m512i; 8], block: usize, out: *mut u64, k: Lanes) {
    for (row, half, from) in PASSES {
        let (w, wq) = tail(&t.forward_tail, block, row);
        for j in from..from + half {
            let (mut x, mut y) = (v[j], v[j + half]);
            there(&mut x, &mut y, w, wq, k);
            (v[j], v[j + half]) = (x, y);
        }
    }
    let v = transpose(v.map(|x| once(once(x, k.q2), k.q)));
    for (i, x) in v.into_iter().enumerate() {
        store(out.add(8 * i), x);
    }
}

/// As [`forward`] for `start` 8 or 16, with no copies made before: each coefficient goes to all lanes at once, and the
/// pass between neighbouring groups of eight, where there is one, is a sum in even lanes and a difference in odd ones.
///
/// # Safety
/// As [`forward`].
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn forward_small(t: &Ntt, a: &mut [u64], start: usize, first: usize) {
    let k = lanes(t.modulus.q);
    let all = |i: usize| _mm512_set1_epi64(a[i] as i64);
    let low = [0, 1, 2, 3, 4, 5, 6, 7].map(all);
    let high = [8, 9, 10, 11, 12, 13, 14, 15].map(all);
    let pairs = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    let p = a.as_mut_ptr();
    for block in 0..a.len() / 64 {
        let mut v = low;
        if start == 16 {
            let at = t.n / 16 + first / 16 + 4 * block;
            let four = |x: &[u64]| {
                let x = unsafe { _mm256_loadu_si256(x.as_ptr().add(at).cast()) };
                _mm512_permutexvar_epi64(pairs, _mm512_castsi256_si512(x))
            };
            let (w, wq) = (four(&t.forward.w), four(&t.forward.quotient));
            for (v, y) in v.iter_mut().zip(high) {
                let y = times_lazy(y, w, wq, k);
                let difference = _mm512_sub_epi64(_mm512_add_epi64(*v, k.q2), y);
                *v = _mm512_mask_blend_epi64(0b1010_1010, _mm512_add_epi64(*v, y), difference);
            }
        }
        last_passes(t, v, first / 64 + block, p.add(64 * block), k);
    }
}

/// The passes inside eight coefficients: row of constants, half of the group, its first coefficient.
const PASSES: [(usize, usize, usize); 7] = [
    (0, 4, 0),
    (1, 2, 0),
    (2, 2, 4),
    (3, 1, 0),
    (4, 1, 2),
    (5, 1, 4),
    (6, 1, 6),
];

/// # Safety
/// The processor has IFMA; `a` has the length of the transform.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn backward(t: &Ntt, a: &mut [u64]) {
    let k = lanes(t.modulus.q);
    let n = t.n;
    let p = a.as_mut_ptr();
    for block in 0..n / 64 {
        let base = p.add(64 * block);
        let mut v = transpose([0, 1, 2, 3, 4, 5, 6, 7].map(|i| unsafe { load(base.add(8 * i)) }));
        for (row, half, first) in PASSES.into_iter().rev() {
            let (w, wq) = tail(&t.backward_tail, block, row);
            for j in first..first + half {
                let (mut x, mut y) = (v[j], v[j + half]);
                back(&mut x, &mut y, w, wq, k);
                (v[j], v[j + half]) = (x, y);
            }
        }
        for (i, x) in transpose(v).into_iter().enumerate() {
            store(base.add(8 * i), x);
        }
    }
    // Two passes at a time, as in `forward`.
    let mut half = 8;
    while 4 * half <= n {
        let groups = n / (4 * half);
        for i in 0..groups {
            let (w, wq) = constant(&t.backward, groups + i);
            let (l, lq) = constant(&t.backward, 2 * (groups + i));
            let (h, hq) = constant(&t.backward, 2 * (groups + i) + 1);
            let base = p.add(4 * half * i);
            for j in (0..half).step_by(8) {
                let at = [0, 1, 2, 3].map(|part| base.wrapping_add(part * half + j));
                let (mut x0, mut x1) = (load(at[0]), load(at[1]));
                let (mut x2, mut x3) = (load(at[2]), load(at[3]));
                back(&mut x0, &mut x1, l, lq, k);
                back(&mut x2, &mut x3, h, hq, k);
                back(&mut x0, &mut x2, w, wq, k);
                back(&mut x1, &mut x3, w, wq, k);
                store(at[0], x0);
                store(at[1], x1);
                store(at[2], x2);
                store(at[3], x3);
            }
        }
        half *= 4;
    }
    if half < n {
        let (w, wq) = constant(&t.backward, 1);
        for j in (0..half).step_by(8) {
            let (low, high) = (p.add(j), p.add(half + j));
            let (mut x, mut y) = (load(low), load(high));
            back(&mut x, &mut y, w, wq, k);
            store(low, x);
            store(high, y);
        }
    }
    let (w, wq) = constant(&t.scale, 0);
    for j in (0..n).step_by(8) {
        let x = times_lazy(load(p.add(j)), w, wq, k);
        store(p.add(j), once(x, k.q));
    }
}

/// # Safety
/// The processor has IFMA; the lengths of `low`, `high` and of each `a` are equal and a multiple of 16, `b` has as many
/// parts of that length.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn add_products(low: &mut [u64], high: &mut [u64], a: &[&[u64]], b: &[u64]) {
    let n = low.len();
    for j in (0..n).step_by(16) {
        let (l, h) = (low.as_mut_ptr().add(j), high.as_mut_ptr().add(j));
        // Four chains of additions, so that none waits for the one before it.
        let (mut l0, mut l1) = (load(l), load(l.add(8)));
        let (mut h0, mut h1) = (load(h), load(h.add(8)));
        for (k, a) in a.iter().enumerate() {
            let (a, b) = (a.as_ptr().add(j), b.as_ptr().add(k * n + j));
            let (x0, x1, y0, y1) = (load(a), load(a.add(8)), load(b), load(b.add(8)));
            l0 = _mm512_madd52lo_epu64(l0, x0, y0);
            h0 = _mm512_madd52hi_epu64(h0, x0, y0);
            l1 = _mm512_madd52lo_epu64(l1, x1, y1);
            h1 = _mm512_madd52hi_epu64(h1, x1, y1);
        }
        store(l, l0);
        store(l.add(8), l1);
        store(h, h0);
        store(h.add(8), h1);
    }
}

/// `low + 2^52 high` below 4q, for low and high below 2^52.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn combine(t: &Ntt, low: __m512i, high: __m512i, k: Lanes) -> __m512i {
    let (one, one_q) = constant(&t.radix, 0);
    let (radix, radix_q) = constant(&t.radix, 1);
    _mm512_add_epi64(
        times_lazy(low, one, one_q, k),
        times_lazy(high, radix, radix_q, k),
    )
}

/// # Safety
/// The processor has IFMA; all lengths are equal and a multiple of 8.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn add_product(t: &Ntt, x: &mut [u64], a: &[u64], b: &[u64]) {
    let k = lanes(t.modulus.q);
    for j in (0..x.len()).step_by(8) {
        let (p, a, b) = (
            x.as_mut_ptr().add(j),
            load(a.as_ptr().add(j)),
            load(b.as_ptr().add(j)),
        );
        let low = _mm512_madd52lo_epu64(k.zero, a, b);
        let high = _mm512_madd52hi_epu64(k.zero, a, b);
        // Below 4q, to below q, plus x: below 2q.
        let product = once(once(combine(t, low, high, k), k.q2), k.q);
        store(p, once(_mm512_add_epi64(product, load(p)), k.q));
    }
}

/// # Safety
/// The processor has IFMA; all lengths are equal and a multiple of 8.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn multiply(t: &Ntt, x: &mut [u64], a: &[u64]) {
    let k = lanes(t.modulus.q);
    for j in (0..x.len()).step_by(8) {
        let (p, a) = (x.as_mut_ptr().add(j), load(a.as_ptr().add(j)));
        let low = _mm512_madd52lo_epu64(k.zero, load(p), a);
        let high = _mm512_madd52hi_epu64(k.zero, load(p), a);
        store(p, once(once(combine(t, low, high, k), k.q2), k.q));
    }
}

/// # Safety
/// The processor has IFMA; all lengths are equal and a multiple of 8.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn finish(t: &Ntt, low: &[u64], high: &[u64], out: &mut [u64]) {
    let k = lanes(t.modulus.q);
    let (top, top_q) = constant(&t.radix, 2);
    for j in (0..out.len()).step_by(8) {
        let (low, high) = (load(low.as_ptr().add(j)), load(high.as_ptr().add(j)));
        // Digits of 52 bits: high is below 2^62, so the third has few.
        let high = _mm512_add_epi64(high, _mm512_srli_epi64::<52>(low));
        let low = _mm512_and_si512(low, k.mask);
        let third = _mm512_srli_epi64::<52>(high);
        let high = _mm512_and_si512(high, k.mask);
        let rest = once(times_lazy(third, top, top_q, k), k.q);
        let sum = once(once(combine(t, low, high, k), k.q2), k.q);
        store(
            out.as_mut_ptr().add(j),
            once(_mm512_add_epi64(sum, rest), k.q),
        );
    }
}

/// What [`fractions`] needs of one prime: q, (q/q_i)^-1, its quotient by 2^52, and 1/q in digits of 52 bits.
pub(crate) struct FractionPart {
    q: u64,
    factor: u64,
    quotient: u64,
    digits: [u64; MOST_DIGITS],
}

const MOST_DIGITS: usize = 7;

impl FractionPart {
    /// The words of `reciprocal` fill the digits from the top, so that sums are the same as in words.
    pub(crate) fn new<const L: usize>(q: u64, factor: u64, reciprocal: &[u64; L]) -> FractionPart {
        let count = (64 * L).div_ceil(52);
        let unused = 52 * count - 64 * L;
        let mut digits = [0; MOST_DIGITS];
        for bit in 0..64 * L {
            let at = bit + unused;
            digits[at / 52] |= (reciprocal[bit / 64] >> (bit % 64) & 1) << (at % 52);
        }
        let quotient = (((factor as u128) << 52) / q as u128) as u64;
        FractionPart {
            q,
            factor,
            quotient,
            digits,
        }
    }
}

/// Eight of [`crate::scale::Fractions::of`] at a time; gives how many of `out` were made, the multiple of eight.
///
/// # Safety
/// The processor has IFMA; `x` has `parts.len()` rows of `out.len()` words; D is 64 L / 52, rounded up.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(crate) unsafe fn fractions<const L: usize, const D: usize>(
    parts: &[FractionPart],
    x: &[u64],
    out: &mut [[u64; L]],
) -> usize {
    let count = out.len();
    let unused = 52 * D - 64 * L;
    let whole = count / 8 * 8;
    for j in (0..whole).step_by(8) {
        // Digit d of the sum in the first row, what it carries to the next in the second.
        let mut low = [_mm512_setzero_si512(); D];
        let mut high = [_mm512_setzero_si512(); D];
        for (i, part) in parts.iter().enumerate() {
            let k = lanes(part.q);
            let factor = _mm512_set1_epi64(part.factor as i64);
            let quotient = _mm512_set1_epi64(part.quotient as i64);
            let x = load(x.as_ptr().add(i * count + j));
            let y = once(times_lazy(x, factor, quotient, k), k.q);
            for d in 0..D {
                let digit = _mm512_set1_epi64(part.digits[d] as i64);
                low[d] = _mm512_madd52lo_epu64(low[d], y, digit);
                high[d] = _mm512_madd52hi_epu64(high[d], y, digit);
            }
        }
        let mask = _mm512_set1_epi64((1 << 52) - 1);
        let mut carry = _mm512_setzero_si512();
        for d in 0..D {
            let sum = _mm512_add_epi64(low[d], carry);
            low[d] = _mm512_and_si512(sum, mask);
            carry = _mm512_add_epi64(_mm512_srli_epi64::<52>(sum), high[d]);
        }
        for w in 0..L {
            let (d, skip) = ((64 * w + unused) / 52, (64 * w + unused) % 52);
            let mut word = _mm512_srlv_epi64(low[d], _mm512_set1_epi64(skip as i64));
            for (next, shift) in [(d + 1, 52 - skip), (d + 2, 104 - skip)] {
                if next < D && shift < 64 {
                    let more = _mm512_sllv_epi64(low[next], _mm512_set1_epi64(shift as i64));
                    word = _mm512_or_si512(word, more);
                }
            }
            let mut words = [0u64; 8];
            store(words.as_mut_ptr(), word);
            for (out, word) in out[j..j + 8].iter_mut().zip(words) {
                out[w] = word;
            }
        }
    }
    whole
}
