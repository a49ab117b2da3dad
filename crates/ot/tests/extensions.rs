//! From base transfers to Ferret: correlations by their definition, bad messages by name.

mod common;

use argot_ot::params::Plan;
use argot_ot::setup::{answer_len, ReceiverSetup, SenderSetup};
use argot_ot::{Error, Params, ReceiverCots, SenderCots, Session};
use argot_prf::Backend;
use common::set_up;

fn wrong(sent: &SenderCots, received: &ReceiverCots) -> usize {
    let pairs = sent.blocks().iter().zip(received.blocks());
    pairs
        .filter(|(q, t)| **t != **q ^ if **t & 1 == 1 { sent.delta() } else { 0 } || **q & 1 == 1)
        .count()
}

#[test]
fn extensions_follow_one_another_without_end() {
    let (mut sender, mut receiver) = set_up(Session::new(&[1; 32], 0), Plan::small(), 1);
    let gain = Params::SMALL.gain();
    let (mut all, mut ones) = (Vec::new(), 0);
    for i in 0..3 {
        let (sent, message) = sender.extend().unwrap();
        assert_eq!(message.len(), Params::SMALL.message_len());
        let received = receiver.extend(&message).unwrap();
        assert_eq!((sent.len(), received.len()), (gain, gain));
        assert_eq!(
            (sent.first(), received.first()),
            (i * gain as u64, i * gain as u64)
        );
        assert_eq!(wrong(&sent, &received), 0);
        ones += received
            .choices()
            .iter()
            .map(|w| w.count_ones() as usize)
            .sum::<usize>();
        all.extend_from_slice(received.blocks());
    }
    // Fair bits: 3 gain / 2 with a standard deviation of 567.
    assert!(ones.abs_diff(3 * gain / 2) < 4000, "{ones}");
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 3 * gain);
}

#[test]
fn the_large_plan_holds_with_threads() {
    let (mut sender, mut receiver) = set_up(Session::new(&[1; 32], 1), Plan::large(), 2);
    for _ in 0..2 {
        let (sent, message) = sender.extend().unwrap();
        let received = receiver.extend(&message).unwrap();
        assert_eq!(sent.len(), Params::LARGE.gain());
        assert_eq!(wrong(&sent, &received), 0);
    }
}

#[test]
fn sessions_and_directions_have_nothing_in_common() {
    let mut blocks: Vec<u128> = Vec::new();
    for (id, rank) in [(1, 0), (1, 1), (2, 0)] {
        let (mut sender, _) = set_up(Session::new(&[id; 32], rank), Plan::small(), 1);
        blocks.extend_from_slice(&sender.extend().unwrap().0.blocks()[..1000]);
    }
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 3000);
}

/// A sender with one implementation of AES and a receiver with another.
#[test]
fn all_backends_agree() {
    let best = Backend::current();
    for backend in Backend::ALL.into_iter().filter(|b| b.is_available()) {
        let session = Session::new(&[4; 32], 0);
        assert!(backend.choose());
        let (sender, one) = SenderSetup::begin(session, Plan::small(), 1).unwrap();
        assert!(best.choose());
        let (receiver, two) = ReceiverSetup::answer(session, Plan::small(), 1, &one).unwrap();
        assert!(backend.choose());
        let (mut sender, three) = sender.finish(&two).unwrap();
        let (sent, message) = sender.extend().unwrap();
        assert!(best.choose());
        let received = receiver.finish(&three).unwrap().extend(&message).unwrap();
        assert_eq!(wrong(&sent, &received), 0, "{backend:?}");
    }
}

#[test]
fn messages_of_wrong_length_are_refused() {
    let session = Session::new(&[5; 32], 0);
    let plan = Plan::large();
    let (sender, one) = SenderSetup::begin(session, plan.clone(), 1).unwrap();
    for bad in [&one[1..], &[], &[one.clone(), vec![0]].concat()] {
        let refused = ReceiverSetup::answer(session, plan.clone(), 1, bad);
        assert!(matches!(refused, Err(Error::Length { .. })));
    }
    let (receiver, two) = ReceiverSetup::answer(session, plan.clone(), 1, &one).unwrap();
    assert_eq!(two.len(), answer_len(&plan));
    assert!(matches!(
        sender.finish(&two[..two.len() - 1]),
        Err(Error::Length { .. })
    ));
    assert!(matches!(receiver.finish(&[]), Err(Error::Length { .. })));

    let (sender, one) = SenderSetup::begin(session, plan.clone(), 1).unwrap();
    let (_, mut two) = ReceiverSetup::answer(session, plan, 1, &one).unwrap();
    two[..32].fill(0xff);
    assert!(matches!(sender.finish(&two), Err(Error::NotAPoint { .. })));

    let (mut sender, mut receiver) = set_up(session, Plan::small(), 1);
    let (sent, message) = sender.extend().unwrap();
    for bad in [&message[1..], &[], &[message.clone(), vec![0; 16]].concat()] {
        assert!(matches!(receiver.extend(bad), Err(Error::Length { .. })));
    }
    // A refused message changes nothing: the right one still fits.
    assert_eq!(wrong(&sent, &receiver.extend(&message).unwrap()), 0);
}

/// A changed byte spoils leaves of one tree, so some of the correlations of its block, and nothing panics.
#[test]
fn a_changed_byte_spoils_one_block() {
    let (mut sender, mut receiver) = set_up(Session::new(&[6; 32], 0), Plan::small(), 1);
    let (sent, mut message) = sender.extend().unwrap();
    let depth = Params::SMALL.depth();
    message[16 * depth * 5 + 17] ^= 0x40;
    let received = receiver.extend(&message).unwrap();
    let spoiled = wrong(&sent, &received);
    assert!(
        spoiled > 0 && spoiled <= Params::SMALL.leaves(),
        "{spoiled}"
    );
}

#[test]
fn taking_moves() {
    let (mut sent, mut received) = common::cots(0);
    let n = sent.len();
    let (a, b) = (sent.take(100).unwrap(), received.take(100).unwrap());
    assert_eq!((a.first(), b.first(), a.len(), b.len()), (0, 0, 100, 100));
    assert_eq!(wrong(&a, &b), 0);
    let (c, d) = (sent.take(7).unwrap(), received.take(7).unwrap());
    assert_eq!((c.first(), d.first()), (100, 100));
    assert_eq!(wrong(&c, &d), 0);
    assert_ne!(a.blocks()[0], c.blocks()[0]);
    assert_eq!(sent.len(), n - 107);
    assert!(
        matches!(sent.take(n), Err(Error::TooFew { got, want }) if got == n - 107 && want == n)
    );
    assert!(matches!(received.take(n), Err(Error::TooFew { .. })));
}
