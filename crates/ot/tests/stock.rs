//! Nothing comes out of a stock twice, whenever a party stops.

use argot_ot::params::Plan;
use argot_ot::pool::{Makes, ReceiverPool, SenderPool};
use argot_ot::stock::{id as stock_id, Id, Side, Stock};
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
        Stock::open(&self.0.join(party), gain()).unwrap()
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

fn gain() -> usize {
    Plan::small().last().word_gain()
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
        let (message, put) = sender.extend_into(&one).unwrap();
        let id = put.unwrap();
        let theirs = receiver.extend_into(&other, &message).unwrap();
        assert_eq!((theirs.unwrap(), stock_id(&message)), (id, id));
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
fn files_that_are_none_are_refused_and_given_up() {
    let place = Place::new("files");
    let (_one, other, ids) = filled(&place, 2);
    let path = |id: &Id| {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        place.0.join("other").join(format!("{hex}.received"))
    };
    let whole = std::fs::read(path(&ids[0])).unwrap();
    std::fs::write(path(&ids[0]), &whole[..whole.len() - 16]).unwrap();
    std::fs::write(path(&ids[1]), vec![0; whole.len()]).unwrap();
    // A cut one does not count; one of the right length is looked into.
    assert_eq!(other.ids(Side::Receiver).unwrap(), [ids[1]]);
    for id in &ids {
        let refused = other.take(Side::Receiver, id).err();
        assert!(matches!(refused, Some(Error::NotAStock(_))), "{refused:?}");
    }
    std::fs::write(path(&ids[0]), &whole[..100]).unwrap();
    std::fs::write(place.0.join("other").join("stray.received"), b"").unwrap();
    other.keep(Side::Receiver, &ids[1..]).unwrap();
    assert!(place.files("other").is_empty());
}

/// Else the next extension of the two would not fit.
#[test]
fn the_message_goes_out_where_the_disk_does_not_do() {
    let place = Place::new("full");
    let (one, other) = (place.stock("one"), place.stock("other"));
    let (sender, receiver) = pools();
    std::fs::remove_dir_all(place.0.join("one")).unwrap();
    let (message, put) = sender.extend_into(&one).unwrap();
    assert!(matches!(put, Err(Error::File(..))), "{put:?}");
    std::fs::remove_dir_all(place.0.join("other")).unwrap();
    let put = receiver.extend_into(&other, &message).unwrap();
    assert!(matches!(put, Err(Error::File(..))), "{put:?}");
    receiver.extend(&sender.extend().unwrap()).unwrap();
    hold(&sender, &receiver, 0, 100);
}

#[test]
fn a_closed_stock_is_free_whoever_holds_it() {
    let place = Place::new("closed");
    let held = place.stock("one");
    held.close();
    place.stock("one");
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
    assert_ne!(stock_id(b"one"), stock_id(b"other"));
    let second = Stock::open(&place.0.join("one"), gain()).err();
    assert!(matches!(second, Some(Error::StockInUse(_))), "{second:?}");
    drop(one);
    let open = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(place.0.join("one"), open).unwrap();
    let seen = Stock::open(&place.0.join("one"), gain()).err();
    assert!(matches!(seen, Some(Error::NotAStock(_))), "{seen:?}");
}
