//! SoftSpoken OT: Roy, "SoftSpokenOT: Quieter OT Extension from Small-Field Silent VOLE in the Minicrypt Model" (eprint
//! 2022/192) sections 3.1 and 3.2, honest but curious.
//!
//! `delta` is cut into `128 / k` parts of k bits. For each part d the receiver has a tree of 2^k seeds, of which the
//! sender learns all but seed d, from k base transfers. With R_x the stream of seed x, the receiver takes
//! `u = sum of R_x` and `v = sum of x R_x`, the sender `w = sum of (x + d) R_x`, to which seed d adds nothing:
//! `w = v + d u`. All parts must agree on u: the receiver takes that of part 0 as its bits, and sends the differences
//! of the others.
//!
//! Bits: `128 / k - 1` a correlation, from the receiver, in runs of [`RUN`]. The cost in AES blocks is `2^k / k` a
//! correlation: k = 2 is the fastest, k = 8 the shortest.

use crate::error::length;
use crate::memory::Blocks;
use crate::{base, masked, random, tree, Error, Session};
use argot_prf::{transpose, Stream};
use zeroize::Zeroizing;

/// Correlations are made in runs of so many.
pub const RUN: usize = 1024;
/// A row of a run: bit `i` is that of correlation `i`.
type Row = [u64; RUN / 64];

/// Bits of a part: what is sent against what is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    One = 1,
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::One, Part::Two, Part::Four, Part::Eight];

    fn bits(self) -> usize {
        self as usize
    }

    fn parts(self) -> usize {
        128 / self.bits()
    }

    /// Bytes of the receiver's message for `n` correlations.
    pub fn message_len(self, n: usize) -> usize {
        n.div_ceil(RUN) * (self.parts() - 1) * (RUN / 8)
    }
}

/// Bytes of the message of [`Sender::begin`].
pub const REQUEST: usize = base::REQUEST;
/// Bytes of the message of [`Receiver::answer`]: that of the base transfers, and two masked sums a level of the trees.
pub const ANSWER: usize = base::ANSWER + 32 * base::COUNT;

/// The sender between its first message and the answer.
pub struct Beginning {
    delta: Zeroizing<u128>,
    part: Part,
    base: base::Receiver,
}

/// Who holds `delta`.
pub struct Sender {
    delta: Zeroizing<u128>,
    part: Part,
    /// Those of part p from `p << k` on, in the order of `x ^ d`: the first is none that the receiver has.
    streams: Vec<Stream>,
    runs: u64,
}

/// Who holds the bits.
pub struct Receiver {
    part: Part,
    streams: Vec<Stream>,
    runs: u64,
}

impl Sender {
    /// With the `delta` given, whose lowest bit must be 1. In the base transfers the sender receives: of each level of
    /// its trees the half that the path, its part of `delta`, does not enter.
    pub fn begin(session: Session, part: Part, delta: u128) -> Result<(Beginning, Vec<u8>), Error> {
        if delta & 1 == 0 {
            return Err(Error::Shape(
                "the lowest bit of delta: got 0; want 1".into(),
            ));
        }
        let (base, request) = base::Receiver::begin(session, !delta)?;
        Ok((
            Beginning {
                delta: Zeroizing::new(delta),
                part,
                base,
            },
            request,
        ))
    }

    /// `n` blocks `q_i` with `t_i = q_i ^ b_i * delta`, from the receiver's message.
    pub fn extend(&mut self, n: usize, message: &[u8]) -> Result<Blocks, Error> {
        length(
            "SoftSpoken correction",
            message.len(),
            self.part.message_len(n),
        )?;
        let mut out = Blocks::from(Vec::with_capacity(n.next_multiple_of(RUN)));
        let mut rows = Zeroizing::new(vec![[0; RUN / 64]; 128]);
        let mut corrections = message.as_chunks::<{ RUN / 8 }>().0.iter();
        for _ in 0..n.div_ceil(RUN) {
            for (p, rows) in rows.chunks_exact_mut(self.part.bits()).enumerate() {
                fold(&self.streams, p, self.part, self.runs, rows);
                if p > 0 {
                    let correction = corrections.next().map_or([0; RUN / 64], row);
                    for (b, row) in rows.iter_mut().enumerate() {
                        let mask = 0u64
                            .wrapping_sub((*self.delta >> (self.part.bits() * p + b)) as u64 & 1);
                        add(row, &correction.map(|word| word & mask));
                    }
                }
            }
            self.runs += 1;
            // The lowest bit of q becomes 0; that of t becomes b. As that of delta is 1, the correlation holds.
            rows[0] = [0; RUN / 64];
            columns(&rows, &mut out);
        }
        out.truncate(n);
        Ok(out)
    }
}

