//! Bindings of `argot-rlwe`: one object at each party is the client of one product and the server of another.
//!
//! Numbers are uint32 or uint64 arrays. Shares are modulo the ring, whatever the dtype, which must hold them.

use crate::array::{empty, kind_of, mismatch, text, Array, Kind, Output};
use crate::view::View;
use argot_rlwe::convolution::Shape;
use argot_rlwe::{linear, products, Convolution, Error, Packing, Params, Plan};
use numpy::{PyArrayDescr, PyUntypedArray};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use zeroize::Zeroizing;

pyo3::create_exception!(
    argot._core.rlwe,
    BadCiphertext,
    PyValueError,
    "Bytes that are not those of this message with these parameters: what came and what was wanted."
);
pyo3::create_exception!(
    argot._core.rlwe,
    TooWide,
    PyValueError,
    "A number that does not fit the width that was chosen."
);
pyo3::create_exception!(
    argot._core.rlwe,
    WeakParameters,
    PyValueError,
    "No parameters of 128 bits of security do what is asked."
);

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("HEADER", argot_rlwe::HEADER)?;
    m.add("BadCiphertext", m.py().get_type::<BadCiphertext>())?;
    m.add("TooWide", m.py().get_type::<TooWide>())?;
    m.add("WeakParameters", m.py().get_type::<WeakParameters>())?;
    m.add_class::<PyProducts>()?;
    m.add_class::<PyMatrices>()?;
    m.add_class::<PyConvolutions>()
}

fn convert(failure: Error) -> PyErr {
    let what = failure.to_string();
    match failure {
        Error::NoRandomness => PyOSError::new_err(what),
        Error::Insecure { .. }
        | Error::Degree { .. }
        | Error::NoParameters { .. }
        | Error::Primes { .. } => WeakParameters::new_err(what),
        Error::Kind { .. }
        | Error::WrongDegree { .. }
        | Error::Modulus { .. }
        | Error::Shape { .. }
        | Error::Length { .. }
        | Error::Coefficient { .. }
        | Error::Padding => BadCiphertext::new_err(what),
        Error::TooWide { .. } => TooWide::new_err(what),
        Error::Width { .. } | Error::Count { .. } | Error::Inner { .. } | Error::NoMerging => {
            PyValueError::new_err(what)
        }
    }
}

// ---- parameters

/// The latest last. Building some takes milliseconds, keeping some a few megabytes.
type Cache<K, V> = Mutex<Vec<(K, V)>>;
const KEPT: usize = 16;

static OF_PRODUCTS: Cache<[u32; 4], Arc<products::Params>> = Mutex::new(Vec::new());
static OF_MATRICES: Cache<[u32; 3], Arc<Params>> = Mutex::new(Vec::new());

fn cached<K: PartialEq, V: Clone>(
    cache: &Cache<K, V>,
    key: K,
    build: impl FnOnce() -> Result<V, Error>,
) -> Result<V, Error> {
    let mut kept = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let value = match kept.iter().position(|(other, _)| *other == key) {
        Some(at) => kept.remove(at).1,
        None => build()?,
    };
    if kept.len() == KEPT {
        kept.remove(0);
    }
    kept.push((key, value.clone()));
    Ok(value)
}

// ---- arrays

/// The elements of an argument.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    Short(&'a [u32]),
    Long(&'a [u64]),
}

impl<'a> Numbers<'a> {
    fn of(array: &'a Array<'_>) -> PyResult<Numbers<'a>> {
        match kind_of(&array.dtype()) {
            Some(Kind::U32) => Ok(Numbers::Short(array.slice())),
            Some(Kind::U64) => Ok(Numbers::Long(array.slice())),
            _ => Err(wrong_dtype(&array.dtype())),
        }
    }

    fn words(self) -> Words<'a> {
        match self {
            Numbers::Short(x) => Words::copy(x.iter().map(|&x| x.into())),
            Numbers::Long(x) => Words::Given(x),
        }
    }

    /// Those of a matrix with this many columns, column by column.
    fn transposed(self, columns: usize) -> Words<'a> {
        fn order(length: usize, columns: usize) -> impl Iterator<Item = usize> {
            (0..columns).flat_map(move |j| (j..length).step_by(columns))
        }
        match self {
            Numbers::Short(x) => Words::copy(order(x.len(), columns).map(|i| x[i].into())),
            Numbers::Long(x) => Words::copy(order(x.len(), columns).map(|i| x[i])),
        }
    }
}

