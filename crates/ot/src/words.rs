//! Products of random bits in words, made as soon as the correlations are: 64 correlations, which are 1,024 bytes, become
//! one block of 16.
//!
//! The bit s = 0 of [`SenderCots::plane_products`](crate::SenderCots::plane_products): with `b = x_0 + x_1` and `u = x_0`
//! for the pads of a correlation at the sender, its bit a and `v = x_a` at the receiver, `u ^ v = a & b`. A block has 64 of
//! `b`, or of `a`, in its low half, and of `u`, or of `v`, in its high one. Correlation `64 w + i` is bit i of block w.

use crate::bits::low_words;
use crate::cots::PLAIN;
use crate::Session;
use argot_prf::hash_each;
use zeroize::Zeroizing;

/// Products in a block.
pub const WORD: usize = 64;

/// What correlations of one session are hashed with.
pub(crate) struct Hashes {
    key: u128,
}

impl Hashes {
    pub(crate) fn new(session: &Session) -> Hashes {
        Hashes {
            key: session.key("pads", 0),
        }
    }

    /// Those of correlations `first` and on, as [`crate::cots::Run::keys_from`] has them.
    fn keys(&self, first: u64) -> [u128; WORD] {
        std::array::from_fn(|i| self.key ^ u128::from((first + i as u64) << 8 | u64::from(PLAIN)))
    }

    /// The sender's blocks of products, from its rows `q_i` of correlations `first` and on.
    pub(crate) fn of_sender(&self, delta: u128, first: u64, rows: &[u128], out: &mut [u128]) {
        let (mut zero, mut one) = (Zeroizing::new([0; WORD]), Zeroizing::new([0; WORD]));
        for ((rows, out), number) in rows.as_chunks::<WORD>().0.iter().zip(out).zip(0..) {
            *zero = *rows;
            for (one, row) in one.iter_mut().zip(rows) {
                *one = row ^ delta;
            }
            let keys = self.keys(first + number * WORD as u64);
            hash_each(&keys, [&mut zero[..], &mut one[..]]);
            let ([zero], [one]) = (low_words(&zero[..]), low_words(&one[..]));
            *out = u128::from(zero ^ one) | u128::from(zero) << 64;
        }
    }

    /// The receiver's, from its rows `t_i`.
    pub(crate) fn of_receiver(&self, first: u64, rows: &[u128], out: &mut [u128]) {
        let mut pads = Zeroizing::new([0; WORD]);
        for ((rows, out), number) in rows.as_chunks::<WORD>().0.iter().zip(out).zip(0..) {
            *pads = *rows;
            let keys = self.keys(first + number * WORD as u64);
            hash_each(&keys, [&mut pads[..]]);
            let ([bits], [pads]) = (low_words(&rows[..]), low_words(&pads[..]));
            *out = u128::from(bits) | u128::from(pads) << 64;
        }
    }
}

/// The low and the high halves of blocks, each plane by plane.
pub(crate) fn halves(blocks: &[u128]) -> (Vec<u64>, Vec<u64>) {
    let low = blocks.iter().map(|block| *block as u64).collect();
    (
        low,
        blocks.iter().map(|block| (block >> 64) as u64).collect(),
    )
}
