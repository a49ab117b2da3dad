//! Parameters of products of matrices, by the ring's width and the plain operand's.
//!
//! Computed, not listed: the modulus follows from the noise ([`crate::noise`]), the degree is the smallest that has
//! 128 bits of security for it. What comes out for full operands is
//!
//! | ring | rounding | degree | bits of q | answer bits | bound |
//! | --- | --- | --- | --- | --- | --- |
//! | 64 | exact | 8192 | 188 | 113 | 218 |
//! | 64 | last place | 8192 | 188 | 74 | 218 |
//! | 48 | exact | 8192 | 156 | 97 | 218 |
//! | 48 | last place | 8192 | 156 | 58 | 218 |
//! | 40 | exact | 8192 | 140 | 89 | 218 |
//! | 40 | last place | 8192 | 140 | 50 | 218 |
//! | 32 | exact | 8192 | 124 | 81 | 218 |
//! | 32 | last place | 8192 | 124 | 42 | 218 |

use crate::chain::{Chain, SECURE};
use crate::error::Error;
use crate::noise::{bits, of_products, of_switching, STATISTICAL_BITS};
use crate::prime::{power, MOST_BITS};
use std::sync::Arc;

/// What becomes of the noise in the shares of a result.
///
/// The evaluator's share is its mask r, rounded from q to the ring; the client's is what it decrypts, the result plus
/// noise plus r, rounded. Both together are wrong by one where the noise moves the mask over the middle between two
/// numbers, which has the probability noise / (q / 2^l), whatever the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Noise below 2^-40 of a unit: a result is wrong, by one, with probability less than 2^-39.
    Exact,
    /// Answers of fewer bits, so that the error of switching is below half a unit: results are off by at most one in the
    /// last place, some in a hundred. When they are depends on the client's key and on what hides c1 alone; the noise
    /// that depends on the evaluator's operand stays below 2^-40 of a unit, for whoever sees a result and knows the
    /// client's share would learn from each whether it crossed a half.
    LastPlace,
}

/// The most coefficients of plain polynomials in one answer, which bounds the inner dimension.
pub const TERMS: usize = 1 << 20;

/// Ring, widths and modulus. Building it takes milliseconds: keep it. Clients and servers share it.
#[derive(Debug)]
pub struct Params {
    pub ring_bits: u32,
    /// Bits of the plain operand as a signed number.
    pub operand_bits: u32,
    pub rounding: Rounding,
    pub chain: Chain,
}

impl Params {
    /// Products modulo 2^`ring_bits`, 8 to 64, by plain operands of `operand_bits` as signed numbers: those of the
    /// ring for shares, fewer where the evaluator's matrix is in the clear and small.
    pub fn new(
        ring_bits: u32,
        operand_bits: u32,
        rounding: Rounding,
    ) -> Result<Arc<Params>, Error> {
        for (got, least, most) in [(ring_bits, 8, 64), (operand_bits, 1, ring_bits)] {
            if !(least..=most).contains(&got) {
                return Err(Error::Width { got, least, most });
            }
        }
        let mut wanted = 0;
        for (degree, most) in SECURE {
            let (prime_bits, answer_bits) = widths(degree, ring_bits, operand_bits, rounding);
            wanted = prime_bits.iter().sum();
            if wanted <= most {
                let chain = Chain::new(degree, &prime_bits, answer_bits)?;
                return Ok(Arc::new(Params {
                    ring_bits,
                    operand_bits,
                    rounding,
                    chain,
                }));
            }
        }
        Err(Error::NoParameters { bits: wanted })
    }

    pub(crate) fn ring_mask(&self) -> u64 {
        u64::MAX >> (64 - self.ring_bits)
    }

    /// Scaling a to q needs no big numbers: round(q a / t) = (q a + t/2 - v) / t with v = q a + t/2 mod t, which
    /// modulo a prime of q is (t/2 - v) / t, where t = 2^l. This is v.
    #[inline]
    pub(crate) fn before_scale(&self, a: u64) -> u64 {
        let half = 1u64 << (self.ring_bits - 1);
        self.chain.low.wrapping_mul(a).wrapping_add(half) & self.ring_mask()
    }

