//! What a party does once for every message and every draw: names, counters, boxes of messages.
//!
//! The rules stand in `runtime/party.py` and `runtime/scheduler.py`, whose classes are made of these two; they are here
//! because they run a few times for every round of a protocol, where Python would take longer than the arithmetic.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use zeroize::Zeroize;

use crate::errors::error;
use crate::prf::exactly;
use crate::view::View;

/// Digest of a task's path (16), counter (4), depth (4), length of the payload (8), little endian.
const HEADER: usize = 32;
/// The part of a header that names a message.
const NAME: usize = 20;
/// Payloads up to this size are copied together with their headers; longer ones stay where they are.
const SMALL: usize = 4096;
/// The first byte of an element of a path: of a child, of a draw.
const CHILD: u8 = 1;
const DRAW: u8 = 2;

type Name = [u8; NAME];

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Place>()?;
    m.add_class::<Mail>()?;
    m.add_function(wrap_pyfunction!(names, m)?)
}

/// Place(parent, n): where a task stands in the tree of spawns of a party with `n` - 1 peers; the next child of `parent`,
/// or the root.
#[pyclass(subclass, module = "argot._core.mail")]
pub struct Place {
    path: Vec<u8>,
    digest: Option<[u8; 16]>,
    /// The longest chain of messages that this task depends on.
    #[pyo3(get, set)]
    depth: u32,
    children: u32,
    sent: Vec<u32>,
    received: Vec<u32>,
    drawn: Vec<(u64, u32)>,
}

#[pymethods]
impl Place {
    #[new]
    #[pyo3(signature = (parent, n, *_rest))]
    fn new(
        parent: Option<PyRefMut<'_, Place>>,
        n: usize,
        _rest: &Bound<'_, PyTuple>,
    ) -> PyResult<Place> {
        let (mut path, mut depth) = (Vec::new(), 0);
        if let Some(mut parent) = parent {
            path.reserve_exact(parent.path.len() + 5);
            path.extend_from_slice(&parent.path);
            path.push(CHILD);
            path.extend_from_slice(&next(&mut parent.children)?.to_le_bytes());
            depth = parent.depth;
        }
        Ok(Place {
            path,
            digest: None,
            depth,
            children: 0,
            sent: vec![0; n],
            received: vec![0; n],
            drawn: Vec::new(),
        })
    }

    /// Five bytes for every spawn from the root to here.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.path)
    }

    /// The 16 bytes under which messages of this task travel.
    fn name<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.digest())
    }

    /// Messages sent to each peer so far.
    #[getter]
    fn sent(&self) -> Vec<u32> {
        self.sent.clone()
    }

    /// Messages asked for from each peer so far.
    #[getter]
    fn received(&self) -> Vec<u32> {
        self.received.clone()
    }

    /// Draws so far: (bitmap of the subset, how many) of each.
    #[getter]
    fn drawn(&self) -> Vec<(u64, u32)> {
        self.drawn.clone()
    }
}

/// What a counter says, which then says one more. A ProgramError at its end: a name must not come again.
fn next(counter: &mut u32) -> PyResult<u32> {
    let now = *counter;
    *counter = now.checked_add(1).ok_or_else(|| {
        let what =
            "a task has more than 2^32 - 1 children, messages to one peer, or draws of one subset";
        let fields = [("todo", "divide its work among tasks of its own")];
        Python::attach(|py| error(py, "ProgramError", what, &fields))
    })?;
    Ok(now)
}

impl Place {
    fn digest(&mut self) -> [u8; 16] {
        *self.digest.get_or_insert_with(|| {
            let mut digest = [0; 16];
            digest.copy_from_slice(&argot_prf::hash(&self.path)[..16]);
            digest
        })
    }

    fn message(&mut self, counter: u32) -> Name {
        let mut name = [0; NAME];
        name[..16].copy_from_slice(&self.digest());
        name[16..].copy_from_slice(&counter.to_le_bytes());
        name
    }

    /// The name of the next draw with a subset.
    fn draw(&mut self, bitmap: u64) -> PyResult<Vec<u8>> {
        let at = self.drawn.iter().position(|&(subset, _)| subset == bitmap);
        let at = at.unwrap_or_else(|| {
            self.drawn.push((bitmap, 0));
            self.drawn.len() - 1
        });
        let counter = next(&mut self.drawn[at].1)?;
        let mut name = Vec::with_capacity(self.path.len() + 13);
        name.extend_from_slice(&self.path);
        name.push(DRAW);
        name.extend_from_slice(&bitmap.to_le_bytes());
        name.extend_from_slice(&counter.to_le_bytes());
        Ok(name)
    }
}

