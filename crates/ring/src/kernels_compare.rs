//! Signs by function secret sharing: two parties that know c = x + r mod 2^l get shares of the top bit of x, without a
//! message, from keys that a dealer made of r.
//!
//! With m = l - 1, a = r mod 2^m and top bits written as functions,
//!
//!   top(x) = top(c) ^ top(r) ^ [c mod 2^m < a]                     (x = c - r borrows from its top bit)
//!
//! of which a key hides all but top(c): it is one of a distributed comparison function (Boyle, Chandran, Gilboa, Gupta,
//! Ishai, Kumar and Rathee, EUROCRYPT 2021, eprint 2020/1392, figure 3) for the group GF(2), with the values top(r) ^ 1
//! below a and top(r) from there on. Each party walks a binary tree along c mod 2^m, from the highest bit on. At a node
//! the two parties have equal states, whose parts of the value add up to it already; only on the path of a their seeds
//! are independent and their bits t differ. A correction of each level, the same for both parties, is added where
//! t = 1: off the path it does nothing, on it it makes the states of the child that the path does not enter equal.
//!
//! The walk ends seven levels early, at a node that stands for 128 values (Boyle, Gilboa and Ishai, CCS 2016, eprint
//! 2018/707, section 3.2.3; for comparisons Orca and SIGMA, eprint 2023/1269): its seed is hashed to a bit of each.
//!
//! **Form.** A state is a block of 16 bytes: bit 0 is t, bit 1 the sum of this party's parts so far, bit 2 zero, and the
//! 125 above are the seed. Its children and its leaves are hashes ([`Cipher::hash_all`]) of the seed with 0, 1 or 2 in the
//! low bits; the cipher's key is another one at every call, and public. A correction has the seed's in the same place and
//! below it those of t for the left (bit 0) and for the right child (bit 1), and of the value (bit 2).
//!
//! A key of an element is a correction for each of max(m - 7, 0) levels, and the correction of 2^min(m, 7) leaves, a byte
//! at least, all little endian. The roots' seeds are draws that each party has in common with the dealer.
//!
//! Nothing branches or indexes on r or on a state; c is known to both parties.

use crate::element::Ring;
use argot_prf::{Cipher, Stream};
use rayon::prelude::*;
use zeroize::Zeroize;

/// Levels that the last block stands for.
const EARLY: u32 = 7;
/// Elements that are walked side by side: a word of a plane.
const BLOCK: usize = 64;
/// Elements of one thread's part, some 100 microseconds of work.
const PART: usize = 16 * BLOCK;

const SEED: u128 = !7;
const T: u128 = 1;
const VALUE: u128 = 2;
/// Beside a seed: what makes its leaves.
const LEAVES: u128 = 2;

/// Of a bound l: levels of the tree, and levels below it that are leaves of one block.
fn depths(bound: u32) -> (u32, u32) {
    let m = bound - 1;
    (m - m.min(EARLY), m.min(EARLY))
}

fn leaf_len(bound: u32) -> usize {
    (1usize << depths(bound).1).div_ceil(8)
}

/// Bytes of the key of one element.
///
/// # Panics
/// `bound` is 0.
pub fn key_len(bound: u32) -> usize {
    16 * depths(bound).0 as usize + leaf_len(bound)
}

/// All ones where the lowest bit is 1, else zero.
#[inline(always)]
fn mask(bit: u128) -> u128 {
    (bit & 1).wrapping_neg()
}

#[inline(always)]
fn choose(mask: u128, ones: u128, zeros: u128) -> u128 {
    zeros ^ (zeros ^ ones) & mask
}

/// The state of a child from that of its parent, the hash, and the level's correction; `right` is a mask.
#[inline(always)]
fn step(state: u128, child: u128, correction: u128, right: u128) -> u128 {
    let bit = choose(right, correction >> 1, correction) & T;
    let whole = correction & SEED | correction >> 1 & VALUE | bit;
    child & (SEED | VALUE | T) ^ whole & mask(state) ^ state & VALUE
}

/// The states of the roots of elements first..first + states.len().
fn roots(stream: &Stream, first: usize, t: u128, states: &mut [u128]) {
    let mut bytes = [0; 16 * BLOCK];
    let used = &mut bytes[..16 * states.len()];
    stream.fill_at(16 * first as u64, used);
    for (state, seed) in states.iter_mut().zip(used.as_chunks::<16>().0) {
        *state = u128::from_le_bytes(*seed) & SEED | t;
    }
    bytes.zeroize();
}

