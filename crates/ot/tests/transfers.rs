//! What correlations are spent on, by its definition.

mod common;

use argot_ot::bits::{low, packed_len};
use argot_ot::triples::triples;
use argot_ot::Error;
use common::{bit, cots, words};

const COUNTS: [usize; 7] = [0, 1, 63, 64, 65, 1025, 3000];
const WIDTHS: [u32; 7] = [1, 2, 7, 8, 33, 63, 64];

#[test]
fn random_words() {
    let (mut sent, mut received) = cots(0);
    for n in COUNTS {
        for width in WIDTHS {
            let (sent, received) = (sent.take(n).unwrap(), received.take(n).unwrap());
            let choices = received.choices();
            let [zero, one] = sent.random(width).unwrap();
            let got = received.random(width).unwrap();
            for i in 0..n {
                assert_eq!(got[i], if bit(&choices, i) { one[i] } else { zero[i] });
                assert!(zero[i] <= low(width) && one[i] <= low(width));
            }
            if width == 64 {
                let mut all = [zero, one].concat();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), 2 * n);
            }
        }
    }
}

#[test]
fn chosen_bits_and_messages() {
    let (mut sent, mut received) = cots(0);
    for n in COUNTS {
        for width in WIDTHS {
            let choices = words(n as u64, n.div_ceil(64));
            let (zero, one) = (words(1, n), words(2, n));
            let (received, request) = received.take(n).unwrap().choose(&choices).unwrap();
            assert_eq!(request.len(), n.div_ceil(8));
            let sent = sent.take(n).unwrap().follow(&request).unwrap();
            let message = sent.messages(&zero, &one, width).unwrap();
            assert_eq!(message.len(), packed_len(2 * n, width));
            let got = received.messages(width, &message).unwrap();
            for i in 0..n {
                let want = if bit(&choices, i) { one[i] } else { zero[i] };
                assert_eq!(got[i], want & low(width), "{n} {width} {i}");
            }
        }
    }
}

#[test]
fn correlated_words() {
    let (mut sent, mut received) = cots(0);
    for chosen in [false, true] {
        for n in COUNTS {
            for width in WIDTHS {
                let (mut sent, mut received) = (sent.take(n).unwrap(), received.take(n).unwrap());
                if chosen {
                    let (r, request) = received.choose(&words(5, n.div_ceil(64))).unwrap();
                    (sent, received) = (sent.follow(&request).unwrap(), r);
                }
                let choices = received.choices();
                let deltas = words(3, n);
                let (x, message) = sent.correlated(&deltas, width).unwrap();
                assert_eq!(message.len(), packed_len(n, width));
                let y = received.correlated(width, &message).unwrap();
                for i in 0..n {
                    let want = x[i].wrapping_add(if bit(&choices, i) { deltas[i] } else { 0 });
                    assert_eq!(y[i], want & low(width), "{n} {width} {i}");
                }
            }
        }
    }
}

#[test]
fn one_of_many() {
    let (mut sent, mut received) = cots(1);
    for bits in 1..=4 {
        for n in [0, 1, 63, 64, 65, 1025] {
            for width in [1, 2, 13, 64] {
                let (all, many) = (n * bits as usize, 1 << bits);
                let choices = words(u64::from(bits), all.div_ceil(64));
                let messages = words(9, n * many);
                let (received, request) = received.take(all).unwrap().choose(&choices).unwrap();
                let sent = sent.take(all).unwrap().follow(&request).unwrap();
                let message = sent.many(bits, &messages, width).unwrap();
                assert_eq!(message.len(), packed_len(n * many, width));
                let got = received.many(bits, width, &message).unwrap();
                for (i, got) in got.iter().enumerate() {
                    let at = i * bits as usize;
                    let choice = (0..bits as usize)
                        .fold(0, |c, j| c | usize::from(bit(&choices, at + j)) << j);
                    assert_eq!(
                        *got,
                        messages[i * many + choice] & low(width),
                        "{bits} {n} {width} {i}"
                    );
                }
            }
        }
    }
}

/// What is sent says nothing about messages that are not chosen: all bits of it are fair, whatever the messages.
#[test]
fn what_travels_is_fair() {
    let (mut sent, mut received) = cots(0);
    let n = 16_000;
    let fair = |bytes: &[u8]| {
        let ones: u32 = bytes.iter().map(|b| b.count_ones()).sum();
        let bits = 8.0 * bytes.len() as f64;
        assert!(
            (f64::from(ones) - bits / 2.0).abs() < 5.0 * (bits / 4.0).sqrt(),
            "{ones} of {bits}"
        );
    };
    for choice in [0, u64::MAX] {
        let (r, request) = received
            .take(2 * n)
            .unwrap()
            .choose(&vec![choice; n / 32])
            .unwrap();
        fair(&request);
        let mut s = sent.take(2 * n).unwrap().follow(&request).unwrap();
        fair(&s.take(n).unwrap().many(2, &vec![0; 2 * n], 3).unwrap());
        fair(&s.messages(&vec![0; n], &vec![u64::MAX; n], 5).unwrap());
        drop(r);
    }
}

