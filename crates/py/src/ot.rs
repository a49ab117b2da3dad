//! Bindings of `argot-ot`: pools of correlations, and what they are spent on.

use crate::array::{empty, text, Array, Kind};
use crate::permute::{columns, to_arrays, Given};
use crate::prf::exactly;
use argot_ot::params::Plan;
use argot_ot::pool::{extension_len, Makes, ReceiverPool, SenderPool};
use argot_ot::stock::{Id, Side, Stock};
use argot_ot::{digits, planes, Error, ReceiverCots, SenderCots, Session};
use argot_ring::{Ring, Z128};
use numpy::{
    IntoPyArray, PyArray2, PyArray3, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, PoisonError};

pyo3::create_exception!(
    argot._core.ot,
    Reused,
    PyValueError,
    "Correlations that were taken from a pool, or spent, before."
);
pyo3::create_exception!(
    argot._core.ot,
    Missing,
    PyValueError,
    "Correlations that the pool has not made yet."
);
pyo3::create_exception!(
    argot._core.ot,
    BadMessage,
    PyValueError,
    "A peer's message of a wrong length, with bytes that are no point, or in a wrong order."
);
pyo3::create_exception!(
    argot._core.ot,
    OutOfTurn,
    PyValueError,
    "A step of a pool that is not its next."
);

pyo3::create_exception!(
    argot._core.ot,
    InUse,
    PyOSError,
    "A stock that somebody else has open."
);

type Planes<'py> = Bound<'py, PyArray2<u64>>;
type Planes3<'py> = Bound<'py, PyArray3<u64>>;
type Any<'py> = Bound<'py, PyUntypedArray>;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add("Reused", py.get_type::<Reused>())?;
    m.add("Missing", py.get_type::<Missing>())?;
    m.add("BadMessage", py.get_type::<BadMessage>())?;
    m.add("OutOfTurn", py.get_type::<OutOfTurn>())?;
    m.add("InUse", py.get_type::<InUse>())?;
    m.add_class::<PyStock>()?;
    m.add_class::<Sender>()?;
    m.add_class::<Receiver>()?;
    m.add_class::<PySenderCots>()?;
    m.add_class::<PyReceiverCots>()?;
    m.add_function(wrap_pyfunction!(name_of, m)?)?;
    m.add_function(wrap_pyfunction!(weighted_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(digits_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(near_bytes, m)?)?;
    crate::permute::register(m)
}

pub fn raised(error: Error) -> PyErr {
    let what = error.to_string();
    match error {
        Error::Reused { .. } | Error::AlreadyUsed(_) => Reused::new_err(what),
        Error::Missing { .. } => Missing::new_err(what),
        Error::OutOfTurn { .. } => OutOfTurn::new_err(what),
        Error::Length { .. } | Error::NotAPoint { .. } | Error::OutOfOrder { .. } => {
            BadMessage::new_err(what)
        }
        Error::StockInUse(_) => InUse::new_err(what),
        Error::NoRandomness | Error::File(..) | Error::NotAStock(_) => PyOSError::new_err(what),
        _ => PyValueError::new_err(what),
    }
}

fn session(id: &[u8], sender: u8) -> PyResult<Session> {
    Ok(Session::new(&exactly("session", id)?, sender))
}

fn plan(size: &str) -> PyResult<Plan> {
    match size {
        "small" => Ok(Plan::small()),
        "medium" => Ok(Plan::medium()),
        "large" => Ok(Plan::large()),
        _ => Err(PyValueError::new_err(format!(
            "size {size:?}; wanted \"small\", \"medium\" or \"large\""
        ))),
    }
}

/// Products made ahead, in a directory of one pair of parties: see crates/ot/src/stock.rs.
#[pyclass(name = "Stock", frozen, module = "argot._core.ot")]
struct PyStock(Stock);

/// The name of what was put, or the error of a disk.
fn put_or_not(py: Python<'_>, put: Result<Id, Error>) -> PyResult<Bound<'_, PyAny>> {
    match put {
        Ok(id) => Ok(PyBytes::new(py, &id).into_any()),
        Err(error @ Error::File(..)) => Ok(raised(error).into_value(py).into_bound(py).into_any()),
        Err(error) => Err(raised(error)),
    }
}

fn side(sent: bool) -> Side {
    if sent {
        Side::Sender
    } else {
        Side::Receiver
    }
}

#[pymethods]
impl PyStock {
    /// Of extensions of `gain` words. Raises InUse, or OSError if others may read it.
    #[new]
    fn new(py: Python<'_>, directory: std::path::PathBuf, gain: usize) -> PyResult<PyStock> {
        let opened = py.detach(|| Stock::open(&directory, gain));
        Ok(PyStock(opened.map_err(raised)?))
    }

    /// Let others open it.
    fn close(&self) {
        self.0.close();
    }

    /// Names of the extensions of the direction in which this party sends, or receives.
    fn ids<'py>(&self, py: Python<'py>, sent: bool) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let ids = self.0.ids(side(sent)).map_err(raised)?;
        Ok(ids.iter().map(|id| PyBytes::new(py, id)).collect())
    }

    /// Give up all but these.
    fn keep(&self, py: Python<'_>, sent: bool, ids: Vec<Id>) -> PyResult<()> {
        py.detach(|| self.0.keep(side(sent), &ids)).map_err(raised)
    }
}

