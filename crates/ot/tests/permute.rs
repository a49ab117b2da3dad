//! Private permutations, by their definition: `d = a[index] - b`.

mod common;

use argot_ot::network::{route, switches};
use argot_ot::params::Plan;
use argot_ot::permute::{message_len, Column, Given, Kind, Rows};
use argot_ot::{Error, ReceiverCots, SenderCots, Session};
use argot_prf::permutation;
use common::{cots, set_up};

const fn column(kind: Kind, per_row: usize) -> Column {
    Column { kind, per_row }
}

/// Rows of 83 bytes, so of six blocks.
const ALL: [Column; 7] = [
    column(Kind::U64, 1),
    column(Kind::Bits(17), 3),
    column(Kind::U32, 5),
    column(Kind::Bits(64), 1),
    column(Kind::U128, 2),
    column(Kind::Bits(1), 1),
    column(Kind::Bits(7), 1),
];

/// The correlations of a permutation, with the choices that make it.
fn chosen(
    (sent, received): (&mut SenderCots, &mut ReceiverCots),
    index: &[i64],
) -> (SenderCots, ReceiverCots) {
    let n = switches(index.len());
    let choices = route(index).unwrap();
    let (received, request) = received.take(n).unwrap().choose(&choices).unwrap();
    assert_eq!(request.len(), n.div_ceil(8));
    (sent.take(n).unwrap().follow(&request).unwrap(), received)
}

fn check(cots: (&mut SenderCots, &mut ReceiverCots), index: &[i64], columns: &[Column]) -> Given {
    let n = index.len();
    let (sent, received) = chosen(cots, index);
    let given = sent.permute(n, columns).unwrap();
    assert_eq!(given.message.len(), message_len(n, columns).unwrap());
    let d = received.permute(n, columns, &given.message).unwrap();
    assert_eq!(
        (given.a.len(), given.b.len(), d.len()),
        (columns.len(), columns.len(), columns.len())
    );
    for (column, ((a, b), d)) in columns.iter().zip(given.a.iter().zip(&given.b).zip(&d)) {
        let per_row = column.per_row;
        let from = |at: usize| index[at / per_row] as usize * per_row + at % per_row;
        macro_rules! holds {
            ($a:ident, $b:ident, $d:ident, $minus:expr) => {{
                let sizes = ($a.len(), $b.len(), $d.len());
                assert_eq!(sizes, (n * per_row, n * per_row, n * per_row));
                for at in 0..n * per_row {
                    assert_eq!($d[at], $minus($a[from(at)], $b[at]), "{column:?} {n} {at}");
                }
            }};
        }
        match (column.kind, a, b, d) {
            (Kind::U32, Rows::U32(a), Rows::U32(b), Rows::U32(d)) => {
                holds!(a, b, d, u32::wrapping_sub)
            }
            (Kind::U64, Rows::U64(a), Rows::U64(b), Rows::U64(d)) => {
                holds!(a, b, d, u64::wrapping_sub)
            }
            (Kind::U128, Rows::U128(a), Rows::U128(b), Rows::U128(d)) => {
                holds!(a, b, d, u128::wrapping_sub)
            }
            (Kind::Bits(width), Rows::Bits(a), Rows::Bits(b), Rows::Bits(d)) => {
                holds!(a, b, d, |x: u64, y: u64| x ^ y);
                assert!(a.iter().chain(b).chain(d).all(|x| x >> (width - 1) <= 1));
            }
            other => panic!("rows of another kind: {other:?}"),
        }
    }
    given
}

#[test]
fn every_size_and_kind() {
    let (mut sent, mut received) = cots(0);
    for n in 1..=70usize {
        let orders = [
            (0..n as i64).collect(),
            (0..n as i64).rev().collect(),
            permutation(&[n as u8; 16], n),
            permutation(&[100 + n as u8; 16], n),
        ];
        for index in &orders {
            check((&mut sent, &mut received), index, &ALL);
        }
        for column in ALL {
            check((&mut sent, &mut received), &orders[2], &[column]);
        }
    }
}

#[test]
fn every_permutation_of_four_rows() {
    let (mut sent, mut received) = cots(1);
    for code in 0..256i64 {
        let index = [0, 2, 4, 6].map(|at| code >> at & 3);
        if (0..4).all(|row| index.contains(&row)) {
            check((&mut sent, &mut received), &index, &ALL);
        } else {
            assert!(matches!(route(&index), Err(Error::Shape(_))));
        }
    }
}

/// More switches than pads are made for at a time, with one block a row and with two.
#[test]
fn many_rows() {
    let (mut sent, mut received) = set_up(Session::new(&[4; 32], 1), Plan::medium(), 2);
    let (mut sent, message) = sent.extend().unwrap();
    let mut received = received.extend(&message).unwrap();
    let index = permutation(&[9; 16], 100_003);
    assert_eq!(switches(index.len()), 1_568_980);
    check(
        (&mut sent, &mut received),
        &index,
        &[column(Kind::U64, 1), column(Kind::Bits(17), 1)],
    );
    check(
        (&mut sent, &mut received),
        &permutation(&[8; 16], 10_007),
        &[column(Kind::Bits(3), 1), column(Kind::U128, 1)],
    );
}

