//! AES-128-CTR as a seekable stream of bytes.

use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::hardware;
use crate::portable;
use rayon::prelude::*;
use zeroize::Zeroize;

/// The eleven round keys of AES-128.
#[derive(Clone)]
pub(crate) struct RoundKeys(pub [[u8; 16]; 11]);

impl RoundKeys {
    /// With the backend that made them: the portable one where the processor does not have `backend`.
    pub(crate) fn expand(key: &[u8; 16], backend: Backend) -> (RoundKeys, Backend) {
        let backend = backend.or_portable();
        let keys = match backend {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has AES-NI, as each of these backends requires.
            Backend::Vaes512 | Backend::Vaes256 | Backend::AesNi => unsafe {
                hardware::expand(key)
            },
            _ => portable::expand(key),
        };
        (keys, backend)
    }
}

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The stream of one draw key: block `i` is AES(key, `i` as 16 bytes little endian).
///
/// Read it as little-endian words. Wiped when dropped. It does not advance by itself except through
/// [`Stream::fill`]; kernels that work on blocks, or on several threads, use [`Stream::fill_at`].
#[derive(Clone)]
pub struct Stream {
    keys: RoundKeys,
    backend: Backend,
    position: u64,
}

impl Stream {
    pub fn new(key: &[u8; 16]) -> Stream {
        Stream::with_backend(key, Backend::current())
    }

    /// Falls back to the portable one where the processor does not have `backend`.
    pub fn with_backend(key: &[u8; 16], backend: Backend) -> Stream {
        let (keys, backend) = RoundKeys::expand(key, backend);
        Stream {
            keys,
            backend,
            position: 0,
        }
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The next `out.len()` bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.fill_at(self.position, out);
        self.position += out.len() as u64;
    }

    /// The bytes from `offset` on. Cheapest where `offset` is a multiple of 16.
    pub fn fill_at(&self, offset: u64, out: &mut [u8]) {
        let mut block = offset / 16;
        let skip = (offset % 16) as usize;
        let mut out = out;
        if skip != 0 {
            let mut first = [0; 16];
            self.blocks(block, &mut first);
            let n = out.len().min(16 - skip);
            let (head, rest) = out.split_at_mut(n);
            head.copy_from_slice(&first[skip..skip + n]);
            first.zeroize();
            out = rest;
            block += 1;
        }
        let whole = out.len() / 16 * 16;
        let (body, tail) = out.split_at_mut(whole);
        self.blocks(block, body);
        if !tail.is_empty() {
            let mut last = [0; 16];
            self.blocks(block + (whole / 16) as u64, &mut last);
            tail.copy_from_slice(&last[..tail.len()]);
            last.zeroize();
        }
    }

    /// As [`Stream::fill_at`], in parts of `chunk` bytes over all threads where there is more than one part.
    pub fn fill_parallel(&self, offset: u64, out: &mut [u8], chunk: usize) {
        if out.len() <= chunk {
            return self.fill_at(offset, out);
        }
        out.par_chunks_mut(chunk)
            .enumerate()
            .for_each(|(i, part)| self.fill_at(offset + (i * chunk) as u64, part));
    }

    /// Words `first..first + out.len()` of the stream read as 64-bit words.
    pub fn words_at(&self, first: u64, out: &mut [u64]) {
        // SAFETY: any bytes are valid u64, and the slice covers exactly the same memory.
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u8>(), out.len() * 8) };
        self.fill_at(first * 8, bytes);
        to_native(out);
    }

    /// Whole blocks, the first of them number `first`.
    fn blocks(&self, first: u64, out: &mut [u8]) {
        debug_assert!(out.len().is_multiple_of(16));
        match self.backend {
            // SAFETY: `with_backend` checked that the processor has what each of these needs.
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512 => unsafe { hardware::blocks_vaes512(&self.keys, first, out) },
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes256 => unsafe { hardware::blocks_vaes256(&self.keys, first, out) },
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi => unsafe { hardware::blocks_aesni(&self.keys, first, out) },
            _ => portable::blocks(&self.keys, first, out),
        }
    }
}

#[cfg(target_endian = "little")]
fn to_native(_words: &mut [u64]) {}

