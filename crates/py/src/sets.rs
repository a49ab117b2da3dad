//! Bindings of `argot-sets`.

use argot_sets::group::{self, Blinder, Encoded, Uniform};
use argot_sets::items::{self, Column, Kind};
use argot_sets::{matching, NoRandomness};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyList, PyString};

pyo3::create_exception!(
    argot._core.sets,
    BadPoint,
    PyValueError,
    "Bytes that are no canonical encoding of a point, or the identity."
);
pyo3::create_exception!(
    argot._core.sets,
    RepeatedTag,
    PyValueError,
    "A list of tags holds one twice."
);
pyo3::create_exception!(
    argot._core.sets,
    BadKey,
    PyValueError,
    "A key that cannot be used: what it is, its column, its row."
);

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("BadPoint", m.py().get_type::<BadPoint>())?;
    m.add("RepeatedTag", m.py().get_type::<RepeatedTag>())?;
    m.add("BadKey", m.py().get_type::<BadKey>())?;
    m.add_class::<PyBlinder>()?;
    m.add_function(wrap_pyfunction!(uniform, m)?)?;
    m.add_function(wrap_pyfunction!(duplicates, m)?)?;
    m.add_function(wrap_pyfunction!(from_uniform, m)?)?;
    m.add_function(wrap_pyfunction!(permutation, m)?)?;
    m.add_function(wrap_pyfunction!(tags, m)?)?;
    m.add_function(wrap_pyfunction!(common, m)?)
}

impl From<NoRandomnessError> for PyErr {
    fn from(_: NoRandomnessError) -> PyErr {
        PyOSError::new_err("the operating system gives no random bytes")
    }
}

struct NoRandomnessError;

impl From<NoRandomness> for NoRandomnessError {
    fn from(_: NoRandomness) -> NoRandomnessError {
        NoRandomnessError
    }
}

/// Rows of exactly `N` bytes.
fn rows<'a, const N: usize>(
    name: &str,
    array: &'a PyReadonlyArray2<'_, u8>,
) -> PyResult<&'a [[u8; N]]> {
    if array.shape()[1] != N {
        return Err(PyValueError::new_err(format!(
            "{name} has shape {:?}, wanted (n, {N})",
            array.shape()
        )));
    }
    let bytes = array
        .as_slice()
        .map_err(|_| PyValueError::new_err(format!("{name} is not C-contiguous")))?;
    Ok(bytes.as_chunks().0)
}

fn to_array<'py, const N: usize>(
    py: Python<'py>,
    rows: Vec<[u8; N]>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let n = rows.len();
    rows.into_flattened().into_pyarray(py).reshape([n, N])
}

/// The 64 bytes that stand for the key of each row, of shape (rows, 64).
///
/// Columns are int64 or uint64 arrays, or lists of integers, of strings or of bytes. `domain` separates uses.
/// Returns them and the kind of each column. Raises BadKey(reason, column, row).
#[pyfunction]
fn uniform<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyAny>>,
    domain: &str,
) -> PyResult<(Bound<'py, PyArray2<u8>>, Vec<&'static str>)> {
    let columns: Vec<Column> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| read_column(column, i))
        .collect::<PyResult<_>>()?;
    let lengths: Vec<usize> = columns.iter().map(|c| c.ends.len()).collect();
    let rows = lengths.first().copied().unwrap_or(0);
    if lengths.iter().any(|n| *n != rows) {
        return Err(PyValueError::new_err(format!(
            "key columns have different lengths: {lengths:?}"
        )));
    }
    let kinds = columns.iter().map(|c| name_of(c.kind)).collect();
    let items = py.detach(|| items::uniform(&columns, rows, domain));
    Ok((to_array(py, items)?, kinds))
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "integer",
        Kind::Text => "text",
        Kind::Bytes => "bytes",
    }
}

