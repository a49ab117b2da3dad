//! Products element by element: one party has x, the other y, both get an additive share of x y modulo 2^l. Or of
//! x y + x' y', where one has x and x', the other y and y', and of sums of more such terms ([`Params::of_sums`]).
//!
//! ```
//! use argot_rlwe::products::{Client, Params, Server};
//! let params = Params::new(64, 64, 64)?;
//! let client = Client::new(&params)?;
//! let server = Server::new(&params, &client.public_key()?)?;
//!
//! let request = client.request(&[&[5, u64::MAX], &[3, 0]])?;
//! let (answer, theirs) = server.answer(&request, &[&[7, u64::MAX], &[2, 9]])?;
//! let ours = client.finish(2, &answer)?;
//! assert_eq!(ours[0].wrapping_add(theirs[0]), 35 + 6);
//! assert_eq!(ours[1].wrapping_add(theirs[1]), 1);
//! # Ok::<(), argot_rlwe::Error>(())
//! ```
//!
//! Modulo a prime t that is 1 modulo 2 N, x^N + 1 has N roots, and products of polynomials are products of their
//! values there. The whole sum of products, with a mask r of 40 bits more than it has, is computed modulo several such
//! primes; the client joins it and takes it modulo 2^l, the server's share is -r. So shares are exact: no bit depends on
//! rounding.
//!
//! What the client sees, for each prime t: c1, which says nothing (below), and c0 rounded from q to a bit more than t has,
//! with c0 = f + e and f = q/t (x y + r mod t) - c1 s modulo q. It knows all of f but x y + r, which hides x y but for a
//! distance of 2^-40. The noise e depends on y. It has a bound B, and changes what c0 is rounded to only where f is closer
//! than B to the middle between two steps. As s is not zero and c1 uniform, f is, so that this has the probability of 2 B
//! in a step, at most 2^-40: but for this distance the client sees f rounded.
//!
//! c1 is a sum of products by y plus p1 u, where p1 is of the public key and u fresh, rounded to some ten bits more than
//! t has. With a further small error e1 of p1 u it is uniform to whoever does not know u (ring-LWE with the secret u, of
//! which each prime t gives another sample: the key has an encryption of zero for each, and u is the same for all). The
//! server does not add e1, since rounding takes it away: of these widths it changes a coefficient with a probability
//! far below 2^-40. In the argument above c1 + e1 stands for c1, then, and f - e1 s for f, where B covers e1 s, too.
//!
//! Distances add up. Those of the noise are for each of the N coefficients of a ciphertext and each prime t, however few
//! products are in it: 2^-25.5 for up to 8,192 products of numbers of 64 bits, with the bound of the noise, some 60 times
//! what it is on average. Those of the masks are 2^-40 for each product. So 2^20 products in full ciphertexts have
//! 2^-17.7, in ciphertexts of a thousand each some 2^-15.5.

use crate::chain::{Chain, Joins, Turn, SECURE};
use crate::cipher::{self, SecretKey, Values};
use crate::error::Error;
use crate::noise::{bits, of_products, of_switching};
use crate::ntt::Ntt;
use crate::params::prime_bits;
use crate::prime::{inverse, mul, vartime_primes};
use crate::sample::{ternary, Purpose, Seed};
use crate::scratch::Buffer;
use crate::wire::{self, Kind};
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How much more a mask has than what it hides, and a step of c0 than the noise: for one product, 2^-40 is left. With 60
/// that would hold for 2^20 products, at the cost of four primes of q instead of three and 20 to 30 in a hundred bytes.
const HIDING_BITS: u32 = 40;

/// The most products that are added up in one, where nothing else is said.
pub const TERMS: usize = 2;
/// The most of any parameters.
pub const MOST_TERMS: usize = 32;

/// In place of how many these are: answers are of one form.
const ANY: usize = 0;

