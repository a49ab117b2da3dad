//! The rings Z_2^32, Z_2^64 and Z_2^128, and bit-sliced booleans: arithmetic on slices.
//!
//! Callers check shapes; every function states what it takes. Vectors are chosen at run time ([`backend`]), large
//! arrays are cut over threads ([`parallel`]). All backends give the same results.

// Kernels run along several slices with one index.
#![allow(clippy::needless_range_loop)]

pub mod backend;
pub mod bits;
pub mod bits_move;
pub mod cross;
pub mod element;
pub mod elementwise;
pub mod fixed;
pub mod matmul;
pub mod parallel;
pub mod reduce;
pub mod tile;

pub use backend::Backend;
pub use element::{Ring, Z128};

pub mod approx_exponent;
pub mod approx_fourier;
pub mod approx_lift;
pub mod approx_plain;
pub mod approx_pow2;
pub mod approx_turns;
pub mod kernels_bits;
pub mod kernels_carry;
pub mod kernels_compare;
pub mod kernels_order;
pub mod kernels_trunc;
