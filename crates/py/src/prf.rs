//! Bindings of `argot-prf`.

use crate::array::Output;
use argot_prf::{Backend, Stream};
use numpy::{
    IntoPyArray, PyArray1, PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySequence};

/// Bytes of one thread's part of a large draw: fits the second cache.
const CHUNK: usize = 256 << 10;
/// Elements of a permutation.
const MOST: usize = 1 << 32;
/// A draw above this releases the GIL; below, releasing costs more than drawing.
const RELEASE: usize = 4 << 10;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(derive, m)?)?;
    m.add_function(wrap_pyfunction!(derive_key, m)?)?;
    m.add_function(wrap_pyfunction!(hash, m)?)?;
    m.add_function(wrap_pyfunction!(fill, m)?)?;
    m.add_function(wrap_pyfunction!(permutation, m)?)?;
    m.add_function(wrap_pyfunction!(backend, m)?)?;
    m.add_function(wrap_pyfunction!(set_backend, m)?)
}

/// A byte string of exactly `N`, or a ValueError that names it.
pub fn exactly<const N: usize>(name: &str, bytes: &[u8]) -> PyResult<[u8; N]> {
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err(format!("{name} has {} bytes, wanted {N}", bytes.len())))
}

/// The 16-byte key of one draw: keyed BLAKE3 over run id (32 bytes) and name, under the key (32 bytes) of the
/// parties entitled to it.
#[pyfunction]
fn derive<'py>(
    py: Python<'py>,
    subset_key: &[u8],
    run_id: &[u8],
    name: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let key = argot_prf::derive(
        &exactly("subset_key", subset_key)?,
        &exactly("run_id", run_id)?,
        name,
    );
    Ok(PyBytes::new(py, &key))
}

/// 32 bytes: BLAKE3's key derivation of `material`; `context` names the purpose.
#[pyfunction]
fn derive_key<'py>(py: Python<'py>, context: &str, material: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &argot_prf::derive_key(context, material))
}

/// The BLAKE3 hash of `data`, 32 bytes.
#[pyfunction]
fn hash<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    let digest = if data.len() > RELEASE {
        py.detach(|| argot_prf::hash(data))
    } else {
        argot_prf::hash(data)
    };
    PyBytes::new(py, &digest)
}

/// A permutation of 0..n, every one equally likely, from the stream of `key` (16 bytes).
#[pyfunction]
fn permutation<'py>(py: Python<'py>, key: &[u8], n: usize) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let key = exactly("key", key)?;
    if n > MOST {
        return Err(PyValueError::new_err(format!(
            "a permutation of {n}; wanted {MOST} or less"
        )));
    }
    let order = py.detach(|| argot_prf::permutation(&key, n));
    Ok(order.into_pyarray(py))
}

/// A fresh array filled from the AES-128-CTR stream of `key` (16 bytes), little endian, from counter 0.
/// `dtype` is an integer or a structure of integers. Or the array `out` of that shape and dtype.
#[pyfunction]
#[pyo3(signature = (key, shape, dtype, out=None))]
fn fill<'py>(
    py: Python<'py>,
    key: &[u8],
    shape: Shape,
    dtype: &Bound<'py, PyAny>,
    out: Option<Bound<'py, PyUntypedArray>>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let stream = Stream::new(&exactly("key", key)?);
    let dtype = match dtype.cast::<PyArrayDescr>() {
        Ok(descr) => descr.clone(),
        Err(_) => PyArrayDescr::new(py, dtype)?,
    };
    if !matches!(dtype.kind(), b'u' | b'i' | b'V') || dtype.has_object() {
        return Err(PyTypeError::new_err(format!(
            "dtype {dtype} cannot be drawn; wanted an integer dtype"
        )));
    }
    let array = Output::new(py, out, &shape.0, dtype)?.0;
    let length = array.len() * array.dtype().itemsize();
    // SAFETY: a C-contiguous array, fresh or the caller's to be written; any bytes are valid for its dtype.
    let bytes: &mut [u8] = unsafe {
        let data = (*array.as_array_ptr()).data;
        if length == 0 {
            &mut []
        } else {
            std::slice::from_raw_parts_mut(data.cast(), length)
        }
    };
    if length <= RELEASE {
        stream.fill_at(0, bytes);
    } else {
        py.detach(|| stream.fill_parallel(0, bytes, CHUNK));
    }
    Ok(array)
}

/// A shape: an integer or a sequence of them.
struct Shape(Vec<usize>);

impl<'a, 'py> FromPyObject<'a, 'py> for Shape {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Shape> {
        if object.cast::<PySequence>().is_ok() {
            object.extract().map(Shape)
        } else {
            Ok(Shape(vec![object.extract()?]))
        }
    }
}

/// The implementation of AES in use: "vaes512", "vaes256", "aesni" or "portable".
#[pyfunction]
fn backend() -> &'static str {
    Backend::current().name()
}

/// Use another implementation from now on, in tests; ValueError where the processor does not have it.
#[pyfunction]
fn set_backend(name: &str) -> PyResult<()> {
    let names = || Backend::ALL.map(Backend::name).join(", ");
    let Some(backend) = Backend::by_name(name) else {
        return Err(PyValueError::new_err(format!(
            "no backend {name:?}; there are {}",
            names()
        )));
    };
    if backend.choose() {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!(
            "this processor cannot run the backend {name}"
        )))
    }
}
