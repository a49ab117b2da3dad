//! Nothing comes out of a stock twice, whenever a party stops.

use argot_ot::params::Plan;
use argot_ot::pool::{Makes, ReceiverPool, SenderPool};
use argot_ot::stock::{id, Id, Side, Stock};
use argot_ot::{Error, Session};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A directory that goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("argot-stock-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn stock(&self, party: &str) -> Stock {
        Stock::open(&self.0.join(party)).unwrap()
    }

    fn files(&self, party: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.join(party)).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.file_name().unwrap() != "lock");
        files
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pools() -> (SenderPool, ReceiverPool) {
    let session = Session::new(&[5; 32], 0);
    let sender = SenderPool::new(session, Plan::small(), 1, Makes::Products);
    let receiver = ReceiverPool::new(session, Plan::small(), 1, Makes::Products);
    let answer = receiver.answer(&sender.begin().unwrap()).unwrap();
    receiver.finish(&sender.finish(&answer).unwrap()).unwrap();
    (sender, receiver)
}

/// `n` extensions in the stocks of both.
fn filled(place: &Place, n: usize) -> (Stock, Stock, Vec<Id>) {
    let (one, other) = (place.stock("one"), place.stock("other"));
    let (sender, receiver) = pools();
    let made = (0..n).map(|_| {
        let (id, message) = sender.extend_into(&one).unwrap();
        assert_eq!(receiver.extend_into(&other, &message).unwrap(), id);
        id
    });
    let ids = made.collect();
    assert_eq!((sender.made(), receiver.made()), (0, 0));
    (one, other, ids)
}

fn hold(sender: &SenderPool, receiver: &ReceiverPool, start: u64, n: usize) {
    let (b, u) = sender.take_words(start, n).unwrap();
    let (a, v) = receiver.take_words(start, n).unwrap();
    assert!((0..n).all(|i| u[i] ^ v[i] == a[i] & b[i]));
    assert!(b.iter().any(|word| *word != 0) && a.iter().any(|word| *word != 0));
}

#[test]
fn products_outlast_the_processes_that_made_them() {
    let place = Place::new("restart");
    let (one, other, ids) = filled(&place, 2);
    drop((one, other));

    let (one, other) = (place.stock("one"), place.stock("other"));
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(one.ids(Side::Sender).unwrap(), sorted);
    assert_eq!(other.ids(Side::Receiver).unwrap(), sorted);
    assert_eq!(one.ids(Side::Receiver).unwrap(), Vec::<Id>::new());
    let (sender, receiver) = pools();
    // Beside what the new pools make themselves.
    receiver.extend(&sender.extend().unwrap()).unwrap();
    for id in &ids {
        sender.load(&one, id).unwrap();
        receiver.load(&other, id).unwrap();
    }
    let gain = sender.gain() as u64;
    assert_eq!((sender.made(), receiver.made()), (3 * gain, 3 * gain));
    for start in [0, gain - 5, gain + 1000, 3 * gain - 10] {
        hold(&sender, &receiver, start, 10);
    }
}

#[test]
fn none_is_used_again_after_a_restart() {
    let place = Place::new("again");
    let (one, other, ids) = filled(&place, 1);
    let (sender, _) = pools();
    sender.load(&one, &ids[0]).unwrap();
    assert!(place.files("one").is_empty(), "gone before it is used");
    drop(one);

    let one = place.stock("one");
    let again = sender.load(&one, &ids[0]);
    assert!(matches!(again, Err(Error::AlreadyUsed(_))), "{again:?}");
    // What the other one still has it gives up when they meet.
    other
        .keep(Side::Receiver, &one.ids(Side::Sender).unwrap())
        .unwrap();
    assert!(place.files("other").is_empty());
    let (_, receiver) = pools();
    let late = receiver.load(&other, &ids[0]);
    assert!(matches!(late, Err(Error::AlreadyUsed(_))), "{late:?}");
}

#[test]
fn what_was_not_finished_is_not_there() {
    let place = Place::new("crash");
    let (one, _other, ids) = filled(&place, 1);
    let path = place.files("one").pop().unwrap();
    let partial = path.with_extension("partial");
    std::fs::rename(&path, &partial).unwrap();
    drop(one);
    let one = place.stock("one");
    assert!(one.ids(Side::Sender).unwrap().is_empty() && !partial.exists());
    assert!(matches!(
        one.take(Side::Sender, &ids[0]),
        Err(Error::AlreadyUsed(_))
    ));
}

#[test]
fn files_that_are_none_are_refused() {
    let place = Place::new("files");
    let (_one, other, ids) = filled(&place, 2);
    let whole = std::fs::read(place.files("other").pop().unwrap()).unwrap();
    for bytes in [&whole[..whole.len() - 1], &[0; 32]] {
        let path = place.files("other").pop().unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        std::fs::write(&path, bytes).unwrap();
        let id = ids.iter().find(|id| {
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            hex == name
        });
        let refused = other.take(Side::Receiver, id.unwrap()).err();
        assert!(matches!(refused, Some(Error::NotAStock(_))), "{refused:?}");
    }
}

#[test]
fn files_are_their_owners_alone_and_named_by_the_message() {
    let place = Place::new("owner");
    let (one, _other, ids) = filled(&place, 1);
    for path in place.files("one") {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(matches!(
        one.put(Side::Sender, &ids[0], &[1]),
        Err(Error::AlreadyUsed(_))
    ));
    assert_ne!(id(b"one"), id(b"other"));
    let second = Stock::open(&place.0.join("one")).err();
    assert!(matches!(second, Some(Error::StockInUse(_))), "{second:?}");
    drop(one);
    let open = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(place.0.join("one"), open).unwrap();
    let seen = Stock::open(&place.0.join("one")).err();
    assert!(matches!(seen, Some(Error::NotAStock(_))), "{seen:?}");
}
