//! Products of private numbers by lattice encryption.

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