fn makes(products: bool) -> Makes {
    if products {
        Makes::Products
    } else {
        Makes::Correlations
    }
}

/// Two arrays of planes, (width, words).
fn two_planes<'py>(
    py: Python<'py>,
    (first, second): (Vec<u64>, Vec<u64>),
    width: usize,
    words: usize,
) -> PyResult<(Planes<'py>, Planes<'py>)> {
    let shape = [width, words];
    Ok((
        first.into_pyarray(py).reshape(shape)?,
        second.into_pyarray(py).reshape(shape)?,
    ))
}

/// The side of a pool that holds the secret difference.
#[pyclass(frozen, module = "argot._core.ot")]
struct Sender(SenderPool);

#[pymethods]
impl Sender {
    /// With `products`, of products of bits instead of correlations: `made` and `gain` then count words of 64.
    #[new]
    #[pyo3(signature = (session, sender, size = "medium", threads = 1, products = false))]
    fn new(
        session: &[u8],
        sender: u8,
        size: &str,
        threads: usize,
        products: bool,
    ) -> PyResult<Sender> {
        let (session, plan) = (self::session(session, sender)?, plan(size)?);
        let pool = SenderPool::new(session, plan, threads, makes(products));
        Ok(Sender(pool))
    }

    /// Message 1 of the set-up.
    fn begin<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let message = py.detach(|| self.0.begin()).map_err(raised)?;
        Ok(PyBytes::new(py, &message))
    }

    /// Message 3, from message 2.
    fn finish<'py>(&self, py: Python<'py>, answer: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let message = py.detach(|| self.0.finish(answer)).map_err(raised)?;
        Ok(PyBytes::new(py, &message))
    }

    /// `gain` more correlations; the message to the receiver, who must take all in the order of their making.
    fn extend<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let message = py.detach(|| self.0.extend()).map_err(raised)?;
        Ok(PyBytes::new(py, &message))
    }

    /// An extension of products for later: the message, and its name in the stock, or why it is not there (OSError).
    fn extend_into<'py>(
        &self,
        py: Python<'py>,
        stock: &PyStock,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyAny>)> {
        let made = py.detach(|| self.0.extend_into(&stock.0));
        let (message, put) = made.map_err(raised)?;
        Ok((PyBytes::new(py, &message), put_or_not(py, put)?))
    }

    /// Take an extension from the stock instead of making one. Raises Reused if it is not there.
    fn load(&self, py: Python<'_>, stock: &PyStock, id: Id) -> PyResult<()> {
        py.detach(|| self.0.load(&stock.0, &id)).map_err(raised)
    }

    /// Correlations start..start + n of the session. Raises Reused or Missing.
    fn take(&self, py: Python<'_>, start: u64, n: usize) -> PyResult<PySenderCots> {
        let cots = py.detach(|| self.0.take(start, n)).map_err(raised)?;
        Ok(PySenderCots(Mutex::new(Some(cots))))
    }

    /// Products of words start..start + width * words: planes (b, u) of shape (width, words); with the receiver's (a, v),
    /// u ^ v = a & b. Raises Reused or Missing.
    fn products<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        width: usize,
        words: usize,
    ) -> PyResult<(Planes<'py>, Planes<'py>)> {
        let taken = py.detach(|| self.0.take_words(start, width * words));
        two_planes(py, taken.map_err(raised)?, width, words)
    }

    #[getter]
    fn made(&self) -> u64 {
        self.0.made()
    }

    #[getter]
    fn gain(&self) -> usize {
        self.0.gain()
    }

    #[getter]
    fn extension_bytes(&self) -> usize {
        extension_len(self.0.plan())
    }

    fn __repr__(&self) -> String {
        format!("Sender(made={})", self.0.made())
    }
}