impl Beginning {
    pub fn finish(self, answer: &[u8]) -> Result<Sender, Error> {
        length("SoftSpoken answer", answer.len(), ANSWER)?;
        let Beginning { delta, part, base } = self;
        let (of_base, sums) = answer.split_at(base::ANSWER);
        let keys = base.finish(of_base)?;
        let known: Vec<u128> = sums
            .as_chunks::<16>()
            .0
            .chunks_exact(2)
            .zip(keys.iter())
            .enumerate()
            .map(|(i, (pair, key))| {
                let [left, right] = [pair[0], pair[1]].map(u128::from_le_bytes);
                let aside = !*delta >> i & 1;
                left ^ masked(left ^ right, 0u64.wrapping_sub(aside as u64)) ^ key
            })
            .collect();
        let known = Zeroizing::new(known);
        let mut streams = Vec::with_capacity(part.parts() << part.bits());
        for (p, known) in known.chunks_exact(part.bits()).enumerate() {
            let d = (*delta >> (part.bits() * p)) as u64 & ((1 << part.bits()) - 1);
            let mut seeds = Zeroizing::new(tree::regrow_plain(d, known));
            reorder(&mut seeds, d);
            streams.extend(seeds.iter().map(|seed| Stream::new(&seed.to_le_bytes())));
        }
        Ok(Sender {
            delta,
            part,
            streams,
            runs: 0,
        })
    }
}

impl Receiver {
    pub fn answer(
        session: Session,
        part: Part,
        request: &[u8],
    ) -> Result<(Receiver, Vec<u8>), Error> {
        let (keys, mut message) = base::answer(&session, request)?;
        let mut streams = Vec::with_capacity(part.parts() << part.bits());
        for keys in keys.chunks_exact(part.bits()) {
            let root = u128::from_le_bytes(*random::<16>()?);
            let (seeds, sums) = tree::grow_plain(root, part.bits());
            let seeds = Zeroizing::new(seeds);
            streams.extend(seeds.iter().map(|seed| Stream::new(&seed.to_le_bytes())));
            for (sums, keys) in sums.iter().zip(keys) {
                message.extend_from_slice(&(sums[0] ^ keys[0]).to_le_bytes());
                message.extend_from_slice(&(sums[1] ^ keys[1]).to_le_bytes());
            }
        }
        Ok((
            Receiver {
                part,
                streams,
                runs: 0,
            },
            message,
        ))
    }

    /// `n` blocks `t_i`, whose lowest bits are random bits `b_i`, and the message to the sender.
    pub fn extend(&mut self, n: usize) -> (Blocks, Vec<u8>) {
        let mut out = Blocks::from(Vec::with_capacity(n.next_multiple_of(RUN)));
        let mut message = Vec::with_capacity(self.part.message_len(n));
        let mut rows = Zeroizing::new(vec![[0; RUN / 64]; 128]);
        for _ in 0..n.div_ceil(RUN) {
            let mut bits = [0; RUN / 64];
            for (p, rows) in rows.chunks_exact_mut(self.part.bits()).enumerate() {
                let mut u = fold(&self.streams, p, self.part, self.runs, rows);
                if p == 0 {
                    bits = u;
                } else {
                    add(&mut u, &bits);
                    message.extend(u.iter().flat_map(|word| word.to_le_bytes()));
                }
            }
            self.runs += 1;
            rows[0] = bits;
            columns(&rows, &mut out);
        }
        out.truncate(n);
        (out, message)
    }
}

/// With R_x the row of stream x of part p in this run: `rows[b]` becomes the sum of the R_x whose x has bit b; gives
/// the sum of all. Halving the list for each bit takes two additions a stream (section 3.1 of the paper).
fn fold(streams: &[Stream], p: usize, part: Part, run: u64, rows: &mut [Row]) -> Row {
    let count = 1 << part.bits();
    let mut sums = Zeroizing::new(vec![[0; RUN / 64]; count]);
    for (sum, stream) in sums.iter_mut().zip(&streams[p * count..]) {
        stream.words_at(run * (RUN / 64) as u64, sum);
    }
    let mut left = count;
    for out in rows {
        *out = [0; RUN / 64];
        left /= 2;
        for i in 0..left {
            let (even, odd) = (sums[2 * i], sums[2 * i + 1]);
            add(out, &odd);
            sums[i] = even;
            add(&mut sums[i], &odd);
        }
    }
    sums[0]
}

