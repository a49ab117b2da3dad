//! Microseconds a point of each step.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p argot-sets --example sets_speed

use argot_sets::group::Blinder;
use argot_sets::items::{duplicates, uniform, Column, Kind};
use argot_sets::matching::{common, tags};
use argot_sets::permutation;
use std::time::Instant;

fn timed<T>(name: &str, n: usize, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    println!(
        "{name:12} {:8.3} us",
        start.elapsed().as_secs_f64() / n as f64 * 1e6
    );
    result
}

fn main() {
    let n = 1 << 14;
    let mut column = Column::new(Kind::Text, n);
    (0..n).for_each(|i| column.push(format!("customer-{i}").as_bytes()));
    let items = timed("hash", n, || uniform(&[column], n, ""));
    timed("duplicates", n, || duplicates(&items, 5));
    timed("shuffle", n, || permutation(n)).expect("randomness");
    let (ours, theirs) = (
        Blinder::new().expect("randomness"),
        Blinder::new().expect("randomness"),
    );
    let (mut once, mut twice) = (vec![[0; 32]; n], vec![[0; 32]; n]);
    timed("blind", n, || ours.blind(&items, &mut once));
    timed("reblind", n, || theirs.reblind(&once, &mut twice)).expect("points");
    let tags = timed("tags", n, || tags(&twice, 10));
    timed("match", n, || common(&tags, &tags, 10)).expect("no repeats");
}
