//! Bindings of `argot-link`: errors become those of `argot.errors`, waiting releases the GIL and hears Ctrl-C.

use std::collections::HashSet;
use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::errors::error;
use crate::view::View;
use argot_link::tls::Fingerprint;
use argot_link::{Buffer, Config, Error};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMemoryView, PyString};

/// Up to here a message becomes `bytes`; above, a view of the buffer in which it arrived.
const COPIED: usize = 64 * 1024;
/// Below this, copying from the caller's buffers is not worth releasing the GIL for.
const WITH_GIL: usize = 64 * 1024;
/// How often a waiting call looks for signals.
const SIGNALS: Duration = Duration::from_millis(100);

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Link>()?;
    m.add_class::<Inbox>()
}

fn convert(py: Python<'_>, failure: Error) -> PyErr {
    let what = failure.to_string();
    match failure {
        Error::Lost { peer, .. } => error(py, "PartyLost", &what, &[("party", &peer)]),
        Error::UnknownPeer(_) => error(
            py,
            "PeerRejected",
            &what,
            &[("todo", "add_peer() it first")],
        ),
        Error::TooLong { .. } => error(
            py,
            "FrameError",
            &what,
            &[("todo", "send it in several messages")],
        ),
        Error::Io(failure) => PyOSError::new_err(failure.to_string()),
        Error::Timeout | Error::Closed => error(py, "LinkError", &what, &[]),
        Error::Invalid(_) => PyValueError::new_err(what),
    }
}

fn session_id(bytes: &[u8]) -> PyResult<[u8; 16]> {
    let wrong =
        |_| PyValueError::new_err(format!("a session id has 16 bytes, not {}", bytes.len()));
    bytes.try_into().map_err(wrong)
}

fn seconds(time: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(time).map_err(|e| PyValueError::new_err(format!("{time} s: {e}")))
}

/// When a wait ends; `None`: never, also for times beyond the clock.
fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    match timeout {
        Some(time) if time < 1e9 => Ok(Instant::now().checked_add(seconds(time)?)),
        _ => Ok(None),
    }
}

/// Bytes of a Python object for as long as this lives.
enum Part<'py> {
    Bytes(Bound<'py, PyBytes>),
    View(View),
}

