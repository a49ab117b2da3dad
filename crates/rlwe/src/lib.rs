//! Products of private numbers by lattice encryption: what Cheetah (eprint 2022/207) needs for two parties.
//!
//! One party, the client, holds a key. It sends its numbers encrypted; the other, the server, multiplies them with its
//! own, masks and answers; both then hold additive shares of the products and know nothing else. One message each
//! way, and the public key once before. State and bytes in, state and bytes out: nothing here opens a socket.
//!
//! - [`matmul`]: products of matrices modulo 2^l, one term of a product of shared matrices.
//! - [`ole`]: products of numbers one by one, modulo 2^64.
//!
//! ```
//! use argot_rlwe::{matmul::{Client, Server}, plan::{Encrypted, Plan}, Params};
//! # fn main() -> Result<(), argot_rlwe::Error> {
//! let params = Params::ring(64, 64)?;
//! let plan = Plan::new(&params, [1, 2, 1], Encrypted::Left, 64)?;    // the same at both parties
//! let client = Client::new(params.clone())?;
//! let server = Server::new(params, &client.public_key()?)?;
//! let request = client.request(&plan, &[3, 4])?;
//! let (answer, theirs) = server.answer(&plan, &[10, 100], &request)?;
//! let ours = client.finish(&plan, &answer)?;
//! assert_eq!(ours[0].wrapping_add(theirs[0]), 430);
//! # Ok(()) }
//! ```
//!
//! # The encryption
//!
//! `R_q = Z_q[X]/(X^N + 1)`, q a product of primes below 2^50 ([`modulus`], [`ntt`]). With a ternary secret s and
//! errors e of deviation 3.24, a message m modulo t goes as
//!
//! ```text
//!     c1 = a uniform, from a seed        c0 = round(q m / t) + e - a s        so  c0 + c1 s = (q/t) m + noise
//! ```
//!
//! (Fan and Vercauteren, eprint 2012/144, with any t). A message that goes up is half a ciphertext and a seed.
//!
//! # What is secure
//!
//! *Of the client's numbers* the server sees ring-LWE samples. log q is at most 109, 218, 438 for N = 4096, 8192,
//! 16384: 128 bits for a ternary secret by the table of the Homomorphic Encryption Standard; larger sets are refused
//! by [`Error::Insecure`]. Answers and keys use up no more: all samples are under the same q.
//!
//! *Of the server's numbers* the client sees a masked answer: every ciphertext is rerandomised by a fresh encryption of
//! zero under the public key and its first component masked by r uniform in Z_q. The second component is
//! then a ring-LWE sample of the server's own secret; given it, the first is uniform. So nothing is flooded and no
//! statistical distance adds up, except for the 2^-78 of each uniform draw; see `mask` in `scheme.rs`.
//! What is rounded off before sending is a function of that.
//!
//! Both hold against parties that follow the protocol. A client that sends what is no encryption, or a server that
//! answers anything, makes wrong shares; that is not noticed here.
//!
//! # What is exact
//!
//! The server keeps round(t r / q), the client round(t (x - r) / q), with x = (q/t) m + noise. Of the two fractions,
//! each uniform, the sum is whole up to t noise / q: the roundings add up to m unless one lies that near to a half. So
//! an output is **one off in its lowest place with probability t E|noise| / q**, which [`Params::error`] bounds by
//! 2^-40 for every output of every plan, for all operands, random or not; else plans are refused. [`ole`] takes
//! 2^-40 for a whole ciphertext, as one wrong coefficient spoils all its slots, and a product there is wrong with another
//! 2^-40 where the client's share modulo P does not wrap.
//!
//! | ring l | plain operand | N | log q | up, a ciphertext | down, a coefficient of c1, c0 |
//! |---|---|---|---|---|---|
//! | 64 | 64 bits | 8192 | 184 | 188 KB | 111, 104 bits |
//! | 64 | 32 | 8192 | 150 | 154 KB | 111, 104 |
//! | 48 | 48 | 8192 | 150 | 154 KB | 95, 88 |
//! | 40 | 40 | 8192 | 135 | 138 KB | 87, 80 |
//! | 40 | 8 | 4096 | 100 | 51 KB | 86, 80 |
//! | 32 | 32 | 8192 | 120 | 123 KB | 79, 72 |
//! | 32 | 16 | 4096 | 100 | 51 KB | 78, 72 |
//!
//! Answers are switched to a modulus of that many bits, and carry only those coefficients of c0 that hold outputs
//! (extraction). [`Params::custom`] makes other sets, say a smaller q where one off is harmless.
//!
//! # Constant time
//!
//! Nothing branches or indexes on numbers, keys or noise: reductions subtract by minimum, errors are counts of bits,
//! and transforms do the same for all inputs. Shapes, widths and plans are public.

pub mod backend;
pub mod error;
#[cfg(target_arch = "x86_64")]
mod ifma;
pub mod matmul;
pub mod modulus;
pub mod ntt;
pub mod ole;
mod pack;
pub mod params;
pub mod plan;
mod sample;
mod scale;
mod scheme;

pub use backend::Backend;
pub use error::Error;
pub use params::Params;
