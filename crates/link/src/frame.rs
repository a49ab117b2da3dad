//! What travels inside the records. Integers are little endian; a frame is `kind u8, length u32, body`.
//!
//! | kind | body |
//! | --- | --- |
//! | hello | see [`Hello`]; the first frame in each direction, once |
//! | ack | u64: every numbered frame up to this one has arrived |
//! | ping, pong | u64 |
//! | bye | u8: the sender closes for good |
//! | message | number u64, session 16 B, payload |
//! | first | number u64, session 16 B, id u32, total u64, payload: a message in several frames |
//! | next | number u64, id u32, payload |
//! | credit | number u64, session 16 B, u64: so many more bytes of the session were taken |
//! | cancel | number u64, id u32: the rest of this message will not come |
//!
//! The last five are numbered from 1 in each direction, kept until acknowledged and repeated after a cut.

use crate::config::FRAGMENT;

pub const HELLO: u8 = 1;
pub const ACK: u8 = 2;
pub const PING: u8 = 3;
pub const PONG: u8 = 4;
pub const BYE: u8 = 5;
pub const MESSAGE: u8 = 16;
pub const FIRST: u8 = 17;
pub const NEXT: u8 = 18;
pub const CREDIT: u8 = 19;
pub const CANCEL: u8 = 20;

/// What a message counts for besides its bytes, so that empty ones are not free to whoever sends a million.
const OVERHEAD: u64 = 128;

/// What a message of `length` bytes takes of a session's window.
pub fn cost(length: usize) -> u64 {
    length as u64 + OVERHEAD
}

pub const HEAD: usize = 5;
/// Fixed part of the longest kind (first): number, session, id, total.
pub const MAX_FIXED: usize = 8 + 16 + 4 + 8;
pub const MAX_BODY: usize = FRAGMENT + MAX_FIXED;
pub const MAX_HELLO: usize = 1024;
const VERSION: u16 = 1;

/// Bytes of `kind` before its payload, and whether it has one.
pub fn fixed(kind: u8) -> Option<(usize, bool)> {
    match kind {
        ACK | PING | PONG => Some((8, false)),
        BYE => Some((1, false)),
        MESSAGE => Some((24, true)),
        FIRST => Some((MAX_FIXED, true)),
        NEXT => Some((12, true)),
        CREDIT => Some((32, false)),
        CANCEL => Some((12, false)),
        _ => None,
    }
}

pub fn head(kind: u8, length: usize) -> [u8; HEAD] {
    let n = (length as u32).to_le_bytes();
    [kind, n[0], n[1], n[2], n[3]]
}

/// Check a frame's head against the limits before anything is allocated for it.
pub fn check_head(head: &[u8; HEAD]) -> Result<(u8, usize), String> {
    let kind = head[0];
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let (fixed, payload) = fixed(kind).ok_or_else(|| format!("a frame of unknown kind {kind}"))?;
    if length > MAX_BODY {
        return Err(format!("a frame of {length} bytes (at most {MAX_BODY})"));
    }
    if length < fixed || (!payload && length != fixed) {
        return Err(format!(
            "a frame of kind {kind} with {length} bytes (wanted {fixed})"
        ));
    }
    Ok((kind, length))
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// The first frame each way. `life` names the sender's side of this pair and is new (16 random bytes) whenever it starts
/// from nothing: after a restart, or after it gave the other up. Two sides continue only where both name each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub life: [u8; 16],
    /// The life of the other side as last seen; zeros when it was never seen.
    pub knows: [u8; 16],
    /// The last numbered frame that arrived from that life.
    pub received: u64,
    pub window: u64,
    pub max_message: u64,
    pub from: String,
    pub to: String,
}

impl Hello {
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        body.extend_from_slice(&VERSION.to_le_bytes());
        body.extend_from_slice(&self.life);
        body.extend_from_slice(&self.knows);
        for word in [self.received, self.window, self.max_message] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        for name in [&self.from, &self.to] {
            body.extend_from_slice(&(name.len() as u16).to_le_bytes());
            body.extend_from_slice(name.as_bytes());
        }
        let mut out = head(HELLO, body.len()).to_vec();
        out.append(&mut body);
        out
    }

    /// Length of the hello's body from its head.
    pub fn length(head: &[u8; HEAD]) -> Result<usize, String> {
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        match (head[0], length) {
            (HELLO, n) if n <= MAX_HELLO => Ok(n),
            (HELLO, n) => Err(format!("a hello of {n} bytes (at most {MAX_HELLO})")),
            (kind, _) => Err(format!("a frame of kind {kind} before the hello")),
        }
    }

    pub fn decode(body: &[u8]) -> Result<Hello, String> {
        let mut rest = body;
        let version = take(&mut rest, 2)?;
        if version != VERSION.to_le_bytes() {
            return Err(format!(
                "link version {} (this is {VERSION})",
                u16::from_le_bytes([version[0], version[1]])
            ));
        }
        let mut lives = [[0u8; 16]; 2];
        for life in &mut lives {
            life.copy_from_slice(take(&mut rest, 16)?);
        }
        let words = take(&mut rest, 24)?;
        let mut names = Vec::with_capacity(2);
        for _ in 0..2 {
            let length = take(&mut rest, 2)?;
            let name = take(
                &mut rest,
                usize::from(u16::from_le_bytes([length[0], length[1]])),
            )?;
            names.push(String::from_utf8(name.to_vec()).map_err(|_| "a name that is not UTF-8")?);
        }
        let (Some(to), Some(from)) = (names.pop(), names.pop()) else {
            return Err("a hello without names".into());
        };
        if !rest.is_empty() || lives[0] == [0; 16] {
            return Err("a hello that is not well formed".into());
        }
        Ok(Hello {
            life: lives[0],
            knows: lives[1],
            received: u64_at(words, 0),
            window: u64_at(words, 8),
            max_message: u64_at(words, 16),
            from,
            to,
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Result<&'a [u8], String> {
    if rest.len() < n {
        return Err("a hello that ends too soon".into());
    }
    let (taken, left) = rest.split_at(n);
    *rest = left;
    Ok(taken)
}
