//! Somebody between two agents, at every record of a connection: the handshake, the hellos, and messages. Nothing but
//! what was sent is ever delivered, and both ends say why the connection ended.

mod common;

use std::sync::atomic::Ordering;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use argot_link::SessionId;
use common::{
    address, collect, introduce, link, person, quick, send, Edit, Fate, Proxy, EDITS, PATIENCE,
};

const SESSION: SessionId = [7; 16];
/// Records of the handshake in each direction; then comes the hello, and then what this test sends.
const HELLO: usize = 3;
const RECORDS: usize = HELLO + 1 + MESSAGES - 2;
const MESSAGES: usize = 6;

fn message(from: &str, number: usize) -> Vec<u8> {
    format!("{from} {number}")
        .repeat(40 * number + 1)
        .into_bytes()
}

/// Messages both ways, one by one, over a connection with this fate, and then over those that take its place. Returns
/// whether the fate was met, and the reasons that both ends gave.
fn converse(fate: Fate) -> (bool, [Vec<String>; 2]) {
    let (a, b) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
    );
    let fates = move |number: usize| if number == 0 { fate } else { Fate::Fine };
    let proxy = Proxy::new(address(&b), Box::new(fates));
    introduce(&a, &b, Some(proxy.address.clone()));
    let at_a = a.open(SESSION, None).expect("opened");
    let at_b = b.open(SESSION, None).expect("opened");
    for number in 0..MESSAGES {
        for (from, to, inbox) in [(&a, &b, &at_b), (&b, &a, &at_a)] {
            let sent = message(from.name(), number);
            send(from, to.name(), SESSION, &sent);
            let wanted = [(from.name().to_owned(), Some(sent))];
            assert_eq!(collect(inbox, 1, PATIENCE), wanted, "{fate:?}");
        }
    }
    for inbox in [&at_a, &at_b] {
        assert!(
            inbox.take(Duration::from_millis(20), &[]).is_none(),
            "{fate:?}: more than was sent"
        );
    }
    let met = proxy.met.load(Ordering::SeqCst) > 0;
    let reasons = [&a, &b].map(|link| {
        let ended = link.watch(Duration::ZERO).into_iter();
        let ended = ended.filter(|event| ["down", "rejected"].contains(&event.kind));
        ended
            .map(|event| format!("{} {}", event.kind, event.detail))
            .collect()
    });
    a.close();
    b.close();
    (met, reasons)
}

/// What the end that receives a changed record says of it.
const NOTICED: [&str; 2] = ["does not authenticate", "not a TLS 1.3 record"];

fn judge(fate: Fate, met: bool, reasons: &[Vec<String>; 2]) {
    let Fate::Record {
        from_server,
        number,
        edit,
    } = fate
    else {
        panic!("{fate:?}")
    };
    let ignored = [Edit::Drop, Edit::Replay, Edit::Swap].contains(&edit);
    match number {
        // What only looks like TLS 1.2 has no meaning (RFC 8446, appendix D.4).
        1 if ignored => assert!(met, "{fate:?}"),
        // In the handshake, whoever notices says so; to the other it is a connection that ended.
        0..HELLO => assert!(!reasons.concat().is_empty(), "{fate:?}"),
        _ => {
            let [receives, sends] = if from_server { [0, 1] } else { [1, 0] };
            let says = |what: &&str| reasons[receives].iter().any(|text| text.contains(*what));
            assert!(met && NOTICED.iter().any(says), "{fate:?}: {reasons:?}");
            assert!(!reasons[sends].is_empty(), "{fate:?}: {reasons:?}");
        }
    }
}

#[test]
fn a_record_that_is_changed_is_named_by_both_ends_and_what_was_sent_arrives() {
    let mut fates = Vec::new();
    for edit in EDITS {
        for from_server in [false, true] {
            for number in 0..RECORDS {
                fates.push(Fate::Record {
                    from_server,
                    number,
                    edit,
                });
            }
        }
    }
    let fates = Mutex::new(fates);
    let next = || fates.lock().expect("no panic").pop();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(fate) = next() {
                    let (met, reasons) = converse(fate);
                    judge(fate, met, &reasons);
                }
            });
        }
    });
}

#[test]
fn peers_of_whom_one_cannot_hear_the_other_are_lost_to_each_other() {
    let mut fates = Vec::new();
    for edit in EDITS {
        for from_server in [false, true] {
            // The last of the handshake, the hello, and what comes first after it.
            for number in [HELLO - 1, HELLO, HELLO + 1] {
                fates.push(Fate::Record {
                    from_server,
                    number,
                    edit,
                });
            }
        }
    }
    let fates = Mutex::new(fates);
    let next = || fates.lock().expect("no panic").pop();
    std::thread::scope(|scope| {
        for _ in 0..18 {
            scope.spawn(|| {
                while let Some(fate) = next() {
                    lose(fate);
                }
            });
        }
    });
}

/// Every connection but the first has this fate.
fn lose(fate: Fate) {
    let what = format!("{fate:?}");
    let (a, b) = (
        link(&person("alice"), quick()),
        link(&person("bob"), quick()),
    );
    let fates = move |number: usize| if number == 0 { Fate::Fine } else { fate };
    let proxy = Proxy::new(address(&b), Box::new(fates));
    introduce(&a, &b, Some(proxy.address.clone()));
    let at_a = a.open(SESSION, None).expect("opened");
    let at_b = b.open(SESSION, None).expect("opened");
    for (from, to, inbox) in [(&a, &b, &at_b), (&b, &a, &at_a)] {
        send(from, to.name(), SESSION, b"before");
        assert_eq!(collect(inbox, 1, PATIENCE).len(), 1, "{what}");
    }
    proxy.cut();
    let start = Instant::now();
    for (inbox, other) in [(&at_b, "alice"), (&at_a, "bob")] {
        assert_eq!(
            collect(inbox, 1, PATIENCE),
            [(other.to_owned(), None)],
            "{what}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(6), "{what}");
}
