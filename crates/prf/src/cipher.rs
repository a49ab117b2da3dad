//! AES-128 on blocks: a permutation under one key, and a correlation robust hash under one key or one key a block.
//!
//! A block is 16 bytes as a little-endian `u128`. The hash is that of Guo, Katz, Wang and Yu, "Efficient and Secure
//! Multiparty Computation from Fixed-Key Block Ciphers" (eprint 2019/074) section 7.2:
//! `H(x) = E(s(x)) ^ s(x)` with `s(a || b) = (a ^ b) || a`, where `a` is the high half. It is circular correlation
//! robust where E is an ideal cipher; `s` and `x -> s(x) ^ x` are both permutations, which keeps `H(x ^ d) ^ d` random.
//!
//! Who calls E p times under a key that hashed q blocks `x ^ d` finds the secret d with probability p q / 2^128,
//! whatever other keys hashed. So one who hashes much under one d takes many keys ([`hash_each`]; Guo et al., eprint
//! 2019/1168).

use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::hardware;
use crate::portable;
use crate::stream::RoundKeys;

/// AES-128 under one key. Wiped when dropped.
#[derive(Clone)]
pub struct Cipher {
    keys: RoundKeys,
    backend: Backend,
}

impl Cipher {
    pub fn new(key: u128) -> Cipher {
        Cipher::with_backend(key, Backend::current())
    }

    /// Falls back to the portable one where the processor does not have `backend`.
    pub fn with_backend(key: u128, backend: Backend) -> Cipher {
        let (keys, backend) = RoundKeys::expand(&key.to_le_bytes(), backend);
        Cipher { keys, backend }
    }

    /// Each block through the permutation, in place.
    pub fn encrypt(&self, blocks: &mut [u128]) {
        match self.backend {
            // SAFETY: `expand` checked that the processor has what each of these needs.
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512 => unsafe { hardware::permute_vaes512::<false>(&self.keys, blocks) },
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes256 => unsafe { hardware::permute_vaes256::<false>(&self.keys, blocks) },
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi => unsafe { hardware::permute_aesni::<false>(&self.keys, blocks) },
            _ => portable::permute::<false>(&self.keys, blocks),
        }
    }

    /// Each block replaced by its hash `H(x) = E(s(x)) ^ s(x)`.
    pub fn hash_all(&self, blocks: &mut [u128]) {
        match self.backend {
            // SAFETY: `expand` checked that the processor has what each of these needs.
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512 => unsafe { hardware::permute_vaes512::<true>(&self.keys, blocks) },
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes256 => unsafe { hardware::permute_vaes256::<true>(&self.keys, blocks) },
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi => unsafe { hardware::permute_aesni::<true>(&self.keys, blocks) },
            _ => portable::permute::<true>(&self.keys, blocks),
        }
    }
}

/// Block `i` of every column replaced by its hash under `keys[i]`, with the fastest backend.
///
/// The key schedules run beside the rounds, many keys at a time: two columns cost about as much as the schedule.
pub fn hash_each<const COLUMNS: usize>(keys: &[u128], columns: [&mut [u128]; COLUMNS]) {
    hash_each_with(Backend::current(), keys, columns);
}

/// As [`hash_each`], with a chosen backend; the portable one where the processor does not have it.
pub fn hash_each_with<const COLUMNS: usize>(
    backend: Backend,
    keys: &[u128],
    columns: [&mut [u128]; COLUMNS],
) {
    for column in &columns {
        assert_eq!(column.len(), keys.len(), "one key a block");
    }
    match backend.or_portable() {
        // SAFETY: the processor has what each of these needs, or it would not be this backend.
        #[cfg(target_arch = "x86_64")]
        Backend::Vaes512 => unsafe { hardware::hash_each_vaes512(keys, columns) },
        #[cfg(target_arch = "x86_64")]
        Backend::Vaes256 => unsafe { hardware::hash_each_vaes256(keys, columns) },
        #[cfg(target_arch = "x86_64")]
        Backend::AesNi => unsafe { hardware::hash_each_aesni(keys, columns) },
        _ => portable::hash_each(keys, columns),
    }
}

/// `s(a || b) = (a ^ b) || a`.
#[inline]
pub(crate) fn spread(x: u128) -> u128 {
    x >> 64 | (x ^ x << 64) & !(u128::MAX >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends() -> impl Iterator<Item = Backend> {
        Backend::ALL.into_iter().filter(|b| b.is_available())
    }

    fn words(seed: u128, n: usize) -> Vec<u128> {
        let mut blocks: Vec<u128> = (0..n as u128).collect();
        Cipher::with_backend(seed, Backend::Portable).encrypt(&mut blocks);
        blocks
    }

    fn block(hex: &str) -> u128 {
        u128::from_str_radix(hex, 16).unwrap().swap_bytes()
    }

    /// FIPS 197 appendices B and C.1, in every lane.
    #[test]
    fn blocks_are_those_of_fips_197() {
        for (key, plain, cipher) in [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "3243f6a8885a308d313198a2e0370734",
                "3925841d02dc09fbdc118597196a0b32",
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "00112233445566778899aabbccddeeff",
                "69c4e0d86a7b0430d8cdb78070b4c55a",
            ),
        ] {
            for backend in backends() {
                for n in [1, 2, 3, 4, 31, 32, 33, 64, 65, 100] {
                    let mut blocks = vec![block(plain); n];
                    Cipher::with_backend(block(key), backend).encrypt(&mut blocks);
                    assert_eq!(blocks, vec![block(cipher); n], "{backend:?}");
                }
            }
        }
    }

    /// The hash under one key and under one key a block, by its definition, at every length.
    #[test]
    fn hashes_are_as_defined_in_every_backend() {
        for n in (0..70).chain([127, 128, 129, 300]) {
            let (x, y, keys) = (words(1, n), words(2, n), words(3, n));
            let by_definition = |key: u128, x: u128| {
                let (a, b) = ((x >> 64) as u64, x as u64);
                let s = u128::from(a ^ b) << 64 | u128::from(a);
                let mut out = [s];
                Cipher::with_backend(key, Backend::Portable).encrypt(&mut out);
                out[0] ^ s
            };
            let one: Vec<u128> = x.iter().map(|x| by_definition(7, *x)).collect();
            let each = |x: &[u128]| -> Vec<u128> {
                let pairs = keys.iter().zip(x);
                pairs.map(|(key, x)| by_definition(*key, *x)).collect()
            };
            let (want_x, want_y) = (each(&x), each(&y));
            for backend in backends() {
                let mut got = x.clone();
                Cipher::with_backend(7, backend).hash_all(&mut got);
                assert_eq!(got, one, "{backend:?} {n}");
                let mut alone = x.clone();
                hash_each_with(backend, &keys, [&mut alone]);
                assert_eq!(alone, want_x, "{backend:?} {n}");
                let (mut first, mut second) = (x.clone(), y.clone());
                hash_each_with(backend, &keys, [&mut first, &mut second]);
                assert_eq!((&first, &second), (&want_x, &want_y), "{backend:?} {n}");
            }
        }
    }

    #[test]
    fn spreading_and_spreading_plus_one_are_permutations() {
        // Linear, so it is enough that both have full rank: 128 images of unit vectors, reduced.
        for plus in [false, true] {
            let mut basis: Vec<u128> = Vec::new();
            for i in 0..128 {
                let mut image = spread(1 << i) ^ if plus { 1 << i } else { 0 };
                for b in &basis {
                    image = image.min(image ^ b);
                }
                assert_ne!(image, 0);
                basis.push(image);
            }
        }
    }
}
