//! Seeds from the operating system, and polynomials from seeds. Nothing branches on what is drawn.

use crate::error::Error;
use crate::modulus::Modulus;
use argot_prf::Stream;
use zeroize::Zeroizing;

/// Standard deviation of [`errors`]: sqrt(ETA / 2).
pub const SIGMA: f64 = 3.24;

/// Pairs of bits in the centred binomial distribution; |error| is at most this. Its deviation is that of the
/// rounded Gaussian (3.2) in the Homomorphic Encryption Standard, and it needs neither tables nor rejection.
pub const ETA: u32 = 21;

/// 32 bytes of the operating system's randomness.
pub fn seed() -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut seed[..]).map_err(|_| Error::NoRandomness)?;
    Ok(seed)
}

/// The stream of one purpose and index under a seed: each polynomial has its own.
pub fn stream(seed: &[u8; 32], purpose: &str, index: usize) -> Stream {
    let mut name = purpose.as_bytes().to_vec();
    name.extend((index as u64).to_le_bytes());
    Stream::new(&Zeroizing::new(argot_prf::derive(
        seed,
        &argot_prf::derive_key("argot rlwe 1 polynomials", &[]),
        &name,
    )))
}

/// Words of a stream in pieces, so that little of it is held and that little is wiped.
fn words(stream: &Stream, count: usize, mut each: impl FnMut(u64)) {
    let mut buffer = Zeroizing::new([0u64; 256]);
    for first in (0..count).step_by(256) {
        let n = 256.min(count - first);
        stream.words_at(first as u64, &mut buffer[..n]);
        buffer[..n].iter().for_each(|w| each(*w));
    }
}

/// Uniform below q: floor(x q / 2^128) of 128 random bits, within q / 2^128 < 2^-78 of uniform.
pub fn uniform(stream: &Stream, modulus: &Modulus, out: &mut [u64]) {
    let mut low = None;
    let mut at = out.iter_mut();
    let q = modulus.q as u128;
    words(stream, 2 * at.len(), |w| match low.take() {
        None => low = Some(w),
        Some(l) => {
            let carry = (l as u128 * q) >> 64;
            if let Some(x) = at.next() {
                *x = ((w as u128 * q + carry) >> 64) as u64;
            }
        }
    });
}

/// -1, 0 or 1, each with probability 1/3 up to 2^-62.
pub fn ternary(stream: &Stream, n: usize) -> Zeroizing<Vec<i64>> {
    let mut out = Zeroizing::new(Vec::with_capacity(n));
    words(stream, n, |w| out.push(((w as u128 * 3) >> 64) as i64 - 1));
    out
}

/// Centred binomial: the difference of two sums of [`ETA`] bits.
pub fn errors(stream: &Stream, n: usize) -> Zeroizing<Vec<i64>> {
    const MASK: u64 = (1 << ETA) - 1;
    let mut out = Zeroizing::new(Vec::with_capacity(n));
    words(stream, n, |w| {
        let (plus, minus) = (w & MASK, w >> ETA & MASK);
        out.push(plus.count_ones() as i64 - minus.count_ones() as i64);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(x: &[i64]) -> (f64, f64) {
        let n = x.len() as f64;
        let mean = x.iter().sum::<i64>() as f64 / n;
        (
            mean,
            x.iter().map(|v| (*v as f64 - mean).powi(2)).sum::<f64>() / n,
        )
    }

    #[test]
    fn distributions_have_their_moments() {
        let n = 1 << 18;
        let (mean, variance) = moments(&ternary(&stream(&[1; 32], "t", 0), n));
        assert!(mean.abs() < 0.01 && (variance - 2.0 / 3.0).abs() < 0.01);
        let e = errors(&stream(&[1; 32], "e", 0), n);
        let (mean, variance) = moments(&e);
        assert!(
            mean.abs() < 0.04 && (variance - SIGMA * SIGMA).abs() < 0.15,
            "{variance}"
        );
        assert!(e.iter().all(|x| x.unsigned_abs() <= ETA as u64));
    }

    #[test]
    fn uniform_is_below_the_modulus_and_covers_it() {
        let m = Modulus::new(crate::modulus::prime_below(30, &[]).unwrap());
        let mut x = vec![0; 1 << 16];
        uniform(&stream(&[2; 32], "u", 0), &m, &mut x);
        assert!(x.iter().all(|x| *x < m.q));
        let mean = x.iter().map(|x| *x as f64).sum::<f64>() / x.len() as f64 / m.q as f64;
        assert!((mean - 0.5).abs() < 0.01);
        let mut other = vec![0; 1 << 16];
        uniform(&stream(&[2; 32], "u", 1), &m, &mut other);
        assert_ne!(x, other);
    }
}
