//! Named randomness: keys by keyed BLAKE3, streams by AES-128 in counter mode.
//!
//! Each draw has a key of its own, derived from the key of the parties entitled to it, the run and the position of
//! the draw in the program ([`derive()`]). [`Stream`] expands it: block `i` is AES(key, `i` as 16 bytes little
//! endian), from `i = 0`, so that any part of a stream can be made alone and in any order.
//!
//! [`Cipher`] and [`hash_each`] are AES on blocks: a permutation, and the hash that oblivious transfer needs.
//!
//! Nothing here branches or indexes on a key: AES comes from the processor's instructions, or from a bit-sliced
//! circuit where there are none.

mod backend;
mod cipher;
#[cfg(target_arch = "x86_64")]
mod hardware;
mod permutation;
mod portable;
mod stream;

pub use backend::Backend;
pub use cipher::{hash_each, hash_each_with, Cipher};
pub use permutation::permutation;
pub use portable::transpose;
pub use stream::Stream;

/// The context of [`derive()`] is the key alone; `run_id` has a fixed length, so `run_id || name` is injective.
///
/// Gives the 128-bit AES key of one draw. The result is unrelated to that of any other subset key, run or name.
pub fn derive(subset_key: &[u8; 32], run_id: &[u8; 32], name: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(subset_key);
    hasher.update(run_id);
    hasher.update(name);
    let mut key = [0; 16];
    hasher.finalize_xof().fill(&mut key);
    zeroize::Zeroize::zeroize(&mut hasher);
    key
}

/// BLAKE3 in its key derivation mode: `context` names the purpose and is a constant of the program.
pub fn derive_key(context: &str, material: &[u8]) -> [u8; 32] {
    blake3::derive_key(context, material)
}

/// BLAKE3.
pub fn hash(data: &[u8]) -> [u8; 32] {
    *blake3::hash(data).as_bytes()
}
