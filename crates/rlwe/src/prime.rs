//! Arithmetic modulo a word prime, one number at a time: for tables, not for kernels, and never on secrets where the
//! name says `vartime`.

use crate::backend::BITS;

/// Primes are below this: sums of four residues then fit the 52 bits of a multiplier (Harvey, "Faster arithmetic for
/// number-theoretic transforms", 2014).
pub const MOST_BITS: u32 = 50;

pub fn mul(x: u64, y: u64, p: u64) -> u64 {
    (u128::from(x) * u128::from(y) % u128::from(p)) as u64
}

pub fn power(x: u64, mut exponent: u64, p: u64) -> u64 {
    let (mut square, mut result) = (x % p, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul(result, square, p);
        }
        square = mul(square, square, p);
        exponent >>= 1;
    }
    result
}

/// By Fermat: p is prime and does not divide x.
pub fn inverse(x: u64, p: u64) -> u64 {
    power(x, p - 2, p)
}

/// A constant factor w with floor(2^52 w / p), from which a product by it is reduced without division (Shoup).
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    pub value: u64,
    pub quotient: u64,
}

impl Factor {
    pub fn new(value: u64, p: u64) -> Factor {
        Factor {
            value,
            quotient: ((u128::from(value) << BITS) / u128::from(p)) as u64,
        }
    }
}

/// Miller and Rabin with the first twelve primes as bases, which decides below 3.3 * 10^24 (Sorenson and Webster 2015).
fn vartime_is_prime(n: u64) -> bool {
    let bases = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 || bases.iter().any(|&b| n != b && n.is_multiple_of(b)) {
        return false;
    }
    let twos = (n - 1).trailing_zeros();
    bases.iter().all(|&base| {
        if n == base {
            return true;
        }
        let mut x = power(base, (n - 1) >> twos, n);
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..twos).any(|_| {
            x = mul(x, x, n);
            x == n - 1
        })
    })
}

/// Distinct primes that are 1 modulo 2 `degree`, for each of `bits` the largest below 2^bits not taken yet; `None`
/// where there are none of half that size and more, or more than [`MOST_BITS`] are asked.
pub fn vartime_primes(degree: usize, bits: &[u32]) -> Option<Vec<u64>> {
    let step = 2 * degree as u64;
    let mut found: Vec<u64> = Vec::new();
    for &bits in bits {
        if bits > MOST_BITS || step >= 1 << (bits - 1) {
            return None;
        }
        let prime = (1..)
            .map(|i| (1u64 << bits) - i * step + 1)
            .take_while(|&p| p >> (bits - 1) == 1)
            .find(|&p| !found.contains(&p) && vartime_is_prime(p))?;
        found.push(prime);
    }
    Some(found)
}

/// An element of order 2 `degree`: the smallest such power of 2, 3, .., so that all parties take the same.
pub fn vartime_root(degree: usize, p: u64) -> u64 {
    (2..p)
        .map(|x| power(x, (p - 1) / (2 * degree as u64), p))
        .find(|&root| power(root, degree as u64, p) == p - 1)
        .expect("p is 1 modulo 2 degree")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_others() {
        let small: Vec<u64> = (0..60).filter(|&n| vartime_is_prime(n)).collect();
        assert_eq!(
            small,
            [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]
        );
        // Mersenne's, a Carmichael number, a strong pseudoprime to bases 2 to 31, a square.
        assert!(vartime_is_prime((1 << 61) - 1));
        for composite in [
            (1 << 59) - 1,
            561,
            3825123056546413051,
            1_000_003 * 1_000_003,
        ] {
            assert!(!vartime_is_prime(composite));
        }
    }

    #[test]
    fn primes_have_roots() {
        for degree in [4096, 8192, 16384] {
            let primes = vartime_primes(degree, &[50, 50, 47, 30]).unwrap();
            for &p in &primes {
                assert_eq!(p % (2 * degree as u64), 1);
                let root = vartime_root(degree, p);
                assert_eq!(power(root, degree as u64, p), p - 1);
                assert_eq!(mul(root, inverse(root, p), p), 1);
            }
            assert!(primes[0] > primes[1] && primes[1] >> 49 == 1 && primes[2] >> 46 == 1);
        }
        assert_eq!(vartime_primes(8192, &[51]), None);
        assert_eq!(vartime_primes(8192, &[14]), None);
    }
}
