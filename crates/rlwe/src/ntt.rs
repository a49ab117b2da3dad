//! Products in `Z_q[X]/(X^N + 1)` by the number-theoretic transform.
//!
//! Transformed, a polynomial is its values at the odd powers of a root of order 2N, in bit-reversed order, and a
//! product is N products. The passes are those of Longa and Naehrig (eprint 2016/504, algorithms 1 and 2) with the
//! lazy butterflies of Harvey (arXiv 1205.2926): values stay below 4q on the way there, below 2q on the way back.
//!
//! Both backends take the same steps on the same constants, so even lazy values agree word for word.

use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::ifma;
use crate::modulus::{once, Modulus};

/// Smallest degree: the vector kernel works on 64 coefficients at once.
pub const MIN_DEGREE: usize = 64;

/// Constants with `floor(w 2^52 / q)` beside them, as the vector kernel reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Twiddles {
    pub w: Vec<u64>,
    pub quotient: Vec<u64>,
}

impl Twiddles {
    fn new(w: Vec<u64>, q: u64) -> Twiddles {
        let quotient = w
            .iter()
            .map(|w| (((*w as u128) << 52) / q as u128) as u64)
            .collect();
        Twiddles { w, quotient }
    }
}

/// The transform of one degree and prime.
#[derive(Clone, Debug)]
pub struct Ntt {
    pub modulus: Modulus,
    pub(crate) n: usize,
    /// psi^bitrev(i), and its inverse.
    pub(crate) forward: Twiddles,
    pub(crate) backward: Twiddles,
    /// The constants of the passes inside eight neighbours, for [`ifma`]: per 64 coefficients seven vectors of eight.
    pub(crate) forward_tail: Twiddles,
    pub(crate) backward_tail: Twiddles,
    /// 1/N.
    pub(crate) scale: Twiddles,
    /// 1, 2^52 and 2^104, for sums of products.
    pub(crate) radix: Twiddles,
}

/// x w modulo q, below 2q, for x < 2^52.
#[inline(always)]
pub(crate) fn times_lazy(x: u64, w: u64, quotient: u64, q: u64) -> u64 {
    let high = ((x as u128 * quotient as u128) >> 52) as u64;
    x.wrapping_mul(w).wrapping_sub(high.wrapping_mul(q))
}

fn reversed(i: usize, bits: u32) -> usize {
    i.reverse_bits() >> (usize::BITS - bits)
}

/// Rearranges the last three rows (N/8, N/4 and N/2 constants) so that lane g of a vector serves the group of
/// eight coefficients g: rows of 1, 2 and 4 vectors.
fn tail(w: &[u64], n: usize) -> Vec<u64> {
    let mut out = Vec::with_capacity(n / 8 * 7);
    for block in 0..n / 64 {
        for (row, per_group) in [(n / 8, 1), (n / 4, 2), (n / 2, 4)] {
            for e in 0..per_group {
                out.extend((0..8).map(|lane| w[row + (8 * block + lane) * per_group + e]));
            }
        }
    }
    out
}

impl Ntt {
    /// `n` is a power of two from [`MIN_DEGREE`] on, and `modulus` 1 modulo 2n.
    pub fn new(n: usize, modulus: Modulus) -> Ntt {
        assert!(n.is_power_of_two() && n >= MIN_DEGREE && modulus.q % (2 * n as u64) == 1);
        let q = modulus.q;
        let psi = modulus.root(n);
        let powers = |base: u64| {
            let f = modulus.factor(base);
            let mut w = vec![0; n];
            let mut x = 1;
            for i in 0..n {
                w[reversed(i, n.trailing_zeros())] = x;
                x = modulus.times(x, f);
            }
            w
        };
        let (there, back) = (powers(psi), powers(modulus.inv(psi)));
        Ntt {
            modulus,
            n,
            forward_tail: Twiddles::new(tail(&there, n), q),
            backward_tail: Twiddles::new(tail(&back, n), q),
            forward: Twiddles::new(there, q),
            backward: Twiddles::new(back, q),
            scale: Twiddles::new(vec![modulus.inv(n as u64)], q),
            radix: Twiddles::new([0, 52, 104].map(|e| modulus.pow(2, e)).to_vec(), q),
        }
    }

    pub fn degree(&self) -> usize {
        self.n
    }

    /// Coefficients below q to values below q.
    pub fn forward(&self, a: &mut [u64]) {
        self.forward_short(a, self.n);
    }

