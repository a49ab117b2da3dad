//! What a party does once for every message and every draw: names, counters, boxes of messages.
//!
//! The rules stand in `runtime/party.py` and `runtime/scheduler.py`, whose classes are made of these two; they are here
//! because they run a few times for every round of a protocol, where Python would take longer than the arithmetic.

use std::collections::HashMap;
use std::time::{Duration, Instant};

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
    fn new(parent: Option<PyRefMut<'_, Place>>, n: usize, _rest: &Bound<'_, PyTuple>) -> Place {
        let (mut path, mut depth) = (Vec::new(), 0);
        if let Some(mut parent) = parent {
            path.reserve_exact(parent.path.len() + 5);
            path.extend_from_slice(&parent.path);
            path.push(CHILD);
            path.extend_from_slice(&parent.children.to_le_bytes());
            parent.children += 1;
            depth = parent.depth;
        }
        Place {
            path,
            digest: None,
            depth,
            children: 0,
            sent: vec![0; n],
            received: vec![0; n],
            drawn: Vec::new(),
        }
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

    /// Messages sent to a peer so far.
    fn sent(&self, peer: usize) -> u32 {
        self.sent[peer]
    }

    /// Messages asked for from a peer so far.
    fn received(&self, peer: usize) -> u32 {
        self.received[peer]
    }

    /// Draws with the subset of this bitmap so far: (bitmap, how many) of each.
    #[getter]
    fn drawn(&self) -> Vec<(u64, u32)> {
        self.drawn.clone()
    }

    #[setter]
    fn set_drawn(&mut self, drawn: Vec<(u64, u32)>) {
        self.drawn = drawn;
    }
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
    fn draw(&mut self, bitmap: u64) -> Vec<u8> {
        let at = self.drawn.iter().position(|&(subset, _)| subset == bitmap);
        let at = at.unwrap_or_else(|| {
            self.drawn.push((bitmap, 0));
            self.drawn.len() - 1
        });
        let counter = self.drawn[at].1;
        self.drawn[at].1 += 1;
        let mut name = Vec::with_capacity(self.path.len() + 13);
        name.extend_from_slice(&self.path);
        name.push(DRAW);
        name.extend_from_slice(&bitmap.to_le_bytes());
        name.extend_from_slice(&counter.to_le_bytes());
        name
    }
}

/// A message that has arrived: its packet, where its payload lies in it, and its depth.
struct Arrived {
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
    inbox: Vec<HashMap<Name, Arrived>>,
    waiting: Vec<HashMap<Name, Py<Place>>>,
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.keys.iter_mut().for_each(|(_, key)| key.zeroize());
        self.run_id.zeroize();
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
        let mut known = Vec::with_capacity(keys.len());
        for (bitmap, key) in keys {
            let key: &[u8] = key.extract()?;
            known.push((bitmap.extract()?, exactly("a subset key", key)?));
        }
        Ok(Mail {
            rank,
            run_id: exactly("run_id", run_id)?,
            keys: known,
            patience: patience.map(Duration::from_secs_f64),
            since: None,
            outbox: (0..n).map(|_| Outbox::default()).collect(),
            inbox: (0..n).map(|_| HashMap::new()).collect(),
            waiting: (0..n).map(|_| HashMap::new()).collect(),
        })
    }

    /// Put a message of a task into the outbox of `peer`: bytes, or a view of an array that nobody changes until it has
    /// left. Returns how many bytes of payload it has, how many bytes wait there, and whether it is time that they left.
    fn send(
        &mut self,
        py: Python<'_>,
        place: &Bound<'_, Place>,
        peer: usize,
        payload: Bound<'_, PyAny>,
    ) -> PyResult<(usize, usize, bool)> {
        self.check(py, peer, "sends to")?;
        let late = self.patience.is_some_and(|patience| {
            let now = Instant::now();
            now - *self.since.get_or_insert(now) >= patience
        });
        let mut place = place.borrow_mut();
        let counter = place.sent[peer];
        place.sent[peer] = counter + 1;
        let mut header = [0; HEADER];
        header[..NAME].copy_from_slice(&place.message(counter));
        header[20..24].copy_from_slice(&(place.depth + 1).to_le_bytes());
        let outbox = &mut self.outbox[peer];
        let mut put = |payload: Py<PyAny>, bytes: &[u8]| {
            header[24..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            outbox.put(py, &header, payload, bytes);
            (bytes.len(), outbox.weight, late)
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
    fn packet<'py>(&mut self, py: Python<'py>, peer: usize) -> PyResult<Bound<'py, PyList>> {
        self.outbox[peer].take(py)
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
        peer: usize,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.check(py, peer, "receives from")?;
        let name = {
            let mut place = place.borrow_mut();
            let counter = place.received[peer];
            place.received[peer] = counter + 1;
            place.message(counter)
        };
        match self.inbox[peer].remove(&name) {
            Some(message) => message.tuple(py).map(Some),
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
        peer: usize,
        packet: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let ready = PyList::empty(py);
        let view = View::of(&packet)?;
        for found in messages(view.as_slice()) {
            let (name, depth, offset, size) = found.map_err(|fault| fault.raise(py, peer))?;
            let message = Arrived {
                packet: packet.clone().unbind(),
                offset,
                size,
                depth,
            };
            if let Some(task) = self.waiting[peer].remove(&name) {
                ready.append((task, message.tuple(py)?))?;
            } else if self.inbox[peer].insert(name, message).is_some() {
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
    ) -> Option<Bound<'py, PyBytes>> {
        let (_, key) = self.keys.iter().find(|(subset, _)| *subset == bitmap)?;
        let name = place.borrow_mut().draw(bitmap);
        Some(PyBytes::new(
            py,
            &argot_prf::derive(key, &self.run_id, &name),
        ))
    }

    /// Whether a task waits for a message.
    #[getter]
    fn is_waited_for(&self) -> bool {
        self.waiting.iter().any(|tasks| !tasks.is_empty())
    }

    /// [(peer, name, task)] of the messages that tasks wait for.
    fn waits<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>, Py<Place>)> {
        let every = self.waiting.iter().enumerate();
        every
            .flat_map(|(peer, tasks)| tasks.iter().map(move |(name, task)| (peer, name, task)))
            .map(|(peer, name, task)| (peer, PyBytes::new(py, name), task.clone_ref(py)))
            .collect()
    }

    /// [(peer, name)] of the messages that nobody has received.
    fn leftovers<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>)> {
        let every = self.inbox.iter().enumerate();
        every
            .flat_map(|(peer, messages)| messages.keys().map(move |name| (peer, name)))
            .map(|(peer, name)| (peer, PyBytes::new(py, name)))
            .collect()
    }

    /// Let go of all tasks, packets and messages.
    fn close(&mut self) {
        self.waiting.iter_mut().for_each(HashMap::clear);
        self.inbox.iter_mut().for_each(HashMap::clear);
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
    fn check(&self, py: Python<'_>, peer: usize, what: &str) -> PyResult<()> {
        let n = self.outbox.len();
        if peer != self.rank && peer < n {
            return Ok(());
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
