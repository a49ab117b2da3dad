//! Products of numbers, one by one, as shares modulo 2^64.
//!
//! The client has x and the key, the server y; both get shares of x y. N pairs go in one ciphertext, in the N slots
//! of `Z_P[X]/(X^N + 1)` for P a product of primes that are 1 modulo 2N: a polynomial product is N products modulo P.
//!
//! P is 40 bits longer than a product. The shares modulo P that masking (`Answers::mask` in scheme.rs) leaves, S of the server
//! uniform, sum to x y + P unless S <= x y, of probability x y / P <= 2^-40: so the server takes P off and both keep
//! the lowest 64 bits. All primes of P share one ciphertext: it needs twice the length of P and not, as a ciphertext a
//! prime would, twice each prime and the room for noise and rounding again and again.

use crate::error::Error;
use crate::modulus::{Factor, Modulus};
use crate::ntt::Ntt;
use crate::params::{Params, Plain};
use crate::sample;
use crate::scale::{product, remainder, Fractions};
use crate::scheme::{
    read_head, write_head, Answers, Masks, PublicKey, SecretKey, ANSWER, HEAD, REQUEST,
};
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Most primes of P: (64 + 64 + 41) / 50, rounded up.
const PRIMES: usize = 4;
/// Words of P.
const LONG: usize = 3;
/// Words of a fraction of q, of which more than 64 must be right beyond the 230 that travel.
const FRACTION: usize = 5;

/// A map of numbers modulo P, given by residues x_j, to residues modulo the q_i.
///
/// z = (a x + (P-1)/2) mod P is sum_j y_j P / p_j - v P with y_j = z_j (P / p_j)^-1 and v the whole part of
/// sum_j y_j / p_j. Residue i is then `constant + sum_j y_j weight_j + v whole`.
struct Convert {
    before: Vec<(Modulus, Factor, u64)>,
    fractions: Arc<Fractions<LONG>>,
    after: Vec<(Modulus, u64, Vec<u64>, u64)>,
}

impl Convert {
    /// round(q x / P): a = q, and (h - z) / P, of which each P / p_j leaves 1 / p_j.
    fn scaled(p: &[Modulus], q: &[Modulus], fractions: Arc<Fractions<LONG>>) -> Convert {
        let (long_p, long_q) = (
            product(p.iter().map(|m| m.q)),
            product(q.iter().map(|m| m.q)),
        );
        let after = q.iter().map(|m| {
            let inverse = m.inv(remainder(&long_p, m));
            let weights = p.iter().map(|p| m.neg(m.inv(m.reduce(p.q))));
            (*m, m.mul(half(&long_p, m), inverse), weights.collect(), 1)
        });
        Convert {
            before: p
                .iter()
                .map(|m| (*m, m.factor(remainder(&long_q, m)), half(&long_p, m)))
                .collect(),
            fractions,
            after: after.collect(),
        }
    }

    /// x itself, from -P/2 to P/2: a = 1, and z - h.
    fn lifted(p: &[Modulus], q: &[Modulus], fractions: Arc<Fractions<LONG>>) -> Convert {
        let long = product(p.iter().map(|m| m.q));
        let after = q.iter().map(|m| {
            let rest = |j: usize| {
                let others = p.iter().enumerate().filter(|(i, _)| *i != j);
                others.fold(1, |r, (_, o)| m.mul(r, m.reduce(o.q)))
            };
            let weights = (0..p.len()).map(rest).collect();
            (
                *m,
                m.neg(half(&long, m)),
                weights,
                m.neg(remainder(&long, m)),
            )
        });
        Convert {
            before: p
                .iter()
                .map(|m| (*m, m.factor(1), half(&long, m)))
                .collect(),
            fractions,
            after: after.collect(),
        }
    }

