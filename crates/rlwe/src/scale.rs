//! Between residues modulo several primes and fractions of their product q, without long division.
//!
//! Down: x / q mod 1 = sum_i y_i / q_i mod 1, with y_i = x_i (q / q_i)^-1 mod q_i (Chinese remainders), so a
//! fraction in fixed point is a few products of words. Its top l bits, rounded, are round(2^l x / q).
//!
//! Up: round(q m / 2^b) = (q m + h - z) / 2^b with h = 2^(b-1) and z = (q m + h) mod 2^b. Modulo q_i the term q m
//! vanishes, which leaves 1/2 - z 2^-b: words again.

#[cfg(target_arch = "x86_64")]
use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::ifma;
use crate::modulus::{Factor, Modulus};
use zeroize::Zeroizing;

/// The product of words, lowest first.
pub fn product(factors: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut out = vec![1u64];
    for f in factors {
        let mut carry = 0u128;
        for w in out.iter_mut() {
            let t = *w as u128 * f as u128 + carry;
            *w = t as u64;
            carry = t >> 64;
        }
        if carry > 0 {
            out.push(carry as u64);
        }
    }
    out
}

/// Its length in bits.
pub fn bit_length(x: &[u64]) -> u32 {
    let top = x.iter().rposition(|w| *w != 0).map_or(0, |i| i + 1);
    if top == 0 {
        0
    } else {
        64 * top as u32 - x[top - 1].leading_zeros()
    }
}

/// x modulo the prime.
pub fn remainder(x: &[u64], m: &Modulus) -> u64 {
    x.iter()
        .rev()
        .fold(0, |r, w| m.reduce_wide((r as u128) << 64 | *w as u128))
}

/// Residues to x / q in `64 L` bits of fixed point, lowest word first.
///
/// Each reciprocal is short by less than 2^-64L, so the result is short by less than `k 2^50 / 2^(64 L)`.
pub struct Fractions<const L: usize> {
    parts: Vec<(Modulus, Factor, [u64; L])>,
    /// The same for the vector kernel.
    #[cfg(target_arch = "x86_64")]
    wide: Vec<ifma::FractionPart>,
}

impl<const L: usize> Fractions<L> {
    pub fn new(moduli: &[Modulus]) -> Fractions<L> {
        let parts = moduli.iter().map(|m| {
            let others = moduli.iter().filter(|o| o.q != m.q);
            let rest = others.fold(1, |r, o| m.mul(r, m.reduce(o.q)));
            let mut left = 1u128;
            let mut reciprocal = [0; L];
            for word in reciprocal.iter_mut().rev() {
                left <<= 64;
                *word = (left / m.q as u128) as u64;
                left %= m.q as u128;
            }
            (*m, m.factor(m.inv(rest)), reciprocal)
        });
        let parts: Vec<_> = parts.collect();
        Fractions {
            #[cfg(target_arch = "x86_64")]
            wide: parts
                .iter()
                .map(|(m, f, r)| ifma::FractionPart::new(m.q, f.w, r))
                .collect(),
            parts,
        }
    }

    /// The fractions of several numbers: residue i of number j is `x[i * count + j]`.
    pub fn all(&self, x: &[u64], count: usize) -> Zeroizing<Vec<[u64; L]>> {
        assert_eq!(x.len(), count * self.parts.len());
        let mut out = Zeroizing::new(vec![[0; L]; count]);
        #[cfg(target_arch = "x86_64")]
        let done = match (Backend::current(), L) {
            // SAFETY: the backend is available, the lengths were checked, and D digits of 52 bits hold L words.
            (Backend::Ifma, 3) => unsafe { ifma::fractions::<L, 4>(&self.wide, x, &mut out) },
            (Backend::Ifma, 5) => unsafe { ifma::fractions::<L, 7>(&self.wide, x, &mut out) },
            _ => 0,
        };
        #[cfg(not(target_arch = "x86_64"))]
        let done = 0;
        for (j, out) in out.iter_mut().enumerate().skip(done) {
            *out = self.of(|i| x[i * count + j]).1;
        }
        out
    }

    /// y_i = x_i (q / q_i)^-1 of residue i.
    #[inline]
    pub fn share(&self, i: usize, x: u64) -> u64 {
        self.parts[i].0.times(x, self.parts[i].1)
    }

    /// The whole part and the fraction of sum_i y_i / q_i; `x(i)` is residue i.
    #[inline]
    pub fn of(&self, x: impl Fn(usize) -> u64) -> (u64, [u64; L]) {
        self.sum(|i| self.share(i, x(i)))
    }

    /// As [`Fractions::of`], of the y_i.
    #[inline]
    pub fn sum(&self, y: impl Fn(usize) -> u64) -> (u64, [u64; L]) {
        let (mut whole, mut sum) = (0, [0u64; L]);
        for (i, (_, _, reciprocal)) in self.parts.iter().enumerate() {
            let y = y(i) as u128;
            let mut carry = 0;
            for (s, r) in sum.iter_mut().zip(reciprocal) {
                let t = y * *r as u128 + *s as u128 + carry;
                *s = t as u64;
                carry = t >> 64;
            }
            whole += carry as u64;
        }
        (whole, sum)
    }
}

/// The fraction plus half a unit of its bit `bits` from the top, modulo 1: its top bits are then rounded.
#[inline]
pub fn rounded<const L: usize>(mut fraction: [u64; L], bits: u32) -> [u64; L] {
    let half = 64 * L as u32 - bits - 1;
    let mut carry = 1u64 << (half % 64);
    for word in &mut fraction[(half / 64) as usize..] {
        let (sum, over) = word.overflowing_add(carry);
        *word = sum;
        carry = over as u64;
    }
    fraction
}