impl<'py> Part<'py> {
    fn of(object: Bound<'py, PyAny>) -> PyResult<Part<'py>> {
        match object.cast_into::<PyBytes>() {
            Ok(bytes) => Ok(Part::Bytes(bytes)),
            Err(other) => View::of(&other.into_inner()).map(Part::View),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Part::Bytes(bytes) => bytes.as_bytes(),
            Part::View(view) => view.as_slice(),
        }
    }
}

/// One agent's end of all its connections: TLS 1.3, both sides pinned by key, all sessions of a pair on one connection.
#[pyclass(frozen, module = "argot._core.link")]
struct Link {
    link: Arc<argot_link::Link>,
}

#[pymethods]
impl Link {
    /// Link(name, cert_der, key_der, listen="127.0.0.1:0" | None, **limits): certificate and PKCS#8 key in DER; times in
    /// seconds, sizes in bytes. Raises AddressInUse, ValueError.
    #[new]
    #[pyo3(signature = (name, cert_der, key_der, listen=None, *, keep_alive=None, lost_after=None, handshake=None,
                        max_pending=None, unacknowledged=None, window=None, max_message=None, unread_bytes=None, unopened_bytes=None,
                        unopened_sessions=None, unopened_age=None, rekey_records=None, linger=None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments of the Python constructor
    fn new(
        py: Python<'_>,
        name: &str,
        cert_der: &[u8],
        key_der: &[u8],
        listen: Option<&str>,
        keep_alive: Option<f64>,
        lost_after: Option<f64>,
        handshake: Option<f64>,
        max_pending: Option<usize>,
        unacknowledged: Option<usize>,
        window: Option<u64>,
        max_message: Option<u64>,
        unread_bytes: Option<u64>,
        unopened_bytes: Option<u64>,
        unopened_sessions: Option<u64>,
        unopened_age: Option<f64>,
        rekey_records: Option<u64>,
        linger: Option<f64>,
    ) -> PyResult<Link> {
        let default = Config::default();
        let time = |given: Option<f64>, default: Duration| given.map_or(Ok(default), seconds);
        let config = Config {
            keepalive: time(keep_alive, default.keepalive)?,
            resume: time(lost_after, default.resume)?,
            handshake: time(handshake, default.handshake)?,
            max_pending: max_pending.unwrap_or(default.max_pending),
            unacknowledged: unacknowledged.unwrap_or(default.unacknowledged),
            window: window.unwrap_or(default.window),
            max_message: max_message.unwrap_or(default.max_message),
            unread_bytes: unread_bytes.unwrap_or(default.unread_bytes),
            unopened_bytes: unopened_bytes.unwrap_or(default.unopened_bytes),
            unopened_sessions: unopened_sessions.unwrap_or(default.unopened_sessions),
            unopened_age: time(unopened_age, default.unopened_age)?,
            rekey_records: rekey_records.unwrap_or(default.rekey_records),
            linger: time(linger, default.linger)?,
        };
        let made = py.detach(|| argot_link::Link::new(name, cert_der, key_der, listen, config));
        let link = made.map_err(|failure| match failure {
            Error::Io(cause) if cause.kind() == std::io::ErrorKind::AddrInUse => {
                let what = format!("{} is in use", listen.unwrap_or("the address"));
                error(
                    py,
                    "AddressInUse",
                    &what,
                    &[(
                        "todo",
                        "stop the other program, or choose another port (0: any)",
                    )],
                )
            }
            Error::Io(cause) => {
                let what = format!(
                    "cannot listen at {}: {cause}",
                    listen.unwrap_or("the address")
                );
                error(
                    py,
                    "LinkError",
                    &what,
                    &[("wanted", "an address of this machine, as host:port")],
                )
            }
            other => convert(py, other),
        })?;
        Ok(Link {
            link: Arc::new(link),
        })
    }

    #[getter]
    fn name(&self) -> &str {
        self.link.name()
    }

    /// "host:port" where this link listens; None when it only dials.
    #[getter]
    fn address(&self) -> Option<String> {
        self.link.address().map(|address| address.to_string())
    }

