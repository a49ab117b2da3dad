//! The encryption: keys, seeded ciphertexts, and answers that hide how they were made.
//!
//! A polynomial modulo q is a vector of `primes * N` residues, one prime after the other.

use crate::error::Error;
use crate::pack::{self, Reader, Writer};
use crate::params::Params;
use crate::sample;
use crate::scale::{rounded, Fractions, Raise};
use zeroize::{Zeroize, Zeroizing};

/// Kinds of messages.
pub(crate) const KEY: u8 = 1;
pub(crate) const REQUEST: u8 = 2;
pub(crate) const ANSWER: u8 = 3;

/// Bytes of the head of a message: kind, log2 N, two zeros, the tag of the parameters.
pub(crate) const HEAD: usize = 8;

pub(crate) fn write_head(params: &Params, kind: u8, out: &mut Vec<u8>) {
    out.extend([kind, params.degree.trailing_zeros() as u8, 0, 0]);
    out.extend(params.tag.to_le_bytes());
}

/// What follows the head, of `want` bytes.
pub(crate) fn read_head<'a>(
    params: &Params,
    kind: u8,
    what: &'static str,
    bytes: &'a [u8],
    want: usize,
) -> Result<&'a [u8], Error> {
    let wrong_length = Error::Length {
        what,
        got: bytes.len(),
        want: want + HEAD,
    };
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(wrong_length);
    };
    if head[0] != kind || head[2..4] != [0, 0] {
        return Err(Error::Kind {
            got: head[0],
            want: kind,
        });
    }
    if head[1] as u32 != params.degree.trailing_zeros() {
        return Err(Error::OtherDegree {
            got: 1usize.checked_shl(head[1] as u32).unwrap_or(0),
            want: params.degree,
        });
    }
    let tag = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if tag != params.tag {
        return Err(Error::OtherModuli {
            got: tag,
            want: params.tag,
        });
    }
    if rest.len() != want {
        return Err(wrong_length);
    }
    Ok(rest)
}

impl Params {
    pub(crate) fn words(&self) -> usize {
        self.moduli.len() * self.degree
    }

    /// Bytes of one polynomial, its residues packed.
    pub(crate) fn packed(&self) -> usize {
        self.moduli
            .iter()
            .map(|m| pack::bytes(self.degree, m.bits()))
            .sum()
    }

    pub(crate) fn write(&self, x: &[u64], out: &mut Vec<u8>) {
        for (m, x) in self.moduli.iter().zip(x.chunks_exact(self.degree)) {
            let mut w = Writer::new(out);
            x.iter().for_each(|x| w.word(*x, m.bits()));
            w.finish();
        }
    }

    /// `bytes` has the length [`Params::packed`].
    pub(crate) fn read(&self, mut bytes: &[u8]) -> Result<Vec<u64>, Error> {
        let mut out = Vec::with_capacity(self.words());
        for m in &self.moduli {
            let (own, rest) = bytes.split_at(pack::bytes(self.degree, m.bits()));
            bytes = rest;
            let mut r = Reader::new(own);
            for _ in 0..self.degree {
                let got = r.word(m.bits());
                if got >= m.q {
                    return Err(Error::NotReduced { modulus: m.q, got });
                }
                out.push(got);
            }
            r.finish()?;
        }
        Ok(out)
    }

    /// The second component of ciphertext `index` of a message: uniform, hence sent as its seed, and taken as
    /// already transformed.
    pub(crate) fn uniform(&self, seed: &[u8; 32], index: usize) -> Vec<u64> {
        let mut out = vec![0; self.words()];
        for (i, part) in out.chunks_exact_mut(self.degree).enumerate() {
            let stream = sample::stream(seed, "uniform", index * self.moduli.len() + i);
            sample::uniform(&stream, &self.moduli[i], part);
        }
        out
    }

    /// Small numbers as residues, transformed.
    fn transformed(&self, small: &[i64]) -> Zeroizing<Vec<u64>> {
        let mut out = Zeroizing::new(vec![0; self.words()]);
        for (ntt, part) in self.ntts.iter().zip(out.chunks_exact_mut(self.degree)) {
            for (x, s) in part.iter_mut().zip(small) {
                *x = ntt.modulus.reduce_signed(*s);
            }
            ntt.forward(part);
        }
        out
    }
}

/// The secret s, ternary, and -s, transformed.
pub(crate) struct SecretKey {
    s: Zeroizing<Vec<u64>>,
    minus: Zeroizing<Vec<u64>>,
}

impl SecretKey {
    pub(crate) fn new(params: &Params) -> Result<SecretKey, Error> {
        let stream = sample::stream(&*sample::seed()?, "secret", 0);
        let mut small = sample::ternary(&stream, params.degree);
        let s = params.transformed(&small);
        small.iter_mut().for_each(|x| *x = -*x);
        let minus = params.transformed(&small);
        Ok(SecretKey { s, minus })
    }

