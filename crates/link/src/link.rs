//! The threads of a link: one accepts, one keeps time, and for each peer one writes, one reads and one dials.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::buffer::{Buffer, Pool};
use crate::config::Config;
use crate::events::{Event, Events};
use crate::frame::{Hello, HEAD};
use crate::inbox::{Inbox, SessionId, Sessions};
use crate::peer::{random, Conn, Installed, Peer, Refused, Stale, StatsSnapshot, Status, Tx};
use crate::reader::{self, Context, End, Reader, Rx, Turn};
use crate::record::{Opener, Sealer, HEADER};
use crate::sync::{wait, Hold};
use crate::tls::{self, Failure, Fingerprint, Identity, Secured};

const STACK: usize = 512 * 1024;
const CONNECT: Duration = Duration::from_secs(2);
const SHORTEST_HANDSHAKE: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// The peer that should not dial does so after this time all the same: the other may not be able to.
const SECOND_DIALER: Duration = Duration::from_millis(2000);
/// A peer that broke the rules is not heard again before this time, so that it cannot keep us busy being lost.
const QUARANTINE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum Error {
    UnknownPeer(String),
    Lost { peer: String, reason: String },
    TooLong { bytes: u64, limit: u64 },
    Invalid(String),
    Io(io::Error),
    Timeout,
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownPeer(name) => write!(f, "no peer is called {name}"),
            Error::Lost { peer, reason } => write!(f, "{peer} is lost: {reason}"),
            Error::TooLong { bytes, limit } => {
                write!(f, "a message of {bytes} bytes (the peer takes {limit})")
            }
            Error::Invalid(what) => f.write_str(what),
            Error::Io(error) => error.fmt(f),
            Error::Timeout => f.write_str("the peer did not take what was sent in time"),
            Error::Closed => f.write_str("the link is closed"),
        }
    }
}

impl std::error::Error for Error {}

struct Shared {
    name: String,
    config: Config,
    identity: Identity,
    listens: bool,
    peers: Mutex<BTreeMap<String, Arc<Peer>>>,
    sessions: Arc<Sessions>,
    events: Events,
    pool: Arc<Pool>,
    start: Instant,
    process: u32,
    ids: AtomicU64,
    closing: AtomicBool,
    pending: Mutex<VecDeque<(u64, IpAddr, TcpStream)>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    tick: (Mutex<()>, Condvar),
}

/// One agent's end of all its connections.
pub struct Link {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
}