/// The keys of the numbers r mod 2^`bound`, from the streams of the two parties' roots.
///
/// # Panics
/// `bound` is not in 1..=W::BITS, or `keys` has not `key_len` bytes for each number.
pub fn generate<W: Ring>(
    r: &[W],
    bound: u32,
    cipher: &Cipher,
    streams: [&Stream; 2],
    keys: &mut [u8],
) {
    assert!((1..=W::BITS).contains(&bound), "a bound of {bound}");
    let length = key_len(bound);
    assert_eq!(keys.len(), r.len() * length, "bytes of keys");
    let part = |(i, (r, keys)): (usize, (&[W], &mut [u8]))| {
        for (j, (r, keys)) in r
            .chunks(BLOCK)
            .zip(keys.chunks_mut(BLOCK * length))
            .enumerate()
        {
            generate_block(r, bound, cipher, streams, i * PART + j * BLOCK, keys);
        }
    };
    if r.len() <= PART {
        return part((0, (r, keys)));
    }
    r.par_chunks(PART)
        .zip(keys.par_chunks_mut(PART * length))
        .enumerate()
        .for_each(part);
}

fn generate_block<W: Ring>(
    r: &[W],
    bound: u32,
    cipher: &Cipher,
    streams: [&Stream; 2],
    first: usize,
    keys: &mut [u8],
) {
    let n = r.len();
    let (depth, early) = depths(bound);
    let length = key_len(bound);
    let (mut alpha, mut hashes) = ([0; BLOCK], [0; 4 * BLOCK]);
    let mut states = [[0; BLOCK]; 2];
    for (alpha, r) in alpha.iter_mut().zip(r) {
        *alpha = r.to_u128();
    }
    roots(streams[0], first, 0, &mut states[0][..n]);
    roots(streams[1], first, T, &mut states[1][..n]);
    for level in 0..depth {
        for (i, pair) in hashes[..4 * n].chunks_mut(2 * n).enumerate() {
            for j in 0..n {
                pair[j] = states[i][j] & SEED;
                pair[n + j] = pair[j] | 1;
            }
        }
        cipher.hash_all(&mut hashes[..4 * n]);
        for j in 0..n {
            let right = mask(alpha[j] >> (bound - 2 - level));
            let [left0, right0, left1, right1] = [0, n, 2 * n, 3 * n].map(|at| hashes[at + j]);
            let (left, both) = (left0 ^ left1, right0 ^ right1);
            // Of the child beside the path: left of it, where the path goes right, the value is top(r) ^ 1.
            let aside = choose(right, left, both);
            let beside = alpha[j] >> (bound - 1) ^ right;
            let value = (aside ^ states[0][j] ^ states[1][j]) >> 1 ^ beside;
            let correction = aside & SEED
                | (left ^ right ^ 1) & 1
                | ((both ^ right) & 1) << 1
                | (value & 1) << 2;
            let at = j * length + 16 * level as usize;
            keys[at..at + 16].copy_from_slice(&correction.to_le_bytes());
            states[0][j] = step(
                states[0][j],
                choose(right, right0, left0),
                correction,
                right,
            );
            states[1][j] = step(
                states[1][j],
                choose(right, right1, left1),
                correction,
                right,
            );
        }
    }
    for j in 0..n {
        hashes[j] = states[0][j] & SEED | LEAVES;
        hashes[n + j] = states[1][j] & SEED | LEAVES;
    }
    cipher.hash_all(&mut hashes[..2 * n]);
    for j in 0..n {
        let given = (states[0][j] ^ states[1][j]) >> 1;
        let values = below(alpha[j], early) ^ mask(alpha[j] >> (bound - 1) ^ given);
        let correction = (hashes[j] ^ hashes[n + j] ^ values).to_le_bytes();
        let leaves = &mut keys[(j + 1) * length - leaf_len(bound)..(j + 1) * length];
        leaves.copy_from_slice(&correction[..leaves.len()]);
    }
    alpha.zeroize();
    states.zeroize();
    hashes.zeroize();
}

/// Bit v is 1 for each v below the low `bits` bits of `alpha`, at most 7.
fn below(alpha: u128, bits: u32) -> u128 {
    let mut found = 0u128;
    for i in 0..bits {
        // Of twice as many values: the first half, and as before in the second; or as before, and none.
        let size = 1 << i;
        let upper = found << size | ((1 << size) - 1);
        found = choose(mask(alpha >> i), upper, found);
    }
    found
}