    #[inline]
    fn of(&self, x: impl Fn(usize) -> u64, mut put: impl FnMut(usize, u64)) {
        let mut y = [0; PRIMES];
        for (j, (m, a, h)) in self.before.iter().enumerate() {
            y[j] = self.fractions.share(j, m.add(m.times(x(j), *a), *h));
        }
        let (v, _) = self.fractions.sum(|j| y[j]);
        for (i, (m, constant, weights, whole)) in self.after.iter().enumerate() {
            let terms = weights.iter().zip(&y).map(|(w, y)| *y as u128 * *w as u128);
            let sum = terms.sum::<u128>() + v as u128 * *whole as u128 + *constant as u128;
            put(i, m.reduce_wide(sum));
        }
    }
}

/// (P - 1) / 2 modulo `m`, for P odd.
fn half(long: &[u64], m: &Modulus) -> u64 {
    m.mul(m.sub(remainder(long, m), 1), m.inv(2))
}

/// Slots to residues and back.
struct Codec {
    params: Arc<Params>,
    /// Bits of the client's and the server's numbers.
    widths: [u32; 2],
    p: Vec<Modulus>,
    long_p: [u64; LONG],
    fractions: Arc<Fractions<LONG>>,
    encode: Convert,
    lift: Convert,
    /// 2^(64 k) modulo each p_j.
    words: Vec<[u64; LONG]>,
    /// P / p_j modulo 2^64.
    rests: Vec<u64>,
    answers: Answers<FRACTION, 4>,
}

impl Codec {
    fn new(params: Arc<Params>) -> Result<Codec, Error> {
        let (p, widths): (Vec<Modulus>, _) = match &params.plain {
            Plain::Slots(ntts, widths) => (ntts.iter().map(|n| n.modulus).collect(), *widths),
            Plain::Ring(bits) => {
                let what = "a plaintext modulus that is a power of two";
                return Err(Error::Width {
                    what,
                    got: *bits,
                    most: 0,
                });
            }
        };
        let fractions = Arc::new(Fractions::new(&p));
        let long = product(p.iter().map(|m| m.q));
        let rest = |j: usize| {
            let others = p.iter().enumerate().filter(|(i, _)| *i != j);
            others.fold(1u64, |r, (_, o)| r.wrapping_mul(o.q))
        };
        Ok(Codec {
            long_p: std::array::from_fn(|i| long.get(i).copied().unwrap_or(0)),
            encode: Convert::scaled(&p, &params.moduli, fractions.clone()),
            lift: Convert::lifted(&p, &params.moduli, fractions.clone()),
            words: p
                .iter()
                .map(|m| std::array::from_fn(|k| m.pow(2, 64 * k as u64)))
                .collect(),
            rests: (0..p.len()).map(rest).collect(),
            answers: Answers::new(&params),
            fractions,
            p,
            widths,
            params,
        })
    }

    fn slots(&self) -> &[Ntt] {
        match &self.params.plain {
            Plain::Slots(ntts, _) => ntts,
            Plain::Ring(_) => &[],
        }
    }

    /// The residues modulo q of the polynomial with `numbers` in its slots, by `convert`.
    fn pack(&self, numbers: &[u64], convert: &Convert) -> Zeroizing<Vec<u64>> {
        let n = self.params.degree;
        let mut coefficients = Zeroizing::new(vec![0; self.p.len() * n]);
        for (ntt, part) in self.slots().iter().zip(coefficients.chunks_exact_mut(n)) {
            for (c, x) in part.iter_mut().zip(numbers) {
                *c = ntt.modulus.reduce(*x);
            }
            ntt.backward(part);
        }
        let mut out = Zeroizing::new(vec![0; self.params.words()]);
        for at in 0..n {
            convert.of(|j| coefficients[j * n + at], |i, r| out[i * n + at] = r);
        }
        out
    }

