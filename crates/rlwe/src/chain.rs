//! The modulus q of ciphertexts, a product of word primes, and the power of two that answers are switched to.
//!
//! Ciphertexts are computed with modulo q, by residues. An answer leaves modulo 2^w: the fraction c/q of every
//! coefficient, rounded to w bits. That is shorter, every string of bits is valid, and rounding to the ring is a
//! shift.

use crate::backend::{kernels, BITS, LOW};
use crate::error::Error;
use crate::ntt::Ntt;
use crate::prime::{inverse, mul, power, vartime_primes};
use crate::scratch::Buffer;
use crate::wire::{bits, packed};
use rayon::prelude::*;

/// Degree, and the most bits that its modulus may have: 128 bits against classical attacks, secrets uniform in {-1, 0, 1}.
/// The tables of "Security Guidelines for Implementing Homomorphic Encryption" (eprint 2024/463), which stay below those of
/// the Homomorphic Encryption Standard of 2018 (109, 218 and 438).
pub const SECURE: [(usize, u32); 3] = [(4096, 106), (8192, 214), (16384, 430)];

/// The widest answer: a sum over [`MOST_PRIMES`] residues must leave room in 128 bits.
const WIDEST: u32 = 120;
const MOST_PRIMES: usize = 8;

/// Primes of q', the modulus that answers are merged with ([`crate::merge`]).
pub(crate) const MERGED: usize = 2;

#[derive(Debug)]
pub struct Chain {
    pub degree: usize,
    pub primes: Vec<Ntt>,
    /// Bits of q, rounded up.
    pub bits: u32,
    /// w: answers are modulo 2^w.
    pub answer_bits: u32,
    /// Tells one chain from another.
    pub fingerprint: u64,
    /// q modulo 2^64.
    pub low: u64,
    fractions: Vec<Fraction>,
    /// Of q'.
    low_fractions: Vec<Fraction>,
    /// 1/p modulo another prime, that one's first.
    inverses: Vec<Vec<u64>>,
    turns: Vec<Turn>,
    joins: Joins,
}

/// c/q is the sum of y/p over the primes p, modulo 1, with y = c (q/p)^-1 mod p.
#[derive(Debug)]
struct Fraction {
    cofactor_inverse: u64,
    /// floor(2^192 / p), the highest word first.
    reciprocal: [u64; 3],
}

/// Numbers from their residues modulo several primes, whose product is Q: a number below Q/4 in size is the sum of y
/// Q/p over the primes p, with y its residue times (Q/p)^-1, less Q times the nearest whole number to the sum of y/p.
#[derive(Debug)]
pub(crate) struct Joins {
    parts: Vec<Join>,
    /// Q modulo 2^128.
    product: u128,
}

#[derive(Debug)]
struct Join {
    cofactor_inverse: u64,
    /// Q/p modulo 2^128.
    cofactor: u128,
    /// floor(2^(60 + shift) / p), below 2^62.
    reciprocal: u64,
    shift: u32,
}

