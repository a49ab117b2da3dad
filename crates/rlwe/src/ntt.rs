//! Polynomials modulo x^N + 1 and a word prime, and their values at the roots of x^N + 1.
//!
//! Butterflies after Longa and Naehrig (eprint 2016/504), lazily reduced after Harvey (2014): numbers stay below 4 p
//! on the way to values, below 2 p on the way back, and p < 2^50 keeps both in the 52 bits of a multiplier. Primes below
//! 2^47 leave room for 32 p: then nothing is reduced on the way to values, since each stage adds at most 2 p, and on the
//! way back once in two or three stages.
//!
//! The last three stages, whose partners are less than eight apart, run on tiles of 64 numbers transposed: a lane is
//! then a block of eight, and nothing is shuffled between lanes. Values stay in that order, which products of values
//! do not care about.
//!
//! A polynomial of low degree is the same modulo all early factors of x^N + 1: [`Ntt::short_values`] starts at the
//! factors x^8 - zeta, for a few of the log2 N stages' price.

use crate::backend::{kernels, Lanes, BITS, LOW};
use crate::prime::{inverse, mul, power, vartime_root, Factor};
use crate::scratch::Buffer;

/// Numbers in a tile.
pub const TILE: usize = 64;

/// Products that can be summed before 64 bits overflow: each half of one is below 2^52.
const LAZY: usize = 4096;

/// A vector of constants and their quotients ([`Factor`]).
type Twiddle = [[u64; 8]; 2];

/// What the transforms modulo one prime need.
#[derive(Clone, Debug)]
pub struct Ntt {
    pub prime: u64,
    pub degree: usize,
    /// Powers of the root, the exponents in bit-reversed order; of its inverse.
    forward: Vec<Factor>,
    backward: Vec<Factor>,
    /// The last three stages: a tile's constants of the first (1), the second (2) and the third (4).
    forward_tiles: Vec<[Twiddle; 7]>,
    backward_tiles: Vec<[Twiddle; 7]>,
    /// Of each tile's eight blocks the zeta of which block is the remainder modulo x^8 - zeta.
    zetas: Vec<Twiddle>,
    /// 1, 2^52 and 2^104 modulo p: the weights of a lazy sum's parts.
    weights: [Factor; 3],
    degree_inverse: u64,
}

impl Ntt {
    /// `degree` is a power of two from 128 on, `prime` below 2^50 and 1 modulo twice the degree.
    pub fn new(degree: usize, prime: u64) -> Ntt {
        assert!(degree.is_power_of_two() && degree >= 2 * TILE && prime >> 50 == 0);
        let root = vartime_root(degree, prime);
        let forward = bit_reversed_powers(degree, root, prime);
        let backward = bit_reversed_powers(degree, inverse(root, prime), prime);
        let two = power(2, BITS.into(), prime);
        Ntt {
            prime,
            degree,
            zetas: (0..degree / TILE)
                .map(|tile| {
                    twiddle(|lane| {
                        let half = forward[degree / 8 + 8 * tile + lane].value;
                        Factor::new(mul(half, half, prime), prime)
                    })
                })
                .collect(),
            forward_tiles: tiles(degree, &forward),
            backward_tiles: tiles(degree, &backward),
            forward,
            backward,
            degree_inverse: inverse(degree as u64, prime),
            weights: [1, two, mul(two, two, prime)].map(|w| Factor::new(w, prime)),
        }
    }

    pub fn factor(&self, value: u64) -> Factor {
        Factor::new(value % self.prime, self.prime)
    }

    /// In place, from coefficients below 4 p to values below p.
    pub fn forward(&self, a: &mut [u64]) {
        assert_eq!(a.len(), self.degree);
        forward(self, a);
    }

    /// In place, from values below 2 p to `scale` times the coefficients, below p.
    pub fn backward(&self, a: &mut [u64], scale: u64) {
        assert_eq!(a.len(), self.degree);
        let scale = mul(self.degree_inverse, scale % self.prime, self.prime);
        backward(self, a, self.factor(scale));
    }

    /// Values below 4 p of the polynomial with these coefficients below p, at the points of the tiles from
    /// `first_tile` on that `out` holds. The number of coefficients is a multiple of eight.
    pub fn short_values(&self, coefficients: &[u64], first_tile: usize, out: &mut [u64]) {
        assert!(coefficients.len().is_multiple_of(8) && out.len().is_multiple_of(TILE));
        short_values(self, coefficients, first_tile, out);
    }