    /// Adds (t/2 - v) / t modulo prime `i`.
    pub(crate) fn scale(&self, i: usize, v: &[u64], out: &mut [u64]) {
        let ntt = &self.chain.primes[i];
        // 1/2, and 1/t as a power of it.
        let half = ntt.prime / 2 + 1;
        let unit = power(half, self.ring_bits.into(), ntt.prime);
        ntt.add_words(v, ntt.prime - unit, half, out);
    }

    /// The share of a number modulo 2^w: the nearest in the ring.
    pub(crate) fn round(&self, x: u128) -> u64 {
        let shift = self.chain.answer_bits - self.ring_bits;
        ((x + (1 << (shift - 1))) >> shift) as u64 & self.ring_mask()
    }
}

/// Bits of each prime and of the answer: half the error that may be is for the products, half for the switching.
fn widths(degree: usize, ring: u32, operand: u32, rounding: Rounding) -> (Vec<u32>, u32) {
    let exact = STATISTICAL_BITS + 1;
    let last = match rounding {
        Rounding::Exact => exact,
        Rounding::LastPlace => 2,
    };
    let products = of_products(degree, TERMS as f64, 2f64.powi(operand as i32 - 1));
    let answer = ring + last + bits(of_switching(degree));
    // q is a little less than two to its bits, by far less than noise bounds are above what is seen.
    let q = ring + exact + bits(1.001 * products);
    (
        prime_bits(q.max(answer + degree.trailing_zeros() + 2)),
        answer,
    )
}

/// As few primes as there can be, of about equal length.
pub(crate) fn prime_bits(total: u32) -> Vec<u32> {
    let count = total.div_ceil(MOST_BITS);
    (0..count)
        .map(|i| total / count + u32::from(i < total % count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rounding::{Exact, LastPlace};

    /// The table above.
    #[test]
    fn parameters_are_those_of_the_table() {
        for (ring, rounding, degree, bits, answer, bound) in [
            (64, Exact, 8192, 188, 113, 218),
            (64, LastPlace, 8192, 188, 74, 218),
            (48, Exact, 8192, 156, 97, 218),
            (48, LastPlace, 8192, 156, 58, 218),
            (40, Exact, 8192, 140, 89, 218),
            (40, LastPlace, 8192, 140, 50, 218),
            (32, Exact, 8192, 124, 81, 218),
            (32, LastPlace, 8192, 124, 42, 218),
        ] {
            let chain = &Params::new(ring, ring, rounding).unwrap().chain;
            assert_eq!(
                (chain.degree, chain.bits, chain.answer_bits),
                (degree, bits, answer)
            );
            assert!(SECURE.contains(&(degree, bound)) && bits <= bound);
        }
    }

    #[test]
    fn narrow_operands_take_fewer_bits() {
        let wide = Params::new(64, 64, LastPlace).unwrap().chain.bits;
        let narrow = Params::new(64, 26, LastPlace).unwrap().chain.bits;
        assert!(narrow + 30 < wide);
    }

    /// The bound of the noise takes q for a thousandth less than two to its bits.
    #[test]
    fn moduli_are_as_long_as_their_bits_say() {
        for ring in 8..=64 {
            for (operand, rounding) in [(ring, Exact), (ring, LastPlace), (1, LastPlace)] {
                let chain = &Params::new(ring, operand, rounding).unwrap().chain;
                let q = chain.primes.iter().fold(1.0, |q, ntt| q * ntt.prime as f64);
                assert!(
                    1.001 * q >= 2f64.powi(chain.bits as i32),
                    "{ring} {operand}"
                );
            }
        }
    }

    #[test]
    fn widths_are_checked() {
        for (ring, operand) in [(65, 64), (7, 7), (32, 33), (32, 0)] {
            assert!(matches!(
                Params::new(ring, operand, Exact),
                Err(Error::Width { .. })
            ));
        }
    }
}
