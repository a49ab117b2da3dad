//! Shares of products element by element against the products, over widths, counts and extreme values; bytes that
//! are not as they should be.

use argot_rlwe::products::{Client, Params, Server};
use argot_rlwe::Error;
use std::sync::Arc;

fn numbers(seed: u8, n: usize, bits: u32) -> Vec<u64> {
    let mut words = vec![0; n];
    argot_prf::Stream::new(&[seed; 16]).words_at(0, &mut words);
    words.iter_mut().for_each(|w| *w >>= 64 - bits);
    words
}

/// Of one product, and of the sum of two.
fn check(params: &Arc<Params>, x: &[u64], y: &[u64]) {
    let client = Client::new(params).unwrap();
    let server = Server::new(params, &client.public_key().unwrap()).unwrap();
    let turned = |numbers: &[u64]| numbers.iter().rev().copied().collect::<Vec<_>>();
    let (more_x, more_y) = (turned(x), turned(y));
    let mask = u64::MAX >> (64 - params.ring_bits);
    for terms in [1, 2] {
        let (x, y) = ([x, &more_x], [y, &more_y]);
        let (x, y) = (&x[..terms], &y[..terms]);
        let request = client.request(x).unwrap();
        let (answer, theirs) = server.answer(&request, y).unwrap();
        let n = x[0].len();
        assert_eq!([request.len(), answer.len()], params.bytes(n, terms));
        let ours = client.finish(n, &answer).unwrap();
        for i in 0..n {
            assert!(ours[i] <= mask && theirs[i] <= mask);
            let sum = ours[i].wrapping_add(theirs[i]) & mask;
            let want = (0..terms).fold(0u64, |sum, term| {
                sum.wrapping_add(x[term][i].wrapping_mul(y[term][i]))
            });
            assert_eq!(sum, want & mask, "{terms} {i}");
        }
    }
}

/// Many terms, the largest ones among them, and no more than there may be.
#[test]
fn sums_of_many_products() {
    for (ring, bits, most) in [(40, 20, 32), (56, 26, 16), (32, 16, 32), (64, 64, 4)] {
        let params = Params::of_sums(ring, bits, bits, most).unwrap();
        let client = Client::new(&params).unwrap();
        let server = Server::new(&params, &client.public_key().unwrap()).unwrap();
        let mask = u64::MAX >> (64 - ring);
        let largest = u64::MAX >> (64 - bits);
        for (terms, n) in [(most, 9000), (most - 1, 5), (1, 1)] {
            let mut x: Vec<_> = (0..terms).map(|i| numbers(i as u8, n, bits)).collect();
            let mut y: Vec<_> = (0..terms).map(|i| numbers(40 + i as u8, n, bits)).collect();
            x.iter_mut().chain(&mut y).for_each(|x| x[0] = largest);
            let x: Vec<&[u64]> = x.iter().map(|x| &x[..]).collect();
            let y: Vec<&[u64]> = y.iter().map(|y| &y[..]).collect();
            let request = client.request(&x).unwrap();
            let (answer, theirs) = server.answer(&request, &y).unwrap();
            assert_eq!([request.len(), answer.len()], params.bytes(n, terms));
            let ours = client.finish(n, &answer).unwrap();
            for i in 0..n {
                let want = x.iter().zip(&y).fold(0u64, |sum, (x, y)| {
                    sum.wrapping_add(x[i].wrapping_mul(y[i]))
                });
                assert_eq!(
                    ours[i].wrapping_add(theirs[i]) & mask,
                    want & mask,
                    "{ring} {terms} {i}"
                );
            }
        }
        let one: &[u64] = &[1];
        let error = client.request(&vec![one; most + 1]).err();
        assert!(matches!(error, Some(Error::Inner { .. })), "{error:?}");
    }
    for terms in [0, 3, 64] {
        let error = Params::of_sums(32, 16, 16, terms).err();
        assert!(matches!(error, Some(Error::Inner { .. })), "{error:?}");
    }
    let [narrow, wide] = [2, 16].map(|terms| Params::of_sums(56, 26, 26, terms).unwrap());
    assert_eq!((narrow.primes(), wide.primes()), (2, 2));
}