/// Widths, plaintext primes and modulus. Building it takes milliseconds: keep it. Clients and servers share it.
#[derive(Debug)]
pub struct Params {
    pub ring_bits: u32,
    pub x_bits: u32,
    pub y_bits: u32,
    /// The most products that are added up in one.
    pub terms: usize,
    /// Its answers are the c1 of ours.
    pub chain: Chain,
    /// Bits of the c0 of an answer.
    pub c0_bits: u32,
    plains: Vec<Plain>,
    joins: Joins,
}

/// What belongs to one plaintext prime t.
#[derive(Debug)]
struct Plain {
    ntt: Ntt,
    /// q modulo t.
    modulus: u64,
    /// 1/t modulo each prime of q.
    units: Vec<u64>,
    turn: Turn,
}

impl Params {
    /// Shares modulo 2^`ring_bits`, 1 to 64, of products of numbers below 2^`x_bits` and 2^`y_bits`, at most 64 each, and of
    /// sums of two.
    pub fn new(ring_bits: u32, x_bits: u32, y_bits: u32) -> Result<Arc<Params>, Error> {
        Params::of_sums(ring_bits, x_bits, y_bits, TERMS)
    }

    /// As [`Params::new`], of up to so many products in a sum, a power of two of [`MOST_TERMS`] at most.
    pub fn of_sums(
        ring_bits: u32,
        x_bits: u32,
        y_bits: u32,
        terms: usize,
    ) -> Result<Arc<Params>, Error> {
        if !terms.is_power_of_two() || terms > MOST_TERMS {
            return Err(Error::Inner {
                got: terms,
                most: MOST_TERMS,
            });
        }
        for got in [ring_bits, x_bits, y_bits] {
            if !(1..=64).contains(&got) {
                return Err(Error::Width {
                    got,
                    least: 1,
                    most: 64,
                });
            }
        }
        // Joining wants a quarter of the range at most.
        let plain = prime_bits(x_bits + y_bits + terms.ilog2() + HIDING_BITS + 2);
        let plain_bits = plain.iter().max().copied().unwrap_or(0);
        let plain = vec![plain_bits; plain.len()];
        let mut wanted = 0;
        for (degree, most) in SECURE {
            let [q, c1_bits, c0_bits] = widths(degree, plain_bits, terms);
            wanted = q;
            if q <= most {
                let chain = Chain::new(degree, &prime_bits(q), c1_bits)?;
                let primes =
                    vartime_primes(degree, &plain).ok_or(Error::Primes { bits: plain_bits })?;
                // Scaling divides by t modulo the primes of q.
                if chain.primes.iter().any(|ntt| primes.contains(&ntt.prime)) {
                    return Err(Error::Primes { bits: plain_bits });
                }
                return Ok(Arc::new(Params {
                    ring_bits,
                    x_bits,
                    y_bits,
                    terms,
                    plains: primes.iter().map(|&t| Plain::new(&chain, t)).collect(),
                    joins: Joins::new(&primes),
                    chain,
                    c0_bits,
                }));
            }
        }
        Err(Error::NoParameters { bits: wanted })
    }

    /// Bytes of the request and of the answer for `n` sums of `terms` products.
    pub fn bytes(&self, n: usize, terms: usize) -> [usize; 2] {
        let blocks = n.div_ceil(self.chain.degree);
        [
            wire::HEADER + 32 + blocks * terms * self.request_size(),
            wire::HEADER + blocks * self.plains.len() * self.answer_size(),
        ]
    }

    /// How many plaintext primes there are.
    pub fn primes(&self) -> usize {
        self.plains.len()
    }

    /// A block of one operand: c0 modulo each plaintext prime.
    fn request_size(&self) -> usize {
        self.plains.len() * self.chain.bytes(self.chain.degree)
    }

    /// A block modulo one plaintext prime: c1, then c0.
    fn answer_size(&self) -> usize {
        let [c1, c0] = [self.chain.answer_bits, self.c0_bits];
        wire::packed(self.chain.degree, c1) + wire::packed(self.chain.degree, c0)
    }

