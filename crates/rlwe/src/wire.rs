//! Bytes: a header that names what they are for, and numbers of any width without gaps.

use crate::chain::Chain;
use crate::error::Error;

/// What bytes are. The high half is the version of the format.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    PublicKey = 0x11,
    Request = 0x12,
    Answer = 0x13,
    ProductRequest = 0x14,
    ProductAnswer = 0x15,
    MergingKeys = 0x16,
}

/// Kind, log2 of the degree, fingerprints of the modulus and of the shapes.
pub const HEADER: usize = 24;

pub(crate) fn header(kind: Kind, chain: &Chain, shape: u64, out: &mut Vec<u8>) {
    out.extend([
        kind as u8,
        chain.degree.trailing_zeros() as u8,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    out.extend(chain.fingerprint.to_le_bytes());
    out.extend(shape.to_le_bytes());
}

/// What follows the header, which is `length` bytes, if all is as it should be.
pub(crate) fn body<'a>(
    bytes: &'a [u8],
    kind: Kind,
    chain: &Chain,
    shape: u64,
    length: usize,
) -> Result<&'a [u8], Error> {
    let want = HEADER + length;
    let Some((head, body)) = bytes.split_at_checked(HEADER) else {
        return Err(Error::Length {
            got: bytes.len(),
            want,
        });
    };
    let word = |i: usize| u64::from_le_bytes(head.as_chunks::<8>().0[i]);
    if head[0] != kind as u8 {
        return Err(Error::Kind {
            got: head[0],
            want: kind as u8,
        });
    }
    if u32::from(head[1]) != chain.degree.trailing_zeros() {
        let got = 1usize.checked_shl(head[1].into()).unwrap_or(0);
        return Err(Error::WrongDegree {
            got,
            want: chain.degree,
        });
    }
    if word(0) >> 16 != 0 {
        return Err(Error::Padding);
    }
    if word(1) != chain.fingerprint {
        return Err(Error::Modulus {
            got: word(1),
            want: chain.fingerprint,
        });
    }
    if word(2) != shape {
        return Err(Error::Shape {
            got: word(2),
            want: shape,
        });
    }
    if bytes.len() != want {
        return Err(Error::Length {
            got: bytes.len(),
            want,
        });
    }
    Ok(body)
}

/// Bytes of `n` numbers of `bits` bits.
pub(crate) fn packed(n: usize, bits: u32) -> usize {
    (n * bits as usize).div_ceil(8)
}

/// Numbers below 2^`bits`, at most 128, the first in the lowest bits of the first byte.
pub(crate) fn pack(numbers: impl Iterator<Item = u128>, bits: u32, out: &mut [u8]) {
    let (mut held, mut fill, mut at) = (0u128, 0, 0);
    let mut push = |x: u64, bits: u32| {
        held |= u128::from(x) << fill;
        fill += bits;
        if fill >= 64 {
            out[at..at + 8].copy_from_slice(&(held as u64).to_le_bytes());
            held >>= 64;
            fill -= 64;
            at += 8;
        }
    };
    for x in numbers {
        push(x as u64, bits.min(64));
        if bits > 64 {
            push((x >> 64) as u64, bits - 64);
        }
    }
    let last = (held as u64).to_le_bytes();
    let rest = out.len() - at;
    out[at..].copy_from_slice(&last[..rest]);
}

/// Calls `each` with `n` numbers and their positions; the bits after the last must be zero.
pub(crate) fn unpack(
    bytes: &[u8],
    bits: u32,
    n: usize,
    mut each: impl FnMut(usize, u128),
) -> Result<(), Error> {
    assert_eq!(bytes.len(), packed(n, bits));
    let (words, tail) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let mut words = words.iter().chain(std::iter::once(&last));
    let (mut held, mut fill) = (0u128, 0);
    let mut take = |bits: u32| {
        if fill < bits {
            let word = words.next().map_or(0, |w| u64::from_le_bytes(*w));
            held |= u128::from(word) << fill;
            fill += 64;
        }
        let x = held as u64 & (u64::MAX >> (64 - bits));
        held >>= bits;
        fill -= bits;
        x
    };
    for position in 0..n {
        let mut x = u128::from(take(bits.min(64)));
        if bits > 64 {
            x |= u128::from(take(bits - 64)) << 64;
        }
        each(position, x);
    }
    match held {
        0 => Ok(()),
        _ => Err(Error::Padding),
    }
}

pub(crate) fn bits(p: u64) -> u32 {
    64 - p.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_widths_come_back() {
        for bits in 1..=128u32 {
            for n in [0, 1, 2, 7, 8, 65] {
                let mask = u128::MAX >> (128 - bits);
                let numbers: Vec<u128> = (0..n as u128)
                    .map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) & mask)
                    .collect();
                let mut bytes = vec![0; packed(n, bits)];
                pack(numbers.iter().copied(), bits, &mut bytes);
                let mut back = vec![0; n];
                assert_eq!(unpack(&bytes, bits, n, |i, x| back[i] = x), Ok(()));
                assert_eq!(back, numbers, "{bits} {n}");
            }
        }
    }

    #[test]
    fn bits_beyond_the_last_number_are_refused() {
        assert_eq!(unpack(&[0xff, 0x7f], 5, 3, |_, _| ()), Ok(()));
        assert_eq!(unpack(&[0xff, 0x80], 5, 3, |_, _| ()), Err(Error::Padding));
    }
}
