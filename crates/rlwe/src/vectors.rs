//! The arithmetic against known answers, from big integers and schoolbook: `tests/vectors.py` made them.

use crate::chain::Chain;
use crate::ntt::Ntt;
use crate::params::Params;
use crate::prime::vartime_primes;
use crate::scratch::Buffer;
use std::sync::Arc;

const VECTORS: &str = include_str!("../tests/vectors.txt");

fn answers(name: &str) -> Vec<u128> {
    let line = VECTORS
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let numbers = line.expect("a vector of this name").split(' ').skip(1);
    numbers.map(|x| x.parse().expect("a number")).collect()
}

/// What `number` of `vectors.py` is before the modulus.
fn number(i: usize) -> u128 {
    (i as u128 + 3)
        .wrapping_pow(5)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

fn params() -> Arc<Params> {
    Params::new(64, 64).unwrap()
}

fn wide(x: &[u64]) -> Vec<u128> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn primes() {
    let mut found = vartime_primes(8192, &[50, 50, 47, 46, 43]).unwrap();
    found.extend(vartime_primes(16384, &[50, 49]).unwrap());
    assert_eq!(wide(&found), answers("primes"));
}

#[test]
fn product() {
    let ntt = Ntt::new(128, vartime_primes(128, &[50]).unwrap()[0]);
    let values = |from: usize| {
        let residue = |i| (number(i) % u128::from(ntt.prime)) as u64;
        let mut x: Vec<u64> = (from..from + 128).map(residue).collect();
        ntt.forward(&mut x);
        x
    };
    let mut out = vec![0; 128];
    ntt.add_product(&values(0), &ntt.known(values(1000)), &mut out);
    ntt.backward(&mut out, 1);
    assert_eq!(wide(&out), answers("product"));
}

#[test]
fn scaled() {
    let params = params();
    let words: Vec<u64> = (0..16)
        .map(|i| params.before_scale(number(i) as u64))
        .collect();
    let mut all = Vec::new();
    for i in 0..params.chain.primes.len() {
        let mut out = vec![0; 16];
        params.scale(i, &words, &mut out);
        all.extend(wide(&out));
    }
    assert_eq!(all, answers("scaled"));
}

/// Values of 2^60 times the numbers.
fn values(chain: &Chain) -> Buffer {
    let mut out = Buffer::zeros(chain.degree * chain.primes.len());
    for (ntt, x) in chain.primes.iter().zip(out.chunks_exact_mut(chain.degree)) {
        let p = u128::from(ntt.prime);
        for (i, x) in x.iter_mut().enumerate() {
            *x = (number(i) % p * ((1 << 60) % p) % p) as u64;
        }
        ntt.forward(x);
    }
    out
}

#[test]
fn switched() {
    let chain = &params().chain;
    let switched: Vec<u128> = (0..16).map(chain.switch(values(chain))).collect();
    assert_eq!(switched, answers("switched"));
}

#[test]
fn lowered() {
    let chain = &params().chain;
    let lowered = chain.lower(values(chain), 3);
    let all = lowered.chunks_exact(chain.degree);
    let first: Vec<u64> = all.flat_map(|part| part[..16].to_vec()).collect();
    assert_eq!(wide(&first), answers("lowered"));
}

#[test]
fn joined() {
    let chain = &params().chain;
    let c = (0..chain.degree).map(|i| number(i) & chain.answer_mask());
    let mut words = [Buffer::zeros(chain.degree), Buffer::zeros(chain.degree)];
    for (at, c) in c.enumerate() {
        words[0][at] = c as u64;
        words[1][at] = (c >> 64) as u64;
    }
    let mut secret = vec![0; chain.degree];
    for (at, s) in [(0, 1), (1, -1), (77, -1), (4096, 1), (8191, -1)] {
        secret[at] = s;
    }
    let mut products = Buffer::zeros(chain.degree * chain.join_primes());
    for (i, part) in products.chunks_exact_mut(chain.degree).enumerate() {
        let ntt = &chain.primes[i];
        let (mut s, mut values) = (vec![0; chain.degree], vec![0; chain.degree]);
        ntt.add_small(&secret, &mut s);
        ntt.forward(&mut s);
        chain.values(&words, i, &mut values);
        ntt.add_product(&values, &ntt.known(s), part);
    }
    let joined: Vec<u128> = (0..16).map(chain.join(products)).collect();
    assert_eq!(joined, answers("joined"));
}
