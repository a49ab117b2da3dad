//! Trees of Goldreich, Goldwasser and Micali whose receiver knows every leaf but one.
//!
//! Node `j` of a level has the children `j` and `j + 2^level`: so a path is a number, its lowest bit the first step,
//! and a level grows in place.
//!
//! The tree of correlations is the correlated one of Guo, Yang, Wang, Zhang, Xie, Liu and Zhao, "Half-Tree: Halving the
//! Cost of Tree Expansion in COT and DPF" (eprint 2022/1431): the children of x are `x ^ H(x)` and
//! `H(x)`, so that every level adds up to `delta`. For level l the sender sends `q_l ^ K_l`, where `K_l` is the sum of
//! the right half; the receiver takes the step `b_l` and gets from `t_l` the sum of the half that it does not enter.

use crate::{equal, masked};
use argot_prf::{Cipher, Stream};
use zeroize::Zeroizing;

/// Bytes that the sender sends for one level.
pub(crate) const SUM: usize = 16;

/// One key a level of each tree: no key ever hashes two blocks that differ by `delta` from what the receiver knows.
fn cipher(key: u128, tree: u64, level: usize) -> Cipher {
    Cipher::new(key ^ (u128::from(tree) << 8 | level as u128))
}

/// The sender's tree: `leaves`, a power of two of them, with lowest bits 0. One correlation and one sum a level.
pub(crate) fn grow(
    key: u128,
    tree: u64,
    delta: u128,
    root: u128,
    q: &[u128],
    sums: &mut [u8],
    leaves: &mut [u128],
) {
    debug_assert!(leaves.len() == 1 << q.len() && sums.len() == SUM * q.len());
    (leaves[0], leaves[1]) = (root, root ^ delta);
    let sums = sums.as_chunks_mut::<SUM>().0;
    sums[0] = (q[0] ^ leaves[1]).to_le_bytes();
    for level in 1..q.len() {
        let right = double(&cipher(key, tree, level), level, leaves);
        sums[level] = (q[level] ^ right).to_le_bytes();
    }
    for leaf in leaves {
        *leaf &= !1;
    }
}

/// The receiver's tree: the sender's leaves, but for the one at the path of the lowest bits of `t`, which is the
/// sender's plus `delta`.
///
/// What stands at the path is a wrong value, always such that the level adds up to zero: that is, the sender's plus
/// `delta`. Its two wrong children add up to it; the same correction on both puts right the one beside the path, and
/// keeps the sum. Every node is touched alike, so that the path shows in no time.
pub(crate) fn regrow(key: u128, tree: u64, t: &[u128], sums: &[u8], leaves: &mut [u128]) {
    debug_assert!(leaves.len() == 1 << t.len() && sums.len() == SUM * t.len());
    let sums = sums.as_chunks::<SUM>().0;
    let known = |level: usize| u128::from_le_bytes(sums[level]) ^ t[level];
    (leaves[0], leaves[1]) = (known(0), known(0));
    let mut path = t[0] as u64 & 1;
    for level in 1..t.len() {
        let right = double(&cipher(key, tree, level), level, leaves);
        let correction = right ^ known(level);
        let (left, right) = leaves[..2 << level].split_at_mut(1 << level);
        for (j, (left, right)) in left.iter_mut().zip(right).enumerate() {
            let here = masked(correction, equal(j as u64, path));
            *left ^= here;
            *right ^= here;
        }
        path |= (t[level] as u64 & 1) << level;
    }
    for (j, leaf) in leaves.iter_mut().enumerate() {
        *leaf = *leaf & !1 | u128::from(equal(j as u64, path) & 1);
    }
}

/// One level more; gives the sum of its right half.
fn double(cipher: &Cipher, level: usize, nodes: &mut [u128]) -> u128 {
    let (left, right) = nodes[..2 << level].split_at_mut(1 << level);
    right.copy_from_slice(left);
    cipher.hash_all(right);
    let mut sum = 0;
    for (left, right) in left.iter_mut().zip(right) {
        *left ^= *right;
        sum ^= *right;
    }
    sum
}