impl Chain {
    /// Primes of these many bits. Refused where the table has less than 128 bits of security for them.
    pub fn new(degree: usize, prime_bits: &[u32], answer_bits: u32) -> Result<Chain, Error> {
        let total: u32 = prime_bits.iter().sum();
        let (_, most) = SECURE
            .into_iter()
            .find(|entry| entry.0 == degree)
            .ok_or(Error::Degree { got: degree })?;
        if total > most {
            return Err(Error::Insecure {
                degree,
                bits: total,
                most,
            });
        }
        // Values of c1 s, which are joined from residues, are below N 2^w.
        let join_bits = answer_bits + degree.trailing_zeros() + 2;
        if answer_bits > WIDEST || join_bits > total {
            let most = WIDEST.min(total.saturating_sub(degree.trailing_zeros() + 2));
            return Err(Error::Width {
                got: answer_bits,
                least: 1,
                most,
            });
        }
        let least = prime_bits.iter().min().copied().unwrap_or(0);
        if prime_bits.len() > MOST_PRIMES || least < 20 {
            return Err(Error::Primes { bits: least });
        }
        let primes = vartime_primes(degree, prime_bits).ok_or(Error::Primes {
            bits: prime_bits.iter().max().copied().unwrap_or(0),
        })?;
        let mut joined = 0;
        let joins = prime_bits
            .iter()
            .take_while(|&&bits| {
                let more = joined < join_bits;
                joined += bits;
                more
            })
            .count();
        let mut text = vec![answer_bits as u8];
        primes.iter().for_each(|p| text.extend(p.to_le_bytes()));
        Ok(Chain {
            degree,
            bits: total,
            answer_bits,
            fingerprint: u64::from_le_bytes(argot_prf::hash(&text).as_chunks::<8>().0[0]),
            low: primes.iter().fold(1, |q, &p| q.wrapping_mul(p)),
            fractions: (0..primes.len())
                .map(|i| Fraction::new(&primes, i))
                .collect(),
            low_fractions: (0..MERGED.min(primes.len()))
                .map(|i| Fraction::new(&primes[..MERGED.min(primes.len())], i))
                .collect(),
            inverses: (primes.iter().enumerate())
                .map(|(i, &p)| {
                    let of = |(j, &other)| if i == j { 0 } else { inverse(other % p, p) };
                    primes.iter().enumerate().map(of).collect()
                })
                .collect(),
            turns: primes.iter().map(|&p| Turn::new(p)).collect(),
            joins: Joins::new(&primes[..joins]),
            primes: primes.par_iter().map(|&p| Ntt::new(degree, p)).collect(),
        })
    }

    /// Bytes of the residues of so many numbers.
    pub(crate) fn bytes(&self, count: usize) -> usize {
        let of_prime = |ntt: &Ntt| packed(count, bits(ntt.prime));
        self.primes.iter().map(of_prime).sum()
    }

    /// In place, from values to coefficients.
    pub(crate) fn coefficients(&self, values: &mut Buffer) {
        self.residues(values, std::iter::repeat(1));
    }

    /// In place, from coefficients to values.
    pub(crate) fn all_values(&self, coefficients: &mut Buffer) {
        let polynomials = coefficients.chunks_exact_mut(self.degree);
        polynomials
            .zip(&self.primes)
            .for_each(|(a, ntt)| ntt.forward(a));
    }

    pub(crate) fn answer_mask(&self) -> u128 {
        u128::MAX >> (128 - self.answer_bits)
    }