    fn fingerprint(&self, n: usize, terms: usize) -> u64 {
        let widths = [self.ring_bits, self.x_bits, self.y_bits, terms as u32];
        let mut text = widths.map(|x| x as u8).to_vec();
        text.extend((n as u64).to_le_bytes());
        u64::from_le_bytes(argot_prf::hash(&text).as_chunks::<8>().0[0])
    }

    fn mask_bits(&self) -> u32 {
        self.x_bits + self.y_bits + self.terms.ilog2() + HIDING_BITS
    }
}

/// Bits of q, and of the c1 and c0 of an answer. With one bit more than t has, the error of c0's rounding is at most a
/// quarter of 1/t, half of what decrypting allows; that of c1's is at most as much. A step of c0 is 2^41 times the bound
/// of the noise of products with N coefficients up to t/2 each.
fn widths(degree: usize, plain: u32, terms: usize) -> [u32; 3] {
    let products = of_products(degree, (terms * degree) as f64, 2f64.powi(plain as i32 - 1));
    let c0 = plain + 1;
    let c1 = c0 + 1 + bits(of_switching(degree));
    let q = c0 + 1 + HIDING_BITS + bits(1.001 * products);
    [q.max(c1 + degree.trailing_zeros() + 2), c1, c0]
}

impl Plain {
    fn new(chain: &Chain, t: u64) -> Plain {
        let product = chain
            .primes
            .iter()
            .fold(1, |q, ntt| mul(q, ntt.prime % t, t));
        Plain {
            ntt: Ntt::new(chain.degree, t),
            modulus: product,
            units: chain
                .primes
                .iter()
                .map(|ntt| inverse(t, ntt.prime))
                .collect(),
            turn: Turn::new(t),
        }
    }

    /// The coefficients of the polynomial with these values, missing ones zero, plus `constant`.
    fn coefficients(&self, values: &[u64], constant: u64) -> Buffer {
        let mut out = Buffer::zeros(self.ntt.degree);
        self.ntt.add_words(values, 1, 0, &mut out[..values.len()]);
        self.ntt.backward(&mut out, 1);
        self.ntt.add_constant(constant, &mut out);
        out
    }

    /// (t - 1) / 2
    fn half(&self) -> u64 {
        self.ntt.prime / 2
    }
}

/// Who encrypts x, and holds the key.
pub struct Client {
    params: Arc<Params>,
    key: SecretKey,
}

impl Client {
    /// With a fresh key.
    pub fn new(params: &Arc<Params>) -> Result<Client, Error> {
        Ok(Client {
            params: params.clone(),
            key: SecretKey::new(&params.chain)?,
        })
    }

