//! The receiving half of a pair: records in, messages out.
//!
//! A frame's payload is copied once, from the record buffer to where the whole message will lie. State changes only at
//! the end of a frame, so a connection cut in the middle of one leaves nothing behind but bytes that are cut off again.
//!
//! A connection has one [`Reader`] and a thread that reads with it. A thread that waits for a small message reads by
//! itself ([`Conn::read_now`]): to be woken by another thread that the system woke first takes longer than all the rest
//! of a small message's way. [`Turn`] says whose turn it is.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{recv, RecvFlags};

use crate::buffer::{Buffer, Pool};
use crate::frame::{self, check_head, cost, fixed, u32_at, u64_at, HEAD, MAX_FIXED};
use crate::inbox::{Place, SessionId, Sessions};
use crate::peer::{Conn, Peer};
use crate::record::{Opener, HEADER, MAX_CIPHERTEXT};
use crate::sync::Hold;

const READ: usize = 256 * 1024;
/// Whoever waits for a small message leaves what comes in such amounts to the connection's own thread.
pub const BULK: usize = 64 * 1024;
/// How long that thread leaves the connection alone after somebody else read who is to read again, once or twice: what comes
/// for others meanwhile waits so long.
const ASIDE: Duration = Duration::from_millis(3);
/// The same while somebody sleeps until a message comes, or polls, who may have lost the core.
const SHORTLY: Duration = Duration::from_millis(1);
/// Reserved at once for a message; a longer one grows as its bytes arrive, so announcing costs the sender bytes.
const RESERVE: usize = 64 << 20;
/// Shorter records are copied: they hold the heads of frames, and several frames.
const DIRECT: usize = 8 * 1024;
const MAX_PARTIALS: usize = 1024;
/// Received and not acknowledged: a packet of its own is sent for them.
const ACK_BYTES: usize = 1 << 20;
const ACK_FRAMES: u64 = 1024;

/// Why a connection ended.
pub enum End {
    /// Something broke on the way; it may resume.
    Cut(String),
    /// The peer sent what it may not: authentic, so its own doing, and resuming would only repeat it.
    Fault(String),
    /// The peer closed for good.
    Bye,
}

/// A message of which not all frames have come.
struct Partial {
    session: SessionId,
    /// `None`: the bytes are not kept.
    place: Place,
    total: usize,
    filled: usize,
    /// Filled by whole frames.
    committed: usize,
    body: Buffer,
}

/// What outlives a connection.
pub struct Rx {
    pub life: u64,
    pub received: u64,
    partials: HashMap<u32, Partial>,
}

impl Rx {
    pub fn new(life: u64) -> Rx {
        Rx {
            life,
            received: 0,
            partials: HashMap::new(),
        }
    }

    /// Forget the frame that was cut in the middle, or everything when a new life has begun.
    pub fn restart(&mut self, life: u64) {
        if self.life != life {
            *self = Rx::new(life);
        }
        for partial in self.partials.values_mut() {
            partial.body.truncate(partial.committed);
            partial.filled = partial.committed;
        }
    }
}

/// What a reader needs around it.
pub struct Context {
    pub max_message: u64,
    pub sessions: Arc<Sessions>,
    pub pool: Arc<Pool>,
    pub peer: Arc<Peer>,
    /// When the link's clock began.
    pub start: Instant,
}

impl Context {
    fn clock(&self) -> Duration {
        self.start.elapsed()
    }
}

/// What one connection has received so far, and how it goes on.
pub struct Reader {
    context: Context,
    rx: Rx,
    opener: Opener,
    frames: Frames,
    buffer: Box<[u8]>,
    /// Bytes in `buffer`: the start of a record.
    held: usize,
    ended: Option<End>,
}

impl Reader {
    /// `unread`: what came behind the peer's hello.
    pub fn new(context: Context, rx: Rx, opener: Opener, unread: &[u8]) -> Reader {
        let mut reader = Reader {
            context,
            rx,
            opener,
            frames: Frames::default(),
            buffer: vec![0; READ + HEADER + MAX_CIPHERTEXT].into_boxed_slice(),
            held: 0,
            ended: None,
        };
        let fed = reader.frames.feed(&reader.context, &mut reader.rx, unread);
        reader.ended = fed.err();
        reader
    }

    /// Take what the socket has, up to `limit`, without waiting; how many bytes that were. 0: nothing, or the end.
    pub fn read_now(&mut self, conn: &Conn, limit: usize) -> usize {
        if self.ended.is_some() {
            return 0;
        }
        match self.step(conn, limit) {
            Ok(n) => n,
            Err(end) => {
                self.ended = Some(end);
                conn.cut();
                0
            }
        }
    }

