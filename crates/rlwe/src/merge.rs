//! Answers with few results become one with many.
//!
//! An answer's results may be coefficients of multiples of g = 2^h alone; others are garbage. Of c such answers, c <= g,
//! number j times x^j keeps its results to itself, at exponents that are j modulo g: their sum has all results, once
//! the garbage is gone. For g = 2 that is a + x b + tau(a - x b) for answers a, b and tau: x -> x^(N + 1) = -x, which
//! keeps even coefficients and turns the sign of odd ones: each result twice, and of garbage nothing. For larger g,
//! answers at distance g/2 are joined to such with results at multiples of g/2, by x -> x^(1 + 2 N / g), and so on
//! (Chen, Dai, Kim, Song; eprint 2020/015, algorithm 2, with whole polynomials for leaves). One half for each step is
//! multiplied in before, modulo q', so that results and their noise come out as they went in.
//!
//! tau(c0) + tau(c1) tau(s) is an answer under another secret. It is put under s by a *key*: encryptions of P tau(s)
//! times what is 1 modulo one prime of q' and 0 modulo others, for each of them, modulo q' P. Times the residues of
//! tau(c1) and summed they are an encryption of P tau(c1) tau(s); divided by P their noise is small.
//!
//! All this is done modulo q', the first primes of q, with P the next, as the security of keys allows no more than q
//! and noise is no matter here: what the client may not see has been hidden modulo q ("What merging shows",
//! [`crate`]). It needs c1 alone. c0 is only added to: since garbage vanishes, a result is c0's coefficient, as it was
//! modulo q, and a function of the c1.

use crate::chain::{Chain, MERGED};
use crate::cipher::{expand, read, seed_of, write, SecretKey, Values};
use crate::error::Error;
use crate::ntt::Ntt;
use crate::sample::Seed;
use crate::scratch::Buffer;
use crate::wire::{self, Kind};
use rayon::prelude::*;

/// The most answers that become one. Each doubling has a key of its own, of 300 KB.
pub const MOST: usize = 64;
const STEPS: usize = MOST.ilog2() as usize;

/// Of q' P.
pub(crate) const KEY_PRIMES: usize = MERGED + 1;

/// Both halves, modulo q', as coefficients.
type Part = [Buffer; 2];

/// What turns a party's answers into fewer: keys that its client made.
pub(crate) struct Merger {
    /// For distance 2^i, for each prime of q', both halves as values modulo q' P.
    keys: Vec<[[Values; 2]; MERGED]>,
}

/// The exponent that x becomes where answers at this distance are joined.
fn exponent(degree: usize, distance: usize) -> usize {
    1 + degree / distance
}

/// a(x^exponent) modulo p.
fn turn(p: u64, a: &[u64], exponent: usize, out: &mut [u64]) {
    let n = a.len();
    let mut to = 0;
    for &x in a {
        out[to & (n - 1)] = if to & n == 0 { x } else { negative(x, p) };
        to += exponent;
    }
}

#[inline(always)]
fn below(x: u64, p: u64) -> u64 {
    x.min(x.wrapping_sub(p))
}

#[inline(always)]
fn negative(x: u64, p: u64) -> u64 {
    below(p - x, p)
}

fn size(chain: &Chain) -> usize {
    let primes = &chain.primes[..KEY_PRIMES];
    let bits = primes.iter().map(|ntt| wire::bits(ntt.prime));
    bits.map(|bits| wire::packed(chain.degree, bits)).sum()
}

/// Bytes of all keys.
pub(crate) fn length(chain: &Chain) -> usize {
    wire::HEADER + 32 + STEPS * MERGED * size(chain)
}

/// The keys: their c0, distance by distance.
pub(crate) fn keys(secret: &SecretKey, chain: &Chain) -> Result<Vec<u8>, Error> {
    let (n, primes) = (chain.degree, &chain.primes[..KEY_PRIMES]);
    let (public, random) = (Seed::fresh()?, Seed::fresh()?);
    let mut out = Vec::with_capacity(length(chain));
    wire::header(Kind::MergingKeys, chain, 0, &mut out);
    out.extend(public.bytes());
    let start = out.len();
    out.resize(length(chain), 0);
    let parts = out[start..].par_chunks_exact_mut(size(chain));
    parts.enumerate().for_each(|(index, out)| {
        let (step, digit) = (index / MERGED, index % MERGED);
        let c0 = secret.encrypt(primes, &public, &random, index, |i, out| {
            if i == digit {
                let ntt = &primes[i];
                let mut turned = Buffer::zeros(n);
                let minus = secret.minus_secret(ntt, i);
                turn(ntt.prime, &minus, exponent(n, 1 << step), &mut turned);
                let factor = ntt.prime - primes[MERGED].prime % ntt.prime;
                ntt.add_words(&turned, factor, 0, out);
            }
        });
        write(primes, &c0, &(0..n), out);
    });
    Ok(out)
}

