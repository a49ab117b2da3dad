//! Gigabytes a second of each backend on a buffer that stays in cache, and nanoseconds of a small draw.
//!
//!     cargo run --release -p argot-prf --example prf_speed

use argot_prf::{Backend, Stream};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    for backend in Backend::ALL.into_iter().filter(|b| b.is_available()) {
        let mut buffer = vec![0u8; 16 << 10];
        let stream = Stream::with_backend(&[7; 16], backend);
        let speed = (0..7)
            .map(|_| {
                let start = Instant::now();
                for i in 0..200u64 {
                    stream.fill_at(i * buffer.len() as u64, black_box(&mut buffer));
                }
                200.0 * buffer.len() as f64 / start.elapsed().as_secs_f64() / 1e9
            })
            .fold(0.0, f64::max);
        let start = Instant::now();
        for i in 0..10_000u64 {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&i.to_le_bytes());
            Stream::with_backend(&key, backend).fill_at(0, black_box(&mut buffer[..64]));
        }
        let small = start.elapsed().as_secs_f64() / 10_000.0 * 1e9;
        println!(
            "{:9} {speed:6.2} GB/s   {small:6.0} ns for a new key and 64 bytes",
            backend.name()
        );
    }
}