    /// Sums over i of a_i b_i and of c_i b_i, below p, where `pairs` holds (a_i, c_i) below 2^52, and b_i, below 2^52,
    /// is part i of `b`. All have the length of the results, a multiple of 32.
    pub fn dots(&self, pairs: &[[&[u64]; 2]], b: &[u64], out: [&mut [u64]; 2]) {
        let [first, second] = out;
        let n = first.len();
        assert!(n == second.len() && n.is_multiple_of(32) && b.len() == n * pairs.len());
        assert!(pairs.iter().flatten().all(|x| x.len() == n));
        if pairs.is_empty() {
            first.fill(0);
            second.fill(0);
        }
        for (i, (pairs, b)) in pairs
            .chunks(LAZY)
            .zip(b.chunks((LAZY * n).max(1)))
            .enumerate()
        {
            dots(self, pairs, b, i > 0, first, second);
        }
    }

    /// `out` + `constant` + x `factor` for words x of 64 bits, below p; `out` and `constant` below p.
    pub fn add_words(&self, words: &[u64], factor: u64, constant: u64, out: &mut [u64]) {
        assert_eq!(words.len(), out.len());
        let high = mul(factor % self.prime, (1 << 32) % self.prime, self.prime);
        add_words(
            self,
            words,
            [self.factor(factor), self.factor(high)],
            constant,
            out,
        );
    }

    /// `out` + x below p for numbers x of several words of 64 bits, the lowest first; `out` below p.
    pub(crate) fn add_long(&self, words: &[Buffer], out: &mut [u64]) {
        let two64 = power(2, 64, self.prime);
        let mut weight = 1;
        for words in words {
            self.add_words(words, weight, 0, out);
            weight = mul(weight, two64, self.prime);
        }
    }

    /// x `factor` + `constant` for x below 2^52, below p; `constant` below p.
    pub fn scaled(&self, x: &[u64], factor: u64, constant: u64, out: &mut [u64]) {
        assert!(x.len() == out.len() && x.len().is_multiple_of(8));
        scaled(self, x, self.factor(factor), constant, out);
    }

    /// `out` + `constant` below p, both below p.
    pub fn add_constant(&self, constant: u64, out: &mut [u64]) {
        add_constant(constant, self.prime, out);
    }

    /// `out` + x w below p: `out` below 2 p, w below p, x below 2^52.
    pub fn add_product(&self, x: &[u64], w: &Known, out: &mut [u64]) {
        assert!(
            x.len() == out.len() && w.values.len() == out.len() && w.quotients.len() == out.len()
        );
        add_product(self, x, &w.values, &w.quotients, out);
    }

    /// Residues of small signed numbers added to `out`, which stays below twice what it is and p.
    pub fn add_small(&self, small: &[i8], out: &mut [u64]) {
        add_small(small, self.prime, out);
    }

    /// The quotients of values below p that many products have as a factor. Secret keys are among them, and the time of
    /// a division tells of its operands, so the quotients are multiplied by 2^116 / p instead.
    pub fn known(&self, values: Vec<u64>) -> Known {
        let p = self.prime;
        let reciprocal = (1u128 << (64 + BITS)) / u128::from(p);
        let quotient = |&w: &u64| {
            // Too small by one at most, since w is below 2^50: then what is left is p or more.
            let quotient = ((u128::from(w) * reciprocal) >> 64) as u64;
            let left = (w << BITS).wrapping_sub(quotient.wrapping_mul(p));
            quotient + u64::from(left >= p)
        };
        let quotients = values.iter().map(quotient).collect();
        Known { values, quotients }
    }
}

/// Values below p with their quotients ([`Factor`]).
#[derive(Clone)]
pub struct Known {
    pub values: Vec<u64>,
    pub quotients: Vec<u64>,
}

impl zeroize::Zeroize for Known {
    fn zeroize(&mut self) {
        self.values.zeroize();
        self.quotients.zeroize();
    }
}

fn bit_reversed_powers(degree: usize, root: u64, p: u64) -> Vec<Factor> {
    let bits = degree.trailing_zeros();
    let mut powers = vec![Factor::new(1, p); degree];
    let mut x = 1;
    for i in 0..degree {
        powers[i.reverse_bits() >> (usize::BITS - bits)] = Factor::new(x, p);
        x = mul(x, root, p);
    }
    powers
}

