//! Elementwise arithmetic. Slices of one call have equal lengths; the caller checks.

use crate::element::{Ring, Z128};
use crate::multiversion;
use crate::parallel::{parts, LIGHT};

/// An operation on two elements.
pub trait Binary: Sync + 'static {
    fn apply<T: Ring>(x: T, y: T) -> T;
}

macro_rules! binary {
    ($($name:ident $method:ident),*) => {$(
        pub struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn apply<T: Ring>(x: T, y: T) -> T {
                x.$method(y)
            }
        }
    )*};
}
binary!(Add plus, Sub minus, Mul times, And and, Or or, Xor xor);

/// `y - x`: what `Sub` becomes when its operands change places.
pub struct SubFrom;
impl Binary for SubFrom {
    #[inline(always)]
    fn apply<T: Ring>(x: T, y: T) -> T {
        y.minus(x)
    }
}

/// An operation on one element; `n` is the distance of shifts.
pub trait Unary: Sync + 'static {
    fn apply<T: Ring>(x: T, n: u32) -> T;
}

macro_rules! unary {
    ($($name:ident |$x:ident, $n:ident| $value:expr;)*) => {$(
        pub struct $name;
        impl Unary for $name {
            #[inline(always)]
            fn apply<T: Ring>($x: T, $n: u32) -> T {
                $value
            }
        }
    )*};
}
unary! {
    Neg |x, _n| x.negated();
    Invert |x, _n| x.inverted();
    Left |x, n| x.left(n);
    Right |x, n| x.right(n);
    RightSigned |x, n| x.right_signed(n);
}

multiversion! {
    fn two<T: Ring, O: Binary>(out: &mut [T], x: &[T], y: &[T]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = O::apply(*x, *y);
        }
    }

    fn two_scalar<T: Ring, O: Binary>(out: &mut [T], x: &[T], y: T) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = O::apply(*x, y);
        }
    }

    fn two_assign<T: Ring, O: Binary>(x: &mut [T], y: &[T]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = O::apply(*x, *y);
        }
    }

    fn two_assign_scalar<T: Ring, O: Binary>(x: &mut [T], y: T) {
        for x in x.iter_mut() {
            *x = O::apply(*x, y);
        }
    }

    fn sum_of_multiples<T: Ring>(out: &mut [T], x: &[T], a: T, y: &[T], b: T) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x.times(a).plus(y.times(b));
        }
    }

    fn one<T: Ring, O: Unary>(out: &mut [T], x: &[T], n: u32) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = O::apply(*x, n);
        }
    }
}

/// `out = x op y`.
pub fn binary<T: Ring, O: Binary>(out: &mut [T], x: &[T], y: &[T]) {
    parts(out, 1, LIGHT, |i, out| {
        two::<T, O>(out, &x[i..i + out.len()], &y[i..i + out.len()])
    });
}

/// `out = a x + b y`.
pub fn weighted<T: Ring>(out: &mut [T], (x, a): (&[T], T), (y, b): (&[T], T)) {
    parts(out, 1, LIGHT, |i, out| {
        let range = i..i + out.len();
        sum_of_multiples::<T>(out, &x[range.clone()], a, &y[range], b)
    });
}

/// `out = x op y` with one `y` for all.
pub fn binary_scalar<T: Ring, O: Binary>(out: &mut [T], x: &[T], y: T) {
    parts(out, 1, LIGHT, |i, out| {
        two_scalar::<T, O>(out, &x[i..i + out.len()], y)
    });
}

/// `x = x op y`.
pub fn assign<T: Ring, O: Binary>(x: &mut [T], y: &[T]) {
    parts(x, 1, LIGHT, |i, x| {
        two_assign::<T, O>(x, &y[i..i + x.len()])
    });
}

/// `x = x op y` with one `y` for all.
pub fn assign_scalar<T: Ring, O: Binary>(x: &mut [T], y: T) {
    parts(x, 1, LIGHT, |_, x| two_assign_scalar::<T, O>(x, y));
}

/// `out = op(x)`; `n < BITS`.
pub fn unary<T: Ring, O: Unary>(out: &mut [T], x: &[T], n: u32) {
    parts(out, 1, LIGHT, |i, out| {
        one::<T, O>(out, &x[i..i + out.len()], n)
    });
}

/// A word of memory that [`cast`] reads or writes: the elements of the rings, and small integers.
pub trait Word: Copy + Send + Sync + 'static {
    /// Zero-extended.
    fn zero_extended(self) -> u128;
    /// Extended by copies of the top bit.
    fn sign_extended(self) -> u128;
    fn truncated(value: u128) -> Self;
}

macro_rules! word {
    ($($unsigned:ty, $signed:ty;)*) => {$(
        impl Word for $unsigned {
            #[inline(always)]
            fn zero_extended(self) -> u128 {
                self as u128
            }
            #[inline(always)]
            fn sign_extended(self) -> u128 {
                self as $signed as i128 as u128
            }
            #[inline(always)]
            fn truncated(value: u128) -> Self {
                value as $unsigned
            }
        }
    )*};
}
word! {
    u8, i8;
    u16, i16;
    u32, i32;
    u64, i64;
}

impl Word for Z128 {
    #[inline(always)]
    fn zero_extended(self) -> u128 {
        self.value()
    }
    #[inline(always)]
    fn sign_extended(self) -> u128 {
        self.value()
    }
    #[inline(always)]
    fn truncated(value: u128) -> Self {
        Z128::new(value)
    }
}

/// One bit in a byte: the value mod 2, as NumPy keeps booleans.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Bit(u8);

impl Word for Bit {
    #[inline(always)]
    fn zero_extended(self) -> u128 {
        (self.0 & 1) as u128
    }
    #[inline(always)]
    fn sign_extended(self) -> u128 {
        self.zero_extended()
    }
    #[inline(always)]
    fn truncated(value: u128) -> Self {
        Bit(value as u8 & 1)
    }
}

multiversion! {
    fn cast_part<S: Word, D: Word>(out: &mut [D], x: &[S], signed: bool) {
        if signed {
            for (out, x) in out.iter_mut().zip(x) {
                *out = D::truncated(x.sign_extended());
            }
        } else {
            for (out, x) in out.iter_mut().zip(x) {
                *out = D::truncated(x.zero_extended());
            }
        }
    }
}

/// `x` mod 2^k, or widened: by copies of the top bit if `signed`, else by zeros.
pub fn cast<S: Word, D: Word>(out: &mut [D], x: &[S], signed: bool) {
    parts(out, 1, LIGHT, |i, out| {
        cast_part(out, &x[i..i + out.len()], signed)
    });
}
