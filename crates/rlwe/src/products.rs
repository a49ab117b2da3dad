//! Products element by element: one party has x, the other y, both get an additive share of x y modulo 2^l.
//!
//! ```
//! use argot_rlwe::products::{Client, Params, Server};
//! let params = Params::new(64, 64, 64)?;
//! let client = Client::new(&params)?;
//! let server = Server::new(&params, &client.public_key()?)?;
//!
//! let request = client.request(&[5, u64::MAX])?;
//! let (answer, theirs) = server.answer(&request, &[7, u64::MAX])?;
//! let ours = client.finish(2, &answer)?;
//! assert_eq!(ours[0].wrapping_add(theirs[0]), 35);
//! assert_eq!(ours[1].wrapping_add(theirs[1]), 1);
//! # Ok::<(), argot_rlwe::Error>(())
//! ```
//!
//! Modulo a prime t that is 1 modulo 2 N, x^N + 1 has N roots, and products of polynomials are products of their
//! values there. The whole product x y + r, with a mask r of 40 bits more than x y has, is computed modulo several
//! such primes; the client joins it and takes it modulo 2^l, the server's share is -r. So shares are exact: no bit
//! depends on rounding.
//!
//! The client learns x y + r, which hides x y but for a distance of 2^-40, and the noise of its ciphertext, which
//! depends on y. That is hidden by an offset within the room that rounding to the plaintext has: uniform in all of
//! it but for the part that noise can reach, so 2^40 times the noise, a distance of 2^-40 for each plaintext prime.
//! Distances are for one product, and those of many add up: 2^20 products have 2^-20 from the masks and up to 2^-18
//! from the noise of four primes, which counts here with its bound, some 20 times its deviation.

use crate::chain::{reciprocal, times, Chain, Joins, SECURE};
use crate::cipher::{self, PublicKey, SecretKey};
use crate::error::Error;
use crate::noise::{bits, of_products, of_switching};
use crate::ntt::Ntt;
use crate::params::prime_bits;
use crate::prime::{inverse, mul, vartime_primes};
use crate::sample::{Purpose, Seed};
use crate::scratch::Buffer;
use crate::wire::{self, Kind};
use rayon::prelude::*;
use std::sync::Arc;

/// How much more a mask has than what it hides, and an offset than the noise: for one product, 2^-40 is left. With 60
/// that would hold for 2^20 products, at the cost of four primes of q instead of three and 20 to 30 in a hundred bytes.
const HIDING_BITS: u32 = 40;

/// Widths, plaintext primes and modulus. Building it takes milliseconds: keep it. Clients and servers share it.
#[derive(Debug)]
pub struct Params {
    pub ring_bits: u32,
    pub x_bits: u32,
    pub y_bits: u32,
    pub chain: Chain,
    plains: Vec<Plain>,
    joins: Joins,
    /// Bits of the plaintext primes.
    plain_bits: u32,
}

/// What belongs to one plaintext prime t.
#[derive(Debug)]
struct Plain {
    ntt: Ntt,
    /// q modulo t.
    modulus: u64,
    /// 1/t modulo each prime of q.
    units: Vec<u64>,
    reciprocal: [u64; 3],
}

impl Params {
    /// Shares modulo 2^`ring_bits`, 1 to 64, of products of numbers below 2^`x_bits` and 2^`y_bits`, at most 64 each.
    pub fn new(ring_bits: u32, x_bits: u32, y_bits: u32) -> Result<Arc<Params>, Error> {
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
        let plain = prime_bits(x_bits + y_bits + HIDING_BITS + 2);
        let plain_bits = plain.iter().max().copied().unwrap_or(0);
        let plain = vec![plain_bits; plain.len()];
        let mut wanted = 0;
        for (degree, most) in SECURE {
            let (q, answer) = widths(degree, plain_bits);
            wanted = q;
            if q <= most {
                let chain = Chain::new(degree, &prime_bits(q), answer)?;
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
                    plains: primes.iter().map(|&t| Plain::new(&chain, t)).collect(),
                    joins: Joins::new(&primes),
                    chain,
                    plain_bits,
                }));
            }
        }
        Err(Error::NoParameters { bits: wanted })
    }

    /// Bytes of the request and of the answer for `n` products.
    pub fn bytes(&self, n: usize) -> [usize; 2] {
        let ciphertexts = n.div_ceil(self.chain.degree) * self.plains.len();
        [
            wire::HEADER + 32 + ciphertexts * self.request_size(),
            wire::HEADER + ciphertexts * self.answer_size(),
        ]
    }

    /// How many plaintext primes there are.
    pub fn primes(&self) -> usize {
        self.plains.len()
    }

    fn request_size(&self) -> usize {
        self.chain.bytes(self.chain.degree)
    }

    /// c1, then c0.
    fn answer_size(&self) -> usize {
        2 * wire::packed(self.chain.degree, self.chain.answer_bits)
    }

    fn fingerprint(&self, n: usize) -> u64 {
        let mut text = vec![self.ring_bits as u8, self.x_bits as u8, self.y_bits as u8];
        text.extend((n as u64).to_le_bytes());
        u64::from_le_bytes(argot_prf::hash(&text).as_chunks::<8>().0[0])
    }

    fn mask_bits(&self) -> u32 {
        self.x_bits + self.y_bits + HIDING_BITS
    }
}

