//! Milliseconds and bytes of each step.
//!
//!     cargo run --release -p argot-rlwe --example rlwe_speed [backend]

use argot_rlwe::convolution::Shape;
use argot_rlwe::linear::{Client, Server};
use argot_rlwe::ntt::Ntt;
use argot_rlwe::prime::vartime_primes;
use argot_rlwe::{products, Backend, Convolution, Packing, Params, Plan};
use std::sync::Arc;
use std::time::Instant;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    println!("  {what:12} {:9.2} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn transforms() {
    for degree in [4096, 8192, 16384] {
        let ntt = Ntt::new(degree, vartime_primes(degree, &[50]).expect("primes")[0]);
        let mut a = vec![1; degree];
        let time = |run: &mut dyn FnMut()| {
            let start = Instant::now();
            (0..1000).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e3
        };
        let forward = time(&mut || ntt.forward(&mut a));
        let backward = time(&mut || ntt.backward(&mut a, 1));
        println!("transform of {degree}: {forward:.1} us there, {backward:.1} us back");
    }
}

/// One term.
fn linear(params: &Arc<Params>, plan: &(impl Packing + std::fmt::Debug)) {
    println!("modulo 2^{}: {plan:?}", params.ring_bits);
    let client = Client::new(params).expect("randomness");
    let key = timed("keys", || client.public_key()).expect("randomness");
    let server = timed("meet", || Server::new(params, &key)).expect("a key");
    let [left, right, _] = plan.sizes();
    let numbers = |n: usize| (0..n as u64).map(|i| i.wrapping_mul(GOLDEN)).collect();
    let (a, b): (Vec<u64>, Vec<u64>) = (numbers(left), numbers(right));
    let request = timed("request", || client.request(plan, &a)).expect("a request");
    let (answer, _) = timed("answer", || server.answer(plan, &request, &b)).expect("an answer");
    timed("finish", || client.finish(plan, &answer)).expect("a share");
    let megabytes = |bytes: &[u8]| bytes.len() as f64 / 1e6;
    println!(
        "  {:.2} MB up, {:.2} MB down, {:.2} MB of keys once",
        megabytes(&request),
        megabytes(&answer),
        megabytes(&key)
    );
}

fn matmul(ring: u32, shape: [usize; 3]) {
    for params in [Params::new(ring, ring), Params::merging(ring, ring)] {
        let params = params.expect("parameters");
        let plan = timed("plan", || Plan::new(&params, shape));
        linear(&params, &plan.expect("a plan"));
    }
}

/// A layer of ResNet-50: 3 x 3 kernels, padded.
fn convolution(ring: u32) {
    let params = Params::new(ring, ring).expect("parameters");
    let shape = Shape {
        channels: 64,
        height: 58,
        width: 58,
        kernels: 64,
        kernel_height: 3,
        kernel_width: 3,
        stride: 1,
    };
    linear(&params, &Convolution::new(&params, shape).expect("a plan"));
}

fn elementwise(ring: u32, x_bits: u32, y_bits: u32) {
    let n = 1_000_000;
    let params = products::Params::new(ring, x_bits, y_bits).expect("parameters");
    let (primes, bits) = (params.primes(), params.chain.bits);
    println!("{n} sums of two products, {x_bits} x {y_bits} bits: {primes} plaintext primes, q of {bits} bits");
    let client = products::Client::new(&params).expect("randomness");
    let key = client.public_key().expect("randomness");
    let server = products::Server::new(&params, &key).expect("a key");
    let x: Vec<u64> = (0..n as u64)
        .map(|i| i.wrapping_mul(GOLDEN) >> (64 - x_bits))
        .collect();
    let y: Vec<u64> = (0..n as u64)
        .map(|i| i.wrapping_mul(GOLDEN) >> (64 - y_bits))
        .collect();
    let start = Instant::now();
    let request = timed("request", || client.request(&[&x, &x])).expect("a request");
    let (answer, _) = timed("answer", || server.answer(&request, &[&y, &y])).expect("an answer");
    timed("finish", || client.finish(n, &answer)).expect("a share");
    println!(
        "  together     {:9.2} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    let each = |bytes: &[u8]| bytes.len() as f64 / n as f64;
    println!(
        "  a sum: {:.1} B up, {:.1} B down",
        each(&request),
        each(&answer)
    );
}

fn main() {
    if let Some(name) = std::env::args().nth(1) {
        let chosen = Backend::by_name(&name).is_some_and(Backend::choose);
        assert!(chosen, "no backend {name}");
    }
    println!("backend {}", Backend::current().name());
    transforms();
    matmul(64, [500, 500, 500]);
    matmul(64, [1000, 1000, 1000]);
    matmul(64, [128, 784, 128]);
    matmul(64, [1, 4096, 1000]);
    matmul(64, [100, 100_000, 1]);
    matmul(40, [256, 256, 256]);
    convolution(64);
    convolution(40);
    for (ring, x, y) in [(64, 64, 64), (48, 48, 48), (64, 20, 20)] {
        elementwise(ring, x, y);
    }
}