fn wrong_dtype(dtype: &Bound<'_, PyArrayDescr>) -> PyErr {
    PyTypeError::new_err(format!("an array of {dtype}; wanted uint32 or uint64"))
}

/// Numbers as 64-bit words; copies are wiped when dropped.
enum Words<'a> {
    Given(&'a [u64]),
    Copied(Zeroizing<Vec<u64>>),
}

impl<'a> Words<'a> {
    fn copy(numbers: impl Iterator<Item = u64>) -> Words<'a> {
        Words::Copied(Zeroizing::new(numbers.collect()))
    }
}

impl Deref for Words<'_> {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        match self {
            Words::Given(words) => words,
            Words::Copied(words) => words,
        }
    }
}

/// Shares as an array.
fn array<'py>(
    py: Python<'py>,
    shares: Words<'_>,
    shape: &[usize],
    dtype: &Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let out = Output(empty(py, shape, dtype.clone())?);
    if kind_of(dtype) == Some(Kind::U32) {
        let to = out.slice::<u32>().iter_mut();
        to.zip(shares.iter()).for_each(|(to, x)| *to = *x as u32);
    } else {
        out.slice::<u64>().copy_from_slice(&shares);
    }
    Ok(out.into_array())
}

/// A dtype whose elements hold shares modulo 2^`ring_bits`.
fn holds(dtype: &Bound<'_, PyArrayDescr>, ring_bits: u32) -> PyResult<()> {
    let bits = match kind_of(dtype) {
        Some(Kind::U32) => 32,
        Some(Kind::U64) => 64,
        _ => return Err(wrong_dtype(dtype)),
    };
    if bits < ring_bits {
        return Err(PyTypeError::new_err(format!(
            "an array of {dtype} cannot hold shares modulo 2^{ring_bits}"
        )));
    }
    Ok(())
}

/// What Python calls a dtype, if its elements hold shares modulo 2^`ring_bits`.
fn dtype_of<'py>(dtype: &Bound<'py, PyAny>, ring_bits: u32) -> PyResult<Bound<'py, PyArrayDescr>> {
    let dtype = match dtype.cast::<PyArrayDescr>() {
        Ok(descr) => descr.clone(),
        Err(_) => PyArrayDescr::new(dtype.py(), dtype)?,
    };
    holds(&dtype, ring_bits)?;
    Ok(dtype)
}

fn want_shape(py: Python<'_>, what: &str, array: &Array<'_>, want: &[usize]) -> PyResult<()> {
    match array.shape() == want {
        true => Ok(()),
        false => Err(PyValueError::new_err(format!(
            "{what} has shape {}; wanted {}",
            text(py, array.shape()),
            text(py, want)
        ))),
    }
}

fn met<S>(server: &OnceLock<S>) -> PyResult<&S> {
    let missing = "an answer needs the peer's public key: call meet first";
    server.get().ok_or_else(|| PyRuntimeError::new_err(missing))
}

fn meet<S>(slot: &OnceLock<S>, server: Result<S, Error>) -> PyResult<()> {
    slot.set(server.map_err(convert)?)
        .map_err(|_| PyValueError::new_err("a public key is here already; it is met once"))
}