    /// SHA-256 of this agent's own public key (SPKI).
    #[getter]
    fn spki_sha256<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.link.fingerprint().0)
    }

    #[getter]
    fn peers(&self) -> Vec<String> {
        self.link.peers()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.link.is_closed()
    }

    /// Pin a peer by the SHA-256 of its public key. Without an address the peer has to dial.
    #[pyo3(signature = (name, spki_sha256, address=None))]
    fn add_peer(
        &self,
        py: Python<'_>,
        name: &str,
        spki_sha256: &[u8],
        address: Option<&str>,
    ) -> PyResult<()> {
        let wrong =
            |_| PyValueError::new_err(format!("a SHA-256 has 32 bytes, not {}", spki_sha256.len()));
        let fingerprint = Fingerprint(spki_sha256.try_into().map_err(wrong)?);
        py.detach(|| self.link.add_peer(name, fingerprint, address))
            .map_err(|e| convert(py, e))
    }

    /// Unpin a peer; every session that concerns it is told that it is lost.
    fn remove_peer(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        py.detach(|| self.link.remove_peer(name))
            .map_err(|e| convert(py, e))
    }

    /// Send one message: `parts` (C-contiguous buffers) one after the other, copied before this returns. Blocks, without
    /// the GIL, while too much is under way, at most `timeout` seconds. Raises PartyLost, PeerRejected (no such peer),
    /// FrameError (longer than the peer takes), LinkError (timeout, closed); a message is sent whole or not at all.
    #[pyo3(signature = (peer, session, parts, timeout=None))]
    fn send(
        &self,
        py: Python<'_>,
        peer: &str,
        session: &[u8],
        parts: Vec<Bound<'_, PyAny>>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let session = session_id(session)?;
        let parts = parts
            .into_iter()
            .map(Part::of)
            .collect::<PyResult<Vec<_>>>()?;
        let slices: Vec<&[u8]> = parts.iter().map(Part::as_slice).collect();
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let end = deadline(timeout)?;
        let mut interrupted = None;
        let mut go_on = |begun: bool| {
            interrupted = Python::attach(|py| py.check_signals()).err();
            interrupted.is_none() && (begun || end.is_none_or(|end| Instant::now() < end))
        };
        let sent = if total < WITH_GIL {
            // Nothing of this waits unless the peer is behind, and then `try_send` leaves it to the other branch.
            match self.link.try_send(peer, session, &slices) {
                Ok(true) => return Ok(()),
                Ok(false) => py.detach(|| self.link.send(peer, session, &slices, &mut go_on)),
                Err(failure) => Err(failure),
            }
        } else {
            py.detach(|| self.link.send(peer, session, &slices, &mut go_on))
        };
        match (interrupted, sent) {
            (Some(signal), Err(Error::Timeout)) => Err(signal),
            (_, sent) => sent.map_err(|failure| convert(py, failure)),
        }
    }

    /// True when a send to this peer in this session would not wait for the peer to take what was sent before; also for a
    /// peer that is lost, to which `send` raises.
    fn room(&self, py: Python<'_>, peer: &str, session: &[u8]) -> PyResult<bool> {
        self.link
            .room(peer, session_id(session)?)
            .map_err(|failure| convert(py, failure))
    }

    /// Open a session; messages that came earlier are kept for it. With `peers`, only these are heard, and one that is lost
    /// stays lost for this session; without, every pinned peer is heard, also a restarted one.
    #[pyo3(signature = (session, peers=None))]
    fn open(
        &self,
        py: Python<'_>,
        session: &[u8],
        peers: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Inbox> {
        let members = peers.map(|names| names.try_iter()?.map(|name| name?.extract()).collect());
        let members: Option<HashSet<String>> = members.transpose()?;
        let opened = self.link.open(session_id(session)?, members);
        let inbox = opened.map_err(|failure| convert(py, failure))?;
        Ok(Inbox {
            link: self.link.clone(),
            inbox,
        })
    }

    /// Events since the last call as (kind, peer, detail); kind is up, down, resumed, lost or rejected. Waits up to `timeout`
    /// seconds (None: for ever) for the first.
    #[pyo3(signature = (timeout=None))]
    fn watch(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
    ) -> PyResult<Vec<(&'static str, String, String)>> {
        let events = patiently(py, timeout, |time| {
            let events = self.link.watch(time);
            (!events.is_empty() || self.link.is_closed()).then_some(events)
        })?;
        Ok(events
            .unwrap_or_default()
            .into_iter()
            .map(|event| (event.kind, event.peer, event.detail))
            .collect())
    }

    /// For each peer: sent_bytes, received_bytes, sent_messages, received_messages (payload), wire_sent_bytes,
    /// wire_received_bytes (TLS records), packets (writes of this side), reconnects.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, stats) in self.link.stats() {
            let one = PyDict::new(py);
            one.set_item("sent_bytes", stats.sent_bytes)?;
            one.set_item("received_bytes", stats.received_bytes)?;
            one.set_item("sent_messages", stats.sent_messages)?;
            one.set_item("received_messages", stats.received_messages)?;
            one.set_item("wire_sent_bytes", stats.wire_sent_bytes)?;
            one.set_item("wire_received_bytes", stats.wire_received_bytes)?;
            one.set_item("packets", stats.packets)?;
            one.set_item("reconnects", stats.reconnects)?;
            all.set_item(name, one)?;
        }
        Ok(all)
    }

    /// Seconds that the last keep-alive took there and back; None before the first.
    fn rtt(&self, py: Python<'_>, peer: &str) -> PyResult<Option<f64>> {
        let time = self
            .link
            .rtt(peer)
            .map_err(|failure| convert(py, failure))?;
        Ok(time.map(|time| time.as_secs_f64()))
    }

    /// "pending" (never connected), "up", "down" or "lost".
    fn state(&self, py: Python<'_>, peer: &str) -> PyResult<&'static str> {
        self.link
            .state(peer)
            .map_err(|failure| convert(py, failure))
    }

    /// Wait a moment for what was sent to arrive, tell the peers, end every thread. Waiting calls return.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.link.close());
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let address = self.address().unwrap_or_else(|| "not listening".into());
        format!(
            "Link({:?}, {address}, peers={:?})",
            self.link.name(),
            self.link.peers()
        )
    }
}

