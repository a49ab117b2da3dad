//! Correlations of one direction between two parties, taken from at any place and never twice.
//!
//! A side goes through the set-up once ([`crate::setup`]) and is extended as often as needed. Both sides name the same
//! correlations by their numbers, counted from the start of the session, so that independent protocols may take theirs in
//! any order, before and after any extension. What is taken is wiped here; an extension of which all is taken is freed.
//!
//! | | from | what | bytes |
//! | --- | --- | --- | --- |
//! | [`SenderPool::begin`] | sender | request | 8,192 |
//! | [`ReceiverPool::answer`] | receiver | answer | [`crate::setup::answer_len`] |
//! | [`SenderPool::finish`] | sender | first stages of Ferret | 132,192 for [`Plan::large`], else 0 |
//! | [`SenderPool::extend`] | sender | number of the first correlation, then Ferret's message | [`extension_len`] |
//!
//! A pool of products may be extended into a [`Stock`] instead, and take an extension from there.
//!
//! Each side may be used from several threads: extensions come one after the other, and correlations that are there are
//! taken meanwhile.

use crate::ferret::{Receiver, Sender};
use crate::memory::{room, Blocks};
use crate::params::Plan;
use crate::setup::{answer_len, last_len, ReceiverSetup, SenderSetup};
use crate::stock::{self, Id, Side, Stock};
use crate::words::halves;
use crate::{error::length, Error, ReceiverCots, SenderCots, Session};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the number that an extension's message begins with.
const NUMBER: usize = 8;

/// Bytes of an extension's message.
pub fn extension_len(plan: &Plan) -> usize {
    NUMBER + plan.last().message_len()
}

/// What extensions of a pool become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Blocks, one for each correlation.
    Correlations,
    /// Products of bits, one block for each 64 ([`crate::words`]): numbers count these blocks.
    Products,
}

impl Makes {
    /// What an extension adds.
    fn gain(self, plan: &Plan) -> usize {
        match self {
            Makes::Correlations => plan.last().gain(),
            Makes::Products => plan.last().word_gain(),
        }
    }

    fn check(self, want: Makes) -> Result<(), Error> {
        if self == want {
            return Ok(());
        }
        Err(Error::Shape(format!(
            "a pool of {self:?}; wanted one of {want:?}"
        )))
    }
}

/// The side that holds `delta`.
pub struct SenderPool {
    session: Session,
    plan: Plan,
    threads: usize,
    makes: Makes,
    stage: Mutex<SenderStage>,
    store: Mutex<Store>,
}

/// The side that holds the bits.
pub struct ReceiverPool {
    session: Session,
    plan: Plan,
    threads: usize,
    makes: Makes,
    stage: Mutex<ReceiverStage>,
    store: Mutex<Store>,
}

enum SenderStage {
    New,
    Begun(Box<SenderSetup>),
    Ready(Box<Sender>),
    Failed,
}

enum ReceiverStage {
    New,
    Answered(Box<ReceiverSetup>),
    Ready(Box<Receiver>),
    Failed,
}

impl SenderStage {
    fn name(&self) -> &'static str {
        match self {
            SenderStage::New => "a new sender",
            SenderStage::Begun(_) => "a sender that waits for the answer of its set-up",
            SenderStage::Ready(_) => "a sender whose set-up is done",
            SenderStage::Failed => "a sender whose set-up failed",
        }
    }
}

impl ReceiverStage {
    fn name(&self) -> &'static str {
        match self {
            ReceiverStage::New => "a new receiver",
            ReceiverStage::Answered(_) => "a receiver that waits for the end of its set-up",
            ReceiverStage::Ready(_) => "a receiver whose set-up is done",
            ReceiverStage::Failed => "a receiver whose set-up failed",
        }
    }
}

