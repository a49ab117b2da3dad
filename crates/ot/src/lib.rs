//! Oblivious transfer for two parties, both honest but curious: state and bytes in, state and bytes out.
//!
//! Everything here comes from one correlation. The sender holds a secret `delta` and blocks `q_i` of 128 bits, the
//! receiver bits `b_i` and blocks `t_i` with
//!
//! `t_i = q_i ^ b_i * delta`.
//!
//! 1. [`base`]: 128 transfers from elliptic curves, once for each pair of parties and direction.
//! 2. [`soft`]: SoftSpoken extends them, in `128 / k - 1` bits a correlation, without assumptions beyond AES.
//! 3. [`ferret`]: Ferret extends some hundred thousand of those to ten million, in 0.4 bits each, assuming that
//!    parity with noise is hard. [`setup`] runs all three.
//! 4. [`transfer`] and [`triples`] spend correlations: strings, sums, chosen messages, products of bits.
//! 5. [`pool`]: correlations taken from at any place, none twice; [`stock`]: what was made ahead of use, on the disk.
//! 6. [`planes`] and [`digits`] spend correlations on arrays: products of bits, bits times numbers, leaves of comparisons.
//! 7. [`words`]: products of bits alone, of which 64 take the room of one correlation; a pool makes either.
//! 8. [`permute`] spends one on each switch of a [`network`]: rows in an order that one party chose.
//!
//! The lowest bit of `delta` is 1 and that of every `q_i` is 0, so that `b_i` is the lowest bit of `t_i` and needs no
//! memory of its own. It leaves 127 secret bits in `delta`; to search them takes 2^127 calls of AES.
//!
//! A message that is too long or too short is refused by name before anything is done with it. One whose bytes were
//! changed gives wrong outputs, of the same shape and size; who may change messages is outside the model.

pub mod base;
pub mod bits;
mod code;
pub mod cots;
pub mod digits;
mod error;
pub mod estimate;
pub mod ferret;
mod memory;
pub mod network;
pub mod params;
pub mod permute;
pub mod planes;
pub mod pool;
pub mod setup;
pub mod soft;
pub mod stock;
pub mod transfer;
mod tree;
pub mod triples;
pub mod words;

pub use cots::{ReceiverCots, SenderCots};
pub use error::Error;
pub use params::Params;

use zeroize::Zeroizing;

/// What names one use of this crate: a run of two parties, and which of them sends. All keys come from it, so that two
/// sessions, and the two directions of one, have nothing in common. From the set-up on it names that set-up, too: so that
/// correlations of two set-ups with one id are never taken for those of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session([u8; 32]);

impl Session {
    /// `id` is public, fresh for each run, and the same at both parties; `sender` is the rank of the one who sends.
    pub fn new(id: &[u8; 32], sender: u8) -> Session {
        let mut material = [0; 33];
        material[..32].copy_from_slice(id);
        material[32] = sender;
        Session(argot_prf::derive_key("argot 2026 ot: session", &material))
    }

    /// The session of a set-up, from its first two messages, in which both parties' randomness is.
    pub(crate) fn of_set_up(&self, messages: &[u8; 32]) -> Session {
        let material = [self.0, *messages].concat();
        Session(argot_prf::derive_key("argot 2026 ot: set-up", &material))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A public key for one purpose; `number` tells repetitions apart.
    pub(crate) fn key(&self, purpose: &str, number: u64) -> u128 {
        let key = argot_prf::derive(
            &self.0,
            &[0; 32],
            &[purpose.as_bytes(), &number.to_le_bytes()].concat(),
        );
        u128::from_le_bytes(key)
    }
}

/// From the operating system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut bytes[..]).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

/// A fresh `delta`: 127 random bits, and the lowest one set.
pub(crate) fn random_delta() -> Result<u128, Error> {
    Ok(u128::from_le_bytes(*random::<16>()?) | 1)
}

/// All ones where `a == b`, else zero, without a branch. Below 2^63.
#[inline]
pub(crate) fn equal(a: u64, b: u64) -> u64 {
    0u64.wrapping_sub((a ^ b).wrapping_sub(1) >> 63)
}

/// `x` where the mask is all ones, else zero.
#[inline]
pub(crate) fn masked(x: u128, mask: u64) -> u128 {
    u128::from((x >> 64) as u64 & mask) << 64 | u128::from(x as u64 & mask)
}