/// The side of a pool that holds bits.
#[pyclass(frozen, module = "argot._core.ot")]
struct Receiver(ReceiverPool);

#[pymethods]
impl Receiver {
    /// With `products`, of products of bits instead of correlations: `made` and `gain` then count words of 64.
    #[new]
    #[pyo3(signature = (session, sender, size = "medium", threads = 1, products = false))]
    fn new(
        session: &[u8],
        sender: u8,
        size: &str,
        threads: usize,
        products: bool,
    ) -> PyResult<Receiver> {
        let (session, plan) = (self::session(session, sender)?, plan(size)?);
        let pool = ReceiverPool::new(session, plan, threads, makes(products));
        Ok(Receiver(pool))
    }

    /// Message 2, from message 1.
    fn answer<'py>(&self, py: Python<'py>, request: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let message = py.detach(|| self.0.answer(request)).map_err(raised)?;
        Ok(PyBytes::new(py, &message))
    }

    /// From message 3.
    fn finish(&self, py: Python<'_>, message: &[u8]) -> PyResult<()> {
        py.detach(|| self.0.finish(message)).map_err(raised)
    }

    /// The other side of what the sender extended by.
    fn extend(&self, py: Python<'_>, message: &[u8]) -> PyResult<()> {
        py.detach(|| self.0.extend(message)).map_err(raised)
    }

    /// The other side of what the sender extended into its stock: its name there, or why it is not there.
    fn extend_into<'py>(
        &self,
        py: Python<'py>,
        stock: &PyStock,
        message: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = py.detach(|| self.0.extend_into(&stock.0, message));
        put_or_not(py, made.map_err(raised)?)
    }

    /// As that of Sender.
    fn load(&self, py: Python<'_>, stock: &PyStock, id: Id) -> PyResult<()> {
        py.detach(|| self.0.load(&stock.0, &id)).map_err(raised)
    }

    /// As that of Sender.
    fn take(&self, py: Python<'_>, start: u64, n: usize) -> PyResult<PyReceiverCots> {
        let cots = py.detach(|| self.0.take(start, n)).map_err(raised)?;
        Ok(PyReceiverCots(Mutex::new(Some(cots))))
    }

    /// The (a, v) of the sender's.
    fn products<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        width: usize,
        words: usize,
    ) -> PyResult<(Planes<'py>, Planes<'py>)> {
        let taken = py.detach(|| self.0.take_words(start, width * words));
        two_planes(py, taken.map_err(raised)?, width, words)
    }

    #[getter]
    fn made(&self) -> u64 {
        self.0.made()
    }

    #[getter]
    fn gain(&self) -> usize {
        self.0.gain()
    }

    #[getter]
    fn extension_bytes(&self) -> usize {
        extension_len(self.0.plan())
    }

    fn __repr__(&self) -> String {
        format!("Receiver(made={})", self.0.made())
    }
}

/// What is inside, which is then no longer there.
fn spend<T>(cots: &Mutex<Option<T>>) -> PyResult<T> {
    let mut held = cots.lock().unwrap_or_else(PoisonError::into_inner);
    held.take()
        .ok_or_else(|| Reused::new_err("these correlations were spent before: take others"))
}

/// Put there what comes after it.
fn replace<T>(cots: &Mutex<Option<T>>, new: T) {
    *cots.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
}

fn count<T>(cots: &Mutex<Option<T>>, length: impl Fn(&T) -> usize) -> usize {
    let held = cots.lock().unwrap_or_else(PoisonError::into_inner);
    held.as_ref().map_or(0, length)
}

/// Planes as they come from the kernels, `rows` of them.
fn to_planes<'py>(
    py: Python<'py>,
    planes: Vec<u64>,
    rows: usize,
    size: usize,
) -> PyResult<Planes<'py>> {
    planes.into_pyarray(py).reshape([rows, size.div_ceil(64)])
}

