//! The group against the vectors of RFC 9496, appendix A.

use argot_sets::group::{decode, from_uniform, Backend, BadPoint, Blinder};
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

fn backends() -> Vec<Backend> {
    if Backend::best() == Backend::Ifma {
        vec![Backend::Ifma, Backend::Dalek]
    } else {
        vec![Backend::Dalek]
    }
}

fn scalars() -> Vec<Scalar> {
    let mut scalars: Vec<Scalar> = [1u64, 2, 7, 8, 9, 15, 16, 0x8888_8888_8888_8888, u64::MAX]
        .map(Scalar::from)
        .into();
    scalars.extend([
        -Scalar::ONE,
        -Scalar::from(8u64),
        Scalar::from_bytes_mod_order([0x88; 32]),
    ]);
    scalars.extend((0..40).map(|i| Scalar::from_bytes_mod_order(*blake3::hash(&[i]).as_bytes())));
    scalars
}

fn items(count: u32) -> Vec<[u8; 64]> {
    let mut items: Vec<[u8; 64]> = vec![[0xff; 64], std::array::from_fn(|i| u8::from(i % 32 == 0))];
    items.extend((0..count).map(|i| {
        let mut item = [0; 64];
        blake3::Hasher::new()
            .update(&i.to_le_bytes())
            .finalize_xof()
            .fill(&mut item);
        item
    }));
    // Halves at the edges of the field: p - 1, p, p + 1, with and without the top bit, which is ignored.
    for low in [0xec, 0xed, 0xee] {
        for top in [0x7f, 0xff] {
            let mut item = items[2];
            item[..32].fill(0xff);
            (item[0], item[31]) = (low, top);
            items.push(item);
        }
    }
    items
}

/// A.1: multiples 1 to 4 of the generator; its multiple 0, the identity, is refused.
const MULTIPLES: [&str; 4] = [
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
];

#[test]
fn multiples_of_the_generator() {
    for (i, hex) in MULTIPLES.iter().enumerate() {
        let point = decode(&bytes(hex)).unwrap();
        assert_eq!(
            point,
            RISTRETTO_BASEPOINT_POINT * Scalar::from(i as u64 + 1)
        );
        for backend in backends() {
            let mut out = [[0; 32]];
            let blinder = Blinder::from_scalar(Scalar::from(i as u64 + 1), backend);
            blinder.reblind(&[bytes(MULTIPLES[0])], &mut out).unwrap();
            assert_eq!(out[0], bytes(hex), "{backend:?}");
        }
    }
}

/// A.2: encodings that must be refused, and the identity, which has an encoding but is refused here.
#[test]
fn bad_encodings_are_refused() {
    for hex in [
        // Identity.
        "0000000000000000000000000000000000000000000000000000000000000000",
        // Non-canonical field encodings.
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Negative field elements.
        "0100000000000000000000000000000000000000000000000000000000000000",
        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
        "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
        "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
        "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
        "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
        "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
        // Non-square x^2.
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
        "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
        "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
        "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
        "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
        "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
        "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
        "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
        // Negative x y.
        "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
        "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
        "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
        "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
        "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
        "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
        "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
        "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
        // s = -1.
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let bad = bytes(hex);
        assert!(decode(&bad).is_none(), "{hex}");
        let mut points = vec![bytes(MULTIPLES[2]); 600];
        (points[555], points[300]) = (bad, bad);
        let mut out = vec![[0; 32]; 600];
        assert_eq!(
            Blinder::new().unwrap().reblind(&points, &mut out),
            Err(BadPoint(300))
        );
    }
}

/// A.3: SHA-512 of labels, mapped to points.
#[test]
fn uniform_bytes_to_points() {
    for (uniform, point) in [
        (
            "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1\
             4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6",
            "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46",
        ),
        (
            "f116b34b8f17ceb56e8732a60d913dd10cce47a6d53bee9204be8b44f6678b27\
             0102a56902e2488c46120e9276cfe54638286b9e4b3cdb470b542d46c2068d38",
            "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b",
        ),
    ] {
        assert_eq!(from_uniform(&bytes(uniform)), bytes(point));
        for backend in backends() {
            let mut out = [[0; 32]];
            Blinder::from_scalar(Scalar::ONE, backend).blind(&[bytes(uniform)], &mut out);
            assert_eq!(out[0], bytes(point), "{backend:?}");
        }
    }
}

/// Every backend, every scalar: blinded and blinded again, against dalek's own operators, one point at a time.
#[test]
fn backends_agree_with_plain_multiplication() {
    let items = items(30);
    for scalar in scalars() {
        let want: Vec<_> = items
            .iter()
            .map(|item| RistrettoPoint::from_uniform_bytes(item) * scalar)
            .collect();
        let encoded: Vec<_> = want.iter().map(|p| p.compress().to_bytes()).collect();
        let again: Vec<_> = want
            .iter()
            .map(|p| (p * scalar).compress().to_bytes())
            .collect();
        for backend in backends() {
            let blinder = Blinder::from_scalar(scalar, backend);
            let mut out = vec![[0; 32]; items.len()];
            blinder.blind(&items, &mut out);
            assert_eq!(out, encoded, "{backend:?}");
            let mut twice = vec![[0; 32]; items.len()];
            blinder.reblind(&encoded, &mut twice).unwrap();
            assert_eq!(twice, again, "{backend:?}");
        }
    }
}

#[test]
fn blinding_commutes_over_many_points() {
    let items = items(2500);
    let (a, b) = (
        Scalar::from_bytes_mod_order([0xd7; 32]),
        Scalar::from_bytes_mod_order([0x3b; 32]),
    );
    let through = |first: Scalar, second: Scalar, backend: Backend| {
        let (mut once, mut twice) = (vec![[0; 32]; items.len()], vec![[0; 32]; items.len()]);
        Blinder::from_scalar(first, backend).blind(&items, &mut once);
        Blinder::from_scalar(second, backend)
            .reblind(&once, &mut twice)
            .unwrap();
        twice
    };
    let want = through(a, b, Backend::Dalek);
    for backend in backends() {
        assert_eq!(want, through(b, a, backend));
    }
}
