//! BLAKE3 as its authors' vectors have it (test_vectors.json: key, context, and inputs counting 0..251).

const KEY: &[u8; 32] = b"whats the Elvish word for friend";
const CONTEXT: &str = "BLAKE3 2019-12-27 16:29:52 test vectors context";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn input(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

#[test]
fn published_vectors() {
    assert_eq!(
        hex(&argot_prf::hash(&input(0))),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
    assert_eq!(
        hex(&argot_prf::hash(&input(1))),
        "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"
    );
    assert_eq!(
        hex(&argot_prf::derive_key(CONTEXT, &input(0))),
        "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"
    );
}

/// `derive` is the keyed hash of the run id and the name: the run id is the first 32 bytes of the vector's input.
#[test]
fn derive_is_keyed_blake3() {
    let run_id: [u8; 32] = input(32).try_into().unwrap();
    for n in [32, 33, 64, 1024, 1025, 5000] {
        let name = &input(n)[32..];
        let want = blake3::keyed_hash(KEY, &input(n));
        assert_eq!(argot_prf::derive(KEY, &run_id, name), want.as_bytes()[..16]);
    }
}

#[test]
fn every_part_of_the_name_counts() {
    let base = argot_prf::derive(&[1; 32], &[2; 32], b"name");
    assert_eq!(base, argot_prf::derive(&[1; 32], &[2; 32], b"name"));
    assert_ne!(base, argot_prf::derive(&[3; 32], &[2; 32], b"name"));
    assert_ne!(base, argot_prf::derive(&[1; 32], &[3; 32], b"name"));
    assert_ne!(base, argot_prf::derive(&[1; 32], &[2; 32], b"nam"));
}
