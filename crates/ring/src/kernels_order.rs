//! The place of every word in a stable sort by one digit, from one-hot codes of the digits: the local parts.
//!
//! A part of a code is `count - 1` rows of `n` entries, numbers mod 2^32; the last row is not there, as all rows of
//! all parts add up to 1 in each column. One part has that 1: the one that leads.

use rayon::prelude::*;

/// Digits have at most so many values.
pub const MOST: usize = 16;
/// Elements above which rows are shared out over threads.
const PARALLEL: usize = 1 << 18;

/// Entry t of a code becomes the one at t ^ name, for a name of each column; the last row is made up first.
pub fn rename(code: &mut [u32], names: &[u32], lead: bool) {
    let n = names.len();
    if n == 0 {
        return;
    }
    let rows = code.len() / n;
    assert!(code.len() == rows * n && (rows + 1).is_power_of_two() && rows < MOST);
    assert!(names.iter().all(|name| *name as usize <= rows));
    let mut entries = [0u32; MOST];
    for (i, name) in names.iter().enumerate() {
        let mut last = u32::from(lead);
        for t in 0..rows {
            entries[t] = code[t * n + i];
            last = last.wrapping_sub(entries[t]);
        }
        entries[rows] = last;
        for t in 0..rows {
            code[t * n + i] = entries[(t ^ *name as usize) & (MOST - 1)];
        }
    }
}

/// A party's part of the sum over v of f_v S_v, for its two parts of f, in rows of `row` elements: S_v(i) is the sum
/// of what comes before (v, i), entries of lower v and then of lower i. `leads` says which part has the 1. `begins`
/// are the two parts of S at the first element where this is not where its row begins; then there is only one row.
pub fn places(
    f: [&[u32]; 2],
    leads: [bool; 2],
    row: usize,
    begins: Option<[&[u32]; 2]>,
    out: &mut [u32],
) {
    let n = out.len();
    if n == 0 {
        return;
    }
    let rows = f[0].len() / n;
    assert!(f.iter().all(|part| part.len() == rows * n) && n.is_multiple_of(row));
    assert!(begins.is_none_or(|sums| row == n && sums.iter().all(|part| part.len() == rows + 1)));
    let one = |(r, out): (usize, &mut [u32])| match rows {
        1 => row_of_places::<2>(f, leads, r * row, begins, out, n),
        3 => row_of_places::<4>(f, leads, r * row, begins, out, n),
        7 => row_of_places::<8>(f, leads, r * row, begins, out, n),
        15 => row_of_places::<16>(f, leads, r * row, begins, out, n),
        _ => panic!("{rows} rows of a code"),
    };
    if n >= PARALLEL && row < n {
        out.par_chunks_mut(row).enumerate().for_each(one);
    } else {
        out.chunks_mut(row).enumerate().for_each(one);
    }
}

fn row_of_places<const COUNT: usize>(
    f: [&[u32]; 2],
    leads: [bool; 2],
    start: usize,
    begins: Option<[&[u32]; 2]>,
    out: &mut [u32],
    n: usize,
) {
    let length = out.len();
    let rows = f.map(|part| {
        let mut rows = [&part[..0]; COUNT];
        for (v, row) in rows[..COUNT - 1].iter_mut().enumerate() {
            *row = &part[v * n + start..v * n + start + length];
        }
        rows
    });
    let [mut own, mut next] = match begins {
        Some(sums) => sums.map(|part| std::array::from_fn(|v| part[v])),
        None => rows.map(begins_of_row),
    };
    for (i, out) in out.iter_mut().enumerate() {
        let (mut total, mut last) = (0u32, leads.map(u32::from));
        let mut step = |v: usize, a: u32, b: u32| {
            total = total
                .wrapping_add(a.wrapping_mul(own[v].wrapping_add(next[v])))
                .wrapping_add(b.wrapping_mul(own[v]));
            own[v] = own[v].wrapping_add(a);
            next[v] = next[v].wrapping_add(b);
        };
        for v in 0..COUNT - 1 {
            let (a, b) = (rows[0][v][i], rows[1][v][i]);
            last = [last[0].wrapping_sub(a), last[1].wrapping_sub(b)];
            step(v, a, b);
        }
        step(COUNT - 1, last[0], last[1]);
        *out = total;
    }
}

