//! A pool on each side: set-up, extensions, and correlations taken at any place.

use argot_ot::params::Plan;
use argot_ot::pool::{extension_len, Makes, ReceiverPool, SenderPool};
use argot_ot::{Error, Session};

fn sides(plan: Plan) -> (SenderPool, ReceiverPool) {
    sides_of(plan, Makes::Correlations)
}

fn sides_of(plan: Plan, makes: Makes) -> (SenderPool, ReceiverPool) {
    let session = Session::new(&[3; 32], 1);
    let sender = SenderPool::new(session, plan.clone(), 2, makes);
    let receiver = ReceiverPool::new(session, plan, 2, makes);
    let answer = receiver.answer(&sender.begin().unwrap()).unwrap();
    receiver.finish(&sender.finish(&answer).unwrap()).unwrap();
    (sender, receiver)
}

fn extended(sender: &SenderPool, receiver: &ReceiverPool) {
    receiver.extend(&sender.extend().unwrap()).unwrap();
}

#[test]
fn correlations_hold_wherever_they_are_taken() {
    for plan in [Plan::small(), Plan::large()] {
        let (sender, receiver) = sides(plan);
        for _ in 0..2 {
            extended(&sender, &receiver);
        }
        let gain = sender.plan().last().gain() as u64;
        assert_eq!((sender.made(), receiver.made()), (2 * gain, 2 * gain));
        let mut ones = 0;
        for (start, n) in [
            (gain - 10, 20),
            (0, 1000),
            (2 * gain - 5, 5),
            (1000, 1),
            (7777, 0),
        ] {
            let (sent, received) = (sender.take(start, n), receiver.take(start, n));
            let (sent, received) = (sent.unwrap(), received.unwrap());
            assert_eq!((sent.len(), sent.first()), (n, start));
            assert_eq!((received.len(), received.first()), (n, start));
            for (q, t) in sent.blocks().iter().zip(received.blocks()) {
                assert_eq!(q & 1, 0);
                assert_eq!(q ^ t, if t & 1 == 1 { sent.delta() } else { 0 });
                ones += t & 1;
            }
        }
        assert!((400..600).contains(&ones), "{ones}");
    }
}

#[test]
fn none_is_taken_twice_or_before_it_is_made() {
    let (sender, receiver) = sides(Plan::small());
    let early = sender.take(0, 1).err();
    assert!(
        matches!(
            early,
            Some(Error::Missing {
                start: 0,
                n: 1,
                made: 0
            })
        ),
        "{early:?}"
    );
    extended(&sender, &receiver);
    sender.take(100, 50).unwrap();
    receiver.take(100, 50).unwrap();
    for (start, n) in [(100, 50), (149, 1), (90, 11), (0, 1000), (120, 5)] {
        for again in [sender.take(start, n).err(), receiver.take(start, n).err()] {
            assert!(
                matches!(
                    again,
                    Some(Error::Reused {
                        before: (100, 150),
                        ..
                    })
                ),
                "{start} {n} {again:?}"
            );
        }
    }
    // Nothing was lost by what was refused.
    assert_eq!(sender.take(0, 100).unwrap().len(), 100);
    let gain = sender.made();
    for (start, n) in [(gain - 1, 2), (gain, 1), (u64::MAX, 2), (0, usize::MAX)] {
        let missing = receiver.take(start, n).err();
        assert!(
            matches!(missing, Some(Error::Missing { .. })),
            "{missing:?}"
        );
    }
}

#[test]
fn steps_out_of_turn_and_wrong_lengths_are_refused() {
    let plan = Plan::large();
    let session = Session::new(&[3; 32], 1);
    let sender = SenderPool::new(session, plan.clone(), 1, Makes::Correlations);
    let receiver = ReceiverPool::new(session, plan.clone(), 1, Makes::Correlations);
    let refused =
        |error: Option<Error>| assert!(matches!(error, Some(Error::OutOfTurn { .. })), "{error:?}");
    let short =
        |error: Option<Error>| assert!(matches!(error, Some(Error::Length { .. })), "{error:?}");
    refused(sender.extend().err());
    refused(sender.finish(&[]).err());
    refused(receiver.finish(&[]).err());
    refused(receiver.extend(&[]).err());
    short(receiver.answer(&[0; 10]).err());
    let request = sender.begin().unwrap();
    refused(sender.begin().err());
    refused(sender.extend().err());
    let answer = receiver.answer(&request).unwrap();
    refused(receiver.answer(&request).err());
    short(sender.finish(&answer[1..]).err());
    let last = sender.finish(&answer).unwrap();
    refused(sender.finish(&answer).err());
    short(receiver.finish(&[&last[..], &[0]].concat()).err());
    receiver.finish(&last).unwrap();
    refused(receiver.finish(&last).err());
    let message = sender.extend().unwrap();
    assert_eq!(message.len(), extension_len(&plan));
    short(receiver.extend(&message[8..]).err());
    let mut later = message.clone();
    later[0] ^= 1;
    let error = receiver.extend(&later).err();
    assert!(matches!(error, Some(Error::OutOfOrder { got: 1, want: 0 })));
    // None of it did harm.
    receiver.extend(&message).unwrap();
    let (sent, received) = (sender.take(5, 1).unwrap(), receiver.take(5, 1).unwrap());
    let (q, t) = (sent.blocks()[0], received.blocks()[0]);
    assert_eq!(q ^ t, if t & 1 == 1 { sent.delta() } else { 0 });
}

