//! Who may connect, what a peer may do, and what happens when it restarts, floods or does not listen.

mod common;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use argot_link::frame::{self, head, Hello};
use argot_link::tls::{self, Identity, Secured};
use argot_link::{Buffer, Config, Error, Link, SessionId};
use common::{
    address, collect, event, introduce, link, link_at, pair, person, quick, send, Dice, Fate,
    Person, Proxy, PATIENCE,
};

const S: SessionId = [7; 16];

#[test]
fn messages_before_the_session_is_opened_are_kept_and_stats_agree() {
    let (a, b) = pair(quick());
    for n in 0..50u8 {
        send(&a, "bob", S, &[n; 3]);
    }
    assert_eq!(event(&a, "up", PATIENCE).expect("up").peer, "bob");
    let inbox = b.open(S, None).expect("opened");
    let got = collect(&inbox, 50, PATIENCE);
    assert!(got
        .iter()
        .enumerate()
        .all(|(n, (peer, body))| peer == "alice" && *body == Some(vec![n as u8; 3])));
    let (to_b, from_a) = (a.stats()[0].1, b.stats()[0].1);
    assert_eq!((to_b.sent_messages, to_b.sent_bytes), (50, 150));
    assert_eq!((from_a.received_messages, from_a.received_bytes), (50, 150));
    a.close(); // after this all acknowledgements have been read
    b.close();
    let (a, b) = (a.stats()[0].1, b.stats()[0].1);
    assert!(a.wire_sent_bytes > b.received_bytes);
}

#[test]
fn small_messages_that_wait_share_writes_and_records() {
    let config = Config {
        keepalive: Duration::from_secs(60), // a ping would be a packet
        ..Config::default()
    };
    let (a, b) = (
        link(&person("alice"), config.clone()),
        link(&person("bob"), config),
    );
    let inbox = b.open(S, None).expect("opened");
    a.add_peer("bob", b.fingerprint(), None).expect("a peer");
    for n in 0..1000u32 {
        send(&a, "bob", S, &n.to_le_bytes()); // all wait: bob does not know alice yet
    }
    assert_eq!(
        (a.state("bob").expect("known"), a.stats()[0].1.packets),
        ("pending", 0)
    );
    b.add_peer("alice", a.fingerprint(), Some(&address(&a)))
        .expect("a peer");
    let got = collect(&inbox, 1000, PATIENCE);
    assert!((0..1000u32).eq(got
        .iter()
        .map(|(_, body)| u32::from_le_bytes(body.as_deref().unwrap().try_into().unwrap()))));
    let sent = a.stats()[0].1;
    // 33 bytes a frame; a record of its own for each would add 22 bytes to each.
    assert!(sent.packets < 10, "{} writes", sent.packets);
    assert!(sent.wire_sent_bytes < 1000 * 36, "{sent:?}");
}

#[test]
fn a_restarted_peer_is_lost_and_never_resumed() {
    let (alice, bob) = (person("alice"), person("bob"));
    let (a, b) = (link(&alice, quick()), link(&bob, quick()));
    introduce(&a, &b, None);
    let inbox = a.open(S, None).expect("opened");
    let members = a
        .open([8; 16], Some(HashSet::from(["bob".to_owned()])))
        .expect("opened");
    let inbox_b = b.open(S, None).expect("opened");
    send(&b, "alice", S, b"of the first life");
    send(&a, "bob", S, b"to the first life");
    assert_eq!(collect(&inbox, 1, PATIENCE).len(), 1);
    assert_eq!(collect(&inbox_b, 1, PATIENCE).len(), 1);
    let listen = address(&b);
    drop(b); // as a kill does: no farewell
    std::thread::sleep(Duration::from_millis(50));
    let sent = a.send("bob", S, &[b"into the void"], &mut |_| false);
    let b = link_at(&bob, &listen, quick());
    b.add_peer("alice", alice.fingerprint, None)
        .expect("a peer");
    assert_eq!(collect(&inbox, 1, PATIENCE), [("bob".to_owned(), None)]);
    assert_eq!(collect(&members, 1, PATIENCE), [("bob".to_owned(), None)]);
    // Sessions of everybody go on with the new one; sessions of fixed members do not.
    let inbox_b = b.open(S, None).expect("opened");
    let end = Instant::now() + PATIENCE;
    while a
        .send("bob", S, &[b"to the second life"], &mut |_| true)
        .is_err()
        && Instant::now() < end
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(
        collect(&inbox_b, 1, PATIENCE),
        [("alice".to_owned(), Some(b"to the second life".to_vec()))],
        "{sent:?}"
    );
    let refused = a.send("bob", [8; 16], &[b"x"], &mut |_| true);
    assert!(matches!(refused, Err(Error::Lost { .. })), "{refused:?}");
}

