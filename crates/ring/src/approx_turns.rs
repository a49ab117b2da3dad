//! Sine, cosine and powers of two of an angle or exponent given as a 64-bit word, in blocks.
//!
//! Only `+ - *` on f64 and integer operations, in a fixed order and without fused multiply-add, so that every machine
//! and every vector width gives the same bits; no branch and no table depends on the argument.

/// Elements handled together: small enough for the first-level cache, a multiple of every vector width.
pub const BLOCK: usize = 64;

pub type Lane = [f64; BLOCK];

/// 1.5 * 2^52: adding it to |v| < 2^51 rounds v to the nearest integer, ties to even, in the low bits.
const ROUND: f64 = 6755399441055744.0;

/// The integer nearest to `v`, in two's complement. |v| < 2^51.
#[inline(always)]
pub fn nearest(v: f64) -> u64 {
    (v + ROUND).to_bits().wrapping_sub(ROUND.to_bits())
}

/// Cosine and sine of `phase / 2^64` turns. Error below 2^-50.
#[inline(always)]
pub fn cos_sin(phase: &[u64; BLOCK], cos: &mut Lane, sin: &mut Lane) {
    const TURN: f64 = std::f64::consts::TAU / 18446744073709551616.0;
    for i in 0..BLOCK {
        let quarter = phase[i].wrapping_add(1 << 61) >> 62;
        let rest = phase[i].wrapping_sub(quarter << 62) as i64;
        let x = rest as f64 * TURN; // |x| <= pi/4
        let z = x * x;
        let mut s = 1.0 / 1307674368000.0;
        s = 1.0 / 6227020800.0 - z * s;
        s = 1.0 / 39916800.0 - z * s;
        s = 1.0 / 362880.0 - z * s;
        s = 1.0 / 5040.0 - z * s;
        s = 1.0 / 120.0 - z * s;
        s = 1.0 / 6.0 - z * s;
        s = x - x * z * s;
        let mut c = 1.0 / 20922789888000.0;
        c = 1.0 / 87178291200.0 - z * c;
        c = 1.0 / 479001600.0 - z * c;
        c = 1.0 / 3628800.0 - z * c;
        c = 1.0 / 40320.0 - z * c;
        c = 1.0 / 720.0 - z * c;
        c = 1.0 / 24.0 - z * c;
        c = 0.5 - z * c;
        c = 1.0 - z * c;
        // Quarter q turns (c, s) into (c, s), (-s, c), (-c, -s), (s, -c): swap on odd q, then signs.
        let odd = (quarter & 1).wrapping_neg();
        let (cb, sb) = (c.to_bits(), s.to_bits());
        let swap = (cb ^ sb) & odd;
        let negative_cos = (quarter ^ (quarter >> 1)) << 63;
        let negative_sin = (quarter >> 1) << 63;
        cos[i] = f64::from_bits(cb ^ swap ^ negative_cos);
        sin[i] = f64::from_bits(sb ^ swap ^ negative_sin);
    }
}

/// 2^(x / 2^57) for a fraction x in [0, 2^57). Relative error below 2^-48.
#[inline(always)]
pub fn power_of_two(fraction: u64) -> f64 {
    const SCALE: f64 = std::f64::consts::LN_2 / 144115188075855872.0;
    let x = fraction as i64 as f64 * SCALE - 0.5 * std::f64::consts::LN_2;
    let mut p = 1.0 / 479001600.0;
    p = 1.0 / 39916800.0 + x * p;
    p = 1.0 / 3628800.0 + x * p;
    p = 1.0 / 362880.0 + x * p;
    p = 1.0 / 40320.0 + x * p;
    p = 1.0 / 5040.0 + x * p;
    p = 1.0 / 720.0 + x * p;
    p = 1.0 / 120.0 + x * p;
    p = 1.0 / 24.0 + x * p;
    p = 1.0 / 6.0 + x * p;
    p = 0.5 + x * p;
    p = 1.0 + x * p;
    p = 1.0 + x * p;
    p * std::f64::consts::SQRT_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cos_sin_is_right_all_around() {
        let mut phase = [0u64; BLOCK];
        for seed in 0..2000u64 {
            for (i, p) in phase.iter_mut().enumerate() {
                let j = seed * BLOCK as u64 + i as u64;
                *p = match j % 4 {
                    0 => (j / 4) << 61,
                    1 => ((j / 4) << 61).wrapping_sub(1),
                    _ => j.wrapping_mul(0x9e3779b97f4a7c15),
                };
            }
            let (mut c, mut s) = ([0.0; BLOCK], [0.0; BLOCK]);
            cos_sin(&phase, &mut c, &mut s);
            for i in 0..BLOCK {
                let angle = (phase[i] as i64 as f64) / 2f64.powi(64) * std::f64::consts::TAU;
                assert!((c[i] - angle.cos()).abs() < 4e-15, "cos {}", phase[i]);
                assert!((s[i] - angle.sin()).abs() < 4e-15, "sin {}", phase[i]);
            }
        }
    }

    #[test]
    fn power_of_two_is_right() {
        for j in 0..10000u64 {
            let fraction = j.wrapping_mul(0x9e3779b97f4a7c15) >> 7;
            let want = (fraction as f64 / 2f64.powi(57)).exp2();
            assert!((power_of_two(fraction) / want - 1.0).abs() < 3e-15);
        }
    }

    #[test]
    fn nearest_rounds_both_signs() {
        for (v, want) in [
            (0.49, 0i64),
            (0.51, 1),
            (-0.51, -1),
            (1e9 + 0.6, 1000000001),
            (-3.0, -3),
        ] {
            assert_eq!(nearest(v) as i64, want);
        }
    }
}
