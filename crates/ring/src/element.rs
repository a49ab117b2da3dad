//! The elements of the rings Z_2^32, Z_2^64 and Z_2^128.

use std::fmt::Debug;

/// An element of Z_2^128 as it lies in arrays: low word first, aligned as a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Z128 {
    pub lo: u64,
    pub hi: u64,
}

impl Z128 {
    #[inline(always)]
    pub fn new(value: u128) -> Z128 {
        Z128 {
            lo: value as u64,
            hi: (value >> 64) as u64,
        }
    }

    #[inline(always)]
    pub fn value(self) -> u128 {
        self.lo as u128 | (self.hi as u128) << 64
    }
}

/// An element of Z_2^k. Any `BITS / 8` bytes are a valid element.
pub trait Ring: Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    const BITS: u32;
    const BYTES: usize = Self::BITS as usize / 8;

    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// For n < BITS, here and below.
    fn left(self, n: u32) -> Self;
    /// Zeros come in at the top.
    fn right(self, n: u32) -> Self;
    /// Copies of the top bit come in.
    fn right_signed(self, n: u32) -> Self;
    fn to_u128(self) -> u128;
    /// The value mod 2^k.
    fn from_u128(value: u128) -> Self;
    /// The value mod 2^64.
    fn to_u64(self) -> u64;
    fn from_u64(value: u64) -> Self;

    #[inline(always)]
    fn negated(self) -> Self {
        Self::default().minus(self)
    }

    #[inline(always)]
    fn inverted(self) -> Self {
        Self::default().minus(self).minus(Self::from_u64(1))
    }
}

macro_rules! native {
    ($unsigned:ty, $signed:ty) => {
        impl Ring for $unsigned {
            const BITS: u32 = <$unsigned>::BITS;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn left(self, n: u32) -> Self {
                self << n
            }
            #[inline(always)]
            fn right(self, n: u32) -> Self {
                self >> n
            }
            #[inline(always)]
            fn right_signed(self, n: u32) -> Self {
                (self as $signed >> n) as $unsigned
            }
            #[inline(always)]
            fn to_u128(self) -> u128 {
                self as u128
            }
            #[inline(always)]
            fn from_u128(value: u128) -> Self {
                value as $unsigned
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as $unsigned
            }
        }
    };
}
native!(u32, i32);
native!(u64, i64);

impl Ring for Z128 {
    const BITS: u32 = 128;
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Z128::new(self.value().wrapping_add(other.value()))
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Z128::new(self.value().wrapping_sub(other.value()))
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Z128::new(self.value().wrapping_mul(other.value()))
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Z128 {
            lo: self.lo & other.lo,
            hi: self.hi & other.hi,
        }
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Z128 {
            lo: self.lo | other.lo,
            hi: self.hi | other.hi,
        }
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Z128 {
            lo: self.lo ^ other.lo,
            hi: self.hi ^ other.hi,
        }
    }
    #[inline(always)]
    fn left(self, n: u32) -> Self {
        Z128::new(self.value() << n)
    }
    #[inline(always)]
    fn right(self, n: u32) -> Self {
        Z128::new(self.value() >> n)
    }
    #[inline(always)]
    fn right_signed(self, n: u32) -> Self {
        Z128::new((self.value() as i128 >> n) as u128)
    }
    #[inline(always)]
    fn to_u128(self) -> u128 {
        self.value()
    }
    #[inline(always)]
    fn from_u128(value: u128) -> Self {
        Z128::new(value)
    }
    #[inline(always)]
    fn to_u64(self) -> u64 {
        self.lo
    }
    #[inline(always)]
    fn from_u64(value: u64) -> Self {
        Z128 { lo: value, hi: 0 }
    }
}
