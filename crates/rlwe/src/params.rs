//! Parameters of products of matrices, by the ring's width and the plain operand's.
//!
//! Computed, not listed: the modulus follows from the noise ([`crate::noise`]), the degree is the smallest that has
//! 128 bits of security for it. What comes out for full operands is
//!
//! | ring | degree | bits of q | answer bits | bound |
//! | --- | --- | --- | --- | --- |
//! | 64 | 8192 | 197 | 73 | 214 |
//! | 48 | 8192 | 165 | 57 | 214 |
//! | 40 | 8192 | 149 | 49 | 214 |
//! | 32 | 8192 | 133 | 41 | 214 |

use crate::chain::{Chain, MERGED, SECURE};
use crate::cipher::public_length;
use crate::error::Error;
use crate::merge::{self, KEY_PRIMES, MOST};
use crate::noise::{bits, of_merging, of_products, of_switching, STATISTICAL_BITS};
use crate::prime::{power, MOST_BITS};
use std::sync::Arc;

/// The most coefficients of plain polynomials in one answer, which bounds the inner dimension.
pub const TERMS: usize = 1 << 20;

/// Ring, widths and modulus. Building it takes milliseconds: keep it. Clients and servers share it.
#[derive(Debug)]
pub struct Params {
    pub ring_bits: u32,
    /// Bits of the plain operand as a signed number.
    pub operand_bits: u32,
    /// Whether answers may be merged, for which the client makes keys ([`crate::merge`]).
    pub merging: bool,
    pub chain: Chain,
}

impl Params {
    /// Products modulo 2^`ring_bits`, 8 to 64, by plain operands of `operand_bits` as signed numbers: those of the
    /// ring for shares, fewer where the evaluator's matrix is in the clear and small.
    pub fn new(ring_bits: u32, operand_bits: u32) -> Result<Arc<Params>, Error> {
        Params::build(ring_bits, operand_bits).map(Arc::new)
    }

    /// The same, where answers may be merged. Refused where q has no primes for it.
    pub fn merging(ring_bits: u32, operand_bits: u32) -> Result<Arc<Params>, Error> {
        let params = Params::build(ring_bits, operand_bits)?;
        if params.chain.primes.len() < KEY_PRIMES || params.merged() > 0.5 {
            return Err(Error::NoMerging);
        }
        Ok(Arc::new(Params {
            merging: true,
            ..params
        }))
    }

    fn build(ring_bits: u32, operand_bits: u32) -> Result<Params, Error> {
        for (got, least, most) in [(ring_bits, 8, 64), (operand_bits, 1, ring_bits)] {
            if !(least..=most).contains(&got) {
                return Err(Error::Width { got, least, most });
            }
        }
        let mut wanted = 0;
        for (degree, most) in SECURE {
            let (prime_bits, answer_bits) = widths(degree, ring_bits, operand_bits);
            wanted = prime_bits.iter().sum();
            if wanted <= most {
                return Ok(Params {
                    ring_bits,
                    operand_bits,
                    merging: false,
                    chain: Chain::new(degree, &prime_bits, answer_bits)?,
                });
            }
        }
        Err(Error::NoParameters { bits: wanted })
    }

    /// Bytes of a client's public key.
    pub fn key_bytes(&self) -> usize {
        let merging = if self.merging {
            merge::length(&self.chain)
        } else {
            0
        };
        public_length(&self.chain, 1) + merging
    }