#[test]
fn a_peer_that_closes_is_lost_at_once_after_its_last_message() {
    let (a, b) = pair(Config::default());
    let inbox = a.open(S, None).expect("opened");
    let big = Dice(1).bytes(3_000_000);
    send(&b, "alice", S, &big);
    let start = Instant::now();
    b.close();
    assert!(start.elapsed() < Duration::from_secs(2));
    let got = collect(&inbox, 2, PATIENCE);
    assert_eq!(got.len(), 2);
    assert!(got[0].1.as_deref() == Some(&big[..]));
    assert_eq!(got[1], ("bob".to_owned(), None));
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_session_that_is_not_taken_holds_back_its_sender_and_nobody_else() {
    let (a, b) = pair(Config {
        window: 2 << 20,
        ..quick()
    });
    let inbox = b.open(S, None).expect("opened");
    assert!(event(&a, "up", PATIENCE).is_some());
    let block = vec![5; 1 << 20];
    let mut sent = 0;
    while a.room("bob", S).expect("known") {
        send(&a, "bob", S, &block);
        sent += 1;
    }
    assert_eq!(sent, 2);
    let mut asked = 0;
    let blocked = a.send("bob", S, &[&block], &mut |_| {
        asked += 1;
        asked < 4
    });
    assert!(matches!(blocked, Err(Error::Timeout)), "{blocked:?}");
    let other = b.open([9; 16], None).expect("opened");
    send(&a, "bob", [9; 16], b"another session");
    assert_eq!(collect(&other, 1, PATIENCE).len(), 1);
    assert_eq!(collect(&inbox, 2, PATIENCE).len(), 2);
    send(&a, "bob", S, &block); // waits for the credit
    assert_eq!(collect(&inbox, 1, PATIENCE).len(), 1);
    // A closed session does not hold back anybody.
    b.close_inbox(&inbox);
    for _ in 0..8 {
        send(&a, "bob", S, &block);
    }
}

#[test]
fn what_is_not_acknowledged_is_bounded() {
    let config = Config {
        unacknowledged: 4 << 20,
        resume: Duration::from_secs(20),
        ..quick()
    };
    let (a, b) = (
        link(&person("alice"), config.clone()),
        link(&person("bob"), config),
    );
    let proxy = Proxy::new(address(&b), Box::new(|_| Fate::Fine));
    introduce(&a, &b, Some(proxy.address.clone()));
    let inbox = b.open(S, None).expect("opened");
    assert!(event(&a, "up", PATIENCE).is_some());
    proxy.close();
    assert!(event(&a, "down", PATIENCE).is_some());
    let block = vec![6; 1 << 20];
    let mut asked = 0;
    let mut sent = 0;
    while a
        .send("bob", S, &[&block], &mut |begun| {
            asked += 1;
            begun && asked < 10
        })
        .is_ok()
    {
        sent += 1;
        asked = 0;
    }
    assert_eq!(
        sent, 3,
        "three of a little more than 1 MiB with their headers fit into 4 MiB"
    );
    send(&a, "bob", S, b"control still passes");
    a.add_peer("bob", b.fingerprint(), Some(&address(&b)))
        .expect("a new address");
    let got = collect(&inbox, 4, PATIENCE);
    assert_eq!(
        got.len(),
        4,
        "the message that was cancelled in the middle does not appear"
    );
    assert_eq!(got[3].1.as_deref(), Some(&b"control still passes"[..]));
}

#[test]
fn bulk_does_not_keep_control_waiting() {
    let (a, b) = pair(Config::default());
    let (bulk, control) = (
        b.open(S, None).expect("opened"),
        b.open([9; 16], None).expect("opened"),
    );
    assert!(event(&a, "up", PATIENCE).is_some());
    let block = vec![1; 48 << 20];
    send(&a, "bob", S, &block);
    send(&a, "bob", [9; 16], b"now");
    assert_eq!(collect(&control, 1, PATIENCE).len(), 1);
    assert!(
        bulk.take_now(&[]).is_none(),
        "the 48 MB that were sent before came first"
    );
    assert_eq!(
        collect(&bulk, 1, PATIENCE)[0].1.as_ref().map(Vec::len),
        Some(block.len())
    );
}

#[test]
fn many_sessions_and_threads_at_once() {
    const THREADS: u8 = 8;
    const EACH: u64 = 300;
    let (a, b) = pair(quick());
    let (a, b) = (Arc::new(a), Arc::new(b));
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            for (from, to) in [(&a, &b), (&b, &a)] {
                let inbox = to.open([number; 16], None).expect("opened");
                scope.spawn(move || {
                    let mut dice = Dice(u64::from(number));
                    for index in 0..EACH {
                        let size = dice.roll(if index % 50 == 0 { 600_000 } else { 500 }) as usize;
                        let mut data = index.to_le_bytes().to_vec();
                        data.resize(8 + size, number);
                        send(from, to.name(), [number; 16], &data);
                    }
                });
                scope.spawn(move || {
                    for (index, (_, body)) in collect(&inbox, EACH as usize, PATIENCE)
                        .into_iter()
                        .enumerate()
                    {
                        let body = body.expect("nobody is lost");
                        assert_eq!(body[..8], (index as u64).to_le_bytes());
                        assert!(body[8..].iter().all(|&byte| byte == number));
                    }
                });
            }
        }
    });
    let (of_a, of_b) = (a.stats()[0].1, b.stats()[0].1);
    assert_eq!(of_a.sent_messages, u64::from(THREADS) * EACH);
    assert_eq!(
        (of_a.sent_messages, of_a.sent_bytes),
        (of_b.received_messages, of_b.received_bytes)
    );
    assert_eq!(
        (of_b.sent_messages, of_b.sent_bytes),
        (of_a.received_messages, of_a.received_bytes)
    );
}

