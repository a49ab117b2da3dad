//! Lattice encryption for products on shares: ring-LWE, bytes in and bytes out, no sockets.
//!
//! One party encrypts, the other multiplies by what it has in the clear and returns the result under a mask; both
//! then hold additive shares of it modulo 2^l. [`linear`] does matrices, by the packing of coefficients of Cheetah
//! (Huang, Lu, Hong, Ding; USENIX Security 2022, eprint 2022/207) without rotations; [`products`] does vectors
//! element by element, by the Chinese remainder theorem. Layers, each of which needs only those before:
//! [`backend`] (eight lanes), [`prime`], [`ntt`] (polynomials modulo a prime), [`chain`] (modulo q, and the switch to
//! a power of two), keys and encryption, [`noise`], [`params`], [`plan`].
//!
//! # Encryption
//!
//! Modulo q, a product of primes below 2^50, and x^N + 1: a ciphertext of m is (c0, c1) with c0 + c1 s = m' + e, where
//! m' = round(q m / t) and t = 2^l (Fan and Vercauteren, eprint 2012/144), s is uniform with coefficients in {-1, 0,
//! 1}, e centred binomial with deviation 3.24. c1 is uniform and travels as a seed, so a request is half a
//! ciphertext for each polynomial. It is sent as values at the roots of x^N + 1: the server transforms nothing that it
//! gets.
//!
//! 128 bits of security are those of the Homomorphic Encryption Standard's table ([`chain::SECURE`]), which
//! [`Chain::new`] checks: no other way leads to a modulus.
//!
//! # Noise, and what an answer gives away
//!
//! Times a polynomial b of the server, c0 + c1 s is q/t (m b mod t) + (e + rho) b, with rho the rounding of m', at most
//! 1/2. Three things remain:
//!
//! * *c1 b would tell b*, to the client, who knows c1. Each answer gets a fresh encryption of zero under the client's
//!   public key, with a u and an e1 of its own: c1 b + p1 u + e1 is uniform to everyone who does not know u, also with
//!   s at hand, if ring-LWE is hard (PROTOCOLS.md section 10, item 7: never one zero for several answers).
//! * *The noise would tell b*, to the client, who can compute it once it knows the result. [`linear`] adds a mask to
//!   c0 that is uniform modulo the answer's whole modulus: what the client decrypts is uniform whatever result and
//!   noise are, so nothing has to be flooded. [`products`] needs a mask below the plaintext's modulus, and adds an
//!   offset uniform in 2^40 times the noise instead.
//! * *Shares round*: the client's share is round(result + noise + mask), the server's -round(mask), in units of
//!   q/t. They are wrong by one if the noise takes the mask over the middle between two numbers: with probability
//!   noise / (q/t), which is below 2^-39 for [`Rounding::Exact`] (q has 40 bits for it), and some in a hundred,
//!   never by more than one, for [`Rounding::LastPlace`], where the switch alone makes them so: the noise that depends
//!   on b is below 2^-40 of a unit for both. Who knows a result besides its share learns from each whether noise made
//!   it wrong, so the distance to an ideal product is 2^-39 for each result that is opened.
//!
//! [`noise`] has the bounds, with a test that measures what they bound. An answer is switched to the modulus 2^w before
//! it is masked; of c0 only the coefficients that are results are sent. Switching adds a rounding error times s, which
//! is 2^8 at most, so w is l + 8 bits and the margin.
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
pub use params::{Params, Rounding};
pub use plan::Plan;
pub use wire::HEADER;