    fn step(&mut self, conn: &Conn, limit: usize) -> Result<usize, End> {
        let Reader {
            context,
            rx,
            opener,
            frames,
            buffer,
            held,
            ..
        } = self;
        let n = match recv(
            &conn.stream,
            &mut buffer[*held..][..limit],
            RecvFlags::DONTWAIT,
        ) {
            Ok((_, 0)) => return Err(End::Cut("the peer closed the connection".into())),
            Ok((_, n)) => n,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            Err(error) => return Err(End::Cut(std::io::Error::from(error).to_string())),
        };
        let end = *held + n;
        let now = context.clock().as_millis() as u64;
        conn.heard.store(now, Relaxed);
        let stats = &context.peer.stats;
        stats.wire_received_bytes.fetch_add(n as u64, Relaxed);
        let mut start = 0;
        while let Some((header, body)) = next_record(&mut buffer[start..end]).map_err(End::Cut)? {
            start += HEADER + body.len();
            match frames.destination(rx, Opener::plain_length(body)) {
                Some(place) => {
                    let n = opener.open_into(header, body, place).map_err(End::Cut)?;
                    frames.stored(context, rx, n)?;
                }
                None => {
                    let plain = opener.open(header, body).map_err(End::Cut)?;
                    frames.feed(context, rx, plain)?;
                }
            }
        }
        conn.opened_records.store(opener.records(), Relaxed);
        buffer.copy_within(start..end, 0);
        *held = end - start;
        frames.report(context, rx);
        Ok(n)
    }

    /// Why the connection has ended, and what outlives it.
    fn close(self) -> (End, Rx) {
        let (peer, rx) = (self.context.peer, self.rx);
        peer.arrived(rx.life, rx.received, false);
        (self.ended.unwrap_or(End::Bye), rx)
    }
}

/// Read until the connection ends; the body of its thread. Why it ended, and what outlives it.
pub fn run(conn: &Conn, mut reader: Reader) -> (End, Rx) {
    loop {
        while reader.read_now(conn, READ) >= READ {}
        if reader.ended.is_some() {
            return reader.close();
        }
        *conn.reader.hold() = Some(reader);
        conn.turn.wait(&conn.stream);
        let mut place = conn.reader.hold();
        reader = place.take().expect("only this thread takes it out");
    }
}

/// Whose turn it is to read: the connection's thread, or those who wait for a message.
pub struct Turn {
    thread: Thread,
    others: AtomicUsize,
    /// Those who sleep until a message of this connection comes.
    pub sleepers: AtomicUsize,
    /// Somebody else has read since the thread last looked. It stands aside for that alone: one who was to read and lost the
    /// core must not keep it.
    recently: AtomicBool,
    /// The connection has ended: the thread's turn, whoever polls.
    over: AtomicBool,
}

impl Turn {
    pub fn of_this_thread() -> Turn {
        Turn {
            thread: thread::current(),
            others: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            recently: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// The caller reads from here on, until it calls `leave`.
    pub fn enter(&self) {
        self.touch();
        self.others.fetch_add(1, SeqCst);
    }

    /// The caller reads no more, and soon again; or, when it is to `hand_over`, not soon.
    pub fn leave(&self, hand_over: bool) {
        self.others.fetch_sub(1, SeqCst);
        if hand_over {
            self.hand_over();
        }
    }

    /// Nobody else reads soon.
    pub fn hand_over(&self) {
        self.recently.store(false, SeqCst);
        self.thread.unpark();
    }

    /// Somebody else reads.
    pub fn touch(&self) {
        self.recently.store(true, SeqCst);
    }

    /// The connection has ended: its thread is to say why.
    pub fn end(&self) {
        self.over.store(true, SeqCst);
        self.thread.unpark();
    }

    /// Until it is the thread's turn and the connection has something, or has broken.
    fn wait(&self, stream: &TcpStream) {
        loop {
            while !self.over.load(SeqCst) && self.recently.swap(false, SeqCst) {
                let awaited = self.others.load(SeqCst) + self.sleepers.load(SeqCst) > 0;
                thread::park_timeout(if awaited { SHORTLY } else { ASIDE });
            }
            let _ = poll(&mut [PollFd::new(stream, PollFlags::IN)], None); // what is broken says so to the next read
            if self.over.load(SeqCst) || !self.recently.load(SeqCst) {
                return;
            }
        }
    }
}

type Record<'a> = ([u8; HEADER], &'a mut [u8]);

fn next_record(bytes: &mut [u8]) -> Result<Option<Record<'_>>, String> {
    let Some(header) = bytes.first_chunk::<HEADER>().copied() else {
        return Ok(None);
    };
    let length = Opener::length(&header)?;
    Ok(bytes
        .get_mut(HEADER..HEADER + length)
        .map(|body| (header, body)))
}

