//! The sending half of a pair: numbering, retention until acknowledged, fair order, back-pressure, and the write itself.
//!
//! Whoever has something to send puts it into [`Out`] and then tries to become the writer by taking the lock of the
//! connection's [`Tx`]. If somebody else is writing, that one will find the new frames, so small messages coalesce
//! exactly when the writer is busy. Callers write without blocking; what the socket does not take, and messages of many
//! frames, are left to the peer's writer thread.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use rustix::net::{send, SendFlags};

use crate::buffer::{Buffer, Pool};
use crate::config::FRAGMENT;
use crate::frame::{self, head, Hello};
use crate::inbox::SessionId;
use crate::reader::{Reader, Rx, Turn, BULK};
use crate::record::Sealer;
use crate::sync::{wait, Hold};
use crate::tls::Fingerprint;

/// Plaintext sealed at once: fills the socket's buffer without making the others wait.
const BATCH: usize = 256 * 1024;
/// Batches that a caller writes itself before it leaves the rest to the writer thread.
const CALLER_BATCHES: usize = 2;
/// Small messages may exceed the limit of unacknowledged bytes by this much, so that control passes bulk.
const SLACK: usize = 8 << 20;
const SMALL: usize = 64 * 1024;
/// What may be sent in one session to a peer whose hello, with its own window, has not come yet.
const FIRST_WINDOW: u64 = 1 << 20;
/// Credits wait, merged by session, while this many frames are unacknowledged.
const MAX_KEPT_WITH_CREDITS: usize = 8192;

static LIVES: AtomicU64 = AtomicU64::new(1);

pub struct Frame {
    kind: u8,
    /// Everything after the number.
    body: Buffer,
}

/// One connection after TLS and hello.
pub struct Conn {
    pub stream: TcpStream,
    pub id: u64,
    pub tx: Mutex<Tx>,
    pub dialed: bool,
    /// Milliseconds of the link's clock when something last arrived, and when the last ping left.
    pub heard: AtomicU64,
    pub pinged: AtomicU64,
    pub opened_records: AtomicU64,
    /// Records that had been opened when the hello was here.
    pub hello_records: u64,
    /// Why it was cut here.
    pub reason: Mutex<Option<String>>,
    /// Here while the connection's thread waits: whoever holds it reads.
    pub reader: Mutex<Option<Reader>>,
    pub turn: Turn,
}

impl Conn {
    pub fn cut_because(&self, reason: String) {
        self.reason.hold().get_or_insert(reason);
        self.cut();
    }

    /// Whether anything has come after the hello: only then is the peer back.
    fn has_spoken(&self) -> bool {
        self.opened_records.load(Relaxed) > self.hello_records
    }

    /// Read what has come, if nobody else does; how many bytes.
    pub fn read_now(&self) -> usize {
        match self.reader.try_lock() {
            Ok(mut reader) => reader.as_mut().map_or(0, |reader| {
                self.turn.touch();
                reader.read_now(self, BULK)
            }),
            Err(_) => 0,
        }
    }

    pub fn cut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both); // already closed is as good
        self.turn.end();
    }
}

pub struct Tx {
    sealer: Sealer,
    /// Sealed and not yet taken by the socket, from `written` on.
    sealed: Buffer,
    written: usize,
}

impl Tx {
    pub fn new(sealer: Sealer) -> Tx {
        Tx {
            sealer,
            sealed: Buffer::default(),
            written: 0,
        }
    }

    pub fn records(&self) -> u64 {
        self.sealer.records()
    }
}

pub enum Status {
    /// Never connected.
    Pending,
    Up(Arc<Conn>),
    Down(Instant),
    /// Why, and the life that ended.
    Lost(String, u64),
}

