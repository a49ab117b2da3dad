//! Degree, moduli and plaintext space; what is secure, and what is exact.

use crate::error::Error;
use crate::modulus::{prime_below, Modulus, MAX_BITS};
use crate::ntt::Ntt;
use crate::sample::SIGMA;
use crate::scale::{bit_length, product};
use std::sync::Arc;

/// What a coefficient of a message is.
pub(crate) enum Plain {
    /// A number modulo 2^bits.
    Ring(u32),
    /// A number modulo the product of primes, which are 1 modulo 2N: N slots for each. And the bits of the client's
    /// and the server's numbers.
    Slots(Vec<Ntt>, [u32; 2]),
}

/// The parameters of a key and all that is made with it. Equal inputs give equal parameters at both parties.
pub struct Params {
    pub(crate) degree: usize,
    pub(crate) ntts: Vec<Ntt>,
    pub(crate) moduli: Vec<Modulus>,
    pub(crate) plain: Plain,
    /// The modulus q and its logarithm.
    bits: u32,
    log_q: f64,
    /// Logarithm of the plaintext modulus t.
    pub(crate) log_t: f64,
    /// An output coefficient is rounded the wrong way with probability at most 2^-exact.
    pub(crate) exact: u32,
    /// Of all the above, for the head of a message.
    pub(crate) tag: u32,
}

/// Largest log q with 128-bit security for a ternary secret (Homomorphic Encryption Standard 2018, table 1).
const SECURE: [(usize, u32); 3] = [(4096, 109), (8192, 218), (16384, 438)];

/// Ring width, bits of the plain operand up to which a row serves, degree, sizes of the primes.
///
/// log q >= l + (w - 1) + log2(terms / 2) + 41 for 2^13 terms, see [`Params::error`].
const RINGS: [(u32, u32, usize, &[u32]); 7] = [
    (64, 64, 8192, &[46; 4]),
    (64, 32, 8192, &[50; 3]),
    (48, 48, 8192, &[50; 3]),
    (40, 40, 8192, &[45; 3]),
    (40, 8, 4096, &[50; 2]),
    (32, 32, 8192, &[40; 3]),
    (32, 16, 4096, &[50; 2]),
];

/// The certainty of [`Params::ring`].
const EXACT: u32 = 40;

impl Params {
    /// For products of matrices modulo 2^bits (64, 48, 40 or 32; others take the next), the plain operand of at
    /// most `operand` signed bits.
    pub fn ring(bits: u32, operand: u32) -> Result<Arc<Params>, Error> {
        check_width("ring elements", bits, 64)?;
        check_width("the plain operand", operand, bits)?;
        let fits = |row: &&(u32, u32, usize, &[u32])| bits <= row.0 && operand.min(row.0) <= row.1;
        // Of the rows that fit the one of fewest bytes a coefficient.
        let (_, _, degree, primes) = RINGS
            .iter()
            .filter(fits)
            .min_by_key(|row| row.2 * row.3.iter().sum::<u32>() as usize)
            .expect("the first row fits everything");
        Params::custom(*degree, primes, bits, EXACT)
    }

