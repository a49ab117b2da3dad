//! Leaves of a comparison: every pair of digits, and numbers of odd widths.

mod common;

use argot_ot::digits::{digits_len, message_len, Questions, MOST_NEAR};
use argot_ot::{Error, ReceiverCots, SenderCots};
use common::{bit, cots, words};

/// The planes of numbers.
fn planes(numbers: &[u64], width: usize) -> Vec<u64> {
    let words = numbers.len().div_ceil(64);
    let mut planes = vec![0; width * words];
    for (e, number) in numbers.iter().enumerate() {
        for p in 0..width {
            planes[p * words + e / 64] |= (number >> p & 1) << (e % 64);
        }
    }
    planes
}

/// Shares of g and p against the definition, for all numbers at once.
fn check(from: &mut (SenderCots, ReceiverCots), a: &[u64], c: &[u64], width: usize, bits: u32) {
    let size = a.len();
    let (sent, received) = (from.0.take(width * size), from.1.take(width * size));
    let (received, request) = received
        .unwrap()
        .choose_planes(&planes(c, width), size)
        .unwrap();
    let sent = sent.unwrap().follow(&request).unwrap();
    let (g0, p0, message) = sent.digits(&planes(a, width), size, bits).unwrap();
    assert_eq!(message.len(), digits_len(size, width, bits));
    let (g1, p1) = received.digits(size, bits, &message).unwrap();
    let digits = width.div_ceil(bits as usize);
    let words = size.div_ceil(64);
    for x in [&g0, &p0, &g1, &p1] {
        assert_eq!(x.len(), digits * words);
        assert!(
            size.is_multiple_of(64) || x.chunks(words).all(|x| x[words - 1] >> (size % 64) == 0)
        );
    }
    for d in 0..digits {
        let b = (bits as usize).min(width - d * bits as usize);
        for e in 0..size {
            let digit = |x: &[u64]| x[e] >> (d * bits as usize) & ((1 << b) - 1);
            let sum = digit(a) + digit(c);
            let at = |x: &[u64]| bit(&x[d * words..], e);
            assert_eq!(
                at(&g0) ^ at(&g1),
                sum >= 1 << b,
                "{size} {width} {bits} {d} {e}"
            );
            assert_eq!(
                at(&p0) ^ at(&p1),
                sum + 1 == 1 << b,
                "{size} {width} {bits} {d} {e}"
            );
        }
    }
    if size > 1000 {
        for x in [&g0, &p0, &g1, &p1] {
            let ones: u32 = x.iter().map(|w| w.count_ones()).sum();
            let n = (digits * size) as u32;
            assert!(
                (n * 2 / 5..n * 3 / 5).contains(&ones),
                "shares are random: {ones} of {n}"
            );
        }
    }
}

#[test]
fn every_pair_of_digits() {
    let mut from = cots(0);
    for bits in 1..=4 {
        let pairs = 1 << (2 * bits);
        let a: Vec<u64> = (0..pairs).map(|i| i >> bits).collect();
        let c: Vec<u64> = (0..pairs).map(|i| i & ((1 << bits) - 1)).collect();
        for width in 1..=bits as usize {
            let low = |x: &[u64]| x.iter().map(|x| x & ((1 << width) - 1)).collect::<Vec<_>>();
            check(&mut from, &low(&a), &low(&c), width, bits);
        }
    }
}

#[test]
fn numbers_of_many_digits() {
    let mut from = cots(1);
    for size in [1, 63, 64, 65, 511, 512, 513, 1100] {
        for (width, bits) in [(1, 1), (5, 2), (8, 3), (9, 4), (10, 4), (31, 4)] {
            let number = |seed| -> Vec<u64> {
                words(seed, size)
                    .iter()
                    .map(|x| x >> (64 - width))
                    .collect()
            };
            check(&mut from, &number(1), &number(2), width, bits);
        }
    }
    let number = |seed| words(seed, 1200);
    check(&mut from, &number(3), &number(4), 64, 4);
}

/// With pads and shares drawn anew each time, the message shows nothing: all of its bits are balanced.
#[test]
fn the_message_is_masked() {
    let (mut sent, mut received) = cots(0);
    let size = 4096;
    let zero = vec![0; 4 * size / 64];
    let (received, request) = received
        .take(4 * size)
        .unwrap()
        .choose_planes(&zero, size)
        .unwrap();
    let sent = sent.take(4 * size).unwrap().follow(&request).unwrap();
    let (_, _, message) = sent.digits(&zero, size, 4).unwrap();
    for plane in message.chunks(size / 8) {
        let ones: u32 = plane.iter().map(|b| b.count_ones()).sum();
        assert!((1850..2250).contains(&ones), "{ones}");
    }
    assert_eq!(
        received.digits(size, 4, &message).unwrap().0.len(),
        size / 64
    );
}

#[test]
fn lengths_are_those_of_the_planes() {
    assert_eq!(digits_len(1_000_000, 64, 4), 16 * 30 * 125_000);
    assert_eq!(digits_len(9, 5, 2), (6 + 6 + 2) * 2);
    assert_eq!(digits_len(0, 5, 2), 0);
    let (mut sent, mut received) = cots(0);
    let (s, r) = (sent.take(0).unwrap(), received.take(0).unwrap());
    assert_eq!(s.digits(&[], 0, 4).unwrap(), (vec![], vec![], vec![]));
    assert_eq!(r.digits(0, 4, &[]).unwrap(), (vec![], vec![]));
    let mut one = || (sent.take(130).unwrap(), received.take(130).unwrap());
    let errors = [
        one().0.digits(&[0; 3], 65, 2).err(),
        one().0.digits(&[0; 4], 64, 2).err(),
        one().1.digits(65, 2, &[0; 53]).err(),
        one().1.digits(64, 2, &[]).err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(Error::Length { .. })), "{error:?}");
    }
    for bits in [0, 5] {
        let error = one().0.digits(&[0; 4], 65, bits).err();
        assert!(matches!(error, Some(Error::Width { .. })), "{error:?}");
        let error = one().1.digits(65, bits, &[]).err();
        assert!(matches!(error, Some(Error::Width { .. })), "{error:?}");
    }
}