impl SenderPool {
    /// `threads` are those that extensions take of the pool of threads.
    pub fn new(session: Session, plan: Plan, threads: usize, makes: Makes) -> SenderPool {
        SenderPool {
            session,
            plan,
            threads,
            makes,
            stage: Mutex::new(SenderStage::New),
            store: Mutex::default(),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What an extension adds to [`SenderPool::made`].
    pub fn gain(&self) -> usize {
        self.makes.gain(&self.plan)
    }

    /// Correlations, or blocks of products, made so far, taken or not.
    pub fn made(&self) -> u64 {
        lock(&self.store).made
    }

    /// Message 1 of the set-up.
    pub fn begin(&self) -> Result<Vec<u8>, Error> {
        let mut stage = lock(&self.stage);
        let SenderStage::New = *stage else {
            return Err(out_of_turn("begin", stage.name()));
        };
        let (setup, message) = SenderSetup::begin(self.session, self.plan.clone(), self.threads)?;
        *stage = SenderStage::Begun(Box::new(setup));
        Ok(message)
    }

    /// Message 3, from message 2.
    pub fn finish(&self, answer: &[u8]) -> Result<Vec<u8>, Error> {
        let mut stage = lock(&self.stage);
        let SenderStage::Begun(_) = *stage else {
            return Err(out_of_turn("finish", stage.name()));
        };
        length("answer of the set-up", answer.len(), answer_len(&self.plan))?;
        let SenderStage::Begun(setup) = std::mem::replace(&mut *stage, SenderStage::Failed) else {
            unreachable!("the stage is locked");
        };
        let (sender, message) = setup.finish(answer)?;
        *stage = SenderStage::Ready(Box::new(sender));
        Ok(message)
    }

    /// As many more as [`crate::Params::gain`] says; gives the message to the receiver.
    pub fn extend(&self) -> Result<Vec<u8>, Error> {
        let mut stage = lock(&self.stage);
        let SenderStage::Ready(sender) = &mut *stage else {
            return Err(out_of_turn("extend", stage.name()));
        };
        let (blocks, sums) = match self.makes {
            Makes::Correlations => {
                let (cots, sums) = sender.extend()?;
                lock(&self.store).delta = cots.delta;
                (cots.run.into_blocks(), sums)
            }
            Makes::Products => sender.extend_words()?,
        };
        let first = lock(&self.store).put(blocks);
        Ok([&first.to_le_bytes()[..], &sums].concat())
    }

    /// An extension for later: the message, and whether its products are in the stock. Where they are not, they are lost, but
    /// the receiver must have the message all the same: the next extension starts from this one.
    pub fn extend_into(&self, stock: &Stock) -> Result<(Vec<u8>, Result<Id, Error>), Error> {
        self.makes.check(Makes::Products)?;
        let mut stage = lock(&self.stage);
        let SenderStage::Ready(sender) = &mut *stage else {
            return Err(out_of_turn("extend_into", stage.name()));
        };
        let (blocks, message) = sender.extend_words()?;
        let id = stock::id(&message);
        let put = stock.put(Side::Sender, &id, &blocks).map(|()| id);
        Ok((message, put))
    }

    /// The products of an extension that was made before, instead of a new one.
    pub fn load(&self, stock: &Stock, id: &Id) -> Result<(), Error> {
        self.makes.check(Makes::Products)?;
        let blocks = stock.take(Side::Sender, id)?;
        lock(&self.store).put(blocks);
        Ok(())
    }

    /// Correlations number `start` to `start + n`, over any number of extensions.
    pub fn take(&self, start: u64, n: usize) -> Result<SenderCots, Error> {
        self.makes.check(Makes::Correlations)?;
        let mut store = lock(&self.store);
        let blocks = store.take(start, n)?;
        Ok(SenderCots::new(&self.session, *store.delta, start, blocks))
    }

    /// Of blocks `start` to `start + n` of products the words `(b, u)`, over any number of extensions.
    pub fn take_words(&self, start: u64, n: usize) -> Result<(Vec<u64>, Vec<u64>), Error> {
        self.makes.check(Makes::Products)?;
        Ok(halves(&lock(&self.store).take(start, n)?))
    }
}

impl ReceiverPool {
    /// As [`SenderPool::new`].
    pub fn new(session: Session, plan: Plan, threads: usize, makes: Makes) -> ReceiverPool {
        ReceiverPool {
            session,
            plan,
            threads,
            makes,
            stage: Mutex::new(ReceiverStage::New),
            store: Mutex::default(),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// As [`SenderPool::gain`].
    pub fn gain(&self) -> usize {
        self.makes.gain(&self.plan)
    }

    /// As [`SenderPool::made`].
    pub fn made(&self) -> u64 {
        lock(&self.store).made
    }

    /// Message 2 of the set-up, from message 1.
    pub fn answer(&self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let mut stage = lock(&self.stage);
        let ReceiverStage::New = *stage else {
            return Err(out_of_turn("answer", stage.name()));
        };
        let (setup, message) =
            ReceiverSetup::answer(self.session, self.plan.clone(), self.threads, request)?;
        *stage = ReceiverStage::Answered(Box::new(setup));
        Ok(message)
    }

    /// From message 3.
    pub fn finish(&self, message: &[u8]) -> Result<(), Error> {
        let mut stage = lock(&self.stage);
        let ReceiverStage::Answered(_) = *stage else {
            return Err(out_of_turn("finish", stage.name()));
        };
        length(
            "last message of the set-up",
            message.len(),
            last_len(&self.plan),
        )?;
        let ReceiverStage::Answered(setup) = std::mem::replace(&mut *stage, ReceiverStage::Failed)
        else {
            unreachable!("the stage is locked");
        };
        *stage = ReceiverStage::Ready(Box::new(setup.finish(message)?));
        Ok(())
    }

    /// The other side of [`SenderPool::extend`], in the order in which the sender made the messages.
    pub fn extend(&self, message: &[u8]) -> Result<(), Error> {
        let mut stage = lock(&self.stage);
        let ReceiverStage::Ready(receiver) = &mut *stage else {
            return Err(out_of_turn("extend", stage.name()));
        };
        let want = extension_len(&self.plan);
        length("extension", message.len(), want)?;
        let (number, sums) = message.split_at(NUMBER);
        let got = u64::from_le_bytes(std::array::from_fn(|i| number[i]));
        let want = self.made();
        if got != want {
            return Err(Error::OutOfOrder { got, want });
        }
        let blocks = match self.makes {
            Makes::Correlations => receiver.extend(sums)?.run.into_blocks(),
            Makes::Products => receiver.extend_words(sums)?,
        };
        lock(&self.store).put(blocks);
        Ok(())
    }

    /// The other side of [`SenderPool::extend_into`]: whether its products are in the stock.
    pub fn extend_into(&self, stock: &Stock, message: &[u8]) -> Result<Result<Id, Error>, Error> {
        self.makes.check(Makes::Products)?;
        let mut stage = lock(&self.stage);
        let ReceiverStage::Ready(receiver) = &mut *stage else {
            return Err(out_of_turn("extend_into", stage.name()));
        };
        let blocks = receiver.extend_words(message)?;
        let id = stock::id(message);
        Ok(stock.put(Side::Receiver, &id, &blocks).map(|()| id))
    }

    /// As [`SenderPool::load`].
    pub fn load(&self, stock: &Stock, id: &Id) -> Result<(), Error> {
        self.makes.check(Makes::Products)?;
        let blocks = stock.take(Side::Receiver, id)?;
        lock(&self.store).put(blocks);
        Ok(())
    }

    /// As [`SenderPool::take`].
    pub fn take(&self, start: u64, n: usize) -> Result<ReceiverCots, Error> {
        self.makes.check(Makes::Correlations)?;
        let blocks = lock(&self.store).take(start, n)?;
        Ok(ReceiverCots::new(&self.session, start, blocks))
    }

    /// As [`SenderPool::take_words`], `(a, v)` with `u ^ v = a & b`.
    pub fn take_words(&self, start: u64, n: usize) -> Result<(Vec<u64>, Vec<u64>), Error> {
        self.makes.check(Makes::Products)?;
        Ok(halves(&lock(&self.store).take(start, n)?))
    }
}

fn out_of_turn(call: &'static str, stage: &'static str) -> Error {
    Error::OutOfTurn { call, stage }
}

/// A thread that panicked leaves nothing half done: what is stored changes in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks by number, and which of them are gone.
#[derive(Default)]
struct Store {
    /// Zero at the receiver.
    delta: Zeroizing<u128>,
    made: u64,
    /// By the number of their first block.
    segments: BTreeMap<u64, Segment>,
    taken: Intervals,
}

/// The blocks of one extension.
struct Segment {
    blocks: Blocks,
    left: usize,
}

impl Store {
    /// Gives the number of the first.
    fn put(&mut self, blocks: Blocks) -> u64 {
        let (first, left) = (self.made, blocks.len());
        self.made += left as u64;
        self.segments.insert(first, Segment { blocks, left });
        first
    }

    fn take(&mut self, start: u64, n: usize) -> Result<Blocks, Error> {
        let missing = Error::Missing {
            start,
            n,
            made: self.made,
        };
        let end = match start.checked_add(n as u64) {
            Some(end) if end <= self.made => end,
            _ => return Err(missing),
        };
        if let Some(before) = self.taken.meets(start..end) {
            return Err(Error::Reused {
                start,
                n,
                before: (before.start, before.end),
            });
        }
        self.taken.add(start..end);
        let mut out = room(n);
        let mut at = start;
        while at < end {
            let (&first, segment) = self
                .segments
                .range_mut(..=at)
                .next_back()
                .expect("what is made and not taken is in a segment");
            let from = (at - first) as usize;
            let here = ((end - at) as usize).min(segment.blocks.len() - from);
            let blocks = &mut segment.blocks[from..from + here];
            out.extend_from_slice(blocks);
            blocks.zeroize();
            segment.left -= here;
            if segment.left == 0 {
                let segment = self.segments.remove(&first).expect("it was found");
                segment.blocks.give_back_wiped();
            }
            at += here as u64;
        }
        Ok(out)
    }
}

/// Disjoint intervals of numbers, none of which touch: start to end.
#[derive(Default)]
struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    /// The first of them that shares a number with `range`.
    fn meets(&self, range: Range<u64>) -> Option<Range<u64>> {
        if range.is_empty() {
            return None;
        }
        let before = self.0.range(..=range.start).next_back();
        let after = self.0.range(range.clone()).next();
        before
            .into_iter()
            .chain(after)
            .map(|(start, end)| *start..*end)
            .find(|known| known.start < range.end && range.start < known.end)
    }

    /// Add an interval that shares no number with those there.
    fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        if let Some((&before, &until)) = self.0.range(..start).next_back() {
            if until == start {
                start = before;
            }
        }
        if let Some(until) = self.0.remove(&end) {
            end = until;
        }
        self.0.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a list of what was taken, number by number.
    #[test]
    fn intervals_are_sets_of_numbers() {
        let (mut intervals, mut have) = (Intervals::default(), [false; 64]);
        let mut state = 1u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let (start, n) = ((state >> 40) % 64, (state >> 50) % 6);
            let range = start..(start + n).min(64);
            let places = || range.start as usize..range.end as usize;
            let met = have[places()].contains(&true);
            match intervals.meets(range.clone()) {
                Some(known) => assert!(
                    met && known.start < range.end
                        && range.start < known.end
                        && have[known.start as usize..known.end as usize]
                            .iter()
                            .all(|h| *h)
                ),
                None => {
                    assert!(!met);
                    intervals.add(range.clone());
                    have[places()].fill(true);
                }
            }
            let runs = have.chunk_by(|a, b| a == b).filter(|run| run[0]).count();
            assert_eq!(intervals.0.len(), runs, "neighbours are merged");
        }
        assert!(have.iter().all(|h| *h) && intervals.0.len() == 1);
    }

    #[test]
    fn what_is_taken_is_wiped_and_whole_segments_are_freed() {
        let mut store = Store::default();
        for first in [0, 100] {
            store.put((first + 1..first + 101).collect());
        }
        assert!(store.take(90, 20).unwrap().iter().copied().eq(91..111));
        assert!(store.segments[&0].blocks[90..].iter().all(|b| *b == 0));
        assert!(store.segments[&100].blocks[..10].iter().all(|b| *b == 0));
        assert!(store.take(0, 90).unwrap().iter().copied().eq(1..91));
        assert!(!store.segments.contains_key(&0) && store.segments.len() == 1);
        assert!(store.take(110, 90).unwrap().iter().copied().eq(111..201));
        assert!(store.segments.is_empty());
        assert!(matches!(store.take(0, 1), Err(Error::Reused { .. })));
        assert!(matches!(
            store.take(200, 1),
            Err(Error::Missing {
                start: 200,
                n: 1,
                made: 200
            })
        ));
        assert!(store.take(200, 0).unwrap().is_empty());
    }
}
