//! What can be wrong, by name: what came and what was wanted.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The operating system has no randomness to give.
    NoRandomness,
    /// A modulus too long for its degree: below 128 bits of security.
    Insecure {
        degree: usize,
        bits: u32,
        most: u32,
    },
    /// A degree that has no entry in the table of security.
    Degree {
        got: usize,
    },
    /// No parameters within the table do what is asked, which is so many bits of modulus.
    NoParameters {
        bits: u32,
    },
    /// Primes of this many bits: too short, too long, or none left.
    Primes {
        bits: u32,
    },
    /// Answers are to be merged, which these parameters have no primes or no keys for.
    NoMerging,
    /// A width outside what it may be.
    Width {
        got: u32,
        least: u32,
        most: u32,
    },
    /// Bytes of another kind, or of another version.
    Kind {
        got: u8,
        want: u8,
    },
    /// Bytes made for polynomials of another degree.
    WrongDegree {
        got: usize,
        want: usize,
    },
    /// Bytes made modulo something else.
    Modulus {
        got: u64,
        want: u64,
    },
    /// Bytes made for other shapes or widths.
    Shape {
        got: u64,
        want: u64,
    },
    Length {
        got: usize,
        want: usize,
    },
    /// A coefficient that is not below its modulus.
    Coefficient {
        position: usize,
        got: u64,
        modulus: u64,
    },
    /// Bits after the last number that are not zero.
    Padding,
    /// Numbers given by the caller.
    Count {
        got: usize,
        want: usize,
    },
    /// A matrix without elements, or with too long an inner dimension for the noise.
    Inner {
        got: usize,
        most: usize,
    },
    /// A number given by the caller is outside the width that was agreed.
    TooWide {
        most: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::NoRandomness => write!(f, "the operating system gave no randomness"),
            Error::Insecure { degree, bits, most } => write!(
                f,
                "a modulus of {bits} bits at degree {degree} is below 128 bits of security; at most {most}"
            ),
            Error::Degree { got } => write!(f, "degree {got}; want 4096, 8192 or 16384"),
            Error::NoParameters { bits } => {
                write!(f, "no degree up to 16384 has room for a modulus of {bits} bits")
            }
            Error::Primes { bits } => write!(f, "no further primes of {bits} bits"),
            Error::NoMerging => write!(f, "answers cannot be merged with these parameters"),
            Error::Width { got, least, most } => {
                write!(f, "a width of {got} bits; want {least} to {most}")
            }
            Error::Kind { got, want } => write!(f, "bytes of kind {got:#04x}; want {want:#04x}"),
            Error::WrongDegree { got, want } => write!(f, "polynomials of degree {got}; want {want}"),
            Error::Modulus { got, want } => {
                write!(f, "modulus with the fingerprint {got:016x}; want {want:016x}")
            }
            Error::Shape { got, want } => {
                write!(f, "shapes with the fingerprint {got:016x}; want {want:016x}")
            }
            Error::Length { got, want } => write!(f, "{got} bytes; want {want}"),
            Error::Coefficient { position, got, modulus } => {
                write!(f, "coefficient {position} is {got}; want less than {modulus}")
            }
            Error::Padding => write!(f, "bits after the last number; want zeros"),
            Error::Count { got, want } => write!(f, "{got} numbers; want {want}"),
            Error::Inner { got, most } => write!(f, "a dimension of {got}; want 1 to {most}"),
            Error::TooWide { most } => write!(f, "a number of more than {most} bits"),
        }
    }
}

impl std::error::Error for Error {}
