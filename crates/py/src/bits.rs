//! Bindings of `argot-ring` for bit-sliced booleans: functions of the module `ring` whose names begin with `bits_`.

use crate::array::{empty, mismatch, released, text, Array, Kind, Output};
use crate::ring::{binary, form, same_ring, same_shape, stream, Any, Form, Out};
use argot_ring::bits_move::{Axis, Views};
use argot_ring::elementwise::{And, Xor};
use argot_ring::{bits, bits_move, cross as products, Z128};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArrayMethods};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(bits_from_ring, m)?)?;
    m.add_function(wrap_pyfunction!(bits_to_ring, m)?)?;
    m.add_function(wrap_pyfunction!(bits_from_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(bits_pad_is_zero, m)?)?;
    m.add_function(wrap_pyfunction!(bits_xor, m)?)?;
    m.add_function(wrap_pyfunction!(bits_and, m)?)?;
    m.add_function(wrap_pyfunction!(bits_not, m)?)?;
    m.add_function(wrap_pyfunction!(bits_cross, m)?)?;
    m.add_function(wrap_pyfunction!(bits_zero, m)?)?;
    m.add_function(wrap_pyfunction!(bits_stream, m)?)?;
    m.add_function(wrap_pyfunction!(bits_take, m)?)?;
    m.add_function(wrap_pyfunction!(move_bits, m)?)
}

/// An argument that must be planes of `n` bits: uint64 of shape (..., ceil(n / 64)).
fn check_planes(py: Python<'_>, what: &str, planes: &Array<'_>, n: usize) -> PyResult<()> {
    if planes.kind()? != Kind::U64 {
        return Err(PyTypeError::new_err(format!(
            "{what}: planes of {}; wanted uint64",
            planes.dtype()
        )));
    }
    if planes.shape().last() != Some(&bits::words(n)) {
        return Err(PyValueError::new_err(format!(
            "{what}: planes of shape {}; wanted (width, {}) for {n} elements",
            text(py, planes.shape()),
            bits::words(n)
        )));
    }
    Ok(())
}

/// The low `width` bits of the elements of x in C order, as planes: uint64 of shape (width, ceil(n / 64)).
#[pyfunction]
fn bits_from_ring<'py>(py: Python<'py>, x: Array<'py>, width: usize) -> PyResult<Any<'py>> {
    let n = x.len();
    let bits_of = x.dtype().itemsize() * 8;
    if width > bits_of {
        return Err(PyValueError::new_err(format!(
            "bits_from_ring: {width} bits of words of {bits_of}"
        )));
    }
    let out = Output(empty(
        py,
        &[width, bits::words(n)],
        numpy::dtype::<u64>(py),
    )?);
    let o = out.slice::<u64>();
    let bytes = x.nbytes();
    match form(&x.dtype())? {
        Form::Bit | Form::Word8 => {
            let x = x.slice::<u8>();
            released(py, bytes, || bits::from_words(o, x, width))
        }
        Form::Word16 => {
            let x = x.slice::<u16>();
            released(py, bytes, || bits::from_words(o, x, width))
        }
        Form::Word32 => {
            let x = x.slice::<u32>();
            released(py, bytes, || bits::from_words(o, x, width))
        }
        Form::Word64 => {
            let x = x.slice::<u64>();
            released(py, bytes, || bits::from_words(o, x, width))
        }
        Form::Word128 => {
            let x = x.slice::<Z128>();
            released(py, bytes, || bits::from_words(o, x, width))
        }
    }
    Ok(out.into_array())
}

/// The elements whose low bits are the planes; `dtype` (a ring's, bool or an integer) has at least as many bits.
#[pyfunction]
fn bits_to_ring<'py>(
    py: Python<'py>,
    planes: Array<'py>,
    shape: Vec<usize>,
    dtype: &Bound<'py, PyAny>,
) -> PyResult<Any<'py>> {
    let dtype = PyArrayDescr::new(py, dtype)?;
    let n = shape.iter().product();
    check_planes(py, "bits_to_ring", &planes, n)?;
    let width: usize = planes.shape()[..planes.shape().len() - 1].iter().product();
    let form = form(&dtype)?;
    let room = match form {
        Form::Bit => 1,
        _ => dtype.itemsize() * 8,
    };
    if width > room {
        return Err(PyValueError::new_err(format!(
            "bits_to_ring: {width} planes; {dtype} has {room} bits"
        )));
    }
    let out = Output(empty(py, &shape, dtype)?);
    let from = planes.slice::<u64>();
    let bytes = out.0.len() * out.0.dtype().itemsize();
    match form {
        Form::Bit | Form::Word8 => {
            let o = out.slice::<u8>();
            released(py, bytes, || bits::to_words(o, from, width))
        }
        Form::Word16 => {
            let o = out.slice::<u16>();
            released(py, bytes, || bits::to_words(o, from, width))
        }
        Form::Word32 => {
            let o = out.slice::<u32>();
            released(py, bytes, || bits::to_words(o, from, width))
        }
        Form::Word64 => {
            let o = out.slice::<u64>();
            released(py, bytes, || bits::to_words(o, from, width))
        }
        Form::Word128 => {
            let o = out.slice::<Z128>();
            released(py, bytes, || bits::to_words(o, from, width))
        }
    }
    Ok(out.into_array())
}