    /// The coefficients of the polynomial with these values, switched: 2^w c/q rounded, modulo 2^w.
    #[cfg(test)]
    pub(crate) fn switch(&self, values: Buffer) -> impl Fn(usize) -> u128 + '_ {
        let fraction = self.fractions(values);
        move |at| self.rounded(fraction(at))
    }

    /// c/q for the coefficients of the polynomial with these values, in units of 2^-128.
    pub(crate) fn fractions(&self, mut values: Buffer) -> impl Fn(usize) -> u128 + '_ {
        self.residues(
            &mut values,
            self.fractions.iter().map(|f| f.cofactor_inverse),
        );
        move |at| sum_of(&self.fractions, |i| values[i * self.degree + at])
    }

    /// c/q', for coefficients modulo [`MERGED`] primes as [`Chain::lower`] leaves them.
    pub(crate) fn low_fractions(&self, coefficients: &[u64]) -> impl Fn(usize) -> u128 + '_ {
        let n = self.degree;
        let mut scaled = Buffer::zeros(MERGED * n);
        for (i, out) in scaled.chunks_exact_mut(n).enumerate() {
            let factor = self.low_fractions[i].cofactor_inverse;
            self.primes[i].add_words(&coefficients[i * n..(i + 1) * n], factor, 0, out);
        }
        move |at| sum_of(&self.low_fractions, |i| scaled[i * n + at])
    }

    /// A fraction as an answer has it: to w bits.
    pub(crate) fn rounded(&self, fraction: u128) -> u128 {
        fraction.wrapping_add(1 << (127 - self.answer_bits)) >> (128 - self.answer_bits)
    }

    /// From values modulo some of the primes to coefficients modulo the first [`MERGED`] ones: of x / P rounded, where P
    /// is the product of the others, divided by 2^`halvings` modulo q'. One prime p after the other, from the last: x
    /// less the remainder r modulo p that is nearest to zero, times 1/p.
    pub(crate) fn lower(&self, mut values: Buffer, halvings: u32) -> Buffer {
        let n = self.degree;
        let count = values.len() / n;
        // What becomes of x modulo prime i until all down to prime `last` are divided by.
        let factor = |i: usize, last: usize| {
            let p = self.primes[i].prime;
            let half = match i < MERGED {
                true => power(p / 2 + 1, halvings.into(), p),
                false => 1,
            };
            (last.max(i + 1)..count).fold(half, |x, j| mul(x, self.inverses[i][j], p))
        };
        self.residues(&mut values, (0..count).map(|i| factor(i, MERGED)));
        for j in (MERGED..count).rev() {
            let (low, rest) = values.split_at_mut(j * n);
            let (p, half) = (self.primes[j].prime, self.primes[j].prime / 2);
            // r + p/2, which is not negative.
            let rest = &mut rest[..n];
            rest.iter_mut()
                .for_each(|x| *x = (*x + half).min((*x + half).wrapping_sub(p)));
            for (i, (ntt, out)) in self.primes.iter().zip(low.chunks_exact_mut(n)).enumerate() {
                // Those after j are divided by already; x is divided by j and by those that follow.
                let after = mul(
                    factor(i, MERGED),
                    (j + 1..count).fold(1, |x, k| {
                        mul(x, self.primes[k].prime % ntt.prime, ntt.prime)
                    }),
                    ntt.prime,
                );
                let constant = mul(half % ntt.prime, after, ntt.prime);
                ntt.add_words(rest, ntt.prime - after, constant, out);
            }
        }
        values.truncate(MERGED * n);
        values
    }

    /// The sum of c/q and of x/t, rounded to at most 62 bits, where x are numbers below t.
    pub(crate) fn round(
        &self,
        values: &mut Buffer,
        more: Option<(&[u64], &Turn)>,
        bits: u32,
    ) -> Buffer {
        self.residues(values, self.fractions.iter().map(|f| f.cofactor_inverse));
        let polynomials = values.chunks_exact(self.degree);
        let terms: Vec<_> = polynomials.zip(&self.turns).chain(more).collect();
        let mut out = Buffer::zeros(self.degree);
        round(&terms, bits, &mut out);
        out
    }

    /// Coefficients times each prime's factor, in place of values.
    fn residues(&self, values: &mut [u64], factors: impl Iterator<Item = u64>) {
        let polynomials = values.chunks_exact_mut(self.degree);
        for ((ntt, values), factor) in self.primes.iter().zip(polynomials).zip(factors) {
            ntt.backward(values, factor);
        }
    }

    /// How many of the primes the product of an answer and a secret needs.
    pub(crate) fn join_primes(&self) -> usize {
        self.joins.count()
    }

    /// Adds the values modulo prime `i` of a polynomial with coefficients below 2^w, in words of 64 bits, the lowest
    /// first, to zeros.
    pub(crate) fn values(&self, words: &[Buffer], i: usize, out: &mut [u64]) {
        let ntt = &self.primes[i];
        ntt.add_long(words, out);
        ntt.forward(out);
    }

    /// Modulo 2^128, the coefficients of the polynomial with these values modulo the first primes, where it is less
    /// than a quarter of their product in size.
    pub(crate) fn join(&self, mut values: Buffer) -> impl Fn(usize) -> u128 + '_ {
        self.residues(
            &mut values,
            (0..self.joins.count()).map(|i| self.joins.factor(i)),
        );
        move |at| self.joins.join(|i| values[i * self.degree + at])
    }
}

