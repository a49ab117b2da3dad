//! 128 random transfers from nothing: Masny and Rindal, "Endemic Oblivious Transfer" (eprint 2019/706), over
//! ristretto255 (RFC 9496) with Diffie and Hellman's key agreement.
//!
//! The receiver, for choice c, draws a scalar a and a uniform point r_(1-c), and sends r_0, r_1 with
//! `r_c = a G - H_c(r_(1-c))`. The sender takes `A_i = r_i + H_i(r_(1-i))` and sends one `B = s G` for all; key i is
//! the hash of `s A_i`. The receiver knows `s A_c = a B` alone: nobody knows the logarithm of `A_(1-c)`, which a hash
//! of r_c chose. Both r are uniform, whatever c is.
//!
//! Bytes: 64 a transfer from the receiver, 32 in all from the sender.

use crate::error::length;
use crate::memory::Blocks;
use crate::{random, Error, Session};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, Zeroizing};

/// Transfers in one run: one for each bit of `delta`.
pub const COUNT: usize = 128;
/// Bytes of the receiver's message.
pub const REQUEST: usize = 64 * COUNT;
/// Bytes of the sender's.
pub const ANSWER: usize = 32;

/// Both keys of each transfer.
pub type Pairs = Zeroizing<Vec<[u128; 2]>>;

/// Wiped when dropped.
pub struct Receiver {
    session: Session,
    choices: u128,
    scalars: Zeroizing<Vec<Scalar>>,
    request: Vec<u8>,
}

impl Receiver {
    /// Bit `i` of `choices` is the choice in transfer `i`. Gives the message to the sender.
    pub fn begin(session: Session, choices: u128) -> Result<(Receiver, Vec<u8>), Error> {
        let mut scalars = Zeroizing::new(Vec::with_capacity(COUNT));
        let mut request = Vec::with_capacity(REQUEST);
        for i in 0..COUNT {
            let choice = Choice::from((choices >> i & 1) as u8);
            let scalar = Scalar::from_bytes_mod_order_wide(&*random::<64>()?);
            let other = RistrettoPoint::from_uniform_bytes(&*random::<64>()?)
                .compress()
                .to_bytes();
            let mask = mask(&session, i, choice.unwrap_u8(), &other);
            let chosen = (RistrettoPoint::mul_base(&scalar) - mask)
                .compress()
                .to_bytes();
            // r_0 is `chosen` where the choice is 0, else `other`; r_1 the other one.
            request.extend_from_slice(&<[u8; 32]>::conditional_select(&chosen, &other, choice));
            request.extend_from_slice(&<[u8; 32]>::conditional_select(&other, &chosen, choice));
            scalars.push(scalar);
        }
        let message = request.clone();
        Ok((
            Receiver {
                session,
                choices,
                scalars,
                request,
            },
            message,
        ))
    }

    /// The chosen key of each transfer.
    pub fn finish(self, answer: &[u8]) -> Result<Blocks, Error> {
        length("answer of a base transfer", answer.len(), ANSWER)?;
        let theirs = decode(answer, 0)?;
        let keys = self.scalars.iter().enumerate().map(|(i, scalar)| {
            let choice = (self.choices >> i & 1) as u8;
            key(
                &self.session,
                i,
                choice,
                &self.request[64 * i..64 * (i + 1)],
                answer,
                &(scalar * theirs),
            )
        });
        Ok(keys.collect())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.choices.zeroize();
    }
}

/// Both keys of each transfer, and the message to the receiver.
pub fn answer(session: &Session, request: &[u8]) -> Result<(Pairs, Vec<u8>), Error> {
    length("request of base transfers", request.len(), REQUEST)?;
    let scalar = Zeroizing::new(Scalar::from_bytes_mod_order_wide(&*random::<64>()?));
    let answer = RistrettoPoint::mul_base(&scalar)
        .compress()
        .to_bytes()
        .to_vec();
    let mut keys = Zeroizing::new(Vec::with_capacity(COUNT));
    for (i, pair) in request.chunks_exact(64).enumerate() {
        let (r0, r1) = pair.split_at(32);
        let a0 = decode(r0, i)? + mask(session, i, 0, r1);
        let a1 = decode(r1, i)? + mask(session, i, 1, r0);
        keys.push(
            [(0, a0), (1, a1)]
                .map(|(which, a)| key(session, i, which, pair, &answer, &(a * *scalar))),
        );
    }
    Ok((keys, answer))
}