/// What waits for this peer. Nothing else is locked while this is.
pub struct Out {
    pub status: Status,
    /// Since when nothing came, at the end of the last connection.
    down: Option<Instant>,
    /// This incarnation of the pair: unique here, and as random bytes for the other side.
    pub life: u64,
    pub my_life: [u8; 16],
    pub their_life: [u8; 16],
    window: u64,
    max_message: u64,
    turns: VecDeque<SessionId>,
    waiting: HashMap<SessionId, VecDeque<Frame>>,
    /// Bytes taken here and not yet told. One entry a session, so a peer that does not read cannot make it grow.
    credits: HashMap<SessionId, u64>,
    /// Numbered, in order; the first has number `first`. Those before `cursor` are written on this connection.
    kept: VecDeque<Arc<Frame>>,
    first: u64,
    cursor: usize,
    /// Bytes in `waiting` and `kept`.
    held: usize,
    /// Sent in each session and not yet credited.
    outstanding: HashMap<SessionId, u64>,
    next_id: u32,
    pub received: u64,
    pub ack_sent: u64,
    ack_due: bool,
    ping_due: Option<u64>,
    pong_due: Option<u64>,
    bye_due: bool,
    writer_wanted: bool,
    pub removed: bool,
}

impl Out {
    fn new(max_message: u64) -> Out {
        Out {
            status: Status::Pending,
            down: None,
            life: LIVES.fetch_add(1, Relaxed),
            my_life: random(),
            their_life: [0; 16],
            window: FIRST_WINDOW,
            max_message,
            turns: VecDeque::new(),
            waiting: HashMap::new(),
            credits: HashMap::new(),
            kept: VecDeque::new(),
            first: 1,
            cursor: 0,
            held: 0,
            outstanding: HashMap::new(),
            next_id: 0,
            received: 0,
            ack_sent: 0,
            ack_due: false,
            ping_due: None,
            pong_due: None,
            bye_due: false,
            writer_wanted: false,
            removed: false,
        }
    }

    fn push(&mut self, session: SessionId, frame: Frame) {
        self.held += frame.body.len();
        let turns = &mut self.turns;
        let queue = self.waiting.entry(session).or_insert_with(|| {
            turns.push_back(session);
            VecDeque::new()
        });
        queue.push_back(frame);
    }

    fn has_room(&self, session: &SessionId) -> bool {
        self.outstanding
            .get(session)
            .is_none_or(|&sent| sent < self.window)
    }

    /// The next new frame: credits first, then one of each session in turn.
    fn next_new(&mut self) -> Option<Frame> {
        if self.kept.len() < MAX_KEPT_WITH_CREDITS {
            if let Some(session) = self.credits.keys().next().copied() {
                let bytes = self.credits.remove(&session).unwrap_or_default();
                let mut body = Vec::with_capacity(24);
                body.extend_from_slice(&session);
                body.extend_from_slice(&bytes.to_le_bytes());
                self.held += body.len();
                return Some(Frame {
                    kind: frame::CREDIT,
                    body: Buffer::small(body),
                });
            }
        }
        let session = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&session)?;
        let frame = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&session);
        } else {
            self.turns.push_back(session);
        }
        frame
    }

    fn has_work(&self) -> bool {
        self.has_frames()
            || self.ack_due
            || self.bye_due
            || self.ping_due.is_some()
            || self.pong_due.is_some()
    }

    fn is_up_on(&self, conn: &Conn) -> bool {
        matches!(&self.status, Status::Up(current) if current.id == conn.id)
    }

    /// Control frames that are due, encoded, and up to a batch of numbered frames with the number of the first.
    fn pick(&mut self, control: &mut Vec<u8>, frames: &mut Vec<Arc<Frame>>) -> u64 {
        if self.ack_due || self.received > self.ack_sent {
            self.ack_due = false;
            self.ack_sent = self.received;
            push_word(control, frame::ACK, self.received);
        }
        if let Some(token) = self.pong_due.take() {
            push_word(control, frame::PONG, token);
        }
        if let Some(token) = self.ping_due.take() {
            push_word(control, frame::PING, token);
        }
        let number = self.first + self.cursor as u64;
        let mut bytes = 0;
        while bytes < BATCH {
            if self.cursor == self.kept.len() {
                let Some(frame) = self.next_new() else { break };
                self.kept.push_back(Arc::new(frame));
            }
            let frame = self.kept[self.cursor].clone();
            self.cursor += 1;
            bytes += frame.body.len();
            frames.push(frame);
        }
        if self.bye_due && frames.is_empty() {
            self.bye_due = false;
            control.extend_from_slice(&head(frame::BYE, 1));
            control.push(0);
        }
        number
    }

    fn has_frames(&self) -> bool {
        self.cursor < self.kept.len()
            || !self.turns.is_empty()
            || (!self.credits.is_empty() && self.kept.len() < MAX_KEPT_WITH_CREDITS)
    }

    /// Forget frames up to `number`; they are returned so that they are freed outside the lock.
    fn acknowledge(&mut self, number: u64) -> Result<Vec<Arc<Frame>>, String> {
        let last_sent = self.first + self.cursor as u64 - 1;
        if number > last_sent {
            return Err(format!(
                "an acknowledgement of frame {number}; the last one sent was {last_sent}"
            ));
        }
        let count = (number + 1).saturating_sub(self.first) as usize;
        let gone: Vec<_> = self.kept.drain(..count).collect();
        self.first += count as u64;
        self.cursor -= count;
        self.held -= gone.iter().map(|frame| frame.body.len()).sum::<usize>();
        Ok(gone)
    }
}