#[test]
fn who_reads_while_it_waits_reads_for_the_others_too() {
    const OTHER: SessionId = [77; 16];
    let (a, b) = pair(quick());
    let member = |name: &str| Some(HashSet::from([name.to_owned()]));
    let (mine, theirs) = (
        a.open(S, member("bob")).expect("opened"),
        b.open(S, member("alice")).expect("opened"),
    );
    let other = a.open(OTHER, None).expect("opened");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..500u32 {
                let got = collect(&theirs, 1, PATIENCE);
                assert_eq!(got[0].1.as_deref(), Some(&round.to_le_bytes()[..]));
                send(&b, "alice", S, &round.to_le_bytes());
                if round % 10 == 0 {
                    send(&b, "alice", OTHER, &round.to_le_bytes());
                }
            }
            // Nobody waits in S any more, and what was read there last was read by who waited.
            send(&b, "alice", OTHER, &500u32.to_le_bytes());
        });
        scope.spawn(|| {
            let got = collect(&other, 51, PATIENCE);
            let bodies: Vec<_> = got
                .into_iter()
                .map(|(_, body)| body.expect("there"))
                .collect();
            let sent = (0..=500u32).step_by(10).map(|n| n.to_le_bytes().to_vec());
            assert_eq!(bodies, sent.collect::<Vec<_>>());
        });
        for round in 0..500u32 {
            send(&a, "bob", S, &round.to_le_bytes());
            let got = collect(&mine, 1, PATIENCE);
            assert_eq!(got[0].1.as_deref(), Some(&round.to_le_bytes()[..]));
        }
    });
    // A peer that goes is noticed by who reads as by anybody.
    let waiting = std::thread::spawn(move || collect(&mine, 1, PATIENCE));
    b.close();
    assert_eq!(waiting.join().expect("ended"), [("bob".to_owned(), None)]);
}

