//! Millions of correlations a second of each stage, on one core.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p argot-ot --example speed

use argot_ot::params::Plan;
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
fn spend(mut sent: SenderCots, mut received: ReceiverCots) -> Result<(), Error> {
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
            spend(sent, received)?;
        }
    }
    Ok(())
}
