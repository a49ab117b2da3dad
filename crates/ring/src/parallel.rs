//! Cutting a pass over arrays into the parts of several threads.

use rayon::prelude::*;

/// Bytes of the result in one thread's part: large beside the cost of handing it over, small beside the second cache.
const PART: usize = 256 << 10;

/// Call `work(first, part)` for consecutive parts of `out`, whose first element has the index `first`; on several
/// threads from two parts on. `align` divides every `first`.
pub fn parts<T: Send>(out: &mut [T], align: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let size = (PART / std::mem::size_of::<T>().max(1)).next_multiple_of(align);
    if out.len() < 2 * size {
        return work(0, out);
    }
    out.par_chunks_mut(size)
        .enumerate()
        .for_each(|(i, part)| work(i * size, part));
}