    /// For products of numbers below 2^client and 2^server, slot by slot ([`crate::ole`]): the plaintext modulus P is
    /// 40 bits longer than a product, q as long as the noise needs, the degree the least that is secure.
    pub fn slots(client: u32, server: u32) -> Result<Arc<Params>, Error> {
        check_width("the client's numbers", client, 64)?;
        check_width("the server's numbers", server, 64)?;
        // One unit more than is needed: a prime of b bits is a little below 2^b.
        let room = client + server + EXACT + 1;
        let mut refused = Error::Degree { got: 0 };
        for (degree, _) in SECURE {
            let sizes = split(room);
            let mut taken = Vec::new();
            for size in &sizes {
                taken.push(prime_below(*size, &taken).ok_or(Error::Prime { bits: *size })?);
            }
            let log_t = taken.iter().map(|p| (*p as f64).log2()).sum::<f64>();
            let plain = taken.iter().map(|p| Ntt::new(degree, Modulus::new(*p)));
            // A coefficient that is rounded the wrong way spoils all N slots: N times as certain.
            let exact = EXACT + degree.ilog2();
            // From Params::error with N terms of P / 2, mostly N / 2 times that, and half of it kept for the answer.
            let log_q = 2 * room + degree.ilog2() - 2 + exact + 2;
            let plain = Plain::Slots(plain.collect(), [client, server]);
            let params = Params::build(degree, &split(log_q), plain, log_t, exact);
            match params.and_then(|p| p.check_error(degree, log_t.ceil() as u32).map(|()| p)) {
                Ok(params) => return Ok(params),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Any degree and sizes of primes that are secure; an output is one off with probability at most 2^-exact, or
    /// plans are refused.
    pub fn custom(
        degree: usize,
        primes: &[u32],
        bits: u32,
        exact: u32,
    ) -> Result<Arc<Params>, Error> {
        check_width("ring elements", bits, 64)?;
        Params::build(degree, primes, Plain::Ring(bits), bits as f64, exact)
    }

    pub(crate) fn build(
        degree: usize,
        primes: &[u32],
        plain: Plain,
        log_t: f64,
        exact: u32,
    ) -> Result<Arc<Params>, Error> {
        let most = SECURE.iter().find(|(n, _)| *n == degree);
        let (_, most) = *most.ok_or(Error::Degree { got: degree })?;
        let mut taken: Vec<u64> = match &plain {
            Plain::Ring(_) => Vec::new(),
            Plain::Slots(p, _) => p.iter().map(|p| p.modulus.q).collect(),
        };
        let own = taken.len();
        for size in primes {
            let prime = (20..=MAX_BITS)
                .contains(size)
                .then(|| prime_below(*size, &taken));
            taken.push(prime.flatten().ok_or(Error::Prime { bits: *size })?);
        }
        let q = product(taken[own..].iter().copied());
        let bits = bit_length(&q);
        if bits > most || own == taken.len() {
            return Err(Error::Insecure { degree, bits, most });
        }
        let moduli: Vec<Modulus> = taken[own..].iter().map(|q| Modulus::new(*q)).collect();
        let widths = match &plain {
            Plain::Ring(bits) => [*bits, 0],
            Plain::Slots(_, widths) => *widths,
        };
        let mut described = format!("{degree} {widths:?} {exact}").into_bytes();
        taken.iter().for_each(|q| described.extend(q.to_le_bytes()));
        let [a, b, c, d, ..] = argot_prf::hash(&described);
        Ok(Arc::new(Params {
            degree,
            ntts: moduli.iter().map(|m| Ntt::new(degree, *m)).collect(),
            log_q: moduli.iter().map(|m| (m.q as f64).log2()).sum(),
            moduli,
            plain,
            bits,
            log_t,
            exact,
            tag: u32::from_le_bytes([a, b, c, d]),
        }))
    }

    pub fn degree(&self) -> usize {
        self.degree
    }

    /// log2 q, rounded up.
    pub fn modulus_bits(&self) -> u32 {
        self.bits
    }

    pub fn primes(&self) -> Vec<u64> {
        self.moduli.iter().map(|m| m.q).collect()
    }

    /// Bits that a coefficient of a first component (c0) takes in an answer: the rounding error, a quarter of a unit
    /// on average, is worth 2^-(exact + 2) of a rounding.
    pub(crate) fn low_bits(&self) -> u32 {
        self.log_t.ceil() as u32 + self.exact
    }

    /// As [`Params::low_bits`], of a second component (c1): its errors meet the secret, so that N/1.5 of them add up,
    /// uniform ones of deviation 0.29.
    pub(crate) fn high_bits(&self) -> u32 {
        let spread = 0.8 * 0.29 * (self.degree as f64 / 1.5).sqrt();
        (self.log_t.ceil() + self.exact as f64 + spread.log2() + 2.0).ceil() as u32
    }

    /// log2 of the probability that a coefficient of the sum of products is rounded the wrong way.
    ///
    /// Fresh noise e (deviation 3.24) and the rounding of (q/t) m (at most 1/2) are multiplied by the plain operand,
    /// of which `terms` coefficients of at most 2^(w-1) meet an output. The noise x of the output moves its fraction
    /// t x / q, and the two parties' roundings, of uniform fractions that sum to a whole number up to that, miss it
    /// with probability t |x| / q: so what counts is the mean of |x|,
    ///
    /// ```text
    ///     |x| <= 2^(w-1) (0.8 * 3.24 sqrt(terms) + terms / 2)
    /// ```
    ///
    /// and two quarters of 2^-exact for what `low_bits` and `high_bits` drop. The noise of the
    /// fresh encryption of zero, below 2^14, is nothing beside it.
    pub fn error(&self, terms: usize, operand: u32) -> f64 {
        let terms = terms as f64;
        let noise = 2f64.powi(operand as i32 - 1) * (0.8 * SIGMA * terms.sqrt() + terms / 2.0);
        let product = (noise.log2() + self.log_t - self.log_q).exp2();
        (product + 0.5 * (-(self.exact as f64)).exp2()).log2()
    }

    /// Refuses what [`Params::error`] finds too likely to be wrong.
    pub(crate) fn check_error(&self, terms: usize, operand: u32) -> Result<(), Error> {
        let (got, want) = (self.error(terms, operand), -(self.exact as f64));
        if got > want {
            return Err(Error::TooNoisy { got, want });
        }
        Ok(())
    }
}

/// `bits` over as few primes as can be, as evenly as can be.
fn split(bits: u32) -> Vec<u32> {
    let count = bits.div_ceil(MAX_BITS);
    (0..count).map(|i| (bits + i) / count).collect()
}

pub(crate) fn check_width(what: &'static str, got: u32, most: u32) -> Result<(), Error> {
    if got == 0 || got > most {
        return Err(Error::Width { what, got, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_secure_and_exact() {
        for (bits, operand, degree, _) in RINGS {
            let p = Params::ring(bits, operand).unwrap();
            assert_eq!(p.degree(), degree, "{bits} {operand}");
            p.check_error(1 << 12, operand).unwrap();
            assert!(p.high_bits() <= 128 && p.low_bits() < p.high_bits());
        }
    }

    #[test]
    fn sets_below_128_bits_are_refused() {
        for (degree, primes, bits) in [(4096, vec![50, 50, 20], 120), (8192, vec![50; 5], 250)] {
            match Params::custom(degree, &primes, 64, 0) {
                Err(Error::Insecure { bits: got, .. }) => assert_eq!(got, bits),
                other => panic!("{:?}", other.err()),
            }
        }
        assert!(Params::custom(4096, &[50, 50], 32, 0).is_ok());
        assert!(Params::custom(8192, &[50, 50, 50, 50], 64, 0).is_ok());
        assert!(Params::custom(16384, &[50; 8], 64, 0).is_ok());
        let refused = |degree, primes: &[u32], bits| Params::custom(degree, primes, bits, 0).err();
        assert_eq!(refused(2048, &[50], 32), Some(Error::Degree { got: 2048 }));
        assert_eq!(refused(4096, &[51], 32), Some(Error::Prime { bits: 51 }));
        assert!(matches!(
            refused(4096, &[], 32),
            Some(Error::Insecure { .. })
        ));
        assert!(matches!(
            refused(4096, &[50], 65),
            Some(Error::Width { .. })
        ));
        assert!(matches!(
            Params::ring(32, 33).err(),
            Some(Error::Width { .. })
        ));
    }

    #[test]
    fn slots_are_exact_at_every_width() {
        for (client, server) in [
            (64, 64),
            (32, 32),
            (16, 16),
            (8, 8),
            (1, 1),
            (64, 1),
            (40, 64),
        ] {
            let p = Params::slots(client, server).unwrap();
            p.check_error(p.degree(), p.log_t.ceil() as u32).unwrap();
            assert!(p.log_t >= (client + server + EXACT) as f64);
            assert!(p.high_bits() <= 256);
        }
        assert!(matches!(
            Params::slots(65, 1).err(),
            Some(Error::Width { .. })
        ));
    }

    #[test]
    fn too_many_terms_are_refused() {
        let p = Params::ring(64, 64).unwrap();
        assert!(p.check_error(1 << 13, 64).is_ok());
        assert!(matches!(
            p.check_error(1 << 20, 64),
            Err(Error::TooNoisy { .. })
        ));
    }
}