/// All operands of one call, of one shape.
fn operands<'a>(py: Python<'_>, arrays: &'a [Array<'_>], most: usize) -> PyResult<Vec<Words<'a>>> {
    let Some(first) = arrays.first().filter(|_| arrays.len() <= most) else {
        let got = arrays.len();
        return Err(PyTypeError::new_err(format!(
            "{got} arrays; wanted 1 to {most}"
        )));
    };
    let words = arrays.iter().map(|array| {
        want_shape(py, "an array", array, first.shape())?;
        Ok(Numbers::of(array)?.words())
    });
    words.collect()
}

fn slices<'a>(operands: &'a [Words<'_>]) -> Vec<&'a [u64]> {
    operands.iter().map(|words| &words[..]).collect()
}

type Answer<'py> = (Bound<'py, PyBytes>, Bound<'py, PyUntypedArray>);

// ---- element by element

/// Products of my x and the peer's y, or sums of some of them, element by element: both get shares modulo 2^ring_bits.
///
/// x are below 2^x_bits, y below 2^y_bits, 1 to 64 each; terms, a power of two, is the most products of a sum. The key
/// inside is fresh.
#[pyclass(name = "Products", frozen, module = "argot._core.rlwe")]
struct PyProducts {
    params: Arc<products::Params>,
    client: products::Client,
    server: OnceLock<products::Server>,
}

/// More would not fit the counts of bytes.
const MOST: usize = 1 << 40;

fn want_few(n: usize) -> PyResult<()> {
    match n <= MOST {
        true => Ok(()),
        false => Err(PyValueError::new_err(format!(
            "{n} products; wanted at most {MOST}"
        ))),
    }
}

#[pymethods]
impl PyProducts {
    #[new]
    #[pyo3(signature = (ring_bits, x_bits, y_bits, terms = products::TERMS))]
    fn new(
        py: Python<'_>,
        ring_bits: u32,
        x_bits: u32,
        y_bits: u32,
        terms: usize,
    ) -> PyResult<PyProducts> {
        py.detach(|| {
            let key = [ring_bits, x_bits, y_bits, terms as u32];
            let params = cached(&OF_PRODUCTS, key, || {
                products::Params::of_sums(ring_bits, x_bits, y_bits, terms)
            })?;
            let client = products::Client::new(&params)?;
            Ok(PyProducts {
                params,
                client,
                server: OnceLock::new(),
            })
        })
        .map_err(convert)
    }

    /// What the peer needs, once.
    fn public_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let key = py.detach(|| self.client.public_key()).map_err(convert)?;
        Ok(PyBytes::new(py, &key))
    }

    /// The peer's key, before the first answer. Raises BadCiphertext.
    fn meet(&self, py: Python<'_>, public_key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = View::of(public_key)?;
        let server = py.detach(|| products::Server::new(&self.params, key.as_slice()));
        meet(&self.server, server)
    }

    /// Bytes of a request and of an answer for n sums of so many products.
    #[pyo3(signature = (n, terms=1))]
    fn sizes(&self, n: usize, terms: usize) -> PyResult<(usize, usize)> {
        want_few(n)?;
        let most = self.params.terms;
        if !(1..=most).contains(&terms) {
            return Err(PyValueError::new_err(format!(
                "sums of {terms} products; wanted 1 to {most}"
            )));
        }
        let [request, answer] = self.params.bytes(n, terms);
        Ok((request, answer))
    }

    /// My x, one for each term, encrypted. Raises TooWide.
    #[pyo3(signature = (*x))]
    fn request<'py>(&self, py: Python<'py>, x: Vec<Array<'py>>) -> PyResult<Bound<'py, PyBytes>> {
        let x = operands(py, &x, self.params.terms)?;
        let request = py.detach(|| self.client.request(&slices(&x)));
        Ok(PyBytes::new(py, &request.map_err(convert)?))
    }

    /// The sum of each of the peer's x times one of my y: what it needs, and my share, like the first. Raises
    /// BadCiphertext, TooWide.
    #[pyo3(signature = (request, *y))]
    fn answer<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyAny>,
        y: Vec<Array<'py>>,
    ) -> PyResult<Answer<'py>> {
        let (server, request) = (met(&self.server)?, View::of(request)?);
        let numbers = operands(py, &y, self.params.terms)?;
        holds(&y[0].dtype(), self.params.ring_bits)?;
        let (answer, shares) = py
            .detach(|| server.answer(request.as_slice(), &slices(&numbers)))
            .map_err(convert)?;
        let shares = Words::Copied(Zeroizing::new(shares));
        let shares = array(py, shares, y[0].shape(), &y[0].dtype())?;
        Ok((PyBytes::new(py, &answer), shares))
    }

    /// My share of the sum of my x times the peer's y, in an array of that shape and dtype. Raises BadCiphertext.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        like_shape: Vec<usize>,
        dtype: &Bound<'py, PyAny>,
        answer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyUntypedArray>> {
        let dtype = dtype_of(dtype, self.params.ring_bits)?;
        let n = like_shape
            .iter()
            .fold(1usize, |n, &size| n.saturating_mul(size));
        want_few(n)?;
        let answer = View::of(answer)?;
        let shares = py
            .detach(|| self.client.finish(n, answer.as_slice()))
            .map_err(convert)?;
        let shares = Words::Copied(Zeroizing::new(shares));
        array(py, shares, &like_shape, &dtype)
    }
}