    /// As [`Ntt::forward`] of a polynomial whose coefficients from `used` on are zero, whatever `a` holds there.
    pub fn forward_short(&self, a: &mut [u64], used: usize) {
        assert_eq!(a.len(), self.n);
        let start = self.start(used);
        a[used..start].fill(0);
        self.forward_tile(a, start, 0);
    }

    /// Coefficients that matter of a polynomial of `used` of them: a power of two, 8 or more.
    pub fn start(&self, used: usize) -> usize {
        used.next_power_of_two().clamp(8, self.n)
    }

    /// The values from `first` on, as many as `a` has, of the polynomial whose only coefficients are the first
    /// `start` of `a` ([`Ntt::start`]).
    ///
    /// A butterfly with a zero copies, so the first passes are copies, and what remains stays within groups of
    /// `start` values: any of them can be made alone. The length of `a` is a power of two, at least 64 and `start`,
    /// and divides `first`.
    pub fn forward_tile(&self, a: &mut [u64], start: usize, first: usize) {
        let length = a.len();
        assert!(
            length.is_power_of_two() && length >= start.max(MIN_DEGREE) && first + length <= self.n
        );
        assert!(start.is_power_of_two() && start >= 8 && first.is_multiple_of(length));
        #[cfg(target_arch = "x86_64")]
        if start <= 16 && Backend::current() == Backend::Ifma {
            // SAFETY: the backend is available, and the tile was checked.
            return unsafe { ifma::forward_small(self, a, start, first) };
        }
        let mut have = start;
        while have < length {
            a.copy_within(0..have, have);
            have *= 2;
        }
        match Backend::current() {
            // SAFETY: the backend is available, and the tile was checked.
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => unsafe { ifma::forward(self, a, start, first) },
            _ => self.forward_portable(a, start, first),
        }
    }

    /// Values below 2q to coefficients below q.
    pub fn backward(&self, a: &mut [u64]) {
        assert_eq!(a.len(), self.n);
        match Backend::current() {
            // SAFETY: the backend is available, and the length was checked.
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => unsafe { ifma::backward(self, a) },
            _ => self.backward_portable(a),
        }
    }

    /// x + a b in place of x, value by value; all below q.
    pub fn add_product(&self, x: &mut [u64], a: &[u64], b: &[u64]) {
        assert!(x.len() == self.n && a.len() == self.n && b.len() == self.n);
        match Backend::current() {
            // SAFETY: the backend is available, and the lengths were checked.
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => unsafe { ifma::add_product(self, x, a, b) },
            _ => {
                for ((x, a), b) in x.iter_mut().zip(a).zip(b) {
                    *x = self
                        .modulus
                        .reduce_wide(*a as u128 * *b as u128 + *x as u128);
                }
            }
        }
    }

    /// x a in place of x, value by value; all below q.
    pub fn multiply(&self, x: &mut [u64], a: &[u64]) {
        assert!(x.len() == self.n && a.len() == self.n);
        match Backend::current() {
            // SAFETY: the backend is available, and the lengths were checked.
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => unsafe { ifma::multiply(self, x, a) },
            _ => {
                for (x, a) in x.iter_mut().zip(a) {
                    *x = self.modulus.mul(*x, *a);
                }
            }
        }
    }

    /// The passes over groups of at most `start` coefficients.
    fn forward_portable(&self, a: &mut [u64], start: usize, first: usize) {
        let (q, q2) = (self.modulus.q, 2 * self.modulus.q);
        let mut half = start / 2;
        while half >= 1 {
            let groups = (self.n + first) / (2 * half);
            for (i, group) in a.chunks_exact_mut(2 * half).enumerate() {
                let (w, quotient) = (
                    self.forward.w[groups + i],
                    self.forward.quotient[groups + i],
                );
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let u = once(*x, q2);
                    let v = times_lazy(*y, w, quotient, q);
                    *x = u + v;
                    *y = u + q2 - v;
                }
            }
            half /= 2;
        }
        for x in a {
            *x = once(once(*x, q2), q);
        }
    }

    fn backward_portable(&self, a: &mut [u64]) {
        let (q, q2) = (self.modulus.q, 2 * self.modulus.q);
        let mut half = 1;
        while half < self.n {
            let groups = self.n / (2 * half);
            for (i, group) in a.chunks_exact_mut(2 * half).enumerate() {
                let (w, quotient) = (
                    self.backward.w[groups + i],
                    self.backward.quotient[groups + i],
                );
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, *y);
                    *x = once(u + v, q2);
                    *y = times_lazy(u + q2 - v, w, quotient, q);
                }
            }
            half *= 2;
        }
        let (w, quotient) = (self.scale.w[0], self.scale.quotient[0]);
        for x in a {
            *x = once(times_lazy(*x, w, quotient, q), q);
        }
    }
}