fn twiddle(factor: impl Fn(usize) -> Factor) -> Twiddle {
    [
        std::array::from_fn(|lane| factor(lane).value),
        std::array::from_fn(|lane| factor(lane).quotient),
    ]
}

/// Lane b of tile g is block 8 g + b of eight numbers: it splits once by power N/8 + block, twice by N/4 + 2 block and
/// the next, four times by N/2 + 4 block and the next three.
fn tiles(degree: usize, powers: &[Factor]) -> Vec<[Twiddle; 7]> {
    (0..degree / TILE)
        .map(|tile| {
            std::array::from_fn(|i| {
                let (parts, part) = [(1, 0), (2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3)][i];
                twiddle(|lane| powers[degree * parts / 8 + parts * (8 * tile + lane) + part])
            })
        })
        .collect()
}

/// A vector of one constant and its quotient.
#[derive(Clone, Copy)]
struct Times<L>(L, L);

impl<L: Lanes> Times<L> {
    #[inline(always)]
    fn one(w: Factor) -> Times<L> {
        Times(L::splat(w.value), L::splat(w.quotient))
    }
    #[inline(always)]
    fn load(w: &Twiddle) -> Times<L> {
        Times(L::load(&w[0]), L::load(&w[1]))
    }
}

/// The prime in all lanes.
#[derive(Clone, Copy)]
struct Modulus<L> {
    p: L,
    two_p: L,
    /// 2^52 - p
    minus_p: L,
    low: L,
    zero: L,
}

/// Whether 32 p fits the multiplier. What needs that has this as its constant `ROOMY`.
fn roomy(ntt: &Ntt) -> bool {
    ntt.prime >> (BITS - 5) == 0
}

impl<L: Lanes> Modulus<L> {
    #[inline(always)]
    fn new(p: u64) -> Modulus<L> {
        Modulus {
            p: L::splat(p),
            two_p: L::splat(2 * p),
            minus_p: L::splat((1 << BITS) - p),
            low: L::splat(LOW),
            zero: L::splat(0),
        }
    }

    /// x w below 2 p, for any x below 2^52: the quotient is too small by at most one, so the difference of the low 52
    /// bits is the remainder or p more.
    #[inline(always)]
    fn times(self, x: L, w: Times<L>) -> L {
        let quotient = self.zero.add_high(x, w.1);
        let product = self.zero.add_low(x, w.0);
        product.add_low(quotient, self.minus_p).and(self.low)
    }

    /// Below 2 p, from below 4 p. The difference wraps to something large where it is negative.
    #[inline(always)]
    fn below_2p(self, x: L) -> L {
        x.min(x.sub(self.two_p))
    }

    /// Below p, from below 2 p.
    #[inline(always)]
    fn below_p(self, x: L) -> L {
        x.min(x.sub(self.p))
    }

    /// (x + w y, x - w y), below 4 p from below 4 p; if `ROOMY`, by at most 2 p more than x, of any y.
    #[inline(always)]
    fn split<const ROOMY: bool>(self, x: &mut L, y: &mut L, w: Times<L>) {
        let u = if ROOMY { *x } else { self.below_2p(*x) };
        let v = self.times(*y, w);
        *x = u.add(v);
        *y = u.add(self.two_p).sub(v);
    }

    /// (x + y, (x - y) w), below 2 p from below 2 p; if `ROOMY`, the first is x + y, where y is below `bound`.
    #[inline(always)]
    fn join<const ROOMY: bool>(self, x: &mut L, y: &mut L, w: Times<L>, bound: L) {
        let (u, v) = (*x, *y);
        let sum = u.add(v);
        *x = if ROOMY { sum } else { self.below_2p(sum) };
        *y = self.times(u.add(bound).sub(v), w);
    }

    /// The last three stages of a tile: rows are the numbers of a block, lanes are blocks.
    #[inline(always)]
    fn split_tile<const ROOMY: bool>(self, x: &mut [L; 8], w: &[Twiddle; 7]) {
        for (distance, first) in [(4, 0), (2, 1), (1, 3)] {
            for part in 0..4 / distance {
                let w = Times::load(&w[first + part]);
                for i in 2 * part * distance..(2 * part + 1) * distance {
                    let (mut a, mut b) = (x[i], x[i + distance]);
                    self.split::<ROOMY>(&mut a, &mut b, w);
                    (x[i], x[i + distance]) = (a, b);
                }
            }
        }
    }

