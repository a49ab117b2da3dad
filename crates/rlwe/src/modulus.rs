//! Arithmetic modulo one prime below 2^50, and the search for such primes.
//!
//! Why 50 bits: the lazy butterflies of [`crate::ntt`] keep values below 4q, and the multipliers of IFMA read 52
//! bits. Larger primes would save a tenth of the passes elsewhere and lose the eightfold width here.

/// Primes have at most this many bits.
pub const MAX_BITS: u32 = 50;

/// A constant factor, with `floor(w 2^64 / q)` beside it (Shoup): a product then needs no division.
#[derive(Clone, Copy, Debug, Default)]
pub struct Factor {
    pub w: u64,
    quotient: u64,
}

/// A prime q < 2^50. Nothing here branches on the values that are reduced.
#[derive(Clone, Copy, Debug)]
pub struct Modulus {
    pub q: u64,
    /// floor(2^64 / q).
    inverse: u64,
    /// 2^64 mod q.
    word: Factor,
}

fn high(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

/// `x` or `x - q`, whichever is not negative, for x < 2q.
#[inline(always)]
pub fn once(x: u64, q: u64) -> u64 {
    x.min(x.wrapping_sub(q))
}

impl Modulus {
    /// `q` is odd, above 2 and below 2^50; the inverses need it to be prime.
    pub fn new(q: u64) -> Modulus {
        assert!(q > 2 && q % 2 == 1 && q < 1 << MAX_BITS);
        let mut m = Modulus {
            q,
            inverse: u64::MAX / q,
            word: Factor::default(),
        };
        m.word = m.factor(((1u128 << 64) % q as u128) as u64);
        m
    }

    pub fn bits(&self) -> u32 {
        64 - self.q.leading_zeros()
    }

    pub fn factor(&self, w: u64) -> Factor {
        debug_assert!(w < self.q);
        Factor {
            w,
            quotient: (((w as u128) << 64) / self.q as u128) as u64,
        }
    }

    /// x w modulo q, below 2q, for any x.
    #[inline(always)]
    pub fn times_lazy(&self, x: u64, f: Factor) -> u64 {
        x.wrapping_mul(f.w)
            .wrapping_sub(high(x, f.quotient).wrapping_mul(self.q))
    }

    #[inline(always)]
    pub fn times(&self, x: u64, f: Factor) -> u64 {
        once(self.times_lazy(x, f), self.q)
    }

    #[inline(always)]
    fn reduce_lazy(&self, x: u64) -> u64 {
        x.wrapping_sub(high(x, self.inverse).wrapping_mul(self.q))
    }

    #[inline(always)]
    pub fn reduce(&self, x: u64) -> u64 {
        once(self.reduce_lazy(x), self.q)
    }

    #[inline(always)]
    pub fn reduce_wide(&self, x: u128) -> u64 {
        let sum = self.times_lazy((x >> 64) as u64, self.word) + self.reduce_lazy(x as u64);
        once(once(sum, 2 * self.q), self.q)
    }

    /// A number of two's complement.
    #[inline(always)]
    pub fn reduce_signed(&self, x: i64) -> u64 {
        // |x| first: x mod q = q - (|x| mod q) for x < 0, without a branch on the sign.
        let sign = (x >> 63) as u64;
        let size = self.reduce((x as u64 ^ sign).wrapping_sub(sign));
        once(
            (size ^ sign).wrapping_sub(sign).wrapping_add(self.q & sign),
            self.q,
        )
    }

    #[inline(always)]
    pub fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce_wide(a as u128 * b as u128)
    }

    #[inline(always)]
    pub fn add(&self, a: u64, b: u64) -> u64 {
        once(a + b, self.q)
    }

    #[inline(always)]
    pub fn sub(&self, a: u64, b: u64) -> u64 {
        once(a + self.q - b, self.q)
    }

    #[inline(always)]
    pub fn neg(&self, a: u64) -> u64 {
        once(self.q - a, self.q)
    }

    pub fn pow(&self, mut base: u64, mut exponent: u64) -> u64 {
        let mut result = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, base);
            }
            base = self.mul(base, base);
            exponent >>= 1;
        }
        result
    }

    /// 1/a, for a public `a` that is not zero.
    pub fn inv(&self, a: u64) -> u64 {
        self.pow(a, self.q - 2)
    }

    /// A root of unity of order `2n`, a power of two that divides q - 1: x^((q-1)/2n) for the least x that works,
    /// so that all parties find the same.
    pub fn root(&self, n: usize) -> u64 {
        (2..self.q)
            .map(|x| self.pow(x, (self.q - 1) / (2 * n as u64)))
            .find(|psi| self.pow(*psi, n as u64) == self.q - 1)
            .expect("a prime that is 1 modulo 2n has a root of order 2n")
    }
}