/// Sums of products, value by value, reduced once at the end: a sum is `low + 2^52 high`.
pub struct Sums {
    low: Vec<u64>,
    high: Vec<u64>,
    terms: usize,
}

/// Of a product of factors below 2^50 the low part is below 2^52 and the high part below 2^48, so this many fit a word.
const MOST_TERMS: usize = 1 << 12;

impl Sums {
    pub fn new(n: usize) -> Sums {
        Sums {
            low: vec![0; n],
            high: vec![0; n],
            terms: 0,
        }
    }

    pub fn clear(&mut self) {
        self.low.fill(0);
        self.high.fill(0);
        self.terms = 0;
    }

    /// Adds the products of `a[k]` and part k of `b`, all below q, which is the same in all calls.
    pub fn add(&mut self, a: &[&[u64]], b: &[u64], modulus: &Modulus) {
        let n = self.low.len();
        assert!(a.iter().all(|a| a.len() == n) && b.len() == n * a.len());
        for (a, b) in a.chunks(MOST_TERMS / 2).zip(b.chunks(n * MOST_TERMS / 2)) {
            if self.terms + a.len() > MOST_TERMS {
                self.fold(modulus);
            }
            self.terms += a.len();
            match Backend::current() {
                // SAFETY: the backend is available, and the lengths were checked.
                #[cfg(target_arch = "x86_64")]
                Backend::Ifma if n.is_multiple_of(MIN_DEGREE) => unsafe {
                    ifma::add_products(&mut self.low, &mut self.high, a, b)
                },
                _ => add_products(&mut self.low, &mut self.high, a, b),
            }
        }
    }

    /// Replaces each sum by its remainder, which counts as one term.
    fn fold(&mut self, modulus: &Modulus) {
        for (low, high) in self.low.iter_mut().zip(&mut self.high) {
            *low = modulus.reduce_wide(*low as u128 + ((*high as u128) << 52));
            *high = 0;
        }
        self.terms = 1;
    }

    /// The sums below q.
    pub fn finish(&self, out: &mut [u64], ntt: &Ntt) {
        assert_eq!(out.len(), self.low.len());
        match Backend::current() {
            // SAFETY: the backend is available, and the lengths are equal.
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma if out.len().is_multiple_of(MIN_DEGREE) => unsafe {
                ifma::finish(ntt, &self.low, &self.high, out)
            },
            _ => {
                for ((out, low), high) in out.iter_mut().zip(&self.low).zip(&self.high) {
                    *out = ntt
                        .modulus
                        .reduce_wide(*low as u128 + ((*high as u128) << 52));
                }
            }
        }
    }
}