    /// c0 = m + e - a s, transformed, for `message` = (q/t) m as residues of coefficients and `a` of
    /// [`Params::uniform`].
    pub(crate) fn encrypt(
        &self,
        params: &Params,
        mut message: Zeroizing<Vec<u64>>,
        a: &[u64],
        errors: &[i64],
    ) -> Vec<u64> {
        let n = params.degree;
        for (i, ntt) in params.ntts.iter().enumerate() {
            let (at, m) = (i * n..(i + 1) * n, &ntt.modulus);
            let part = &mut message[at.clone()];
            for (x, e) in part.iter_mut().zip(errors) {
                *x = m.add(*x, m.reduce_signed(*e));
            }
            ntt.forward(part);
            ntt.add_product(part, &a[at.clone()], &self.minus[at]);
        }
        std::mem::take(&mut *message)
    }

    /// Coefficients of c1 s, for c1 as coefficients.
    fn times(&self, params: &Params, c1: &mut [u64]) {
        let n = params.degree;
        for (i, ntt) in params.ntts.iter().enumerate() {
            let part = &mut c1[i * n..(i + 1) * n];
            ntt.forward(part);
            ntt.multiply(part, &self.s[i * n..(i + 1) * n]);
            ntt.backward(part);
        }
    }
}

/// An encryption of zero under the secret, with which others make theirs: p0 = e - p1 s, transformed.
pub(crate) struct PublicKey {
    p0: Vec<u64>,
    p1: Vec<u64>,
}

impl PublicKey {
    /// Head, seed of p1, p0.
    pub(crate) fn make(params: &Params, secret: &SecretKey) -> Result<Vec<u8>, Error> {
        let seed = *sample::seed()?;
        let errors = sample::errors(
            &sample::stream(&*sample::seed()?, "error", 0),
            params.degree,
        );
        let zero = Zeroizing::new(vec![0; params.words()]);
        let p0 = secret.encrypt(params, zero, &params.uniform(&seed, 0), &errors);
        let mut out = Vec::with_capacity(HEAD + 32 + params.packed());
        write_head(params, KEY, &mut out);
        out.extend(seed);
        params.write(&p0, &mut out);
        Ok(out)
    }

    pub(crate) fn read(params: &Params, bytes: &[u8]) -> Result<PublicKey, Error> {
        let rest = read_head(params, KEY, "a public key", bytes, 32 + params.packed())?;
        let (seed, packed) = rest.split_at(32);
        let mut own = [0; 32];
        own.copy_from_slice(seed);
        Ok(PublicKey {
            p0: params.read(packed)?,
            p1: params.uniform(&own, 0),
        })
    }
}

/// What masks the answers of one message: the key under which zeros are encrypted, and a fresh seed.
pub(crate) struct Masks<'a> {
    pub(crate) key: &'a PublicKey,
    pub(crate) seed: &'a [u8; 32],
}

/// How answers are written: fractions of q, rounded to few bits, c1 before the wanted coefficients of c0.
///
/// A coefficient x of Z_q goes as round(2^b x / q), b bits. It is modulus switching to 2^b in one step.
pub(crate) struct Answers<const L: usize, const M: usize> {
    pub(crate) fractions: Fractions<L>,
    low: Raise<M>,
    high: Raise<M>,
}

impl<const L: usize, const M: usize> Answers<L, M> {
    pub(crate) fn new(params: &Params) -> Answers<L, M> {
        Answers {
            fractions: Fractions::new(&params.moduli),
            low: Raise::new(&params.moduli, params.low_bits()),
            high: Raise::new(&params.moduli, params.high_bits()),
        }
    }

    /// Bytes of an answer of `wanted` coefficients.
    pub(crate) fn bytes(params: &Params, wanted: usize) -> usize {
        pack::bytes(params.degree, params.high_bits()) + pack::bytes(wanted, params.low_bits())
    }