fn decode(bytes: &[u8], position: usize) -> Result<RistrettoPoint, Error> {
    CompressedRistretto::from_slice(bytes)
        .ok()
        .and_then(|point| point.decompress())
        .filter(|point| !point.is_identity())
        .ok_or(Error::NotAPoint { position })
}

/// `H_which(r)` of transfer `i`: a point whose logarithm nobody knows.
fn mask(session: &Session, i: usize, which: u8, r: &[u8]) -> RistrettoPoint {
    let mut hasher = blake3::Hasher::new_derive_key("argot 2026 ot: point of a base transfer");
    hasher.update(session.bytes());
    hasher.update(&[i as u8, which]);
    hasher.update(r);
    let mut uniform = [0; 64];
    hasher.finalize_xof().fill(&mut uniform);
    RistrettoPoint::from_uniform_bytes(&uniform)
}

/// Everything that was said goes in, so that no two transfers share a key.
fn key(
    session: &Session,
    i: usize,
    which: u8,
    pair: &[u8],
    answer: &[u8],
    shared: &RistrettoPoint,
) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key("argot 2026 ot: key of a base transfer");
    hasher.update(session.bytes());
    hasher.update(&[i as u8, which]);
    hasher.update(pair);
    hasher.update(answer);
    hasher.update(shared.compress().as_bytes());
    let mut key = Zeroizing::new([0; 16]);
    hasher.finalize_xof().fill(&mut key[..]);
    hasher.zeroize();
    u128::from_le_bytes(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(&[3; 32], 0)
    }

    #[test]
    fn the_receiver_gets_the_chosen_key_and_no_other() {
        let choices = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        let (receiver, request) = Receiver::begin(session(), choices).unwrap();
        assert_eq!(request.len(), REQUEST);
        let (pairs, answer) = answer(&session(), &request).unwrap();
        assert_eq!(answer.len(), ANSWER);
        let chosen = receiver.finish(&answer).unwrap();
        let mut all: Vec<u128> = pairs.iter().flatten().copied().collect();
        for i in 0..COUNT {
            let choice = (choices >> i & 1) as usize;
            assert_eq!(chosen[i], pairs[i][choice]);
            assert_ne!(chosen[i], pairs[i][1 - choice]);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * COUNT);
    }

    #[test]
    fn bytes_of_a_peer_are_checked() {
        let (receiver, request) = Receiver::begin(session(), 5).unwrap();
        let refused = |request: &[u8]| answer(&session(), request).err().unwrap();
        assert!(matches!(
            refused(&request[1..]),
            Error::Length {
                got: 8191,
                want: 8192,
                ..
            }
        ));
        assert!(matches!(refused(&[]), Error::Length { .. }));
        for bad in [[0; 32], [0xff; 32]] {
            let mut request = request.clone();
            request[64 * 77 + 32..64 * 78].copy_from_slice(&bad);
            assert!(matches!(
                refused(&request),
                Error::NotAPoint { position: 77 }
            ));
        }
        assert!(matches!(
            receiver.finish(&[0; 32]),
            Err(Error::NotAPoint { position: 0 })
        ));
        let (receiver, _) = Receiver::begin(session(), 5).unwrap();
        assert!(matches!(
            receiver.finish(&[0; 31]),
            Err(Error::Length { .. })
        ));
    }

    #[test]
    fn another_session_shares_no_key() {
        let (receiver, request) = Receiver::begin(session(), 0).unwrap();
        let (pairs, answer) = answer(&Session::new(&[3; 32], 1), &request).unwrap();
        let chosen = receiver.finish(&answer).unwrap();
        assert!(chosen
            .iter()
            .zip(pairs.iter())
            .all(|(key, pair)| !pair.contains(key)));
    }
}
