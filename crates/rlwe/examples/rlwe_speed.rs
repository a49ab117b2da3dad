//! Times and bytes. `cargo run --release -p argot-rlwe --example rlwe_speed [backend] [name]`

use argot_rlwe::matmul::{Client, Server};
use argot_rlwe::modulus::{prime_below, Modulus};
use argot_rlwe::ntt::Ntt;
use argot_rlwe::ole;
use argot_rlwe::plan::{Encrypted, Plan};
use argot_rlwe::{Backend, Params};
use std::time::Instant;

fn timed<T>(f: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = f();
    (start.elapsed().as_secs_f64(), result)
}

fn transforms() {
    for n in [4096, 8192, 16384] {
        let ntt = Ntt::new(n, Modulus::new(prime_below(50, &[]).unwrap()));
        let mut a: Vec<u64> = (0..n as u64).collect();
        let rounds = 2000;
        let (there, _) = timed(|| (0..rounds).for_each(|_| ntt.forward(&mut a)));
        let (back, _) = timed(|| (0..rounds).for_each(|_| ntt.backward(&mut a)));
        let (short, _) = timed(|| (0..rounds).for_each(|_| ntt.forward_short(&mut a, 16)));
        let us = |t: f64| t / rounds as f64 * 1e6;
        println!(
            "transform {n:6}: forward {:6.1} us, backward {:6.1} us, forward of 16 coefficients {:6.1} us",
            us(there), us(back), us(short)
        );
    }
}

fn matmul(bits: u32, operand: u32, shape: [usize; 3]) {
    let [m, k, n] = shape;
    let params = Params::ring(bits, operand).unwrap();
    let client = Client::new(params.clone()).unwrap();
    let server = Server::new(params.clone(), &client.public_key().unwrap()).unwrap();
    let word = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let a: Vec<u64> = (0..m * k).map(word).collect();
    let small = |i| (word(i) as i64 >> (64 - operand)) as u64;
    let b: Vec<u64> = (0..k * n).map(small).collect();
    let (planning, plan) = timed(|| Plan::new(&params, shape, Encrypted::Left, operand).unwrap());
    let (up, request) = timed(|| client.request(&plan, &a).unwrap());
    let (multiply, (answer, theirs)) = timed(|| server.answer(&plan, &b, &request).unwrap());
    let (down, ours) = timed(|| client.finish(&plan, &answer).unwrap());
    let want = (0..k).fold(0u64, |s, j| s.wrapping_add(a[j].wrapping_mul(b[j * n])));
    assert_eq!(
        ours[0].wrapping_add(theirs[0]) << (64 - bits),
        want << (64 - bits)
    );
    println!(
        "{m}x{k}x{n}, l {bits}, operand {operand}: blocks {:?}, ciphertexts {:?}, one output off 2^{:.0}; plan {:.4} s, request {up:.3} s {:.2} MB, answer {multiply:.3} s {:.2} MB, finish {down:.3} s; total {:.3} s",
        plan.block(), plan.ciphertexts(), plan.error(&params), planning,
        request.len() as f64 / 1e6, answer.len() as f64 / 1e6, up + multiply + down
    );
}

fn ole(client_bits: u32, server_bits: u32, count: usize) {
    let params = Params::slots(client_bits, server_bits).unwrap();
    let client = ole::Client::new(params.clone()).unwrap();
    let server = ole::Server::new(params.clone(), &client.public_key().unwrap()).unwrap();
    let word = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x: Vec<u64> = (0..count).map(|i| word(i) >> (64 - client_bits)).collect();
    let y: Vec<u64> = (0..count)
        .map(|i| word(i + 7) >> (64 - server_bits))
        .collect();
    let (up, request) = timed(|| client.request(&x).unwrap());
    let (multiply, (answer, theirs)) = timed(|| server.answer(&y, &request).unwrap());
    let (down, ours) = timed(|| client.finish(count, &answer).unwrap());
    assert!((0..count).all(|i| ours[i].wrapping_add(theirs[i]) == x[i].wrapping_mul(y[i])));
    println!(
        "{count} products {client_bits} x {server_bits}: degree {}, q {} bits; request {up:.3} s {:.1} B, answer {multiply:.3} s {:.1} B, finish {down:.3} s; total {:.3} s",
        params.degree(), params.modulus_bits(), request.len() as f64 / count as f64, answer.len() as f64 / count as f64,
        up + multiply + down
    );
}

fn main() {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    names.retain(|name| !Backend::by_name(name).is_some_and(Backend::choose));
    println!("{}", Backend::current().name());
    let wants = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    if wants("transform") {
        transforms();
    }
    if wants("matmul") {
        matmul(64, 64, [500, 500, 500]);
        matmul(64, 26, [500, 500, 500]);
        matmul(40, 40, [256, 256, 256]);
        matmul(64, 64, [256, 256, 256]);
        matmul(64, 64, [10000, 50, 1]);
    }
    if wants("ole") {
        ole(64, 64, 1_000_000);
        ole(32, 32, 1_000_000);
        ole(16, 16, 1_000_000);
    }
    if wants("large") {
        matmul(64, 64, [1000, 1000, 1000]);
    }
}