impl Link {
    /// Start listening at `listen` (`None`: only dial). Certificate and PKCS#8 key in DER.
    pub fn new(
        name: &str,
        certificate: &[u8],
        key: &[u8],
        listen: Option<&str>,
        config: Config,
    ) -> Result<Link, Error> {
        if name.is_empty() || name.len() > 256 {
            return Err(Error::Invalid("a name of 1 to 256 bytes was wanted".into()));
        }
        config.check().map_err(Error::Invalid)?;
        let identity = Identity::new(certificate, key).map_err(Error::Invalid)?;
        let listener = listen
            .map(TcpListener::bind)
            .transpose()
            .map_err(Error::Io)?;
        let address = listener
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()
            .map_err(Error::Io)?;
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            sessions: Arc::new(Sessions::new(&config)),
            config,
            identity,
            listens: listener.is_some(),
            peers: Mutex::default(),
            events: Events::default(),
            pool: Arc::default(),
            start: Instant::now(),
            process: std::process::id(),
            ids: AtomicU64::new(1),
            closing: AtomicBool::new(false),
            pending: Mutex::default(),
            threads: Mutex::default(),
            tick: Default::default(),
        });
        if let Some(listener) = listener {
            shared
                .spawn("accept", move |shared| shared.accept_forever(&listener))
                .map_err(Error::Io)?;
        }
        shared
            .spawn("clock", |shared| shared.keep_time())
            .map_err(Error::Io)?;
        Ok(Link { shared, address })
    }

    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.shared.identity.fingerprint
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Pin a peer. Without an address it has to dial us; a known peer with the same key gets the new address.
    pub fn add_peer(
        &self,
        name: &str,
        fingerprint: Fingerprint,
        address: Option<&str>,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        if shared.is_closing() {
            return Err(Error::Closed);
        }
        if name == shared.name || fingerprint == shared.identity.fingerprint {
            return Err(Error::Invalid(format!(
                "{name} is this agent itself, by name or by key"
            )));
        }
        if name.is_empty() || name.len() > 256 {
            return Err(Error::Invalid("a name of 1 to 256 bytes was wanted".into()));
        }
        let port = address.map(|a| {
            a.rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok())
        });
        if matches!(port, Some(None)) {
            return Err(Error::Invalid(
                "an address of the form host:port was wanted".into(),
            ));
        }
        let address = address.map(str::to_owned);
        let mut peers = shared.peers.hold();
        if let Some(known) = peers
            .values()
            .find(|peer| peer.name == name || peer.fingerprint == fingerprint)
        {
            if known.name != name || known.fingerprint != fingerprint {
                return Err(Error::Invalid(format!(
                    "{} is pinned already with key {}; remove that peer first",
                    known.name, known.fingerprint
                )));
            }
            *known.address.hold() = address;
            known.wake_all();
            return Ok(());
        }
        let peer = Arc::new(Peer::new(
            name,
            fingerprint,
            address,
            &shared.config,
            shared.pool.clone(),
        ));
        peers.insert(name.to_owned(), peer.clone());
        drop(peers);
        let writer = peer.clone();
        let spawned = shared
            .spawn("write", move |shared| {
                writer.write_forever(&|| shared.is_closing())
            })
            .and_then(|()| shared.spawn("dial", move |shared| shared.dial_forever(&peer)));
        spawned.map_err(Error::Io)
    }

    /// Unpin a peer: its connection is cut and it is lost to every session.
    pub fn remove_peer(&self, name: &str) -> Result<(), Error> {
        if self.shared.is_closing() {
            return Err(Error::Closed);
        }
        let peer = self
            .shared
            .peers
            .hold()
            .remove(name)
            .ok_or_else(|| Error::UnknownPeer(name.to_owned()))?;
        peer.out.hold().removed = true;
        if let Some(conn) = peer.conn() {
            conn.cut_because("the peer was removed here".into());
        }
        if let (_, Some(stream)) = &*peer.newest.hold() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let reader_gone = peer.rx.hold();
        self.shared.lose(&peer, "removed here");
        drop(reader_gone);
        peer.wake_all();
        Ok(())
    }

    pub fn peers(&self) -> Vec<String> {
        self.shared.peers.hold().keys().cloned().collect()
    }

    /// Send one message made of `parts`. Blocks while too much is under way; `go_on` is then asked some times a
    /// second, with true once part of the message has been sent.
    pub fn send(
        &self,
        peer: &str,
        session: SessionId,
        parts: &[&[u8]],
        go_on: &mut dyn FnMut(bool) -> bool,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        if shared.is_closing() {
            return Err(Error::Closed);
        }
        let peer = shared.peer(peer)?;
        let lost = |reason: String| Error::Lost {
            peer: peer.name.clone(),
            reason,
        };
        if shared
            .sessions
            .find(&session)
            .is_some_and(|inbox| inbox.has_lost(&peer.name))
        {
            return Err(lost("it was lost during this session".into()));
        }
        let mut check = |begun: bool| !shared.is_closing() && go_on(begun);
        peer.send(session, parts, &mut check)
            .map_err(|refused| match refused {
                Refused::Lost(reason) => lost(reason),
                Refused::TooLong(limit) => Error::TooLong {
                    bytes: parts.iter().map(|part| part.len() as u64).sum(),
                    limit,
                },
                Refused::Timeout if shared.is_closing() => Error::Closed,
                Refused::Timeout => Error::Timeout,
            })
    }

    /// `send` if nothing of it would wait; otherwise false, and nothing was sent.
    pub fn try_send(&self, peer: &str, session: SessionId, parts: &[&[u8]]) -> Result<bool, Error> {
        match self.send(peer, session, parts, &mut |_| false) {
            Ok(()) => Ok(true),
            Err(Error::Timeout) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// False when `send` would wait for the peer to take earlier messages of the session.
    pub fn room(&self, peer: &str, session: SessionId) -> Result<bool, Error> {
        if self.shared.is_closing() {
            return Err(Error::Closed);
        }
        Ok(self.shared.peer(peer)?.has_room(&session))
    }

    /// Open a session; see [`Sessions::open`]. This agent itself may be among the members.
    pub fn open(
        &self,
        session: SessionId,
        mut members: Option<HashSet<String>>,
    ) -> Result<Arc<Inbox>, Error> {
        if self.shared.is_closing() {
            return Err(Error::Closed);
        }
        let peers = self.shared.all_peers();
        if let Some(members) = &mut members {
            members.remove(&self.shared.name);
            let unknown = members
                .iter()
                .find(|name| !peers.iter().any(|peer| peer.name == **name));
            if let Some(unknown) = unknown {
                return Err(Error::UnknownPeer(unknown.clone()));
            }
        }
        self.shared
            .sessions
            .open(session, members, &peers)
            .map_err(Error::Invalid)
    }

    pub fn close_inbox(&self, inbox: &Inbox) {
        self.shared.sessions.close(inbox);
    }

    pub fn watch(&self, time: Duration) -> Vec<Event> {
        self.shared.events.take(time)
    }

    pub fn stats(&self) -> Vec<(String, StatsSnapshot)> {
        self.shared
            .all_peers()
            .iter()
            .map(|peer| (peer.name.clone(), peer.stats.snapshot()))
            .collect()
    }

    /// Round trip of the last ping.
    pub fn rtt(&self, peer: &str) -> Result<Option<Duration>, Error> {
        let micros = self.shared.peer(peer)?.rtt.load(Ordering::Relaxed);
        Ok((micros > 0).then(|| Duration::from_micros(micros)))
    }

    /// `pending` (never connected), `up`, `down` or `lost`.
    pub fn state(&self, peer: &str) -> Result<&'static str, Error> {
        Ok(self.shared.peer(peer)?.state())
    }

    pub fn is_closed(&self) -> bool {
        self.shared.is_closing()
    }

    /// Wait a moment for what was sent to arrive, tell the peers, end every thread.
    pub fn close(&self) {
        if self.shared.is_elsewhere() {
            return;
        }
        let peers = self.shared.all_peers();
        if !self.shared.is_closing() {
            let now = self.shared.micros();
            peers.iter().for_each(|peer| peer.ping(now)); // its answer brings their acknowledgement at once
            wait_until(self.shared.config.linger, || {
                peers.iter().all(|peer| peer.is_idle())
            });
            peers.iter().for_each(|peer| peer.bye());
            wait_until(Duration::from_millis(200), || {
                peers.iter().all(|peer| peer.is_written())
            });
        }
        self.stop();
    }

    fn stop(&self) {
        let shared = &self.shared;
        if shared.is_elsewhere() {
            return;
        }
        shared.closing.store(true, Ordering::SeqCst);
        for peer in shared.all_peers() {
            if let Some(conn) = peer.conn() {
                conn.cut_because("the link was closed here".into());
            }
            if let (_, Some(stream)) = &*peer.newest.hold() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            peer.wake_all();
        }
        for (_, _, stream) in shared.pending.hold().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        shared.sessions.close_all();
        shared.events.close();
        shared.tick.1.notify_all();
        if let Some(address) = self.address {
            // Accepting ends with the next connection: make one.
            let _ = TcpStream::connect_timeout(&reachable(address), Duration::from_secs(1));
        }
        let threads = std::mem::take(&mut *shared.threads.hold());
        for thread in threads {
            let _ = thread.join(); // a thread that panicked has ended too
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.shared.is_closing() {
            self.stop();
        }
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn wait_until(time: Duration, done: impl Fn() -> bool) {
    let end = Instant::now() + time;
    while !done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Shared {
    /// Whether this is a forked child: it has the sockets of its parent and none of its threads, and maybe a lock that one
    /// of them held. It leaves all of that alone.
    fn is_elsewhere(&self) -> bool {
        self.process != std::process::id()
    }

    /// In a forked child nothing is sent, ever: its counters of records are copies of its parent's, and two records under one
    /// nonce would give both away.
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.is_elsewhere()
    }

    fn millis(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn all_peers(&self) -> Vec<Arc<Peer>> {
        self.peers.hold().values().cloned().collect()
    }

    fn peer(&self, name: &str) -> Result<Arc<Peer>, Error> {
        self.peers
            .hold()
            .get(name)
            .cloned()
            .ok_or_else(|| Error::UnknownPeer(name.to_owned()))
    }

    fn pinned(&self, fingerprint: Fingerprint) -> Option<Arc<Peer>> {
        self.peers
            .hold()
            .values()
            .find(|peer| peer.fingerprint == fingerprint)
            .cloned()
    }

    fn spawn(
        self: &Arc<Self>,
        what: &str,
        body: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> io::Result<()> {
        let shared = self.clone();
        let mut threads = self.threads.hold();
        threads.retain(|thread| !thread.is_finished());
        let builder = Builder::new()
            .name(format!("argot-{what}"))
            .stack_size(STACK);
        threads.push(builder.spawn(move || body(&shared))?);
        Ok(())
    }

    fn lose(&self, peer: &Arc<Peer>, reason: &str) {
        if let Some(life) = peer.end_life(reason) {
            self.sessions.lost(peer, life);
            self.events.push("lost", &peer.name, reason.to_owned());
        }
    }

    fn expel(&self, peer: &Arc<Peer>, reason: &str) {
        *peer.quarantine.hold() = Some(Instant::now() + QUARANTINE);
        self.lose(peer, &format!("it broke the protocol: {reason}"));
    }

    // --- accepting ---

    fn accept_forever(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.is_closing() {
                return;
            }
            let Ok((stream, from)) = accepted else {
                // Out of descriptors, or the client is gone again.
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            let Some(ticket) = self.admit(&stream, from.ip()) else {
                continue;
            };
            let served = self.spawn("serve", move |shared| shared.serve(stream, from, ticket));
            if served.is_err() {
                self.dismiss(ticket);
            }
        }
    }

    /// Count a connection that is not authenticated yet. When there are too many, the oldest of the address that has most of
    /// them goes: an honest handshake takes milliseconds, so those who linger in numbers are the ones to suspect.
    fn admit(&self, stream: &TcpStream, from: IpAddr) -> Option<u64> {
        let ticket = self.ids.fetch_add(1, Ordering::Relaxed);
        let copy = stream.try_clone().ok()?;
        let mut pending = self.pending.hold();
        while pending.len() >= self.config.max_pending {
            let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
            pending
                .iter()
                .for_each(|(_, ip, _)| *counts.entry(*ip).or_default() += 1);
            let busiest = counts
                .iter()
                .max_by_key(|(_, count)| **count)
                .map(|(ip, _)| *ip);
            let index = pending.iter().position(|(_, ip, _)| Some(*ip) == busiest);
            if let Some((_, _, oldest)) = pending.remove(index.unwrap_or(0)) {
                let _ = oldest.shutdown(Shutdown::Both);
            }
        }
        pending.push_back((ticket, from, copy));
        Some(ticket)
    }

    fn dismiss(&self, ticket: u64) {
        self.pending.hold().retain(|(other, _, _)| *other != ticket);
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, from: SocketAddr, ticket: u64) {
        let deadline = Instant::now() + self.config.handshake;
        let shared = self.clone();
        let accepts = Box::new(move |fingerprint| shared.pinned(fingerprint).is_some());
        let secured = tls::accept(&stream, &self.identity, accepts, deadline);
        self.dismiss(ticket);
        let secured = match secured {
            Ok(secured) => secured,
            Err(failure) if self.is_closing() => return drop(failure),
            Err(failure) => {
                return self
                    .events
                    .push("rejected", "", explain(&failure, &from.to_string()))
            }
        };
        // It may have been removed since the certificate was checked.
        let Some(peer) = self.pinned(secured.fingerprint) else {
            return;
        };
        if let Err(reason) = self.converse(&peer, stream, secured, deadline, false) {
            self.events.push("rejected", &peer.name, reason);
        }
    }

    // --- dialing ---

    fn dial_forever(self: &Arc<Self>, peer: &Arc<Peer>) {
        let mut backoff = FIRST_BACKOFF;
        let mut trouble = String::new();
        while let Some(address) = self.wait_for_turn(peer) {
            let reason = match self.dial(peer, &address) {
                Ok(()) => {
                    backoff = FIRST_BACKOFF;
                    trouble.clear();
                    continue;
                }
                Err(reason) => reason,
            };
            // Told once, not at every attempt; a peer that is not there yet is no news.
            if let Some((true, text)) = reason.filter(|(_, text)| *text != trouble) {
                self.events.push("rejected", &peer.name, text.clone());
                trouble = text;
            }
            let out = peer.out.hold();
            drop(wait(&peer.dial, out, backoff));
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Wait until this side should dial; the address, or `None` when there will be nothing to dial any more.
    fn wait_for_turn(&self, peer: &Peer) -> Option<String> {
        let first = self.name < peer.name || !self.listens;
        let jitter = Duration::from_millis(u64::from(random()[0]) * 4);
        let mut idle_since = Instant::now();
        loop {
            let address = peer.address.hold().clone();
            let out = peer.out.hold();
            if out.removed || self.is_closing() {
                return None;
            }
            if matches!(out.status, Status::Up(_)) || address.is_none() {
                drop(wait(&peer.dial, out, Duration::from_secs(1)));
                idle_since = Instant::now();
                continue;
            }
            let early = SECOND_DIALER + jitter;
            if !first && idle_since.elapsed() < early {
                drop(wait(
                    &peer.dial,
                    out,
                    (early - idle_since.elapsed()).min(early),
                ));
                continue;
            }
            return address;
        }
    }

    /// One connection from dialing to its end. The error says whether it is worth telling.
    fn dial(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        address: &str,
    ) -> Result<(), Option<(bool, String)>> {
        let quiet = |error: io::Error| Some((false, error.to_string()));
        let target = address
            .to_socket_addrs()
            .map_err(quiet)?
            .next()
            .ok_or(None)?;
        let stream = TcpStream::connect_timeout(&target, CONNECT).map_err(quiet)?;
        // Several attempts fit into the time in which a cut connection may resume, also when one of them ends in silence.
        let patience = (self.config.resume / 4).max(SHORTEST_HANDSHAKE);
        let deadline = Instant::now() + self.config.handshake.min(patience);
        let secured = tls::connect(&stream, &self.identity, peer.fingerprint, deadline).map_err(
            |failure| {
                // A connection that just ends is what a dying or cut peer looks like; a refusal is what a wrong pin looks like.
                let refused = failure.refused.is_some() || failure.message.starts_with("TLS");
                Some((refused, explain(&failure, address)))
            },
        )?;
        self.converse(peer, stream, secured, deadline, true)
            .map_err(|reason| Some((true, reason)))
    }

    // --- a connection, from hello to its end ---

    /// `Err`: the peer and we do not fit together. A connection that was cut is `Ok`.
    fn converse(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        stream: TcpStream,
        secured: Secured,
        deadline: Instant,
        dialed: bool,
    ) -> Result<(), String> {
        if peer
            .quarantine
            .hold()
            .is_some_and(|until| Instant::now() < until)
        {
            return Ok(());
        }
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let Ok(copy) = stream.try_clone() else {
            return Ok(());
        };
        if let (_, Some(older)) = std::mem::replace(&mut *peer.newest.hold(), (id, Some(copy))) {
            let _ = older.shutdown(Shutdown::Both);
        }
        let result = self.converse_as(peer, stream, secured, deadline, (id, dialed));
        let mut newest = peer.newest.hold();
        if newest.0 == id {
            if let Some(stream) = newest.1.take() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        result
    }

    fn converse_as(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        stream: TcpStream,
        secured: Secured,
        deadline: Instant,
        (id, dialed): (u64, bool),
    ) -> Result<(), String> {
        // The older connection's reader lets go of this once it has dealt with its last frame.
        let mut rx = peer.rx.hold();
        if peer.newest.hold().0 != id || self.is_closing() {
            return Ok(());
        }
        let Secured {
            mut sealer,
            mut opener,
            ..
        } = secured;
        let (mut mine, life) = peer.hello(&self.name, self.config.window);
        rx.restart(life);
        mine.received = rx.received;
        let (theirs, unread) =
            match exchange_hellos(&stream, deadline, &mine, &mut sealer, &mut opener) {
                Ok(exchanged) => exchanged,
                // Among these is the server's verdict on our certificate: an alert that comes after our side of the
                // handshake is done.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(error.to_string())
                }
                Err(_) => return Ok(()),
            };
        self.check_names(peer, &theirs)?;
        let prepared = stream
            .set_nodelay(true)
            .and(stream.set_read_timeout(None))
            .and(stream.set_write_timeout(None));
        if prepared.is_err() {
            return Ok(());
        }
        let context = Context {
            max_message: self.config.max_message,
            sessions: self.sessions.clone(),
            pool: self.pool.clone(),
            peer: peer.clone(),
            start: self.start,
        };
        let conn = Arc::new(Conn {
            stream,
            id,
            dialed,
            tx: Mutex::new(Tx::new(sealer)),
            heard: AtomicU64::new(self.millis()),
            pinged: AtomicU64::new(self.millis()),
            opened_records: AtomicU64::new(0),
            hello_records: opener.records(),
            reason: Mutex::new(None),
            reader: Mutex::new(None),
            turn: Turn::of_this_thread(),
        });
        match peer.install(&conn, &theirs, life) {
            Ok(installed) => self.announce(peer, &installed),
            Err(Stale::Theirs) => return Ok(()),
            Err(Stale::Ours) => {
                self.lose(
                    peer,
                    "it began anew: it was restarted, or had given this agent up",
                );
                return Ok(());
            }
            Err(Stale::Broken(reason)) => {
                self.expel(peer, &reason);
                return Err(reason);
            }
        }
        peer.ping(self.micros());
        let received = std::mem::replace(&mut *rx, Rx::new(life));
        let reader = Reader::new(context, received, opener, &unread);
        let (end, received) = reader::run(&conn, reader);
        *rx = received;
        self.ended(peer, &conn, end);
        Ok(())
    }

    fn check_names(&self, peer: &Peer, hello: &Hello) -> Result<(), String> {
        if hello.from != peer.name {
            return Err(format!(
                "the agent with this key calls itself {:?}; here it is {:?}",
                hello.from, peer.name
            ));
        }
        if hello.to != self.name {
            return Err(format!(
                "it knows this agent as {:?}; its name is {:?}",
                hello.to, self.name
            ));
        }
        Ok(())
    }

    fn announce(&self, peer: &Peer, installed: &Installed) {
        if installed.resumed {
            peer.stats.reconnects.fetch_add(1, Ordering::Relaxed);
            self.events.push(
                "resumed",
                &peer.name,
                format!("{} frames repeated", installed.repeated),
            );
        } else {
            self.events.push("up", &peer.name, String::new());
        }
    }

    fn ended(&self, peer: &Arc<Peer>, conn: &Arc<Conn>, end: End) {
        conn.cut();
        let mut since = Instant::now();
        let reason = match (conn.reason.hold().take(), &end) {
            (Some(reason), _) => {
                // Cut here for silence: the peer was gone before we noticed.
                let heard = self.start + Duration::from_millis(conn.heard.load(Ordering::Relaxed));
                since = since.min(heard + self.config.keepalive);
                reason
            }
            (None, End::Cut(reason) | End::Fault(reason)) => reason.clone(),
            (None, End::Bye) => "it closed".to_owned(),
        };
        if peer.disconnected(conn, since) && !self.is_closing() {
            self.events.push("down", &peer.name, reason);
        }
        match end {
            End::Cut(_) => (),
            End::Bye => self.lose(peer, "it closed"),
            End::Fault(reason) => self.expel(peer, &reason),
        }
    }

    // --- time ---

    fn keep_time(self: &Arc<Self>) {
        let tick = (self.config.keepalive / 10)
            .clamp(Duration::from_millis(5), Duration::from_millis(100));
        let mut housekeeping = Instant::now();
        while !self.is_closing() {
            drop(wait(&self.tick.1, self.tick.0.hold(), tick));
            for peer in self.all_peers() {
                self.look_after(&peer);
            }
            if housekeeping.elapsed() > Duration::from_secs(2) {
                housekeeping = Instant::now();
                for name in self.sessions.expire() {
                    let detail = "messages of a session that nobody opened in time were dropped";
                    self.events.push("rejected", &name, detail.to_owned());
                }
                self.pool.trim();
            }
        }
    }

    fn look_after(&self, peer: &Arc<Peer>) {
        let gone = match &peer.out.hold().status {
            Status::Down(since) => since.elapsed() > self.config.resume,
            _ => false,
        };
        if gone {
            let seconds = self.config.resume.as_secs_f64();
            return self.lose(peer, &format!("no connection for {seconds} s"));
        }
        let Some(conn) = peer.conn() else { return };
        let now = self.millis();
        let keepalive = self.config.keepalive.as_millis() as u64;
        let silent = now.saturating_sub(conn.heard.load(Ordering::Relaxed));
        if silent > 3 * keepalive {
            return conn.cut_because(format!("nothing was heard for {silent} ms"));
        }
        // The side that dialed renews the keys; the other would have to wait to be dialed.
        let limit = if conn.dialed {
            self.config.rekey_records
        } else {
            self.config.rekey_records * 2
        };
        let sealed = conn.tx.try_lock().map_or(0, |tx| tx.records());
        if sealed.max(conn.opened_records.load(Ordering::Relaxed)) > limit {
            return conn.cut_because("new keys".into());
        }
        if now.saturating_sub(conn.pinged.load(Ordering::Relaxed)) >= keepalive {
            conn.pinged.store(now, Ordering::Relaxed);
            peer.ping(self.micros());
        }
        peer.acknowledge_now();
    }
}

fn explain(failure: &Failure, who: &str) -> String {
    match failure.refused {
        Some(fingerprint) => format!("{who}: a certificate that is not pinned, key {fingerprint}"),
        None => format!("{who}: {}", failure.message),
    }
}

/// `InvalidData`: what came is no hello.
fn exchange_hellos(
    stream: &TcpStream,
    deadline: Instant,
    mine: &Hello,
    sealer: &mut Sealer,
    opener: &mut Opener,
) -> io::Result<(Hello, Vec<u8>)> {
    let mut sealed = Buffer::default();
    let mut records = sealer.stream(&mut sealed);
    records.put(&mine.encode()).map_err(invalid)?;
    records.finish().map_err(invalid)?;
    let mut wire = Deadline { stream, deadline };
    wire.write_all(&sealed)?;
    read_hello(&mut wire, opener)
}

fn read_hello(wire: &mut Deadline<'_>, opener: &mut Opener) -> io::Result<(Hello, Vec<u8>)> {
    let mut plain = Vec::new();
    loop {
        let mut header = [0; HEADER];
        wire.read_exact(&mut header)?;
        let mut body = vec![0; Opener::length(&header).map_err(invalid)?];
        wire.read_exact(&mut body)?;
        plain.extend_from_slice(opener.open(header, &mut body).map_err(invalid)?);
        let Some(head) = plain.first_chunk::<HEAD>() else {
            continue;
        };
        let end = HEAD + Hello::length(head).map_err(invalid)?;
        if plain.len() >= end {
            let hello = Hello::decode(&plain[HEAD..end]).map_err(invalid)?;
            return Ok((hello, plain.split_off(end)));
        }
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The socket with one deadline for everything.
struct Deadline<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Deadline<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(Some(left))
        }
    }
}

impl Read for Deadline<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(out)
    }
}

impl Write for Deadline<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