fn read_column(values: &Bound<'_, PyAny>, index: usize) -> PyResult<Column> {
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, i64>>() {
        return Ok(integers(
            array.as_array().iter().map(|v| i128::from(*v)),
            array.len(),
        ));
    }
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, u64>>() {
        return Ok(integers(
            array.as_array().iter().map(|v| i128::from(*v)),
            array.len(),
        ));
    }
    let list = values.cast::<PyList>()?;
    let kind = match list.iter().next() {
        Some(first) => kind_of(&plain(first)),
        None => Some(Kind::Text),
    };
    let Some(kind) = kind else {
        return Err(bad_key(&list.get_item(0)?, None, index, 0));
    };
    let mut column = Column::new(kind, list.len());
    for (row, value) in list.iter().map(plain).enumerate() {
        if kind_of(&value) != Some(kind) || push(&mut column, &value).is_err() {
            return Err(bad_key(&value, Some(kind), index, row));
        }
    }
    Ok(column)
}

fn integers(values: impl Iterator<Item = i128>, rows: usize) -> Column {
    let mut column = Column::new(Kind::Integer, rows);
    values.for_each(|v| column.push_integer(v));
    column
}

/// Integers of NumPy as those of Python; anything else as it is.
fn plain(value: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
    if kind_of(&value).is_some() || value.is_instance_of::<PyBool>() {
        return value;
    }
    let index = value.call_method0(pyo3::intern!(value.py(), "__index__"));
    index.unwrap_or(value)
}

fn kind_of(value: &Bound<'_, PyAny>) -> Option<Kind> {
    if value.is_instance_of::<PyString>() {
        Some(Kind::Text)
    } else if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        Some(Kind::Integer)
    } else if value.is_instance_of::<PyBytes>() {
        Some(Kind::Bytes)
    } else {
        None
    }
}

/// Fails for text that UTF-8 cannot hold (a lone surrogate).
fn push(column: &mut Column, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match column.kind {
        Kind::Text => column.push(value.cast::<PyString>()?.to_str()?.as_bytes()),
        Kind::Bytes => column.push(value.cast::<PyBytes>()?.as_bytes()),
        Kind::Integer => match value.extract::<i64>() {
            Ok(small) => column.push_integer(i128::from(small)),
            Err(_) => {
                let bits: usize = value.call_method0("bit_length")?.extract()?;
                let kwargs = pyo3::types::PyDict::new(value.py());
                kwargs.set_item("signed", true)?;
                let bytes =
                    value.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&kwargs))?;
                let bytes = bytes.cast::<PyBytes>()?.as_bytes();
                column.push(&bytes[..items::shortest(bytes)]);
            }
        },
    }
    Ok(())
}

fn bad_key(value: &Bound<'_, PyAny>, wanted: Option<Kind>, column: usize, row: usize) -> PyErr {
    let found = value
        .get_type()
        .name()
        .map_or_else(|_| "unknown".into(), |name| name.to_string());
    let reason = match (kind_of(value), wanted) {
        (Some(kind), Some(wanted)) if kind == wanted => format!("{found} with a lone surrogate"),
        (_, Some(wanted)) => format!("{found} in a column of {}", name_of(wanted)),
        (_, None) => found,
    };
    BadKey::new_err((reason, column, row))
}

/// How many rows have the key of an earlier row, and the first `limit` of them as (earlier row, row).
#[pyfunction]
fn duplicates(
    py: Python<'_>,
    items: PyReadonlyArray2<'_, u8>,
    limit: usize,
) -> PyResult<(usize, Vec<(usize, usize)>)> {
    let items: &[Uniform] = rows("items", &items)?;
    Ok(py.detach(|| items::duplicates(items, limit)))
}

/// The points that RFC 9496 section 4.3.4 gives for uniform bytes, encoded: (n, 64) to (n, 32).
#[pyfunction]
fn from_uniform<'py>(
    py: Python<'py>,
    items: PyReadonlyArray2<'_, u8>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let items: &[Uniform] = rows("items", &items)?;
    to_array(
        py,
        py.detach(|| items.iter().map(group::from_uniform).collect()),
    )
}

