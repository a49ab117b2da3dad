//! Connections that are cut, changed or silenced on the way: nothing is lost, nothing comes twice, nothing is silently wrong.

mod common;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argot_link::{Link, SessionId};
use common::{
    address, collect, event, introduce, link, person, quick, send, Dice, Fate, Proxy, PATIENCE,
};

const SESSIONS: u8 = 3;

fn session(number: u8) -> SessionId {
    [number; 16]
}

/// Sizes around every border: empty, one record, one frame, many frames.
fn message(seed: u64, from: u8, session: u8, index: u64) -> Vec<u8> {
    let mut dice = Dice(seed ^ u64::from(from) << 56 ^ u64::from(session) << 48 ^ index);
    let size = match dice.roll(12) {
        0 => 0,
        1 => 16_384 + dice.roll(64) as usize - 32,
        2 => 262_144 + dice.roll(64) as usize - 32,
        3 => 300_000 + dice.roll(900_000) as usize,
        _ => dice.roll(400) as usize,
    };
    dice.bytes(size)
}

/// Messages both ways in three sessions at once, as long as the proxy still has fates to deal out (`until`), and at least 60
/// of each; all must arrive as sent, in order, once. Returns how many were sent in each session.
fn converse(a: &Arc<Link>, b: &Arc<Link>, seed: u64, until: impl Fn() -> bool + Sync) {
    let end = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        for (number, (from, to)) in [(a, b), (b, a)].into_iter().enumerate() {
            for s in 0..SESSIONS {
                let until = &until;
                // Of fixed members, who waits reads by itself.
                let members = (s > 0).then(|| HashSet::from([from.name().to_owned()]));
                let inbox = to.open(session(s), members).expect("opened");
                scope.spawn(move || {
                    for index in 0u64.. {
                        let last = index >= 60 && (until() || Instant::now() > end);
                        let mut data = vec![u8::from(last)];
                        data.extend(message(seed, number as u8, s, index));
                        send(from, to.name(), session(s), &data);
                        if last {
                            return;
                        }
                    }
                });
                scope.spawn(move || {
                    let mut index = 0;
                    loop {
                        let items = inbox.take(PATIENCE, &[]).expect("messages keep coming");
                        for (peer, body) in items {
                            let body = body.expect("nobody is lost");
                            assert_eq!(peer.name, from.name());
                            assert!(
                                body[1..] == message(seed, number as u8, s, index),
                                "message {index} of session {s} from {number} is another one"
                            );
                            index += 1;
                            if body[0] == 1 {
                                assert!(
                                    inbox.take(Duration::from_millis(20), &[]).is_none(),
                                    "more than was sent"
                                );
                                return;
                            }
                        }
                    }
                });
            }
        }
    });
}