/// A fresh array of ring elements.
fn to_array<'py, W: Ring>(
    py: Python<'py>,
    values: &[W],
    dtype: Bound<'py, PyArrayDescr>,
) -> PyResult<Any<'py>> {
    let array = empty(py, &[values.len()], dtype)?;
    assert_eq!(array.dtype().itemsize(), size_of::<W>());
    // SAFETY: the array is fresh, contiguous and of exactly this size.
    unsafe {
        let data: *mut W = (*array.as_array_ptr()).data.cast::<W>();
        std::ptr::copy_nonoverlapping(values.as_ptr(), data, values.len());
    }
    Ok(array)
}

/// Planes of `size` elements as an argument: their words and number.
fn given_planes<'a>(planes: &'a Array<'_>, size: usize) -> PyResult<(&'a [u64], usize)> {
    if planes.kind()? != Kind::U64 {
        return Err(PyTypeError::new_err(format!(
            "planes of {}; wanted uint64",
            planes.dtype()
        )));
    }
    match planes.shape() {
        [width, words] if *words == size.div_ceil(64) => Ok((planes.slice(), *width)),
        shape => Err(PyValueError::new_err(format!(
            "planes of shape {}; wanted (width, {}) for {size} elements",
            text(planes.0.py(), shape),
            size.div_ceil(64)
        ))),
    }
}

/// Planes of `have` correlations. Raises ValueError unless they are whole, and one gives so many strings.
fn width_of(have: usize, size: usize, strings: usize) -> PyResult<usize> {
    if !(1..=planes::MOST_STRINGS).contains(&strings) {
        return Err(PyValueError::new_err(format!(
            "{strings} strings; wanted 1 to {}",
            planes::MOST_STRINGS
        )));
    }
    let width = have.checked_div(size).unwrap_or(0);
    if width * size == have {
        return Ok(width);
    }
    Err(PyValueError::new_err(format!(
        "{have} correlations are no whole planes of {size} elements"
    )))
}

/// Bytes of the message. Raises ValueError unless there are `planes` times `n` correlations, which fit the ring.
fn check_weighted<W: Ring>(have: usize, n: usize, planes: usize, shift: u32) -> PyResult<usize> {
    let length = planes::weighted_len::<W>(n, planes, shift).map_err(raised)?;
    check_count(have, planes, n)?;
    Ok(length)
}

fn check_length(message: &[u8], want: usize) -> PyResult<()> {
    if message.len() == want {
        return Ok(());
    }
    Err(BadMessage::new_err(format!(
        "a message of {} bytes; wanted {want}",
        message.len()
    )))
}

/// Call a generic function for the ring of a dtype.
macro_rules! by_kind {
    ($kind:expr, $call:ident($($arg:expr),*)) => {
        match $kind {
            Kind::U32 => $call::<u32>($($arg),*),
            Kind::U64 => $call::<u64>($($arg),*),
            Kind::U128 => $call::<Z128>($($arg),*),
        }
    };
}

fn kind_of(dtype: &Bound<'_, PyArrayDescr>) -> PyResult<Kind> {
    crate::array::kind_of(dtype).ok_or_else(|| {
        PyTypeError::new_err(format!(
            "numbers of {dtype}; wanted uint32, uint64 or ring.Z128"
        ))
    })
}

/// What an extension is called in a stock: of its message.
#[pyfunction]
fn name_of<'py>(py: Python<'py>, message: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &argot_ot::stock::id(message))
}

/// Bytes of the message of `weighted` for n elements.
#[pyfunction]
fn weighted_bytes(
    dtype: &Bound<'_, PyAny>,
    n: usize,
    planes: usize,
    shift: u32,
) -> PyResult<usize> {
    let dtype = PyArrayDescr::new(dtype.py(), dtype)?;
    let length = match kind_of(&dtype)? {
        Kind::U32 => planes::weighted_len::<u32>(n, planes, shift),
        Kind::U64 => planes::weighted_len::<u64>(n, planes, shift),
        Kind::U128 => planes::weighted_len::<Z128>(n, planes, shift),
    };
    length.map_err(raised)
}

/// Bytes of the message of `digits` for `width` planes of `size` elements.
#[pyfunction]
fn digits_bytes(size: usize, width: usize, bits: u32) -> PyResult<usize> {
    check_bits(bits)?;
    Ok(digits::digits_len(size, width, bits))
}

/// Bytes of the message of `near` for `width` planes of `size` elements, with so many results for a digit.
#[pyfunction]
fn near_bytes(size: usize, width: usize, bits: u32, results: usize) -> PyResult<usize> {
    check_near(bits, results)?;
    Ok(digits::message_len(size, width, bits, results))
}