fn add_products(low: &mut [u64], high: &mut [u64], a: &[&[u64]], b: &[u64]) {
    for (a, b) in a.iter().zip(b.chunks_exact(low.len())) {
        for (((low, high), a), b) in low.iter_mut().zip(&mut *high).zip(*a).zip(b) {
            let product = *a as u128 * *b as u128;
            *low += product as u64 & ((1 << 52) - 1);
            *high += (product >> 52) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::each;
    use crate::modulus::prime_below;

    fn words(n: usize, q: u64, mut seed: u64) -> Vec<u64> {
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(7);
                (seed >> 7) % q
            })
            .collect()
    }

    /// The definition: X^N = -1.
    fn schoolbook(a: &[u64], b: &[u64], m: &Modulus) -> Vec<u64> {
        let n = a.len();
        let mut out = vec![0; n];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let p = m.mul(*x, *y);
                let k = (i + j) % n;
                out[k] = if i + j < n {
                    m.add(out[k], p)
                } else {
                    m.sub(out[k], p)
                };
            }
        }
        out
    }

    fn ntt(n: usize, bits: u32) -> Ntt {
        Ntt::new(n, Modulus::new(prime_below(bits, &[]).unwrap()))
    }

    fn product(t: &Ntt, a: &[u64], b: &[u64]) -> Vec<u64> {
        let (mut a, mut b, mut out) = (a.to_vec(), b.to_vec(), vec![0; a.len()]);
        t.forward(&mut a);
        t.forward(&mut b);
        let mut sums = Sums::new(a.len());
        sums.add(&[&a], &b, &t.modulus);
        sums.finish(&mut out, t);
        t.backward(&mut out);
        out
    }

    #[test]
    fn products_are_those_of_the_definition() {
        each(|backend| {
            for (n, bits) in [(64, 50), (128, 37), (512, 50), (1024, 44), (2048, 22)] {
                let t = ntt(n, bits);
                let (a, b) = (words(n, t.modulus.q, 1), words(n, t.modulus.q, 2));
                assert_eq!(
                    product(&t, &a, &b),
                    schoolbook(&a, &b, &t.modulus),
                    "{backend:?} {n}"
                );
                let top = vec![t.modulus.q - 1; n];
                assert_eq!(product(&t, &top, &top), schoolbook(&top, &top, &t.modulus));
            }
        });
    }

    #[test]
    fn there_and_back_is_the_same_and_backends_agree() {
        for n in [64, 256, 4096, 8192, 16384] {
            let t = ntt(n, 50);
            let a = words(n, t.modulus.q, 3);
            let first: std::cell::OnceCell<Vec<u64>> = std::cell::OnceCell::new();
            each(|_backend| {
                let mut there = a.clone();
                t.forward(&mut there);
                assert!(there.iter().all(|x| *x < t.modulus.q));
                assert_eq!(&there, first.get_or_init(|| there.clone()));
                t.backward(&mut there);
                assert_eq!(there, a);
            });
        }
    }

    #[test]
    fn short_polynomials_are_padded_with_zeros() {
        each(|_backend| {
            let t = ntt(1024, 50);
            for used in [1, 2, 7, 8, 9, 31, 64, 65, 500, 512, 513, 1023, 1024] {
                let mut want = words(1024, t.modulus.q, used as u64);
                let mut got = want.clone();
                want[used..].fill(0);
                t.forward(&mut want);
                t.forward_short(&mut got, used);
                assert_eq!(got, want, "{used}");
            }
        });
    }

    #[test]
    fn tiles_are_parts_of_the_whole() {
        each(|_backend| {
            let t = ntt(2048, 50);
            for (start, length) in [
                (8, 64),
                (16, 64),
                (64, 64),
                (32, 256),
                (256, 256),
                (2048, 2048),
            ] {
                let a = words(start, t.modulus.q, start as u64);
                let mut whole = vec![0; 2048];
                whole[..start].copy_from_slice(&a);
                t.forward(&mut whole);
                for first in (0..2048).step_by(length) {
                    let mut tile = vec![7; length];
                    tile[..start].copy_from_slice(&a);
                    t.forward_tile(&mut tile, start, first);
                    assert_eq!(tile, whole[first..first + length], "{start} {first}");
                }
            }
        });
    }

    #[test]
    fn long_sums_are_folded() {
        each(|_backend| {
            let t = ntt(64, 50);
            let m = t.modulus;
            let top = vec![m.q - 1; 64];
            let mut sums = Sums::new(64);
            for _ in 0..30 {
                sums.add(&[&top[..]; 300], &vec![m.q - 1; 64 * 300], &m);
            }
            let mut out = vec![0; 64];
            sums.finish(&mut out, &t);
            assert_eq!(out, vec![9000; 64]);
        });
    }

    #[test]
    fn products_in_place_are_remainders() {
        each(|_backend| {
            for bits in [50, 46, 22] {
                let t = ntt(128, bits);
                let m = t.modulus;
                let mut lists = [1, 2, 3].map(|seed| words(128, m.q, seed));
                lists
                    .iter_mut()
                    .for_each(|l| l[..3].copy_from_slice(&[m.q - 1, 0, 1]));
                let [x, a, b] = lists;
                let (mut sum, mut times) = (x.clone(), x.clone());
                t.add_product(&mut sum, &a, &b);
                t.multiply(&mut times, &a);
                for i in 0..128 {
                    assert_eq!(sum[i], m.add(x[i], m.mul(a[i], b[i])));
                    assert_eq!(times[i], m.mul(x[i], a[i]));
                }
            }
        });
    }
}