/// This party's part of the top bit of c - r mod 2^`bound`, from its key: bit j of word i for element 64 i + j. `second`
/// says which of the two parties it is; `stream` has the seeds of its roots.
///
/// # Panics
/// `bound` is not in 1..=W::BITS, `keys` has not `key_len` bytes for each number, or `out` not a bit.
pub fn evaluate<W: Ring>(
    c: &[W],
    bound: u32,
    cipher: &Cipher,
    stream: &Stream,
    second: bool,
    keys: &[u8],
    out: &mut [u64],
) {
    assert!((1..=W::BITS).contains(&bound), "a bound of {bound}");
    let length = key_len(bound);
    assert_eq!(keys.len(), c.len() * length, "bytes of keys");
    assert_eq!(out.len(), c.len().div_ceil(BLOCK), "words of a plane");
    let word = |(i, out): (usize, &mut u64)| {
        let (first, end) = (i * BLOCK, c.len().min((i + 1) * BLOCK));
        let keys = &keys[first * length..end * length];
        *out = evaluate_block(&c[first..end], bound, cipher, stream, second, first, keys);
    };
    if c.len() <= PART {
        return out.iter_mut().enumerate().for_each(word);
    }
    out.par_iter_mut()
        .with_min_len(PART / BLOCK)
        .enumerate()
        .for_each(word);
}

