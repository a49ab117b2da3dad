//! Products of bits and bits times numbers over planes, by their definitions.

mod common;

use argot_ot::planes::weighted_len;
use argot_ot::{Error, ReceiverCots, SenderCots};
use argot_ring::{Ring, Z128};
use common::{bit, cots, words};

const SIZES: [usize; 7] = [1, 63, 64, 65, 511, 513, 1500];

/// Whether the bit of element `e` in plane `p` of planes of `size` elements is set.
fn at(planes: &[u64], size: usize, p: usize, e: usize) -> bool {
    bit(&planes[p * size.div_ceil(64)..], e)
}

fn pad_is_zero(planes: &[u64], size: usize) -> bool {
    let words = size.div_ceil(64);
    size.is_multiple_of(64)
        || planes
            .chunks(words)
            .all(|p| p[words - 1] >> (size % 64) == 0)
}

fn planes(seed: u64, width: usize, size: usize) -> Vec<u64> {
    let mut planes = words(seed, width * size.div_ceil(64));
    for plane in planes.chunks_mut(size.div_ceil(64)) {
        if let (Some(last), 1..) = (plane.last_mut(), size % 64) {
            *last &= (1 << (size % 64)) - 1;
        }
    }
    planes
}

#[test]
fn products_of_random_bits() {
    let (mut sent, mut received) = cots(0);
    for size in SIZES {
        for (width, strings) in [(1, 1), (3, 1), (2, 2), (5, 6), (1, 64), (20, 1)] {
            let (s, r) = (sent.take(width * size), received.take(width * size));
            let (s, r) = (s.unwrap(), r.unwrap());
            let (choices, all) = (r.choices(), strings * width);
            let (b, u) = s.plane_products(size, strings).unwrap();
            let (a, v) = r.plane_products(size, strings).unwrap();
            assert_eq!(a.len(), width * size.div_ceil(64));
            for planes in [&b, &u, &v] {
                assert_eq!(planes.len(), strings * a.len());
                assert!(pad_is_zero(planes, size) && pad_is_zero(&a, size));
            }
            let mut ones = [0usize; 3];
            for row in 0..all {
                for e in 0..size {
                    let a = at(&a, size, row % width, e);
                    assert_eq!(a, bit(&choices, row % width * size + e));
                    let [b, u, v] = [&b, &u, &v].map(|x| at(x, size, row, e));
                    assert_eq!(u ^ v, a & b, "{size} {width} {strings} {row} {e}");
                    for (count, bit) in ones.iter_mut().zip([a, b, u]) {
                        *count += usize::from(bit);
                    }
                }
            }
            let n = all * size;
            if n > 1000 && strings < 10 {
                for ones in ones {
                    assert!((n * 2 / 5..n * 3 / 5).contains(&ones), "{ones} of {n}");
                }
            }
        }
    }
}

/// Strings of one correlation have nothing in common.
#[test]
fn strings_differ() {
    let (mut sent, _) = cots(0);
    let (b, u) = sent.take(640).unwrap().plane_products(640, 64).unwrap();
    let mut rows: Vec<&[u64]> = b.chunks(10).chain(u.chunks(10)).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 128);
}

fn weighted<W: Ring>(from: &mut (SenderCots, ReceiverCots), shapes: &[(usize, usize, u32)]) {
    let (all_sent, all_received) = from;
    for &(n, width, shift) in shapes {
        for chosen in [false, true] {
            for every in [1, width] {
                let sent = all_sent.take(n * width).unwrap();
                let received = all_received.take(n * width).unwrap();
                let deltas: Vec<W> = words(9, 2 * n * every)
                    .chunks(2)
                    .map(|w| W::from_u128(u128::from(w[0]) << 64 | u128::from(w[1])))
                    .collect();
                let (sent, received, bits) = if chosen {
                    let bits = planes(n as u64, width, n);
                    let (received, request) = received.choose_planes(&bits, n).unwrap();
                    assert_eq!(request.len(), (n * width).div_ceil(8));
                    (sent.follow(&request).unwrap(), received, bits)
                } else {
                    let choices = received.choices();
                    let mut bits = vec![0; width * n.div_ceil(64)];
                    for i in 0..n * width {
                        let (p, e) = (i / n, i % n);
                        bits[p * n.div_ceil(64) + e / 64] |=
                            u64::from(bit(&choices, i)) << (e % 64);
                    }
                    (sent, received, bits)
                };
                let (x, message) = sent.weighted(&deltas, n, width, shift).unwrap();
                let bytes: usize = (0..width)
                    .map(|p| (n * (W::BITS as usize - shift as usize - p)).div_ceil(8))
                    .sum();
                assert_eq!(message.len(), bytes);
                assert_eq!(weighted_len::<W>(n, width, shift).unwrap(), bytes);
                let y: Vec<W> = received.weighted(n, width, shift, &message).unwrap();
                for e in 0..n {
                    let mut want = W::default();
                    for p in 0..width {
                        if at(&bits, n, p, e) {
                            let delta = deltas[if every == 1 { e } else { p * n + e }];
                            want = want.plus(delta.left(shift + p as u32));
                        }
                    }
                    assert_eq!(x[e].plus(y[e]), want, "{n} {width} {shift} {e}");
                }
                if (n, shift) == (600, 0) {
                    assert!(x[1] != W::default() && x[1] != x[2]);
                }
            }
        }
    }
}