    /// Below 2 p from below 2 p.
    #[inline(always)]
    fn join_tile<const ROOMY: bool>(self, x: &mut [L; 8], w: &[Twiddle; 7]) {
        let four_p = self.two_p.add(self.two_p);
        let eight_p = four_p.add(four_p);
        // If `ROOMY`, what numbers are below before each stage.
        for (distance, first, bound) in [(1, 3, self.two_p), (2, 1, four_p), (4, 0, eight_p)] {
            for part in 0..4 / distance {
                let w = Times::load(&w[first + part]);
                for i in 2 * part * distance..(2 * part + 1) * distance {
                    let (mut a, mut b) = (x[i], x[i + distance]);
                    self.join::<ROOMY>(&mut a, &mut b, w, if ROOMY { bound } else { self.two_p });
                    (x[i], x[i + distance]) = (a, b);
                }
            }
        }
        if ROOMY {
            // Sums of sums are below 16 p, then 8 p, 4 p and 4 p; the rest are products.
            x[0] = x[0].min(x[0].sub(eight_p));
            for i in 0..2 {
                x[i] = x[i].min(x[i].sub(four_p));
            }
            for x in &mut x[..4] {
                *x = self.below_2p(*x);
            }
        }
    }

    /// `out` + `constant` + x w below p, for words x in two halves, which have a factor each.
    #[inline(always)]
    fn add_word(self, x: &[u64; 8], w: [Times<L>; 2], constant: L, out: &mut [u64; 8]) {
        let x = L::load(x);
        let low = self.times(x.and(L::splat(u32::MAX.into())), w[0]);
        let high = self.times(x.shift_right::<32>(), w[1]);
        let sum = self.below_2p(low.add(high)).add(L::load(out).add(constant));
        self.below_p(self.below_2p(sum)).store(out);
    }

    /// low + 2^52 high below p, for any words: in parts of at most 52 bits, each times its weight below 2 p.
    #[inline(always)]
    fn reduce_sum(self, low: L, high: L, weights: &[Factor; 3]) -> L {
        let high = high.add(low.shift_right::<BITS>());
        let a = self.times(low.and(self.low), Times::one(weights[0]));
        let b = self.times(high.and(self.low), Times::one(weights[1]));
        let c = self.times(high.shift_right::<BITS>(), Times::one(weights[2]));
        self.below_p(self.below_2p(self.below_2p(a.add(b)).add(c)))
    }
}

fn vectors(x: &mut [u64]) -> impl Iterator<Item = &mut [u64; 8]> {
    x.as_chunks_mut::<8>().0.iter_mut()
}

/// Vectors of four quarters of a block, in step.
#[inline(always)]
fn quarters(block: &mut [u64]) -> impl Iterator<Item = [&mut [u64; 8]; 4]> {
    let quarter = block.len() / 4;
    let (a, rest) = block.split_at_mut(quarter);
    let (b, rest) = rest.split_at_mut(quarter);
    let (c, d) = rest.split_at_mut(quarter);
    let (mut b, mut c, mut d) = (vectors(b), vectors(c), vectors(d));
    vectors(a).map_while(move |a| Some([a, b.next()?, c.next()?, d.next()?]))
}