fn add(to: &mut Row, row: &Row) {
    for (to, word) in to.iter_mut().zip(row) {
        *to ^= word;
    }
}

fn row(bytes: &[u8; RUN / 8]) -> Row {
    let words = bytes.as_chunks::<8>().0;
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// Bit `i` of row `j` becomes bit `j` of block `i`.
fn columns(rows: &[Row], out: &mut Vec<u128>) {
    out.extend((0..RUN / 64).flat_map(|w| {
        let mut low: [u64; 64] = std::array::from_fn(|j| rows[j][w]);
        let mut high: [u64; 64] = std::array::from_fn(|j| rows[64 + j][w]);
        transpose(&mut low);
        transpose(&mut high);
        let both = low.into_iter().zip(high);
        both.map(|(low, high)| (u128::from(high) << 64) | u128::from(low))
    }));
}

/// `seeds[x]` becomes `seeds[x ^ d]`, for a power of two of them, without a branch or an index on d.
fn reorder(seeds: &mut [u128], d: u64) {
    for level in 0..seeds.len().ilog2() {
        let (bit, mask) = (1 << level, 0u64.wrapping_sub((d >> level) & 1));
        for x in (0..seeds.len()).filter(|x| x & bit == 0) {
            let swap = masked(seeds[x] ^ seeds[x | bit], mask);
            seeds[x] ^= swap;
            seeds[x | bit] ^= swap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_delta;

    fn pair(part: Part) -> (Sender, Receiver) {
        let session = Session::new(&[1; 32], 0);
        let (beginning, request) = Sender::begin(session, part, random_delta().unwrap()).unwrap();
        let (receiver, answer) = Receiver::answer(session, part, &request).unwrap();
        assert_eq!((request.len(), answer.len()), (REQUEST, ANSWER));
        (beginning.finish(&answer).unwrap(), receiver)
    }

    #[test]
    fn correlations_hold_for_every_part() {
        for part in Part::ALL {
            let (mut sender, mut receiver) = pair(part);
            let mut all = Vec::new();
            for n in [1, 1024, 0, 3000] {
                let (t, message) = receiver.extend(n);
                assert_eq!(message.len(), part.message_len(n));
                let q = sender.extend(n, &message).unwrap();
                assert_eq!((q.len(), t.len()), (n, n));
                for (q, t) in q.iter().zip(t.iter()) {
                    assert_eq!(q & 1, 0);
                    assert_eq!(
                        *t,
                        q ^ if t & 1 == 1 { *sender.delta } else { 0 },
                        "{part:?}"
                    );
                }
                all.extend(t.iter().copied());
            }
            // Of 4025 fair bits; 40 standard deviations would be 1269.
            let ones = all.iter().filter(|t| *t & 1 == 1).count();
            assert!((1700..2300).contains(&ones), "{ones}");
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 4025);
        }
    }

    #[test]
    fn wrong_lengths_are_refused_and_flipped_bits_stay_where_they_are() {
        let (mut sender, mut receiver) = pair(Part::Four);
        let (t, mut message) = receiver.extend(2048);
        assert!(matches!(
            sender.extend(2048, &message[1..]),
            Err(Error::Length { .. })
        ));
        assert!(matches!(
            sender.extend(1024, &message),
            Err(Error::Length { .. })
        ));
        message[3] ^= 1;
        let q = sender.extend(2048, &message).unwrap();
        for (i, (q, t)) in q.iter().zip(t.iter()).enumerate() {
            assert!(*t == q ^ if t & 1 == 1 { *sender.delta } else { 0 } || i == 24);
        }
        let session = Session::new(&[1; 32], 0);
        assert!(matches!(
            Sender::begin(session, Part::Two, 2),
            Err(Error::Shape(_))
        ));
        let (beginning, request) = Sender::begin(session, Part::Two, 1).unwrap();
        assert!(matches!(
            Receiver::answer(session, Part::Two, &request[1..]),
            Err(Error::Length { .. })
        ));
        assert!(matches!(
            beginning.finish(&[0; 7]),
            Err(Error::Length { .. })
        ));
    }
}
