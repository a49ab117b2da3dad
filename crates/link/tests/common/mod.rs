//! Identities, links and a proxy that misbehaves.
#![allow(dead_code)] // each test file uses its own part

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use argot_link::tls::{fingerprint, Fingerprint};
use argot_link::{Config, Event, Inbox, Link, SessionId};

pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Person {
    pub name: &'static str,
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub fingerprint: Fingerprint,
}

pub fn person(name: &'static str) -> Person {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .expect("a certificate");
    let fingerprint = fingerprint(certificate.der()).expect("a fingerprint");
    Person {
        name,
        certificate: certificate.der().to_vec(),
        key: key.serialize_der(),
        fingerprint,
    }
}

/// Short times, so that tests of loss are short; everything else as in production.
pub fn quick() -> Config {
    Config {
        keepalive: Duration::from_millis(100),
        resume: Duration::from_millis(1500),
        handshake: Duration::from_millis(1500),
        ..Config::default()
    }
}

pub fn link(person: &Person, config: Config) -> Link {
    link_at(person, "127.0.0.1:0", config)
}

pub fn link_at(person: &Person, listen: &str, config: Config) -> Link {
    Link::new(
        person.name,
        &person.certificate,
        &person.key,
        Some(listen),
        config,
    )
    .expect("a link")
}

pub fn address(link: &Link) -> String {
    link.address().expect("it listens").to_string()
}

/// Two links that know each other; `b` is dialed by `a` at `through`, or directly.
pub fn introduce(a: &Link, b: &Link, through: Option<String>) {
    b.add_peer(a.name(), a.fingerprint(), None).expect("a peer");
    a.add_peer(
        b.name(),
        b.fingerprint(),
        Some(&through.unwrap_or_else(|| address(b))),
    )
    .expect("a peer");
}

pub fn pair(config: Config) -> (Link, Link) {
    let (a, b) = (
        link(&person("alice"), config.clone()),
        link(&person("bob"), config),
    );
    introduce(&a, &b, None);
    (a, b)
}

pub fn send(link: &Link, to: &str, session: SessionId, data: &[u8]) {
    let end = Instant::now() + PATIENCE;
    link.send(to, session, &[data], &mut |_| Instant::now() < end)
        .expect("sent");
}

/// The next `count` items of an inbox; fewer when they do not come in time.
pub fn collect(inbox: &Inbox, count: usize, time: Duration) -> Vec<(String, Option<Vec<u8>>)> {
    let end = Instant::now() + time;
    let mut found = Vec::new();
    while found.len() < count && Instant::now() < end {
        for (peer, body) in inbox
            .take(Duration::from_millis(50), &[])
            .unwrap_or_default()
        {
            found.push((peer.name.clone(), body.map(|b| b.to_vec())));
        }
    }
    found
}

/// Events until one of this kind has come.
pub fn event(link: &Link, kind: &str, time: Duration) -> Option<Event> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(found) = link
            .watch(Duration::from_millis(50))
            .into_iter()
            .find(|e| e.kind == kind)
        {
            return Some(found);
        }
    }
    None
}

/// A small generator with a seed, for offsets and sizes: what a failing test prints can be run again.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..n / 8 + 1)
            .flat_map(|_| self.roll(u64::MAX).to_le_bytes())
            .collect();
        bytes.truncate(n);
        bytes
    }
}

/// What happens to one connection: after so many bytes in the direction.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Cut after so many bytes from the server (true) or the client.
    Cut {
        from_server: bool,
        after: usize,
    },
    /// Flip a bit of that byte.
    Flip {
        from_server: bool,
        at: usize,
    },
    /// Swallow everything from there on in both directions, the connection staying open.
    Silence {
        after: usize,
    },
    /// Change one record, counted from 0 in its direction; the handshake takes the first few.
    Record {
        from_server: bool,
        number: usize,
        edit: Edit,
    },
    Fine,
}

/// What somebody on the way may do to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Flip a bit of its body.
    Flip,
    /// Put other bytes in the place of its body.
    Replace,
    /// Pass it on twice.
    Replay,
    /// Lose it.
    Drop,
    /// Pass on the next one first.
    Swap,
    /// Take the last byte of its body away, and say so in its head.
    Shorten,
    /// Add a byte to its body, and say so in its head.
    Lengthen,
    /// Take a byte out of the stream: the next record begins too early.
    Lose,
    /// Put a byte into the stream before it.
    Insert,
}

pub const EDITS: [Edit; 9] = [
    Edit::Flip,
    Edit::Replace,
    Edit::Replay,
    Edit::Drop,
    Edit::Swap,
    Edit::Shorten,
    Edit::Lengthen,
    Edit::Lose,
    Edit::Insert,
];

