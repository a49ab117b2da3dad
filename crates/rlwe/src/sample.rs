//! Seeds, and what is drawn from them: uniform residues, secrets of {-1, 0, 1}, errors.

use crate::backend::kernels;
use crate::error::Error;
use argot_prf::Stream;
use zeroize::{Zeroize, Zeroizing};

/// Where one message's randomness comes from: 32 bytes, of which every stream has a key of its own.
#[derive(Clone)]
pub(crate) struct Seed([u8; 32]);

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a stream is for. No two streams of one seed share purpose and index.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Purpose {
    /// The public, uniform half of a ciphertext or key.
    Uniform = 1,
    Secret = 2,
    Error = 3,
    Mask = 4,
}

impl Seed {
    /// From the operating system.
    pub fn fresh() -> Result<Seed, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
        Ok(Seed(bytes))
    }

    /// A seed that travels, for public halves only.
    pub fn public(bytes: [u8; 32]) -> Seed {
        Seed(bytes)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Ciphertext `index` of a message has streams that no other has: a seed of its own, as the paper asks.
    pub fn stream(&self, purpose: Purpose, index: usize) -> Stream {
        let mut name = [0; 9];
        name[0] = purpose as u8;
        name[1..].copy_from_slice(&(index as u64).to_le_bytes());
        let key = Zeroizing::new(argot_prf::derive(&self.0, &[0; 32], &name));
        Stream::new(&key)
    }
}

/// Uniform below `p`: as many bits of each word as p has, taken where they are below p. Public numbers only, since
/// time tells how many were not.
pub(crate) fn vartime_uniform(stream: &mut Stream, p: u64, out: &mut [u64]) {
    let mask = u64::MAX >> p.leading_zeros();
    words(stream, out);
    let mut beyond = 0;
    mask_words(out, mask, p, &mut beyond);
    if beyond >> 63 == 0 {
        return;
    }
    let mut more = [0; 16];
    let mut left = 0;
    for x in out {
        while *x >= p {
            if left == 0 {
                words(stream, &mut more);
                left = more.len();
            }
            left -= 1;
            *x = more[left] & mask;
        }
    }
}

/// Uniform among -1, 0 and 1: floor(3 w / 2^64) - 1 of a word w, off by less than 2^-62.
pub(crate) fn ternary(stream: &mut Stream, out: &mut [i8]) {
    from_words(stream, out, ternary_of);
}

/// The variance of [`error`].
pub const ERROR_VARIANCE: f64 = 10.5;
/// No error is beyond.
pub const ERROR_MOST: i8 = 21;

/// Centred binomial, 21 bits against 21: standard deviation 3.24, no less than the 3.19 that the tables of the
/// Homomorphic Encryption Standard (2018) assume, and its tails are those of a Gaussian or lighter. The second 21
/// bits count inverted, so that one count of bits does.
pub(crate) fn error(stream: &mut Stream, out: &mut [i8]) {
    from_words(stream, out, error_of);
}

fn from_words(stream: &mut Stream, out: &mut [i8], each: impl Fn(&[u64], &mut [i8])) {
    let mut buffer = Zeroizing::new([0u64; 512]);
    for out in out.chunks_mut(512) {
        let buffer = &mut buffer[..out.len()];
        words(stream, buffer);
        each(buffer, out);
    }
}

kernels! {
    fn ternary_of<L>(words: &[u64], out: &mut [i8]) {
        for (out, &w) in out.iter_mut().zip(words) {
            *out = ((u128::from(w) * 3) >> 64) as i8 - 1;
        }
    }

    fn error_of<L>(words: &[u64], out: &mut [i8]) {
        for (out, &w) in out.iter_mut().zip(words) {
            *out = (w >> 22).count_ones() as i8 - ERROR_MOST;
        }
    }

    /// The bits of `mask`; the top bit of `beyond` is set if any is p or more then.
    fn mask_words<L>(words: &mut [u64], mask: u64, p: u64, beyond: &mut u64) {
        let mut all = 0;
        for x in words {
            *x &= mask;
            all |= (p - 1).wrapping_sub(*x);
        }
        *beyond = all;
    }
}

fn words(stream: &mut Stream, out: &mut [u64]) {
    // SAFETY: any bytes are valid u64, and the slice covers exactly the same memory.
    let bytes =
        unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u8>(), out.len() * 8) };
    stream.fill(bytes);
    out.iter_mut().for_each(|w| *w = u64::from_le(*w));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(index: usize) -> Stream {
        Seed::public([3; 32]).stream(Purpose::Error, index)
    }

    #[test]
    fn uniform_numbers_cover_the_range() {
        let p = (1 << 33) + 1;
        let mut out = vec![0; 1 << 16];
        vartime_uniform(&mut stream(0), p, &mut out);
        assert!(out.iter().all(|&x| x < p));
        let mean = out.iter().map(|&x| x as f64).sum::<f64>() / out.len() as f64 / p as f64;
        // The mean of 2^16 has a deviation of 0.0011.
        assert!((mean - 0.5).abs() < 0.006, "{mean}");
    }

    #[test]
    fn errors_and_secrets_have_their_moments() {
        let n = 1 << 18;
        let (mut errors, mut secrets) = (vec![0; n], vec![0; n]);
        error(&mut stream(1), &mut errors);
        ternary(&mut stream(2), &mut secrets);
        let moment = |x: &[i8], k| x.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / n as f64;
        assert!(moment(&errors, 1).abs() < 0.04);
        assert!((moment(&errors, 2) - ERROR_VARIANCE).abs() < 0.2);
        assert!(errors.iter().all(|x| x.abs() <= ERROR_MOST));
        assert!(moment(&secrets, 1).abs() < 0.01);
        assert!((moment(&secrets, 2) - 2.0 / 3.0).abs() < 0.01);
        assert!(secrets.iter().all(|x| x.abs() <= 1));
    }

    #[test]
    fn streams_differ_by_purpose_and_index() {
        let seed = Seed::public([1; 32]);
        let mut seen = Vec::new();
        for purpose in [Purpose::Uniform, Purpose::Secret, Purpose::Mask] {
            for index in 0..3 {
                let mut bytes = [0; 16];
                seed.stream(purpose, index).fill(&mut bytes);
                assert!(!seen.contains(&bytes));
                seen.push(bytes);
            }
        }
    }
}