fn push_word(out: &mut Vec<u8>, kind: u8, word: u64) {
    out.extend_from_slice(&head(kind, 8));
    out.extend_from_slice(&word.to_le_bytes());
}

/// 16 bytes from the operating system; without them nothing here is safe, so there is nothing to go on with.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gave no random bytes");
    bytes
}

#[derive(Default)]
pub struct Stats {
    pub sent_bytes: AtomicU64,
    pub received_bytes: AtomicU64,
    pub sent_messages: AtomicU64,
    pub received_messages: AtomicU64,
    pub wire_sent_bytes: AtomicU64,
    pub wire_received_bytes: AtomicU64,
    pub packets: AtomicU64,
    pub reconnects: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsSnapshot {
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub sent_messages: u64,
    pub received_messages: u64,
    pub wire_sent_bytes: u64,
    pub wire_received_bytes: u64,
    pub packets: u64,
    pub reconnects: u64,
}

impl Stats {
    pub fn snapshot(&self) -> StatsSnapshot {
        StatsSnapshot {
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            sent_messages: self.sent_messages.load(Relaxed),
            received_messages: self.received_messages.load(Relaxed),
            wire_sent_bytes: self.wire_sent_bytes.load(Relaxed),
            wire_received_bytes: self.wire_received_bytes.load(Relaxed),
            packets: self.packets.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
        }
    }
}

/// A count with a limit.
#[derive(Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Count `amount` more; false, and nothing is counted, where the limit is reached already.
    pub fn enter(&self, amount: u64, limit: u64) -> bool {
        let more = |now: u64| (now < limit).then(|| now.saturating_add(amount));
        self.0.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    pub fn leave(&self, amount: u64) {
        let _ = self
            .0
            .fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(amount)));
    }
}

/// What a peer has waiting here: in all sessions, and in those that nobody has opened.
#[derive(Default)]
pub struct Backlog {
    pub unread: Gauge,
    pub unopened: Gauge,
    pub sessions: Gauge,
}

/// Why `send` did not.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Lost(String),
    TooLong(u64),
    Timeout,
}

/// Where a blocked `send` asks, some times a second, whether to go on; the argument says whether it has begun to send.
pub type Check<'a> = &'a mut dyn FnMut(bool) -> bool;

/// A message on its way into the queue.
struct Outgoing {
    life: u64,
    session: SessionId,
    id: u32,
    total: usize,
}

impl Outgoing {
    /// What stands between a fragment's number and its payload.
    fn start(&self, begun: bool, body: &mut Buffer) {
        if begun {
            return body.push(&self.id.to_le_bytes());
        }
        body.push(&self.session);
        body.push(&self.id.to_le_bytes());
        body.push(&(self.total as u64).to_le_bytes());
    }
}

pub struct Peer {
    pub name: String,
    pub fingerprint: Fingerprint,
    pub address: Mutex<Option<String>>,
    pub backlog: Backlog,
    pub stats: Stats,
    /// Microseconds of the last ping that came back; 0: none yet.
    pub rtt: AtomicU64,
    pub out: Mutex<Out>,
    room: Condvar,
    work: Condvar,
    /// Until when it is not heard, for having broken the protocol.
    pub quarantine: Mutex<Option<Instant>>,
    /// Where the dialer waits.
    pub dial: Condvar,
    /// What outlives a connection. Held by the thread that reads from this peer, so a new connection waits for the end of the
    /// old one.
    pub rx: Mutex<Rx>,
    /// The newest connection that got through TLS, with or without hello.
    pub newest: Mutex<(u64, Option<TcpStream>)>,
    unacknowledged: usize,
    max_message: u64,
    pool: Arc<Pool>,
}

