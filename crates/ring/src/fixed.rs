//! Fixed point: reals as integers, scaled by 2^f, in two's complement.

use crate::element::Ring;
use crate::multiversion;
use crate::parallel::{parts, LIGHT};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a number cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    Nan,
    Inf,
    Range,
}

impl Bad {
    pub fn name(self) -> &'static str {
        match self {
            Bad::Nan => "nan",
            Bad::Inf => "inf",
            Bad::Range => "range",
        }
    }
}

/// log2 of the bound: encode takes |x| < 2^(k-2-2f), so that a product, before truncation, stays below 2^(k-2) / 2^(k-2-2f).
pub fn limit_log2(bits: u32, fraction_bits: u32) -> i32 {
    bits as i32 - 2 - 2 * fraction_bits as i32
}

/// 1.5 * 2^52: adding it to |v| < 2^51 leaves round(v), ties to even, in the low bits of the sum.
const MAGIC: f64 = 6755399441055744.0;

multiversion! {
    /// For values below 2^51 after scaling. Gives whether all were below `limit`.
    fn encode_small<T: Ring>(out: &mut [T], x: &[f64], scale: f64, limit: f64) -> bool {
        let mut good = true;
        for (out, x) in out.iter_mut().zip(x) {
            good &= x.abs() < limit;
            let bits = (x * scale + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits());
            *out = extend(bits);
        }
        good
    }

    fn encode_large<T: Ring>(out: &mut [T], x: &[f64], scale: f64, limit: f64) -> bool {
        let mut good = true;
        for (out, x) in out.iter_mut().zip(x) {
            good &= x.abs() < limit;
            *out = whole((x * scale).round_ties_even());
        }
        good
    }

    fn decode_part<T: Ring>(out: &mut [f64], x: &[T], scale: f64) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = signed(*x) * scale;
        }
    }
}

#[inline(always)]
fn extend<T: Ring>(bits: u64) -> T {
    if T::BITS <= 64 {
        T::from_u64(bits)
    } else {
        T::from_u128(bits as i64 as i128 as u128)
    }
}

/// A whole number below 2^126 as an element.
#[inline(always)]
fn whole<T: Ring>(v: f64) -> T {
    if T::BITS <= 64 {
        return T::from_u64(v as i64 as u64);
    }
    // Every step is exact: |v| has 53 significant bits, and those of its two halves are among them.
    let size = v.abs();
    let high = (size * power_of_two(-64)).floor();
    let low = size - high * power_of_two(64);
    let size = T::from_u128(low as u64 as u128 | (high as u64 as u128) << 64);
    if v < 0.0 {
        size.negated()
    } else {
        size
    }
}

#[inline(always)]
fn signed<T: Ring>(x: T) -> f64 {
    match T::BITS {
        32 => x.to_u64() as i32 as f64,
        64 => x.to_u64() as i64 as f64,
        _ => x.to_u128() as i128 as f64,
    }
}

/// round(x * 2^f), to the nearest and ties to even. Fails with the index of the first value that is NaN, infinite
/// or not below 2^(k-2-2f); `out` is then of no use.
pub fn encode<T: Ring>(out: &mut [T], x: &[f64], fraction_bits: u32) -> Result<(), (usize, Bad)> {
    let limit_log2 = limit_log2(T::BITS, fraction_bits);
    let (scale, limit) = (power_of_two(fraction_bits as i32), power_of_two(limit_log2));
    let small = limit_log2 + fraction_bits as i32 <= 51;
    let first = AtomicUsize::new(usize::MAX);
    parts(out, 1, LIGHT, |i, out| {
        let x = &x[i..i + out.len()];
        let good = if small {
            encode_small(out, x, scale, limit)
        } else {
            encode_large(out, x, scale, limit)
        };
        if !good {
            let bad = x.iter().position(|x| x.is_nan() || x.abs() >= limit);
            first.fetch_min(i + bad.unwrap_or(0), Ordering::Relaxed);
        }
    });
    match first.into_inner() {
        usize::MAX => Ok(()),
        i if x[i].is_nan() => Err((i, Bad::Nan)),
        i if x[i].is_infinite() => Err((i, Bad::Inf)),
        i => Err((i, Bad::Range)),
    }
}

/// x / 2^f, rounded once (to the nearest double).
pub fn decode<T: Ring>(out: &mut [f64], x: &[T], fraction_bits: u32) {
    let scale = power_of_two(-(fraction_bits as i32));
    parts(out, 1, LIGHT, |i, out| {
        decode_part(out, &x[i..i + out.len()], scale)
    });
}

/// 2^n, for -1022 <= n <= 1023.
#[inline(always)]
fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}
