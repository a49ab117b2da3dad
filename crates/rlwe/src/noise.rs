//! How large errors get, from which moduli follow.
//!
//! A sum of independent errors with given weights is subgaussian with the sum of their variances, a centred binomial
//! as a uniform number of rounding: it exceeds z = 7.6 standard deviations with probability 2 exp(-z^2/2) <
//! 2^-40 (Hoeffding).

use crate::chain::MERGED;
use crate::sample::ERROR_VARIANCE;

/// z: 2 exp(-z^2 / 2) is 2^-40.7.
const DEVIATIONS: f64 = 7.6;

/// Statistical security, and the probability of a wrong result, are 2^-40.
pub const STATISTICAL_BITS: u32 = 40;

/// Bound of the error of (message + e + rho) b summed over products, where the b together have `terms` coefficients
/// of size at most `size`, e is the error of encryption and rho, at most 1/2, that of scaling, which is not random
/// and counts in full. To it comes the evaluator's encryption of zero, e_p u + e_1 s.
pub fn of_products(degree: usize, terms: f64, size: f64) -> f64 {
    let products = size * (DEVIATIONS * (ERROR_VARIANCE * terms).sqrt() + terms / 2.0);
    let zero = DEVIATIONS * (ERROR_VARIANCE * 2.0 * degree as f64).sqrt();
    products + zero
}

/// Bound of the error of switching, of rho_0 + rho_1 s with all of s non-zero, in units of the answer's modulus; the
/// variance of rounding is 1/12.
pub fn of_switching(degree: usize) -> f64 {
    DEVIATIONS * ((1 + degree) as f64 / 12.0).sqrt()
}

/// Bound of the error of merging answers at multiples of `step`, modulo q', where digits are at most `digit` P. Each
/// joining of two has the errors of keys times a digit a prime, over P, and of rounding; those of the first are doubled
/// by the second, and so on.
pub fn of_merging(degree: usize, step: usize, digit: f64) -> f64 {
    let keys = (MERGED * degree) as f64 * ERROR_VARIANCE;
    (DEVIATIONS * digit * keys.sqrt() + of_switching(degree)) * (step - 1) as f64
}

