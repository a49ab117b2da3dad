//! Products one by one against plain wrapping arithmetic.

use argot_rlwe::ole::{message_bytes, Client, Server};
use argot_rlwe::{Backend, Error, Params};

fn words(n: usize, bits: u32, mut seed: u64) -> Vec<u64> {
    (0..n)
        .map(|_| {
            seed = seed
                .wrapping_mul(0xd134_2543_de82_ef95)
                .wrapping_add(0x1234_5677);
            (seed ^ seed >> 29).rotate_left(23) >> (64 - bits)
        })
        .collect()
}

fn check(client: u32, server: u32, x: &[u64], y: &[u64]) {
    let params = Params::slots(client, server).unwrap();
    let one = Client::new(params.clone()).unwrap();
    let other = Server::new(params.clone(), &one.public_key().unwrap()).unwrap();
    let request = one.request(x).unwrap();
    let (answer, theirs) = other.answer(y, &request).unwrap();
    assert_eq!(
        [request.len(), answer.len()],
        message_bytes(&params, x.len())
    );
    let ours = one.finish(x.len(), &answer).unwrap();
    let sums: Vec<u64> = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| a.wrapping_add(*b))
        .collect();
    let want: Vec<u64> = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y)).collect();
    assert_eq!(sums, want, "{client} {server}");
}

#[test]
fn products_are_exact_at_every_width() {
    for (client, server) in [
        (64, 64),
        (32, 32),
        (64, 1),
        (1, 64),
        (16, 16),
        (8, 8),
        (1, 1),
        (40, 48),
    ] {
        for count in [1, 1000, 20000] {
            check(
                client,
                server,
                &words(count, client, 1),
                &words(count, server, 2),
            );
        }
    }
}

#[test]
fn extremes_are_exact() {
    let edges = [
        0,
        1,
        2,
        u64::MAX,
        u64::MAX - 1,
        1 << 63,
        (1 << 63) - 1,
        1 << 32,
    ];
    let x: Vec<u64> = (0..20000).map(|i| edges[i % 8]).collect();
    let y: Vec<u64> = (0..20000).map(|i| edges[i / 8 % 8]).collect();
    check(64, 64, &x, &y);
    check(64, 64, &[u64::MAX; 16384], &[u64::MAX; 16384]);
    check(64, 64, &[0; 16384], &[0; 16384]);
}

#[test]
fn backends_give_products() {
    for _backend in Backend::ALL.into_iter().filter(|b| b.choose()) {
        check(64, 64, &words(3000, 64, 5), &words(3000, 64, 6));
    }
}

#[test]
fn no_products_are_no_ciphertexts() {
    check(64, 64, &[], &[]);
}

#[test]
fn malformed_bytes_have_names() {
    let params = Params::slots(8, 8).unwrap();
    let client = Client::new(params.clone()).unwrap();
    let server = Server::new(params, &client.public_key().unwrap()).unwrap();
    let request = client.request(&[1, 2, 3]).unwrap();
    let (answer, _) = server.answer(&[4, 5, 6], &request).unwrap();
    assert!(matches!(
        server.answer(&[4], &request[1..]).err(),
        Some(Error::Kind { .. })
    ));
    assert!(matches!(
        server.answer(&[4], &request[..100]).err(),
        Some(Error::Length { .. })
    ));
    assert!(matches!(
        server.answer(&[4; 50000], &request).err(),
        Some(Error::Length { .. })
    ));
    let mut large = request.clone();
    large[40..60].fill(255);
    assert!(matches!(
        server.answer(&[4, 5, 6], &large).err(),
        Some(Error::NotReduced { .. })
    ));
    assert!(matches!(
        client.finish(50000, &answer).err(),
        Some(Error::Length { .. })
    ));
    assert!(matches!(
        client.finish(3, &request).err(),
        Some(Error::Kind { .. })
    ));
    assert!(client.finish(3, &answer).is_ok());
    let wide = Error::Width {
        what: "the client's numbers",
        got: 9,
        most: 8,
    };
    assert_eq!(client.request(&[256]).err(), Some(wide));
    assert!(matches!(
        server.answer(&[1, 2, 256], &request).err(),
        Some(Error::Width { .. })
    ));
}
