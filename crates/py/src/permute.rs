//! Bindings of private permutations: functions of the module `ot`, and what its classes need.

use crate::array::{empty, kind_of, released, Kind};
use crate::ot::raised;
use argot_ot::network;
use argot_ot::permute::{self, Column, Rows};
use argot_ring::Z128;
use numpy::{
    IntoPyArray, PyArray2, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(switches, m)?)?;
    m.add_function(wrap_pyfunction!(route, m)?)?;
    m.add_function(wrap_pyfunction!(permute_bytes, m)?)
}

/// Correlations that a permutation of `n` rows takes.
#[pyfunction]
fn switches(n: usize) -> PyResult<usize> {
    network::check_rows(n).map_err(raised)?;
    Ok(network::switches(n))
}

/// The choices of a mover whose row i is row `index[i]`, int64: uint64 of shape (1, ceil(switches(n) / 64)).
#[pyfunction]
fn route<'py>(
    py: Python<'py>,
    index: PyReadonlyArray1<'py, i64>,
) -> PyResult<Bound<'py, PyArray2<u64>>> {
    let index = index
        .as_slice()
        .map_err(|_| PyValueError::new_err("index is not C-contiguous"))?;
    let planes = released(py, 8 * index.len(), || network::route(index)).map_err(raised)?;
    let words = planes.len();
    planes.into_pyarray(py).reshape([1, words])
}

/// Bytes of the giver's message for `n` rows.
#[pyfunction]
fn permute_bytes(n: usize, kinds: Vec<Given<'_>>) -> PyResult<usize> {
    permute::message_len(n, &columns(&kinds)).map_err(raised)
}

/// A column as given: a dtype of a ring or `"bits"` with their number, and how many elements a row has.
pub struct Given<'py> {
    dtype: Bound<'py, PyArrayDescr>,
    column: Column,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Given<'py>> {
        let (kind, per_row): (Bound<'py, PyAny>, usize) = object.extract()?;
        let py = object.py();
        if let Some(width) = bits(&kind)? {
            let column = Column {
                kind: permute::Kind::Bits(width),
                per_row,
            };
            return Ok(Given {
                dtype: numpy::dtype::<u64>(py),
                column,
            });
        }
        let dtype = PyArrayDescr::new(py, &kind)?;
        let kind = match kind_of(&dtype) {
            Some(Kind::U32) => permute::Kind::U32,
            Some(Kind::U64) => permute::Kind::U64,
            Some(Kind::U128) => permute::Kind::U128,
            None => {
                return Err(PyTypeError::new_err(format!(
                    "a column of {dtype}; wanted uint32, uint64, ring.Z128, \"bits\" or \"bits1\" to \"bits64\""
                )))
            }
        };
        Ok(Given {
            dtype,
            column: Column { kind, per_row },
        })
    }
}

/// The width that `"bits"`, 64 of them, or `"bits17"` stands for.
fn bits(kind: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    let Ok(name) = kind.extract::<String>() else {
        return Ok(None);
    };
    match name.strip_prefix("bits") {
        None => Ok(None),
        Some("") => Ok(Some(64)),
        Some(width) => width.parse().map(Some).map_err(|_| {
            PyValueError::new_err(format!(
                "a column of {name:?}; wanted \"bits1\" to \"bits64\""
            ))
        }),
    }
}

pub fn columns(kinds: &[Given<'_>]) -> Vec<Column> {
    kinds.iter().map(|given| given.column).collect()
}

/// Arrays of shape (n,) where a row has one element, else (n, elements).
pub fn to_arrays<'py>(
    py: Python<'py>,
    n: usize,
    kinds: &[Given<'py>],
    rows: Vec<Rows>,
) -> PyResult<Vec<Bound<'py, PyUntypedArray>>> {
    let arrays = kinds.iter().zip(rows).map(|(given, rows)| match rows {
        Rows::U32(x) => to_array(py, n, given, &x),
        Rows::U64(x) | Rows::Bits(x) => to_array(py, n, given, &x),
        Rows::U128(x) => {
            let x: Vec<Z128> = x.into_iter().map(Z128::new).collect();
            to_array(py, n, given, &x)
        }
    });
    arrays.collect()
}

fn to_array<'py, T: Copy>(
    py: Python<'py>,
    n: usize,
    given: &Given<'py>,
    elements: &[T],
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let per_row = given.column.per_row;
    let shape = if per_row == 1 {
        vec![n]
    } else {
        vec![n, per_row]
    };
    let array = empty(py, &shape, given.dtype.clone())?;
    assert_eq!(
        array.len() * array.dtype().itemsize(),
        size_of_val(elements)
    );
    // SAFETY: the array is fresh, contiguous and of exactly these bytes; the elements are integers, and so are its own.
    unsafe {
        let data: *mut u8 = (*array.as_array_ptr()).data.cast();
        std::ptr::copy_nonoverlapping(elements.as_ptr().cast(), data, size_of_val(elements));
    }
    Ok(array)
}
