//! The transport between agents: one TCP port each, TLS 1.3 with both sides pinned, and every session of a pair of
//! agents multiplexed over one connection that resumes after a cut without losing or repeating a message.
//!
//! * [`tls`]: who may connect. Certificates are pinned by SHA-256 of their public key.
//! * [`record`]: the TLS 1.3 record layer after the handshake, one half for each direction.
//! * [`frame`]: what the plaintext of the connection looks like.
//! * [`peer`]: the sending half: numbering, retention, fair order, back-pressure.
//! * [`reader`]: the receiving half: parsing, assembling, acknowledging.
//! * [`inbox`]: messages by session, until somebody takes them.
//! * [`link`]: the threads that hold it together.
//!
//! No async runtime: a pair of agents is one connection, so a thread for it is cheaper than a scheduler, and the
//! caller of `send` encrypts and writes on its own thread whenever nobody else is writing.

pub mod buffer;
pub mod config;
pub mod events;
pub mod frame;
pub mod inbox;
pub mod link;
pub mod peer;
pub mod reader;
pub mod record;
mod sync;
pub mod tls;

pub use buffer::Buffer;
pub use config::Config;
pub use events::Event;
pub use inbox::{Inbox, SessionId, Taken};
pub use link::{Error, Link};
pub use peer::StatsSnapshot;