/// The frame that is being read.
struct Frames {
    start: [u8; HEAD + MAX_FIXED],
    have: usize,
    kind: u8,
    fixed: usize,
    length: usize,
    left: usize,
    body: Buffer,
    unacked_bytes: usize,
    unacked_from: u64,
    answer: bool,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            start: [0; HEAD + MAX_FIXED],
            have: 0,
            kind: 0,
            fixed: 0,
            length: 0,
            left: 0,
            body: Buffer::default(),
            unacked_bytes: 0,
            unacked_from: 0,
            answer: false,
        }
    }
}

impl Frames {
    fn feed(&mut self, context: &Context, rx: &mut Rx, mut data: &[u8]) -> Result<(), End> {
        loop {
            let want = if self.have < HEAD {
                HEAD
            } else {
                HEAD + self.fixed
            };
            if self.have < want {
                let (now, later) = data.split_at((want - self.have).min(data.len()));
                self.start[self.have..self.have + now.len()].copy_from_slice(now);
                self.have += now.len();
                data = later;
                if self.have < want {
                    return Ok(());
                }
                if want == HEAD {
                    let mut head = [0; HEAD];
                    head.copy_from_slice(&self.start[..HEAD]);
                    (self.kind, self.length) = check_head(&head).map_err(End::Fault)?;
                    self.fixed = fixed(self.kind).map_or(0, |(size, _)| size);
                    continue;
                }
                self.left = self.length - self.fixed;
                self.begin(context, rx).map_err(End::Fault)?;
            }
            let (now, later) = data.split_at(self.left.min(data.len()));
            self.store(rx, now).map_err(End::Fault)?;
            self.left -= now.len();
            data = later;
            if self.left > 0 {
                return Ok(());
            }
            self.end(context, rx)?;
            self.have = 0;
        }
    }

    fn word(&self, at: usize) -> u64 {
        u64_at(&self.start, HEAD + at)
    }

    fn session(&self) -> SessionId {
        let mut session = [0; 16];
        session.copy_from_slice(&self.start[HEAD + 8..HEAD + 24]);
        session
    }

    /// The id of a message in several frames.
    fn id(&self) -> u32 {
        let at = if self.kind == frame::FIRST { 24 } else { 8 };
        u32_at(&self.start, HEAD + at)
    }

    fn total(&self) -> u64 {
        self.word(28)
    }