/// The sum of y/p, with y = c (q/p)^-1 mod p from residues of c, in units of 2^-128.
#[inline(always)]
fn sum_of(fractions: &[Fraction], residue: impl Fn(usize) -> u64) -> u128 {
    let parts = fractions.iter().enumerate();
    parts.fold(0u128, |sum, (i, f)| {
        sum.wrapping_add(times(residue(i), f.reciprocal))
    })
}

/// floor(2^156 / p) in parts of 52 bits, the highest first, for fractions x/p modulo 1.
#[derive(Debug)]
pub(crate) struct Turn([u64; 3]);

impl Turn {
    /// p is at least 2^20.
    pub fn new(p: u64) -> Turn {
        let mut rest = 1u128;
        Turn(std::array::from_fn(|_| {
            let digit = (rest << BITS) / u128::from(p);
            rest = (rest << BITS) % u128::from(p);
            digit as u64
        }))
    }
}

kernels! {
    /// The sum of x/p over the terms, modulo 1, rounded to `bits` bits, at most 62. A term is short by less than 2^-103.
    fn round<L>(terms: &[(&[u64], &Turn)], bits: u32, out: &mut [u64]) {
        let low_bits = L::splat(LOW);
        // In units of 2^-52 and of 2^-104: half a unit of the result.
        let half = match bits {
            0..BITS => [1 << (BITS - 1 - bits), 0],
            _ => [0, 1 << (2 * BITS - 1 - bits)],
        }
        .map(L::splat);
        let shifts = [bits.saturating_sub(BITS), BITS.saturating_sub(bits), (2 * BITS - bits).min(BITS)];
        let [up, down, rest] = shifts.map(|n| L::splat(n.into()));
        for (at, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let [mut high, mut low] = half;
            for (x, Turn(r)) in terms {
                let x = L::load(&x.as_chunks::<8>().0[at]);
                let r = r.map(L::splat);
                high = high.add_low(x, r[0]).add_high(x, r[1]);
                low = low.add_low(x, r[1]).add_high(x, r[2]);
            }
            let high = high.add(low.shift_right::<BITS>()).and(low_bits);
            let low = low.and(low_bits).shift_right_each(rest);
            high.shift_left_each(up).shift_right_each(down).or(low).store(out);
        }
    }
}

/// The highest 128 bits of the fraction y r / 2^192, modulo 1; short by less than 2 in the last place.
#[inline(always)]
fn times(y: u64, r: [u64; 3]) -> u128 {
    let y = u128::from(y);
    let middle = y * u128::from(r[1]) + ((y * u128::from(r[2])) >> 64);
    middle.wrapping_add(y.wrapping_mul(r[0].into()) << 64)
}

/// The product of all primes but number i, inverted modulo that one.
fn cofactor_inverse(primes: &[u64], i: usize) -> u64 {
    let p = primes[i];
    let others = (0..primes.len()).filter(|&j| j != i);
    inverse(others.fold(1, |x, j| mul(x, primes[j] % p, p)), p)
}

/// floor(2^192 / p), the highest word first.
fn reciprocal(p: u64) -> [u64; 3] {
    let mut rest = 1u128;
    std::array::from_fn(|_| {
        let digit = (rest << 64) / u128::from(p);
        rest = (rest << 64) % u128::from(p);
        digit as u64
    })
}

impl Fraction {
    fn new(primes: &[u64], i: usize) -> Fraction {
        Fraction {
            cofactor_inverse: cofactor_inverse(primes, i),
            reciprocal: reciprocal(primes[i]),
        }
    }
}

impl Joins {
    pub fn new(primes: &[u64]) -> Joins {
        let part = |i: usize| {
            let others = (0..primes.len()).filter(|&j| j != i);
            let shift = bits(primes[i]) + 1;
            Join {
                cofactor_inverse: cofactor_inverse(primes, i),
                cofactor: others.fold(1, |x, j| x.wrapping_mul(primes[j].into())),
                reciprocal: ((1u128 << (60 + shift)) / u128::from(primes[i])) as u64,
                shift,
            }
        };
        Joins {
            parts: (0..primes.len()).map(part).collect(),
            product: primes.iter().fold(1, |q, &p| q.wrapping_mul(p.into())),
        }
    }

