//! What can go wrong: parameters that are refused, bytes that are not what was agreed.

use std::fmt;

/// Each says what came and what was wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The operating system has no randomness to give.
    NoRandomness,
    /// The moduli are too large for their degree: fewer than 128 bits of security.
    Insecure { degree: usize, bits: u32, most: u32 },
    /// A degree without an entry in the table of the standard.
    Degree { got: usize },
    /// A prime of the modulus outside 20..=50 bits, or more primes of a size than there are.
    Prime { bits: u32 },
    /// A width outside what the parameters carry.
    Width {
        what: &'static str,
        got: u32,
        most: u32,
    },
    /// An output would be wrong more often than the parameters promise: 2^got against 2^want.
    TooNoisy { got: f64, want: f64 },
    /// Operands or a plan of another shape.
    Shape {
        what: &'static str,
        got: usize,
        want: usize,
    },
    /// Bytes of another length than the plan says.
    Length {
        what: &'static str,
        got: usize,
        want: usize,
    },
    /// A message of another kind, or no message of ours.
    Kind { got: u8, want: u8 },
    /// A message made with another degree.
    OtherDegree { got: usize, want: usize },
    /// A message made with other moduli.
    OtherModuli { got: u32, want: u32 },
    /// A coefficient that is not below its modulus.
    NotReduced { modulus: u64, got: u64 },
    /// Bits after the last coefficient that are not zero.
    Padding,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoRandomness => write!(f, "the operating system has no randomness to give"),
            Error::Insecure { degree, bits, most } => write!(
                f,
                "a modulus of {bits} bits at degree {degree} is below 128-bit security; at most {most} bits"
            ),
            Error::Degree { got } => write!(f, "degree {got}; want 4096, 8192 or 16384"),
            Error::Prime { bits } => write!(f, "no further prime of {bits} bits; want 20 to 50 bits"),
            Error::Width { what, got, most } => write!(f, "{what} of {got} bits; want 1 to {most}"),
            Error::TooNoisy { got, want } => write!(
                f,
                "an output would be wrong with probability 2^{got:.1}; want at most 2^{want:.1}: larger moduli or smaller operands"
            ),
            Error::Shape { what, got, want } => write!(f, "{what} of {got} elements; want {want}"),
            Error::Length { what, got, want } => write!(f, "{what} of {got} bytes; want {want}"),
            Error::Kind { got, want } => write!(f, "a message of kind {got}; want {want}"),
            Error::OtherDegree { got, want } => write!(f, "a message of degree {got}; want {want}"),
            Error::OtherModuli { got, want } => {
                write!(f, "a message of parameters {got:08x}; want {want:08x}")
            }
            Error::NotReduced { modulus, got } => {
                write!(f, "coefficient {got}; want one below {modulus}")
            }
            Error::Padding => write!(f, "bits after the last coefficient are not zero"),
        }
    }
}

impl std::error::Error for Error {}