    /// Appends answer `index` of a message, for (c0, c1), transformed, and gives the evaluator's part r / q of each coefficient in
    /// `wanted`.
    ///
    /// What leaves is c1 + p1 v + e and c0 + p0 v - r with v ternary, e small and r uniform modulo q, all fresh. The
    /// key's owner learns nothing from it: the first is p1 v + e, a ring-LWE sample and so uniform to one who knows s
    /// too, plus what it hides; and for each value of it the second is uniform, by r. So no noise need be flooded, and
    /// r is drawn in all of Z_q, not in multiples of q/t, which would show the noise.
    pub(crate) fn mask(
        &self,
        params: &Params,
        masks: &Masks,
        index: usize,
        mut c: [Vec<u64>; 2],
        wanted: &[usize],
        out: &mut Vec<u8>,
    ) -> Zeroizing<Vec<[u64; L]>> {
        let (n, seed, key) = (params.degree, masks.seed, masks.key);
        let v = sample::ternary(&sample::stream(seed, "mask v", index), n);
        let v = params.transformed(&v);
        let e = sample::errors(&sample::stream(seed, "mask e", index), n);
        let mut r = Zeroizing::new(vec![0; params.moduli.len() * wanted.len()]);
        for (i, ntt) in params.ntts.iter().enumerate() {
            let (at, m) = (i * n..(i + 1) * n, &ntt.modulus);
            let v = &v[at.clone()];
            for (c, p) in c.iter_mut().zip([&key.p0, &key.p1]) {
                let c = &mut c[at.clone()];
                ntt.add_product(c, &p[at.clone()], v);
                ntt.backward(c);
            }
            for (c, e) in c[1][at.clone()].iter_mut().zip(&*e) {
                *c = m.add(*c, m.reduce_signed(*e));
            }
            let r = &mut r[i * wanted.len()..(i + 1) * wanted.len()];
            let stream = sample::stream(seed, "mask r", index * params.moduli.len() + i);
            sample::uniform(&stream, m, r);
            for (at, r) in wanted.iter().zip(r) {
                let c = &mut c[0][i * n + at];
                *c = m.sub(*c, *r);
            }
        }
        let gathered: Zeroizing<Vec<u64>> = Zeroizing::new(
            c[0].chunks_exact(n)
                .flat_map(|c| wanted.iter().map(|at| c[*at]))
                .collect(),
        );
        for (x, bits) in [(&c[1], self.high.bits()), (&gathered, self.low.bits())] {
            let mut w = Writer::new(out);
            for f in self.fractions.all(x, x.len() / params.moduli.len()).iter() {
                w.top(&rounded(*f, bits), bits);
            }
            w.finish();
        }
        c.iter_mut().for_each(|c| c.zeroize());
        self.fractions.all(&r, wanted.len())
    }