/// Bits of q and of the answer: noise, of products with N coefficients up to t/2 and of switching, is each below
/// 2^-41 of the room that rounding has.
fn widths(degree: usize, plain: u32) -> (u32, u32) {
    let margin = HIDING_BITS + 1;
    let products = of_products(degree, degree as f64, 2f64.powi(plain as i32 - 1));
    let answer = plain + margin + bits(of_switching(degree));
    let q = plain + margin + bits(1.001 * products);
    (q.max(answer + degree.trailing_zeros() + 2), answer)
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
            reciprocal: reciprocal(t),
        }
    }

    /// The coefficients of the polynomial with these values, missing ones zero, plus `constant`.
    fn coefficients(&self, values: &[u64], constant: u64) -> Buffer {
        let mut out = Buffer::zeros(self.ntt.degree);
        self.ntt.add_words(values, 1, 0, &mut out[..values.len()]);
        self.ntt.backward(&mut out, 1);
        let t = self.ntt.prime;
        // The smaller of the sum and what is left of it after t is taken, which wraps if negative.
        out.iter_mut()
            .for_each(|x| *x = (*x + constant).min((*x + constant).wrapping_sub(t)));
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
        self.key.public_key(&self.params.chain)
    }

    pub fn request(&self, x: &[u64]) -> Result<Vec<u8>, Error> {
        let params = &*self.params;
        let chain = &params.chain;
        want_width(x, params.x_bits)?;
        let (public, secret) = (Seed::fresh()?, Seed::fresh()?);
        let [length, _] = params.bytes(x.len());
        let mut out = Vec::with_capacity(length);
        wire::header(
            Kind::ProductRequest,
            chain,
            params.fingerprint(x.len()),
            &mut out,
        );
        out.extend(public.bytes());
        let start = out.len();
        out.resize(length, 0);
        out[start..]
            .par_chunks_exact_mut(params.request_size())
            .enumerate()
            .for_each(|(index, out)| {
                let plain = &params.plains[index % params.plains.len()];
                let block = x.chunks(chain.degree).nth(index / params.plains.len());
                let m = plain.coefficients(block.expect("as many as ciphertexts"), 0);
                // round(q m / t) = (q m + h - v) / t with h = (t - 1) / 2 and v = q m + h mod t, which modulo a prime
                // of q is (h - v) / t.
                let mut v = Buffer::zeros(chain.degree);
                plain.ntt.add_words(&m, plain.modulus, plain.half(), &mut v);
                let c0 = self
                    .key
                    .encrypt(&chain.primes, &public, &secret, index, |i, out| {
                        let ntt = &chain.primes[i];
                        let unit = plain.units[i];
                        let constant = mul(plain.half() % ntt.prime, unit, ntt.prime);
                        ntt.add_words(&v, ntt.prime - unit, constant, out);
                    });
                cipher::write(&chain.primes, &c0, &(0..chain.degree), out);
            });
        Ok(out)
    }

    /// The client's shares of `n` products.
    pub fn finish(&self, n: usize, answer: &[u8]) -> Result<Vec<u64>, Error> {
        let params = &*self.params;
        let chain = &params.chain;
        let length = params.bytes(n)[1] - wire::HEADER;
        let shape = params.fingerprint(n);
        let body = wire::body(answer, Kind::ProductAnswer, chain, shape, length)?;
        let mut out = vec![0; n];
        out.par_chunks_mut(chain.degree)
            .zip(body.par_chunks_exact(params.plains.len() * params.answer_size()))
            .try_for_each(|(out, bytes)| {
                let mut residues = Vec::with_capacity(params.plains.len());
                for (i, bytes) in bytes.chunks_exact(params.answer_size()).enumerate() {
                    let plain = &params.plains[i];
                    let m = self.decrypt(plain, bytes)?;
                    let mut values = Buffer::zeros(chain.degree);
                    plain
                        .ntt
                        .add_words(&m, params.joins.factor(i), 0, &mut values);
                    plain.ntt.forward(&mut values);
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

    /// The plaintext polynomial of an answer, or at most t where it should be less, which reduction takes for zero.
    fn decrypt(&self, plain: &Plain, bytes: &[u8]) -> Result<Buffer, Error> {
        let chain = &self.params.chain;
        let (w, t) = (chain.answer_bits, u128::from(plain.ntt.prime));
        let (c1, c0) = bytes.split_at(bytes.len() / 2);
        let product = self.key.product(chain, c1)?;
        let mut out = Buffer::zeros(chain.degree);
        wire::unpack(c0, w, chain.degree, |at, c0| {
            let phase = c0.wrapping_sub(product(at)) & chain.answer_mask();
            // t phase / 2^w, rounded; w is more than 64.
            let high = (phase >> 64) * t + (((phase & u128::from(u64::MAX)) * t) >> 64);
            out[at] = ((high + (1 << (w - 65))) >> (w - 64)) as u64;
        })?;
        Ok(out)
    }
}

/// Who multiplies by y in the clear.
pub struct Server {
    params: Arc<Params>,
    public: PublicKey,
}

impl Server {
    /// With the client's public key.
    pub fn new(params: &Arc<Params>, public_key: &[u8]) -> Result<Server, Error> {
        Ok(Server {
            params: params.clone(),
            public: PublicKey::read(&params.chain, public_key)?,
        })
    }

    /// The answer and the server's shares. There are as many x as y.
    pub fn answer(&self, request: &[u8], y: &[u64]) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let params = &*self.params;
        let chain = &params.chain;
        want_width(y, params.y_bits)?;
        let [up, down] = params.bytes(y.len());
        let shape = params.fingerprint(y.len());
        let body = wire::body(
            request,
            Kind::ProductRequest,
            chain,
            shape,
            up - wire::HEADER,
        )?;
        let (uniform, body) = cipher::seed_of(body);
        let seed = Seed::fresh()?;
        let mut out = Vec::with_capacity(down);
        wire::header(Kind::ProductAnswer, chain, shape, &mut out);
        out.resize(down, 0);
        let mut shares = vec![0; y.len()];
        let count = params.plains.len();
        let outs = out[wire::HEADER..].par_chunks_exact_mut(count * params.answer_size());
        shares
            .par_chunks_mut(chain.degree)
            .zip(y.par_chunks(chain.degree))
            .zip(
                body.par_chunks_exact(count * params.request_size())
                    .zip(outs),
            )
            .enumerate()
            .try_for_each(|(block, ((shares, y), (bytes, out)))| {
                let mask = self.mask(&seed, block, shares);
                let ciphertexts = bytes.chunks_exact(params.request_size());
                for (i, (bytes, out)) in ciphertexts
                    .zip(out.chunks_exact_mut(params.answer_size()))
                    .enumerate()
                {
                    let index = block * count + i;
                    let c0 = cipher::read(&chain.primes, bytes, &(0..chain.degree))?;
                    let c1 = cipher::expand(&chain.primes, &uniform, index);
                    let plain = &params.plains[i];
                    self.answer_one(plain, &seed, index, [&c0, &c1], y, &mask, out);
                }
                Ok(())
            })?;
        Ok((out, shares))
    }

    /// A block's masks r, uniform below 2^(x + y + 40), as words, the lowest first; and the shares -r.
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

    /// One ciphertext times y, plus the mask, modulo one plaintext prime.
    #[allow(clippy::too_many_arguments)]
    fn answer_one(
        &self,
        plain: &Plain,
        seed: &Seed,
        index: usize,
        encrypted: [&[u64]; 2],
        y: &[u64],
        mask: &[Buffer],
        out: &mut [u8],
    ) {
        let chain = &self.params.chain;
        let n = chain.degree;
        // y + h mod t, from which h is taken again modulo the primes of q: coefficients are at most t/2 in size.
        let y = plain.coefficients(y, plain.half());
        let mut answer = [(), ()].map(|()| Buffer::zeros(n * chain.primes.len()));
        let [c0, c1] = &mut answer;
        let mut values = Buffer::zeros(n);
        for (i, ntt) in chain.primes.iter().enumerate() {
            let part = i * n..(i + 1) * n;
            values.fill(0);
            ntt.add_words(&y, 1, ntt.prime - plain.half() % ntt.prime, &mut values);
            ntt.forward(&mut values);
            let pair = [&encrypted[0][part.clone()], &encrypted[1][part.clone()]];
            ntt.dots(&[pair], &values, [&mut c0[part.clone()], &mut c1[part]]);
        }
        self.public.hide(chain, seed, index, &mut answer);
        let [c0, c1] = answer.map(|half| chain.switch(half));

        let t = &plain.ntt;
        let mut r = Buffer::zeros(n);
        let mut power = 1;
        for words in mask {
            t.add_words(words, power, 0, &mut r);
            power = mul(power, ((1u128 << 64) % u128::from(t.prime)) as u64, t.prime);
        }
        t.backward(&mut r, 1);
        let mut random = Buffer::zeros(2 * n);
        seed.stream(Purpose::Flood, index).words_at(0, &mut random);
        let w = chain.answer_bits;
        let hidden = random
            .as_chunks::<2>()
            .0
            .iter()
            .enumerate()
            .map(|(at, random)| {
                let r = times(r[at], plain.reciprocal) >> (128 - w);
                let offset = self.offset(*random);
                c0(at).wrapping_add(r).wrapping_add(offset) & chain.answer_mask()
            });
        let (first, second) = out.split_at_mut(wire::packed(n, w));
        wire::pack((0..n).map(c1), w, first);
        wire::pack(hidden, w, second);
    }

    /// What hides the noise, uniform in [-d/2, d/2) with d = 2^(w - bits of t). A plaintext's room is 2^w / t, which
    /// is more by a part of 2 N / 2^(bits of t) or larger, since t < 2^bits - 2 N + 2: by more than twice the noise.
    fn offset(&self, random: [u64; 2]) -> u128 {
        let bits = self.params.chain.answer_bits - self.params.plain_bits;
        let random = u128::from(random[0]) | u128::from(random[1]) << 64;
        (random & (u128::MAX >> (128 - bits))).wrapping_sub(1 << (bits - 1))
    }
}

/// One bit over all numbers is told, to their owner.
fn want_width(numbers: &[u64], bits: u32) -> Result<(), Error> {
    let all = numbers.iter().fold(0, |all, x| all | x);
    match all >> (bits - 1) >> 1 {
        0 => Ok(()),
        _ => Err(Error::TooWide { most: bits }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where in a plaintext's room the client's phases are, from -1/2 to 1/2.
    fn offsets(params: &Arc<Params>, y: u64) -> Vec<f64> {
        let chain = &params.chain;
        let client = Client::new(params).unwrap();
        let server = Server::new(params, &client.public_key().unwrap()).unwrap();
        let request = client.request(&vec![12345; chain.degree]).unwrap();
        let (answer, _) = server.answer(&request, &vec![y; chain.degree]).unwrap();
        let (c1, c0) =
            answer[wire::HEADER..][..params.answer_size()].split_at(params.answer_size() / 2);
        let product = client.key.product(chain, c1).unwrap();
        let mut out = Vec::new();
        let t = params.plains[0].ntt.prime as f64;
        wire::unpack(c0, chain.answer_bits, chain.degree, |at, c0| {
            let phase = c0.wrapping_sub(product(at)) & chain.answer_mask();
            // 53 bits of t phase / 2^w: some ten after the point, enough for a distribution.
            let turns = (phase as f64 / 2f64.powi(chain.answer_bits as i32)) * t;
            out.push(turns - turns.round());
        })
        .unwrap();
        out.sort_by(f64::total_cmp);
        out
    }

    /// The noise of an answer must not tell y: its distribution is the same for all (PROTOCOLS.md section 10, item 7;
    /// Kolmogorov and Smirnov, exceeded by chance once in 10^9).
    #[test]
    fn noise_says_nothing_of_the_factor() {
        let params = Params::new(32, 32, 32).unwrap();
        let uniform = |at: usize, n: usize| (at as f64 + 0.5) / n as f64 - 0.5;
        for y in [0, 1, u32::MAX.into()] {
            let offsets = offsets(&params, y);
            let n = offsets.len();
            let distance = (0..n)
                .map(|i| (offsets[i] - uniform(i, n)).abs())
                .fold(0.0, f64::max);
            assert!(distance < 3.3 / (n as f64).sqrt(), "{y}: {distance}");
        }
    }
}
