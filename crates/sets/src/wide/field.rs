//! Eight elements of GF(2^255 - 19), one a lane, in five limbs of 51 bits.
//!
//! A multiplier takes the low 52 bits of its operands, so limbs must stay below 2^52 wherever they are multiplied.
//! Every function gives limbs below 2^51 + 2^18 ("tight") and takes tight ones: sums and differences carry at once.
//! Bounds are at the lines that need them.

// Limb by limb, by index, as the formulas have it.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

/// Eight field elements: limb `i` of all lanes in register `i`.
#[derive(Clone, Copy)]
pub struct Field([__m512i; 5]);

/// A choice a lane.
pub type Mask = __mmask8;

const LOW: u64 = (1 << 51) - 1;

/// 16 p, limb by limb above every tight limb: what differences start from.
const SIXTEEN_P: [u64; 5] = [16 * (LOW - 18), 16 * LOW, 16 * LOW, 16 * LOW, 16 * LOW];

pub const ONE: [u64; 5] = [1, 0, 0, 0, 0];
pub const MINUS_ONE: [u64; 5] = [LOW - 19, LOW, LOW, LOW, LOW];

macro_rules! wide {
    ($($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[inline]
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        pub fn $name($($arg: $type),*) $(-> $out)? $body
    )*};
}
pub(super) use wide;