    /// What the server needs, once.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        self.key
            .public_key(&self.params.chain, self.params.plains.len())
    }

    /// For the sum of the products of each of x with one of the server's y.
    pub fn request(&self, x: &[&[u64]]) -> Result<Vec<u8>, Error> {
        let params = &*self.params;
        let chain = &params.chain;
        let n = counted(x, params.x_bits, params.terms)?;
        let (public, secret) = (Seed::fresh()?, Seed::fresh()?);
        let [length, _] = params.bytes(n, x.len());
        let mut out = Vec::with_capacity(length);
        let shape = params.fingerprint(n, x.len());
        wire::header(Kind::ProductRequest, chain, shape, &mut out);
        out.extend(public.bytes());
        let start = out.len();
        out.resize(length, 0);
        // Of each block the ciphertexts of the first operand, then those of the second.
        let count = params.plains.len();
        out[start..]
            .par_chunks_exact_mut(chain.bytes(chain.degree))
            .enumerate()
            .for_each(|(index, out)| {
                let plain = &params.plains[index % count];
                let (block, term) = (index / count / x.len(), index / count % x.len());
                let m = plain.coefficients(part(x[term], block, chain.degree), 0);
                // round(q m / t) = (q m + h - v) / t with h = (t - 1) / 2 and v = q m + h mod t, which modulo a prime
                // of q is (h - v) / t.
                let mut v = Buffer::zeros(chain.degree);
                plain.ntt.scaled(&m, plain.modulus, plain.half(), &mut v);
                let c0 = self
                    .key
                    .encrypt(&chain.primes, &public, &secret, index, |i, out| {
                        let ntt = &chain.primes[i];
                        let unit = plain.units[i];
                        let constant = mul(plain.half() % ntt.prime, unit, ntt.prime);
                        ntt.scaled(&v, ntt.prime - unit, constant, out);
                    });
                cipher::write(&chain.primes, &c0, &(0..chain.degree), out);
            });
        Ok(out)
    }

    /// The client's shares of `n` sums of products.
    pub fn finish(&self, n: usize, answer: &[u8]) -> Result<Vec<u64>, Error> {
        let params = &*self.params;
        let chain = &params.chain;
        let size = params.answer_size();
        let length = n.div_ceil(chain.degree) * params.plains.len() * size;
        let shape = params.fingerprint(n, ANY);
        let body = wire::body(answer, Kind::ProductAnswer, chain, shape, length)?;
        let mut out = vec![0; n];
        out.par_chunks_mut(chain.degree)
            .zip(body.par_chunks_exact(params.plains.len() * size))
            .try_for_each(|(out, bytes)| {
                let mut residues = Vec::with_capacity(params.plains.len());
                for (i, bytes) in bytes.chunks_exact(size).enumerate() {
                    let ntt = &params.plains[i].ntt;
                    let m = self.decrypt(ntt.prime, bytes)?;
                    let mut values = Buffer::zeros(chain.degree);
                    ntt.scaled(&m, params.joins.factor(i), 0, &mut values);
                    ntt.forward(&mut values);
                    residues.push(values);
                }
                let mask = u64::MAX >> (64 - params.ring_bits);
                for (at, out) in out.iter_mut().enumerate() {
                    *out = params.joins.join(|i| residues[i][at]) as u64 & mask;
                }
                Ok(())
            })?;
        Ok(out)
    }

    /// The plaintext polynomial of an answer, or t where it should be zero, which reduction takes for it.
    fn decrypt(&self, t: u64, bytes: &[u8]) -> Result<Buffer, Error> {
        let chain = &self.params.chain;
        let (w, c0_bits) = (chain.answer_bits, self.params.c0_bits);
        let (c1, c0) = bytes.split_at(wire::packed(chain.degree, w));
        let product = self.key.product(chain, c1)?;
        let mut out = Buffer::zeros(chain.degree);
        wire::unpack_words(c0, c0_bits, &mut out)?;
        for (at, x) in out.iter_mut().enumerate() {
            // t (c0 + c1 s), a fraction of w bits, rounded.
            let phase =
                (*x << (w - c0_bits)).wrapping_sub(product(at) as u64) & (u64::MAX >> (64 - w));
            *x = ((u128::from(phase) * u128::from(t) + (1 << (w - 1))) >> w) as u64;
        }
        Ok(out)
    }
}

/// Who multiplies by y in the clear.
pub struct Server {
    params: Arc<Params>,
    /// Encryptions of zero, one for each plaintext prime.
    zeros: Vec<[Values; 2]>,
}

impl Server {
    /// With the client's public key.
    pub fn new(params: &Arc<Params>, public_key: &[u8]) -> Result<Server, Error> {
        Ok(Server {
            params: params.clone(),
            zeros: cipher::zeros(&params.chain, public_key, params.plains.len())?,
        })
    }

