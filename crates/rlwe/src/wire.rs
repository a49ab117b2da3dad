//! Bytes: a header that names what they are for, and numbers of any width without gaps.

use crate::backend::kernels;
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

/// With its first bit at any place of a byte, a number of so many bits lies in eight bytes.
const SHORT: u32 = 57;

/// Where the bytes of eight numbers of `bits` bits, 8 to [`SHORT`], are when they are packed, and when each has a word.
struct Places {
    /// Of each number the first bit in its first byte.
    shifts: [u64; 8],
    /// For each byte of the words the packed one.
    words: [u8; 64],
    /// For each packed byte that of the words of numbers 0, 2, 4 and 6; of the others. Two of one kind share no byte.
    packed: [[u8; 64]; 2],
}

const NOWHERE: u8 = 0xff;

impl Places {
    fn new(bits: u32) -> Places {
        let mut places = Places {
            shifts: std::array::from_fn(|i| i as u64 * u64::from(bits) % 8),
            words: [NOWHERE; 64],
            packed: [[NOWHERE; 64]; 2],
        };
        for i in 0..8 {
            let (first, last) = (i * bits as usize / 8, ((i + 1) * bits as usize - 1) / 8);
            for at in first..=last {
                let word = 8 * i + at - first;
                places.words[word] = at as u8;
                places.packed[i % 2][at] = word as u8;
            }
        }
        places
    }
}

kernels! {
    /// Groups of eight from groups of `bits` bytes, each with what follows, 64 bytes in all, at hand.
    fn unpack_groups<L>(bytes: &[u8], bits: u32, out: &mut [[u64; 8]]) {
        let places = Places::new(bits);
        let (shifts, mask) = (L::load(&places.shifts), L::splat(u64::MAX >> (64 - bits)));
        for (i, out) in out.iter_mut().enumerate() {
            let (words, _) = bytes[i * bits as usize..][..64].as_chunks::<8>();
            let words: [u64; 8] = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
            L::load(&words).bytes(&places.words).shift_right_each(shifts).and(mask).store(out);
        }
    }

    /// Also writes zeros to the 64 - `bits` bytes that follow the last.
    fn pack_groups<L>(numbers: &[[u64; 8]], bits: u32, out: &mut [u8]) {
        let places = Places::new(bits);
        let shifts = L::load(&places.shifts);
        let mut words = [0; 8];
        for (i, x) in numbers.iter().enumerate() {
            let x = L::load(x).shift_left_each(shifts);
            x.bytes(&places.packed[0]).or(x.bytes(&places.packed[1])).store(&mut words);
            let (out, _) = out[i * bits as usize..][..64].as_chunks_mut::<8>();
            out.iter_mut().zip(words).for_each(|(out, word)| *out = word.to_le_bytes());
        }
    }
}

/// How many groups of eight of `n` numbers can be read or written 64 bytes at a time.
fn groups(n: usize, bits: u32) -> usize {
    match bits {
        8..=SHORT => (packed(n, bits) + bits as usize).saturating_sub(64) / bits as usize,
        _ => 0,
    }
}

/// As [`pack`], of numbers in words.
pub(crate) fn pack_words(numbers: &[u64], bits: u32, out: &mut [u8]) {
    let whole = groups(numbers.len(), bits);
    pack_groups(&numbers.as_chunks::<8>().0[..whole], bits, out);
    let rest = numbers[8 * whole..].iter().map(|&x| x.into());
    pack(rest, bits, &mut out[whole * bits as usize..]);
}

/// As [`unpack`], to words.
pub(crate) fn unpack_words(bytes: &[u8], bits: u32, out: &mut [u64]) -> Result<(), Error> {
    assert_eq!(bytes.len(), packed(out.len(), bits));
    let whole = groups(out.len(), bits);
    unpack_groups(bytes, bits, &mut out.as_chunks_mut::<8>().0[..whole]);
    let rest = &mut out[8 * whole..];
    unpack(
        &bytes[whole * bits as usize..],
        bits,
        rest.len(),
        |at, x| rest[at] = x as u64,
    )
}

pub(crate) fn bits(p: u64) -> u32 {
    64 - p.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::with_each;

    #[test]
    fn numbers_of_all_widths_come_back() {
        for bits in 1..=128u32 {
            for n in [0, 1, 2, 7, 8, 65, 200] {
                let mask = u128::MAX >> (128 - bits);
                let numbers: Vec<u128> = (0..n as u128)
                    .map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) & mask)
                    .collect();
                let mut bytes = vec![0; packed(n, bits)];
                pack(numbers.iter().copied(), bits, &mut bytes);
                let mut back = vec![0; n];
                assert_eq!(unpack(&bytes, bits, n, |i, x| back[i] = x), Ok(()));
                assert_eq!(back, numbers, "{bits} {n}");
                if bits <= 64 {
                    let words: Vec<u64> = numbers.iter().map(|&x| x as u64).collect();
                    with_each(|backend| {
                        let (mut same, mut back) = (vec![7; packed(n, bits)], vec![7; n]);
                        pack_words(&words, bits, &mut same);
                        assert_eq!(same, bytes, "{backend:?} {bits} {n}");
                        assert_eq!(unpack_words(&bytes, bits, &mut back), Ok(()));
                        assert_eq!(back, words, "{backend:?} {bits} {n}");
                    });
                }
            }
        }
    }

    #[test]
    fn bits_beyond_the_last_number_are_refused() {
        assert_eq!(unpack(&[0xff, 0x7f], 5, 3, |_, _| ()), Ok(()));
        assert_eq!(unpack(&[0xff, 0x80], 5, 3, |_, _| ()), Err(Error::Padding));
    }
}