// ---- matrices and convolutions

/// What both have in common: keys and parameters.
struct Linear {
    params: Arc<Params>,
    client: linear::Client,
    server: OnceLock<linear::Server>,
}

impl Linear {
    fn new(py: Python<'_>, ring_bits: u32, operand_bits: u32, merging: bool) -> PyResult<Linear> {
        py.detach(|| {
            let widths = [ring_bits, operand_bits, merging.into()];
            let params = cached(&OF_MATRICES, widths, || match merging {
                true => Params::merging(ring_bits, operand_bits),
                false => Params::new(ring_bits, operand_bits),
            })?;
            let client = linear::Client::new(&params)?;
            Ok(Linear {
                params,
                client,
                server: OnceLock::new(),
            })
        })
        .map_err(convert)
    }

    fn public_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let key = py.detach(|| self.client.public_key()).map_err(convert)?;
        Ok(PyBytes::new(py, &key))
    }

    fn meet(&self, py: Python<'_>, public_key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = View::of(public_key)?;
        let server = py.detach(|| linear::Server::new(&self.params, key.as_slice()));
        meet(&self.server, server)
    }

    fn sizes(&self, plan: &impl Packing) -> (usize, usize) {
        (
            plan.request_bytes(&self.params),
            plan.answer_bytes(&self.params),
        )
    }
}

/// Products of matrices modulo 2^ring_bits, one encrypted: both parties get shares.
///
/// Those in the clear hold signed numbers of operand_bits. Which of the two is encrypted follows from the shapes, the one
/// that costs less. Merging takes fewer of large products, and more of the public key.
#[pyclass(name = "Matrices", frozen, module = "argot._core.rlwe")]
struct PyMatrices {
    linear: Linear,
    plans: Cache<[usize; 3], (Plan, bool)>,
}

impl PyMatrices {
    /// The plan, and whether the right matrix is encrypted: then it is that of the transposed product.
    fn plan(&self, py: Python<'_>, shape: [usize; 3]) -> PyResult<(Plan, bool)> {
        let best = || Plan::cheaper(&self.linear.params, shape);
        py.detach(|| cached(&self.plans, shape, best))
            .map_err(convert)
    }
}

/// (m, k, n) of two matrices.
fn shape_of(py: Python<'_>, left: &Array<'_>, right: &Array<'_>) -> PyResult<[usize; 3]> {
    match (left.shape(), right.shape()) {
        (&[m, k], &[inner, n]) if k == inner => Ok([m, k, n]),
        (x, y) => Err(mismatch(py, "product of matrices", x, y)),
    }
}

