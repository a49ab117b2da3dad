//! Room for many blocks, which is wiped when it is given back, and used again.
//!
//! An extension needs 32 MB for a moment. Fresh memory of that size is cleared by the system page by page, which takes as
//! long as the extension itself; so some of it is kept.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroize;

/// Blocks that are kept for the next who needs room, at most: 256 MB.
const KEPT: usize = 16 << 20;
/// Fewer are cheaper to get from the allocator.
const LEAST: usize = 1 << 12;

static ROOM: Mutex<Vec<Vec<u128>>> = Mutex::new(Vec::new());

/// Secret blocks.
#[derive(Default)]
pub struct Blocks(Vec<u128>);

impl From<Vec<u128>> for Blocks {
    fn from(blocks: Vec<u128>) -> Blocks {
        Blocks(blocks)
    }
}

impl FromIterator<u128> for Blocks {
    fn from_iter<I: IntoIterator<Item = u128>>(blocks: I) -> Blocks {
        Blocks(blocks.into_iter().collect())
    }
}

impl Deref for Blocks {
    type Target = Vec<u128>;

    fn deref(&self) -> &Vec<u128> {
        &self.0
    }
}

impl DerefMut for Blocks {
    fn deref_mut(&mut self) -> &mut Vec<u128> {
        &mut self.0
    }
}

impl Zeroize for Blocks {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // What is beyond the length has held nothing, or was wiped when it was cut off.
        self.0[..].zeroize();
        give_back(std::mem::take(&mut self.0));
    }
}

impl Blocks {
    /// Drops what holds nothing but zeros.
    pub(crate) fn give_back_wiped(mut self) {
        debug_assert!(self.0.iter().all(|block| *block == 0));
        give_back(std::mem::take(&mut self.0));
    }
}

fn give_back(mut room: Vec<u128>) {
    if room.capacity() < LEAST {
        return;
    }
    room.clear();
    let mut kept = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.iter().map(Vec::capacity).sum::<usize>() + room.capacity() <= KEPT {
        kept.push(room);
    }
}

/// Room for n blocks and none in it: the smallest that is kept and large enough, unless it is more than twice as large.
/// Large fresh room asks the system for large pages: the code reads its secret all over, and a processor remembers the
/// places of few small pages (33 ns a row fall to 29); and large pages are faster to get.
pub(crate) fn room(n: usize) -> Blocks {
    if n >= LEAST {
        let mut kept = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let best = (0..kept.len())
            .filter(|&i| (n..=2 * n).contains(&kept[i].capacity()))
            .min_by_key(|&i| kept[i].capacity());
        if let Some(best) = best {
            return Blocks(kept.swap_remove(best));
        }
    }
    let blocks: Vec<u128> = Vec::with_capacity(n);
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let bytes = n * size_of::<u128>();
        let skipped = blocks.as_ptr().cast::<u8>().align_offset(PAGE);
        if bytes >= 4 << 20 && skipped < PAGE {
            let whole = (bytes - skipped) / PAGE * PAGE;
            // SAFETY: advice on whole pages inside this room; it may be refused, and nothing depends on it.
            unsafe {
                let first = blocks.as_ptr().cast::<u8>().add(skipped);
                libc::madvise(first.cast_mut().cast(), whole, libc::MADV_HUGEPAGE);
            }
        }
    }
    Blocks(blocks)
}

/// Zeros.
pub(crate) fn zeros(n: usize) -> Blocks {
    let mut out = room(n);
    out.resize(n, 0);
    out
}

/// A copy of some.
pub(crate) fn copied(blocks: &[u128]) -> Blocks {
    let mut out = room(blocks.len());
    out.extend_from_slice(blocks);
    out
}

/// The blocks from `at` on, in room of their own.
pub(crate) fn split_off(blocks: &mut Blocks, at: usize) -> Blocks {
    let rest = copied(&blocks[at..]);
    blocks[at..].zeroize();
    blocks.truncate(at);
    rest
}

/// The first `n` blocks alone; the others are wiped.
pub(crate) fn cut(blocks: &mut Blocks, n: usize) {
    blocks[n..].zeroize();
    blocks.truncate(n);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_zero_and_splits() {
        for n in [0, 1, 1000, 1 << 19] {
            let mut blocks = zeros(n);
            assert!(blocks.len() == n && blocks.iter().all(|b| *b == 0));
            blocks.iter_mut().zip(0..).for_each(|(b, i)| *b = i);
            let rest = split_off(&mut blocks, n / 3);
            assert!(blocks.iter().chain(rest.iter()).copied().eq(0..n as u128));
            assert_eq!(blocks.len(), n / 3);
            drop((blocks, rest));
            assert!(
                zeros(n).iter().all(|b| *b == 0),
                "room that comes back is wiped"
            );
        }
    }
}