/// Planes from the bytes of less than 64 elements: ceil(n / 8) bytes a plane.
#[pyfunction]
fn bits_from_bytes<'py>(
    py: Python<'py>,
    data: PyBuffer<u8>,
    width: usize,
    n: usize,
) -> PyResult<Any<'py>> {
    let each = n.div_ceil(8);
    if n >= 64 || data.item_count() != width * each {
        return Err(PyValueError::new_err(format!(
            "bits_from_bytes: {} bytes for {width} planes of {n} elements",
            data.item_count()
        )));
    }
    let mut bytes = vec![0; data.item_count()];
    data.copy_to_slice(py, &mut bytes)?;
    let out = Output(empty(
        py,
        &[width, bits::words(n)],
        numpy::dtype::<u64>(py),
    )?);
    for (plane, bytes) in out.slice::<u64>().iter_mut().zip(bytes.chunks(each.max(1))) {
        let mut word = [0; 8];
        word[..each].copy_from_slice(bytes);
        *plane = u64::from_le_bytes(word);
    }
    Ok(out.into_array())
}

/// Whether the bits beyond element n are zero in all planes.
#[pyfunction]
fn bits_pad_is_zero(py: Python<'_>, planes: Array<'_>, n: usize) -> PyResult<bool> {
    check_planes(py, "bits_pad_is_zero", &planes, n)?;
    Ok(bits::pad_is_zero(planes.slice::<u64>(), n))
}

/// x ^ y on planes of equal shape.
#[pyfunction]
#[pyo3(signature = (x, y, out=None))]
fn bits_xor<'py>(
    py: Python<'py>,
    x: Array<'py>,
    y: Array<'py>,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    same_shape(py, "bits_xor", &[&x, &y])?;
    binary::<Xor, Xor>(py, "bits_xor", x, y, out)
}

/// x & y on planes of equal shape.
#[pyfunction]
#[pyo3(signature = (x, y, out=None))]
fn bits_and<'py>(
    py: Python<'py>,
    x: Array<'py>,
    y: Array<'py>,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    same_shape(py, "bits_and", &[&x, &y])?;
    binary::<And, And>(py, "bits_and", x, y, out)
}

/// ~x on planes of n bits; pad bits stay zero.
#[pyfunction]
fn bits_not<'py>(py: Python<'py>, x: Array<'py>, n: usize) -> PyResult<Any<'py>> {
    check_planes(py, "bits_not", &x, n)?;
    let out = Output(empty(py, x.shape(), x.dtype())?);
    let (o, source) = (out.slice::<u64>(), x.slice::<u64>());
    released(py, x.nbytes(), || bits::not(o, source, n));
    Ok(out.into_array())
}

/// x0 & y0 ^ x0 & y1 ^ x1 & y0 ^ PRG(plus) ^ PRG(minus) on planes of n bits; pad bits zero.
#[pyfunction]
#[pyo3(signature = (x0, x1, y0, y1, plus, minus, n, out=None))]
#[allow(clippy::too_many_arguments)]
fn bits_cross<'py>(
    py: Python<'py>,
    x0: Array<'py>,
    x1: Array<'py>,
    y0: Array<'py>,
    y1: Array<'py>,
    plus: &[u8],
    minus: &[u8],
    n: usize,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    same_ring("bits_cross", &[&x0, &x1, &y0, &y1])?;
    same_shape(py, "bits_cross", &[&x0, &x1, &y0, &y1])?;
    check_planes(py, "bits_cross", &x0, n)?;
    let (plus, minus) = (stream("plus", plus)?, stream("minus", minus)?);
    let out = Output::new(py, out, x0.shape(), x0.dtype())?;
    let (x0, x1) = (out.disjoint(x0)?, out.disjoint(x1)?);
    let (y0, y1) = (out.disjoint(y0)?, out.disjoint(y1)?);
    let o = out.slice::<u64>();
    let x = [x0.slice::<u64>(), x1.slice::<u64>()];
    let y = [y0.slice::<u64>(), y1.slice::<u64>()];
    released(py, x0.nbytes(), || {
        products::bits_cross(o, x, y, &plus, &minus, n)
    });
    Ok(out.into_array())
}