/// The plain tree under `root`: the children of x are the first two blocks of the stream of key x. Gives the leaves
/// and, for each level, the sums of its left and of its right half.
pub(crate) fn grow_plain(root: u128, depth: usize) -> (Vec<u128>, Vec<[u128; 2]>) {
    // Room for all: a vector that grows leaves what it held behind.
    let mut nodes = Vec::with_capacity(1 << depth);
    nodes.push(root);
    let sums = (0..depth).map(|_| double_plain(&mut nodes)).collect();
    (nodes, sums)
}

/// The leaves of the plain tree but for that at `path`, which is a wrong value. `known[l]` is the sum of the half of
/// level l that the path does not enter.
pub(crate) fn regrow_plain(path: u64, known: &[u128]) -> Vec<u128> {
    let mut nodes = Vec::with_capacity(1 << known.len());
    nodes.push(0);
    for (level, known) in known.iter().enumerate() {
        let [left, right] = double_plain(&mut nodes);
        let aside = 1 ^ path >> level & 1;
        let correction = known ^ left ^ masked(left ^ right, 0u64.wrapping_sub(aside));
        let at = path & ((1 << level) - 1) | aside << level;
        for (j, node) in nodes.iter_mut().enumerate() {
            *node ^= masked(correction, equal(j as u64, at));
        }
    }
    nodes
}

fn double_plain(nodes: &mut Vec<u128>) -> [u128; 2] {
    let mut sums = [0; 2];
    let mut right = Zeroizing::new(Vec::with_capacity(nodes.len()));
    for node in nodes.iter_mut() {
        let mut children = Zeroizing::new([0; 32]);
        Stream::new(&node.to_le_bytes()).fill_at(0, &mut children[..]);
        let [a, b] = [0, 16].map(|i| u128::from_le_bytes(std::array::from_fn(|j| children[i + j])));
        *node = a;
        right.push(b);
        sums[0] ^= a;
        sums[1] ^= b;
    }
    nodes.extend_from_slice(&right);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(seed: u128, n: usize) -> Vec<u128> {
        let mut blocks: Vec<u128> = (0..n as u128).collect();
        Cipher::new(seed).encrypt(&mut blocks);
        blocks
    }

    #[test]
    fn trees_differ_by_delta_at_the_path_alone() {
        for depth in [1, 2, 3, 7] {
            for path in [0, 1, (1 << depth) - 1, 0x55 & ((1 << depth) - 1)] {
                let delta = blocks(9, 1)[0] | 1;
                let q: Vec<u128> = blocks(1, depth).iter().map(|q| q & !1).collect();
                let t: Vec<u128> = q
                    .iter()
                    .enumerate()
                    .map(|(l, q)| q ^ if path >> l & 1 == 1 { delta } else { 0 })
                    .collect();
                let (mut v, mut w, mut sums) = (
                    vec![0; 1 << depth],
                    vec![0; 1 << depth],
                    vec![0; SUM * depth],
                );
                grow(5, 3, delta, 77, &q, &mut sums, &mut v);
                regrow(5, 3, &t, &sums, &mut w);
                for (j, (v, w)) in v.iter().zip(&w).enumerate() {
                    assert_eq!(v & 1, 0);
                    assert_eq!(
                        v ^ w,
                        if j == path { delta } else { 0 },
                        "{depth} {path} {j}"
                    );
                }
                let mut sorted = v.clone();
                sorted.sort_unstable();
                sorted.dedup();
                assert_eq!(sorted.len(), v.len());
            }
        }
    }

    #[test]
    fn a_plain_tree_lacks_one_leaf() {
        for depth in [1, 2, 4, 8] {
            let (leaves, sums) = grow_plain(123, depth);
            for path in [0, 1, (1u64 << depth) - 1, 0xa5 & ((1 << depth) - 1)] {
                let known: Vec<u128> = sums
                    .iter()
                    .enumerate()
                    .map(|(l, s)| s[(1 ^ path >> l & 1) as usize])
                    .collect();
                for (j, (got, want)) in regrow_plain(path, &known).iter().zip(&leaves).enumerate() {
                    assert_eq!(got != want, j as u64 == path, "{depth} {path} {j}");
                }
            }
        }
    }
}