fn check_bits(bits: u32) -> PyResult<()> {
    check_within("bits of digits", bits as usize, 4)
}

fn check_near(bits: u32, results: usize) -> PyResult<()> {
    check_within("bits of digits", bits as usize, digits::MOST_NEAR as usize)?;
    check_within("results of a digit", results, digits::MOST_RESULTS)
}

fn check_within(what: &str, got: usize, most: usize) -> PyResult<()> {
    if (1..=most).contains(&got) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{got} {what}; wanted 1 to {most}"
    )))
}

/// Raises ValueError unless there are as many correlations as these planes have bits.
fn check_count(have: usize, width: usize, size: usize) -> PyResult<()> {
    if width.checked_mul(size) == Some(have) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{have} correlations; wanted {width} planes of {size}"
    )))
}

/// Correlations of the sender, spent by the first call but `follow`.
#[pyclass(name = "SenderCots", frozen, module = "argot._core.ot")]
struct PySenderCots(Mutex<Option<SenderCots>>);

#[pymethods]
impl PySenderCots {
    fn __len__(&self) -> usize {
        count(&self.0, SenderCots::len)
    }

    /// From here on the bits are the receiver's choice, as its request says.
    fn follow(&self, py: Python<'_>, request: &[u8]) -> PyResult<()> {
        let cots = spend(&self.0)?;
        if let Err(error) = check_length(request, cots.len().div_ceil(8)) {
            replace(&self.0, cots);
            return Err(error);
        }
        replace(&self.0, py.detach(|| cots.follow(request)).map_err(raised)?);
        Ok(())
    }

