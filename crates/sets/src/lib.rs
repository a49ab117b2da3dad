//! Private set intersection, the local parts: items to points of ristretto255, blinding, secret orders, matching.
//!
//! An item becomes 64 uniform bytes ([`items`]), these a point, the point times a secret scalar 32 bytes that say
//! nothing without it ([`group`]). What both owners' scalars have multiplied is compared by short tags
//! ([`matching`]). Points go out in a secret order ([`permutation`]).

pub mod group;
pub mod items;
pub mod matching;
#[cfg(target_arch = "x86_64")]
pub mod wide;

use zeroize::Zeroizing;

/// The operating system has no randomness to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A permutation of `0..n` from the operating system's randomness.
pub fn permutation(n: usize) -> Result<Vec<i64>, NoRandomness> {
    let key = Zeroizing::new(random::<16>()?);
    Ok(argot_prf::permutation(&key, n))
}
