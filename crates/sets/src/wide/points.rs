//! Eight points at a time: RFC 9496, and arithmetic on the twisted Edwards curve below it in the extended
//! coordinates of Hisil, Wong, Carter and Dawson (eprint 2008/522), complete for this curve.

use super::field::*;
use crate::group::{Encoded, Uniform};
use std::arch::x86_64::*;
use zeroize::Zeroize;

const D: [u64; 5] = [
    0x34dca135978a3,
    0x1a8283b156ebd,
    0x5e7a26001c029,
    0x739c663a03cbb,
    0x52036cee2b6ff,
];
const TWO_D: [u64; 5] = [
    0x69b9426b2f159,
    0x35050762add7a,
    0x3cf44c0038052,
    0x6738cc7407977,
    0x2406d9dc56dff,
];
const SQRT_M1: [u64; 5] = [
    0x61b274a0ea0b0,
    0xd5a5fc8f189d,
    0x7ef5e9cbd0c60,
    0x78595a6804c9e,
    0x2b8324804fc1d,
];
const SQRT_AD_MINUS_ONE: [u64; 5] = [
    0x7f6a0497b2e1b,
    0x1836f0a97afd2,
    0x7d747f6be7638,
    0x456079e7e6498,
    0x376931bf2b834,
];
const INVSQRT_A_MINUS_D: [u64; 5] = [
    0xfdaa805d40ea,
    0x2eb482e57d339,
    0x7610274bc58,
    0x6510b613dc8ff,
    0x786c8905cfaff,
];
const ONE_MINUS_D_SQ: [u64; 5] = [
    0x409c1945fc176,
    0x719abc6a1fc4f,
    0x1c37f90b20684,
    0x6bccca55eedf,
    0x29072a8b2b3e,
];
const D_MINUS_ONE_SQ: [u64; 5] = [
    0x55aaa44ed4d20,
    0x59603c3332635,
    0x26d3baf4a7928,
    0x120a66e6997a9,
    0x5968b37af66c2,
];

/// A scalar as 64 digits from -8 to 8, the least first. Wiped when dropped.
pub struct Digits([i8; 64]);

impl Digits {
    pub fn new(scalar: &[u8; 32]) -> Digits {
        let mut digits = [0; 64];
        for (i, byte) in scalar.iter().enumerate() {
            digits[2 * i] = (byte & 15) as i8;
            digits[2 * i + 1] = (byte >> 4) as i8;
        }
        // The scalar is below 2^253, so the last digit stays below 8.
        for i in 0..63 {
            let carry = (digits[i] + 8) >> 4;
            digits[i] -= carry << 4;
            digits[i + 1] += carry;
        }
        Digits(digits)
    }
}