/// All bits of what travels and of both masks are fair, whatever the permutation, and masks are new each time.
#[test]
fn what_travels_is_fair() {
    let (mut sent, mut received) = cots(0);
    let n = 1000;
    let fair = |words: &[u64]| {
        let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
        let bits = 64.0 * words.len() as f64;
        let off = (f64::from(ones) - bits / 2.0).abs();
        assert!(off < 5.0 * (bits / 4.0).sqrt(), "{ones} of {bits}");
    };
    let mut seen = Vec::new();
    for index in [(0..n).collect(), permutation(&[1; 16], n as usize)] {
        for kind in [Kind::U64, Kind::Bits(64)] {
            let columns = [column(kind, 1)];
            let given = check((&mut sent, &mut received), &index, &columns);
            let message: Vec<u64> = given
                .message
                .chunks_exact(8)
                .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            fair(&message);
            seen.extend(message);
            for rows in given.a.iter().chain(&given.b) {
                let (Rows::U64(words) | Rows::Bits(words)) = rows else {
                    panic!("{rows:?}")
                };
                fair(words);
                seen.extend(words);
            }
        }
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

/// Switches alone leave the sum of the rows as it is: of b it must not be that of a.
#[test]
fn sums_of_a_and_b_have_nothing_in_common() {
    let (mut sent, mut received) = cots(0);
    let columns = [column(Kind::U64, 1), column(Kind::Bits(64), 1)];
    let mut found = Vec::new();
    for n in [1, 2, 3, 50] {
        let index = permutation(&[2; 16], n);
        let given = check((&mut sent, &mut received), &index, &columns);
        let [numbers, words] = [0, 1].map(|column| {
            [&given.a, &given.b].map(|rows| match &rows[column] {
                Rows::U64(x) => x.iter().fold(0, |sum: u64, x| sum.wrapping_add(*x)),
                Rows::Bits(x) => x.iter().fold(0, |sum, x| sum ^ x),
                other => panic!("{other:?}"),
            })
        });
        found.push(numbers[0].wrapping_sub(numbers[1]));
        found.push(words[0] ^ words[1]);
    }
    found.push(0);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 9);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let (mut sent, mut received) = cots(0);
    let (n, columns) = (5, [column(Kind::U32, 1), column(Kind::Bits(5), 3)]);
    let index = [4, 2, 0, 1, 3];
    // Eight switches and a last row, each of 4 bytes and 15 bits.
    assert_eq!(message_len(n, &columns).unwrap(), 8 * 4 + 15 + 4 + 2);
    for length in [0, 52, 54] {
        let (_, receiver) = chosen((&mut sent, &mut received), &index);
        let error = receiver.permute(n, &columns, &vec![0; length]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("message of a permutation: got {length} bytes or elements; want 53")
        );
    }
    for (rows, columns, want) in [
        (
            4,
            columns,
            "correlations for the switches: got 8 bytes or elements; want 5",
        ),
        (0, columns, "rows to permute: got 0"),
        (
            5,
            [columns[0], column(Kind::Bits(0), 1)],
            "got 0 bits; want 1 to 64",
        ),
        (
            5,
            [columns[0], column(Kind::Bits(65), 1)],
            "got 65 bits; want 1 to 64",
        ),
        (
            5,
            [columns[0], column(Kind::U64, 0)],
            "column 1 has no elements",
        ),
        (
            5,
            [columns[0], column(Kind::U64, usize::MAX / 64)],
            "5 rows of these columns are more",
        ),
    ] {
        let (sender, receiver) = chosen((&mut sent, &mut received), &index);
        let errors = [
            sender.permute(rows, &columns).unwrap_err(),
            receiver.permute(rows, &columns, &[0; 53]).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains(want), "{error}");
        }
    }
    let errors = [
        sent.take(8).unwrap().permute(n, &columns).unwrap_err(),
        received
            .take(8)
            .unwrap()
            .permute(n, &columns, &[0; 53])
            .unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("random bits"), "{error}");
    }
}

/// A peer may send any bytes of the right length: rows come out, of the same shape.
#[test]
fn changed_bytes_give_other_rows() {
    let (mut sent, mut received) = cots(0);
    let columns = [column(Kind::U64, 1), column(Kind::Bits(5), 3)];
    let index = permutation(&[6; 16], 20);
    let (_, receiver) = chosen((&mut sent, &mut received), &index);
    let message = vec![0xff; message_len(20, &columns).unwrap()];
    let rows = receiver.permute(20, &columns, &message).unwrap();
    assert!(matches!(&rows[..], [Rows::U64(x), Rows::Bits(y)] if x.len() == 20 && y.len() == 60));
}
