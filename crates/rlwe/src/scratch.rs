//! Temporary numbers that are wiped and used again.
//!
//! Work on one ciphertext needs a megabyte for some hundred microseconds. Memory that goes back to the system in
//! between comes again page by page, which takes as long as the arithmetic, so each thread keeps some.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Numbers that a thread keeps at most: 4 MB.
const KEPT: usize = 512 << 10;

thread_local! {
    /// All zeros.
    static POOL: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Words that start as zeros and are wiped when dropped.
pub(crate) struct Buffer {
    words: Vec<u64>,
    length: usize,
}

impl Buffer {
    pub fn zeros(length: usize) -> Buffer {
        let words = POOL.with_borrow_mut(|pool| {
            let fits = pool
                .iter()
                .position(|x| (length..=2 * length).contains(&x.len()));
            fits.map(|i| pool.swap_remove(i))
        });
        Buffer {
            words: words.unwrap_or_else(|| vec![0; length]),
            length,
        }
    }

    /// Only the first ones.
    pub fn truncate(&mut self, length: usize) {
        self[length..].fill(0);
        self.length = length;
    }
}

impl Deref for Buffer {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        &self.words[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.words[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.fill(0);
        let words = std::mem::take(&mut self.words);
        // A thread that ends has no pool any more. Whoever reads the zeros next keeps the compiler from skipping them;
        // the hint does where the memory is freed instead.
        let words = std::hint::black_box(words);
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            let kept: usize = pool.iter().map(Vec::len).sum();
            if kept + words.len() <= KEPT {
                pool.push(words);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_again_is_zero() {
        for length in [0, 5, 100, 120, 60, KEPT + 1, 100] {
            let mut buffer = Buffer::zeros(length);
            assert!(buffer.len() == length && buffer.iter().all(|&x| x == 0));
            buffer.fill(u64::MAX);
            buffer.truncate(length / 2);
            assert!(buffer.len() == length / 2);
        }
        let kept = POOL.with_borrow(|pool| pool.iter().map(Vec::len).sum::<usize>());
        assert!(kept <= KEPT);
    }
}
