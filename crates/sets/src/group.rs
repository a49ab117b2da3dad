//! ristretto255 (RFC 9496): a group of prime order, so that no point has a small factor to leak and every encoding
//! is canonical.

use crate::{random, NoRandomness};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

/// 64 uniform bytes, what RFC 9496 maps to a point.
pub type Uniform = [u8; 64];
/// The encoding of a point.
pub type Encoded = [u8; 32];

/// Points of one thread's part: enough to share an inversion, few enough to balance.
const PART: usize = 256;

/// The first position whose bytes are no point, or the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPoint(pub usize);

/// What does the arithmetic. All give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Eight points at a time with AVX-512 IFMA ([`crate::wide`]).
    Ifma,
    /// One at a time: curve25519-dalek, which takes AVX2 where there is any.
    Dalek,
}

impl Backend {
    /// The faster one that this processor has.
    pub fn best() -> Backend {
        #[cfg(target_arch = "x86_64")]
        if crate::wide::is_available() {
            return Backend::Ifma;
        }
        Backend::Dalek
    }
}

/// A secret scalar, and the points it blinds. Wiped when dropped.
pub struct Blinder {
    /// Half the scalar: encoding many points together is cheap for their doubles.
    half: Scalar,
    backend: Backend,
}

impl Drop for Blinder {
    fn drop(&mut self) {
        self.half.zeroize();
    }
}

impl Blinder {
    /// A fresh scalar from the operating system, uniform among those that are not zero.
    pub fn new() -> Result<Blinder, NoRandomness> {
        loop {
            let wide = Zeroizing::new(random::<64>()?);
            let half = Scalar::from_bytes_mod_order_wide(&wide);
            if half != Scalar::ZERO {
                return Ok(Blinder {
                    half,
                    backend: Backend::best(),
                });
            }
        }
    }

    /// With a known scalar and backend, for tests against vectors.
    pub fn from_scalar(scalar: Scalar, backend: Backend) -> Blinder {
        Blinder {
            half: scalar.div_by_2(),
            backend,
        }
    }

    /// Item by item: the point of the uniform bytes (RFC 9496 section 4.3.4), times the scalar, encoded.
    pub fn blind(&self, items: &[Uniform], out: &mut [Encoded]) {
        assert_eq!(items.len(), out.len());
        let parts = items.par_chunks(PART).zip(out.par_chunks_mut(PART));
        match self.backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => {
                let scalar = Zeroizing::new((self.half + self.half).to_bytes());
                parts.for_each(|(items, out)| crate::wide::blind(&scalar, items, out));
            }
            _ => parts.for_each(|(items, out)| {
                self.encode(items.iter().map(RistrettoPoint::from_uniform_bytes), out);
            }),
        }
    }

    /// Points that the other owner blinded, times the scalar. Bytes that are not the canonical encoding of a point
    /// other than the identity are refused.
    pub fn reblind(&self, points: &[Encoded], out: &mut [Encoded]) -> Result<(), BadPoint> {
        assert_eq!(points.len(), out.len());
        let scalar = Zeroizing::new((self.half + self.half).to_bytes());
        let one_part = |points: &[Encoded], out: &mut [Encoded]| match self.backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => crate::wide::reblind(&scalar, points, out),
            _ => self.reblind_one_by_one(points, out),
        };
        let bad = points
            .par_chunks(PART)
            .zip(out.par_chunks_mut(PART))
            .enumerate()
            .filter_map(|(part, (points, out))| {
                one_part(points, out).err().map(|i| part * PART + i)
            })
            .min();
        bad.map_or(Ok(()), |position| Err(BadPoint(position)))
    }

    fn reblind_one_by_one(&self, points: &[Encoded], out: &mut [Encoded]) -> Result<(), usize> {
        let decoded = points
            .iter()
            .enumerate()
            .map(|(i, p)| decode(p).ok_or(i))
            .collect::<Result<Vec<_>, _>>()?;
        self.encode(decoded.into_iter(), out);
        Ok(())
    }

    fn encode(&self, points: impl Iterator<Item = RistrettoPoint>, out: &mut [Encoded]) {
        let halves: Vec<RistrettoPoint> = points.map(|p| self.half * p).collect();
        let encoded = RistrettoPoint::double_and_compress_batch(&halves);
        for (out, point) in out.iter_mut().zip(encoded) {
            *out = point.to_bytes();
        }
    }
}

/// The point of an encoding, if it is canonical and not the identity.
pub fn decode(bytes: &Encoded) -> Option<RistrettoPoint> {
    CompressedRistretto(*bytes)
        .decompress()
        .filter(|point| !point.is_identity())
}

/// The point that RFC 9496 section 4.3.4 gives for uniform bytes, encoded.
pub fn from_uniform(uniform: &Uniform) -> Encoded {
    RistrettoPoint::from_uniform_bytes(uniform)
        .compress()
        .to_bytes()
}
