//! Millions of correlations a second of each stage, on one core.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p argot-ot --example speed

use argot_ot::network::{route, switches};
use argot_ot::params::Plan;
use argot_ot::permute::{Column, Kind};
use argot_ot::setup::{ReceiverSetup, SenderSetup};
use argot_ot::soft::{self, Part};
use argot_ot::{Error, ReceiverCots, SenderCots, Session};
use std::time::Instant;

fn timed<T>(name: &str, n: usize, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name:28} {:8.2} ms {:8.2} M/s",
        seconds * 1e3,
        n as f64 / seconds / 1e6
    );
    result
}

/// Half a million correlations each for random words, one of four messages of 2 bits, and triples.
fn spend(
    mut sent: SenderCots,
    mut received: ReceiverCots,
) -> Result<(SenderCots, ReceiverCots), Error> {
    let n = sent.len().min(1 << 19) / 4 * 2;
    let (s, r) = (sent.take(n)?, received.take(n)?);
    timed("  random words, sender", n, || s.random(64))?;
    timed("  random words, receiver", n, || r.random(64))?;
    if sent.len() >= 2 * n {
        let (s, r) = (sent.take(n)?, received.take(n)?);
        let message = timed("  one of four, sender", n / 2, || {
            s.many(2, &vec![1; 2 * n], 2)
        })?;
        timed("  one of four, receiver", n / 2, || r.many(2, 2, &message))?;
        let (s, r) = (sent.take(n)?, received.take(n)?);
        timed("  triples, sender", n / 2, || s.triples())?;
        timed("  triples, receiver", n / 2, || r.triples())?;
    }
    Ok((sent, received))
}

/// A hundred thousand rows of one number of 64 bits, in a random order.
fn permute(mut sent: SenderCots, mut received: ReceiverCots) -> Result<(), Error> {
    let (n, column) = (
        100_000,
        Column {
            kind: Kind::U64,
            per_row: 1,
        },
    );
    let all = switches(n);
    if sent.len() < all {
        return Ok(());
    }
    let index = argot_prf::permutation(&[1; 16], n);
    let choices = timed("  permutation, route", n, || route(&index))?;
    let received = received.take(all)?;
    let (received, request) = timed("  permutation, choices", n, || received.choose(&choices))?;
    let sent = sent.take(all)?;
    let sent = timed("  permutation, following", n, || sent.follow(&request))?;
    let given = timed("  permutation, giver", n, || sent.permute(n, &[column]))?;
    let message = &given.message;
    timed("  permutation, mover", n, || {
        received.permute(n, &[column], message)
    })?;
    println!(
        "{:28} {all} switches, {} + {} bytes",
        "",
        request.len(),
        message.len()
    );
    Ok(())
}

fn main() -> Result<(), Error> {
    let session = Session::new(&[1; 32], 0);
    for part in Part::ALL {
        let (beginning, request) = soft::Sender::begin(session, part, 1 | 6 << 90)?;
        let (mut receiver, answer) = soft::Receiver::answer(session, part, &request)?;
        let mut sender = beginning.finish(&answer)?;
        let n = 1 << 20;
        let (_, message) = timed(&format!("SoftSpoken {part:?}, receiver"), n, || {
            receiver.extend(n)
        });
        timed(&format!("SoftSpoken {part:?}, sender"), n, || {
            sender.extend(n, &message)
        })?;
    }
    for (name, plan) in [
        ("small", Plan::small()),
        ("medium", Plan::medium()),
        ("large", Plan::large()),
    ] {
        let gain = plan.last().gain();
        let setup = Instant::now();
        let (sender, one) = SenderSetup::begin(session, plan.clone(), 1)?;
        let (receiver, two) = ReceiverSetup::answer(session, plan, 1, &one)?;
        let (mut sender, three) = sender.finish(&two)?;
        let mut receiver = receiver.finish(&three)?;
        println!(
            "{name}: setup of both parties {:.0} ms, {} + {} + {} bytes",
            setup.elapsed().as_secs_f64() * 1e3,
            one.len(),
            two.len(),
            three.len()
        );
        for _ in 0..3 {
            let (sent, message) =
                timed(&format!("Ferret {name}, sender"), gain, || sender.extend())?;
            let received = timed(&format!("Ferret {name}, receiver"), gain, || {
                receiver.extend(&message)
            })?;
            println!(
                "{:28} {:8.3} bits",
                "",
                message.len() as f64 * 8.0 / gain as f64
            );
            let (sent, received) = spend(sent, received)?;
            permute(sent, received)?;
        }
    }
    Ok(())
}