fn agree(a: &Link, b: &Link) {
    let (_, of_a) = a.stats().remove(0);
    let (_, of_b) = b.stats().remove(0);
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
fn two_hundred_cuts_change_nothing() {
    const CUTS: usize = 200;
    let seed = 20_261_122;
    let (a, b) = (
        Arc::new(link(&person("alice"), quick())),
        Arc::new(link(&person("bob"), quick())),
    );
    let mut dice = Dice(seed);
    // The handshake takes some 3 kB each way; a third of the cuts falls into it or into the hello.
    let fates = move |number: usize| {
        let spread = [6_000, 60_000, 1_500_000][number % 3];
        match number {
            n if n < CUTS => Fate::Cut {
                from_server: dice.roll(2) == 0,
                after: dice.roll(spread) as usize,
            },
            _ => Fate::Fine,
        }
    };
    let proxy = Proxy::new(address(&b), Box::new(fates));
    introduce(&a, &b, Some(proxy.address.clone()));
    let met = proxy.met.clone();
    converse(&a, &b, seed, || met.load(Ordering::SeqCst) >= CUTS);
    assert_eq!(proxy.met.load(Ordering::SeqCst), CUTS, "seed {seed}");
    let (_, stats) = a.stats().remove(0);
    assert!(
        stats.reconnects > 100,
        "only {} of the cuts hit an established connection",
        stats.reconnects
    );
    agree(&a, &b);
    a.close();
    b.close();
}

#[test]
fn flipped_bits_are_found_and_the_messages_come_all_the_same() {
    const FLIPS: usize = 60;
    let seed = 7;
    let (a, b) = (
        Arc::new(link(&person("alice"), quick())),
        Arc::new(link(&person("bob"), quick())),
    );
    let mut dice = Dice(seed);
    let fates = move |number: usize| match number {
        n if n < FLIPS => Fate::Flip {
            from_server: n % 2 == 0,
            at: dice.roll([5_000, 200_000][n % 2]) as usize,
        },
        _ => Fate::Fine,
    };
    let proxy = Proxy::new(address(&b), Box::new(fates));
    introduce(&a, &b, Some(proxy.address.clone()));
    let met = proxy.met.clone();
    converse(&a, &b, seed, || met.load(Ordering::SeqCst) >= FLIPS);
    agree(&a, &b);
    let reasons: Vec<_> = a
        .watch(Duration::ZERO)
        .into_iter()
        .chain(b.watch(Duration::ZERO))
        .collect();
    assert!(
        reasons
            .iter()
            .any(|e| e.detail.contains("does not authenticate")),
        "{reasons:?}"
    );
}

#[test]
fn new_keys_after_so_many_records_are_not_noticed() {
    let mut config = quick();
    config.rekey_records = 50;
    let (a, b) = (
        Arc::new(link(&person("alice"), config.clone())),
        Arc::new(link(&person("bob"), config)),
    );
    introduce(&a, &b, None);
    converse(&a, &b, 3, || a.stats()[0].1.reconnects >= 5);
    agree(&a, &b);
}

#[test]
fn a_connection_that_falls_silent_is_replaced() {
    let (a, b) = (
        Arc::new(link(&person("alice"), quick())),
        Arc::new(link(&person("bob"), quick())),
    );
    let fates = |number: usize| {
        if number < 4 {
            Fate::Silence { after: 60_000 }
        } else {
            Fate::Fine
        }
    };
    let proxy = Proxy::new(address(&b), Box::new(fates));
    introduce(&a, &b, Some(proxy.address.clone()));
    converse(&a, &b, 4, || proxy.met.load(Ordering::SeqCst) >= 4);
    agree(&a, &b);
    let events = [a.watch(Duration::ZERO), b.watch(Duration::ZERO)].concat();
    assert!(
        events
            .iter()
            .any(|e| e.detail.contains("nothing was heard")),
        "{events:?}"
    );
}

#[test]
fn a_peer_that_cannot_be_reached_is_lost_in_time_on_both_sides() {
    let (a, b) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
    );
    let proxy = Proxy::new(address(&b), Box::new(|_| Fate::Fine));
    introduce(&a, &b, Some(proxy.address.clone()));
    let (inbox_a, inbox_b) = (
        a.open(session(1), None).expect("opened"),
        b.open(session(1), None).expect("opened"),
    );
    send(&a, "bob", session(1), b"before");
    assert_eq!(
        collect(&inbox_b, 1, PATIENCE),
        [("alice".to_owned(), Some(b"before".to_vec()))]
    );
    let start = Instant::now();
    proxy.close();
    assert_eq!(collect(&inbox_a, 1, PATIENCE), [("bob".to_owned(), None)]);
    assert_eq!(collect(&inbox_b, 1, PATIENCE), [("alice".to_owned(), None)]);
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(1300) && took < Duration::from_millis(4000),
        "{took:?}"
    );
    assert!(event(&a, "lost", PATIENCE).is_some());
    let refused = a.send("bob", session(1), &[b"after"], &mut |_| false);
    assert!(
        matches!(refused, Err(argot_link::Error::Lost { .. })),
        "{refused:?}"
    );
}
