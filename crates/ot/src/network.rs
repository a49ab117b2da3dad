//! Permutations of any number of rows as switches, each of which swaps two rows or leaves them.
//!
//! [`switches`] of them make every permutation (Waksman, JACM 1968; of any number of rows: Beauquier and Darrot, "On
//! arbitrary size Waksman networks and their vulnerability", 2002). A network works in place. With h half of n, rounded
//! down: switches between rows k and k + h for k below h; a network of the first h rows, and one of the others; again
//! switches between k and k + h, of which the last is left out where n is even. With no switch crossed all rows stay.

use crate::bits::gather;
use crate::Error;
use zeroize::Zeroizing;

/// Networks above this size are set in two threads.
const PART: usize = 1 << 12;
/// In place of a row that is not set yet.
const OPEN: u32 = u32::MAX;

/// Switches of a network of `n` rows: the sum of `ceil(log2 i)` for i from 1 to n.
pub fn switches(n: usize) -> usize {
    let levels = n.next_power_of_two().trailing_zeros();
    n * levels as usize + 1 - (1 << levels)
}

/// The rows that each switch is between, in the order of the switches. Rows of a small network lie side by side.
pub(crate) fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    enum Step {
        Network {
            first: usize,
            n: usize,
        },
        Layer {
            first: usize,
            half: usize,
            count: usize,
        },
    }
    let mut left = vec![Step::Network { first: 0, n }];
    let layers = std::iter::from_fn(move || loop {
        match left.pop()? {
            Step::Layer { first, half, count } => return Some((first, half, count)),
            Step::Network { n: 0 | 1, .. } => {}
            Step::Network { first, n } => {
                let half = n / 2;
                let count = outputs(n);
                left.push(Step::Layer { first, half, count });
                left.push(Step::Network {
                    first: first + half,
                    n: n - half,
                });
                left.push(Step::Network { first, n: half });
                return Some((first, half, half));
            }
        }
    });
    layers.flat_map(|(first, half, count)| (first..first + count).map(move |i| (i, i + half)))
}

/// Switches of the last layer.
fn outputs(n: usize) -> usize {
    (n - 1) / 2
}

/// Which switches cross so that row i of what comes out is row `index[i]` of what goes in, 64 a word. `index` is a
/// permutation of `0..index.len()`, or refused without telling what is in it.
///
/// The looping algorithm: through which half a row goes decides for the other row of its switch, and by the index for
/// the row at the other end, and so on round a loop. Every permutation of n rows takes the same number of steps, but
/// the index decides which addresses they read, and with them how well caches work. That is in the memory of the one
/// who chose it: who measures its caches, or nanoseconds on its network, learns something; those it computes with
/// get a message of a size that n gives.
pub fn route(index: &[i64]) -> Result<Vec<u64>, Error> {
    let n = index.len();
    check_rows(n)?;
    let mut found = Zeroizing::new(vec![OPEN; n]);
    let mut seen = Zeroizing::new(vec![false; n]);
    for (i, (found, row)) in found.iter_mut().zip(index).enumerate() {
        match usize::try_from(*row) {
            Ok(row) if row < n && !seen[row] => {
                seen[row] = true;
                *found = row as u32;
            }
            _ => {
                return Err(Error::Shape(format!(
                    "position {i} of an index of {n} rows: the row there is not below {n}, or came before; want a permutation"
                )))
            }
        }
    }
    let mut crossed = Zeroizing::new(vec![0; switches(n)]);
    set(&found, &mut crossed);
    Ok(gather(crossed.len(), |i| u64::from(crossed[i])))
}

/// Refuses what no network has, and what its numbers of rows do not hold.
pub fn check_rows(n: usize) -> Result<(), Error> {
    if (1..OPEN as usize).contains(&n) {
        Ok(())
    } else {
        Err(Error::Shape(format!(
            "rows to permute: got {n}; want 1 to {}",
            OPEN - 1
        )))
    }
}