/// The least b with 2^b >= x: no logarithm, whose last digit differs between platforms.
pub fn bits(x: f64) -> u32 {
    (0..1000).find(|&b| 2f64.powi(b) >= x).unwrap_or(1000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use crate::cipher::{expand, PublicKey, SecretKey};
    use crate::merge::{keys, Merger};
    use crate::params::Params;
    use crate::sample::Seed;
    use crate::scratch::Buffer;
    use crate::wire::{pack, packed};

    /// What is known of an answer to a request for products by -2^(l-1) at `terms` coefficients.
    struct Answer {
        key: SecretKey,
        /// c0 and c1 modulo q, as values, with an encryption of zero.
        halves: [Buffer; 2],
        results: Vec<u64>,
    }

    fn answer(params: &Params, terms: usize) -> Answer {
        let chain = &params.chain;
        let n = chain.degree;
        let key = SecretKey::new(chain).unwrap();
        let public = PublicKey::read(chain, &key.public_key(chain, 1).unwrap()).unwrap();
        let (uniform, secret) = (Seed::fresh().unwrap(), Seed::fresh().unwrap());
        let m: Vec<u64> = (0..n as u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let v: Vec<u64> = m.iter().map(|&m| params.before_scale(m)).collect();
        let c0 = key.encrypt(&chain.primes, &uniform, &secret, 0, |i, out| {
            params.scale(i, &v, out)
        });
        let mut halves = [c0, expand(&chain.primes, &uniform, 0)];
        let largest = 1u64 << (params.ring_bits - 1);
        for (i, ntt) in chain.primes.iter().enumerate() {
            let mut b = vec![0; n];
            for at in 0..terms {
                b[at * (n / terms)] = ntt.prime - largest % ntt.prime;
            }
            ntt.forward(&mut b);
            let b = ntt.known(b);
            for half in &mut halves {
                let part = &mut half[i * n..(i + 1) * n];
                let values = part.to_vec();
                part.fill(0);
                ntt.add_product(&values, &b, part);
            }
        }
        public.hide(chain, &Seed::fresh().unwrap(), 0, &mut halves);
        // Modulo 2^l, minus 2^(l-1) times the sum of the terms' coefficients: the signs do not matter.
        let sum = |at| {
            (0..terms).fold(0u64, |sum, term| {
                sum.wrapping_add(m[(at + n - term * (n / terms)) % n])
            })
        };
        Answer {
            key,
            halves,
            results: (0..n)
                .map(|at| sum(at).wrapping_mul(largest) & params.ring_mask())
                .collect(),
        }
    }

    /// Noise of products by a few terms of the largest size, in units of the answer's modulus, beside its bound.
    fn measured(params: &Params, terms: usize) -> (f64, f64) {
        let chain = &params.chain;
        let (n, w) = (chain.degree, chain.answer_bits);
        let Answer {
            key,
            halves,
            results,
        } = answer(params, terms);
        let [c0, c1] = halves.map(|half| chain.switch(half));
        let mut bytes = vec![0; packed(n, w)];
        pack((0..n).map(c1), w, &mut bytes);
        let product = key.product(chain, &bytes).unwrap();
        let mut most = 0f64;
        for at in 0..n {
            let want = u128::from(results[at]) << params.answer_shift();
            let off = c0(at).wrapping_sub(product(at)).wrapping_sub(want) << (128 - w);
            most = most.max((off as i128 as f64 / 2f64.powi(128 - w as i32)).abs());
        }
        let q = chain.primes.iter().fold(1.0, |q, ntt| q * ntt.prime as f64);
        let largest = 2f64.powi(params.ring_bits as i32 - 1);
        let products = of_products(n, terms as f64, largest);
        (most, products / q * 2f64.powi(w as i32) + of_switching(n))
    }

    /// At how many positions an answer is not the one that the simulator makes of c1, the key and the results, which
    /// knows no noise. Where answers may be merged, it is merged with another.
    fn told(params: &Params) -> usize {
        let chain = &params.chain;
        let n = chain.degree;
        let Answer {
            key,
            halves: [c0, c1],
            results,
        } = answer(params, 4096);
        let mut simulated = key.minus_times(chain, &c1);
        let words: Vec<u64> = results.iter().map(|&x| params.before_scale(x)).collect();
        for (i, ntt) in chain.primes.iter().enumerate() {
            let mut scaled = vec![0; n];
            params.scale(i, &words, &mut scaled);
            ntt.forward(&mut scaled);
            let part = simulated[i * n..(i + 1) * n].iter_mut();
            part.zip(scaled).for_each(|(x, y)| *x += y);
        }
        let (real, simulated) = (chain.fractions(c0), chain.fractions(simulated));
        let differ = |at: usize, added: u128| {
            let [real, simulated] = [real(at), simulated(at)].map(|x| x.wrapping_add(added));
            chain.rounded(real) != chain.rounded(simulated)
        };
        if !params.merging {
            return (0..n).filter(|&at| differ(at, 0)).count();
        }
        let merger = Merger::read(chain, &keys(&key, chain).unwrap()).unwrap();
        let other = expand(&chain.primes, &Seed::fresh().unwrap(), 0);
        let leaves = [c1, other].map(|c1| chain.lower(c1, 1));
        let [added, _] = merger.merge(chain, leaves.into(), 2);
        let added = chain.low_fractions(&added);
        let mut even = (0..n).step_by(2);
        2 * even.by_ref().filter(|&at| differ(at, added(at))).count()
    }

    fn check(params: &Params) {
        for terms in [1, 64, 4096] {
            let (most, bound) = measured(params, terms);
            println!(
                "modulo 2^{} with q of {} bits, {terms} terms: noise {:.1} bits, bound {:.1}, room {}",
                params.ring_bits,
                params.chain.bits,
                most.log2(),
                bound.log2(),
                params.answer_shift() - 1
            );
            assert!(most <= bound && most > bound / 256.0, "{most} {bound}");
        }
    }

    /// Over 8,192 coefficients the largest is some 4 deviations, the bound 7.6 and what rounding can do at worst. Here
    /// switching makes the most of it.
    #[test]
    fn noise_is_below_its_bound_and_not_far() {
        for ring in [64, 32] {
            check(&Params::new(ring, ring).unwrap());
        }
    }

    /// The noise depends on what the evaluator has; an answer does not, unless it is so wide that the noise shows.
    #[test]
    fn answers_are_those_of_a_simulator_without_noise() {
        for ring in [64, 32] {
            assert_eq!(told(&Params::new(ring, ring).unwrap()), 0, "{ring}");
            assert_eq!(told(&Params::merging(ring, ring).unwrap()), 0, "{ring}");
        }
        for merging in [false, true] {
            let shown = told(&Params {
                ring_bits: 64,
                operand_bits: 64,
                merging,
                chain: Chain::new(8192, &[50, 49, 49, 49], 120).unwrap(),
            });
            assert!(shown > 20, "{merging} {shown}");
        }
    }

    /// With an answer almost as wide as q, products make the most of it.
    #[test]
    fn noise_of_products_is_below_its_bound_and_not_far() {
        check(&Params {
            ring_bits: 48,
            operand_bits: 48,
            merging: false,
            chain: Chain::new(8192, &[47, 46, 46], 120).unwrap(),
        });
    }

    #[test]
    fn bits_are_rounded_up() {
        let of: Vec<u32> = [0.5, 1.0, 1.5, 2.0, 2.1, 1024.0]
            .into_iter()
            .map(bits)
            .collect();
        assert_eq!(of, [0, 0, 1, 1, 2, 10]);
    }
}