#[test]
fn an_end_is_noticed_while_others_answer() {
    let (a, c) = pair(quick());
    let leaving: Vec<_> = ["dave", "erin", "frank"]
        .map(|name| link(&person(name), quick()))
        .into();
    for other in &leaving {
        introduce(other, &a, None);
        while a.state(other.name()).expect("known") != "up" {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let names = ["bob", "dave", "erin", "frank"].map(str::to_owned);
    let mine = a.open(S, Some(HashSet::from(names))).expect("opened");
    let theirs = c
        .open(S, Some(HashSet::from(["alice".to_owned()])))
        .expect("opened");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                if !collect(&theirs, 1, Duration::from_millis(50)).is_empty() {
                    send(&c, "alice", S, b"answer");
                }
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                send(&a, "bob", S, b"question");
                collect(&mine, 1, PATIENCE);
            }
        });
        let began = Instant::now();
        for other in leaving {
            let name = other.name().to_owned();
            other.close();
            while a.state(&name).expect("known") != "lost" && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let took = began.elapsed();
        done.store(true, Ordering::SeqCst);
        assert!(took < Duration::from_secs(2), "three ends took {took:?}");
    });
}

#[test]
fn only_members_are_heard_in_a_session_of_members() {
    let (a, b, c) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
        link(&person("carol"), quick()),
    );
    introduce(&b, &a, None);
    introduce(&c, &a, None);
    send(&c, "alice", S, b"early, from outside");
    assert!(event(&a, "up", PATIENCE).is_some() && event(&c, "up", PATIENCE).is_some());
    let inbox = a
        .open(S, Some(HashSet::from(["bob".to_owned()])))
        .expect("opened");
    send(&c, "alice", S, b"late, from outside");
    send(&b, "alice", S, b"from a member");
    assert_eq!(
        collect(&inbox, 1, PATIENCE),
        [("bob".to_owned(), Some(b"from a member".to_vec()))]
    );
    c.close();
    assert!(event(&a, "lost", PATIENCE).is_some());
    assert!(inbox.take(Duration::from_millis(100), &[]).is_none());
}

#[test]
fn an_unpinned_certificate_is_refused_and_reported_by_both() {
    let (a, b) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
    );
    let stranger = link(&person("alice"), quick());
    b.add_peer("alice", a.fingerprint(), None).expect("a peer");
    stranger
        .add_peer("bob", b.fingerprint(), Some(&address(&b)))
        .expect("a peer");
    let told = event(&b, "rejected", PATIENCE).expect("reported");
    assert!(
        told.detail.contains(&stranger.fingerprint().to_string()),
        "{told:?}"
    );
    let told = event(&stranger, "rejected", PATIENCE).expect("reported");
    assert_eq!(told.peer, "bob");
    assert!(told.detail.contains("alert"), "{told:?}");
    // And a server with another key than the pinned one.
    a.add_peer("bob", stranger.fingerprint(), Some(&address(&b)))
        .expect("a peer");
    let told = event(&a, "rejected", PATIENCE).expect("reported");
    assert!(
        told.detail.contains(&b.fingerprint().to_string()),
        "{told:?}"
    );
    assert_eq!(a.state("bob").expect("known"), "pending");
}