impl Merger {
    pub fn read(chain: &Chain, bytes: &[u8]) -> Result<Merger, Error> {
        let primes = &chain.primes[..KEY_PRIMES];
        let length = length(chain) - wire::HEADER;
        let body = wire::body(bytes, Kind::MergingKeys, chain, 0, length)?;
        let (seed, body) = seed_of(body);
        let mut parts = body.chunks_exact(size(chain)).enumerate();
        let mut next = || {
            let (index, bytes) = parts.next().expect("length was checked");
            let c0 = read(primes, bytes, &(0..chain.degree))?;
            Ok([c0, expand(primes, &seed, index)])
        };
        let keys = (0..STEPS).map(|_| Ok([next()?, next()?]));
        Ok(Merger {
            keys: keys.collect::<Result<_, Error>>()?,
        })
    }

    /// One answer of those whose c1 these are, of each the half for every doubling to `step` divided out: both halves
    /// modulo q' of what c0 is to be added to.
    pub fn merge(&self, chain: &Chain, answers: Vec<Buffer>, step: usize) -> Part {
        let n = chain.degree;
        let zeros = || Buffer::zeros(MERGED * n);
        let leaves = answers.into_iter().map(|c1| Some([zeros(), c1]));
        let mut parts: Vec<Option<Part>> = leaves.collect();
        parts.resize_with(step, || None);
        while parts.len() > 1 {
            let distance = parts.len() / 2;
            let others = parts.split_off(distance);
            parts = parts
                .into_par_iter()
                .zip(others)
                .map(|pair| match pair {
                    (Some(a), Some(b)) => Some(self.join(chain, a, b, distance)),
                    (Some(a), None) => Some(doubled(chain, a)),
                    (None, _) => None,
                })
                .collect();
        }
        let whole = parts.pop().flatten();
        whole.expect("there is an answer")
    }

    /// a + x^distance b + tau(a - x^distance b), under s.
    fn join(&self, chain: &Chain, mut a: Part, b: Part, distance: usize) -> Part {
        let n = chain.degree;
        let exponent = exponent(n, distance);
        let mut turned = [(), ()].map(|()| Buffer::zeros(MERGED * n));
        let mut difference = Buffer::zeros(n);
        for ((a, b), turned) in a.iter_mut().zip(&b).zip(&mut turned) {
            for (i, ntt) in chain.primes[..MERGED].iter().enumerate() {
                let part = i * n..(i + 1) * n;
                let (a, b, p) = (&mut a[part.clone()], &b[part.clone()], ntt.prime);
                // x^distance b begins with what goes around, negative.
                let (rest, around) = b.split_at(n - distance);
                let (first, others) = a.split_at_mut(distance);
                let (minus, plus) = difference.split_at_mut(distance);
                let parts = first.iter_mut().zip(around).zip(minus);
                parts.for_each(|((a, &b), d)| (*a, *d) = (below(*a + p - b, p), below(*a + b, p)));
                let parts = others.iter_mut().zip(rest).zip(plus);
                parts.for_each(|((a, &b), d)| (*a, *d) = (below(*a + b, p), below(*a + p - b, p)));
                turn(p, &difference, exponent, &mut turned[part]);
            }
        }
        let [t0, t1] = turned;
        let switched = self.switch_key(chain, distance, &t1);
        add(chain, &mut a[0], &t0);
        for (a, k) in a.iter_mut().zip(&switched) {
            add(chain, a, k);
        }
        a
    }

    /// Halves of an encryption under s of c1 tau(s).
    fn switch_key(&self, chain: &Chain, distance: usize, c1: &[u64]) -> Part {
        let n = chain.degree;
        let key = &self.keys[distance.ilog2() as usize];
        let mut sums = [(), ()].map(|()| Buffer::zeros(KEY_PRIMES * n));
        let mut digits = Buffer::zeros(MERGED * n);
        for (j, ntt) in chain.primes[..KEY_PRIMES].iter().enumerate() {
            let part = j * n..(j + 1) * n;
            digits.fill(0);
            for (digit, c1) in digits.chunks_exact_mut(n).zip(c1.chunks_exact(n)) {
                ntt.add_words(c1, 1, 0, digit);
                ntt.forward(digit);
            }
            let pairs = key
                .each_ref()
                .map(|halves| halves.each_ref().map(|half| &half[part.clone()]));
            let [first, second] = &mut sums;
            ntt.dots(
                &pairs,
                &digits,
                [&mut first[part.clone()], &mut second[part]],
            );
        }
        sums.map(|sum| chain.lower(sum, 0))
    }
}