#[test]
fn bits_times_numbers() {
    let shapes = |k: usize| {
        [
            (1, k, 0),
            (65, k, 0),
            (600, 1, 0),
            (513, 3, 7),
            (1025, 2, k as u32 - 2),
            (9, 1, k as u32 - 1),
            (130, k / 2, k as u32 / 4),
        ]
    };
    weighted::<u32>(&mut cots(0), &shapes(32));
    weighted::<u64>(&mut cots(0), &shapes(64));
    weighted::<Z128>(&mut cots(0), &shapes(128));
    weighted::<u64>(&mut cots(0), &[(10_000, 5, 3)]);
}

/// Each sum is what it is alone, and no two of them have a pad in common.
fn several_sums<W: Ring>(from: &mut (SenderCots, ReceiverCots), sums: usize) {
    for (n, width, shift) in [(1, 3, 0), (65, 1, 0), (600, 4, 5), (1100, 1, 2)] {
        for every in [1, width] {
            let sent = from.0.take(n * width).unwrap();
            let received = from.1.take(n * width).unwrap();
            let deltas: Vec<W> = words(3, sums * n * every)
                .iter()
                .map(|w| W::from_u64(*w))
                .collect();
            let bits = planes(n as u64, width, n);
            let (received, request) = received.choose_planes(&bits, n).unwrap();
            let sent = sent.follow(&request).unwrap();
            let (x, message) = sent.weighted_sums(&deltas, sums, n, width, shift).unwrap();
            assert_eq!(
                message.len(),
                sums * weighted_len::<W>(n, width, shift).unwrap()
            );
            let y: Vec<W> = received
                .weighted_sums(sums, n, width, shift, &message)
                .unwrap();
            assert_eq!((x.len(), y.len()), (sums * n, sums * n));
            for s in 0..sums {
                for e in 0..n {
                    let mut want = W::default();
                    for p in (0..width).filter(|p| at(&bits, n, *p, e)) {
                        let delta = deltas[if every == 1 {
                            s * n + e
                        } else {
                            (s * width + p) * n + e
                        }];
                        want = want.plus(delta.left(shift + p as u32));
                    }
                    assert_eq!(
                        x[s * n + e].plus(y[s * n + e]),
                        want,
                        "{sums} {n} {width} {s} {e}"
                    );
                }
            }
            if n == 600 {
                assert!((1..sums).all(|s| x[s * n..][..n] != x[..n]));
            }
        }
    }
}

#[test]
fn several_sums_of_the_same_bits() {
    several_sums::<u32>(&mut cots(0), 4);
    several_sums::<u64>(&mut cots(1), 2);
    several_sums::<Z128>(&mut cots(0), 1);
    let (mut sent, mut received) = cots(0);
    let mut one = || (sent.take(5).unwrap(), received.take(5).unwrap());
    for sums in [0, 3] {
        let error = one()
            .0
            .weighted_sums(&vec![1u64; 5 * sums], sums, 5, 1, 0)
            .err();
        assert!(matches!(error, Some(Error::Shape(_))), "{error:?}");
        let error = one().1.weighted_sums::<u64>(sums, 5, 1, 0, &[]).err();
        assert!(matches!(error, Some(Error::Shape(_))), "{error:?}");
    }
}

#[test]
fn nothing_of_nothing() {
    let (mut sent, mut received) = cots(0);
    let mut none = || (sent.take(0).unwrap(), received.take(0).unwrap());
    let (s, r) = none();
    assert_eq!(s.plane_products(0, 3).unwrap(), (vec![], vec![]));
    assert_eq!(r.plane_products(0, 3).unwrap(), (vec![], vec![]));
    let (s, r) = none();
    let (x, message) = s.weighted::<u64>(&[], 0, 5, 0).unwrap();
    assert!(x.is_empty() && message.is_empty());
    assert_eq!(r.weighted::<u64>(0, 5, 0, &[]).unwrap(), []);
    let (s, r) = none();
    let (x, message) = s.weighted::<u64>(&[1, 2], 2, 0, 0).unwrap();
    assert_eq!((x, message.len()), (vec![0, 0], 0));
    assert_eq!(r.weighted::<u64>(2, 0, 0, &[]).unwrap(), [0, 0]);
}

#[test]
fn misuse_is_refused() {
    let (mut sent, mut received) = cots(0);
    let shape = |error: Option<Error>| {
        assert!(matches!(error, Some(Error::Shape(_))), "{error:?}");
    };
    let wrong = |error: Option<Error>| {
        assert!(matches!(error, Some(Error::Length { .. })), "{error:?}");
    };
    let mut one = || (sent.take(130).unwrap(), received.take(130).unwrap());
    wrong(one().0.plane_products(64, 1).err());
    wrong(one().1.plane_products(0, 1).err());
    shape(one().0.plane_products(65, 0).err());
    shape(one().1.plane_products(65, 65).err());
    wrong(one().0.weighted(&[1u64; 65], 65, 3, 0).err());
    wrong(one().0.weighted(&[1u64; 64], 65, 2, 0).err());
    wrong(one().0.weighted(&[1u64; 131], 65, 2, 0).err());
    shape(one().0.weighted(&[1u64; 65], 65, 2, 63).err());
    shape(one().1.weighted::<u32>(65, 2, 31, &[]).err());
    wrong(one().1.weighted::<u32>(65, 2, 0, &[0; 511]).err());
    wrong(one().1.choose_planes(&[0; 3], 65).err());
    let (sent, received) = one();
    let (received, request) = received.choose_planes(&[0; 4], 65).unwrap();
    wrong(sent.follow(&request[1..]).err());
    shape(received.plane_products(65, 1).err());
    let sent = one().0.follow(&request).unwrap();
    shape(sent.plane_products(65, 1).err());
}