    /// Planes (b, u) of shape (strings * w, ceil(size / 64)), row s * w + p; with the receiver's (a, v), u ^ v = a & b.
    #[pyo3(signature = (size, strings = 1))]
    fn products<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        strings: usize,
    ) -> PyResult<(Planes<'py>, Planes<'py>)> {
        let rows = strings * width_of(self.__len__(), size, strings)?;
        let cots = spend(&self.0)?;
        let (b, u) = py
            .detach(|| cots.plane_products(size, strings))
            .map_err(raised)?;
        Ok((to_planes(py, b, rows, size)?, to_planes(py, u, rows, size)?))
    }

    /// This side's part, of shape (n,), of the sum over planes p of 2^(p + shift) * bit_p * delta_p, and the message.
    /// `deltas` are numbers of shape (n,), the same for all planes, or (planes, n). For several sums of the same bits
    /// they have one more axis, the first, and what comes of them is one after the other, (sums * n,).
    #[pyo3(signature = (deltas, n, planes, shift, sums = 1))]
    fn weighted<'py>(
        &self,
        py: Python<'py>,
        deltas: Array<'py>,
        n: usize,
        planes: usize,
        shift: u32,
        sums: usize,
    ) -> PyResult<(Any<'py>, Bound<'py, PyBytes>)> {
        fn run<'py, W: Ring>(
            py: Python<'py>,
            held: &PySenderCots,
            deltas: &Array<'py>,
            n: usize,
            planes: usize,
            shift: u32,
            sums: usize,
        ) -> PyResult<(Any<'py>, Bound<'py, PyBytes>)> {
            check_within("sums of the same bits", sums, planes::most_sums::<W>())?;
            check_weighted::<W>(held.__len__(), n, planes, shift)?;
            let cots = spend(&held.0)?;
            let values: &[W] = deltas.slice();
            let (part, message) = py
                .detach(|| cots.weighted_sums(values, sums, n, planes, shift))
                .map_err(raised)?;
            Ok((
                to_array(py, &part, deltas.dtype())?,
                PyBytes::new(py, &message),
            ))
        }
        let several = [sums];
        let lead: &[usize] = if sums == 1 { &[] } else { &several };
        let each = deltas.shape().strip_prefix(lead);
        if each != Some(&[n]) && each != Some(&[planes, n]) {
            return Err(PyValueError::new_err(format!(
                "deltas of shape {}; wanted ({n},) or ({planes}, {n}), after {sums} if these are several sums",
                text(py, deltas.shape())
            )));
        }
        by_kind!(
            deltas.kind()?,
            run(py, self, &deltas, n, planes, shift, sums)
        )
    }

    /// Shares of the planes (g, p), (ceil(w / bits), words): of which digits of its planes a and of the receiver's c,
    /// `bits` wide, a + c carries, and passes a carry on; and the message, of `digits_bytes`.
    #[allow(clippy::type_complexity)]
    fn digits<'py>(
        &self,
        py: Python<'py>,
        planes: Array<'py>,
        size: usize,
        bits: u32,
    ) -> PyResult<(Planes<'py>, Planes<'py>, Bound<'py, PyBytes>)> {
        check_bits(bits)?;
        let (words, width) = given_planes(&planes, size)?;
        let cots = spend(&self.0)?;
        if let Err(error) = check_count(cots.len(), width, size) {
            replace(&self.0, cots);
            return Err(error);
        }
        let (g, p, message) = py
            .detach(|| cots.digits(words, size, bits))
            .map_err(raised)?;
        // Of no elements there are no planes: their number is in the argument alone.
        let rows = width.div_ceil(bits as usize);
        Ok((
            to_planes(py, g, rows, size)?,
            to_planes(py, p, rows, size)?,
            PyBytes::new(py, &message),
        ))
    }

    /// Shares of planes, (results, ceil(w / bits), words), and the message, of `near_bytes`. `planes` are those of one number
    /// after the other, (numbers * w, words); for each number there is a result for each bound m, [|d| < 2^m], and the
    /// `top` highest bits of d, the receiver's digit minus this one's.
    #[allow(clippy::type_complexity)]
    fn near<'py>(
        &self,
        py: Python<'py>,
        planes: Array<'py>,
        size: usize,
        bits: u32,
        bounds: Vec<u32>,
        top: usize,
    ) -> PyResult<(Planes3<'py>, Bound<'py, PyBytes>)> {
        let (words, rows) = given_planes(&planes, size)?;
        let width = width_of(self.__len__(), size, 1)?;
        let questions = digits::Questions {
            numbers: rows.checked_div(width).unwrap_or(0),
            bounds: &bounds,
            top,
        };
        check_near(bits, questions.results())?;
        if rows != questions.numbers * width {
            return Err(PyValueError::new_err(format!(
                "{rows} planes are no whole numbers of {width}"
            )));
        }
        let cots = spend(&self.0)?;
        let (found, message) = py
            .detach(|| cots.near(words, size, bits, questions))
            .map_err(raised)?;
        let shape = [
            found.len(),
            width.div_ceil(bits as usize),
            size.div_ceil(64),
        ];
        Ok((
            found.concat().into_pyarray(py).reshape(shape)?,
            PyBytes::new(py, &message),
        ))
    }

    /// As the giver of `n` rows, after `follow`: arrays a and b of each column, and the message to the mover. `kinds` has
    /// for each column a dtype of a ring, or "bits" or "bits1" to "bits64" for words in uint64, and how many elements a
    /// row has. There are `switches(n)` correlations.
    #[allow(clippy::type_complexity)]
    fn permute<'py>(
        &self,
        py: Python<'py>,
        n: usize,
        kinds: Vec<Given<'py>>,
    ) -> PyResult<(Vec<Any<'py>>, Vec<Any<'py>>, Bound<'py, PyBytes>)> {
        let (cots, columns) = (spend(&self.0)?, columns(&kinds));
        let given = py.detach(|| cots.permute(n, &columns)).map_err(raised)?;
        Ok((
            to_arrays(py, n, &kinds, given.a)?,
            to_arrays(py, n, &kinds, given.b)?,
            PyBytes::new(py, &given.message),
        ))
    }

    fn __repr__(&self) -> String {
        format!("SenderCots({} of them)", self.__len__())
    }
}

/// Correlations of the receiver, spent by the first call but `choose`.
#[pyclass(name = "ReceiverCots", frozen, module = "argot._core.ot")]
struct PyReceiverCots(Mutex<Option<ReceiverCots>>);

#[pymethods]
impl PyReceiverCots {
    fn __len__(&self) -> usize {
        count(&self.0, ReceiverCots::len)
    }

