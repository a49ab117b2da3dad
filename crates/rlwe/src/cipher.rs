//! Keys, encryption, and what an evaluator adds to an answer.
//!
//! A ciphertext of m is (c0, c1) with c0 + c1 s = m + e modulo q: s the secret, e small, c1 uniform and made from a
//! seed. Both are kept as values, so that products are pointwise.

use crate::chain::Chain;
use crate::error::Error;
use crate::ntt::{Known, Ntt};
use crate::sample::{error, ternary, vartime_uniform, Purpose, Seed};
use crate::scratch::Buffer;
use crate::wire::{self, Kind};
use std::ops::Range;
use zeroize::{Zeroize, Zeroizing};

/// One half of a ciphertext: its values modulo the first prime, then the second, ...
pub(crate) type Values = Buffer;

/// Minus the secret polynomial, as values. Wiped when dropped.
pub(crate) struct SecretKey(Vec<Known>);

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl SecretKey {
    pub fn new(chain: &Chain) -> Result<SecretKey, Error> {
        let seed = Seed::fresh()?;
        let mut secret = Zeroizing::new(vec![0; chain.degree]);
        ternary(&mut seed.stream(Purpose::Secret, 0), &mut secret);
        // Uniform in {-1, 0, 1} as its negative is.
        let of = |ntt: &Ntt| {
            let mut values = vec![0; chain.degree];
            ntt.add_small(&secret, &mut values);
            ntt.forward(&mut values);
            ntt.known(values)
        };
        Ok(SecretKey(chain.primes.iter().map(of).collect()))
    }

    /// The values of c0 where `message` adds the residues of the scaled message, below p, to zeros. `index` is the
    /// ciphertext's number in its message: it chooses the streams.
    pub fn encrypt(
        &self,
        primes: &[Ntt],
        public: &Seed,
        secret: &Seed,
        index: usize,
        message: impl Fn(usize, &mut [u64]),
    ) -> Values {
        let degree = primes[0].degree;
        let mut small = Zeroizing::new(vec![0; degree]);
        error(&mut secret.stream(Purpose::Error, index), &mut small);
        let mut c0 = Buffer::zeros(degree * primes.len());
        let mut uniform = public.stream(Purpose::Uniform, index);
        let mut c1 = Buffer::zeros(degree);
        for (i, part) in c0.chunks_exact_mut(degree).enumerate() {
            let ntt = &primes[i];
            message(i, part);
            ntt.add_small(&small, part);
            ntt.forward(part);
            vartime_uniform(&mut uniform, ntt.prime, &mut c1);
            ntt.add_product(&c1, &self.0[i], part);
        }
        c0
    }

    /// Modulo prime `i`, minus the secret's coefficients.
    pub fn minus_secret(&self, ntt: &Ntt, i: usize) -> Buffer {
        let mut out = Buffer::zeros(ntt.degree);
        out.copy_from_slice(&self.0[i].values);
        ntt.backward(&mut out, 1);
        out
    }

    /// -c1 s modulo 2^128 coefficient by coefficient, for an answer's c1 as it came.
    pub fn product<'c>(
        &self,
        chain: &'c Chain,
        c1: &[u8],
    ) -> Result<impl Fn(usize) -> u128 + 'c, Error> {
        let n = chain.degree;
        let mut words = vec![Buffer::zeros(n)];
        if chain.answer_bits <= 64 {
            wire::unpack_words(c1, chain.answer_bits, &mut words[0])?;
        } else {
            words.push(Buffer::zeros(n));
            wire::unpack(c1, chain.answer_bits, n, |at, c| {
                words[0][at] = c as u64;
                words[1][at] = (c >> 64) as u64;
            })?;
        }
        let mut products = Buffer::zeros(n * chain.join_primes());
        let mut values = Buffer::zeros(n);
        for (i, part) in products.chunks_exact_mut(n).enumerate() {
            values.fill(0);
            chain.values(&words, i, &mut values);
            chain.primes[i].add_product(&values, &self.0[i], part);
        }
        Ok(chain.join(products))
    }

    /// -c1 s, as values.
    #[cfg(test)]
    pub fn minus_times(&self, chain: &Chain, c1: &Values) -> Values {
        let mut out = Buffer::zeros(c1.len());
        let parts = c1
            .chunks_exact(chain.degree)
            .zip(out.chunks_exact_mut(chain.degree));
        for ((i, ntt), (c1, out)) in chain.primes.iter().enumerate().zip(parts) {
            ntt.add_product(c1, &self.0[i], out);
        }
        out
    }

    /// `count` encryptions of zero, for others to hide their answers with: their bytes.
    pub fn public_key(&self, chain: &Chain, count: usize) -> Result<Vec<u8>, Error> {
        let (public, secret) = (Seed::fresh()?, Seed::fresh()?);
        let length = chain.bytes(chain.degree);
        let mut out = Vec::with_capacity(public_length(chain, count));
        wire::header(Kind::PublicKey, chain, 0, &mut out);
        out.extend(public.bytes());
        let start = out.len();
        out.resize(start + count * length, 0);
        for (index, out) in out[start..].chunks_exact_mut(length).enumerate() {
            let c0 = self.encrypt(&chain.primes, &public, &secret, index, |_, _| {});
            write(&chain.primes, &c0, &(0..chain.degree), out);
        }
        Ok(out)
    }
}

/// Bytes of a public key.
pub(crate) fn public_length(chain: &Chain, count: usize) -> usize {
    wire::HEADER + 32 + count * chain.bytes(chain.degree)
}