fn product_holds(x: &argot_ot::triples::Triples, y: &argot_ot::triples::Triples, n: usize) {
    assert_eq!(x.c.len(), n.div_ceil(64));
    let mut counts = [0; 8];
    for i in 0..n {
        let [a, b, c] =
            [(&x.a, &y.a), (&x.b, &y.b), (&x.c, &y.c)].map(|(x, y)| bit(x, i) ^ bit(y, i));
        assert_eq!(c, a & b, "{i}");
        let [a, b, c] = [&x.a, &x.b, &x.c].map(|x| usize::from(bit(x, i)));
        counts[4 * a + 2 * b + c] += 1;
    }
    // One party's three shares are uniform: n / 8 of each, within 6 standard deviations.
    for count in counts {
        assert!(
            (count as f64 - n as f64 / 8.0).abs() <= 6.0 * (n as f64 * 7.0 / 64.0).sqrt() + 1.0,
            "{counts:?}"
        );
    }
}

#[test]
fn triples_of_one_direction() {
    let (mut sent, mut received) = cots(0);
    for n in [0, 1, 64, 65, 20_000] {
        let x = sent.take(2 * n).unwrap().triples().unwrap();
        let y = received.take(2 * n).unwrap().triples().unwrap();
        product_holds(&x, &y, n);
        product_holds(&y, &x, n);
    }
    assert!(matches!(
        sent.take(3).unwrap().triples(),
        Err(Error::Length { .. })
    ));
}

#[test]
fn triples_of_both_directions() {
    let (mut s0, mut r1) = cots(0);
    let (mut s1, mut r0) = cots(1);
    for n in [0, 1, 64, 65, 20_000] {
        let x = triples(s0.take(n).unwrap(), r0.take(n).unwrap()).unwrap();
        let y = triples(s1.take(n).unwrap(), r1.take(n).unwrap()).unwrap();
        product_holds(&x, &y, n);
    }
    assert!(matches!(
        triples(s0.take(2).unwrap(), r0.take(3).unwrap()),
        Err(Error::Length { .. })
    ));
}

#[test]
fn bad_messages_and_widths_are_refused() {
    let (mut sent, mut received) = cots(0);
    let mut pair = |n: usize| (sent.take(n).unwrap(), received.take(n).unwrap());
    for width in [0, 65] {
        let (s, r) = pair(10);
        assert!(matches!(s.random(width), Err(Error::Width { .. })));
        assert!(matches!(r.random(width), Err(Error::Width { .. })));
        let (s, r) = pair(10);
        assert!(matches!(
            s.correlated(&[0; 10], width),
            Err(Error::Width { .. })
        ));
        assert!(matches!(r.correlated(width, &[]), Err(Error::Width { .. })));
        let (s, r) = pair(10);
        assert!(matches!(
            s.many(2, &[0; 20], width),
            Err(Error::Width { .. })
        ));
        assert!(matches!(r.many(2, width, &[]), Err(Error::Width { .. })));
    }
    let (s, r) = pair(10);
    assert!(matches!(s.many(5, &[0; 64], 1), Err(Error::Width { .. })));
    assert!(matches!(r.many(0, 1, &[]), Err(Error::Width { .. })));
    let (s, r) = pair(10);
    assert!(matches!(s.many(3, &[0; 24], 1), Err(Error::Length { .. })));
    assert!(matches!(r.many(3, 1, &[0; 3]), Err(Error::Length { .. })));
    let (s, r) = pair(10);
    assert!(matches!(s.follow(&[0]), Err(Error::Length { .. })));
    assert!(matches!(r.choose(&[]), Err(Error::Length { .. })));
    let (s, r) = pair(10);
    assert!(matches!(
        s.messages(&[0; 10], &[0; 9], 4),
        Err(Error::Length { .. })
    ));
    assert!(matches!(r.messages(4, &[0; 11]), Err(Error::Length { .. })));
    let (s, r) = pair(10);
    assert!(matches!(
        s.correlated(&[0; 9], 4),
        Err(Error::Length { .. })
    ));
    assert!(matches!(
        r.correlated(4, &[0; 4]),
        Err(Error::Length { .. })
    ));
}

/// A second choice would be the first one's mask, and send it in clear; a triple of chosen bits is not random.
#[test]
fn chosen_bits_are_chosen_once() {
    let (mut sent, mut received) = cots(0);
    let (received, request) = received.take(64).unwrap().choose(&[0]).unwrap();
    let sent = sent.take(64).unwrap().follow(&request).unwrap();
    assert!(matches!(received.choose(&[5]), Err(Error::Shape(_))));
    assert!(matches!(sent.follow(&request), Err(Error::Shape(_))));
}