#[test]
fn a_name_that_does_not_belong_to_the_key_is_refused() {
    let (a, b) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
    );
    b.add_peer("carol", a.fingerprint(), None).expect("a peer");
    a.add_peer("bob", b.fingerprint(), Some(&address(&b)))
        .expect("a peer");
    let told = event(&b, "rejected", PATIENCE).expect("reported");
    assert!(
        told.detail.contains("\"alice\"") && told.detail.contains("\"carol\""),
        "{told:?}"
    );
}

#[test]
fn who_does_not_speak_tls_is_closed_and_who_is_slow_does_not_keep_others_out() {
    let config = Config {
        max_pending: 8,
        ..quick()
    };
    let (a, b) = (
        link(&person("alice"), config.clone()),
        link(&person("bob"), config),
    );
    let mut client = TcpStream::connect(b.address().expect("listens")).expect("connected");
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: bob\r\n\r\n")
        .expect("written");
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer); // an alert, then the end
    assert!(answer.len() < 10);
    assert!(event(&b, "rejected", PATIENCE).is_some());
    let slow: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(b.address().expect("listens")).expect("connected"))
        .collect();
    introduce(&a, &b, None);
    let start = Instant::now();
    assert!(event(&a, "up", PATIENCE).is_some());
    assert!(
        start.elapsed() < Duration::from_millis(1200),
        "{:?}",
        start.elapsed()
    );
    for mut stream in slow {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("set");
        let ended = stream.read(&mut [0; 16]);
        assert!(
            !matches!(&ended, Ok(n) if *n > 0)
                && !matches!(&ended, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
            "{ended:?}"
        );
    }
}

#[test]
fn a_port_in_use_is_an_error() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let alice = person("alice");
    let failed = Link::new(
        "alice",
        &alice.certificate,
        &alice.key,
        Some(&taken),
        quick(),
    );
    assert!(
        matches!(failed, Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::AddrInUse)
    );
}

#[test]
fn close_ends_every_wait() {
    let (a, b) = pair(quick());
    let inbox = a.open(S, None).expect("opened");
    assert!(event(&a, "up", PATIENCE).is_some());
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| inbox.take(PATIENCE, &[]));
        let watcher = scope.spawn(|| a.watch(PATIENCE));
        std::thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        a.close();
        assert!(start.elapsed() < Duration::from_secs(3));
        assert!(taker
            .join()
            .expect("no panic")
            .is_some_and(|items| items.is_empty()));
        let _ = watcher.join().expect("no panic");
    });
    assert!(matches!(
        a.send("bob", S, &[b"x"], &mut |_| true),
        Err(Error::Closed)
    ));
    a.close();
    drop(b);
}

#[test]
fn what_a_held_peer_sent_stays_until_it_is_asked_for() {
    let (a, b) = pair(quick());
    let inbox = a.open(S, None).expect("opened");
    let held = ["bob".to_owned()];
    send(&b, "alice", S, b"one");
    send(&b, "alice", S, b"two");
    assert!(inbox.take(Duration::from_millis(300), &held).is_none());
    let (peer, body) = inbox.take_one("bob").expect("a message");
    assert_eq!(
        (peer.name.as_str(), body.as_deref()),
        ("bob", Some(&b"one"[..]))
    );
    assert!(inbox.take_now(&held).is_none());
    assert_eq!(
        collect(&inbox, 1, PATIENCE),
        [("bob".to_owned(), Some(b"two".to_vec()))]
    );
    // A loss is told at once, and what came before it.
    send(&b, "alice", S, b"three");
    b.close();
    let items = inbox.take(PATIENCE, &held).expect("something");
    let bodies: Vec<_> = items.iter().map(|(_, body)| body.as_deref()).collect();
    assert_eq!(bodies, [Some(&b"three"[..]), None]);
    a.close();
}

