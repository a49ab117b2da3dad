//! What can go wrong, each with what came and what was wanted.

use std::fmt;

#[derive(Debug)]
pub enum Error {
    /// A peer's message, or an argument, has another length than its place in the protocol allows.
    Length {
        what: &'static str,
        got: usize,
        want: usize,
    },
    /// Bytes of a peer are not the canonical encoding of a point other than the identity.
    NotAPoint { position: usize },
    /// A message of more or fewer bits than a word holds.
    Width { got: u32, from: u32, to: u32 },
    /// A choice that is not among the messages.
    Choice {
        position: usize,
        got: u64,
        below: u64,
    },
    /// Sizes that do not fit together.
    Shape(String),
    /// The best known attack on these sizes is too cheap.
    WeakParameters { bits: f64, want: f64 },
    /// More correlations were asked for than there are.
    TooFew { got: usize, want: usize },
    /// An extension that is not in the stock, by name: it was used or given up, or never made here; or that is there already.
    AlreadyUsed(String),
    /// Some of these correlations, those of the interval `before`, were taken from the pool before.
    Reused {
        start: u64,
        n: usize,
        before: (u64, u64),
    },
    /// The pool has not made these correlations yet.
    Missing { start: u64, n: usize, made: u64 },
    /// A step of a side of a pool that is not its next.
    OutOfTurn {
        call: &'static str,
        stage: &'static str,
    },
    /// An extension's message that is not the next one: the numbers of its first correlation, and of the wanted one.
    OutOfOrder { got: u64, want: u64 },
    /// A session has given all correlations that it may.
    Exhausted { made: u64 },
    /// A stock's file is not one, or was cut.
    NotAStock(String),
    /// Somebody else has this stock open.
    StockInUse(String),
    /// Reading or writing a stock failed.
    File(String, std::io::Error),
    /// The operating system has no randomness to give.
    NoRandomness,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Length { what, got, want } => {
                write!(f, "{what}: got {got} bytes or elements; want {want}")
            }
            Error::NotAPoint { position } => write!(
                f,
                "base transfer {position}: the peer's bytes are not a canonical ristretto255 point other than the identity"
            ),
            Error::Width { got, from, to } => {
                write!(f, "width of a message: got {got} bits; want {from} to {to}")
            }
            Error::Choice { position, got, below } => {
                write!(f, "choice {position}: got {got}; want less than {below}")
            }
            Error::Shape(why) => write!(f, "{why}"),
            Error::WeakParameters { bits, want } => write!(
                f,
                "these sizes are broken in about 2^{bits:.1} operations; want at least 2^{want}: take more noise or a longer secret"
            ),
            Error::TooFew { got, want } => {
                write!(f, "correlations: got {got}; want {want}: extend first")
            }
            Error::AlreadyUsed(id) => write!(
                f,
                "extension {id} is not in the stock or was put there before: it was used or given up, and none is handed out twice"
            ),
            Error::Reused { start, n, before: (from, to) } => write!(
                f,
                "correlations {start} to {}: those from {from} to {to} were taken before, and none is handed out twice",
                start + *n as u64
            ),
            Error::Missing { start, n, made } => write!(
                f,
                "{n} correlations from number {start} on: {made} are made so far: extend first"
            ),
            Error::OutOfTurn { call, stage } => {
                write!(f, "{call} is not the next step of {stage}")
            }
            Error::OutOfOrder { got, want } => write!(
                f,
                "an extension that begins with correlation {got}: want the one that begins with {want}"
            ),
            Error::Exhausted { made } => write!(
                f,
                "{made} correlations were made: a session gives no more than 2^48, begin another one"
            ),
            Error::NotAStock(why) => write!(f, "not a stock of products: {why}"),
            Error::StockInUse(path) => write!(f, "{path} is in use"),
            Error::File(path, error) => write!(f, "{path}: {error}"),
            Error::NoRandomness => write!(f, "the operating system has no randomness to give"),
        }
    }
}

impl std::error::Error for Error {}

/// `Err` unless `got == want`.
pub(crate) fn length(what: &'static str, got: usize, want: usize) -> Result<(), Error> {
    if got == want {
        Ok(())
    } else {
        Err(Error::Length { what, got, want })
    }
}