#[test]
fn products_of_many_widths() {
    for (ring, x, y) in [
        (64, 64, 64),
        (64, 64, 20),
        (48, 48, 48),
        (32, 32, 32),
        (64, 8, 1),
        (1, 1, 1),
        (20, 64, 3),
    ] {
        let params = Params::new(ring, x, y).unwrap();
        println!(
            "{ring} {x} {y}: {} primes, q of {} bits",
            params.primes(),
            params.chain.bits
        );
        check(&params, &numbers(1, 9000, x), &numbers(2, 9000, y));
    }
}

#[test]
fn there_are_parameters_for_all_widths() {
    for sum in 2..=128u32 {
        let params = Params::new(64, sum.div_ceil(2), sum / 2).unwrap();
        let chain = &params.chain;
        let (c1, c0) = (chain.answer_bits as i32, params.c0_bits as i32);
        assert!(c0 < c1 && c1 <= 62, "{sum}");
        // The bound of the noise takes q for a thousandth less than two to its bits.
        let q = chain.primes.iter().fold(1.0, |q, ntt| q * ntt.prime as f64);
        assert!(1.001 * q >= 2f64.powi(chain.bits as i32), "{sum}");
        // What adding an error to c1 would change after rounding, which is itself short by 2^-103 a prime.
        let close = 42.0 / q + chain.primes.len() as f64 * 2f64.powi(-103);
        assert!(close * 2f64.powi(c1) < 2f64.powi(-40), "{sum}");
    }
}

#[test]
fn counts_and_extremes() {
    let params = Params::new(64, 64, 64).unwrap();
    for n in [0, 1, 2, 8191, 8192, 8193] {
        check(&params, &numbers(3, n, 64), &numbers(4, n, 64));
    }
    let extremes = [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1];
    for x in extremes {
        for y in extremes {
            check(&params, &[x; 100], &[y; 100]);
        }
    }
}

#[test]
fn wide_numbers_and_malformed_bytes_are_refused_by_name() {
    let params = Params::new(32, 16, 16).unwrap();
    let client = Client::new(&params).unwrap();
    let key = client.public_key().unwrap();
    let server = Server::new(&params, &key).unwrap();
    let request = client.request(&[&[1, 2, 3]]).unwrap();
    let (answer, _) = server.answer(&request, &[&[4, 5, 6]]).unwrap();

    assert_eq!(
        client.request(&[&[1 << 16]]).unwrap_err(),
        Error::TooWide { most: 16 }
    );
    let refuse = |bytes: &[u8]| server.answer(bytes, &[&[4, 5, 6]]).unwrap_err();
    assert_eq!(
        server.answer(&request, &[&[1 << 16, 1, 1]]).unwrap_err(),
        Error::TooWide { most: 16 }
    );
    for other in [&[&[4, 5][..]][..], &[&[4, 5, 6], &[4, 5, 6]]] {
        assert!(matches!(
            server.answer(&request, other),
            Err(Error::Shape { .. })
        ));
    }
    assert_eq!(
        client.request(&[&[1, 2], &[1]]).unwrap_err(),
        Error::Count { got: 1, want: 2 }
    );
    for operands in [&[][..], &[&[1][..]; 3]] {
        let (got, most) = (operands.len(), 2);
        assert_eq!(
            client.request(operands).unwrap_err(),
            Error::Inner { got, most }
        );
    }
    assert!(matches!(
        client.finish(2, &answer),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(refuse(&[]), Error::Length { got: 0, .. }));
    assert!(matches!(
        refuse(&request[..request.len() - 1]),
        Error::Length { .. }
    ));
    assert!(matches!(refuse(&answer), Error::Kind { .. }));
    assert!(matches!(
        client.finish(3, &request),
        Err(Error::Kind { .. })
    ));
    let mut large = request.clone();
    large[56..64].fill(0xff);
    assert!(matches!(
        refuse(&large),
        Error::Coefficient { position: 0, .. }
    ));
    let other = Params::new(32, 32, 32).unwrap();
    assert!(matches!(
        Server::new(&other, &key),
        Err(Error::Modulus { .. })
    ));
}