    /// The slots, numbers modulo P, of the polynomial round(P f), modulo 2^64 and less `minus`.
    fn unpack(&self, fractions: &[[u64; FRACTION]], minus: u64, out: &mut [u64]) {
        let n = self.params.degree;
        let mut slots = Zeroizing::new(vec![0; self.p.len() * n]);
        for (at, fraction) in fractions.iter().enumerate() {
            let whole = self.times_p(fraction);
            for (j, (m, words)) in self.p.iter().zip(&self.words).enumerate() {
                let terms = whole
                    .iter()
                    .zip(words)
                    .map(|(x, w)| *x as u128 * *w as u128);
                slots[j * n + at] = m.reduce_wide(terms.sum());
            }
        }
        for (ntt, part) in self.slots().iter().zip(slots.chunks_exact_mut(n)) {
            ntt.forward(part);
        }
        for (at, out) in out.iter_mut().enumerate() {
            let y = |j: usize| self.fractions.share(j, slots[j * n + at]);
            let (v, _) = self.fractions.sum(y);
            let sum = (0..self.p.len()).fold(0u64, |s, j| {
                s.wrapping_add(y(j).wrapping_mul(self.rests[j]))
            });
            *out = sum
                .wrapping_sub(v.wrapping_mul(self.long_p[0]))
                .wrapping_sub(minus);
        }
    }

    /// round(P f).
    #[inline]
    fn times_p(&self, fraction: &[u64; FRACTION]) -> [u64; LONG] {
        let mut wide = [0u64; FRACTION + LONG];
        wide[FRACTION - 1] = 1 << 63;
        for (i, p) in self.long_p.iter().enumerate() {
            let mut carry = 0u128;
            for (s, f) in wide[i..].iter_mut().zip(fraction) {
                let t = *p as u128 * *f as u128 + *s as u128 + carry;
                *s = t as u64;
                carry = t >> 64;
            }
            // Word i + FRACTION was not written before, but for a carry of the half, which ends in the loop above.
            wide[i + FRACTION] = carry as u64;
        }
        std::array::from_fn(|i| wide[FRACTION + i])
    }

    /// A party's own numbers are as small as the parameters say.
    fn check(&self, what: &'static str, numbers: &[u64], most: u32) -> Result<(), Error> {
        let got = 64 - numbers.iter().fold(0, |a, b| a | b).leading_zeros();
        if got > most {
            return Err(Error::Width { what, got, most });
        }
        Ok(())
    }

    fn ciphertexts(&self, count: usize) -> usize {
        count.div_ceil(self.params.degree)
    }

    fn part(&self) -> usize {
        Answers::<FRACTION, 4>::bytes(&self.params, self.params.degree)
    }
}

/// The party that encrypts.
pub struct Client {
    codec: Codec,
    secret: SecretKey,
}

/// The party that multiplies.
pub struct Server {
    codec: Codec,
    key: PublicKey,
}

/// Bytes of the request and of the answer for `count` products.
pub fn message_bytes(params: &Params, count: usize) -> [usize; 2] {
    let ciphertexts = count.div_ceil(params.degree);
    let answer = Answers::<FRACTION, 4>::bytes(params, params.degree);
    [
        HEAD + 32 + ciphertexts * params.packed(),
        HEAD + ciphertexts * answer,
    ]
}

impl Client {
    /// A fresh key, for parameters of [`Params::slots`].
    pub fn new(params: Arc<Params>) -> Result<Client, Error> {
        Ok(Client {
            secret: SecretKey::new(&params)?,
            codec: Codec::new(params)?,
        })
    }