/// PRG(plus) ^ PRG(minus) as planes of shape (width, ceil(n / 64)); pad bits zero.
#[pyfunction]
fn bits_zero<'py>(
    py: Python<'py>,
    width: usize,
    n: usize,
    plus: &[u8],
    minus: &[u8],
) -> PyResult<Any<'py>> {
    let (plus, minus) = (stream("plus", plus)?, stream("minus", minus)?);
    let out = Output(empty(
        py,
        &[width, bits::words(n)],
        numpy::dtype::<u64>(py),
    )?);
    let o = out.slice::<u64>();
    released(py, o.len() * 8, || products::bits_zero(o, &plus, &minus, n));
    Ok(out.into_array())
}

/// PRG(key) as planes of shape (width, ceil(n / 64)); pad bits zero.
#[pyfunction]
fn bits_stream<'py>(py: Python<'py>, key: &[u8], width: usize, n: usize) -> PyResult<Any<'py>> {
    let stream = stream("key", key)?;
    let out = Output(empty(
        py,
        &[width, bits::words(n)],
        numpy::dtype::<u64>(py),
    )?);
    let o = out.slice::<u64>();
    released(py, o.len() * 8, || products::bits_stream(o, &stream, n));
    Ok(out.into_array())
}

/// Planes whose element i is element index[i] of planes of n bits, or zero where index[i] is -1; `index` is int64.
#[pyfunction]
fn bits_take<'py>(
    py: Python<'py>,
    planes: Array<'py>,
    n: usize,
    index: Array<'py>,
) -> PyResult<Any<'py>> {
    check_planes(py, "bits_take", &planes, n)?;
    if index.dtype().kind() != b'i' || index.dtype().itemsize() != 8 {
        return Err(PyTypeError::new_err(format!(
            "bits_take: an index of {}; wanted int64",
            index.dtype()
        )));
    }
    let at = index.slice::<i64>();
    if let Some(bad) = at.iter().find(|at| **at < -1 || **at >= n as i64) {
        return Err(PyValueError::new_err(format!(
            "bits_take: index {bad} into {n} elements"
        )));
    }
    let mut shape = planes.shape().to_vec();
    let from_words = shape[shape.len() - 1];
    let last = shape.len() - 1;
    shape[last] = bits::words(at.len());
    let out = Output(empty(py, &shape, planes.dtype())?);
    let (o, from) = (out.slice::<u64>(), planes.slice::<u64>());
    released(py, o.len() * 64, || {
        o.fill(0);
        bits_move::take(o, from, from_words, at)
    });
    Ok(out.into_array())
}

/// Move elements of planes of n bits to the planes `out` of out_n bits: from the places start + sum i_d from_d to
/// out_start + sum i_d to_d, for all 0 <= i_d < length_d; `axes` are (length, from, to), outermost first. The places
/// of `out` that receive an element must be zero before; others keep theirs. Returns `out`.
#[pyfunction]
#[pyo3(name = "bits_move")]
#[allow(clippy::too_many_arguments)]
fn move_bits<'py>(
    py: Python<'py>,
    planes: Array<'py>,
    n: usize,
    start: isize,
    out: Any<'py>,
    out_n: usize,
    out_start: isize,
    axes: Vec<(usize, isize, isize)>,
) -> PyResult<Any<'py>> {
    check_planes(py, "bits_move", &planes, n)?;
    let given = out.extract::<Array<'py>>()?;
    check_planes(py, "bits_move", &given, out_n)?;
    let rows = planes.shape().len() - 1;
    if given.shape().len() != rows + 1 || given.shape()[..rows] != planes.shape()[..rows] {
        return Err(mismatch(py, "bits_move", planes.shape(), given.shape()));
    }
    let shape = given.shape().to_vec();
    let out = Output::new(py, Some(out), &shape, planes.dtype())?;
    let planes = out.disjoint(planes)?;
    if axes.iter().all(|(length, _, _)| *length > 0) {
        let ends = |pick: fn(&(usize, isize, isize)) -> isize, start: isize| {
            axes.iter()
                .fold((start as i128, start as i128), |(lo, hi), axis| {
                    let far = (axis.0 as i128 - 1) * pick(axis) as i128;
                    (lo + far.min(0), hi + far.max(0))
                })
        };
        let (lo, hi) = ends(|axis| axis.1, start);
        let (out_lo, out_hi) = ends(|axis| axis.2, out_start);
        if lo < 0 || hi >= n as i128 || out_lo < 0 || out_hi >= out_n as i128 {
            return Err(PyValueError::new_err(format!(
                "bits_move: from places {lo}..{hi} of {n} to places {out_lo}..{out_hi} of {out_n}"
            )));
        }
    }
    let axes: Vec<Axis> = axes
        .into_iter()
        .map(|(length, from, to)| Axis { length, from, to })
        .collect();
    let (o, from) = (out.slice::<u64>(), planes.slice::<u64>());
    let (o_words, from_words) = (bits::words(out_n), bits::words(n));
    let views = Views {
        from: start,
        to: out_start,
        axes: &axes,
    };
    released(py, o.len() * 64, || {
        bits_move::strided(o, o_words, from, from_words, views)
    });
    Ok(out.into_array())
}