#[cfg(target_endian = "big")]
fn to_native(words: &mut [u64]) {
    words.iter_mut().for_each(|w| *w = u64::from_le(*w));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends() -> Vec<Backend> {
        Backend::ALL
            .into_iter()
            .filter(|b| b.is_available())
            .collect()
    }

    fn key(seed: u8) -> [u8; 16] {
        std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(seed))
    }

    #[test]
    fn all_backends_agree_at_every_length_and_offset() {
        let key = key(5);
        let reference = Stream::with_backend(&key, Backend::Portable);
        let mut want = vec![0; 4096];
        reference.fill_at(0, &mut want);
        for backend in backends() {
            let stream = Stream::with_backend(&key, backend);
            assert_eq!(stream.backend(), backend);
            for offset in (0..70).chain([511, 512, 513, 1024, 2000]) {
                for length in (0..70).chain([127, 128, 255, 511, 512, 513, 1023, 1025, 2047]) {
                    let mut got = vec![0; length];
                    stream.fill_at(offset as u64, &mut got);
                    assert_eq!(
                        got,
                        want[offset..offset + length],
                        "{backend:?} {offset} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn counters_beyond_32_bits_agree() {
        for first in [(1u64 << 32) - 3, (1 << 36) - 8, (1 << 59) + 7] {
            let mut want = vec![0; 1600];
            Stream::with_backend(&key(1), Backend::Portable).fill_at(first * 16, &mut want);
            for backend in backends() {
                let mut got = vec![0; 1600];
                Stream::with_backend(&key(1), backend).fill_at(first * 16, &mut got);
                assert_eq!(got, want, "{backend:?}");
            }
        }
    }

    #[test]
    fn fill_goes_on_where_it_stopped() {
        let mut stream = Stream::new(&key(2));
        let mut whole = vec![0; 1000];
        stream.fill_at(0, &mut whole);
        let mut pieces = Vec::new();
        for n in [1, 15, 16, 17, 300, 651] {
            let mut piece = vec![0; n];
            stream.fill(&mut piece);
            pieces.extend(piece);
        }
        assert_eq!(pieces, whole);
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// FIPS 197 appendix A.1: the last round key of the example key.
    #[test]
    fn key_schedules_are_those_of_fips_197() {
        let key: [u8; 16] = hex("2b7e151628aed2a6abf7158809cf4f3c").try_into().unwrap();
        for backend in backends() {
            let keys = Stream::with_backend(&key, backend).keys.clone();
            assert_eq!(
                keys.0[1][..],
                hex("a0fafe1788542cb123a339392a6c7605"),
                "{backend:?}"
            );
            assert_eq!(
                keys.0[10][..],
                hex("d014f9a8c9ee2589e13f0cc8b6630ca6"),
                "{backend:?}"
            );
        }
    }

    fn encrypt(key: &str, block: &str) -> Vec<u8> {
        let key: [u8; 16] = hex(key).try_into().unwrap();
        let block = hex(block);
        let word = |i: usize| u64::from_le_bytes(block[i..i + 8].try_into().unwrap());
        let mut lanes = [[0; 2]; 64];
        lanes[17] = [word(0), word(8)];
        portable::encrypt(&portable::expand(&key), &mut lanes);
        lanes[17].iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// FIPS 197 appendices B and C.1, SP 800-38A F.1.1 (ECB) and the cipher calls of F.5.1 (CTR).
    #[test]
    fn blocks_are_those_of_the_standards() {
        for (key, block, cipher) in [
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
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "6bc1bee22e409f96e93d7e117393172a",
                "3ad77bb40d7a3660a89ecaf32466ef97",
            ),
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
                "ec8cdf7398607cb0f2d21675ea9ea1e4",
            ),
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdff00",
                "362b7c3c6773516318a077d7fc5073ae",
            ),
        ] {
            assert_eq!(encrypt(key, block), hex(cipher));
        }
    }

    /// AES-128 of the zero block under the zero key, in NIST's known answers (KAT, VarKey count -1), is block 0
    /// of the stream: so the counter starts at zero in every backend.
    #[test]
    fn the_stream_starts_at_the_zero_block() {
        for backend in backends() {
            let mut block = [0; 16];
            Stream::with_backend(&[0; 16], backend).fill_at(0, &mut block);
            assert_eq!(
                block[..],
                hex("66e94bd4ef8a2c3b884cfa59ca342b2e"),
                "{backend:?}"
            );
        }
    }

    #[test]
    fn words_are_little_endian() {
        let stream = Stream::new(&key(3));
        let mut bytes = [0; 40];
        stream.fill_at(8, &mut bytes);
        let mut words = [0; 5];
        stream.words_at(1, &mut words);
        for (word, b) in words.iter().zip(bytes.chunks_exact(8)) {
            assert_eq!(word.to_le_bytes(), b);
        }
    }
}
