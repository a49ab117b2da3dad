//! Private permutations: the mover has a permutation `index`, the giver nothing. Of every column the giver gets random
//! rows a and random rows b, the mover `d = a[index] - b` (Mohassel and Sadeghian, EUROCRYPT 2013, in the form of Chase,
//! Ghosh, Poburinnaya, eprint 2020/1340).
//!
//! Rows pass through a [`network`](crate::network). On each wire the giver has a mask m, at first that of a; the mover
//! has the row of a that its permutation brings there, minus m: at first zero. A switch has masks `m_0`, `m_1` before
//! and `o_0`, `o_1` behind, and the mover must learn what to add: `m_0 - o_0` and `m_1 - o_1` if the rows stay,
//! `m_1 - o_0` and `m_0 - o_1` if they cross. The two add up to the same in either case, so nothing is lost if masks
//! keep their sum, `o_0 + o_1 = m_0 + m_1`: then it learns one value r, and adds r to one row and -r to the other. That
//! is one correlated transfer: r is `m_0 - o_0`, plus `m_1 - m_0` if the bit is 1. With pads `p_0`, `p_1` of the
//! correlation, of which the mover has that of its bit,
//!
//! `o_0 = m_0 - p_0`, `o_1 = m_1 + p_0`, and the message is `m_1 - m_0 + p_0 - p_1`: one row a switch.
//!
//! A last row s, sent as it is, is subtracted from row 0 of b and added to row 0 of d, because a network alone would
//! give b the sum of a.
//!
//! *Why the mover learns d alone.* Of a switch it knows r and one pad. If its bit is 0, r is `p_0`, and the message is
//! hidden by `p_1`; if 1, r is `m_1 - m_0 + p_0`, hidden by `p_0`, and the message is `r - p_1`. So all r and s are
//! uniform whatever a is; they make d, and `b = a[index] - d`. The rows r and -r of all switches span the rows that add
//! up to zero, since the graph whose edges are the switches is connected, or not every permutation were possible, and s
//! is the rest: so d is uniform, and who is given d and the index can draw r and s from those that make it.
//! *Why the giver learns nothing.* It gets the bits that [`ReceiverCots::choose`] hides.
//!
//! Rounds: the mover's choices, then one message. For n rows of w bits: `S = switches(n)` correlations and bits from
//! the mover, `(S + 1) w` bits from the giver. Nothing branches or indexes on a choice.

use crate::bits::{check_width, low, pack, packed_len, unpack};
use crate::error::length;
use crate::memory::Blocks;
use crate::network::{check_rows, pairs, switches};
use crate::{masked, random, Error, ReceiverCots, SenderCots};
use argot_prf::Stream;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Switches whose pads are made together, a multiple of 8 so that what is sent for them fills bytes.
const PART: usize = 1 << 12;
/// Those of them that one thread takes.
const TASK: usize = 1 << 9;
/// Bytes of a hash.
const BLOCK: usize = 16;
/// Bytes of the largest element.
const LARGEST: usize = 16;

/// What the elements of a column are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Numbers modulo 2^32.
    U32,
    /// Numbers modulo 2^64.
    U64,
    /// Numbers modulo 2^128.
    U128,
    /// Words of that many bits, 1 to 64, whose plus and minus are xor.
    Bits(u32),
}

/// A column of `per_row` elements in each row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    pub kind: Kind,
    pub per_row: usize,
}

/// The elements of a column, row after row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rows {
    U32(Vec<u32>),
    U64(Vec<u64>),
    U128(Vec<u128>),
    Bits(Vec<u64>),
}

impl Column {
    /// Bits of an element.
    fn width(self) -> u32 {
        match self.kind {
            Kind::U32 => 32,
            Kind::U64 => 64,
            Kind::U128 => 128,
            Kind::Bits(width) => width,
        }
    }

    /// Bytes of an element in a pad.
    fn size(self) -> usize {
        self.width().div_ceil(8) as usize
    }

    /// Bytes of `rows` rows in a message.
    fn section(self, rows: usize) -> usize {
        packed_len(rows * self.per_row, self.width())
    }

    fn zeros(self, n: usize) -> Box<dyn Wires> {
        match self.kind {
            Kind::U32 => Box::new(On::<u32>::zeros(self, n)),
            Kind::U64 => Box::new(On::<u64>::zeros(self, n)),
            Kind::U128 => Box::new(On::<u128>::zeros(self, n)),
            Kind::Bits(_) => Box::new(On::<Word>::zeros(self, n)),
        }
    }
}

