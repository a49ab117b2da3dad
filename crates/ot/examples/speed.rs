//! Millions of correlations of each stage in a second of processor time, whatever else the machine does.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p argot-ot --example speed

use argot_ot::params::Plan;
use argot_ot::setup::{ReceiverSetup, SenderSetup};
use argot_ot::soft::{self, Part};
use argot_ot::{Error, ReceiverCots, SenderCots, Session};

/// Seconds of processor time of all threads.
fn now() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills the structure it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn timed<T>(name: &str, n: usize, run: impl FnOnce() -> T) -> T {
    let start = now();
    let result = run();
    let seconds = now() - start;
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

/// All of an extension, on planes of 64 bits.
fn spend_planes(mut sent: SenderCots, mut received: ReceiverCots) -> Result<(), Error> {
    let size = sent.len() / 64 / 8;
    let n = 64 * size;
    let planes = vec![0x0123_4567_89ab_cdef; 64 * size.div_ceil(64)];
    let deltas: Vec<u64> = (0..size as u64).collect();
    for strings in [1, 6] {
        let (s, r) = (sent.take(n)?, received.take(n)?);
        let name = |side| format!("  products, {strings} strings, {side}");
        timed(&name("sender"), n, || s.plane_products(size, strings))?;
        timed(&name("receiver"), n, || r.plane_products(size, strings))?;
    }
    for bits in 0..=4 {
        let (s, r) = (sent.take(n)?, received.take(n)?);
        let (r, request) = timed("  choose", n, || r.choose_planes(&planes, size))?;
        let s = timed("  follow", n, || s.follow(&request))?;
        if bits == 0 {
            let (_, message) = timed("  weighted, sender", n, || s.weighted(&deltas, size, 64, 0))?;
            timed("  weighted, receiver", n, || {
                r.weighted::<u64>(size, 64, 0, &message)
            })?;
            continue;
        }
        let (_, _, message) = timed(&format!("  digits of {bits}, sender"), n, || {
            s.digits(&planes, size, bits)
        })?;
        timed(&format!("  digits of {bits}, receiver"), n, || {
            r.digits(size, bits, &message)
        })?;
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
        let setup = now();
        let (sender, one) = SenderSetup::begin(session, plan.clone(), 1)?;
        let (receiver, two) = ReceiverSetup::answer(session, plan, 1, &one)?;
        let (mut sender, three) = sender.finish(&two)?;
        let mut receiver = receiver.finish(&three)?;
        println!(
            "{name}: setup of both parties {:.0} ms, {} + {} + {} bytes",
            (now() - setup) * 1e3,
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
            let (sent, message) = sender.extend()?;
            spend_planes(sent, receiver.extend(&message)?)?;
        }
    }
    Ok(())
}
