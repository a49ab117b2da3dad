//! The local linear code of Ferret: each row is the sum of ten places of a secret, chosen by a public key.
//!
//! Yang, Weng, Lan, Zhang and Wang, "Ferret" (eprint 2020/924): sparse rows of ten ones, as in Alekhnovich's
//! assumption. Row i takes words `10 i .. 10 i + 10` of the stream of the key; a word becomes a place by the high half
//! of its product with the length of the secret, which misses uniform by one part in 2^32 / k.

use argot_prf::{Backend, Stream};

/// Ones in a row.
const WEIGHT: usize = 10;
/// Rows whose places are worked out together: long enough for memory to answer, and few enough to stay in cache.
const ROWS: usize = 32;
type Places = [u32; WEIGHT * ROWS];

pub(crate) struct Code {
    stream: Stream,
    /// Places of the secret.
    k: u32,
}

impl Code {
    pub(crate) fn new(key: u128, k: usize) -> Code {
        let k = u32::try_from(k).expect("Params keeps secrets below 2^32 places");
        Code {
            stream: Stream::new(&key.to_le_bytes()),
            k,
        }
    }

    /// Add to `out` the rows from number `first` on of the code, applied to `secret`.
    ///
    /// The secret does not fit a core's caches, so this takes the time of its loads: those of the next rows are asked
    /// for while these are added up. Where they go is public.
    pub(crate) fn add(&self, secret: &[u128], first: u64, out: &mut [u128]) {
        assert_eq!(secret.len(), self.k as usize);
        let (mut now, mut next) = ([0; WEIGHT * ROWS], [0; WEIGHT * ROWS]);
        self.places(first, &mut next);
        for (part, row) in out.chunks_mut(ROWS).zip((first..).step_by(ROWS)) {
            std::mem::swap(&mut now, &mut next);
            self.places(row + ROWS as u64, &mut next);
            for place in next {
                ask(secret, place as usize);
            }
            for (out, places) in part.iter_mut().zip(now.as_chunks::<WEIGHT>().0) {
                // SAFETY: `places` gives numbers below k, the length of the secret.
                *out ^= unsafe { sum(secret, places) };
            }
        }
    }

    fn places(&self, row: u64, places: &mut Places) {
        let mut bytes = [0; 4 * WEIGHT * ROWS];
        self.stream.fill_at(row * 4 * WEIGHT as u64, &mut bytes);
        match Backend::current() {
            // SAFETY: both of these have AVX2.
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512 | Backend::Vaes256 => unsafe { scale_avx2(&bytes, self.k, places) },
            _ => scale(&bytes, self.k, places),
        }
    }
}

#[inline(always)]
fn scale(bytes: &[u8; 4 * WEIGHT * ROWS], k: u32, places: &mut Places) {
    for (place, word) in places.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let word = u32::from_le_bytes(*word);
        *place = ((u64::from(word) * u64::from(k)) >> 32) as u32;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn scale_avx2(bytes: &[u8; 4 * WEIGHT * ROWS], k: u32, places: &mut Places) {
    scale(bytes, k, places);
}

/// The sum of the blocks at ten places, which must be within the secret.
#[inline(always)]
unsafe fn sum(secret: &[u128], places: &[u32; WEIGHT]) -> u128 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: of the caller; every x86-64 has SSE2.
    unsafe {
        use std::arch::x86_64::*;
        let mut sum = _mm_setzero_si128();
        for place in places {
            sum = _mm_xor_si128(
                sum,
                _mm_load_si128(secret.as_ptr().add(*place as usize).cast()),
            );
        }
        std::mem::transmute(sum)
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: of the caller.
    places.iter().fold(0, |sum, place| {
        sum ^ unsafe { *secret.get_unchecked(*place as usize) }
    })
}

/// Ask memory for a block that will be read soon.
#[inline]
fn ask(secret: &[u128], place: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: asking reads nothing, and every x86-64 can.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        _mm_prefetch::<_MM_HINT_T0>(secret.as_ptr().wrapping_add(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (secret, place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sums_of_ten_places() {
        let k = 1000u64;
        let (key, secret): (u128, Vec<u128>) = (
            7,
            (0..k)
                .map(|i| u128::from(i * i) << 64 | u128::from(i))
                .collect(),
        );
        for backend in Backend::ALL {
            backend.choose();
            let code = Code::new(key, k as usize);
            rows_are_as_defined(&code, key, &secret);
        }
        assert!(Backend::ALL.into_iter().any(Backend::choose));
    }

    fn rows_are_as_defined(code: &Code, key: u128, secret: &[u128]) {
        let k = secret.len() as u64;
        for (first, n) in [(0, 100), (3, 1), (64, 31), (64, 33), (1 << 33, 64), (5, 0)] {
            let mut out = vec![1; n];
            code.add(secret, first, &mut out);
            for (i, got) in out.iter().enumerate() {
                let mut bytes = [0; 40];
                Stream::new(&key.to_le_bytes()).fill_at((first + i as u64) * 40, &mut bytes);
                let want = bytes.as_chunks::<4>().0.iter().fold(1, |sum, word| {
                    sum ^ secret[((u64::from(u32::from_le_bytes(*word)) * k) >> 32) as usize]
                });
                assert_eq!(*got, want);
            }
        }
    }
}
