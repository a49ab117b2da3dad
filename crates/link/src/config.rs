//! Limits and intervals. The defaults are those of the design; tests shorten them.

use std::time::Duration;

/// Largest payload of one frame: what a control message waits behind at most, per session that is also sending.
pub const FRAGMENT: usize = 256 * 1024;

#[derive(Clone, Debug)]
pub struct Config {
    /// A ping is sent this often, and a connection silent for three of them is given up.
    pub keepalive: Duration,
    /// A peer that has not resumed this long after its connection went down is lost.
    pub resume: Duration,
    /// TLS and hello must be finished this soon after a connection was accepted or made.
    pub handshake: Duration,
    /// Connections accepted but not yet authenticated; the oldest is dropped for a newer one.
    pub max_pending: usize,
    /// Bytes kept for a peer until it acknowledges them; above, `send` blocks.
    pub unacknowledged: usize,
    /// Bytes of one session that a peer may send before they are taken here; above, its `send` blocks.
    pub window: u64,
    /// Largest message accepted.
    pub max_message: u64,
    /// Bytes of a peer that wait here in all sessions together; above, it is cut off and lost. One message may exceed it.
    pub unread_bytes: u64,
    /// Bytes a peer may have waiting in sessions that nobody has opened here.
    pub unopened_bytes: u64,
    /// Sessions that a peer may start and nobody has opened here.
    pub unopened_sessions: u64,
    /// Messages of a session that nobody opens are dropped after this time.
    pub unopened_age: Duration,
    /// Records under one key before the connection is replaced by a fresh one (AES-GCM: below 2^24.5 full records).
    pub rekey_records: u64,
    /// How long `close` waits for peers to acknowledge what was sent.
    pub linger: Duration,
}

impl Config {
    /// What a limit has to be at least for the protocol to work at all.
    pub fn check(&self) -> Result<(), String> {
        let shortest = Duration::from_millis(10);
        if self.keepalive < shortest || self.resume < shortest || self.handshake < shortest {
            return Err("times of at least 10 ms were wanted".into());
        }
        if self.unacknowledged < 1 << 20 || self.window < 1 << 20 {
            return Err("at least 1 MiB was wanted for what is unacknowledged and for the window of a session".into());
        }
        if self.rekey_records < 16 || self.max_pending == 0 || self.unopened_sessions == 0 {
            return Err("a limit that leaves room for something was wanted".into());
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            keepalive: Duration::from_secs(1),
            resume: Duration::from_secs(8),
            handshake: Duration::from_secs(5),
            max_pending: 64,
            unacknowledged: 64 << 20,
            window: 8 << 20,
            max_message: 4 << 30,
            unread_bytes: 4 << 30,
            unopened_bytes: 256 << 20,
            unopened_sessions: 65_536,
            unopened_age: Duration::from_secs(600),
            rekey_records: 1 << 23,
            linger: Duration::from_secs(2),
        }
    }
}
