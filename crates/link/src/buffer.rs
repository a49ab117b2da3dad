//! Byte buffers that go back to a pool: above 1 MB the page faults of fresh memory cost more than the copy into it.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use crate::sync::Hold;

const POOLED_FROM: usize = 64 * 1024;
const MAX_IDLE: usize = 160 << 20;
const MAX_ENTRIES: usize = 512;

/// Idle buffers of at least 64 KiB, at most 160 MiB of them; `trim` gives them back when nobody asked for a while.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    used: bool,
}

impl Pool {
    /// An empty buffer with room for `size` bytes; `None` when the allocator refuses.
    pub fn get(self: &Arc<Self>, size: usize) -> Option<Buffer> {
        let pooled = size >= POOLED_FROM;
        let mut bytes = Vec::new();
        if pooled {
            let mut idle = self.idle.hold();
            idle.used = true;
            // From the end: the buffer given back last is the warmest.
            let found = idle
                .buffers
                .iter()
                .rposition(|b| b.capacity() >= size && b.capacity() / 2 <= size);
            if let Some(index) = found {
                bytes = idle.buffers.swap_remove(index);
                idle.bytes -= bytes.capacity();
            }
        }
        bytes.try_reserve_exact(size).ok()?;
        Some(Buffer {
            bytes,
            pool: pooled.then(|| self.clone()),
        })
    }

    /// Free everything idle unless the pool was used since the last call.
    pub fn trim(&self) {
        let mut idle = self.idle.hold();
        if !std::mem::take(&mut idle.used) {
            idle.buffers = Vec::new();
            idle.bytes = 0;
        }
    }

    fn put(&self, mut bytes: Vec<u8>) {
        let mut idle = self.idle.hold();
        if idle.bytes + bytes.capacity() <= MAX_IDLE && idle.buffers.len() < MAX_ENTRIES {
            bytes.clear();
            idle.bytes += bytes.capacity();
            idle.buffers.push(bytes);
        }
    }
}

/// Bytes that return to their pool when dropped.
pub struct Buffer {
    pub bytes: Vec<u8>,
    pool: Option<Arc<Pool>>,
}

impl Buffer {
    pub fn small(bytes: Vec<u8>) -> Buffer {
        Buffer { bytes, pool: None }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.put(std::mem::take(&mut self.bytes));
        }
    }
}