/// Miller-Rabin with the first twelve primes: exact below 2^64 (Sorenson and Webster 2015).
pub fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 || BASES.iter().any(|b| n != *b && n.is_multiple_of(*b)) {
        return false;
    }
    if BASES.contains(&n) {
        return true;
    }
    let mul = |a: u64, b: u64| (a as u128 * b as u128 % n as u128) as u64;
    let twos = (n - 1).trailing_zeros();
    BASES.iter().all(|b| {
        let (mut x, mut base, mut e) = (1, *b, (n - 1) >> twos);
        while e > 0 {
            if e & 1 == 1 {
                x = mul(x, base);
            }
            base = mul(base, base);
            e >>= 1;
        }
        if x == 1 {
            return true;
        }
        for _ in 0..twos {
            if x == n - 1 {
                return true;
            }
            x = mul(x, x);
        }
        false
    })
}

/// All primes of the crate are 1 modulo this, so that they serve every degree up to 16384.
pub const STEP: u64 = 1 << 15;

/// The largest prime below 2^bits that is 1 modulo [`STEP`] and not among `taken`; none if there is none of
/// exactly `bits` bits.
pub fn prime_below(bits: u32, taken: &[u64]) -> Option<u64> {
    let top = 1u64 << bits;
    (1..top / STEP / 2)
        .map(|i| top - i * STEP + 1)
        .find(|q| is_prime(*q) && !taken.contains(q))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moduli() -> Vec<Modulus> {
        [50, 49, 40, 30, 22]
            .map(|bits| Modulus::new(prime_below(bits, &[]).unwrap()))
            .to_vec()
    }

    #[test]
    fn primes_are_prime_and_largest() {
        for m in moduli() {
            assert_eq!(m.q % STEP, 1);
            assert!((2..)
                .take_while(|d| d * d <= m.q.min(1 << 40))
                .all(|d| m.q % d != 0));
            assert_eq!(m.bits(), 64 - (m.q - 1).leading_zeros());
        }
        let first = prime_below(50, &[]).unwrap();
        let second = prime_below(50, &[first]).unwrap();
        assert!(second < first);
        assert!(is_prime(2) && is_prime(37) && is_prime(41) && !is_prime(1) && !is_prime(0));
        // Strong pseudoprimes to the first bases.
        assert!(!is_prime(3_215_031_751) && !is_prime(3_825_123_056_546_413_051));
    }

    #[test]
    fn reductions_are_remainders() {
        for m in moduli() {
            let q = m.q as u128;
            let mut x = 0x9e37_79b9_7f4a_7c15_u64;
            let edges = [
                0,
                1,
                m.q - 1,
                m.q,
                m.q + 1,
                2 * m.q,
                u64::MAX,
                u64::MAX - 1,
                1 << 63,
            ];
            for i in 0..3000 {
                x = x.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
                let a = edges.get(i).copied().unwrap_or(x);
                let b = x.rotate_left(17);
                let wide = (a as u128) << 64 | b as u128;
                assert_eq!(m.reduce(a) as u128, a as u128 % q);
                assert_eq!(m.reduce_wide(wide) as u128, wide % q);
                assert_eq!(
                    m.reduce_signed(a as i64) as i128,
                    (a as i64 as i128).rem_euclid(q as i128)
                );
                let f = m.factor(m.reduce(b));
                assert_eq!(m.times(a, f) as u128, a as u128 * f.w as u128 % q);
                let (c, d) = (m.reduce(a), m.reduce(b));
                assert_eq!(m.mul(c, d) as u128, c as u128 * d as u128 % q);
                assert_eq!(m.add(c, d) as u128, (c as u128 + d as u128) % q);
                assert_eq!(m.sub(c, d) as u128, (c as u128 + q - d as u128) % q);
                assert_eq!(m.add(m.neg(c), c), 0);
            }
            let a = m.reduce(x);
            assert_eq!(m.mul(a, m.inv(a)), 1);
        }
    }
}