/// A TCP proxy that deals out fates to its connections, one after the other; then they are all fine.
pub struct Proxy {
    pub address: String,
    pub met: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    local: SocketAddr,
}

impl Proxy {
    pub fn new(target: String, mut fates: Box<dyn FnMut(usize) -> Fate + Send>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let local = listener.local_addr().expect("an address");
        let met = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicBool::new(false));
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (met_, closed_, streams_) = (met.clone(), closed.clone(), streams.clone());
        let ended_ = ended.clone();
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((client, _)) = listener.accept() else {
                    return;
                };
                if ended_.load(Ordering::SeqCst) {
                    return;
                }
                if closed_.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let fate = fates(number);
                let mut kept = streams_.lock().expect("no panic");
                kept.extend([
                    client.try_clone().expect("a copy"),
                    server.try_clone().expect("a copy"),
                ]);
                drop(kept);
                for from_server in [false, true] {
                    let (from, to) = if from_server {
                        (&server, &client)
                    } else {
                        (&client, &server)
                    };
                    let (from, to) = (
                        from.try_clone().expect("a copy"),
                        to.try_clone().expect("a copy"),
                    );
                    let met = met_.clone();
                    std::thread::spawn(move || match fate {
                        Fate::Record {
                            from_server: which,
                            number,
                            edit,
                        } if which == from_server => pump_records(from, to, number, edit, &met),
                        _ => pump(from, to, from_server, fate, &met),
                    });
                }
            }
        });
        Proxy {
            address: local.to_string(),
            met,
            closed,
            ended,
            streams,
            local,
        }
    }

    /// Cut every connection there is.
    pub fn cut(&self) {
        for stream in self.streams.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Cut what there is and what comes. The port stays taken, so that nobody else is dialed in its place.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.local);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, server: bool, fate: Fate, met: &AtomicUsize) {
    let mut buffer = vec![0; 65_536];
    let mut passed = 0;
    let mut silent = false;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        let mut end = n;
        let mut last = false;
        match fate {
            Fate::Cut { from_server, after } if from_server == server && passed + n >= after => {
                end = after.saturating_sub(passed);
                last = true;
            }
            Fate::Flip { from_server, at }
                if from_server == server && (passed..passed + n).contains(&at) =>
            {
                buffer[at - passed] ^= 1 << (at % 8);
                met.fetch_add(1, Ordering::SeqCst);
            }
            Fate::Silence { after } if passed + n >= after => {
                if !silent {
                    met.fetch_add(1, Ordering::SeqCst);
                }
                silent = true;
            }
            _ => (),
        }
        passed += n;
        if !silent && to.write_all(&buffer[..end]).is_err() {
            break;
        }
        if last {
            met.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// The next TLS record: five bytes of head, of which the last two say how long the body is.
fn record(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 5];
    from.read_exact(&mut head).ok()?;
    let mut whole = vec![0; 5 + usize::from(u16::from_be_bytes([head[3], head[4]]))];
    whole[..5].copy_from_slice(&head);
    from.read_exact(&mut whole[5..]).ok()?;
    Some(whole)
}

fn pump_records(
    mut from: TcpStream,
    mut to: TcpStream,
    number: usize,
    edit: Edit,
    met: &AtomicUsize,
) {
    let mut held = Vec::new();
    for place in 0.. {
        let Some(mut record) = record(&mut from) else {
            break;
        };
        if place == number {
            match edit {
                Edit::Swap => {
                    held = record;
                    continue; // met when it has come behind another
                }
                _ => change(&mut record, edit, number as u64),
            }
            met.fetch_add(1, Ordering::SeqCst);
        }
        if !held.is_empty() {
            record.append(&mut held);
            met.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&record).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn change(record: &mut Vec<u8>, edit: Edit, seed: u64) {
    let length = record.len() - 5;
    let say = |record: &mut Vec<u8>, length: usize| {
        record[3..5].copy_from_slice(&(length as u16).to_be_bytes());
    };
    match edit {
        Edit::Flip => record[5 + length / 2] ^= 1 << (seed % 8),
        Edit::Replace => {
            let other = Dice(seed).bytes(length);
            record[5..].copy_from_slice(&other);
        }
        Edit::Replay => record.extend_from_within(..),
        Edit::Drop => record.clear(),
        Edit::Shorten => {
            record.pop();
            say(record, length - 1);
        }
        Edit::Lengthen => {
            record.push(0);
            say(record, length + 1);
        }
        Edit::Lose => {
            record.pop();
        }
        Edit::Insert => record.insert(0, 0),
        Edit::Swap => (),
    }
}
