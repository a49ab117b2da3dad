//! Nothing comes out of a stock twice, whenever a party stops.

mod common;

use argot_ot::stock::{ReceiverStock, SenderStock, HELLO, MAGIC};
use argot_ot::{Error, ReceiverCots, SenderCots};
use common::cots;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

/// A directory that goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("argot-stock-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn sender(&self) -> PathBuf {
        self.0.join("sender")
    }

    fn receiver(&self) -> PathBuf {
        self.0.join("receiver")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Stocks of `n` correlations, and the 1000 that follow.
fn stocks(place: &Place, n: usize) -> (SenderStock, ReceiverStock, SenderCots, ReceiverCots) {
    let (mut sent, mut received) = cots(0);
    let sender = SenderStock::create(&place.sender(), sent.take(n).unwrap()).unwrap();
    let receiver = ReceiverStock::create(&place.receiver(), received.take(n).unwrap()).unwrap();
    (
        sender,
        receiver,
        sent.take(1000).unwrap(),
        received.take(1000).unwrap(),
    )
}

fn hold(sent: &SenderCots, received: &ReceiverCots) {
    assert_eq!(
        (sent.first(), sent.len()),
        (received.first(), received.len())
    );
    for (q, t) in sent.blocks().iter().zip(received.blocks()) {
        assert_eq!(*t, q ^ if t & 1 == 1 { sent.delta() } else { 0 });
    }
}

#[test]
fn stocks_last_over_openings_and_are_filled_up() {
    let place = Place::new("openings");
    let (mut sender, mut receiver, more_sent, more_received) = stocks(&place, 5000);
    for path in [place.sender(), place.receiver()] {
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    hold(&sender.take(100).unwrap(), &receiver.take(100).unwrap());
    drop((sender, receiver));

    let mut sender = SenderStock::open(&place.sender()).unwrap();
    let mut receiver = ReceiverStock::open(&place.receiver()).unwrap();
    let (ours, theirs) = (sender.hello(), receiver.hello());
    assert_eq!(ours.len(), HELLO);
    sender.meet(&theirs).unwrap();
    receiver.meet(&ours).unwrap();
    assert_eq!(
        (sender.position(), sender.len(), receiver.len()),
        (100, 4900, 4900)
    );
    let (sent, received) = (sender.take(4900).unwrap(), receiver.take(4900).unwrap());
    hold(&sent, &received);
    assert!(matches!(
        sender.take(1),
        Err(Error::TooFew { got: 0, want: 1 })
    ));

    sender.put(more_sent).unwrap();
    receiver.put(more_received).unwrap();
    let (sent, received) = (sender.take(1000).unwrap(), receiver.take(1000).unwrap());
    assert_eq!(sent.first(), 5000);
    hold(&sent, &received);
    // What comes out of a stock is spent like any other.
    assert_eq!(
        sent.random(8).unwrap()[0].len(),
        received.random(8).unwrap().len()
    );
}

/// The same session id and direction, set up twice: what the two give is never mixed.
#[test]
fn stocks_of_two_set_ups_do_not_meet() {
    let place = Place::new("set-ups");
    let (sender, mut receiver, ..) = stocks(&place, 100);
    drop(sender);
    std::fs::remove_file(place.sender()).unwrap();
    let (mut sent, _) = cots(0);
    let mut sender = SenderStock::create(&place.sender(), sent.take(100).unwrap()).unwrap();
    for refused in [
        sender.meet(&receiver.hello()),
        receiver.meet(&sender.hello()),
    ] {
        assert!(
            matches!(refused, Err(Error::OtherStock { .. })),
            "{refused:?}"
        );
    }
    let (_, mut received) = cots(0);
    received.take(100).unwrap();
    let refused = receiver.put(received.take(10).unwrap());
    assert!(
        matches!(refused, Err(Error::OtherStock { .. })),
        "{refused:?}"
    );
}

/// Blocks that are given up are as gone as those that are used.
#[test]
fn skipped_blocks_are_wiped() {
    let place = Place::new("skipped");
    let (mut sender, receiver, ..) = stocks(&place, 200_000);
    sender.take_at(150_000, 10).unwrap();
    let zeros = |path: PathBuf| {
        let file = std::fs::read(path).unwrap();
        let blocks = file[4096..].as_chunks::<16>().0;
        blocks.iter().take_while(|b| **b == [0; 16]).count()
    };
    assert_eq!(zeros(place.sender()), 150_010);
    drop(receiver);
    let mut receiver = ReceiverStock::open(&place.receiver()).unwrap();
    assert_eq!(zeros(place.receiver()), 0);
    receiver.meet(&sender.hello()).unwrap();
    assert_eq!(zeros(place.receiver()), 150_010);
}

/// One party took what the other never did: both go on from the later place.
#[test]
fn a_party_that_stopped_catches_up() {
    let place = Place::new("stopped");
    let (mut sender, receiver, ..) = stocks(&place, 5000);
    sender.take(1234).unwrap();
    drop((sender, receiver));
    let mut sender = SenderStock::open(&place.sender()).unwrap();
    let mut receiver = ReceiverStock::open(&place.receiver()).unwrap();
    let (ours, theirs) = (sender.hello(), receiver.hello());
    sender.meet(&theirs).unwrap();
    receiver.meet(&ours).unwrap();
    assert_eq!((sender.position(), receiver.position()), (1234, 1234));
    // The jump is on the disk, too.
    drop(receiver);
    let mut receiver = ReceiverStock::open(&place.receiver()).unwrap();
    assert_eq!((receiver.position(), receiver.len()), (1234, 0)); // nothing before they have met again
    receiver.meet(&sender.hello()).unwrap();
    hold(&sender.take(10).unwrap(), &receiver.take(10).unwrap());
}

#[test]
fn nothing_comes_twice() {
    let place = Place::new("twice");
    let (mut sender, mut receiver, ..) = stocks(&place, 5000);
    let first = sender.take(100).unwrap();
    for position in [0, 50, 99] {
        let again = sender.take_at(position, 10);
        assert!(matches!(again, Err(Error::AlreadyUsed { cursor: 100, .. })));
    }
    hold(
        &sender.take_at(300, 5).unwrap(),
        &receiver.take_at(300, 5).unwrap(),
    );
    assert!(matches!(
        receiver.take_at(299, 1),
        Err(Error::AlreadyUsed {
            position: 299,
            cursor: 305
        })
    ));
    assert!(matches!(
        sender.take_at(u64::MAX, 1),
        Err(Error::TooFew { .. })
    ));
    // The cursor was on the disk when they came out, and used blocks are gone from it.
    let file = std::fs::read(place.sender()).unwrap();
    assert_eq!(file[80..88], 305u64.to_le_bytes());
    assert!(file[4096..4096 + 1600].iter().all(|b| *b == 0));
    assert!(first.blocks().iter().any(|q| *q != 0));
    assert!(matches!(
        SenderStock::open(&place.sender()),
        Err(Error::StockInUse(_))
    ));
    drop(sender);
    assert_eq!(SenderStock::open(&place.sender()).unwrap().position(), 305);
}

/// What a crash between any two writes leaves.
#[test]
fn crashes_lose_and_never_repeat() {
    let place = Place::new("crashes");
    let (sender, receiver, more, _) = stocks(&place, 500);
    drop((sender, receiver));
    let edit = || {
        std::fs::OpenOptions::new()
            .write(true)
            .open(place.sender())
            .unwrap()
    };

    // The cursor was moved, and the blocks never read.
    edit().write_all_at(&77u64.to_le_bytes(), 80).unwrap();
    assert_eq!(SenderStock::open(&place.sender()).unwrap().position(), 77);

    // Blocks were put, and the end never moved: they are put again.
    edit().write_all_at(&[0xee; 160], 4096 + 16 * 500).unwrap();
    let mut sender = SenderStock::open(&place.sender()).unwrap();
    assert_eq!(sender.len(), 0);
    let want = more.blocks().to_vec();
    sender.put(more).unwrap();
    assert!(matches!(
        sender.take(1),
        Err(Error::TooFew { got: 0, want: 1 })
    ));
    let receiver = ReceiverStock::open(&place.receiver()).unwrap();
    let mut hello = receiver.hello();
    hello[40..48].copy_from_slice(&1500u64.to_le_bytes()); // it has put as many
    sender.meet(&hello).unwrap();
    assert_eq!(sender.len(), 1423);
    assert_eq!(sender.take_at(500, 1000).unwrap().blocks(), want);
    drop(sender);

    // The file was being made.
    edit().write_all_at(&[0; 8], 0).unwrap();
    assert!(matches!(
        SenderStock::open(&place.sender()),
        Err(Error::NotAStock(_))
    ));
    edit().write_all_at(&MAGIC, 0).unwrap();
    edit().set_len(4096 + 16 * 100).unwrap();
    assert!(matches!(
        SenderStock::open(&place.sender()),
        Err(Error::NotAStock(_))
    ));
    edit().set_len(100).unwrap();
    assert!(matches!(
        SenderStock::open(&place.sender()),
        Err(Error::NotAStock(_))
    ));
}

#[test]
fn only_stocks_made_together_meet() {
    let place = Place::new("together");
    let (mut sender, receiver, _, received) = stocks(&place, 500);
    let mut hello = receiver.hello();
    assert!(matches!(
        sender.meet(&hello[1..]),
        Err(Error::Length {
            got: 47,
            want: 48,
            ..
        })
    ));
    hello[3] ^= 1;
    assert!(matches!(sender.meet(&hello), Err(Error::OtherStock { .. })));
    assert_eq!(sender.position(), 0);
    let (of_the_other_direction, _) = cots(1);
    assert!(sender.put(of_the_other_direction).is_err());
    // A cursor beyond everything leaves nothing, and breaks nothing.
    let mut hello = receiver.hello();
    hello[32..].fill(0xff);
    sender.meet(&hello).unwrap();
    assert_eq!((sender.position(), sender.len()), (500, 0));

    let other = place.0.join("other");
    assert!(matches!(
        SenderStock::open(&place.receiver()),
        Err(Error::StockInUse(_))
    ));
    drop(receiver);
    assert!(matches!(
        SenderStock::open(&place.receiver()),
        Err(Error::NotAStock(_))
    ));
    assert!(matches!(SenderStock::open(&other), Err(Error::File(..))));
    assert!(matches!(
        ReceiverStock::create(&place.sender(), received),
        Err(Error::File(..))
    ));
    std::fs::set_permissions(place.receiver(), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        ReceiverStock::open(&place.receiver()),
        Err(Error::NotAStock(_))
    ));
}