/// Shares of all answers against the definition: for each number and digit, each bound, and the sign.
fn check_near(
    from: &mut (SenderCots, ReceiverCots),
    (numbers, c): (&[&[u64]], &[u64]),
    (width, bits): (usize, u32),
    (bounds, top): (&[u32], usize),
) {
    let size = c.len();
    let questions = Questions {
        numbers: numbers.len(),
        bounds,
        top,
    };
    let (sent, received) = (from.0.take(width * size), from.1.take(width * size));
    let (received, request) = received
        .unwrap()
        .choose_planes(&planes(c, width), size)
        .unwrap();
    let sent = sent.unwrap().follow(&request).unwrap();
    let every: Vec<u64> = numbers.iter().flat_map(|a| planes(a, width)).collect();
    let (first, message) = sent.near(&every, size, bits, questions).unwrap();
    assert_eq!(
        message.len(),
        message_len(size, width, bits, questions.results())
    );
    let second = received.near(size, bits, questions, &message).unwrap();
    let words = size.div_ceil(64);
    let mut row = 0;
    for a in numbers {
        let every = bounds
            .iter()
            .map(|m| (Some(*m), 0))
            .chain((0..top).map(|i| (None, i)));
        for (bound, place) in every {
            for d in 0..width.div_ceil(bits as usize) {
                let b = (bits as usize).min(width - d * bits as usize);
                for e in 0..size {
                    let digit = |x: &[u64]| (x[e] >> (d * bits as usize) & ((1 << b) - 1)) as i64;
                    let apart = (digit(c) - digit(a)).rem_euclid(1 << b);
                    let apart = if apart >= 1 << (b - 1) {
                        apart - (1 << b)
                    } else {
                        apart
                    };
                    // Of digits with fewer planes the places are from the highest down, zeros below.
                    let plane = (b + place).checked_sub(top);
                    let of_top = plane.is_some_and(|j| apart >> j & 1 == 1);
                    let want = bound.map_or(of_top, |m| apart.abs() < 1 << m);
                    let got = bit(&first[row][d * words..], e) ^ bit(&second[row][d * words..], e);
                    assert_eq!(
                        got, want,
                        "{size} {width} {bits} {bound:?} {d}: {apart} at {e}"
                    );
                }
            }
            row += 1;
        }
    }
    assert_eq!((row, row), (first.len(), second.len()));
}

#[test]
fn every_pair_of_near_digits() {
    let mut from = cots(0);
    for bits in 1..=MOST_NEAR {
        let pairs = 1 << (2 * bits);
        let a: Vec<u64> = (0..pairs).map(|i| i >> bits).collect();
        let c: Vec<u64> = (0..pairs).map(|i| i & ((1 << bits) - 1)).collect();
        let bounds: Vec<u32> = (0..bits.min(4)).rev().collect();
        check_near(&mut from, (&[&a], &c), (bits as usize, bits), (&bounds, 1));
        check_near(
            &mut from,
            (&[&a], &c),
            (bits as usize, bits),
            (&[], bits as usize),
        );
    }
}

#[test]
fn several_numbers_of_many_digits() {
    let mut from = cots(1);
    for size in [1, 65, 513, 1100] {
        for (width, bits) in [(1, 1), (9, 4), (14, 5), (24, 5), (31, 7)] {
            let number = |seed| -> Vec<u64> {
                words(seed, size)
                    .iter()
                    .map(|x| x >> (64 - width))
                    .collect()
            };
            let (a, b, c) = (number(1), number(2), number(3));
            let some: Vec<u64> = (0..size)
                .map(|e| if e % 3 == 0 { c[e] } else { a[e] })
                .collect();
            check_near(&mut from, (&[&some, &b, &c], &c), (width, bits), (&[0], 0));
            check_near(&mut from, (&[&some, &b], &c), (width, bits), (&[1], 2));
        }
    }
}

#[test]
fn what_cannot_be_asked() {
    let (mut sent, mut received) = cots(0);
    let mut one = || (sent.take(4).unwrap(), received.take(4).unwrap());
    let ask = |numbers, bounds| Questions {
        numbers,
        bounds,
        top: 0,
    };
    for (bits, questions) in [(8, ask(1, &[0])), (0, ask(1, &[0]))] {
        let error = one().0.near(&[0; 4], 1, bits, questions).err();
        assert!(matches!(error, Some(Error::Width { .. })), "{error:?}");
    }
    for questions in [ask(8, &[0]), ask(1, &[]), ask(3, &[1, 2, 3])] {
        let error = one().0.near(&[0; 36], 1, 4, questions).err();
        assert!(matches!(error, Some(Error::Shape(_))), "{error:?}");
        let error = one().1.near(1, 4, questions, &[]).err();
        assert!(matches!(error, Some(Error::Shape(_))), "{error:?}");
    }
    let error = one().1.near(1, 4, ask(1, &[0]), &[0; 29]).err();
    assert!(matches!(error, Some(Error::Length { .. })), "{error:?}");
}