/// Where each digit's running sum begins in a whole row: behind all entries of lower digits.
fn begins_of_row<const COUNT: usize>(rows: [&[u32]; COUNT]) -> [u32; COUNT] {
    let mut sums = [0u32; COUNT];
    for v in 1..COUNT {
        let total = rows[v - 1].iter().fold(0u32, |a, b| a.wrapping_add(*b));
        sums[v] = sums[v - 1].wrapping_add(total);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that add up to the one-hot code of the digits.
    fn parts(digits: &[u32], count: usize) -> [Vec<u32>; 3] {
        let n = digits.len();
        let mut state = 1u32;
        let mut draw = |_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            state
        };
        let a: Vec<u32> = (0..(count - 1) * n).map(&mut draw).collect();
        let b: Vec<u32> = (0..(count - 1) * n).map(&mut draw).collect();
        let c = (0..(count - 1) * n)
            .map(|i| {
                let code = u32::from(digits[i % n] as usize == i / n);
                code.wrapping_sub(a[i]).wrapping_sub(b[i])
            })
            .collect();
        [a, b, c]
    }

    #[test]
    fn places_are_those_of_a_stable_sort() {
        for (count, n, row) in [(2, 1, 1), (4, 60, 20), (8, 500, 500), (16, 600, 100)] {
            let digits: Vec<u32> = (0..n).map(|i| (i * i + i / 3) as u32 % count).collect();
            let shares = parts(&digits, count as usize);
            let mut found = vec![0u32; n];
            for i in 0..3 {
                let mut z = vec![0u32; n];
                let next = (i + 1) % 3;
                places(
                    [&shares[i], &shares[next]],
                    [i == 0, next == 0],
                    row,
                    None,
                    &mut z,
                );
                for (a, b) in found.iter_mut().zip(&z) {
                    *a = a.wrapping_add(*b);
                }
            }
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|i| (i / row, digits[*i]));
            for (place, i) in order.into_iter().enumerate() {
                assert_eq!(found[i] as usize, place % row);
            }
        }
    }

    #[test]
    fn a_row_in_two_halves_has_the_places_of_the_whole() {
        let digits: Vec<u32> = (0..90).map(|i| (i * i + i / 3) % 8).collect();
        let shares = parts(&digits, 8);
        let (f, leads) = ([&shares[0][..], &shares[1][..]], [true, false]);
        let mut whole = vec![0u32; 90];
        places(f, leads, 90, None, &mut whole);

        let columns = |part: &[u32], from: usize, to: usize| -> Vec<u32> {
            (0..7)
                .flat_map(|v| part[v * 90 + from..v * 90 + to].to_vec())
                .collect()
        };
        let sums = |part: usize, to: usize| -> Vec<u32> {
            let codes = columns(f[part], 0, to);
            let sums = codes
                .chunks(to)
                .map(|row| row.iter().fold(0u32, |a, b| a.wrapping_add(*b)));
            let mut sums: Vec<u32> = sums.collect();
            let rest = sums
                .iter()
                .fold(u32::from(leads[part]) * to as u32, |a, b| {
                    a.wrapping_sub(*b)
                });
            sums.push(rest);
            sums
        };
        let begins = [0, 1].map(|part| {
            let (before, total) = (sums(part, 40), sums(part, 90));
            let lower = |v: usize| total[..v].iter().fold(0u32, |a, b| a.wrapping_add(*b));
            (0..8)
                .map(|v| before[v].wrapping_add(lower(v)))
                .collect::<Vec<u32>>()
        });
        let later = [columns(f[0], 40, 90), columns(f[1], 40, 90)];
        let mut found = vec![0u32; 50];
        places(
            [&later[0], &later[1]],
            leads,
            50,
            Some([&begins[0], &begins[1]]),
            &mut found,
        );
        assert_eq!(found, whole[40..]);
    }

    #[test]
    fn a_code_renamed_is_that_of_the_other_digit() {
        for count in [2u32, 4, 8, 16] {
            let n = 64;
            let digits: Vec<u32> = (0..n).map(|i| i * 7 % count).collect();
            let names: Vec<u32> = (0..n).map(|i| i * 5 % count).collect();
            let [mut a, mut b, mut c] = parts(&digits, count as usize);
            rename(&mut a, &names, true);
            rename(&mut b, &names, false);
            rename(&mut c, &names, false);
            for i in 0..a.len() {
                let (t, i) = (i / n as usize, i % n as usize);
                let at = t * n as usize + i;
                let sum = a[at].wrapping_add(b[at]).wrapping_add(c[at]);
                assert_eq!(sum, u32::from(digits[i] ^ names[i] == t as u32));
            }
        }
    }
}
