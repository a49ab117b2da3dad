//! What happened to the peers, for whoever watches.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::sync::{wait, Hold};

const MAX_EVENTS: usize = 1024;
/// Anybody who reaches the port can cause these, so they may not push the others out.
const MAX_REJECTED: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `up`, `down`, `resumed`, `lost` or `rejected`.
    pub kind: &'static str,
    /// The peer's name; empty when nobody knows who it was.
    pub peer: String,
    pub detail: String,
}

#[derive(Default)]
pub struct Events {
    queue: Mutex<(VecDeque<Event>, usize)>,
    ready: Condvar,
    closed: AtomicBool,
}

impl Events {
    pub fn push(&self, kind: &'static str, peer: &str, detail: String) {
        let mut guard = self.queue.hold();
        let (queue, rejected) = &mut *guard;
        if kind == "rejected" {
            if *rejected >= MAX_REJECTED {
                return;
            }
            *rejected += 1;
        }
        if queue.len() >= MAX_EVENTS {
            // A peer that comes and goes pushes out its own events, not those of others.
            let own = queue.iter().position(|event| event.peer == peer);
            queue.remove(own.unwrap_or(0));
        }
        queue.push_back(Event {
            kind,
            peer: peer.to_owned(),
            detail,
        });
        self.ready.notify_all();
    }

    /// Nobody waits any more.
    pub fn close(&self) {
        let guard = self.queue.hold();
        self.closed.store(true, Relaxed);
        self.ready.notify_all();
        drop(guard);
    }

    /// All events so far; waits up to `time` for the first.
    pub fn take(&self, time: Duration) -> Vec<Event> {
        let end = Instant::now() + time;
        let mut guard = self.queue.hold();
        while guard.0.is_empty() && !self.closed.load(Relaxed) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            guard = wait(&self.ready, guard, left);
        }
        guard.1 = 0;
        guard.0.drain(..).collect()
    }
}
