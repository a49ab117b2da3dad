//! Both parties in one process.
#![allow(dead_code)]

use argot_ot::ferret::{Receiver, Sender};
use argot_ot::params::Plan;
use argot_ot::setup::{ReceiverSetup, SenderSetup};
use argot_ot::{ReceiverCots, SenderCots, Session};

pub fn set_up(session: Session, plan: Plan, threads: usize) -> (Sender, Receiver) {
    let (sender, one) = SenderSetup::begin(session, plan.clone(), threads).unwrap();
    let (receiver, two) = ReceiverSetup::answer(session, plan, threads, &one).unwrap();
    let (sender, three) = sender.finish(&two).unwrap();
    (sender, receiver.finish(&three).unwrap())
}

/// The correlations of one small extension, `sender` being the rank of the sender.
pub fn cots(sender: u8) -> (SenderCots, ReceiverCots) {
    let (mut sender, mut receiver) = set_up(Session::new(&[7; 32], sender), Plan::small(), 2);
    let (sent, message) = sender.extend().unwrap();
    (sent, receiver.extend(&message).unwrap())
}

/// Numbers for tests: those of splitmix64.
pub fn words(seed: u64, n: usize) -> Vec<u64> {
    (1..=n as u64)
        .map(|i| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        })
        .collect()
}

pub fn bit(words: &[u64], i: usize) -> bool {
    words[i / 64] >> (i % 64) & 1 == 1
}