/// A message that has arrived: its place among those that have, its packet, where its payload lies in it, and its depth.
struct Arrived {
    number: u64,
    packet: Py<PyAny>,
    offset: usize,
    size: usize,
    depth: u32,
}

impl Arrived {
    fn tuple<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (self.packet, self.offset, self.size, self.depth).into_pyobject(py)
    }
}

/// What waits to leave for one peer.
#[derive(Default)]
struct Outbox {
    /// Whole parts, and then what is copied together at the moment.
    parts: Vec<Py<PyAny>>,
    small: Vec<u8>,
    weight: usize,
}

impl Outbox {
    fn put(&mut self, py: Python<'_>, header: &[u8; HEADER], payload: Py<PyAny>, bytes: &[u8]) {
        self.small.extend_from_slice(header);
        if bytes.len() <= SMALL {
            self.small.extend_from_slice(bytes);
        } else {
            self.seal(py);
            self.parts.push(payload);
        }
        let padding = bytes.len().wrapping_neg() & 7;
        self.small.extend_from_slice(&[0; 7][..padding]);
        self.weight += HEADER + bytes.len();
    }

    fn seal(&mut self, py: Python<'_>) {
        if !self.small.is_empty() {
            self.parts.push(PyBytes::new(py, &self.small).into());
            self.small.clear();
        }
    }

    fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.seal(py);
        self.weight = 0;
        PyList::new(py, self.parts.drain(..))
    }
}

/// Mail(rank, n, keys, run_id, patience): the messages and draws of one party in one run. `keys` are those of its subsets
/// (32 bytes) by bitmap of ranks, `n` the number of parties, `patience` the seconds that a message may wait to leave.
#[pyclass(module = "argot._core.mail")]
pub struct Mail {
    rank: usize,
    run_id: [u8; 32],
    keys: Vec<(u64, [u8; 32])>,
    patience: Option<Duration>,
    /// Since when the first of the messages in all outboxes waits.
    since: Option<Instant>,
    outbox: Vec<Outbox>,
    arrived: u64,
    inbox: Vec<HashMap<Name, Arrived>>,
    /// Bytes of payload in each inbox.
    stored: Vec<usize>,
    waiting: Vec<HashMap<Name, Py<Place>>>,
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.forget();
    }
}

#[pymethods]
impl Mail {
    #[new]
    fn new(
        rank: usize,
        n: usize,
        keys: &Bound<'_, PyDict>,
        run_id: &[u8],
        patience: Option<f64>,
    ) -> PyResult<Mail> {
        let patience = patience.map(Duration::try_from_secs_f64).transpose();
        let mut mail = Mail {
            rank,
            run_id: exactly("run_id", run_id)?,
            keys: Vec::with_capacity(keys.len()),
            patience: patience.map_err(|e| PyValueError::new_err(format!("patience: {e}")))?,
            since: None,
            arrived: 0,
            outbox: (0..n).map(|_| Outbox::default()).collect(),
            inbox: (0..n).map(|_| HashMap::new()).collect(),
            stored: vec![0; n],
            waiting: (0..n).map(|_| HashMap::new()).collect(),
        };
        for (bitmap, key) in keys {
            let key: &[u8] = key.extract()?;
            mail.keys
                .push((bitmap.extract()?, exactly("a subset key", key)?));
        }
        Ok(mail)
    }