/// Both halves of each of the `count` encryptions of zero of a public key.
pub(crate) fn zeros(chain: &Chain, bytes: &[u8], count: usize) -> Result<Vec<[Values; 2]>, Error> {
    let length = public_length(chain, count) - wire::HEADER;
    let body = wire::body(bytes, Kind::PublicKey, chain, 0, length)?;
    let (seed, body) = seed_of(body);
    let parts = body.chunks_exact(chain.bytes(chain.degree)).enumerate();
    parts
        .map(|(index, bytes)| {
            Ok([
                read(&chain.primes, bytes, &(0..chain.degree))?,
                expand(&chain.primes, &seed, index),
            ])
        })
        .collect()
}

/// Both halves of an encryption of zero.
pub(crate) struct PublicKey([Vec<Known>; 2]);

impl PublicKey {
    pub fn read(chain: &Chain, bytes: &[u8]) -> Result<PublicKey, Error> {
        let known = |values: Values| {
            let parts = values.chunks_exact(chain.degree).zip(&chain.primes);
            parts
                .map(|(values, ntt)| ntt.known(values.to_vec()))
                .collect()
        };
        let mut zeros = zeros(chain, bytes, 1)?;
        Ok(PublicKey(zeros.swap_remove(0).map(known)))
    }

    /// Add a fresh encryption of zero to an answer, so that c1 says nothing of what it was multiplied by: c1 + p1 u +
    /// e1 is uniform to whoever does not know u, also to the holder of s (ring-LWE with the secret u). Its other half
    /// adds no error of its own to c0, which leaves under a mask.
    pub fn hide(&self, chain: &Chain, seed: &Seed, index: usize, answer: &mut [Values; 2]) {
        let n = chain.degree;
        let (mut u, mut e) = (Zeroizing::new(vec![0; n]), Zeroizing::new(vec![0; n]));
        ternary(&mut seed.stream(Purpose::Secret, index), &mut u);
        error(&mut seed.stream(Purpose::Error, index), &mut e);
        let mut values = Buffer::zeros(n);
        let [c0, c1] = answer;
        let parts = c0.chunks_exact_mut(n).zip(c1.chunks_exact_mut(n));
        for ((i, ntt), (c0, c1)) in chain.primes.iter().enumerate().zip(parts) {
            values.fill(0);
            ntt.add_small(&e, &mut values);
            ntt.forward(&mut values);
            for (c, e) in c1.iter_mut().zip(values.iter()) {
                // Below 2 p, which the product's reduction takes.
                *c += e;
            }
            values.fill(0);
            ntt.add_small(&u, &mut values);
            ntt.forward(&mut values);
            ntt.add_product(&values, &self.0[0][i], c0);
            ntt.add_product(&values, &self.0[1][i], c1);
        }
    }
}

/// The seed that a body starts with, and the rest.
pub(crate) fn seed_of(body: &[u8]) -> (Seed, &[u8]) {
    let (seed, rest) = body.split_first_chunk::<32>().expect("length was checked");
    (Seed::public(*seed), rest)
}

/// The half that is made from a seed.
pub(crate) fn expand(primes: &[Ntt], seed: &Seed, index: usize) -> Values {
    let mut out = Buffer::zeros(primes[0].degree * primes.len());
    expand_to(primes, seed, index, &mut out);
    out
}

pub(crate) fn expand_to(primes: &[Ntt], seed: &Seed, index: usize, out: &mut [u64]) {
    let mut stream = seed.stream(Purpose::Uniform, index);
    for (ntt, part) in primes.iter().zip(out.chunks_exact_mut(primes[0].degree)) {
        vartime_uniform(&mut stream, ntt.prime, part);
    }
}

/// Some of the N residues modulo each prime. `kept` may go round: N stands for 0.
pub(crate) fn write(primes: &[Ntt], residues: &[u64], kept: &Range<usize>, out: &mut [u8]) {
    let degree = primes[0].degree;
    let mut out = out;
    for (ntt, residues) in primes.iter().zip(residues.chunks_exact(degree)) {
        let bits = wire::bits(ntt.prime);
        let (part, rest) = out.split_at_mut(wire::packed(kept.len(), bits));
        if *kept == (0..degree) {
            wire::pack_words(residues, bits, part);
        } else {
            let numbers = kept.clone().map(|at| residues[at & (degree - 1)].into());
            wire::pack(numbers, bits, part);
        }
        out = rest;
    }
}

/// What [`write()`] wrote; others are zero.
pub(crate) fn read(primes: &[Ntt], bytes: &[u8], kept: &Range<usize>) -> Result<Values, Error> {
    let mut out = Buffer::zeros(primes[0].degree * primes.len());
    read_to(primes, bytes, kept, &mut out)?;
    Ok(out)
}

/// In place of numbers, of which others stay.
pub(crate) fn read_to(
    primes: &[Ntt],
    bytes: &[u8],
    kept: &Range<usize>,
    out: &mut [u64],
) -> Result<(), Error> {
    let degree = primes[0].degree;
    let mut bytes = bytes;
    for (ntt, residues) in primes.iter().zip(out.chunks_exact_mut(degree)) {
        let bits = wire::bits(ntt.prime);
        let (part, rest) = bytes.split_at(wire::packed(kept.len(), bits));
        if *kept == (0..degree) {
            wire::unpack_words(part, bits, residues)?;
        } else {
            wire::unpack(part, bits, kept.len(), |at, x| {
                residues[(kept.start + at) & (degree - 1)] = x as u64;
            })?;
        }
        if let Some(position) = residues.iter().position(|&x| x >= ntt.prime) {
            return Err(Error::Coefficient {
                position,
                got: residues[position],
                modulus: ntt.prime,
            });
        }
        bytes = rest;
    }
    Ok(())
}