    /// The bound of the error of merging, in places of an answer.
    fn merged(&self) -> f64 {
        let p = |i: usize| self.chain.primes[i].prime as f64;
        let small: f64 = (0..MERGED).map(p).product();
        let error = of_merging(self.chain.degree, MOST, p(0) / p(MERGED));
        error * 2f64.powi(self.chain.answer_bits as i32) / small
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

    /// What a number modulo 2^w stands for: the nearest in the ring.
    pub(crate) fn round(&self, x: u128) -> u64 {
        let shift = self.answer_shift();
        ((x + (1 << (shift - 1))) >> shift) as u64 & self.ring_mask()
    }

    /// A number of the ring is so many bits further up in an answer.
    pub(crate) fn answer_shift(&self) -> u32 {
        self.chain.answer_bits - self.ring_bits
    }
}

/// Bits of each prime and of the answer. Of an answer's unit, 2^(w - l), one half has room for the error of switching,
/// and for one more that the noise of products is far below, and that of merging below half. Of q, so many that this noise is 2^-41 of a place of the
/// answer, q / 2^w, or less: it moves a number over the middle of a place, from either side, once in 2^40 times.
fn widths(degree: usize, ring: u32, operand: u32) -> (Vec<u32>, u32) {
    let products = of_products(degree, TERMS as f64, 2f64.powi(operand as i32 - 1));
    let answer = ring + 1 + bits(of_switching(degree) + 1.0);
    // q is a little less than two to its bits, by far less than noise bounds are above what is seen.
    let q = answer + STATISTICAL_BITS + 1 + bits(1.001 * products);
    (prime_bits(q), answer)
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
    use crate::sample::ERROR_VARIANCE;

    /// The table above.
    #[test]
    fn parameters_are_those_of_the_table() {
        for (ring, degree, bits, answer, bound) in [
            (64, 8192, 197, 73, 214),
            (48, 8192, 165, 57, 214),
            (40, 8192, 149, 49, 214),
            (32, 8192, 133, 41, 214),
        ] {
            let chain = &Params::new(ring, ring).unwrap().chain;
            assert_eq!(
                (chain.degree, chain.bits, chain.answer_bits),
                (degree, bits, answer)
            );
            assert!(SECURE.contains(&(degree, bound)) && bits <= bound);
        }
    }

    #[test]
    fn narrow_operands_take_fewer_bits() {
        let wide = Params::new(64, 64).unwrap().chain.bits;
        let narrow = Params::new(64, 26).unwrap().chain.bits;
        assert!(narrow + 30 < wide);
    }

    /// The bound of the noise takes q for a thousandth less than two to its bits.
    #[test]
    fn moduli_are_as_long_as_their_bits_say() {
        for ring in 8..=64 {
            for operand in [ring, 1] {
                let chain = &Params::new(ring, operand).unwrap().chain;
                let q = chain.primes.iter().fold(1.0, |q, ntt| q * ntt.prime as f64);
                assert!(
                    1.001 * q >= 2f64.powi(chain.bits as i32),
                    "{ring} {operand}"
                );
            }
        }
    }

    /// Noise is less than what an answer is simulated with, not only with a probability of 2^-40.
    #[test]
    fn q_has_room_for_noise_of_a_hundred_deviations() {
        for (ring, operand) in [(64, 64), (32, 32), (64, 8), (8, 1)] {
            let chain = &Params::new(ring, operand).unwrap().chain;
            let room = (chain.bits - chain.answer_bits - STATISTICAL_BITS - 1) as i32;
            let terms = TERMS as f64;
            let zero = 2.0 * chain.degree as f64;
            let noise = |count: f64| 100.0 * (ERROR_VARIANCE * count).sqrt();
            let products = 2f64.powi(operand as i32 - 1) * (noise(terms) + terms / 2.0);
            let bound = products + noise(zero);
            assert!(1.001 * bound < 2f64.powi(room), "{ring} {operand}");
        }
    }

    #[test]
    fn merging_needs_three_primes() {
        for ring in [32, 64] {
            let params = Params::merging(ring, ring).unwrap();
            assert!(params.merging && params.merged() < 0.01);
        }
        assert_eq!(Params::merging(8, 1).unwrap_err(), Error::NoMerging);
    }

    #[test]
    fn widths_are_checked() {
        for (ring, operand) in [(65, 64), (7, 7), (32, 33), (32, 0)] {
            assert!(matches!(
                Params::new(ring, operand),
                Err(Error::Width { .. })
            ));
        }
    }
}
