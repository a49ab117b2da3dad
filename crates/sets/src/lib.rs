//! Private set intersection, the local parts: items to points of ristretto255, blinding, secret orders, matching.
//!
//! An item becomes 64 uniform bytes ([`items`]), these a point, the point times a secret scalar 32 bytes that say
//! nothing without it ([`group`]). What both owners' scalars have multiplied is compared by short tags
//! ([`matching`]). Points go out in a secret order ([`shuffle`]).

pub mod group;
pub mod items;
pub mod matching;
pub mod shuffle;
#[cfg(target_arch = "x86_64")]
pub mod wide;

/// The operating system has no randomness to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