wide! {
    /// One constant in all lanes; `limbs` are below 2^51.
    pub fn splat(limbs: &[u64; 5]) -> Field {
        let mut out = [_mm512_setzero_si512(); 5];
        for i in 0..5 {
            out[i] = _mm512_set1_epi64(limbs[i] as i64);
        }
        Field(out)
    }

    /// Little-endian numbers, their top bits ignored; not reduced, but tight.
    pub fn from_bytes(bytes: &[[u8; 32]; 8]) -> Field {
        let mut limbs = [[0u64; 8]; 5];
        for (lane, bytes) in bytes.iter().enumerate() {
            let word = |i: usize| u64::from_le_bytes(bytes.as_chunks::<8>().0[i]);
            let (a, b, c, d) = (word(0), word(1), word(2), word(3));
            limbs[0][lane] = a & LOW;
            limbs[1][lane] = (a >> 51 | b << 13) & LOW;
            limbs[2][lane] = (b >> 38 | c << 26) & LOW;
            limbs[3][lane] = (c >> 25 | d << 39) & LOW;
            limbs[4][lane] = d >> 12 & LOW;
        }
        let mut out = [_mm512_setzero_si512(); 5];
        for i in 0..5 {
            // SAFETY: 64 readable bytes; the load is unaligned.
            out[i] = unsafe { _mm512_loadu_si512(limbs[i].as_ptr().cast()) };
        }
        Field(out)
    }

    /// The canonical encodings.
    pub fn to_bytes(x: &Field) -> [[u8; 32]; 8] {
        let x = canonical(x);
        let mut limbs = [[0u64; 8]; 5];
        for i in 0..5 {
            // SAFETY: 64 writable bytes; the store is unaligned.
            unsafe { _mm512_storeu_si512(limbs[i].as_mut_ptr().cast(), x.0[i]) };
        }
        let mut out = [[0; 32]; 8];
        for (lane, out) in out.iter_mut().enumerate() {
            let l = [limbs[0][lane], limbs[1][lane], limbs[2][lane], limbs[3][lane], limbs[4][lane]];
            let words = [l[0] | l[1] << 51, l[1] >> 13 | l[2] << 38, l[2] >> 26 | l[3] << 25, l[3] >> 39 | l[4] << 12];
            for (to, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
                *to = word.to_le_bytes();
            }
        }
        out
    }

    /// Tight limbs of the same numbers, from limbs below 2^61: each sends what is above 51 bits one up, the last 19
    /// times that to the first. 2^10 * 19 < 2^18 - 2^10, so the result is tight.
    pub fn carried(z: [__m512i; 5]) -> Field {
        let low = _mm512_set1_epi64(LOW as i64);
        let nineteen = _mm512_set1_epi64(19);
        let c0 = _mm512_srli_epi64(z[0], 51);
        let c1 = _mm512_srli_epi64(z[1], 51);
        let c2 = _mm512_srli_epi64(z[2], 51);
        let c3 = _mm512_srli_epi64(z[3], 51);
        let c4 = _mm512_srli_epi64(z[4], 51);
        Field([
            _mm512_madd52lo_epu64(_mm512_and_si512(z[0], low), c4, nineteen),
            _mm512_add_epi64(_mm512_and_si512(z[1], low), c0),
            _mm512_add_epi64(_mm512_and_si512(z[2], low), c1),
            _mm512_add_epi64(_mm512_and_si512(z[3], low), c2),
            _mm512_add_epi64(_mm512_and_si512(z[4], low), c3),
        ])
    }

    pub fn add(x: &Field, y: &Field) -> Field {
        let mut z = x.0;
        for i in 0..5 {
            z[i] = _mm512_add_epi64(z[i], y.0[i]);
        }
        carried(z)
    }

    pub fn sub(x: &Field, y: &Field) -> Field {
        let p = splat(&SIXTEEN_P);
        let mut z = x.0;
        for i in 0..5 {
            z[i] = _mm512_sub_epi64(_mm512_add_epi64(z[i], p.0[i]), y.0[i]);
        }
        carried(z)
    }

    pub fn neg(x: &Field) -> Field {
        sub(&splat(&[0; 5]), x)
    }

    /// Products below 2^104: of their low halves at most five in a column, of their high halves, which count twice
    /// since 52 is 51 + 1, five too: below 2^52 * 15 < 2^56, times 19 and once more below 2^61.
    pub fn mul(x: &Field, y: &Field) -> Field {
        let zero = _mm512_setzero_si512();
        let (mut lo, mut hi) = ([zero; 9], [zero; 9]);
        for i in 0..5 {
            for j in 0..5 {
                lo[i + j] = _mm512_madd52lo_epu64(lo[i + j], x.0[i], y.0[j]);
                hi[i + j] = _mm512_madd52hi_epu64(hi[i + j], x.0[i], y.0[j]);
            }
        }
        let mut z = [zero; 10];
        z[0] = lo[0];
        for k in 1..9 {
            z[k] = _mm512_add_epi64(lo[k], _mm512_add_epi64(hi[k - 1], hi[k - 1]));
        }
        z[9] = _mm512_add_epi64(hi[8], hi[8]);
        folded(z)
    }

    /// As `mul`, each product of two different limbs made once and doubled.
    pub fn square(x: &Field) -> Field {
        let zero = _mm512_setzero_si512();
        // Column k is own[k] + 2 (twice[k] + 2 four[k]).
        let (mut own, mut twice, mut four) = ([zero; 10], [zero; 10], [zero; 10]);
        for i in 0..5 {
            own[2 * i] = _mm512_madd52lo_epu64(own[2 * i], x.0[i], x.0[i]);
            twice[2 * i + 1] = _mm512_madd52hi_epu64(twice[2 * i + 1], x.0[i], x.0[i]);
            for j in i + 1..5 {
                twice[i + j] = _mm512_madd52lo_epu64(twice[i + j], x.0[i], x.0[j]);
                four[i + j + 1] = _mm512_madd52hi_epu64(four[i + j + 1], x.0[i], x.0[j]);
            }
        }
        let mut z = [zero; 10];
        for k in 0..10 {
            let sum = _mm512_add_epi64(twice[k], _mm512_add_epi64(four[k], four[k]));
            z[k] = _mm512_add_epi64(own[k], _mm512_add_epi64(sum, sum));
        }
        folded(z)
    }

    /// 2^255 is 19.
    pub fn folded(z: [__m512i; 10]) -> Field {
        let nineteen = _mm512_set1_epi64(19);
        let mut low = [z[0], z[1], z[2], z[3], z[4]];
        for k in 0..5 {
            low[k] = _mm512_add_epi64(low[k], _mm512_mullo_epi64(z[k + 5], nineteen));
        }
        carried(low)
    }

    /// x^(2^n).
    pub fn squares(x: &Field, n: usize) -> Field {
        let mut x = *x;
        for _ in 0..n {
            x = square(&x);
        }
        x
    }

    /// x^(2^252 - 3), the exponent (p - 5) / 8.
    pub fn power(x: &Field) -> Field {
        let x2 = square(x);
        let x9 = mul(&squares(&x2, 2), x);
        let x11 = mul(&x9, &x2);
        let e5 = mul(&square(&x11), &x9); // x^(2^5 - 1), and so on
        let e10 = mul(&squares(&e5, 5), &e5);
        let e20 = mul(&squares(&e10, 10), &e10);
        let e40 = mul(&squares(&e20, 20), &e20);
        let e50 = mul(&squares(&e40, 10), &e10);
        let e100 = mul(&squares(&e50, 50), &e50);
        let e200 = mul(&squares(&e100, 100), &e100);
        let e250 = mul(&squares(&e200, 50), &e50);
        mul(&squares(&e250, 2), x)
    }

    /// The numbers below p, limbs below 2^51.
    pub fn canonical(x: &Field) -> Field {
        let low = _mm512_set1_epi64(LOW as i64);
        let nineteen = _mm512_set1_epi64(19);
        // After one more carry the number is below 2^255 + 2^20, so below 2 p: q is 1 where it is p or more.
        let x = carried(x.0);
        let mut q = nineteen;
        for i in 0..5 {
            q = _mm512_srli_epi64(_mm512_add_epi64(x.0[i], q), 51);
        }
        let mut out = x.0;
        let mut carry = _mm512_mullo_epi64(q, nineteen);
        for limb in &mut out {
            let sum = _mm512_add_epi64(*limb, carry);
            *limb = _mm512_and_si512(sum, low);
            carry = _mm512_srli_epi64(sum, 51);
        }
        Field(out)
    }

    /// Where x = 0.
    pub fn is_zero(x: &Field) -> Mask {
        let x = canonical(x);
        let mut any = x.0[0];
        for i in 1..5 {
            any = _mm512_or_si512(any, x.0[i]);
        }
        _mm512_testn_epi64_mask(any, any)
    }

    pub fn equal(x: &Field, y: &Field) -> Mask {
        is_zero(&sub(x, y))
    }

    /// Where the canonical number is odd, what RFC 9496 calls negative.
    pub fn is_negative(x: &Field) -> Mask {
        _mm512_test_epi64_mask(canonical(x).0[0], _mm512_set1_epi64(1))
    }

    /// `yes` where the mask is set, else `no`.
    pub fn select(mask: Mask, no: &Field, yes: &Field) -> Field {
        let mut out = no.0;
        for i in 0..5 {
            out[i] = _mm512_mask_mov_epi64(no.0[i], mask, yes.0[i]);
        }
        Field(out)
    }

    pub fn neg_if(mask: Mask, x: &Field) -> Field {
        select(mask, x, &neg(x))
    }

    pub fn abs(x: &Field) -> Field {
        neg_if(is_negative(x), x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIGHT: u64 = (1 << 51) + (1 << 18) - 1;

    /// The number of five limbs, modulo p, by schoolbook.
    fn reference(limbs: [u64; 5]) -> [u8; 32] {
        let mut l = limbs.map(u128::from);
        for _ in 0..3 {
            for i in 0..5 {
                let carry = l[i] >> 51;
                l[i] &= u128::from(LOW);
                l[(i + 1) % 5] += if i == 4 { 19 * carry } else { carry };
            }
        }
        if l[1..].iter().all(|x| *x == u128::from(LOW)) && l[0] >= u128::from(LOW - 18) {
            l = [l[0] - u128::from(LOW - 18), 0, 0, 0, 0];
        }
        let mut out = [0; 32];
        for bit in 0..255 {
            out[bit / 8] |= ((l[bit / 51] >> (bit % 51) & 1) as u8) << (bit % 8);
        }
        out
    }

    /// The product by schoolbook, of limbs below 2^52.
    fn product(x: [u64; 5], y: [u64; 5]) -> [u8; 32] {
        let mut columns = [0u128; 5];
        for i in 0..5 {
            for j in 0..5 {
                let term = u128::from(x[i]) * u128::from(y[j]);
                columns[(i + j) % 5] += if i + j >= 5 { 19 * term } else { term };
            }
        }
        let mut limbs = [0u64; 5];
        let mut carry = 0u128;
        for _ in 0..3 {
            for i in 0..5 {
                let sum = columns[i] + carry;
                columns[i] = sum & u128::from(LOW);
                carry = sum >> 51;
            }
            carry *= 19;
        }
        for i in 0..5 {
            limbs[i] = columns[i] as u64;
        }
        limbs[0] += carry as u64;
        reference(limbs)
    }

    /// Edges of what is tight, edges around p, and numbers that look random.
    fn samples() -> Vec<[u64; 5]> {
        let mut found = vec![
            [0; 5],
            ONE,
            MINUS_ONE,
            [TIGHT; 5],
            [LOW; 5],
            [LOW - 18, LOW, LOW, LOW, LOW],
        ];
        for i in 0..5 {
            let mut one_limb = [0; 5];
            one_limb[i] = TIGHT;
            found.push(one_limb);
            one_limb = [TIGHT; 5];
            one_limb[i] = 0;
            found.push(one_limb);
        }
        let mut state = 1u64;
        for _ in 0..50 {
            found.push(std::array::from_fn(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 12) % (TIGHT + 1)
            }));
        }
        found
    }

    fn limbs_of(x: &Field) -> [u64; 5] {
        // SAFETY: a register of eight words, of which the first is read.
        x.0.map(|limb| unsafe { std::mem::transmute::<__m512i, [u64; 8]>(limb) }[0])
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn check() {
        let samples = samples();
        for x in &samples {
            let wide = splat(x);
            assert_eq!(to_bytes(&wide)[0], reference(*x), "{x:?}");
            assert_eq!(is_zero(&wide) == 0xff, reference(*x) == [0; 32]);
            assert_eq!(is_negative(&wide) == 0xff, reference(*x)[0] & 1 == 1);
            assert_eq!(is_zero(&add(&wide, &neg(&wide))), 0xff);
            assert_eq!(to_bytes(&square(&wide)), [product(*x, *x); 8], "{x:?}");
            assert_eq!(to_bytes(&from_bytes(&[reference(*x); 8]))[3], reference(*x));
            for y in &samples {
                let other = splat(y);
                for result in [mul(&wide, &other), add(&wide, &other), sub(&wide, &other)] {
                    assert!(limbs_of(&result).iter().all(|limb| *limb <= TIGHT));
                }
                assert_eq!(
                    to_bytes(&mul(&wide, &other))[7],
                    product(*x, *y),
                    "{x:?} {y:?}"
                );
                assert_eq!(
                    to_bytes(&add(&sub(&wide, &other), &other))[0],
                    reference(*x)
                );
            }
        }
    }

    #[test]
    fn arithmetic_agrees_with_schoolbook_at_the_edges() {
        if super::super::is_available() {
            // SAFETY: the processor has the features.
            unsafe { check() };
        }
    }
}
