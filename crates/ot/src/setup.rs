//! From nothing to Ferret in three messages: base transfers, SoftSpoken, and the stages before the one that repeats.
//!
//! | | from | what | bytes for [`Plan::large`] |
//! | --- | --- | --- | --- |
//! | 1 | sender | 128 requests of base transfers | 8,192 |
//! | 2 | receiver | their answer, trees, and SoftSpoken's correction | 4,128 + 63 bits a correlation = 375 thousand |
//! | 3 | sender | the first stages of Ferret | 132,192 |
//!
//! What follows is keyed by the session id and the first two messages ([`Session`]): two set-ups with one id have nothing in
//! common.
//!
//! The third may go together with the first extension's, which is the sender's too.

use crate::error::length;
use crate::ferret::{self, Extension};
use crate::memory::Blocks;
use crate::params::Plan;
use crate::soft::{self, Part};
use crate::{random_delta, Error, Session};
use zeroize::Zeroizing;

/// SoftSpoken's cut: the few correlations made here cost more bytes than time.
const PART: Part = Part::Two;

/// The sender after its first message.
pub struct SenderSetup {
    session: Session,
    plan: Plan,
    threads: usize,
    delta: Zeroizing<u128>,
    soft: soft::Beginning,
    request: Vec<u8>,
}

/// The receiver after its message.
pub struct ReceiverSetup {
    /// That of this set-up.
    session: Session,
    plan: Plan,
    threads: usize,
    reserve: Blocks,
}

impl SenderSetup {
    /// Draws `delta`. Gives message 1.
    pub fn begin(
        session: Session,
        plan: Plan,
        threads: usize,
    ) -> Result<(SenderSetup, Vec<u8>), Error> {
        let delta = Zeroizing::new(random_delta()?);
        let (soft, message) = soft::Sender::begin(session, PART, *delta)?;
        Ok((
            SenderSetup {
                session,
                plan,
                threads,
                delta,
                soft,
                request: message.clone(),
            },
            message,
        ))
    }

    /// From message 2. Gives message 3.
    pub fn finish(self, answer: &[u8]) -> Result<(ferret::Sender, Vec<u8>), Error> {
        let first = self.plan.stages()[0].need();
        length("answer of the setup", answer.len(), answer_len(&self.plan))?;
        let (of_trees, correction) = answer.split_at(soft::ANSWER);
        let mut reserve = self.soft.finish(of_trees)?.extend(first, correction)?;
        let mut message = Vec::new();
        let session = self.session.of_set_up(&digest(&self.request, answer));
        let (last, before) = stages(&self.plan, session, self.threads);
        for mut stage in before {
            let (more, sums) = stage.send(*self.delta, &reserve)?;
            (reserve, message) = (more, [message, sums].concat());
        }
        Ok((
            ferret::Sender::new(session, *self.delta, last, reserve),
            message,
        ))
    }
}

impl ReceiverSetup {
    /// From message 1. Gives message 2.
    pub fn answer(
        session: Session,
        plan: Plan,
        threads: usize,
        request: &[u8],
    ) -> Result<(ReceiverSetup, Vec<u8>), Error> {
        let (mut soft, mut message) = soft::Receiver::answer(session, PART, request)?;
        let (reserve, correction) = soft.extend(plan.stages()[0].need());
        message.extend(correction);
        let session = session.of_set_up(&digest(request, &message));
        Ok((
            ReceiverSetup {
                session,
                plan,
                threads,
                reserve,
            },
            message,
        ))
    }

    /// From message 3.
    pub fn finish(self, message: &[u8]) -> Result<ferret::Receiver, Error> {
        let (last, before) = stages(&self.plan, self.session, self.threads);
        let lengths: Vec<usize> = self.plan.stages()[..before.len()]
            .iter()
            .map(|p| p.message_len())
            .collect();
        length(
            "last message of the setup",
            message.len(),
            lengths.iter().sum(),
        )?;
        let (mut reserve, mut message) = (self.reserve, message);
        for (mut stage, len) in before.into_iter().zip(lengths) {
            let (sums, rest) = message.split_at(len);
            (reserve, message) = (stage.receive(&reserve, sums)?, rest);
        }
        Ok(ferret::Receiver::new(self.session, last, reserve))
    }
}

/// Of messages 1 and 2, the first of which has a fixed length.
fn digest(request: &[u8], answer: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(request).update(answer);
    *hasher.finalize().as_bytes()
}

/// Bytes of message 2.
pub fn answer_len(plan: &Plan) -> usize {
    soft::ANSWER + PART.message_len(plan.stages()[0].need())
}

/// Bytes of message 3.
pub fn last_len(plan: &Plan) -> usize {
    let stages = plan.stages();
    let before = &stages[..stages.len() - 1];
    before.iter().map(|stage| stage.message_len()).sum()
}

/// The repeated stage, and those before it.
fn stages(plan: &Plan, session: Session, threads: usize) -> (Extension, Vec<Extension>) {
    let last = plan.stages().len() - 1;
    let stage = |i: usize| Extension::new(session, plan.stages()[i], i, threads);
    (stage(last), (0..last).map(stage).collect())
}