/// Numbers of b bits to residues of round(q m / 2^b).
pub struct Raise<const M: usize> {
    bits: u32,
    /// q mod 2^(64 M).
    q: [u64; M],
    /// Of each prime: 1/2, and -2^(64 j - b) for each word j.
    parts: Vec<(Modulus, u64, [u64; M])>,
}

impl<const M: usize> Raise<M> {
    /// `bits` is at most `64 M`.
    pub fn new(moduli: &[Modulus], bits: u32) -> Raise<M> {
        let long = product(moduli.iter().map(|m| m.q));
        let parts = moduli.iter().map(|m| {
            let unit = m.inv(m.pow(2, bits as u64));
            let word = |j: usize| m.neg(m.mul(unit, m.pow(2, 64 * j as u64)));
            (*m, m.q.div_ceil(2), std::array::from_fn(word))
        });
        Raise {
            bits,
            q: std::array::from_fn(|i| long.get(i).copied().unwrap_or(0)),
            parts: parts.collect(),
        }
    }

    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Gives residue i to `put(i, _)`.
    #[inline]
    pub fn of(&self, m: &[u64; M], mut put: impl FnMut(usize, u64)) {
        let mut z = [0u64; M];
        z[((self.bits - 1) / 64) as usize] = 1 << ((self.bits - 1) % 64);
        for (i, a) in m.iter().enumerate() {
            let mut carry = 0u128;
            for (s, b) in z[i..].iter_mut().zip(&self.q) {
                let t = *a as u128 * *b as u128 + *s as u128 + carry;
                *s = t as u64;
                carry = t >> 64;
            }
        }
        for (i, word) in z.iter_mut().enumerate() {
            let keep = self.bits.saturating_sub(64 * i as u32).min(64);
            *word &= if keep == 0 {
                0
            } else {
                u64::MAX >> (64 - keep)
            };
        }
        for (i, (modulus, half, factors)) in self.parts.iter().enumerate() {
            let terms = z.iter().zip(factors).map(|(z, f)| *z as u128 * *f as u128);
            put(i, modulus.reduce_wide(*half as u128 + terms.sum::<u128>()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::each;
    use crate::modulus::prime_below;

    fn moduli(bits: &[u32]) -> Vec<Modulus> {
        let mut taken = Vec::new();
        for b in bits {
            taken.push(prime_below(*b, &taken).unwrap());
        }
        taken.into_iter().map(Modulus::new).collect()
    }

    #[test]
    fn up_and_down_is_the_same() {
        let moduli = moduli(&[46, 46, 46, 46]);
        let down = Fractions::<3>::new(&moduli);
        for bits in [1u32, 32, 40, 64, 65, 104, 111, 128] {
            let up = Raise::<2>::new(&moduli, bits);
            for seed in 0..200u64 {
                let x = (seed as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                let x = match seed {
                    0 => 0,
                    1 => u128::MAX,
                    _ => x,
                } >> (128 - bits);
                let mut residues = [0; 4];
                up.of(&[x as u64, (x >> 64) as u64], |i, r| residues[i] = r);
                let (_, f) = down.of(|i| residues[i]);
                let f = rounded(f, bits);
                let top = ((f[2] as u128) << 64 | f[1] as u128) >> (128 - bits);
                assert_eq!(top, x, "{bits}");
            }
        }
    }

    #[test]
    fn many_fractions_are_those_of_each() {
        fn check<const L: usize>(sizes: &[u32]) {
            let moduli = moduli(sizes);
            let f = Fractions::<L>::new(&moduli);
            let count = 77;
            let mut x = Vec::new();
            for m in &moduli {
                let word = |j: u64| m.reduce((j * m.q + j).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                x.extend((0..count as u64).map(word));
                let at = x.len() - count;
                x[at..at + 3].copy_from_slice(&[0, 1, m.q - 1]);
            }
            let want: Vec<[u64; L]> = (0..count).map(|j| f.of(|i| x[i * count + j]).1).collect();
            each(|_backend| {
                assert_eq!(*f.all(&x, count), want);
            });
        }
        check::<3>(&[46, 46, 46, 46]);
        check::<3>(&[50, 50]);
        check::<5>(&[45, 45, 45, 46, 46, 46, 46, 46, 46]);
        check::<5>(&[50]);
    }

    #[test]
    fn small_numbers_are_their_own_fractions() {
        // With q = q0 q1 below 2^100, x / q is short by less than 2^-140: q times it, rounded, is x.
        let moduli = moduli(&[50, 50]);
        let q = moduli[0].q as u128 * moduli[1].q as u128;
        assert_eq!(
            product(moduli.iter().map(|m| m.q)),
            [q as u64, (q >> 64) as u64]
        );
        assert_eq!(bit_length(&[q as u64, (q >> 64) as u64]), 100);
        let f = Fractions::<3>::new(&moduli);
        for x in [0, 1, 12345, q / 2, q / 3, q - 1] {
            let (_, fraction) = f.of(|i| (x % moduli[i].q as u128) as u64);
            let want = x as f64 / q as f64;
            let got = fraction[2] as f64 / 2f64.powi(64);
            assert!((want - got).abs() < 1e-12 || x == 0 && got > 0.99, "{x}");
            assert_eq!(
                remainder(&[x as u64, (x >> 64) as u64], &moduli[0]) as u128,
                x % moduli[0].q as u128
            );
        }
    }
}
