//! Lattice encryption for products on shares: ring-LWE, bytes in and bytes out, no sockets.
//!
//! One party encrypts, the other multiplies by what it has in the clear and returns the result under a mask; both
//! then hold additive shares of it modulo 2^l. [`linear`] does matrices, by the packing of coefficients of Cheetah
//! (Huang, Lu, Hong, Ding; USENIX Security 2022, eprint 2022/207), and merges answers of large ones; [`products`] does vectors
//! element by element, by the Chinese remainder theorem. Layers, each of which needs only those before:
//! [`backend`] (eight lanes), [`prime`], [`ntt`] (polynomials modulo a prime), [`chain`] (modulo q, and the switch to
//! a power of two), keys and encryption, [`merge`], [`noise`], [`params`], [`plan`].
//!
//! # Encryption
//!
//! Modulo q, a product of primes below 2^50, and x^N + 1: a ciphertext of m is (c0, c1) with c0 + c1 s = m' + e, where
//! m' = round(q m / t) and t = 2^l (Fan and Vercauteren, eprint 2012/144), s is uniform with coefficients in {-1, 0,
//! 1}, e centred binomial with deviation 3.24. c1 is uniform and travels as a seed, so a request is half a
//! ciphertext for each polynomial, and of c0 the coefficients that results depend on are enough ([`Packing::needed`]):
//! of a matrix times a column as many as the matrix has elements.
//!
//! 128 bits of security are those of published tables ([`chain::SECURE`]), which
//! [`Chain::new`] checks: no other way leads to a modulus.
//!
//! # Noise, and what an answer gives away
//!
//! Times a polynomial b of the server, c0 + c1 s is q/t (m b mod t) + (e + rho) b, with rho the rounding of m', at most
//! 1/2. Two things remain:
//!
//! * *c1 b would tell b*, to the client, who knows c1. Each answer gets a fresh encryption of zero under the client's
//!   public key (p0, p1), with a u and an e1 of its own (of [`products`] see there): c1 b + p1 u + e1 is uniform to
//!   everyone who does not know u, also with s at hand, if ring-LWE is hard (PROTOCOLS.md section 10, item 7: never one
//!   zero for several answers).
//! * *The noise would tell b*, E = (e + rho) b + e_p u + e1 s, to the client, who can compute it once it knows the
//!   result. [`linear`] hides it by switching the answer to a modulus 2^w that it is far below, [`products`] by
//!   rounding c0 in the same way, with its reasons there.
//!
//! **The view of a client of [`linear`]** is an answer, c1~ = [2^w c1 / q] and, at each position of a result, c0~ =
//! [2^w c0 / q] + 2^(w - l) r modulo 2^w, where [] rounds to the nearest, (c0, c1) is the answer modulo q with its
//! encryption of zero, and r is the mask, uniform modulo t. The server's share is -r, the client's x = result + r mod t,
//! which it decrypts: c0~ + c1~ s is 2^(w - l) x and the error of switching, less than half of 2^(w - l) ([`noise`]), so
//! that shares are exact. A simulator that has the client's key and share alone draws c1 uniformly, and takes c1~ and
//!
//! > [2^w (q/t x - c1 s) / q] = 2^(w - l) x + [-2^w (c1 s) / q]
//!
//! for c0~. Where c1 is the same, it errs only at a position where E, which is missing there, takes -2^w (c1 s) / q over
//! the middle between two whole numbers, since c0 = q/t result + E - c1 s. Step by step:
//!
//! 1. Let B be that at some position of a result -2^w (c1 s) / q is closer to a middle than 2^-41, which is more than 2^w
//!    E / q: where all of b is as large as can be, q has room for rho b as it may be at worst and for a hundred deviations
//!    of the rest (a test of [`params`]). From a real answer to one with the simulator's c0~, made from the real c1, is the
//!    probability of B.
//! 2. B can be decided from c1 and s, and is no likelier for the real c1 than for a uniform one, but for the advantage
//!    against ring-LWE: so it does not matter that E contains the u and e1 of this c1. Each coefficient of c1 s is
//!    uniform modulo q if c1 is, as s has coefficients that are invertible. So B has the probability 2^-40 for each
//!    position; the 2^(w - 124) that rounded fractions are short by ([`chain`]) are far less.
//! 3. Now u and e1 are in c1 alone, which is pseudorandom: replace it by a uniform one. c1~ follows from c1.
//!
//! So the distance is 2^-40 for each result that is computed, opened or not, where it sums 2^20 products; for fewer it is
//! less, as E is. Masks are uniform and independent of all else, so the server's share together with the view is that
//! of the ideal product, too.
//!
//! [`noise`] has the bounds, with tests that measure what they bound and compare answers with the simulator's. Of c0 only
//! the coefficients that are results are sent. Switching adds a rounding error times s, which is 2^8 at most, so w is l
//! + 9.
//!
//! # What merging shows
//!
//! Of a large product several answers (c0, c1) modulo q, each with an encryption of zero of its own, become one
//! ([`merge`]): (d0, d1) modulo q' is a function of their c1 and of keys that the client has made, and what is sent is
//! [2^w d1 / q'] and, for each result, [2^w (c0 / q + d0 / q')] plus 2^(w - l) r. The simulator draws each c1 uniformly,
//! takes (d0, d1) from them as the server does, and (q/t x - c1 s) / q + d0 / q' for what is rounded to c0~. The steps
//! are those above, once it is seen that what is rounded is uniform modulo 1, in steps of 1/q, at each result:
//!
//! * c1 = P' c' + delta, where P' = q / q', c' is c1 / P' rounded and delta the remainder nearest to zero. If c1 is uniform
//!   modulo q, c' and delta are, independently, modulo q' and among the P' remainders.
//! * Of two that are joined, the sum and the difference, a + x^k b and a - x^k b, are uniform and independent (2 is
//!   invertible). The key is applied to the difference, and the result's second half is the sum plus a function of
//!   that: so it is uniform whatever the differences are, here and in all joinings. So is d1, given all of them, and
//!   the noise of keys and rounding is a function of the differences alone.
//! * With that noise, eta, d0 = c' s - d1 s + eta at a result's place, of whose c1 c' is. So c0 / q + d0 / q' is result / t,
//!   E / q and eta / q' less (delta s + P' d1 s) / q. There delta s is uniform modulo P', d1 s modulo q' and independent
//!   of it, so what is in brackets is uniform modulo q.
//!
//! So the distance is the same, however small q' is and whatever its noise: that only has to leave results right. Keys
//! encrypt tau(s) under s, which is assumed to be as hard as ring-LWE with independent secrets (circular security, as
//! everywhere where keys are switched).
//!
//! # Who is trusted with what
//!
//! Both follow the protocol, and may look at all they see (semi-honest). In particular a client that makes its public
//! key otherwise than [`linear::Client::public_key`] does could learn the server's matrix. Bytes of a peer that are not
//! what they should be are refused with an [`Error`] and never cause a panic; bytes that are, but encrypt something
//! else, give a wrong result. Nothing branches or indexes on secrets: sampling, transforms, rounding and joining are
//! the same instructions for all values. Seeds, keys and masks are wiped when dropped.

// Kernels run along several slices with one index.
#![allow(clippy::needless_range_loop)]

pub mod backend;
pub mod chain;
mod cipher;
pub mod convolution;
mod error;
pub mod linear;
pub mod merge;
pub mod noise;
pub mod ntt;
pub mod packing;
pub mod params;
pub mod plan;
pub mod prime;
pub mod products;
mod sample;
mod scratch;
#[cfg(test)]
mod vectors;
mod wire;

pub use backend::Backend;
pub use chain::Chain;
pub use convolution::Convolution;
pub use error::Error;
pub use packing::Packing;
pub use params::Params;
pub use plan::Plan;
pub use wire::HEADER;
