//! Products of random bits, without a message: of a correlation the pads `x_0, x_1` of one bit give the sender
//! `a = x_0 + x_1` and `u = x_0`, the receiver its bit b and `v = x_b`, and `u + v = a b`.
//!
//! A triple of shared bits with `c = a b` needs the two products of one party's bit and the other's: two correlations
//! of one direction ([`SenderCots::triples`]), or one of each ([`triples`]), which share the work evenly. Bits are 64
//! a word. Bits sent: none beyond the correlations.

use crate::bits::gather;
use crate::{Error, ReceiverCots, SenderCots};
use zeroize::Zeroizing;

/// One party's shares of `a`, `b` and `c`, where `c = a & b` for the sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triples {
    pub a: Vec<u64>,
    pub b: Vec<u64>,
    pub c: Vec<u64>,
}

impl SenderCots {
    /// `(a, u)` for each correlation.
    pub fn products(self) -> (Vec<u64>, Vec<u64>) {
        let n = self.len();
        let [zero, one] = self
            .random(1)
            .expect("a width of one bit")
            .map(Zeroizing::new);
        let (zero, one) = (gather(n, |i| zero[i]), gather(n, |i| one[i]));
        (sum(&zero, &one), zero)
    }

    /// Half as many triples as correlations; the receiver calls [`ReceiverCots::triples`].
    pub fn triples(mut self) -> Result<Triples, Error> {
        self.run.random_bits()?;
        let n = half(self.len())?;
        let (a, u) = self.take(n)?.products();
        let (b, w) = self.products();
        Ok(Triples {
            c: close(&a, &b, &u, &w),
            a,
            b,
        })
    }
}

impl ReceiverCots {
    /// `(b, v)` for each correlation.
    pub fn products(self) -> (Vec<u64>, Vec<u64>) {
        let (n, choices) = (self.len(), self.choices());
        let words = Zeroizing::new(self.random(1).expect("a width of one bit"));
        (choices, gather(n, |i| words[i]))
    }

    /// The other side of [`SenderCots::triples`].
    pub fn triples(mut self) -> Result<Triples, Error> {
        self.run.random_bits()?;
        let n = half(self.len())?;
        let (b, v) = self.take(n)?.products();
        let (a, w) = self.products();
        Ok(Triples {
            c: close(&a, &b, &v, &w),
            a,
            b,
        })
    }
}

/// As many triples as correlations of either direction. Who sends in the first direction receives in the second: each
/// party calls this with its own two sides, and its `a` is that of the direction in which it sends.
pub fn triples(sender: SenderCots, receiver: ReceiverCots) -> Result<Triples, Error> {
    sender.run.random_bits()?;
    receiver.run.random_bits()?;
    crate::error::length(
        "correlations of the two directions",
        receiver.len(),
        sender.len(),
    )?;
    let (a, u) = sender.products();
    let (b, v) = receiver.products();
    Ok(Triples {
        c: close(&a, &b, &u, &v),
        a,
        b,
    })
}

fn half(n: usize) -> Result<usize, Error> {
    crate::error::length("correlations for triples", n, n / 2 * 2)?;
    Ok(n / 2)
}

fn sum(x: &[u64], y: &[u64]) -> Vec<u64> {
    x.iter().zip(y).map(|(x, y)| x ^ y).collect()
}

/// `a b + u + w`.
fn close(a: &[u64], b: &[u64], u: &[u64], w: &[u64]) -> Vec<u64> {
    a.iter()
        .zip(b)
        .zip(u.iter().zip(w))
        .map(|((a, b), (u, w))| a & b ^ u ^ w)
        .collect()
}
