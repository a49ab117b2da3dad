//! Short tags of points, and what two lists of them have in common.

use crate::group::Encoded;
use rayon::prelude::*;

/// The longest tag, in bytes.
pub const LONGEST: usize = 16;

/// A list holds one tag twice: which list (0 or 1) and the two positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    pub list: usize,
    pub positions: (usize, usize),
}

/// The first `length` bytes of each point's BLAKE3 hash under a key of this purpose, one after the other. Hashed,
/// since the encodings themselves are not uniform: two of their bits are constant.
pub fn tags(points: &[Encoded], length: usize) -> Vec<u8> {
    assert!((1..=LONGEST).contains(&length));
    let key = blake3::derive_key("argot 2026 sets: tag of a point", b"");
    let mut out = vec![0; points.len() * length];
    out.par_chunks_mut(length)
        .zip(points)
        .with_min_len(1024)
        .for_each(|(tag, point)| {
            tag.copy_from_slice(&blake3::keyed_hash(&key, point).as_bytes()[..length]);
        });
    out
}

/// Positions in `left` and in `right` of the tags that both hold, in the order of the tags, so that neither list's
/// own order shows. Tags are `length` bytes.
pub fn common(left: &[u8], right: &[u8], length: usize) -> Result<(Vec<i64>, Vec<i64>), Repeated> {
    assert!(
        (1..=LONGEST).contains(&length)
            && left.len().is_multiple_of(length)
            && right.len().is_multiple_of(length)
    );
    let (left, right) = (sorted(left, length, 0)?, sorted(right, length, 1)?);
    let (mut i, mut j) = (0, 0);
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    while i < left.len() && j < right.len() {
        match left[i].0.cmp(&right[j].0) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                rows.push(left[i].1 as i64);
                others.push(right[j].1 as i64);
                i += 1;
                j += 1;
            }
        }
    }
    Ok((rows, others))
}

fn sorted(tags: &[u8], length: usize, list: usize) -> Result<Vec<(u128, usize)>, Repeated> {
    let mut found: Vec<(u128, usize)> = tags
        .chunks_exact(length)
        .enumerate()
        .map(|(position, tag)| {
            // The first byte counts most, so that the order is that of the bytes.
            let mut wide = [0; 16];
            wide[..length].copy_from_slice(tag);
            (u128::from_be_bytes(wide), position)
        })
        .collect();
    found.par_sort_unstable();
    match found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Repeated {
            list,
            positions: (pair[0].1, pair[1].1),
        }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_tags_in_the_order_of_the_tags() {
        let left = b"zzabcdef";
        let right = b"efxxzzcd";
        assert_eq!(common(left, right, 2), Ok((vec![2, 3, 0], vec![3, 0, 2])));
        assert_eq!(common(left, b"", 2), Ok((vec![], vec![])));
    }

    #[test]
    fn a_repeated_tag_is_refused() {
        let repeated = b"zzabzz";
        let want = |list| {
            Err(Repeated {
                list,
                positions: (0, 2),
            })
        };
        assert_eq!(common(repeated, b"ab", 2), want(0));
        assert_eq!(common(b"ab", repeated, 2), want(1));
    }

    #[test]
    fn tags_are_prefixes_of_one_hash() {
        let points = [[1; 32], [2; 32]];
        let (short, long) = (tags(&points, 10), tags(&points, 16));
        assert_eq!(short[..10], long[..10]);
        assert_eq!(short[10..], long[16..26]);
    }
}
