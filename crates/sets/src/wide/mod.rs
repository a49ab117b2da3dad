//! ristretto255 on eight points at a time, with the 52-bit multipliers of AVX-512 (IFMA).
//!
//! One scalar multiplies all points of a run, so every lane does the same and nothing has to be shuffled between
//! lanes. Everything here runs in constant time: no branch or address depends on points or scalars, but for which
//! positions of a batch are no points, which is told anyway.

mod field;
mod points;

use crate::group::{Encoded, Uniform};
use points::Digits;

/// Points in a batch.
pub const LANES: usize = 8;

/// Whether this processor has what this module needs.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
}

/// Item by item: the point of the uniform bytes, times the scalar (32 bytes, below the group's order), encoded.
/// Only where [`is_available`].
pub fn blind(scalar: &[u8; 32], items: &[Uniform], out: &mut [Encoded]) {
    assert!(is_available() && items.len() == out.len());
    let digits = Digits::new(scalar);
    for (items, out) in items.chunks(LANES).zip(out.chunks_mut(LANES)) {
        let batch: [Uniform; LANES] = std::array::from_fn(|i| items[i.min(items.len() - 1)]);
        // SAFETY: the processor has the features, as asserted.
        let encoded = unsafe { points::blind(&digits, &batch) };
        out.copy_from_slice(&encoded[..out.len()]);
    }
}

/// Points times the scalar; the first position that is no point, or the identity. Only where [`is_available`].
pub fn reblind(scalar: &[u8; 32], encoded: &[Encoded], out: &mut [Encoded]) -> Result<(), usize> {
    assert!(is_available() && encoded.len() == out.len());
    let digits = Digits::new(scalar);
    for (start, (part, out)) in encoded.chunks(LANES).zip(out.chunks_mut(LANES)).enumerate() {
        let batch: [Encoded; LANES] = std::array::from_fn(|i| part[i.min(part.len() - 1)]);
        // SAFETY: the processor has the features, as asserted.
        let (encoded, bad) = unsafe { points::reblind(&digits, &batch) };
        if bad != 0 {
            return Err(start * LANES + bad.trailing_zeros() as usize);
        }
        out.copy_from_slice(&encoded[..out.len()]);
    }
    Ok(())
}