#[inline(always)]
fn forward_as<L: Lanes, const ROOMY: bool>(ntt: &Ntt, a: &mut [u64]) {
    let modulus = Modulus::<L>::new(ntt.prime);
    let w = &ntt.forward[..];
    // Stages with partners at least eight apart, two in one pass over memory; a first one alone if odd.
    let mut blocks = 1;
    if ((ntt.degree / 8).trailing_zeros()) % 2 == 1 {
        let (x, y) = a.split_at_mut(ntt.degree / 2);
        let w = Times::one(w[1]);
        for (x, y) in vectors(x).zip(vectors(y)) {
            let (mut u, mut v) = (L::load(x), L::load(y));
            modulus.split::<ROOMY>(&mut u, &mut v, w);
            u.store(x);
            v.store(y);
        }
        blocks = 2;
    }
    while blocks < ntt.degree / 8 {
        for (i, block) in a.chunks_exact_mut(ntt.degree / blocks).enumerate() {
            let w0 = Times::one(w[blocks + i]);
            let w1 = Times::one(w[2 * (blocks + i)]);
            let w2 = Times::one(w[2 * (blocks + i) + 1]);
            for [a, b, c, d] in quarters(block) {
                let (mut s, mut t) = (L::load(a), L::load(b));
                let (mut u, mut v) = (L::load(c), L::load(d));
                modulus.split::<ROOMY>(&mut s, &mut u, w0);
                modulus.split::<ROOMY>(&mut t, &mut v, w0);
                modulus.split::<ROOMY>(&mut s, &mut t, w1);
                modulus.split::<ROOMY>(&mut u, &mut v, w2);
                s.store(a);
                t.store(b);
                u.store(c);
                v.store(d);
            }
        }
        blocks *= 4;
    }
    let one = Times::one(ntt.weights[0]);
    let tiles = a.as_chunks_mut::<8>().0.as_chunks_mut::<8>().0;
    for (tile, w) in tiles.iter_mut().zip(&ntt.forward_tiles) {
        let mut x = L::transpose(std::array::from_fn(|i| L::load(&tile[i])));
        modulus.split_tile::<ROOMY>(&mut x, w);
        for i in 0..8 {
            let x = match ROOMY {
                true => modulus.times(x[i], one),
                false => modulus.below_2p(x[i]),
            };
            modulus.below_p(x).store(&mut tile[i]);
        }
    }
}

#[inline(always)]
fn backward_as<L: Lanes, const ROOMY: bool>(ntt: &Ntt, a: &mut [u64], scale: Factor) {
    let modulus = Modulus::<L>::new(ntt.prime);
    let (two_p, four_p) = (modulus.two_p, modulus.two_p.add(modulus.two_p));
    let w = &ntt.backward[..];
    let tiles = a.as_chunks_mut::<8>().0.as_chunks_mut::<8>().0;
    for (tile, w) in tiles.iter_mut().zip(&ntt.backward_tiles) {
        let mut x = std::array::from_fn(|i| L::load(&tile[i]));
        modulus.join_tile::<ROOMY>(&mut x, w);
        let x = L::transpose(x);
        for i in 0..8 {
            x[i].store(&mut tile[i]);
        }
    }
    let mut blocks = ntt.degree / 8;
    while blocks >= 4 {
        blocks /= 4;
        for (i, block) in a.chunks_exact_mut(ntt.degree / blocks).enumerate() {
            let w0 = Times::one(w[blocks + i]);
            let w1 = Times::one(w[2 * (blocks + i)]);
            let w2 = Times::one(w[2 * (blocks + i) + 1]);
            for [a, b, c, d] in quarters(block) {
                let (mut s, mut t) = (L::load(a), L::load(b));
                let (mut u, mut v) = (L::load(c), L::load(d));
                modulus.join::<ROOMY>(&mut s, &mut t, w1, two_p);
                modulus.join::<ROOMY>(&mut u, &mut v, w2, two_p);
                modulus.join::<ROOMY>(&mut s, &mut u, w0, if ROOMY { four_p } else { two_p });
                modulus.join::<ROOMY>(&mut t, &mut v, w0, two_p);
                if ROOMY {
                    // Below 8 p, and below 4 p.
                    s = modulus.below_2p(s.min(s.sub(four_p)));
                    t = modulus.below_2p(t);
                }
                s.store(a);
                t.store(b);
                u.store(c);
                v.store(d);
            }
        }
    }
    // What is left is below 4 p if `ROOMY`, which the last product takes.
    if blocks == 2 {
        let (x, y) = a.split_at_mut(ntt.degree / 2);
        let w = Times::one(w[1]);
        for (x, y) in vectors(x).zip(vectors(y)) {
            let (mut u, mut v) = (L::load(x), L::load(y));
            modulus.join::<ROOMY>(&mut u, &mut v, w, two_p);
            u.store(x);
            v.store(y);
        }
    }
    let scale = Times::one(scale);
    for x in vectors(a) {
        modulus.below_p(modulus.times(L::load(x), scale)).store(x);
    }
}