/// Sets all switches, in the order of [`pairs`], to 1 where they cross.
fn set(index: &[u32], crossed: &mut [u8]) {
    let n = index.len();
    let half = n / 2;
    match n {
        0 | 1 => return,
        2 => {
            crossed[0] = index[0] as u8;
            return;
        }
        _ => {}
    }
    let (ins, rest) = crossed.split_at_mut(half);
    let (upper_crossed, rest) = rest.split_at_mut(switches(half));
    let (lower_crossed, outs) = rest.split_at_mut(switches(n - half));
    let mut halves = Zeroizing::new(vec![OPEN; n]);
    let (upper, lower) = halves.split_at_mut(half);

    let mut inverse = Zeroizing::new(vec![0; n]);
    for (to, from) in index.iter().enumerate() {
        inverse[*from as usize] = to as u32;
    }
    let place = |row: usize| if row < half { row } else { row - half };
    let other = |row: usize| if row < half { row + half } else { row - half };
    let mut follow = |upper: &mut [u32], start: usize| {
        let mut to = start;
        loop {
            let from = index[to] as usize;
            lower[place(to)] = place(from) as u32;
            if to < half {
                outs[to] = 1;
            }
            if from < half {
                ins[from] = 1;
            }
            if from == 2 * half {
                return;
            }
            let from = other(from);
            let after = inverse[from] as usize;
            upper[place(after)] = place(from) as u32;
            to = other(after);
            if to == start {
                return;
            }
        }
    };
    // The last row comes from the lower half: it has no switch, or that which is left out.
    follow(upper, n - 1);
    for row in 0..half {
        if upper[row] == OPEN {
            follow(upper, row + half);
        }
    }
    let (upper, lower) = halves.split_at(half);
    if n > PART {
        rayon::join(|| set(upper, upper_crossed), || set(lower, lower_crossed));
    } else {
        set(upper, upper_crossed);
        set(lower, lower_crossed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// What the switches make of the rows 0 to n - 1.
    fn applied(n: usize, crossed: &[u64]) -> Vec<i64> {
        let mut rows: Vec<i64> = (0..n as i64).collect();
        for (k, (i, j)) in pairs(n).enumerate() {
            if crossed[k / 64] >> (k % 64) & 1 == 1 {
                rows.swap(i, j);
            }
        }
        rows
    }

    fn check(index: &[i64]) {
        let crossed = route(index).expect("a permutation");
        assert_eq!(crossed.len(), switches(index.len()).div_ceil(64));
        assert_eq!(applied(index.len(), &crossed), index);
    }

    #[test]
    fn there_are_as_many_as_the_formula_says() {
        let mut sum = 0;
        for n in 1..300usize {
            sum += n.next_power_of_two().trailing_zeros() as usize;
            assert_eq!((switches(n), pairs(n).count()), (sum, sum), "{n}");
            assert!(pairs(n).all(|(i, j)| i < j && j < n), "{n}");
        }
        assert_eq!(switches(100_003), pairs(100_003).count());
    }

    #[test]
    fn every_permutation_of_up_to_six_rows_has_a_route() {
        fn all(n: usize) -> Vec<Vec<i64>> {
            if n == 0 {
                return vec![vec![]];
            }
            let shorter = all(n - 1);
            let with = |at| {
                shorter.iter().map(move |p: &Vec<i64>| {
                    let mut p = p.clone();
                    p.insert(at, n as i64 - 1);
                    p
                })
            };
            (0..n).flat_map(with).collect()
        }
        for n in 1..=6 {
            let all = all(n);
            assert_eq!(all.len(), (1..=n).product());
            all.iter().for_each(|p| check(p));
        }
    }

    /// Of four rows there are 24 permutations and 32 settings of five switches.
    #[test]
    fn settings_of_four_rows_make_every_permutation() {
        let made: HashSet<Vec<i64>> = (0..32).map(|crossed| applied(4, &[crossed])).collect();
        assert_eq!((switches(4), made.len()), (5, 24));
    }

    #[test]
    fn permutations_of_all_sizes_have_a_route() {
        for n in 1..=70usize {
            check(&(0..n as i64).collect::<Vec<_>>());
            check(&(0..n as i64).rev().collect::<Vec<_>>());
            check(
                &(0..n as i64)
                    .map(|i| (i + 1) % n as i64)
                    .collect::<Vec<_>>(),
            );
            for seed in 0..20u128 {
                check(&argot_prf::permutation(&seed.to_le_bytes(), n));
            }
        }
        for n in [4096, 4097, 8193, 100_003] {
            check(&argot_prf::permutation(&[3; 16], n));
        }
    }

    #[test]
    fn with_no_switch_crossed_all_rows_stay() {
        for n in [1, 2, 3, 4, 5, 17, 64, 1000] {
            let identity: Vec<i64> = (0..n as i64).collect();
            assert_eq!(applied(n, &vec![0; switches(n).div_ceil(64)]), identity);
        }
    }

    #[test]
    fn what_is_no_permutation_is_refused_by_its_position() {
        for (index, position) in [
            (&[0, 1, 1][..], 2),
            (&[0, 3, 1], 1),
            (&[-1, 0, 1], 0),
            (&[0, i64::MAX], 1),
        ] {
            let error = route(index).unwrap_err().to_string();
            assert!(error.contains(&format!("position {position} ")), "{error}");
        }
        assert!(route(&[]).unwrap_err().to_string().contains("got 0"));
    }
}