    pub fn count(&self) -> usize {
        self.parts.len()
    }

    /// What residues modulo prime `i` have to be multiplied by.
    pub fn factor(&self, i: usize) -> u64 {
        self.parts[i].cofactor_inverse
    }

    /// The number whose residues, times their factors, are `residue(i)`; modulo 2^128.
    #[inline(always)]
    pub fn join(&self, residue: impl Fn(usize) -> u64) -> u128 {
        // In units of 2^-60, short by less than one a prime; the true sum is within 1/4 of a whole number.
        let (mut sum, mut turns) = (0u128, 0u64);
        for (i, join) in self.parts.iter().enumerate() {
            let y = residue(i);
            sum = sum.wrapping_add(join.cofactor.wrapping_mul(y.into()));
            turns += ((u128::from(y) * u128::from(join.reciprocal)) >> join.shift) as u64;
        }
        let turns = (turns + (1 << 59)) >> 60;
        sum.wrapping_sub(self.product.wrapping_mul(turns.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_parameters_are_refused_by_name() {
        let got = Chain::new(4096, &[50, 50, 10], 60).unwrap_err();
        assert_eq!(
            got,
            Error::Insecure {
                degree: 4096,
                bits: 110,
                most: 106
            }
        );
        let got = Chain::new(8192, &[44; 5], 60).unwrap_err();
        assert_eq!(
            got,
            Error::Insecure {
                degree: 8192,
                bits: 220,
                most: 214
            }
        );
        assert_eq!(
            Chain::new(2048, &[50], 10).unwrap_err(),
            Error::Degree { got: 2048 }
        );
        assert!(matches!(
            Chain::new(8192, &[50, 50], 100),
            Err(Error::Width { .. })
        ));
        assert!(matches!(
            Chain::new(8192, &[51, 51], 50),
            Err(Error::Primes { .. })
        ));
        assert!(matches!(
            Chain::new(8192, &[50, 12], 40),
            Err(Error::Primes { .. })
        ));
    }

    /// Small signed numbers, as residues, switch to their fraction of q and join to themselves.
    #[test]
    fn switching_and_joining_are_exact_on_known_numbers() {
        let chain = Chain::new(4096, &[50, 31], 64).unwrap();
        let q = u128::from(chain.primes[0].prime) * u128::from(chain.primes[1].prime);
        let numbers: Vec<i128> = (0..4096)
            .map(|i| match i {
                0..4 => [0, 1, -1, 1 << 77][i],
                _ => (i as i128).pow(6) * if i % 2 == 0 { 1 } else { -1 },
            })
            .collect();
        let (mut values, mut again) = (Buffer::zeros(8192), Buffer::zeros(8192));
        for (i, ntt) in chain.primes.iter().enumerate() {
            let p = i128::from(ntt.prime);
            let mut residues: Vec<u64> = numbers.iter().map(|x| x.rem_euclid(p) as u64).collect();
            ntt.forward(&mut residues);
            values[4096 * i..4096 * (i + 1)].copy_from_slice(&residues);
        }
        again.copy_from_slice(&values);
        let joined = chain.join(again);
        assert!(numbers
            .iter()
            .enumerate()
            .all(|(i, y)| joined(i) == *y as u128));
        let switched = chain.switch(values);
        for (i, y) in numbers.iter().enumerate() {
            let x = switched(i);
            // 2^64 y / q with 40 bits to spare, by long division of what is left of 2^64.
            let want = (*y as f64) * 2f64.powi(64) / (q as f64);
            let got = x as u64 as i64 as f64;
            assert!(
                (got - want).abs() <= 1.0 + want.abs() * 1e-9,
                "{y} {got} {want}"
            );
        }
    }
}
