//! Secret orders.

use crate::Stream;
use zeroize::Zeroizing;

/// A permutation of `0..n`, every one equally likely: Fisher and Yates with rejection, over the stream of `key`.
pub fn permutation(key: &[u8; 16], n: usize) -> Vec<i64> {
    let mut source = Source {
        stream: Stream::new(key),
        words: Zeroizing::new([0; 512]),
        used: 512,
    };
    let mut order: Vec<i64> = (0..n as i64).collect();
    for i in (1..n).rev() {
        order.swap(i, source.below(i as u64 + 1) as usize);
    }
    order
}

struct Source {
    stream: Stream,
    words: Zeroizing<[u64; 512]>,
    used: usize,
}

impl Source {
    fn next(&mut self) -> u64 {
        if self.used == self.words.len() {
            let mut bytes = Zeroizing::new([0; 4096]);
            self.stream.fill(&mut bytes[..]);
            for (word, b) in self.words.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*b);
            }
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in `0..bound`: Lemire, "Fast random integer generation in an interval" (2019), exact.
    fn below(&mut self, bound: u64) -> u64 {
        loop {
            let wide = u128::from(self.next()) * u128::from(bound);
            let low = wide as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (wide >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permutation_is_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        for i in 0..24_000u128 {
            *counts
                .entry(permutation(&i.to_le_bytes(), 4))
                .or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // 1000 expected, standard deviation 31; the sum of squares is chi-square with 23 degrees of freedom.
        let chi: f64 = counts
            .values()
            .map(|c| (f64::from(*c) - 1000.0).powi(2) / 1000.0)
            .sum();
        assert!(chi < 80.0, "{chi}");
    }

    #[test]
    fn it_is_a_permutation() {
        for n in [0, 1, 2, 1000] {
            let mut order = permutation(&[7; 16], n);
            order.sort_unstable();
            assert_eq!(order, (0..n as i64).collect::<Vec<_>>());
        }
        assert_ne!(permutation(&[7; 16], 1000), permutation(&[8; 16], 1000));
        assert_eq!(permutation(&[7; 16], 1000), permutation(&[7; 16], 1000));
    }
}