/// Who sent it, and what, as `Inbox.take` says it.
fn arrived<'py>(
    py: Python<'py>,
    (peer, body): argot_link::Taken,
) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyAny>)> {
    let data = match body {
        None => py.None().into_bound(py),
        Some(body) if body.len() <= COPIED => PyBytes::new(py, &body).into_any(),
        Some(body) => {
            let message = Bound::new(py, Message { body })?;
            PyMemoryView::from(message.as_any())?.into_any()
        }
    };
    Ok((PyString::intern(py, &peer.name), data))
}

/// The messages of one session.
#[pyclass(frozen, module = "argot._core.link")]
struct Inbox {
    link: Arc<argot_link::Link>,
    inbox: Arc<argot_link::Inbox>,
}

#[pymethods]
impl Inbox {
    /// All messages that are there as (peer, data), in the order of arrival; waits up to `timeout` seconds (None: for ever)
    /// for the first. Data is bytes, a read-only memoryview above 64 KiB, or None: that peer is lost. Empty on timeout, after
    /// `wake` and when the inbox or link is closed. What the peers in `held` sent stays there, and fills their
    /// windows. A lost peer is not held.
    #[pyo3(signature = (timeout=None, held=Vec::new()))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        held: Vec<String>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut items = self.inbox.take_now(&held);
        if items.is_none() {
            items = patiently(py, timeout, |time| self.inbox.take(time, &held))?;
        }
        let list = PyList::empty(py);
        for taken in items.unwrap_or_default() {
            list.append(arrived(py, taken)?)?;
        }
        Ok(list)
    }

    /// The oldest message of a peer that was held, in a list as `take` returns it; empty if there is none.
    fn take_one<'py>(&self, py: Python<'py>, peer: &str) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        if let Some(taken) = self.inbox.take_one(peer) {
            list.append(arrived(py, taken)?)?;
        }
        Ok(list)
    }

    /// Make an ongoing or the next `take` return at once, from any thread.
    fn wake(&self) {
        self.inbox.wake();
    }

    #[getter]
    fn session<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inbox.session)
    }

    /// Later messages of this session are dropped.
    fn close(&self) {
        self.link.close_inbox(&self.inbox);
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __exit__(
        &self,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) {
        self.close();
    }
}

/// A received message, seen through the buffer protocol so that it is never copied again.
#[pyclass(frozen, module = "argot._core.link")]
struct Message {
    body: Buffer,
}

#[pymethods]
impl Message {
    /// SAFETY: `view` is a Py_buffer to fill, by the protocol. The bytes neither move nor change while this object lives, and
    /// the view holds a reference to it.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes: &[u8] = &slf.get().body;
        let start = bytes.as_ptr().cast_mut().cast();
        match unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                start,
                bytes.len() as ffi::Py_ssize_t,
                1,
                flags,
            )
        } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }

    fn __len__(&self) -> usize {
        self.body.len()
    }
}

/// Wait in slices without the GIL, looking for signals in between; None on timeout.
fn patiently<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    wait: impl Fn(Duration) -> Option<T> + Sync,
) -> PyResult<Option<T>> {
    let end = deadline(timeout)?;
    loop {
        let left = end.map_or(SIGNALS, |end| end.saturating_duration_since(Instant::now()));
        if let Some(found) = py.detach(|| wait(left.min(SIGNALS))) {
            return Ok(Some(found));
        }
        py.check_signals()?;
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(None);
        }
    }
}