kernels! {
    fn forward<L>(ntt: &Ntt, a: &mut [u64]) {
        if roomy(ntt) {
            forward_as::<L, true>(ntt, a)
        } else {
            forward_as::<L, false>(ntt, a)
        }
    }

    fn backward<L>(ntt: &Ntt, a: &mut [u64], scale: Factor) {
        if roomy(ntt) {
            backward_as::<L, true>(ntt, a, scale)
        } else {
            backward_as::<L, false>(ntt, a, scale)
        }
    }

    /// Horner's rule in x^8 modulo x^8 - zeta, then the last three stages. Below 3 p before these.
    fn short_values<L>(ntt: &Ntt, coefficients: &[u64], first_tile: usize, out: &mut [u64]) {
        let modulus = Modulus::<L>::new(ntt.prime);
        let parts = coefficients.as_chunks::<8>().0;
        let Some((top, rest)) = parts.split_last() else {
            return out.fill(0);
        };
        for (g, tile) in out.as_chunks_mut::<8>().0.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let g = first_tile + g;
            let mut x: [L; 8] = std::array::from_fn(|i| L::splat(top[i]));
            let zeta = Times::load(&ntt.zetas[g]);
            for part in rest.iter().rev() {
                for i in 0..8 {
                    x[i] = modulus.times(x[i], zeta).add(L::splat(part[i]));
                }
            }
            modulus.split_tile::<false>(&mut x, &ntt.forward_tiles[g]);
            for i in 0..8 {
                x[i].store(&mut tile[i]);
            }
        }
    }

    /// At most [`LAZY`] products, `more` to those that are in the results. Four vectors at a time: sixteen sums hide the multiplier's latency.
    fn dots<L>(ntt: &Ntt, pairs: &[[&[u64]; 2]], b: &[u64], more: bool, first: &mut [u64], second: &mut [u64]) {
        let modulus = Modulus::<L>::new(ntt.prime);
        let n = first.len();
        let blocks = first.as_chunks_mut::<8>().0.as_chunks_mut::<4>().0.iter_mut();
        let others = second.as_chunks_mut::<8>().0.as_chunks_mut::<4>().0.iter_mut();
        for (at, (first, second)) in blocks.zip(others).enumerate() {
            let mut sums = [[[modulus.zero; 2]; 4]; 2];
            for (pair, b) in pairs.iter().zip(b.chunks_exact(n)) {
                let b = &b.as_chunks::<8>().0[4 * at..4 * at + 4];
                for half in 0..2 {
                    let a = &pair[half].as_chunks::<8>().0[4 * at..4 * at + 4];
                    for i in 0..4 {
                        let (x, y) = (L::load(&a[i]), L::load(&b[i]));
                        let [low, high] = sums[half][i];
                        sums[half][i] = [low.add_low(x, y), high.add_high(x, y)];
                    }
                }
            }
            for (half, out) in [first, second].into_iter().enumerate() {
                for i in 0..4 {
                    let [low, high] = sums[half][i];
                    let mut sum = modulus.reduce_sum(low, high, &ntt.weights);
                    if more {
                        sum = modulus.below_p(sum.add(L::load(&out[i])));
                    }
                    sum.store(&mut out[i]);
                }
            }
        }
    }

    fn add_words<L>(ntt: &Ntt, words: &[u64], factors: [Factor; 2], constant: u64, out: &mut [u64]) {
        let modulus = Modulus::<L>::new(ntt.prime);
        let factors = factors.map(Times::<L>::one);
        let constant = L::splat(constant);
        let whole = words.len() / 8 * 8;
        for (x, out) in words.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
            modulus.add_word(x, factors, constant, out);
        }
        let (words, out) = (&words[whole..], &mut out[whole..]);
        let (mut x, mut sum) = ([0; 8], [0; 8]);
        x[..words.len()].copy_from_slice(words);
        sum[..words.len()].copy_from_slice(out);
        modulus.add_word(&x, factors, constant, &mut sum);
        out.copy_from_slice(&sum[..words.len()]);
    }

    fn scaled<L>(ntt: &Ntt, x: &[u64], factor: Factor, constant: u64, out: &mut [u64]) {
        let modulus = Modulus::<L>::new(ntt.prime);
        let (factor, constant) = (Times::one(factor), L::splat(constant));
        for (x, out) in x.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
            let sum = modulus.times(L::load(x), factor).add(constant);
            modulus.below_p(modulus.below_2p(sum)).store(out);
        }
    }

    fn add_constant<L>(constant: u64, p: u64, out: &mut [u64]) {
        for x in out {
            // The smaller of the sum and what is left of it after p is taken, which wraps if negative.
            *x = (*x + constant).min((*x + constant).wrapping_sub(p));
        }
    }

    fn add_small<L>(small: &[i8], p: u64, out: &mut [u64]) {
        for (out, &x) in out.iter_mut().zip(small) {
            let x = i64::from(x);
            // The sign's bits choose p without a branch.
            *out += ((x >> 63) as u64 & p).wrapping_add(x as u64);
        }
    }

    fn add_product<L>(ntt: &Ntt, x: &[u64], values: &[u64], quotients: &[u64], out: &mut [u64]) {
        let modulus = Modulus::<L>::new(ntt.prime);
        let factors = values.as_chunks::<8>().0.iter().zip(quotients.as_chunks::<8>().0);
        let sums = x.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0);
        for ((w, q), (x, out)) in factors.zip(sums) {
            let product = modulus.times(L::load(x), Times(L::load(w), L::load(q)));
            let sum = L::load(out).add(product);
            modulus.below_p(modulus.below_2p(sum)).store(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::with_each;
    use crate::prime::vartime_primes;

    /// A stream of numbers for tests.
    fn numbers(seed: u8, n: usize) -> Vec<u64> {
        let mut words = vec![0; n];
        argot_prf::Stream::new(&[seed; 16]).words_at(0, &mut words);
        words
    }

    fn residues(seed: u8, n: usize, p: u64) -> Vec<u64> {
        numbers(seed, n).into_iter().map(|x| x % p).collect()
    }

    /// The product modulo x^n + 1 and p, term by term.
    fn schoolbook(a: &[u64], b: &[u64], p: u64) -> Vec<u64> {
        let n = a.len();
        let mut out = vec![0; n];
        for i in 0..n {
            for j in 0..n {
                let term = mul(a[i], b[j], p);
                let at = (i + j) % n;
                out[at] = (out[at] + if i + j < n { term } else { p - term }) % p;
            }
        }
        out
    }

    fn product(ntt: &Ntt, a: &[u64], b: &[u64]) -> Vec<u64> {
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        ntt.forward(&mut a);
        ntt.forward(&mut b);
        let mut out = vec![0; a.len()];
        ntt.add_product(&a, &ntt.known(b), &mut out);
        ntt.backward(&mut out, 1);
        out
    }

    #[test]
    fn products_are_those_of_the_schoolbook() {
        for (degree, bits) in [(128, 50), (256, 50), (4096, 50), (4096, 30), (8192, 47)] {
            let p = vartime_primes(degree, &[bits]).unwrap()[0];
            let ntt = Ntt::new(degree, p);
            let (a, b) = (residues(1, degree, p), residues(2, degree, p));
            // Dense by dense only where the schoolbook is quick; else a few terms, the last among them.
            let mut b = b;
            if degree > 256 {
                for i in 0..degree - 1 {
                    if i % 97 != 3 {
                        b[i] = 0;
                    }
                }
            }
            let want = {
                let n = degree;
                if n <= 256 {
                    schoolbook(&a, &b, p)
                } else {
                    let mut out = vec![0; n];
                    for j in (0..n).filter(|&j| b[j] != 0) {
                        for i in 0..n {
                            let term = mul(a[i], b[j], p);
                            let at = (i + j) % n;
                            out[at] = (out[at] + if i + j < n { term } else { p - term }) % p;
                        }
                    }
                    out
                }
            };
            with_each(|backend| {
                assert_eq!(product(&ntt, &a, &b), want, "{backend:?} {degree} {bits}");
            });
        }
    }

    #[test]
    fn all_backends_agree_and_there_and_back_is_the_same() {
        for degree in [4096, 8192, 16384] {
            for p in vartime_primes(degree, &[50, 43]).unwrap() {
                let ntt = Ntt::new(degree, p);
                for edge in [None, Some(0), Some(p - 1), Some(1)] {
                    let a = edge.map_or_else(|| residues(3, degree, p), |x| vec![x; degree]);
                    let mut results = Vec::new();
                    with_each(|_| {
                        let mut values = a.clone();
                        ntt.forward(&mut values);
                        let mut back = values.clone();
                        ntt.backward(&mut back, 1);
                        assert_eq!(back, a);
                        ntt.backward(&mut values.clone(), 12345);
                        results.push(values);
                    });
                    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
                    assert!(results[0].iter().all(|&x| x < p));
                }
            }
        }
    }

    /// Inputs may be four times too large.
    #[test]
    fn lazy_inputs_are_reduced() {
        let p = vartime_primes(4096, &[50]).unwrap()[0];
        let ntt = Ntt::new(4096, p);
        let a = residues(4, 4096, p);
        let mut want = a.clone();
        ntt.forward(&mut want);
        with_each(|_| {
            let mut lazy: Vec<u64> = a.iter().map(|x| x + 3 * p).collect();
            ntt.forward(&mut lazy);
            assert_eq!(lazy, want);
        });
    }

    #[test]
    fn short_values_are_those_of_the_whole_transform() {
        let degree = 4096;
        let p = vartime_primes(degree, &[50]).unwrap()[0];
        let ntt = Ntt::new(degree, p);
        for length in [0, 8, 16, 24, 128, 1024] {
            let coefficients = residues(5, length, p);
            let mut want = vec![0; degree];
            want[..length].copy_from_slice(&coefficients);
            ntt.forward(&mut want);
            with_each(|backend| {
                let mut got = vec![7; degree - 3 * TILE];
                ntt.short_values(&coefficients, 3, &mut got);
                assert!(got.iter().all(|&x| x < 4 * p));
                got.iter_mut().for_each(|x| *x %= p);
                assert_eq!(got, want[3 * TILE..], "{backend:?} {length}");
            });
        }
    }

    #[test]
    fn lazy_sums_do_not_overflow() {
        let p = vartime_primes(4096, &[50]).unwrap()[0];
        let ntt = Ntt::new(4096, p);
        for terms in [0, 1, 7, LAZY, LAZY + 1, 2 * LAZY + 5] {
            let (a, c) = (vec![p - 1; 32], vec![4 * p - 1; 32]);
            let b = vec![4 * p - 1; 32 * terms];
            let pairs = vec![[&a[..], &c[..]]; terms];
            let square = mul(p - 1, p - 1, p);
            let want = mul(square, terms as u64, p);
            with_each(|_| {
                let (mut x, mut y) = (vec![9; 32], vec![9; 32]);
                ntt.dots(&pairs, &b, [&mut x, &mut y]);
                assert!(x.iter().chain(&y).all(|&z| z == want));
            });
        }
    }

    #[test]
    fn quotients_without_a_division_are_those_with_one() {
        for bits in [20, 26, 37, 49, 50] {
            let p = vartime_primes(4096, &[bits]).unwrap()[0];
            let ntt = Ntt::new(4096, p);
            let mut values = residues(7, 20_000, p);
            values.extend([0, 1, 2, p - 1, p - 2, p / 2, p / 2 + 1]);
            // w 2^52 just below and just above multiples of p.
            let inverse = inverse(power(2, BITS.into(), p), p);
            values.extend((1..100).flat_map(|x| [mul(x, inverse, p), mul(p - x, inverse, p)]));
            let known = ntt.known(values);
            for (&w, &quotient) in known.values.iter().zip(&known.quotients) {
                assert_eq!(quotient, Factor::new(w, p).quotient, "{bits} {w}");
            }
        }
    }

    #[test]
    fn words_are_reduced_and_scaled() {
        let p = vartime_primes(4096, &[50]).unwrap()[0];
        let ntt = Ntt::new(4096, p);
        let mut words = numbers(6, 45);
        words.extend([0, 1, u64::MAX, p, p - 1, 1 << 63]);
        with_each(|_| {
            let mut out = vec![p - 1; words.len()];
            ntt.add_words(&words, p - 2, 5, &mut out);
            for (&x, &got) in words.iter().zip(&out) {
                assert_eq!(got, (mul(x % p, p - 2, p) + 4) % p);
            }
        });
        let small: Vec<u64> = residues(8, 64, 1 << 52);
        with_each(|_| {
            let mut out = vec![9; small.len()];
            ntt.scaled(&small, p - 3, p - 1, &mut out);
            for (&x, &got) in small.iter().zip(&out) {
                assert_eq!(got, (mul(x % p, p - 3, p) + p - 1) % p);
            }
        });
        let mut out = vec![0; 3];
        ntt.add_small(&[-1, 0, 21], &mut out);
        assert_eq!(out, [p - 1, 0, 21]);
    }
}