/// Bytes of the giver's message for `n` rows. Refuses columns that are none, and sizes beyond memory.
pub fn message_len(n: usize, columns: &[Column]) -> Result<usize, Error> {
    check_rows(n)?;
    let mut bits = Some(0usize);
    for (i, column) in columns.iter().enumerate() {
        if let Kind::Bits(width) = column.kind {
            check_width(width, 64)?;
        }
        if column.per_row == 0 {
            return Err(Error::Shape(format!(
                "column {i} has no elements in a row; want at least 1"
            )));
        }
        let row = column.per_row.checked_mul(column.width() as usize);
        bits = bits.zip(row).and_then(|(bits, row)| bits.checked_add(row));
    }
    let pads = bits.and_then(|bits| bits.checked_mul(2 * (switches(n) + BLOCK)));
    if pads.is_none() {
        return Err(Error::Shape(format!(
            "{n} rows of these columns are more than memory has addresses for"
        )));
    }
    let sections = columns
        .iter()
        .map(|column| column.section(switches(n)) + column.section(1));
    Ok(sections.sum())
}

/// What a giver has, a and b of each column, and its message to the mover.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    pub a: Vec<Rows>,
    pub b: Vec<Rows>,
    pub message: Vec<u8>,
}

impl SenderCots {
    /// As the giver of `n` rows. These correlations are as many as [`switches`], and follow the mover's choices.
    pub fn permute(self, n: usize, columns: &[Column]) -> Result<Given, Error> {
        self.run.chosen_bits()?;
        let bytes = message_len(n, columns)?;
        length("correlations for the switches", self.len(), switches(n))?;
        let mut stream = Stream::new(&*random::<BLOCK>()?);
        let mut wires: Vec<_> = columns.iter().map(|column| column.zeros(n)).collect();
        wires.iter_mut().for_each(|wires| wires.fill(&mut stream));
        let a = wires.iter().map(|wires| wires.copy()).collect();

        let pads = Pads::new(columns);
        let mut both = pads.room::<2>(self.len().min(PART));
        let mut message = Vec::with_capacity(bytes);
        for_parts(n, |at, pairs| {
            pads.fill(pairs.len(), &mut both, |b, task, len| {
                self.pad_blocks(b, at + task, len)
            });
            for (column, wires) in wires.iter_mut().enumerate() {
                let pads = [0, 1].map(|choice| pads.of(&both, choice, 2, column));
                wires.give(pairs, pads, &mut message);
            }
        });
        for wires in &mut wires {
            wires.give_sum(&mut stream, &mut message);
        }
        let b = wires.into_iter().map(|wires| wires.into_rows()).collect();
        Ok(Given { a, b, message })
    }
}

impl ReceiverCots {
    /// As the mover, whose choices were a [`route`](crate::network::route) of its index: `d = a[index] - b` of each
    /// column.
    pub fn permute(self, n: usize, columns: &[Column], message: &[u8]) -> Result<Vec<Rows>, Error> {
        self.run.chosen_bits()?;
        let bytes = message_len(n, columns)?;
        length("correlations for the switches", self.len(), switches(n))?;
        length("message of a permutation", message.len(), bytes)?;
        let mut wires: Vec<_> = columns.iter().map(|column| column.zeros(n)).collect();
        let pads = Pads::new(columns);
        let mut own = pads.room::<1>(self.len().min(PART));
        let mut rest = message;
        let mut next = |bytes| {
            let (section, after) = rest.split_at(bytes);
            rest = after;
            section
        };
        for_parts(n, |at, pairs| {
            pads.fill(pairs.len(), &mut own, |b, task, len| {
                [self.pad_blocks(b, at + task, len)]
            });
            let blocks = &self.blocks()[at..at + pairs.len()];
            for (column, wires) in wires.iter_mut().enumerate() {
                let section = next(columns[column].section(pairs.len()));
                wires.take(pairs, blocks, pads.of(&own, 0, 1, column), section);
            }
        });
        for (wires, column) in wires.iter_mut().zip(columns) {
            wires.take_sum(next(column.section(1)));
        }
        Ok(wires.into_iter().map(|wires| wires.into_rows()).collect())
    }
}

/// Runs `with` on the rows of consecutive switches, and the number of the first.
fn for_parts(n: usize, mut with: impl FnMut(usize, &[(usize, usize)])) {
    let (mut left, mut part, mut at) = (pairs(n), Vec::with_capacity(PART), 0);
    loop {
        part.extend(left.by_ref().take(PART));
        if part.is_empty() {
            return;
        }
        with(at, &part);
        at += part.len();
        part.clear();
    }
}

/// Where each column has its part of a pad.
struct Pads {
    /// Bytes of a pad: whole blocks.
    size: usize,
    offsets: Vec<usize>,
}