// --- a pinned peer that does not keep to the rules, by hand ---

struct Rogue {
    stream: TcpStream,
    secured: Secured,
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

impl Rogue {
    fn greet(rogue: &Person, victim: &Link, hello: &Hello) -> Rogue {
        let identity = Identity::new(&rogue.certificate, &rogue.key).expect("an identity");
        let stream = TcpStream::connect(victim.address().expect("listens")).expect("connected");
        let secured = tls::connect(&stream, &identity, victim.fingerprint(), deadline());
        let secured = secured.unwrap_or_else(|failure| panic!("{}", failure.message));
        let mut rogue = Rogue { stream, secured };
        rogue.write(&hello.encode());
        rogue
    }

    fn new(rogue: &Person, victim: &Link) -> Rogue {
        Rogue::greet(rogue, victim, &hello(rogue, victim))
    }

    fn write(&mut self, plain: &[u8]) {
        let mut sealed = Buffer::default();
        let mut records = self.secured.sealer.stream(&mut sealed);
        records.put(plain).expect("sealed");
        records.finish().expect("sealed");
        let _ = self.stream.write_all(&sealed); // it may have been cut off already, which is what is tested
    }

    fn frame(&mut self, kind: u8, body: &[u8]) {
        let mut out = head(kind, body.len()).to_vec();
        out.extend_from_slice(body);
        self.write(&out);
    }

    fn message(&mut self, number: u64, session: SessionId, payload: &[u8]) {
        self.frame(
            frame::MESSAGE,
            &[&number.to_le_bytes()[..], &session, payload].concat(),
        );
    }