impl Drop for Digits {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// x = X / Z, y = Y / Z, T = X Y / Z.
#[derive(Clone, Copy)]
struct Point {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

/// x = X / Z, y = Y / T: what sums and doubles come as.
#[derive(Clone, Copy)]
struct Quotients {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

/// A point ready to be added: Y + X, Y - X, 2 Z, 2 d T.
#[derive(Clone, Copy)]
struct Addend {
    plus: Field,
    minus: Field,
    z2: Field,
    t2d: Field,
}

wide! {
    /// The points of uniform bytes, times the scalar, encoded.
    pub fn blind(digits: &Digits, items: &[Uniform; 8]) -> [Encoded; 8] {
        encode(&times(digits, &from_uniform(items)))
    }

    /// Points times the scalar; the lanes that are no points, or the identity.
    pub fn reblind(digits: &Digits, points: &[Encoded; 8]) -> ([Encoded; 8], Mask) {
        let (point, bad) = decode(points);
        if bad == 0 {
            (encode(&times(digits, &point)), 0)
        } else {
            ([[0; 32]; 8], bad)
        }
    }
}

macro_rules! wide_private {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[inline]
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn $name($($arg: $type),*) $(-> $out)? $body
    )*};
}

wide_private! {
    fn double(p: &Point) -> Quotients {
        let (xx, yy, zz) = (square(&p.x), square(&p.y), square(&p.z));
        let sum = square(&add(&p.x, &p.y));
        let (y, z) = (add(&yy, &xx), sub(&yy, &xx));
        Quotients { x: sub(&sum, &y), y, z, t: sub(&add(&zz, &zz), &z) }
    }

    fn added(p: &Point, q: &Addend) -> Quotients {
        let plus = mul(&add(&p.y, &p.x), &q.plus);
        let minus = mul(&sub(&p.y, &p.x), &q.minus);
        let t2d = mul(&p.t, &q.t2d);
        let z2 = mul(&p.z, &q.z2);
        Quotients { x: sub(&plus, &minus), y: add(&plus, &minus), z: add(&z2, &t2d), t: sub(&z2, &t2d) }
    }

    fn extended(q: &Quotients) -> Point {
        Point { t: mul(&q.x, &q.y), ..without_t(q) }
    }

    /// For a point that is doubled next: T is not looked at, and stays wrong.
    fn without_t(q: &Quotients) -> Point {
        Point { x: mul(&q.x, &q.t), y: mul(&q.y, &q.z), z: mul(&q.z, &q.t), t: q.t }
    }

    fn addend(p: &Point) -> Addend {
        Addend {
            plus: add(&p.y, &p.x),
            minus: sub(&p.y, &p.x),
            z2: add(&p.z, &p.z),
            t2d: mul(&p.t, &splat(&TWO_D)),
        }
    }

    /// The addend of digit times the point, whose first eight multiples the table has; reads all of the table.
    fn chosen(table: &[Addend; 8], digit: i8) -> Addend {
        let zero = splat(&[0; 5]);
        let one = splat(&ONE);
        let mut found = Addend { plus: one, minus: one, z2: add(&one, &one), t2d: zero };
        let size = _mm512_set1_epi64(i64::from(digit.unsigned_abs()));
        for (i, entry) in table.iter().enumerate() {
            let hit = _mm512_cmpeq_epi64_mask(size, _mm512_set1_epi64(i as i64 + 1));
            found.plus = select(hit, &found.plus, &entry.plus);
            found.minus = select(hit, &found.minus, &entry.minus);
            found.z2 = select(hit, &found.z2, &entry.z2);
            found.t2d = select(hit, &found.t2d, &entry.t2d);
        }
        let negative = _mm512_cmplt_epi64_mask(_mm512_set1_epi64(i64::from(digit)), _mm512_setzero_si512());
        Addend {
            plus: select(negative, &found.plus, &found.minus),
            minus: select(negative, &found.minus, &found.plus),
            z2: found.z2,
            t2d: neg_if(negative, &found.t2d),
        }
    }

    /// The points times the scalar: 63 times four doublings and an addition.
    fn times(digits: &Digits, p: &Point) -> Point {
        let first = addend(p);
        let mut table = [first; 8];
        let mut multiple = *p;
        for entry in &mut table[1..] {
            multiple = extended(&added(&multiple, &first));
            *entry = addend(&multiple);
        }
        let (zero, one) = (splat(&[0; 5]), splat(&ONE));
        let mut sum = Point { x: zero, y: one, z: one, t: zero };
        for (i, digit) in digits.0.iter().enumerate().rev() {
            if i < 63 {
                for _ in 0..3 {
                    sum = without_t(&double(&sum));
                }
                sum = extended(&double(&sum));
            }
            let last = added(&sum, &chosen(&table, *digit));
            sum = if i == 0 { extended(&last) } else { without_t(&last) };
        }
        sum
    }

    /// RFC 9496 section 4.2: where u / v is a square, and |sqrt(u / v)|, or |sqrt(SQRT_M1 u / v)| elsewhere.
    fn sqrt_ratio(u: &Field, v: &Field) -> (Mask, Field) {
        let v3 = mul(&square(v), v);
        let v7 = mul(&square(&v3), v);
        let r = mul(&mul(u, &v3), &power(&mul(u, &v7)));
        let check = mul(v, &square(&r));
        let i = splat(&SQRT_M1);
        let minus_u = neg(u);
        let correct = equal(&check, u);
        let flipped = equal(&check, &minus_u);
        let flipped_i = equal(&check, &mul(&minus_u, &i));
        let r = select(flipped | flipped_i, &r, &mul(&r, &i));
        (correct | flipped, abs(&r))
    }

    /// RFC 9496 section 4.3.1, and the lanes where it fails or gives the identity.
    fn decode(bytes: &[Encoded; 8]) -> (Point, Mask) {
        let s = from_bytes(bytes);
        let mut bad: Mask = 0;
        for (lane, (given, canonical)) in bytes.iter().zip(&to_bytes(&s)).enumerate() {
            bad |= Mask::from(given != canonical) << lane;
        }
        bad |= is_negative(&s) | is_zero(&s);
        let one = splat(&ONE);
        let ss = square(&s);
        let (u1, u2) = (sub(&one, &ss), add(&one, &ss));
        let u2_sqr = square(&u2);
        let v = sub(&neg(&mul(&splat(&D), &square(&u1))), &u2_sqr);
        let (was_square, invsqrt) = sqrt_ratio(&one, &mul(&v, &u2_sqr));
        let den_x = mul(&invsqrt, &u2);
        let den_y = mul(&mul(&invsqrt, &den_x), &v);
        let x = abs(&mul(&add(&s, &s), &den_x));
        let y = mul(&u1, &den_y);
        let t = mul(&x, &y);
        bad |= !was_square | is_negative(&t) | is_zero(&y);
        (Point { x, y, z: one, t }, bad)
    }

    /// RFC 9496 section 4.3.2.
    fn encode(p: &Point) -> [Encoded; 8] {
        let one = splat(&ONE);
        let i = splat(&SQRT_M1);
        let u1 = mul(&add(&p.z, &p.y), &sub(&p.z, &p.y));
        let u2 = mul(&p.x, &p.y);
        let (_, invsqrt) = sqrt_ratio(&one, &mul(&u1, &square(&u2)));
        let den1 = mul(&invsqrt, &u1);
        let den2 = mul(&invsqrt, &u2);
        let z_inv = mul(&mul(&den1, &den2), &p.t);
        let enchanted = mul(&den1, &splat(&INVSQRT_A_MINUS_D));
        let rotate = is_negative(&mul(&p.t, &z_inv));
        let x = select(rotate, &p.x, &mul(&p.y, &i));
        let y = select(rotate, &p.y, &mul(&p.x, &i));
        let den_inv = select(rotate, &den2, &enchanted);
        let y = neg_if(is_negative(&mul(&x, &z_inv)), &y);
        to_bytes(&abs(&mul(&den_inv, &sub(&p.z, &y))))
    }

    /// RFC 9496 section 4.3.4: the sum of the maps of both halves.
    fn from_uniform(items: &[Uniform; 8]) -> Point {
        let (mut low, mut high) = ([[0; 32]; 8], [[0; 32]; 8]);
        for (lane, item) in items.iter().enumerate() {
            low[lane].copy_from_slice(&item[..32]);
            high[lane].copy_from_slice(&item[32..]);
        }
        extended(&added(&map(&from_bytes(&low)), &addend(&map(&from_bytes(&high)))))
    }

    /// The MAP of RFC 9496 section 4.3.4.
    fn map(t: &Field) -> Point {
        let (one, minus_one, d) = (splat(&ONE), splat(&MINUS_ONE), splat(&D));
        let r = mul(&splat(&SQRT_M1), &square(t));
        let u = mul(&add(&r, &one), &splat(&ONE_MINUS_D_SQ));
        let v = mul(&sub(&minus_one, &mul(&r, &d)), &add(&r, &d));
        let (was_square, s) = sqrt_ratio(&u, &v);
        let s_prime = neg(&abs(&mul(&s, t)));
        let s = select(was_square, &s_prime, &s);
        let c = select(was_square, &r, &minus_one);
        let n = sub(&mul(&mul(&c, &sub(&r, &one)), &splat(&D_MINUS_ONE_SQ)), &v);
        let ss = square(&s);
        let (w0, w1) = (mul(&add(&s, &s), &v), mul(&n, &splat(&SQRT_AD_MINUS_ONE)));
        let (w2, w3) = (sub(&one, &ss), add(&one, &ss));
        Point { x: mul(&w0, &w3), y: mul(&w2, &w1), z: mul(&w1, &w3), t: mul(&w0, &w2) }
    }
}