    /// The answer and the server's shares. There are as many y as x, as long.
    pub fn answer(&self, request: &[u8], y: &[&[u64]]) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let params = &*self.params;
        let chain = &params.chain;
        let n = counted(y, params.y_bits, params.terms)?;
        let [up, down] = params.bytes(n, y.len());
        let body = wire::body(
            request,
            Kind::ProductRequest,
            chain,
            params.fingerprint(n, y.len()),
            up - wire::HEADER,
        )?;
        let (uniform, body) = cipher::seed_of(body);
        let seed = Seed::fresh()?;
        let mut out = Vec::with_capacity(down);
        let shape = params.fingerprint(n, ANY);
        wire::header(Kind::ProductAnswer, chain, shape, &mut out);
        out.resize(down, 0);
        let mut shares = vec![0; n];
        let outs =
            out[wire::HEADER..].par_chunks_exact_mut(params.plains.len() * params.answer_size());
        shares
            .par_chunks_mut(chain.degree)
            .zip(body.par_chunks_exact(y.len() * params.request_size()))
            .zip(outs)
            .enumerate()
            .try_for_each(|(block, ((shares, bytes), outs))| {
                let mask = self.mask(&seed, block, shares);
                let y: Vec<_> = y.iter().map(|y| part(y, block, chain.degree)).collect();
                let mut factors = self.factors(&seed, block, y.len());
                // Used again for each plaintext prime: what is dropped is wiped.
                let halves = || [(), ()].map(|()| Buffer::zeros(chain.degree * chain.primes.len()));
                let mut encrypted: Vec<_> = y.iter().map(|_| halves()).collect();
                let mut sums = halves();
                let size = chain.bytes(chain.degree);
                for (i, out) in outs.chunks_exact_mut(params.answer_size()).enumerate() {
                    for (term, [c0, c1]) in encrypted.iter_mut().enumerate() {
                        let at = term * params.plains.len() + i;
                        let index = block * y.len() * params.plains.len() + at;
                        let bytes = &bytes[at * size..][..size];
                        cipher::read_to(&chain.primes, bytes, &(0..chain.degree), c0)?;
                        cipher::expand_to(&chain.primes, &uniform, index, c1);
                    }
                    self.add_up(i, &encrypted, &y, &mut factors, &mut sums);
                    self.write(&params.plains[i], &mut sums, &mask, out);
                }
                Ok(())
            })?;
        Ok((out, shares))
    }

    /// A block's masks r, uniform below 2^(x + y + 40) times the number of terms, as words, the lowest first; and the shares -r.
    fn mask(&self, seed: &Seed, block: usize, shares: &mut [u64]) -> Vec<Buffer> {
        let params = &*self.params;
        let (degree, bits) = (params.chain.degree, params.mask_bits());
        let stream = seed.stream(Purpose::Mask, block);
        let words: Vec<_> = (0..bits.div_ceil(64))
            .map(|i| {
                let mut words = Buffer::zeros(degree);
                stream.words_at(u64::from(i) * degree as u64, &mut words);
                let unused = (64 * (i + 1)).saturating_sub(bits);
                words.iter_mut().for_each(|w| *w &= u64::MAX >> unused);
                words
            })
            .collect();
        for (share, r) in shares.iter_mut().zip(words[0].iter()) {
            *share = r.wrapping_neg() & (u64::MAX >> (64 - params.ring_bits));
        }
        words
    }

    /// For each prime of q the values of what multiplies a block's ciphertexts and, last, the encryption of zero: room for
    /// `terms` polynomials, and u.
    fn factors(&self, seed: &Seed, block: usize, terms: usize) -> Vec<Buffer> {
        let chain = &self.params.chain;
        let n = chain.degree;
        let mut u = Zeroizing::new(vec![0; n]);
        ternary(&mut seed.stream(Purpose::Secret, block), &mut u);
        let of = |ntt: &Ntt| {
            let mut out = Buffer::zeros((terms + 1) * n);
            let last = &mut out[terms * n..];
            ntt.add_small(&u, last);
            ntt.forward(last);
            out
        };
        chain.primes.iter().map(of).collect()
    }

    /// The ciphertexts times y, and the fresh encryption of zero, modulo one plaintext prime: both halves, as values.
    fn add_up(
        &self,
        i: usize,
        encrypted: &[[Values; 2]],
        y: &[&[u64]],
        factors: &mut [Buffer],
        sums: &mut [Values; 2],
    ) {
        let (chain, plain) = (&self.params.chain, &self.params.plains[i]);
        let n = chain.degree;
        // y + h mod t, from which h is taken again modulo the primes of q: coefficients are at most t/2 in size.
        let y: Vec<_> = y
            .iter()
            .map(|y| plain.coefficients(y, plain.half()))
            .collect();
        let [c0, c1] = sums;
        for ((j, ntt), factors) in chain.primes.iter().enumerate().zip(factors) {
            for (y, values) in y.iter().zip(factors.chunks_exact_mut(n)) {
                ntt.scaled(y, 1, ntt.prime - plain.half() % ntt.prime, values);
                ntt.forward(values);
            }
            let part = j * n..(j + 1) * n;
            let pairs: Vec<_> = encrypted
                .iter()
                .chain([&self.zeros[i]])
                .map(|pair| pair.each_ref().map(|half| &half[part.clone()]))
                .collect();
            ntt.dots(&pairs, factors, [&mut c0[part.clone()], &mut c1[part]]);
        }
    }

    /// The answer, with the mask.
    fn write(&self, plain: &Plain, [c0, c1]: &mut [Values; 2], mask: &[Buffer], out: &mut [u8]) {
        let chain = &self.params.chain;
        let mut r = Buffer::zeros(chain.degree);
        plain.ntt.add_long(mask, &mut r);
        plain.ntt.backward(&mut r, 1);
        let (w, c0_bits) = (chain.answer_bits, self.params.c0_bits);
        let (first, second) = out.split_at_mut(wire::packed(chain.degree, w));
        wire::pack_words(&chain.round(c1, None, w), w, first);
        let c0 = chain.round(c0, Some((&r, &plain.turn)), c0_bits);
        wire::pack_words(&c0, c0_bits, second);
    }
}

