//! Numbers of a fixed count of bits, one after the other, lowest bit first; the last byte is filled with zeros.

use crate::error::Error;

/// Bytes that `count` numbers of `bits` bits take.
pub fn bytes(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Appends to a buffer.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    held: u128,
    count: u32,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer {
            out,
            held: 0,
            count: 0,
        }
    }

    /// The low `bits` (up to 64) of a word whose other bits are zero.
    #[inline]
    pub fn word(&mut self, x: u64, bits: u32) {
        self.held |= (x as u128) << self.count;
        self.count += bits;
        if self.count >= 64 {
            self.out
                .extend_from_slice(&(self.held as u64).to_le_bytes());
            self.held >>= 64;
            self.count -= 64;
        }
    }

    /// The top `bits` of a fraction, its words lowest first.
    #[inline]
    pub fn top(&mut self, fraction: &[u64], bits: u32) {
        let all = fraction.len() as u32 * 64;
        let mut at = all - bits;
        while at < all {
            let width = 64 - at % 64;
            self.word(fraction[(at / 64) as usize] >> (at % 64), width);
            at += width;
        }
    }

    /// Writes what is held, up to a whole byte.
    pub fn finish(self) {
        let left = self.count.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&(self.held as u64).to_le_bytes()[..left]);
    }
}

/// Reads what [`Writer`] wrote; the caller checked that there are bytes enough.
pub struct Reader<'a> {
    bytes: &'a [u8],
    held: u128,
    count: u32,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            bytes,
            held: 0,
            count: 0,
        }
    }

    #[inline]
    pub fn word(&mut self, bits: u32) -> u64 {
        if self.count < bits {
            let n = self.bytes.len().min(8);
            let (now, later) = self.bytes.split_at(n);
            let mut word = [0; 8];
            word[..n].copy_from_slice(now);
            self.bytes = later;
            self.held |= (u64::from_le_bytes(word) as u128) << self.count;
            self.count += 8 * n as u32;
        }
        let x = (self.held & ((1u128 << bits) - 1)) as u64;
        self.held >>= bits;
        self.count -= bits;
        x
    }

    /// A number of up to `64 L` bits, lowest word first.
    #[inline]
    pub fn long<const L: usize>(&mut self, bits: u32) -> [u64; L] {
        std::array::from_fn(|i| {
            let width = bits.saturating_sub(64 * i as u32).min(64);
            if width == 0 {
                0
            } else {
                self.word(width)
            }
        })
    }

    /// Nothing but zeros may be left.
    pub fn finish(self) -> Result<(), Error> {
        if self.held != 0 || self.bytes.iter().any(|b| *b != 0) {
            return Err(Error::Padding);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for bits in [1, 7, 20, 46, 50, 63, 64] {
            let words: Vec<u64> = (0..37u64)
                .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits))
                .collect();
            let mut out = Vec::new();
            let mut w = Writer::new(&mut out);
            words.iter().for_each(|x| w.word(*x, bits));
            w.finish();
            assert_eq!(out.len(), bytes(37, bits));
            let mut r = Reader::new(&out);
            assert!(words.iter().all(|x| r.word(bits) == *x));
            r.finish().unwrap();
        }
    }

    #[test]
    fn tops_of_fractions_are_numbers() {
        for bits in [1u32, 63, 64, 65, 104, 111, 128, 150, 192] {
            let fraction = [
                0x0123_4567_89ab_cdef,
                0xfedc_ba98_7654_3210,
                0xdead_beef_0bad_cafe,
            ];
            let mut out = Vec::new();
            let mut w = Writer::new(&mut out);
            (0..5).for_each(|_| w.top(&fraction, bits));
            w.finish();
            assert_eq!(out.len(), bytes(5, bits));
            let mut r = Reader::new(&out);
            for _ in 0..5 {
                let got: [u64; 3] = r.long(bits);
                for bit in 0..bits as usize {
                    let from = 192 - bits as usize + bit;
                    assert_eq!(
                        got[bit / 64] >> (bit % 64) & 1,
                        fraction[from / 64] >> (from % 64) & 1
                    );
                }
            }
            r.finish().unwrap();
        }
    }

    #[test]
    fn padding_is_zero() {
        let mut r = Reader::new(&[0b1000_0001]);
        assert_eq!(r.word(7), 1);
        assert_eq!(r.finish(), Err(Error::Padding));
    }
}