#[pymethods]
impl PyMatrices {
    #[new]
    #[pyo3(signature = (ring_bits, operand_bits, merging=false))]
    fn new(
        py: Python<'_>,
        ring_bits: u32,
        operand_bits: u32,
        merging: bool,
    ) -> PyResult<PyMatrices> {
        Ok(PyMatrices {
            linear: Linear::new(py, ring_bits, operand_bits, merging)?,
            plans: Mutex::new(Vec::new()),
        })
    }

    /// Bytes of a public key.
    fn key_size(&self) -> usize {
        self.linear.params.key_bytes()
    }

    /// What the peer needs, once.
    fn public_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.linear.public_key(py)
    }

    /// The peer's key, before the first answer. Raises BadCiphertext.
    fn meet(&self, py: Python<'_>, public_key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.linear.meet(py, public_key)
    }

    /// Bytes of a request and of an answer for (m, k) times (k, n).
    fn sizes(&self, py: Python<'_>, m: usize, k: usize, n: usize) -> PyResult<(usize, usize)> {
        Ok(self.linear.sizes(&self.plan(py, [m, k, n])?.0))
    }

    /// My left or my right matrix, encrypted: the one that is cheaper, and only it is read.
    fn request<'py>(
        &self,
        py: Python<'py>,
        left: Array<'py>,
        right: Array<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let [m, k, n] = shape_of(py, &left, &right)?;
        let (plan, transposed) = self.plan(py, [m, k, n])?;
        let (left, right) = (Numbers::of(&left)?, Numbers::of(&right)?);
        let request = py.detach(|| {
            let encrypted = match transposed {
                true => right.transposed(n),
                false => left.words(),
            };
            self.linear.client.request(&plan, &encrypted)
        });
        Ok(PyBytes::new(py, &request.map_err(convert)?))
    }

    /// The peer's encrypted matrix times mine of the other: what it needs, and my share (m, n). Raises BadCiphertext,
    /// TooWide.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyAny>,
        left: Array<'py>,
        right: Array<'py>,
    ) -> PyResult<Answer<'py>> {
        let (server, request) = (met(&self.linear.server)?, View::of(request)?);
        let [m, k, n] = shape_of(py, &left, &right)?;
        let (plan, transposed) = self.plan(py, [m, k, n])?;
        let plain = if transposed { &left } else { &right };
        let (numbers, dtype) = (Numbers::of(plain)?, plain.dtype());
        holds(&dtype, self.linear.params.ring_bits)?;
        let answered = py.detach(|| {
            let plain = match transposed {
                true => numbers.transposed(k),
                false => numbers.words(),
            };
            let (answer, shares) = server.answer(&plan, request.as_slice(), &plain)?;
            Ok((answer, result(shares, transposed, m)))
        });
        let (answer, shares) = answered.map_err(convert)?;
        let shares = array(py, shares, &[m, n], &dtype)?;
        Ok((PyBytes::new(py, &answer), shares))
    }

    /// My share (m, n) of the product that I requested. Raises BadCiphertext.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        m: usize,
        k: usize,
        n: usize,
        dtype: &Bound<'py, PyAny>,
        answer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyUntypedArray>> {
        let dtype = dtype_of(dtype, self.linear.params.ring_bits)?;
        let (plan, transposed) = self.plan(py, [m, k, n])?;
        let answer = View::of(answer)?;
        let shares = py.detach(|| {
            let shares = self.linear.client.finish(&plan, answer.as_slice())?;
            Ok(result(shares, transposed, m))
        });
        array(py, shares.map_err(convert)?, &[m, n], &dtype)
    }
}

/// Shares of a product with `m` rows; it comes column by column where the right matrix was encrypted.
fn result(shares: Vec<u64>, transposed: bool, m: usize) -> Words<'static> {
    let shares = Zeroizing::new(shares);
    match transposed {
        true => {
            let Words::Copied(turned) = Numbers::Long(&shares).transposed(m) else {
                unreachable!("a transposed matrix is a copy")
            };
            Words::Copied(turned)
        }
        false => Words::Copied(shares),
    }
}