impl Pads {
    fn new(columns: &[Column]) -> Pads {
        let mut end = 0;
        let offsets = columns.iter().map(|column| {
            let offset = end;
            end += column.per_row * column.size();
            offset
        });
        Pads {
            offsets: offsets.collect(),
            size: end.next_multiple_of(BLOCK).max(BLOCK),
        }
    }

    /// Room for K pads of each of `n` switches, and behind the last for an element, so that all are read alike.
    fn room<const K: usize>(&self, n: usize) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(vec![0; n * K * self.size + LARGEST])
    }

    /// K pads for each of `n` switches, one after the other. `blocks(b, at, len)` gives block number b of those of `len`
    /// switches from `at` on.
    fn fill<const K: usize>(
        &self,
        n: usize,
        room: &mut [u8],
        blocks: impl Fn(u64, usize, usize) -> [Blocks; K] + Sync,
    ) {
        let step = K * self.size;
        let tasks = room[..n * step].par_chunks_mut(TASK * step).enumerate();
        tasks.for_each(|(task, pads)| {
            for b in 0..self.size / BLOCK {
                let blocks = blocks(b as u64, task * TASK, pads.len() / step);
                for (k, pads) in pads.chunks_exact_mut(step).enumerate() {
                    for (pad, blocks) in pads.chunks_exact_mut(self.size).zip(&blocks) {
                        pad[b * BLOCK..][..BLOCK].copy_from_slice(&blocks[k].to_le_bytes());
                    }
                }
            }
        });
    }

    /// Of a column, number `which` of each switch's `count` pads.
    fn of<'a>(&self, pads: &'a [u8], which: usize, count: usize, column: usize) -> View<'a> {
        View {
            bytes: &pads[which * self.size + self.offsets[column]..],
            step: count * self.size,
        }
    }
}

/// A column's pads of consecutive switches.
#[derive(Clone, Copy)]
struct View<'a> {
    bytes: &'a [u8],
    /// Bytes from one switch to the next.
    step: usize,
}

/// A column on its way through the network: the giver's masks, or what the mover adds up.
trait Wires {
    /// Draws all rows.
    fn fill(&mut self, stream: &mut Stream);
    fn copy(&self) -> Rows;
    fn into_rows(self: Box<Self>) -> Rows;
    /// Masks behind the switches between `pairs`, from both pads.
    fn give(&mut self, pairs: &[(usize, usize)], pads: [View; 2], message: &mut Vec<u8>);
    /// The mover's side; the lowest bits of `blocks` are its choices.
    fn take(&mut self, pairs: &[(usize, usize)], blocks: &[u128], pad: View, section: &[u8]);
    /// Draws the row that makes the sum of b random.
    fn give_sum(&mut self, stream: &mut Stream, message: &mut Vec<u8>);
    fn take_sum(&mut self, section: &[u8]);
}

struct On<T> {
    column: Column,
    rows: Vec<T>,
}

impl<T: Element> On<T> {
    fn zeros(column: Column, n: usize) -> On<T> {
        On {
            column,
            rows: vec![T::default(); n * column.per_row],
        }
    }

    /// Element `at` of the pad of switch `k`.
    #[inline]
    fn pad(&self, pads: View, k: usize, at: usize) -> T {
        let from = k * pads.step + at * self.column.size();
        T::read(&pads.bytes[from..], self.column.width())
    }

    fn draw(&self, n: usize, stream: &mut Stream) -> Vec<T> {
        let size = self.column.size();
        let mut bytes = Zeroizing::new(vec![0; n * size + LARGEST]);
        stream.fill(&mut bytes);
        let width = self.column.width();
        (0..n).map(|i| T::read(&bytes[i * size..], width)).collect()
    }
}

impl<T: Element> Wires for On<T> {
    fn fill(&mut self, stream: &mut Stream) {
        self.rows = self.draw(self.rows.len(), stream);
    }

    fn copy(&self) -> Rows {
        T::into_rows(self.rows.clone())
    }

    fn into_rows(self: Box<Self>) -> Rows {
        T::into_rows(self.rows)
    }

    fn give(&mut self, pairs: &[(usize, usize)], [zero, one]: [View; 2], message: &mut Vec<u8>) {
        let per_row = self.column.per_row;
        let mut sent = Vec::with_capacity(pairs.len() * per_row);
        for (k, (i, j)) in pairs.iter().enumerate() {
            for at in 0..per_row {
                let (x, y) = (i * per_row + at, j * per_row + at);
                let (m0, m1) = (self.rows[x], self.rows[y]);
                let (p0, p1) = (self.pad(zero, k, at), self.pad(one, k, at));
                sent.push(m1.minus(m0).plus(p0).minus(p1));
                self.rows[x] = m0.minus(p0);
                self.rows[y] = m1.plus(p0);
            }
        }
        T::send(&sent, self.column.width(), message);
    }