    /// For [`Server::new`], once.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        PublicKey::make(&self.codec.params, &self.secret)
    }

    /// The client's numbers, encrypted.
    pub fn request(&self, numbers: &[u64]) -> Result<Vec<u8>, Error> {
        let params = &*self.codec.params;
        self.codec
            .check("the client's numbers", numbers, self.codec.widths[0])?;
        let (seed, hidden) = (*sample::seed()?, sample::seed()?);
        let mut out = Vec::with_capacity(message_bytes(params, numbers.len())[0]);
        write_head(params, REQUEST, &mut out);
        out.extend(seed);
        let parts: Vec<Vec<u8>> = numbers
            .par_chunks(params.degree)
            .enumerate()
            .map(|(index, numbers)| {
                let message = self.codec.pack(numbers, &self.codec.encode);
                let errors =
                    sample::errors(&sample::stream(&hidden, "error", index), params.degree);
                let c0 =
                    self.secret
                        .encrypt(params, message, &params.uniform(&seed, index), &errors);
                let mut bytes = Vec::with_capacity(params.packed());
                params.write(&c0, &mut bytes);
                bytes
            })
            .collect();
        parts.iter().for_each(|p| out.extend_from_slice(p));
        Ok(out)
    }

    /// The client's shares of `count` products.
    pub fn finish(&self, count: usize, answer: &[u8]) -> Result<Vec<u64>, Error> {
        let params = &*self.codec.params;
        let part = self.codec.part();
        let want = self.codec.ciphertexts(count) * part;
        let rest = read_head(params, ANSWER, "an answer", answer, want)?;
        let wanted: Vec<usize> = (0..params.degree).collect();
        let mut out = vec![0; count];
        out.par_chunks_mut(params.degree)
            .zip(rest.par_chunks(part))
            .try_for_each(|(out, bytes)| {
                let fractions = self
                    .codec
                    .answers
                    .open(params, &self.secret, bytes, &wanted)?;
                self.codec.unpack(&fractions, 0, out);
                Ok(())
            })?;
        Ok(out)
    }
}

impl Server {
    /// With the client's [`Client::public_key`].
    pub fn new(params: Arc<Params>, public_key: &[u8]) -> Result<Server, Error> {
        Ok(Server {
            key: PublicKey::read(&params, public_key)?,
            codec: Codec::new(params)?,
        })
    }

    /// The answer to a request, and the server's shares of the products.
    pub fn answer(&self, numbers: &[u64], request: &[u8]) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let params = &*self.codec.params;
        self.codec
            .check("the server's numbers", numbers, self.codec.widths[1])?;
        let [want, answer_bytes] = message_bytes(params, numbers.len());
        let rest = read_head(params, REQUEST, "a request", request, want - HEAD)?;
        let (seed_bytes, packed) = rest.split_at(32);
        let mut seed = [0; 32];
        seed.copy_from_slice(seed_bytes);
        let hidden = sample::seed()?;
        let masks = Masks {
            key: &self.key,
            seed: &hidden,
        };
        let wanted: Vec<usize> = (0..params.degree).collect();
        let mut shares = vec![0; numbers.len()];
        let parts: Vec<Vec<u8>> = shares
            .par_chunks_mut(params.degree)
            .zip(numbers.par_chunks(params.degree))
            .zip(packed.par_chunks(params.packed()))
            .enumerate()
            .map(|(index, ((shares, numbers), bytes))| {
                let mut c = [params.read(bytes)?, params.uniform(&seed, index)];
                self.multiply(&mut c, numbers);
                let mut out = Vec::with_capacity(self.codec.part());
                let answers = &self.codec.answers;
                let own = answers.mask(params, &masks, index, c, &wanted, &mut out);
                self.codec.unpack(&own, self.codec.long_p[0], shares);
                Ok(out)
            })
            .collect::<Result<_, Error>>()?;
        let mut out = Vec::with_capacity(answer_bytes);
        write_head(params, ANSWER, &mut out);
        parts.iter().for_each(|p| out.extend_from_slice(p));
        Ok((out, shares))
    }

    fn multiply(&self, c: &mut [Vec<u64>; 2], numbers: &[u64]) {
        let params = &*self.codec.params;
        let n = params.degree;
        let mut plain = self.codec.pack(numbers, &self.codec.lift);
        for (i, ntt) in params.ntts.iter().enumerate() {
            let at = i * n..(i + 1) * n;
            ntt.forward(&mut plain[at.clone()]);
            for c in c.iter_mut() {
                ntt.multiply(&mut c[at.clone()], &plain[at.clone()]);
            }
        }
        plain.zeroize();
    }
}