/// Convolutions modulo 2^ring_bits without padding, the input encrypted, the kernels in the clear with signed numbers
/// of operand_bits: both parties get shares.
///
/// A shape is (channels, height, width, kernels, kernel height, kernel width, stride).
#[pyclass(name = "Convolutions", frozen, module = "argot._core.rlwe")]
struct PyConvolutions(Linear);

type Sizes = (usize, usize, usize, usize, usize, usize, usize);

impl PyConvolutions {
    fn plan(&self, py: Python<'_>, shape: Sizes) -> PyResult<Convolution> {
        let (channels, height, width, kernels, kernel_height, kernel_width, stride) = shape;
        let shape = Shape {
            channels,
            height,
            width,
            kernels,
            kernel_height,
            kernel_width,
            stride,
        };
        py.detach(|| Convolution::new(&self.0.params, shape))
            .map_err(convert)
    }
}

fn result_shape(plan: &Convolution) -> [usize; 3] {
    let [rows, columns] = plan.shape.result();
    [plan.shape.kernels, rows, columns]
}

#[pymethods]
impl PyConvolutions {
    #[new]
    fn new(py: Python<'_>, ring_bits: u32, operand_bits: u32) -> PyResult<PyConvolutions> {
        Linear::new(py, ring_bits, operand_bits, false).map(PyConvolutions)
    }

    /// What the peer needs, once.
    fn public_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.0.public_key(py)
    }

    /// The peer's key, before the first answer. Raises BadCiphertext.
    fn meet(&self, py: Python<'_>, public_key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.meet(py, public_key)
    }

    /// Bytes of a request and of an answer.
    fn sizes(&self, py: Python<'_>, shape: Sizes) -> PyResult<(usize, usize)> {
        Ok(self.0.sizes(&self.plan(py, shape)?))
    }

    /// My input (channels, height, width), encrypted.
    fn request<'py>(
        &self,
        py: Python<'py>,
        shape: Sizes,
        input: Array<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let plan = self.plan(py, shape)?;
        want_shape(py, "input", &input, &[shape.0, shape.1, shape.2])?;
        let input = Numbers::of(&input)?;
        let request = py.detach(|| self.0.client.request(&plan, &input.words()));
        Ok(PyBytes::new(py, &request.map_err(convert)?))
    }

    /// The peer's input convolved with my kernels (kernels, channels, kernel height, kernel width): what it needs, and my
    /// share (kernels, rows, columns). Raises BadCiphertext, TooWide.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        shape: Sizes,
        request: &Bound<'py, PyAny>,
        kernels: Array<'py>,
    ) -> PyResult<Answer<'py>> {
        let (server, request) = (met(&self.0.server)?, View::of(request)?);
        let plan = self.plan(py, shape)?;
        let want = [shape.3, shape.0, shape.4, shape.5];
        want_shape(py, "kernels", &kernels, &want)?;
        let (numbers, dtype) = (Numbers::of(&kernels)?, kernels.dtype());
        holds(&dtype, self.0.params.ring_bits)?;
        let (answer, shares) = py
            .detach(|| server.answer(&plan, request.as_slice(), &numbers.words()))
            .map_err(convert)?;
        let shares = Words::Copied(Zeroizing::new(shares));
        let shares = array(py, shares, &result_shape(&plan), &dtype)?;
        Ok((PyBytes::new(py, &answer), shares))
    }

    /// My share (kernels, rows, columns) of what I requested. Raises BadCiphertext.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        shape: Sizes,
        dtype: &Bound<'py, PyAny>,
        answer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyUntypedArray>> {
        let dtype = dtype_of(dtype, self.0.params.ring_bits)?;
        let plan = self.plan(py, shape)?;
        let answer = View::of(answer)?;
        let shares = py
            .detach(|| self.0.client.finish(&plan, answer.as_slice()))
            .map_err(convert)?;
        let shares = Words::Copied(Zeroizing::new(shares));
        array(py, shares, &result_shape(&plan), &dtype)
    }
}