/// A block of an operand.
fn part(operand: &[u64], block: usize, degree: usize) -> &[u64] {
    &operand[block * degree..operand.len().min((block + 1) * degree)]
}

/// How many numbers operands have, all as many. One bit over all numbers is told, to their owner.
fn counted(operands: &[&[u64]], bits: u32, most: usize) -> Result<usize, Error> {
    if !(1..=most).contains(&operands.len()) {
        let got = operands.len();
        return Err(Error::Inner { got, most });
    }
    let want = operands[0].len();
    for operand in operands {
        if operand.len() != want {
            let got = operand.len();
            return Err(Error::Count { got, want });
        }
    }
    let all = operands.iter().copied().flatten().fold(0, |all, x| all | x);
    match all >> (bits - 1) >> 1 {
        0 => Ok(want),
        _ => Err(Error::TooWide { most: bits }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(params: &Arc<Params>) -> (Client, Server) {
        let client = Client::new(params).unwrap();
        let server = Server::new(params, &client.public_key().unwrap()).unwrap();
        (client, server)
    }

    /// Where in a plaintext's room the client's phases are, from -1/2 to 1/2.
    fn offsets(params: &Arc<Params>, y: u64) -> Vec<f64> {
        let chain = &params.chain;
        let (client, server) = pair(params);
        let request = client
            .request(&[&vec![12345; chain.degree][..]; 2])
            .unwrap();
        let y = vec![y; chain.degree];
        let (answer, _) = server.answer(&request, &[&y, &y]).unwrap();
        let bytes = &answer[wire::HEADER..][..params.answer_size()];
        let (c1, c0) = bytes.split_at(wire::packed(chain.degree, chain.answer_bits));
        let product = client.key.product(chain, c1).unwrap();
        let t = params.plains[0].ntt.prime as f64;
        let mut c0s = vec![0; chain.degree];
        wire::unpack_words(c0, params.c0_bits, &mut c0s).unwrap();
        let turns = c0s.iter().enumerate().map(|(at, &c0)| {
            let c0 = u128::from(c0) << (chain.answer_bits - params.c0_bits);
            let phase = c0.wrapping_sub(product(at)) & chain.answer_mask();
            // 53 bits of t phase / 2^w: some ten after the point, enough for a distribution.
            let turns = (phase as f64 / 2f64.powi(chain.answer_bits as i32)) * t;
            turns - turns.round()
        });
        let mut out: Vec<f64> = turns.collect();
        out.sort_by(f64::total_cmp);
        out
    }

    /// The error of an answer must not tell y: its distribution is the same for all (PROTOCOLS.md section 10, item 7;
    /// Kolmogorov and Smirnov, exceeded by chance once in 10^9), and is far from what would be another number.
    #[test]
    fn errors_say_nothing_of_the_factor() {
        let params = Params::new(32, 32, 32).unwrap();
        let [some, others] = [0, u32::MAX.into()].map(|y| offsets(&params, y));
        let n = some.len();
        let below = |x: f64| others.partition_point(|&other| other <= x);
        let distance = (0..n)
            .map(|i| (i + 1).abs_diff(below(some[i])))
            .max()
            .unwrap();
        assert!(
            (distance as f64) < 3.3 * (2.0 * n as f64).sqrt(),
            "{distance} of {n}"
        );
        for offsets in [some, others] {
            let most = offsets[n - 1].max(-offsets[0]);
            assert!((0.25..0.45).contains(&most), "{most}");
        }
    }

    /// What the rounding of c0 has to hide, before it does: of zeros times the largest y the noise alone is left.
    #[test]
    fn noise_is_below_its_bound_and_hidden() {
        let params = Params::new(64, 64, 64).unwrap();
        let chain = &params.chain;
        let n = chain.degree;
        let (client, server) = pair(&params);
        let request = client.request(&[&vec![0; n][..]; 2]).unwrap();
        let (uniform, body) = cipher::seed_of(&request[wire::HEADER..]);
        let encrypted = [0, 1].map(|term| {
            let index = term * params.plains.len();
            let bytes = &body[index * chain.bytes(n)..][..chain.bytes(n)];
            let c0 = cipher::read(&chain.primes, bytes, &(0..n)).unwrap();
            [c0, cipher::expand(&chain.primes, &uniform, index)]
        });
        let y: Vec<u64> = (0..n as u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let mut factors = server.factors(&Seed::fresh().unwrap(), 0, 2);
        let mut sums = [(), ()].map(|()| Buffer::zeros(n * chain.primes.len()));
        server.add_up(0, &encrypted, &[&y, &y], &mut factors, &mut sums);
        let [mut phase, c1] = sums;
        let product = client.key.minus_times(chain, &c1);
        for (i, ntt) in chain.primes.iter().enumerate() {
            for at in i * n..(i + 1) * n {
                phase[at] = (phase[at] + ntt.prime - product[at]) % ntt.prime;
            }
        }
        let noise = chain.join(phase);
        let most = (0..n)
            .map(|at| (noise(at) as i128).unsigned_abs())
            .max()
            .unwrap() as f64;
        let half = params.plains[0].ntt.prime as f64 / 2.0;
        let bound = of_products(n, (params.terms * n) as f64, half);
        let q = chain.primes.iter().fold(1.0, |q, ntt| q * ntt.prime as f64);
        assert!(most <= bound && most > bound / 256.0, "{most} {bound}");
        let step = q / 2f64.powi(params.c0_bits as i32);
        assert!(2.0 * bound * 2f64.powi(HIDING_BITS as i32) <= step);
    }
}