fn add(chain: &Chain, to: &mut [u64], x: &[u64]) {
    let parts = to.chunks_exact_mut(chain.degree);
    for ((to, x), Ntt { prime, .. }) in parts.zip(x.chunks_exact(chain.degree)).zip(&chain.primes) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = below(*to + x, *prime);
        }
    }
}

fn doubled(chain: &Chain, part: Part) -> Part {
    part.map(|mut half| {
        let parts = half.chunks_exact_mut(chain.degree).zip(&chain.primes);
        parts.for_each(|(x, ntt)| x.iter_mut().for_each(|x| *x = below(2 * *x, ntt.prime)));
        half
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::of_merging;
    use crate::params::Params;
    use crate::sample::{vartime_uniform, Purpose};

    /// Minus a polynomial modulo q' times s, in units of 2^-128 q'.
    fn minus_times(chain: &Chain, key: &SecretKey, c: &[u64]) -> impl Fn(usize) -> u128 {
        let n = chain.degree;
        let mut values = Buffer::zeros(MERGED * n);
        values.copy_from_slice(c);
        for (ntt, part) in chain.primes.iter().zip(values.chunks_exact_mut(n)) {
            ntt.forward(part);
        }
        let mut products = key.minus_times(chain, &values);
        for (ntt, part) in chain.primes.iter().zip(products.chunks_exact_mut(n)) {
            ntt.backward(part, 1);
        }
        let fractions = chain.low_fractions(&products);
        let numbers: Vec<u128> = (0..n).map(fractions).collect();
        move |at| numbers[at]
    }

    /// The phase of an answer made of some, against the coefficients of theirs that it is to have.
    #[test]
    fn merged_answers_have_the_results_of_all() {
        for ring in [64, 32] {
            let params = Params::merging(ring, ring).unwrap();
            let chain = &params.chain;
            let n = chain.degree;
            let key = SecretKey::new(chain).unwrap();
            let merger = Merger::read(chain, &keys(&key, chain).unwrap()).unwrap();
            let p = |i: usize| chain.primes[i].prime as f64;
            for (count, step) in [(1, 1), (2, 2), (3, 4), (8, 8), (37, 64), (64, 64usize)] {
                let mut uniform = Seed::fresh().unwrap().stream(Purpose::Uniform, count);
                let c1: Vec<Buffer> = (0..count)
                    .map(|_| {
                        let mut c1 = Buffer::zeros(chain.primes.len() * n);
                        for (ntt, part) in chain.primes.iter().zip(c1.chunks_exact_mut(n)) {
                            vartime_uniform(&mut uniform, ntt.prime, part);
                        }
                        c1
                    })
                    .collect();
                let lowered = |halvings: u32| {
                    let each = c1.iter().map(move |c1| {
                        let mut copy = Buffer::zeros(c1.len());
                        copy.copy_from_slice(c1);
                        chain.lower(copy, halvings)
                    });
                    each.collect::<Vec<_>>()
                };
                let wants: Vec<_> = lowered(0)
                    .iter()
                    .map(|c1| minus_times(chain, &key, c1))
                    .collect();
                let [d0, d1] = merger.merge(chain, lowered(step.ilog2()), step);
                let (d0, d1) = (chain.low_fractions(&d0), minus_times(chain, &key, &d1));
                let mut most = 0f64;
                for at in (0..n).filter(|at| at % step < count) {
                    // d0 + d1 s less c1 s.
                    let want = wants[at % step](at - at % step);
                    let off = d0(at).wrapping_sub(d1(at)).wrapping_add(want) as i128;
                    most = most.max((off as f64).abs() / 2f64.powi(128));
                }
                let noise = most * p(0) * p(1);
                let bound = of_merging(n, step, p(0) / p(MERGED));
                println!("{count} of {step} modulo 2^{ring}: {noise:.1}, bound {bound:.1}");
                assert!(noise <= bound + 0.01, "{count} {step}: {noise} {bound}");
                assert!(
                    step == 1 || noise > bound / 64.0,
                    "{count} {step}: {noise} {bound}"
                );
            }
        }
    }

    #[test]
    fn keys_are_of_their_length() {
        let params = Params::merging(64, 64).unwrap();
        let key = SecretKey::new(&params.chain).unwrap();
        let mut bytes = keys(&key, &params.chain).unwrap();
        assert_eq!(bytes.len(), length(&params.chain));
        assert!(bytes.len() < 2_000_000);
        assert_eq!(bytes.len(), bytes.capacity());
        bytes.pop();
        let got = Merger::read(&params.chain, &bytes).err();
        assert!(matches!(got, Some(Error::Length { .. })));
    }
}