    /// The owner's part (c0 + c1 s) / q of each coefficient in `wanted`, of an answer of the right length.
    pub(crate) fn open(
        &self,
        params: &Params,
        secret: &SecretKey,
        bytes: &[u8],
        wanted: &[usize],
    ) -> Result<Zeroizing<Vec<[u64; L]>>, Error> {
        let n = params.degree;
        let (second, first) = bytes.split_at(pack::bytes(n, self.high.bits()));
        let mut x = Zeroizing::new(vec![0; params.words()]);
        let mut reader = Reader::new(second);
        for j in 0..n {
            let number = reader.long(self.high.bits());
            self.high.of(&number, |i, r| x[i * n + j] = r);
        }
        reader.finish()?;
        secret.times(params, &mut x);
        let mut reader = Reader::new(first);
        let count = wanted.len();
        let mut sums = Zeroizing::new(vec![0; params.moduli.len() * count]);
        for (j, at) in wanted.iter().enumerate() {
            let number = reader.long(self.low.bits());
            self.low.of(&number, |i, r| {
                sums[i * count + j] = params.moduli[i].add(x[i * n + at], r);
            });
        }
        reader.finish()?;
        Ok(self.fractions.all(&sums, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::each;
    use crate::scale::product;

    /// The numbers of tests/vectors.py, which computes the same in big integers.
    const VECTORS: &str = include_str!("../tests/vectors.txt");

    fn words(seed: u64) -> impl FnMut() -> u64 {
        let mut x = seed;
        move || {
            x = x
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            x
        }
    }

    /// `x` in decimal, modulo `q`.
    fn residue(x: &str, q: u64) -> u64 {
        let digit = |r: u128, c: u8| (r * 10 + (c - b'0') as u128) % q as u128;
        x.bytes().fold(0, digit) as u64
    }

    fn secret(params: &Params, small: &[i64]) -> SecretKey {
        let minus: Vec<i64> = small.iter().map(|x| -x).collect();
        SecretKey {
            s: params.transformed(small),
            minus: params.transformed(&minus),
        }
    }

    fn sparse(entries: &[(usize, i64)]) -> Vec<i64> {
        let mut out = vec![0; 4096];
        entries.iter().for_each(|(at, x)| out[*at] = *x);
        out
    }

    #[test]
    fn an_encryption_a_product_and_its_opening_are_those_of_big_integers() {
        each(|_| {
            let params = Params::custom(4096, &[50, 50], 32, 0).unwrap();
            let n = 4096;
            let mut next = words(1);
            let mut a: Vec<u64> = Vec::new();
            for m in &params.moduli {
                a.extend((0..n).map(|_| (next() >> 14) % m.q));
            }
            let mut transformed = a.clone();
            let mut next = words(2);
            let up = Raise::<1>::new(&params.moduli, 32);
            let mut message = Zeroizing::new(vec![0; 2 * n]);
            for j in 0..n {
                up.of(&[next() >> 32], |i, r| message[i * n + j] = r);
            }
            let mut next = words(3);
            let errors: Vec<i64> = (0..n).map(|_| ((next() >> 40) % 43) as i64 - 21).collect();
            let key = secret(
                &params,
                &sparse(&[(0, 1), (7, -1), (100, 1), (2048, -1), (4095, 1)]),
            );
            let plain = sparse(&[(0, (1 << 31) - 1), (1, -1 << 31), (5, 12345), (4095, -7)]);
            let plain = params.transformed(&plain);
            let halves = params.ntts.iter().zip(transformed.chunks_exact_mut(n));
            halves.for_each(|(ntt, part)| ntt.forward(part));
            let mut c0 = key.encrypt(&params, message, &transformed, &errors);
            let (mut answer0, mut answer1) = (c0.clone(), transformed.clone());
            for (i, ntt) in params.ntts.iter().enumerate() {
                let at = i * n..(i + 1) * n;
                ntt.backward(&mut c0[at.clone()]);
                for x in [&mut answer0[at.clone()], &mut answer1[at.clone()]] {
                    ntt.multiply(x, &plain[at.clone()]);
                    ntt.backward(x);
                }
            }
            let mut opened = answer1.clone();
            key.times(&params, &mut opened);
            for (i, m) in params.moduli.iter().enumerate() {
                for j in i * n..(i + 1) * n {
                    opened[j] = m.add(opened[j], answer0[j]);
                }
            }
            let fractions = Fractions::<3>::new(&params.moduli).all(&opened, n);
            let mut lines = VECTORS.lines();
            let found: Vec<&str> = lines.next().unwrap().split(' ').skip(1).collect();
            let other = Params::ring(64, 64).unwrap();
            let own: Vec<String> = [params.primes(), other.primes()]
                .concat()
                .iter()
                .map(u64::to_string)
                .collect();
            assert_eq!(found, own);
            let mut checked = 0;
            for line in lines {
                let parts: Vec<&str> = line.split(' ').collect();
                let j: usize = parts[1].parse().unwrap();
                for (i, m) in params.moduli.iter().enumerate() {
                    for (x, part) in [&c0, &answer0, &answer1, &opened].iter().zip(&parts[2..6]) {
                        assert_eq!(x[i * n + j], residue(part, m.q), "{line}");
                    }
                }
                let share = rounded(fractions[j], 32)[2] >> 32;
                assert_eq!(share, parts[6].parse::<u64>().unwrap());
                let f = rounded(fractions[j], 90);
                let top = ((f[2] as u128) << 64 | f[1] as u128) >> 38;
                assert_eq!(top, parts[7].parse::<u128>().unwrap());
                checked += 1;
            }
            assert_eq!(checked, 9);
            assert_eq!(product(params.primes()).len(), 2);
        });
    }

    /// What the key's owner can compute from an answer, (c0 + c1 s) / q and c1, is uniform whether the product behind it
    /// is nothing or large: chi-square of the top bytes, 255 degrees of freedom, below 400 but for 10^-8.
    #[test]
    fn an_answer_does_not_show_how_it_was_made() {
        let params = Params::ring(64, 64).unwrap();
        let key = SecretKey::new(&params).unwrap();
        let public = PublicKey::read(&params, &PublicKey::make(&params, &key).unwrap()).unwrap();
        let answers = Answers::<3, 2>::new(&params);
        let wanted: Vec<usize> = (0..params.degree).collect();
        for large in [false, true] {
            let c = match large {
                false => [vec![0; params.words()], vec![0; params.words()]],
                true => [params.uniform(&[7; 32], 0), params.uniform(&[7; 32], 1)],
            };
            let mut bytes = Vec::new();
            let seed = sample::seed().unwrap();
            let masks = Masks {
                key: &public,
                seed: &seed,
            };
            answers.mask(&params, &masks, 0, c, &wanted, &mut bytes);
            let seen = answers.open(&params, &key, &bytes, &wanted).unwrap();
            let tops: Vec<u8> = seen.iter().map(|f| (f[2] >> 56) as u8).collect();
            for sample in [&tops[..], &bytes[..64 << 10]] {
                let mut counts = [0f64; 256];
                sample.iter().for_each(|b| counts[*b as usize] += 1.0);
                let mean = sample.len() as f64 / 256.0;
                let chi: f64 = counts.iter().map(|c| (c - mean).powi(2) / mean).sum();
                assert!((130.0..400.0).contains(&chi), "{chi}");
            }
        }
    }
}