fn evaluate_block<W: Ring>(
    c: &[W],
    bound: u32,
    cipher: &Cipher,
    stream: &Stream,
    second: bool,
    first: usize,
    keys: &[u8],
) -> u64 {
    let n = c.len();
    let (depth, early) = depths(bound);
    let length = key_len(bound);
    let (mut x, mut states, mut hashes) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
    for (x, c) in x.iter_mut().zip(c) {
        *x = c.to_u128();
    }
    roots(stream, first, u128::from(second), &mut states[..n]);
    for level in 0..depth {
        let shift = bound - 2 - level;
        for j in 0..n {
            hashes[j] = states[j] & SEED | x[j] >> shift & 1;
        }
        cipher.hash_all(&mut hashes[..n]);
        for j in 0..n {
            let at = j * length + 16 * level as usize;
            let mut correction = [0; 16];
            correction.copy_from_slice(&keys[at..at + 16]);
            let correction = u128::from_le_bytes(correction);
            states[j] = step(states[j], hashes[j], correction, mask(x[j] >> shift));
        }
    }
    for j in 0..n {
        hashes[j] = states[j] & SEED | LEAVES;
    }
    cipher.hash_all(&mut hashes[..n]);
    let mut word = 0;
    for j in 0..n {
        let leaves = &keys[(j + 1) * length - leaf_len(bound)..(j + 1) * length];
        let mut correction = [0; 16];
        correction[..leaves.len()].copy_from_slice(leaves);
        let values = hashes[j] ^ u128::from_le_bytes(correction) & mask(states[j]);
        let value = values >> (x[j] & ((1 << early) - 1)) ^ states[j] >> 1;
        let top = x[j] >> (bound - 1) & u128::from(!second);
        word |= (((value ^ top) & 1) as u64) << j;
    }
    states.zeroize();
    hashes.zeroize();
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Z128;

    struct Dealt {
        cipher: Cipher,
        streams: [Stream; 2],
        keys: Vec<u8>,
    }

    fn deal<W: Ring>(r: &[W], bound: u32) -> Dealt {
        let cipher = Cipher::new(0x1234);
        let streams = [Stream::new(&[1; 16]), Stream::new(&[2; 16])];
        let mut keys = vec![0; r.len() * key_len(bound)];
        generate(r, bound, &cipher, [&streams[0], &streams[1]], &mut keys);
        Dealt {
            cipher,
            streams,
            keys,
        }
    }

    fn parts<W: Ring>(dealt: &Dealt, c: &[W], bound: u32) -> [Vec<u64>; 2] {
        [false, true].map(|second| {
            let mut out = vec![0; c.len().div_ceil(64)];
            let stream = &dealt.streams[usize::from(second)];
            evaluate(
                c,
                bound,
                &dealt.cipher,
                stream,
                second,
                &dealt.keys,
                &mut out,
            );
            out
        })
    }

    /// Top bits of x against those that the two parties find from x + r.
    fn check<W: Ring>(x: &[W], r: &[W], bound: u32) {
        let c: Vec<W> = x.iter().zip(r).map(|(x, r)| x.plus(*r)).collect();
        let [one, other] = parts(&deal(r, bound), &c, bound);
        for (i, x) in x.iter().enumerate() {
            let got = (one[i / 64] ^ other[i / 64]) >> (i % 64) & 1;
            let want = (x.to_u128() >> (bound - 1)) as u64 & 1;
            assert_eq!(got, want, "element {i}, l = {bound}, {x:?} + {:?}", r[i]);
        }
        let used = x.len() % 64;
        if used > 0 {
            assert_eq!((one.last().unwrap() | other.last().unwrap()) >> used, 0);
        }
    }

    fn numbers<W: Ring>(seed: u8, n: usize) -> Vec<W> {
        let mut out = vec![W::default(); n];
        crate::kernels_trunc::words_at(&Stream::new(&[seed; 16]), 0, &mut out);
        out
    }

    #[test]
    fn every_number_under_every_mask() {
        for bound in 1..=6 {
            let all = 0..1u32 << bound;
            let pairs = all.clone().flat_map(|x| all.clone().map(move |r| (x, r)));
            let (x, r): (Vec<u32>, Vec<u32>) = pairs.unzip();
            check(&x, &r, bound);
        }
    }

    /// Of the first tree that has levels: l = 8 has leaves alone, l = 9 one level, l = 10 two.
    #[test]
    fn every_opened_number_under_some_masks_where_leaves_end() {
        for bound in 8..=10 {
            for mask in [0, 1, 126, 127, 128, 129, 200, 255, 256, 383, 511, 700, 1023] {
                let x: Vec<u64> = (0..1 << bound).collect();
                check(&x, &vec![mask; x.len()], bound);
            }
        }
    }

    #[test]
    fn any_numbers_in_every_ring() {
        for n in [1, 63, 64, 65, 1000, 3000] {
            for bound in [1, 2, 7, 8, 9, 16, 31, 32] {
                check(&numbers::<u32>(3, n), &numbers(4, n), bound);
            }
            for bound in [16, 33, 63, 64] {
                check(&numbers::<u64>(5, n), &numbers(6, n), bound);
            }
            for bound in [64, 65, 127, 128] {
                check(&numbers::<Z128>(7, n), &numbers(8, n), bound);
            }
        }
    }

    /// Opened numbers that share a prefix with the mask of every length, and are above or below it by one.
    #[test]
    fn numbers_beside_the_path() {
        for bound in [32, 64] {
            let r: Vec<u64> = numbers(9, 3 * bound as usize);
            let c = |(i, r): (usize, &u64)| match i / bound as usize {
                0 => r ^ 1 << (i as u32 % bound),
                1 => r.wrapping_add(1 << (i as u32 % bound)),
                _ => r.wrapping_sub(1 << (i as u32 % bound)),
            };
            let x: Vec<u64> = r
                .iter()
                .enumerate()
                .map(|p| c(p).wrapping_sub(*p.1))
                .collect();
            check(&x, &r, bound);
            check(&vec![0; r.len()], &r, bound);
            check(&vec![u64::MAX; r.len()], &r, bound);
        }
    }

    #[test]
    fn keys_have_the_length_that_is_said() {
        for (bound, bytes) in [
            (1, 1),
            (2, 1),
            (3, 1),
            (4, 1),
            (5, 2),
            (7, 8),
            (8, 16),
            (9, 32),
            (32, 400),
            (64, 912),
            (128, 1936),
        ] {
            assert_eq!(key_len(bound), bytes);
        }
    }

    /// Every byte of a key is about uniform over many elements, and each party's part of the result is balanced, for
    /// masks that are all the same.
    #[test]
    fn keys_and_parts_look_uniform() {
        let n = 1 << 14;
        for bound in [7, 20] {
            for mask in [0u64, 0x55555, (1 << bound) - 1] {
                let dealt = deal(&vec![mask; n], bound);
                let length = key_len(bound);
                for bit in 0..8 * length {
                    let ones = (0..n)
                        .filter(|i| dealt.keys[i * length + bit / 8] >> (bit % 8) & 1 == 1)
                        .count();
                    assert!(
                        ones.abs_diff(n / 2) < 3 * 128,
                        "bit {bit}: {ones} ones of {n}"
                    );
                }
                for part in parts(&dealt, &vec![mask ^ 3; n], bound) {
                    let ones: u32 = part.iter().map(|word| word.count_ones()).sum();
                    assert!((ones as usize).abs_diff(n / 2) < 3 * 128, "{ones} of {n}");
                }
            }
        }
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        let dealt = deal(&[5u64; 3], 20);
        for keys in [&dealt.keys[1..], &[&dealt.keys[..], &[0]].concat()] {
            let (cipher, stream) = (dealt.cipher.clone(), dealt.streams[0].clone());
            let keys = keys.to_vec();
            let refused = std::panic::catch_unwind(move || {
                evaluate(&[1u64; 3], 20, &cipher, &stream, false, &keys, &mut [0]);
            });
            assert!(refused.is_err());
        }
    }

    #[test]
    fn changed_keys_change_results_and_nothing_else() {
        let (x, r): (Vec<u64>, Vec<u64>) = (numbers(10, 64), numbers(11, 64));
        let c: Vec<u64> = x.iter().zip(&r).map(|(x, r)| x.wrapping_add(*r)).collect();
        let mut dealt = deal(&r, 40);
        let [_, whole] = parts(&dealt, &c, 40);
        for byte in &mut dealt.keys {
            *byte = !*byte;
        }
        let [_, broken] = parts(&dealt, &c, 40);
        assert_ne!(whole, broken);
    }
}
