//! Cutting a pass over arrays into the parts of several threads.
//!
//! Handing work to other threads and waiting for them takes some 10 microseconds, more where the processors are busy
//! with other agents; what takes less than ten times that is done at once.

use rayon::prelude::*;

/// Bytes of a result from which light work, bound by memory, is shared out.
pub const LIGHT: usize = 4 << 20;
/// As above, for work of a nanosecond or more a word.
pub const HEAVY: usize = 1 << 20;

/// Bytes of the result in one thread's part: small beside the second cache.
const PART: usize = 256 << 10;

/// Call `work(first, part)` for consecutive parts of `out`, whose first element has the index `first`; on several
/// threads if `out` has `threshold` bytes or more. `align` divides every `first`.
pub fn parts<T: Send>(
    out: &mut [T],
    align: usize,
    threshold: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if std::mem::size_of_val(out) < threshold {
        return work(0, out);
    }
    let size = (PART / std::mem::size_of::<T>().max(1)).next_multiple_of(align);
    out.par_chunks_mut(size)
        .enumerate()
        .for_each(|(i, part)| work(i * size, part));
}