    fn first(&mut self, number: u64, id: u32, total: u64, payload: &[u8]) {
        let (number, id, total) = (number.to_le_bytes(), id.to_le_bytes(), total.to_le_bytes());
        self.frame(
            frame::FIRST,
            &[&number[..], &S, &id, &total, payload].concat(),
        );
    }
}

fn hello(rogue: &Person, victim: &Link) -> Hello {
    Hello {
        life: [1; 16],
        knows: [0; 16],
        received: 0,
        window: 1 << 20,
        max_message: 1 << 20,
        from: rogue.name.to_owned(),
        to: victim.name().to_owned(),
    }
}

type Misdeed = (&'static str, fn(&mut Rogue));

#[test]
fn frames_that_break_the_rules_end_the_connection_by_name() {
    let misdeeds: Vec<Misdeed> = vec![
        ("unknown kind", |r| r.frame(99, b"12345678")),
        ("unknown kind", |r| {
            r.write(&hello(&person("x"), &link(&person("alice"), quick())).encode())
        }),
        ("at most", |r| {
            r.write(&head(frame::MESSAGE, u32::MAX as usize))
        }),
        ("wanted 8", |r| r.frame(frame::ACK, &[0; 9])),
        ("wanted 24", |r| r.frame(frame::MESSAGE, &[0; 23])),
        ("where frame 1 was due", |r| r.message(2, S, b"x")),
        ("where frame 2 was due", |r| {
            r.message(1, S, b"x");
            r.message(1, S, b"x");
        }),
        ("the last one sent was", |r| {
            r.frame(frame::ACK, &u64::MAX.to_le_bytes())
        }),
        ("a message of", |r| r.first(1, 1, u64::MAX, b"x")),
        ("contradicts itself", |r| r.first(1, 1, 1, b"xx")),
        ("contradicts itself", |r| {
            r.first(1, 1, 9, b"x");
            r.first(2, 1, 9, b"x");
        }),
        ("was not begun", |r| {
            r.frame(
                frame::NEXT,
                &[&1u64.to_le_bytes()[..], &[0; 4], b"x"].concat(),
            )
        }),
        ("more of a message", |r| {
            r.first(1, 1, 3, b"x");
            r.frame(
                frame::NEXT,
                &[&2u64.to_le_bytes()[..], &1u32.to_le_bytes(), b"xxx"].concat(),
            );
        }),
        ("begun and not ended", |r| {
            (0..2000).for_each(|n| r.first(n + 1, n as u32, 2, b"x"))
        }),
        ("bytes in sessions that nobody", |r| {
            (0..40u64).for_each(|n| r.message(n + 1, [n as u8; 16], &[0; 200_000]));
        }),
        ("sessions that nobody has opened", |r| {
            (0..2000u64).for_each(|n| {
                let mut session = [0; 16];
                session[..8].copy_from_slice(&n.to_le_bytes());
                r.message(n + 1, session, b"");
            });
        }),
        ("bytes unread", |r| {
            (0..20_000u64).for_each(|n| r.message(n + 1, S, b""))
        }),
        ("not a TLS 1.3 record", |r| {
            drop(r.stream.write_all(b"plaintext in the middle"))
        }),
        ("does not authenticate", |r| {
            drop(
                r.stream.write_all(
                    &[23, 3, 3, 0, 20]
                        .iter()
                        .chain(&[0; 20])
                        .copied()
                        .collect::<Vec<_>>(),
                ),
            )
        }),
    ];
    let config = Config {
        unopened_bytes: 4 << 20,
        unopened_sessions: 1000,
        window: 1 << 20,
        ..quick()
    };
    for (index, (reason, misdeed)) in misdeeds.into_iter().enumerate() {
        let (victim, rogue) = (link(&person("alice"), config.clone()), person("rogue"));
        victim
            .add_peer("rogue", rogue.fingerprint, None)
            .expect("a peer");
        let inbox = victim.open([200; 16], None).expect("opened");
        let mut hands = Rogue::new(&rogue, &victim);
        misdeed(&mut hands);
        let told = event(&victim, "down", PATIENCE)
            .unwrap_or_else(|| panic!("misdeed {index}, {reason}: nothing"));
        assert!(
            told.detail.contains(reason),
            "misdeed {index}: {told:?}, wanted {reason}"
        );
        if reason.contains("TLS") || reason.contains("authenticate") {
            continue; // anybody on the way can do that: not the peer's fault, and it may resume
        }
        assert_eq!(
            collect(&inbox, 1, PATIENCE),
            [("rogue".to_owned(), None)],
            "misdeed {index}"
        );
        let mut again = Rogue::new(&rogue, &victim);
        again
            .stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("set");
        let ended = again.stream.read(&mut [0; 1]);
        assert!(
            matches!(&ended, Ok(0))
                || matches!(&ended, Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset),
            "misdeed {index}: heard again at once: {ended:?}"
        );
    }
}

#[test]
fn a_peer_that_comes_and_goes_cannot_fill_the_memory_each_time_anew() {
    let config = Config {
        unread_bytes: 4 << 20,
        unopened_bytes: 2 << 20,
        ..quick()
    };
    let (victim, rogue) = (link(&person("alice"), config), person("rogue"));
    victim
        .add_peer("rogue", rogue.fingerprint, None)
        .expect("a peer");
    let inbox = victim.open(S, None).expect("opened, and not taken");
    let mut refused = None;
    for life in 1..20 {
        let mut hands = Rogue::greet(
            &rogue,
            &victim,
            &Hello {
                life: [life; 16],
                ..hello(&rogue, &victim)
            },
        );
        for number in 1..5 {
            hands.message(number, S, &[0; 250_000]);
        }
        hands.frame(frame::BYE, &[0]);
        refused = event(&victim, "lost", PATIENCE)
            .filter(|told| told.detail.contains("unread in all sessions"));
        if refused.is_some() {
            assert_eq!(life, 5, "{refused:?}");
            break;
        }
    }
    assert!(refused.is_some());
    let taken = inbox
        .take_now(&[])
        .expect("something")
        .into_iter()
        .filter(|(_, body)| body.is_some())
        .count();
    assert!(taken <= 18, "{taken}");
}

#[test]
fn hellos_that_break_the_rules_are_refused() {
    let (victim, rogue) = (link(&person("alice"), quick()), person("rogue"));
    victim
        .add_peer("rogue", rogue.fingerprint, None)
        .expect("a peer");
    let good = hello(&rogue, &victim);
    // Frames that were never sent cannot have been received, and a life of ours that never was cannot be continued.
    for bad in [
        Hello {
            received: 5,
            ..good.clone()
        },
        Hello {
            knows: [9; 16],
            received: 5,
            ..good.clone()
        },
        Hello {
            life: [0; 16],
            ..good.clone()
        },
        Hello {
            to: "bob".into(),
            ..good.clone()
        },
    ] {
        let mut hands = Rogue::greet(&rogue, &victim, &bad);
        hands.message(1, S, b"x");
        hands
            .stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("set");
        let ended = hands.stream.read_to_end(&mut Vec::new());
        let closed = ended.as_ref().map_or_else(
            |e| e.kind() == std::io::ErrorKind::ConnectionReset,
            |_| true,
        );
        assert!(closed, "{bad:?}: {ended:?}");
        assert_eq!(victim.state("rogue").expect("known"), "pending", "{bad:?}");
    }
    let mut long = head(frame::HELLO, 1 << 30).to_vec();
    long.resize(16_000, 0);
    let identity = Identity::new(&rogue.certificate, &rogue.key).expect("an identity");
    let stream = TcpStream::connect(victim.address().expect("listens")).expect("connected");
    let secured = tls::connect(&stream, &identity, victim.fingerprint(), deadline());
    let mut hands = Rogue {
        stream,
        secured: secured.unwrap_or_else(|failure| panic!("{}", failure.message)),
    };
    hands.write(&long);
    let told = event(&victim, "rejected", PATIENCE).expect("reported");
    assert!(told.detail.contains("hello"), "{told:?}");
}

#[test]
fn one_peer_cannot_continue_the_connection_of_another() {
    let (a, b) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
    );
    let rogue = person("rogue");
    introduce(&b, &a, None);
    a.add_peer("rogue", rogue.fingerprint, None)
        .expect("a peer");
    let inbox = a.open(S, None).expect("opened");
    send(&b, "alice", S, b"1");
    assert_eq!(collect(&inbox, 1, PATIENCE).len(), 1);
    // The rogue says it is bob, even with frames that would fit: the key decides who it is.
    let mut hands = Rogue::greet(
        &rogue,
        &a,
        &Hello {
            from: "bob".into(),
            ..hello(&rogue, &a)
        },
    );
    hands.message(2, S, b"forged");
    let told = event(&a, "rejected", PATIENCE).expect("reported");
    assert_eq!(told.peer, "rogue");
    send(&b, "alice", S, b"2");
    assert_eq!(
        collect(&inbox, 1, PATIENCE),
        [("bob".to_owned(), Some(b"2".to_vec()))]
    );
    assert_eq!(
        a.stats()
            .iter()
            .find(|(name, _)| name == "bob")
            .expect("bob")
            .1
            .reconnects,
        0
    );
}

#[test]
fn credits_to_a_peer_that_does_not_read_do_not_pile_up() {
    let (victim, rogue) = (link(&person("alice"), quick()), person("rogue"));
    victim
        .add_peer("rogue", rogue.fingerprint, None)
        .expect("a peer");
    let inbox = victim.open(S, None).expect("opened");
    victim.close_inbox(&inbox); // each message to a closed session is credited at once
    let mut hands = Rogue::new(&rogue, &victim);
    let end = Instant::now() + Duration::from_secs(1);
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        hands.message(number, S, b"");
    }
    assert!(number > 10_000);
    let before = victim.stats()[0].1;
    assert!(before.wire_sent_bytes < 2_000_000, "{before:?}");
}