impl Peer {
    pub fn new(
        name: &str,
        fingerprint: Fingerprint,
        address: Option<String>,
        config: &crate::config::Config,
        pool: Arc<Pool>,
    ) -> Peer {
        let out = Out::new(config.max_message);
        let rx = Rx::new(out.life);
        Peer {
            name: name.to_owned(),
            fingerprint,
            address: Mutex::new(address),
            backlog: Backlog::default(),
            stats: Stats::default(),
            rtt: AtomicU64::new(0),
            out: Mutex::new(out),
            room: Condvar::new(),
            work: Condvar::new(),
            quarantine: Mutex::new(None),
            dial: Condvar::new(),
            rx: Mutex::new(rx),
            newest: Mutex::new((0, None)),
            unacknowledged: config.unacknowledged,
            max_message: config.max_message,
            pool,
        }
    }

    /// Queue one message of all `parts` and write what can be written. `check` is asked while it blocks.
    pub fn send(
        &self,
        session: SessionId,
        parts: &[&[u8]],
        check: Check<'_>,
    ) -> Result<(), Refused> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let cost = frame::cost(total);
        let out = self.out.hold();
        let life = out.life;
        let room = |out: &Out| out.life != life || out.has_room(&session);
        let mut out = self.wait_for(out, check, false, room)?;
        if total as u64 > out.max_message {
            return Err(Refused::TooLong(out.max_message));
        }
        let life = out.life;
        *out.outstanding.entry(session).or_default() += cost;
        out.next_id = out.next_id.wrapping_add(1);
        let message = Outgoing {
            life,
            session,
            id: out.next_id,
            total,
        };
        drop(out);
        let sent = if total <= FRAGMENT {
            self.send_one(&message, parts, check)
        } else {
            self.send_many(&message, parts, check)
        };
        if sent.is_ok() {
            self.stats.sent_messages.fetch_add(1, Relaxed);
            self.stats.sent_bytes.fetch_add(total as u64, Relaxed);
        }
        sent
    }

    pub fn has_room(&self, session: &SessionId) -> bool {
        let out = self.out.hold();
        matches!(out.status, Status::Lost(..)) || out.has_room(session)
    }

    fn send_one(
        &self,
        message: &Outgoing,
        parts: &[&[u8]],
        check: Check<'_>,
    ) -> Result<(), Refused> {
        let mut body = self.buffer(16 + message.total);
        body.push(&message.session);
        parts.iter().for_each(|part| body.push(part));
        let queued = self.enqueue(
            message,
            Frame {
                kind: frame::MESSAGE,
                body,
            },
            check,
            false,
        );
        if queued.is_err() {
            self.withdraw(message, false);
        }
        queued?;
        self.flush();
        Ok(())
    }

    fn send_many(
        &self,
        message: &Outgoing,
        parts: &[&[u8]],
        check: Check<'_>,
    ) -> Result<(), Refused> {
        let mut parts = parts.iter().copied();
        let mut part: &[u8] = &[];
        let mut left = message.total;
        while left > 0 {
            let size = left.min(FRAGMENT);
            let begun = left < message.total;
            let mut body = self.buffer(frame::MAX_FIXED + size);
            message.start(begun, &mut body);
            let mut room = size;
            while room > 0 {
                if part.is_empty() {
                    let Some(next) = parts.next() else { break };
                    part = next;
                }
                let (now, later) = part.split_at(room.min(part.len()));
                body.push(now);
                part = later;
                room -= now.len();
            }
            left -= size;
            let kind = if begun { frame::NEXT } else { frame::FIRST };
            if let Err(refused) = self.enqueue(message, Frame { kind, body }, check, begun) {
                self.withdraw(message, begun);
                return Err(refused);
            }
            self.wake_writer();
        }
        Ok(())
    }

    /// Take back what was announced: nothing was sent, or the peer is told that the rest will not come.
    fn withdraw(&self, message: &Outgoing, begun: bool) {
        if !begun {
            return self.credited(message.life, &message.session, frame::cost(message.total));
        }
        let mut out = self.out.hold();
        if out.life == message.life {
            let body = Buffer::small(message.id.to_le_bytes().to_vec());
            out.push(
                message.session,
                Frame {
                    kind: frame::CANCEL,
                    body,
                },
            );
        }
        drop(out);
        self.flush();
    }

    fn enqueue(
        &self,
        message: &Outgoing,
        frame: Frame,
        check: Check<'_>,
        begun: bool,
    ) -> Result<(), Refused> {
        let size = frame.body.len();
        let limit = if size <= SMALL {
            self.unacknowledged + SLACK
        } else {
            self.unacknowledged
        };
        let life = message.life;
        let out = self.out.hold();
        let room = |out: &Out| out.life != life || out.held == 0 || out.held + size <= limit;
        let mut out = self.wait_for(out, check, begun, room)?;
        if out.life != life {
            return Err(Refused::Lost("it started anew".into()));
        }
        out.push(message.session, frame);
        Ok(())
    }

    fn wait_for<'a>(
        &'a self,
        mut out: MutexGuard<'a, Out>,
        check: Check<'_>,
        begun: bool,
        ready: impl Fn(&Out) -> bool,
    ) -> Result<MutexGuard<'a, Out>, Refused> {
        loop {
            if let Status::Lost(reason, _) = &out.status {
                return Err(Refused::Lost(reason.clone()));
            }
            if ready(&out) {
                return Ok(out);
            }
            drop(out);
            if !check(begun) {
                return Err(Refused::Timeout);
            }
            out = self.out.hold();
            if !ready(&out) && !matches!(out.status, Status::Lost(..)) {
                out = wait(&self.room, out, Duration::from_millis(50));
            }
        }
    }

    fn buffer(&self, size: usize) -> Buffer {
        // The size is that of a frame: an allocator that refuses it has nothing left for anybody.
        self.pool
            .get(size)
            .unwrap_or_else(|| Buffer::small(Vec::with_capacity(size)))
    }

    /// Tell the peer that `bytes` of `session` were taken.
    pub fn credit(&self, life: u64, session: SessionId, bytes: u64) {
        {
            let mut out = self.out.hold();
            if out.life != life || matches!(out.status, Status::Lost(..)) {
                return;
            }
            *out.credits.entry(session).or_default() += bytes;
        }
        self.flush();
    }

    /// The peer took `bytes` of `session`.
    pub fn credited(&self, life: u64, session: &SessionId, bytes: u64) {
        let mut out = self.out.hold();
        if out.life != life {
            return;
        }
        if let Some(left) = out.outstanding.get_mut(session) {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                out.outstanding.remove(session);
            }
        }
        drop(out);
        self.room.notify_all();
    }

    pub fn acknowledged(&self, number: u64) -> Result<(), String> {
        let gone = self.out.hold().acknowledge(number)?;
        if !gone.is_empty() {
            self.room.notify_all();
        }
        Ok(())
    }

    pub fn pong(&self, token: u64) {
        self.out.hold().pong_due = Some(token);
    }

    pub fn ping(&self, token: u64) {
        self.out.hold().ping_due = Some(token);
        self.flush();
    }

    /// Everything up to `number` has arrived; tell the peer with the next packet, or `now`.
    pub fn arrived(&self, life: u64, number: u64, now: bool) {
        let mut out = self.out.hold();
        if out.life == life {
            out.received = number;
            out.ack_due |= now;
        }
    }

    /// Acknowledge what has arrived, if anything has.
    pub fn acknowledge_now(&self) {
        let mut out = self.out.hold();
        out.ack_due |= out.received > out.ack_sent;
        let due = out.ack_due;
        drop(out);
        if due {
            self.flush();
        }
    }

    pub fn bye(&self) {
        self.out.hold().bye_due = true;
        self.flush();
    }

    /// True when everything was written and acknowledged, or there is nobody to wait for.
    pub fn is_idle(&self) -> bool {
        let out = self.out.hold();
        matches!(out.status, Status::Lost(..)) || (out.kept.is_empty() && !out.has_frames())
    }

    /// True when nothing waits to be written.
    pub fn is_written(&self) -> bool {
        let out = self.out.hold();
        let Status::Up(conn) = &out.status else {
            return true;
        };
        let written = matches!(conn.tx.try_lock(), Ok(tx) if tx.written == tx.sealed.len());
        written && !out.has_work()
    }

    pub fn conn(&self) -> Option<Arc<Conn>> {
        match &self.out.hold().status {
            Status::Up(conn) => Some(conn.clone()),
            _ => None,
        }
    }

    /// Write what waits, without blocking; the writer thread does what the socket does not take.
    pub fn flush(&self) {
        let Some(conn) = self.conn() else { return };
        for _ in 0..CALLER_BATCHES {
            match self.write_some(&conn, false) {
                Progress::More => continue,
                Progress::Done | Progress::Busy => return,
                Progress::Full => return self.wake_writer(),
                Progress::Broken => return conn.cut(),
            }
        }
        self.wake_writer();
    }

    fn wake_writer(&self) {
        self.out.hold().writer_wanted = true;
        self.work.notify_one();
    }

    /// The body of the writer thread.
    pub fn write_forever(&self, closing: &dyn Fn() -> bool) {
        loop {
            let mut out = self.out.hold();
            while !out.writer_wanted && !out.removed && !closing() {
                out = wait(&self.work, out, Duration::from_secs(1));
            }
            if out.removed || closing() {
                return;
            }
            out.writer_wanted = false;
            drop(out);
            let Some(conn) = self.conn() else { continue };
            loop {
                match self.write_some(&conn, true) {
                    Progress::More => continue,
                    Progress::Broken => break conn.cut(),
                    _ => break,
                }
            }
        }
    }

    pub fn wake_all(&self) {
        self.room.notify_all();
        self.work.notify_all();
        self.dial.notify_all();
    }

    fn write_some(&self, conn: &Conn, block: bool) -> Progress {
        let mut tx = match conn.tx.try_lock() {
            Ok(tx) => tx,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if block => conn.tx.hold(),
            Err(TryLockError::WouldBlock) => return Progress::Busy,
        };
        if tx.written == tx.sealed.len() {
            tx.sealed.truncate(0);
            tx.written = 0;
            match self.seal_batch(conn, &mut tx) {
                Ok(_) => (),
                Err(_) => return Progress::Broken,
            }
        }
        let result = if block {
            write_all(conn, &mut tx)
        } else {
            write_now(conn, &mut tx)
        };
        drop(tx);
        // Asked after the lock is free: whoever queued a frame while it was held counts on this look.
        match result {
            Ok(true) if self.has_work_on(conn) => Progress::More,
            Ok(true) => Progress::Done,
            Ok(false) => Progress::Full,
            Err(_) => Progress::Broken,
        }
    }

    fn has_work_on(&self, conn: &Conn) -> bool {
        let out = self.out.hold();
        out.is_up_on(conn) && out.has_work()
    }

    /// Seal the next batch, if anything waits.
    fn seal_batch(&self, conn: &Conn, tx: &mut Tx) -> Result<(), String> {
        let mut control = Vec::new();
        let mut frames = Vec::new();
        let first = {
            let mut out = self.out.hold();
            if !out.is_up_on(conn) || !out.has_work() {
                return Ok(());
            }
            out.pick(&mut control, &mut frames)
        };
        let Tx { sealer, sealed, .. } = tx;
        let mut stream = sealer.stream(sealed);
        stream.put(&control)?;
        for (number, frame) in (first..).zip(&frames) {
            let mut start = [0; frame::HEAD + 8];
            start[..frame::HEAD].copy_from_slice(&head(frame.kind, frame.body.len() + 8));
            start[frame::HEAD..].copy_from_slice(&number.to_le_bytes());
            stream.put(&start)?;
            stream.put(&frame.body)?;
        }
        stream.finish()?;
        self.stats.packets.fetch_add(1, Relaxed);
        self.stats
            .wire_sent_bytes
            .fetch_add(sealed.len() as u64, Relaxed);
        Ok(())
    }

    /// The hello of this side, and the life it speaks for.
    pub fn hello(&self, from: &str, window: u64) -> (Hello, u64) {
        let out = self.out.hold();
        let hello = Hello {
            life: out.my_life,
            knows: out.their_life,
            received: out.received,
            window,
            max_message: self.max_message,
            from: from.to_owned(),
            to: self.name.clone(),
        };
        (hello, out.life)
    }

    /// Use a new connection from here on. `Err(stale)`: the two sides do not speak of the same lives; `stale`: ours is the
    /// one that ended.
    pub fn install(&self, conn: &Arc<Conn>, hello: &Hello, life: u64) -> Result<Installed, Stale> {
        let mut out = self.out.hold();
        if out.life != life || out.removed {
            return Err(Stale::Theirs);
        }
        let mine_known = hello.knows == out.my_life;
        let ours_matches = out.their_life == hello.life;
        let fresh_here = out.their_life == [0; 16];
        let fresh_there = hello.knows == [0; 16];
        if !(fresh_here || ours_matches) || (!fresh_here && !fresh_there && !mine_known) {
            return Err(Stale::Ours);
        }
        if !(fresh_there || mine_known) {
            return Err(Stale::Theirs);
        }
        if fresh_there && hello.received != 0 {
            return Err(Stale::Theirs);
        }
        // A side that does not know us yet has received nothing; what was written to it before is written again.
        out.cursor = out.kept.len();
        let gone = out.acknowledge(hello.received).map_err(Stale::Broken)?;
        if hello.received + 1 < out.first {
            return Err(Stale::Broken(format!(
                "the peer has {} frames, but acknowledged {} before",
                hello.received,
                out.first - 1
            )));
        }
        out.cursor = 0;
        out.their_life = hello.life;
        out.window = hello.window.max(1);
        out.max_message = hello.max_message;
        out.ack_due = false;
        out.ack_sent = out.received;
        let resumed = matches!(out.status, Status::Down(_));
        let repeated = out.kept.len();
        out.status = Status::Up(conn.clone());
        drop(out);
        drop(gone);
        self.room.notify_all();
        Ok(Installed { resumed, repeated })
    }

    /// The connection is gone; false when it was not the current one.
    pub fn disconnected(&self, conn: &Conn, since: Instant) -> bool {
        let mut out = self.out.hold();
        if !out.is_up_on(conn) {
            return false;
        }
        // Else who lets nothing but hellos pass could keep both sides waiting for each other for ever.
        let since = match out.down {
            Some(earlier) if !conn.has_spoken() => earlier,
            _ => since,
        };
        out.down = Some(since);
        out.status = Status::Down(since);
        drop(out);
        self.dial.notify_all();
        true
    }

    /// This life of the pair has ended; the life that did, or `None` when it never began.
    pub fn end_life(&self, reason: &str) -> Option<u64> {
        let mut out = self.out.hold();
        if matches!(out.status, Status::Lost(..))
            || (matches!(out.status, Status::Pending) && !out.removed)
        {
            return None;
        }
        let ended = out.life;
        let removed = out.removed;
        let old = std::mem::replace(&mut *out, Out::new(self.max_message));
        out.status = Status::Lost(reason.to_owned(), ended);
        out.removed = removed;
        drop(out);
        if let Status::Up(conn) = &old.status {
            conn.cut();
        }
        drop(old);
        self.wake_all();
        Some(ended)
    }

    /// The life that ended, when this peer is lost.
    pub fn lost_life(&self) -> Option<u64> {
        match &self.out.hold().status {
            Status::Lost(_, life) => Some(*life),
            _ => None,
        }
    }

    /// One word for people.
    pub fn state(&self) -> &'static str {
        match &self.out.hold().status {
            Status::Pending => "pending",
            Status::Up(_) => "up",
            Status::Down(_) => "down",
            Status::Lost(..) => "lost",
        }
    }
}

pub struct Installed {
    pub resumed: bool,
    pub repeated: usize,
}

pub enum Stale {
    Ours,
    Theirs,
    Broken(String),
}

enum Progress {
    More,
    Done,
    Full,
    Busy,
    Broken,
}

/// True when everything was taken.
fn write_now(conn: &Conn, tx: &mut Tx) -> io::Result<bool> {
    while tx.written < tx.sealed.len() {
        match send(
            &conn.stream,
            &tx.sealed[tx.written..],
            SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
        ) {
            Ok(n) => tx.written += n,
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn write_all(conn: &Conn, tx: &mut Tx) -> io::Result<bool> {
    (&conn.stream).write_all(&tx.sealed[tx.written..])?;
    tx.written = tx.sealed.len();
    Ok(true)
}