    /// The fixed part is there: check it before anything is kept.
    fn begin(&mut self, context: &Context, rx: &Rx) -> Result<(), String> {
        if self.kind >= frame::MESSAGE && self.word(0) != rx.received + 1 {
            return Err(format!(
                "frame {} where frame {} was due",
                self.word(0),
                rx.received + 1
            ));
        }
        let size = match self.kind {
            frame::MESSAGE => self.left,
            frame::FIRST => {
                let total = self.total();
                if total > context.max_message {
                    return Err(format!(
                        "a message of {total} bytes (at most {})",
                        context.max_message
                    ));
                }
                if self.left as u64 >= total
                    || self.left == 0
                    || rx.partials.contains_key(&self.id())
                {
                    return Err("a message whose first frame contradicts itself".into());
                }
                if rx.partials.len() >= MAX_PARTIALS {
                    return Err(format!(
                        "more than {MAX_PARTIALS} messages begun and not ended"
                    ));
                }
                (total as usize).min(RESERVE)
            }
            frame::NEXT => {
                let partial = rx
                    .partials
                    .get(&self.id())
                    .ok_or("the rest of a message that was not begun")?;
                if self.left == 0 || self.left > partial.total - partial.filled {
                    return Err("more of a message than was announced".into());
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        let refused = || format!("no memory for a message of {size} bytes");
        self.body = context
            .pool
            .get(size + 1) // the type of the last record comes behind the data
            .ok_or_else(refused)?;
        Ok(())
    }

    /// Where the next `plain` bytes can be decrypted to directly: inside a long payload, with room for the record's type, which
    /// the next byte overwrites. Nothing of it counts before the record is authentic.
    fn destination<'a>(&'a mut self, rx: &'a mut Rx, plain: usize) -> Option<&'a mut [u8]> {
        let in_payload = self.have > HEAD && self.have == HEAD + self.fixed;
        if !in_payload || plain < DIRECT || plain > self.left + 1 {
            return None;
        }
        if self.kind != frame::NEXT {
            return self.body.spare(plain);
        }
        let partial = rx.partials.get_mut(&self.id())?;
        partial
            .place
            .is_some()
            .then(|| partial.body.spare(plain))
            .flatten()
    }

    /// `n` bytes were decrypted to their destination.
    fn stored(&mut self, context: &Context, rx: &mut Rx, n: usize) -> Result<(), End> {
        if self.kind != frame::NEXT {
            self.body.advance(n);
        } else if let Some(partial) = rx.partials.get_mut(&self.id()) {
            partial.body.advance(n);
            partial.filled += n;
        }
        self.left -= n;
        if self.left == 0 {
            self.end(context, rx)?;
            self.have = 0;
        }
        Ok(())
    }

    fn store(&mut self, rx: &mut Rx, data: &[u8]) -> Result<(), String> {
        if self.kind != frame::NEXT {
            self.body.push(data);
            return Ok(());
        }
        let partial = rx.partials.get_mut(&self.id());
        let partial = partial.ok_or("the rest of a message that was not begun")?;
        partial.filled += data.len();
        if partial.place.is_some() {
            let place = partial.body.spare(data.len());
            let refused = || format!("no memory for a message of {} bytes", partial.total);
            place.ok_or_else(refused)?.copy_from_slice(data);
            partial.body.advance(data.len());
        }
        Ok(())
    }

    /// The frame is whole.
    fn end(&mut self, context: &Context, rx: &mut Rx) -> Result<(), End> {
        let peer = &context.peer;
        match self.kind {
            frame::ACK => peer.acknowledged(self.word(0)).map_err(End::Fault)?,
            frame::PING => {
                peer.pong(self.word(0));
                self.answer = true;
            }
            frame::PONG => {
                let took = (context.clock().as_micros() as u64).saturating_sub(self.word(0));
                peer.rtt.store(took.max(1), Relaxed);
            }
            frame::BYE => return Err(End::Bye),
            _ => {
                self.end_numbered(context, rx).map_err(End::Fault)?;
                rx.received += 1;
                self.unacked_bytes += self.length;
            }
        }
        Ok(())
    }

    fn end_numbered(&mut self, context: &Context, rx: &mut Rx) -> Result<(), String> {
        let (peer, sessions) = (&context.peer, &context.sessions);
        match self.kind {
            frame::CREDIT => peer.credited(rx.life, &self.session(), self.word(24)),
            frame::MESSAGE => {
                let body = std::mem::take(&mut self.body);
                let total = body.len();
                let place = sessions.begin(peer, rx.life, self.session(), cost(total))?;
                deliver(context, rx.life, self.session(), place, total, body);
            }
            frame::FIRST => {
                let body = std::mem::take(&mut self.body);
                let total = self.total() as usize;
                let place = sessions.begin(peer, rx.life, self.session(), cost(total))?;
                let (filled, session) = (body.len(), self.session());
                let partial = Partial {
                    session,
                    place,
                    total,
                    filled,
                    committed: filled,
                    body,
                };
                rx.partials.insert(self.id(), partial);
            }
            frame::NEXT => {
                let Some(partial) = rx.partials.get_mut(&self.id()) else {
                    return Ok(());
                };
                partial.committed = partial.filled;
                if partial.committed < partial.total {
                    return Ok(());
                }
                if let Some(whole) = rx.partials.remove(&self.id()) {
                    deliver(
                        context,
                        rx.life,
                        whole.session,
                        whole.place,
                        whole.total,
                        whole.body,
                    );
                }
            }
            _ => {
                let ended = rx.partials.remove(&self.id());
                let ended = ended.ok_or("the end of a message that was not begun")?;
                match ended.place {
                    Some((inbox, _)) => sessions.cancel(peer, rx.life, &inbox, cost(ended.total)),
                    None => peer.credit(rx.life, ended.session, cost(ended.total)),
                }
            }
        }
        Ok(())
    }

    /// After each read: what has arrived, and an answer when one is due.
    fn report(&mut self, context: &Context, rx: &Rx) {
        let due = self.unacked_bytes >= ACK_BYTES || rx.received - self.unacked_from >= ACK_FRAMES;
        context.peer.arrived(rx.life, rx.received, due);
        if due {
            self.unacked_bytes = 0;
            self.unacked_from = rx.received;
        }
        if due || std::mem::take(&mut self.answer) {
            context.peer.flush();
        }
    }
}

fn deliver(
    context: &Context,
    life: u64,
    session: SessionId,
    place: Place,
    total: usize,
    body: Buffer,
) {
    let stats = &context.peer.stats;
    stats.received_messages.fetch_add(1, Relaxed);
    stats.received_bytes.fetch_add(total as u64, Relaxed);
    match place {
        Some((inbox, charge)) => context
            .sessions
            .finish(&context.peer, life, &inbox, charge, body),
        None => context.peer.credit(life, session, cost(total)),
    }
}