    fn take(&mut self, pairs: &[(usize, usize)], blocks: &[u128], pad: View, section: &[u8]) {
        let per_row = self.column.per_row;
        let sent = T::receive(section, pairs.len() * per_row, self.column.width());
        for (k, (i, j)) in pairs.iter().enumerate() {
            let cross = 0u64.wrapping_sub(blocks[k] as u64 & 1);
            for at in 0..per_row {
                let (x, y) = (i * per_row + at, j * per_row + at);
                let (d0, d1) = (self.rows[x], self.rows[y]);
                let change = self
                    .pad(pad, k, at)
                    .plus(sent[k * per_row + at].only(cross));
                let change = change.plus(d1.minus(d0).only(cross));
                self.rows[x] = d0.plus(change);
                self.rows[y] = d1.minus(change);
            }
        }
    }

    fn give_sum(&mut self, stream: &mut Stream, message: &mut Vec<u8>) {
        let sum = self.draw(self.column.per_row, stream);
        for (row, s) in self.rows.iter_mut().zip(&sum) {
            *row = row.minus(*s);
        }
        T::send(&sum, self.column.width(), message);
    }

    fn take_sum(&mut self, section: &[u8]) {
        let sum = T::receive(section, self.column.per_row, self.column.width());
        for (row, s) in self.rows.iter_mut().zip(&sum) {
            *row = row.plus(*s);
        }
    }
}

/// What columns are made of: a group whose elements have a number of bits.
trait Element: Copy + Default {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// Itself where the mask is all ones, else zero.
    fn only(self, mask: u64) -> Self;
    /// That of the first bytes; there may be more.
    fn read(bytes: &[u8], width: u32) -> Self;
    /// `width` bits of each, one after the other.
    fn send(elements: &[Self], width: u32, message: &mut Vec<u8>);
    /// From a section of exactly the bytes that `send` makes.
    fn receive(section: &[u8], count: usize, width: u32) -> Vec<Self>;
    fn into_rows(elements: Vec<Self>) -> Rows;
}

/// Bits that are added by xor.
#[derive(Clone, Copy, Default)]
struct Word(u64);

impl Element for Word {
    #[inline]
    fn plus(self, other: Word) -> Word {
        Word(self.0 ^ other.0)
    }

    #[inline]
    fn minus(self, other: Word) -> Word {
        Word(self.0 ^ other.0)
    }

    #[inline]
    fn only(self, mask: u64) -> Word {
        Word(self.0 & mask)
    }

    #[inline]
    fn read(bytes: &[u8], width: u32) -> Word {
        Word(<u64 as Element>::read(bytes, 64) & low(width))
    }

    fn send(elements: &[Word], width: u32, message: &mut Vec<u8>) {
        let words: Vec<u64> = elements.iter().map(|word| word.0).collect();
        message.extend(pack(&words, width));
    }

    fn receive(section: &[u8], count: usize, width: u32) -> Vec<Word> {
        let words = unpack(section, count, width, "section of a permutation");
        let words = words.expect("the message has the length of its sections");
        words.into_iter().map(Word).collect()
    }

    fn into_rows(elements: Vec<Word>) -> Rows {
        Rows::Bits(elements.into_iter().map(|word| word.0).collect())
    }
}

/// Numbers modulo 2^width, which is that of the type.
macro_rules! numbers {
    ($type:ty, $rows:ident) => {
        impl Element for $type {
            #[inline]
            fn plus(self, other: $type) -> $type {
                self.wrapping_add(other)
            }

            #[inline]
            fn minus(self, other: $type) -> $type {
                self.wrapping_sub(other)
            }

            #[inline]
            fn only(self, mask: u64) -> $type {
                masked(self.into(), mask) as $type
            }

            #[inline]
            fn read(bytes: &[u8], _: u32) -> $type {
                let (first, _) = bytes.split_first_chunk().expect("room for an element");
                <$type>::from_le_bytes(*first)
            }

            fn send(elements: &[$type], _: u32, message: &mut Vec<u8>) {
                let start = message.len();
                message.resize(start + size_of_val(elements), 0);
                for (bytes, x) in message[start..].as_chunks_mut().0.iter_mut().zip(elements) {
                    *bytes = x.to_le_bytes();
                }
            }

            fn receive(section: &[u8], _: usize, _: u32) -> Vec<$type> {
                let elements = section.as_chunks().0.iter();
                elements
                    .map(|bytes| <$type>::from_le_bytes(*bytes))
                    .collect()
            }

            fn into_rows(elements: Vec<$type>) -> Rows {
                Rows::$rows(elements)
            }
        }
    };
}

numbers!(u32, U32);
numbers!(u64, U64);
numbers!(u128, U128);