/// A fresh secret scalar. It cannot be read, and is wiped when dropped.
#[pyclass(name = "Blinder", frozen)]
struct PyBlinder(Blinder);

#[pymethods]
impl PyBlinder {
    #[new]
    fn new() -> Result<PyBlinder, NoRandomnessError> {
        Ok(PyBlinder(Blinder::new()?))
    }

    /// Items of shape (n, 64) as points times the scalar, of shape (n, 32).
    fn blind<'py>(
        &self,
        py: Python<'py>,
        items: PyReadonlyArray2<'_, u8>,
    ) -> PyResult<Bound<'py, PyArray2<u8>>> {
        let items: &[Uniform] = rows("items", &items)?;
        let out = py.detach(|| {
            let mut out = vec![[0; 32]; items.len()];
            self.0.blind(items, &mut out);
            out
        });
        to_array(py, out)
    }

    /// Points of shape (n, 32) times the scalar. Raises BadPoint with the first position that is no point.
    fn reblind<'py>(
        &self,
        py: Python<'py>,
        points: PyReadonlyArray2<'_, u8>,
    ) -> PyResult<Bound<'py, PyArray2<u8>>> {
        let points: &[Encoded] = rows("points", &points)?;
        let out = py.detach(|| {
            let mut out = vec![[0; 32]; points.len()];
            self.0.reblind(points, &mut out).map(|()| out)
        });
        match out {
            Ok(out) => to_array(py, out),
            Err(bad) => Err(BadPoint::new_err(bad.0)),
        }
    }

    fn __repr__(&self) -> &'static str {
        "Blinder(secret)"
    }
}

/// A permutation of 0..n from the operating system's randomness.
#[pyfunction]
fn permutation(py: Python<'_>, n: usize) -> Result<Bound<'_, PyArray1<i64>>, NoRandomnessError> {
    let order = py.detach(|| argot_sets::permutation(n))?;
    Ok(order.into_pyarray(py))
}

/// Tags of `length` bytes (1 to 16) of points: (n, 32) to (n, length).
#[pyfunction]
fn tags<'py>(
    py: Python<'py>,
    points: PyReadonlyArray2<'_, u8>,
    length: usize,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let points: &[Encoded] = rows("points", &points)?;
    if !(1..=matching::LONGEST).contains(&length) {
        return Err(PyValueError::new_err(format!(
            "a tag of {length} bytes, wanted 1 to {}",
            matching::LONGEST
        )));
    }
    py.detach(|| matching::tags(points, length))
        .into_pyarray(py)
        .reshape([points.len(), length])
}

/// Positions in `left` and in `right` of the tags that both hold, in the order of the tags.
/// Raises RepeatedTag(list, position, position).
#[pyfunction]
#[allow(clippy::type_complexity)]
fn common<'py>(
    py: Python<'py>,
    left: PyReadonlyArray2<'_, u8>,
    right: PyReadonlyArray2<'_, u8>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>)> {
    let length = left.shape()[1];
    if right.shape()[1] != length || !(1..=matching::LONGEST).contains(&length) {
        return Err(PyValueError::new_err(format!(
            "tags of shapes {:?} and {:?}, wanted equal lengths of 1 to {}",
            left.shape(),
            right.shape(),
            matching::LONGEST
        )));
    }
    let not_contiguous = |_| PyValueError::new_err("tags are not C-contiguous");
    let (l, r) = (
        left.as_slice().map_err(not_contiguous)?,
        right.as_slice().map_err(not_contiguous)?,
    );
    match py.detach(|| matching::common(l, r, length)) {
        Ok((left, right)) => Ok((left.into_pyarray(py), right.into_pyarray(py))),
        Err(found) => Err(RepeatedTag::new_err((
            found.list,
            found.positions.0,
            found.positions.1,
        ))),
    }
}
