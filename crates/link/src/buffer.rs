//! Byte buffers that go back to a pool: above 1 MB the page faults of fresh memory cost more than the copy into it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use crate::sync::Hold;

const POOLED_FROM: usize = 64 * 1024;
const MAX_IDLE: usize = 4 << 20;
const MAX_ENTRIES: usize = 512;

/// Idle buffers of at least 64 KiB, at most 8 MiB of them; `trim` gives them back when nobody asked for a while.
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
        if size < POOLED_FROM {
            let mut memory = Vec::new();
            memory.try_reserve_exact(size).ok()?;
            return Some(Buffer::small(memory));
        }
        let memory = match self.reuse(size) {
            Some(memory) => memory,
            None => zeros(size)?,
        };
        Some(Buffer {
            memory,
            length: 0,
            pool: Some(self.clone()),
        })
    }

    fn reuse(&self, size: usize) -> Option<Vec<u8>> {
        let mut idle = self.idle.hold();
        idle.used = true;
        // From the end: the buffer given back last is the warmest.
        let fits = |memory: &Vec<u8>| memory.len() >= size && memory.len() / 2 <= size;
        let index = idle.buffers.iter().rposition(fits)?;
        let memory = idle.buffers.swap_remove(index);
        idle.bytes -= memory.len();
        Some(memory)
    }

    /// Free everything idle unless the pool was used since the last call.
    pub fn trim(&self) {
        let mut idle = self.idle.hold();
        if !std::mem::take(&mut idle.used) {
            idle.buffers = Vec::new();
            idle.bytes = 0;
        }
    }

    fn put(&self, memory: Vec<u8>) {
        let mut idle = self.idle.hold();
        if idle.bytes + memory.len() <= MAX_IDLE && idle.buffers.len() < MAX_ENTRIES {
            idle.bytes += memory.len();
            idle.buffers.push(memory);
        }
    }
}

/// Zeros that cost nothing until they are touched. Asked for in vain first, so that a refusal is not an abort.
fn zeros(size: usize) -> Option<Vec<u8>> {
    Vec::<u8>::new().try_reserve_exact(size).ok()?;
    Some(vec![0; size])
}

/// Bytes that return to their pool when dropped. Behind those that count, `memory` holds whatever it was used for before, so
/// that it can be written without being cleared first.
#[derive(Default)]
pub struct Buffer {
    memory: Vec<u8>,
    length: usize,
    pool: Option<Arc<Pool>>,
}

impl Buffer {
    pub fn small(memory: Vec<u8>) -> Buffer {
        Buffer {
            length: memory.len(),
            memory,
            pool: None,
        }
    }

    pub fn push(&mut self, data: &[u8]) {
        let end = self.length + data.len();
        match self.memory.get_mut(self.length..end) {
            Some(place) => place.copy_from_slice(data),
            None => {
                self.memory.truncate(self.length);
                self.memory.extend_from_slice(data);
            }
        }
        self.length = end;
    }

    /// The `size` bytes behind those that count, to be written and then counted with `advance`. `None`: no memory.
    pub fn spare(&mut self, size: usize) -> Option<&mut [u8]> {
        let end = self.length.checked_add(size)?;
        if self.memory.len() < end {
            self.memory.try_reserve(end - self.memory.len()).ok()?;
            self.memory.resize(end, 0);
        }
        self.memory.get_mut(self.length..end)
    }

    /// Count `size` more bytes, which `spare` gave out.
    pub fn advance(&mut self, size: usize) {
        self.length = (self.length + size).min(self.memory.len());
    }

    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.put(std::mem::take(&mut self.memory));
        }
    }
}