#[test]
fn a_set_up_with_bytes_that_are_no_points_fails_for_good() {
    let session = Session::new(&[4; 32], 0);
    let receiver = ReceiverPool::new(session, Plan::small(), 1, Makes::Correlations);
    let sender = SenderPool::new(session, Plan::small(), 1, Makes::Correlations);
    let request = sender.begin().unwrap();
    let error = receiver.answer(&vec![0xff; request.len()]).err();
    assert!(matches!(error, Some(Error::NotAPoint { .. })), "{error:?}");
    let mut answer = receiver.answer(&request).unwrap();
    answer[..32].fill(0xff);
    let error = sender.finish(&answer).err();
    assert!(matches!(error, Some(Error::NotAPoint { .. })), "{error:?}");
    let error = sender.extend().err();
    assert!(matches!(error, Some(Error::OutOfTurn { .. })), "{error:?}");
}

#[test]
fn several_threads_take_while_others_extend() {
    let (sender, receiver) = sides(Plan::small());
    extended(&sender, &receiver);
    let first = sender.made();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..3).for_each(|_| extended(&sender, &receiver)));
        for thread in 0..3 {
            let (sender, receiver) = (&sender, &receiver);
            scope.spawn(move || {
                for i in 0..100 {
                    let start = (3 * i + thread) * 1000;
                    let sent = sender.take(start, 1000).unwrap();
                    let received = receiver.take(start, 1000).unwrap();
                    for (q, t) in sent.blocks().iter().zip(received.blocks()) {
                        assert_eq!(q ^ t, if t & 1 == 1 { sent.delta() } else { 0 });
                    }
                }
            });
        }
    });
    assert!(first > 300_000 && sender.made() == 4 * first);
    assert!(matches!(sender.take(0, 300_000), Err(Error::Reused { .. })));
}

#[test]
fn products_hold_wherever_they_are_taken() {
    for plan in [Plan::small(), Plan::large()] {
        let (sender, receiver) = sides_of(plan, Makes::Products);
        for _ in 0..2 {
            extended(&sender, &receiver);
        }
        let gain = sender.gain() as u64;
        assert_eq!((sender.made(), receiver.made()), (2 * gain, 2 * gain));
        let params = sender.plan().last();
        let lost = params.gain() - 64 * gain as usize;
        assert!(lost < params.leaves(), "less than a tree: {lost}");
        let (mut ones, mut bits) = ([0u64; 4], 0);
        for (start, n) in [(gain - 3, 70), (0, 500), (2 * gain - 1, 1), (1000, 0)] {
            let (b, u) = sender.take_words(start, n).unwrap();
            let (a, v) = receiver.take_words(start, n).unwrap();
            assert!([&a, &b, &u, &v].iter().all(|words| words.len() == n));
            for i in 0..n {
                assert_eq!(u[i] ^ v[i], a[i] & b[i]);
                for (ones, word) in ones.iter_mut().zip([a[i], b[i], u[i], v[i]]) {
                    *ones += u64::from(word.count_ones());
                }
            }
            bits += 64 * n as u64;
        }
        // 2 ones - bits has a deviation of the root of bits, which are 36,544.
        for ones in ones {
            assert!((2 * ones).abs_diff(bits) < 7 * 192, "{ones} of {bits}");
        }
        for again in [sender.take_words(0, 1), receiver.take_words(gain - 3, 1)] {
            assert!(matches!(again, Err(Error::Reused { .. })), "{again:?}");
        }
        let early = sender.take_words(2 * gain, 1);
        assert!(matches!(early, Err(Error::Missing { .. })), "{early:?}");
        assert!(matches!(sender.take(1000, 1), Err(Error::Shape(_))));
    }
    let (sender, _) = sides(Plan::small());
    assert!(matches!(sender.take_words(0, 1), Err(Error::Shape(_))));
}