    /// Put a message of a task into the outbox of `peer`: bytes, or a view of an array that nobody changes until it has
    /// left. Returns how many bytes of payload it has, and how many bytes wait there.
    fn send(
        &mut self,
        py: Python<'_>,
        place: &Bound<'_, Place>,
        peer: isize,
        payload: Bound<'_, PyAny>,
    ) -> PyResult<(usize, usize)> {
        let peer = self.peer(py, peer, "sends to")?;
        if self.patience.is_some() && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        let mut place = place.borrow_mut();
        let counter = next(&mut place.sent[peer])?;
        let mut header = [0; HEADER];
        header[..NAME].copy_from_slice(&place.message(counter));
        header[20..24].copy_from_slice(&place.depth.saturating_add(1).to_le_bytes());
        let outbox = &mut self.outbox[peer];
        let mut put = |payload: Py<PyAny>, bytes: &[u8]| {
            header[24..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            outbox.put(py, &header, payload, bytes);
            (bytes.len(), outbox.weight)
        };
        match payload.cast::<PyBytes>() {
            Ok(bytes) => Ok(put(payload.clone().unbind(), bytes.as_bytes())),
            Err(_) => {
                let view = View::of(&payload)?;
                Ok(put(payload.clone().unbind(), view.as_slice()))
            }
        }
    }

    /// What waits for a peer, as parts of one packet.
    fn packet<'py>(&mut self, py: Python<'py>, peer: isize) -> PyResult<Bound<'py, PyList>> {
        let peer = self.peer(py, peer, "sends to")?;
        let parts = self.outbox[peer].take(py);
        if self.outbox.iter().all(|outbox| outbox.weight == 0) {
            self.since = None;
        }
        parts
    }

    /// Whether a message has waited to leave for longer than `patience`.
    fn is_overdue(&self) -> bool {
        let late = |patience| self.since.is_some_and(|since| since.elapsed() >= patience);
        self.patience.is_some_and(late)
    }

    /// {peer: parts of a packet} for all that waits.
    fn packets<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        self.since = None;
        for (peer, outbox) in self.outbox.iter_mut().enumerate() {
            if outbox.weight > 0 {
                found.set_item(peer, outbox.take(py)?)?;
            }
        }
        Ok(found)
    }

    /// The next message of a task from `peer`: (packet, offset, size, depth), or None, and the task is noted as waiting.
    fn receive<'py>(
        &mut self,
        py: Python<'py>,
        place: &Bound<'py, Place>,
        peer: isize,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let peer = self.peer(py, peer, "receives from")?;
        let name = {
            let mut place = place.borrow_mut();
            let counter = next(&mut place.received[peer])?;
            place.message(counter)
        };
        match self.inbox[peer].remove(&name) {
            Some(message) => {
                self.stored[peer] -= message.size;
                message.tuple(py).map(Some)
            }
            None => {
                self.waiting[peer].insert(name, place.clone().unbind());
                Ok(None)
            }
        }
    }

    /// Take a packet of `peer`. Returns who can go on: [(task, message)]. Raises FrameError if it is none, or repeats a
    /// message.
    fn deliver<'py>(
        &mut self,
        py: Python<'py>,
        peer: isize,
        packet: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let peer = self.peer(py, peer, "takes a packet of")?;
        let ready = PyList::empty(py);
        let view = View::of(&packet)?;
        for found in messages(view.as_slice()) {
            let (name, depth, offset, size) = found.map_err(|fault| fault.raise(py, peer))?;
            self.arrived += 1;
            let message = Arrived {
                number: self.arrived,
                packet: packet.clone().unbind(),
                offset,
                size,
                depth,
            };
            if let Some(task) = self.waiting[peer].remove(&name) {
                ready.append((task, message.tuple(py)?))?;
                continue;
            }
            self.stored[peer] += size;
            if self.inbox[peer].insert(name, message).is_some() {
                let counter = u32::from_le_bytes([name[16], name[17], name[18], name[19]]);
                let digest: String = name[..16].iter().map(|b| format!("{b:02x}")).collect();
                let what = format!("party {peer} sent message {counter} of {digest} twice");
                return Err(error(py, "FrameError", &what, &[]));
            }
        }
        Ok(ready)
    }

    /// A fresh key of 16 bytes for the subset of this bitmap, None if this party is not entitled to one.
    fn key<'py>(
        &self,
        py: Python<'py>,
        place: &Bound<'py, Place>,
        bitmap: u64,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some((_, key)) = self.keys.iter().find(|(subset, _)| *subset == bitmap) else {
            return Ok(None);
        };
        let name = place.borrow_mut().draw(bitmap)?;
        let key = argot_prf::derive(key, &self.run_id, &name);
        Ok(Some(PyBytes::new(py, &key)))
    }

    /// Peers that are ahead of this party: more than `limit` bytes of what they sent wait here, and no task for more.
    fn ahead(&self, limit: usize) -> Vec<usize> {
        let peers = 0..self.stored.len();
        peers
            .filter(|&peer| self.stored[peer] > limit && self.waiting[peer].is_empty())
            .collect()
    }

    /// Whether a task waits for a message.
    #[getter]
    fn is_waited_for(&self) -> bool {
        self.waiting.iter().any(|tasks| !tasks.is_empty())
    }

    /// [(peer, name, task)] of the messages that tasks wait for, in the order of peers and places.
    fn waits<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>, Py<Place>)> {
        let mut found = Vec::new();
        for (peer, tasks) in self.waiting.iter().enumerate() {
            for (name, task) in tasks {
                let path = task.borrow(py).path.clone();
                found.push(((peer, path, name), task.clone_ref(py)));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
            .into_iter()
            .map(|((peer, _, name), task)| (peer, PyBytes::new(py, name), task))
            .collect()
    }

    /// [(peer, name)] of the messages that nobody has received, in the order in which those of each peer came.
    fn leftovers<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>)> {
        let mut found = Vec::new();
        for (peer, messages) in self.inbox.iter().enumerate() {
            found.extend(messages.iter().map(|(name, m)| (peer, m.number, name)));
        }
        found.sort_unstable();
        found
            .into_iter()
            .map(|(peer, _, name)| (peer, PyBytes::new(py, name)))
            .collect()
    }

    /// Let go of all tasks, packets and messages, and forget the keys.
    fn close(&mut self) {
        self.forget();
        self.waiting.iter_mut().for_each(HashMap::clear);
        self.inbox.iter_mut().for_each(HashMap::clear);
        self.stored.fill(0);
        for outbox in &mut self.outbox {
            *outbox = Outbox::default();
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for tasks in &self.waiting {
            tasks.values().try_for_each(|task| visit.call(task))?;
        }
        for messages in &self.inbox {
            messages
                .values()
                .try_for_each(|message| visit.call(&message.packet))?;
        }
        for outbox in &self.outbox {
            outbox.parts.iter().try_for_each(|part| visit.call(part))?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.close();
    }
}

impl Mail {
    /// Overwrite the keys of this run.
    fn forget(&mut self) {
        self.keys.iter_mut().for_each(|(_, key)| key.zeroize());
        self.keys.clear();
        self.run_id.zeroize();
    }

    /// The rank of another party.
    fn peer(&self, py: Python<'_>, peer: isize, what: &str) -> PyResult<usize> {
        let n = self.outbox.len();
        if let Ok(rank) = usize::try_from(peer) {
            if rank != self.rank && rank < n {
                return Ok(rank);
            }
        }
        let what = format!("party {} {what} party {peer}", self.rank);
        let wanted = format!("another of {n} parties");
        Err(error(py, "ProgramError", &what, &[("wanted", &wanted)]))
    }
}

/// The names of the messages in a packet, 20 bytes each, as far as it is one.
#[pyfunction]
fn names<'py>(py: Python<'py>, packet: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let view = View::of(packet)?;
    let found = messages(view.as_slice()).map_while(Result::ok);
    Ok(found.map(|(name, ..)| PyBytes::new(py, &name)).collect())
}

/// Where a packet ends too early.
struct Fault {
    within: &'static str,
    wanted: String,
}

impl Fault {
    fn raise(&self, py: Python<'_>, peer: usize) -> PyErr {
        let what = format!("a packet of party {peer} ends within a {}", self.within);
        error(py, "FrameError", &what, &[("wanted", &self.wanted)])
    }
}

/// (name, depth, offset, size) of each message of a packet.
fn messages(packet: &[u8]) -> impl Iterator<Item = Result<(Name, u32, usize, usize), Fault>> + '_ {
    let (mut at, end) = (0, packet.len());
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let Some(header) = packet.get(at..at + HEADER) else {
            let wanted = format!("{HEADER} bytes at {at} of {end}");
            at = end;
            return Some(Err(Fault {
                within: "header",
                wanted,
            }));
        };
        let (name, rest) = header.split_first_chunk::<NAME>().expect("20 of 32 bytes");
        let (depth, size) = rest.split_first_chunk::<4>().expect("4 of 12 bytes");
        let size = u64::from_le_bytes(size.try_into().expect("8 bytes"));
        let payload = at + HEADER;
        let padded = size.checked_next_multiple_of(8);
        match padded.and_then(|size| usize::try_from(size).ok()) {
            Some(padded) if padded <= end - payload => {
                at = payload + padded;
                Some(Ok((
                    *name,
                    u32::from_le_bytes(*depth),
                    payload,
                    size as usize,
                )))
            }
            _ => {
                at = end;
                Some(Err(Fault {
                    within: "message",
                    wanted: format!("{size} bytes at {payload}, the packet has {end}"),
                }))
            }
        }
    })
}