    /// From here on the bits are these planes, of shape (w, ceil(size / 64)); the request to the sender.
    fn choose<'py>(
        &self,
        py: Python<'py>,
        planes: Array<'py>,
        size: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (words, width) = given_planes(&planes, size)?;
        let cots = spend(&self.0)?;
        if let Err(error) = check_count(cots.len(), width, size) {
            replace(&self.0, cots);
            return Err(error);
        }
        let (cots, request) = py
            .detach(|| cots.choose_planes(words, size))
            .map_err(raised)?;
        replace(&self.0, cots);
        Ok(PyBytes::new(py, &request))
    }

    /// Planes (a, v), of shapes (w, ceil(size / 64)) and (strings * w, ceil(size / 64)); see the sender's.
    #[pyo3(signature = (size, strings = 1))]
    fn products<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        strings: usize,
    ) -> PyResult<(Planes<'py>, Planes<'py>)> {
        let width = width_of(self.__len__(), size, strings)?;
        let cots = spend(&self.0)?;
        let (a, v) = py
            .detach(|| cots.plane_products(size, strings))
            .map_err(raised)?;
        Ok((
            to_planes(py, a, width, size)?,
            to_planes(py, v, strings * width, size)?,
        ))
    }

    /// This side's part of the sum, or of several; see the sender's.
    #[pyo3(signature = (dtype, n, planes, shift, message, sums = 1))]
    fn weighted<'py>(
        &self,
        dtype: &Bound<'py, PyAny>,
        n: usize,
        planes: usize,
        shift: u32,
        message: &[u8],
        sums: usize,
    ) -> PyResult<Any<'py>> {
        fn run<'py, W: Ring>(
            held: &PyReceiverCots,
            dtype: Bound<'py, PyArrayDescr>,
            n: usize,
            planes: usize,
            shift: u32,
            message: &[u8],
            sums: usize,
        ) -> PyResult<Any<'py>> {
            let py = dtype.py();
            check_within("sums of the same bits", sums, planes::most_sums::<W>())?;
            check_length(
                message,
                sums * check_weighted::<W>(held.__len__(), n, planes, shift)?,
            )?;
            let cots = spend(&held.0)?;
            let part: Vec<W> = py
                .detach(|| cots.weighted_sums(sums, n, planes, shift, message))
                .map_err(raised)?;
            to_array(py, &part, dtype)
        }
        let dtype = PyArrayDescr::new(dtype.py(), dtype)?;
        by_kind!(
            kind_of(&dtype)?,
            run(self, dtype, n, planes, shift, message, sums)
        )
    }

    /// Its shares of (g, p) for the planes it chose; see the sender's.
    fn digits<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        width: usize,
        bits: u32,
        message: &[u8],
    ) -> PyResult<(Planes<'py>, Planes<'py>)> {
        check_bits(bits)?;
        check_count(self.__len__(), width, size)?;
        check_length(message, digits::digits_len(size, width, bits))?;
        let cots = spend(&self.0)?;
        let (g, p) = py
            .detach(|| cots.digits(size, bits, message))
            .map_err(raised)?;
        let rows = width.div_ceil(bits as usize);
        Ok((to_planes(py, g, rows, size)?, to_planes(py, p, rows, size)?))
    }

    /// Its shares of the results of `near`, of so many numbers; see the sender's.
    #[allow(clippy::too_many_arguments)]
    fn near<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        width: usize,
        bits: u32,
        numbers: usize,
        bounds: Vec<u32>,
        top: usize,
        message: &[u8],
    ) -> PyResult<Planes3<'py>> {
        let questions = digits::Questions {
            numbers,
            bounds: &bounds,
            top,
        };
        check_near(bits, questions.results())?;
        check_count(self.__len__(), width, size)?;
        check_length(
            message,
            digits::message_len(size, width, bits, questions.results()),
        )?;
        let cots = spend(&self.0)?;
        let found = py
            .detach(|| cots.near(size, bits, questions, message))
            .map_err(raised)?;
        let shape = [
            found.len(),
            width.div_ceil(bits as usize),
            size.div_ceil(64),
        ];
        found.concat().into_pyarray(py).reshape(shape)
    }

    /// As the mover of `n` rows, whose choices were a `route` of its index: of each column a[index] - b; see the sender's.
    fn permute<'py>(
        &self,
        py: Python<'py>,
        n: usize,
        kinds: Vec<Given<'py>>,
        message: &[u8],
    ) -> PyResult<Vec<Any<'py>>> {
        let (cots, columns) = (spend(&self.0)?, columns(&kinds));
        let rows = py
            .detach(|| cots.permute(n, &columns, message))
            .map_err(raised)?;
        to_arrays(py, n, &kinds, rows)
    }

    fn __repr__(&self) -> String {
        format!("ReceiverCots({} of them)", self.__len__())
    }
}
