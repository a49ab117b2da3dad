//! Bindings of the elementary functions of `argot-ring`: `approx_*`.
//!
//! Arrays are one-dimensional and C-contiguous. A `half` of masked factors is either the key that masks them (bytes) or
//! the array that came.

use crate::prf::exactly;
use argot_prf::Stream;
use argot_ring::approx_exponent as exponent;
use argot_ring::approx_fourier::{self as fourier, Half, Series};
use argot_ring::approx_lift::{self, Side};
use argot_ring::approx_plain::{Function, Grid};
use argot_ring::approx_pow2::{self as pow2, Factor, HalfWords};
use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

type Words<'py> = PyReadonlyArray1<'py, u64>;
type Bytes<'py> = PyReadonlyArray1<'py, u8>;
type OutWords<'py> = Bound<'py, PyArray1<u64>>;
type OutBytes<'py> = Bound<'py, PyArray1<u8>>;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("LENGTH_BYTES", exponent::BYTES)?;
    m.add("POWER_BITS", pow2::POWER_BITS)?;
    m.add("SCALE_TERMS", pow2::SCALE_TERMS)?;
    m.add_function(wrap_pyfunction!(fourier_left, m)?)?;
    m.add_function(wrap_pyfunction!(fourier_right, m)?)?;
    m.add_function(wrap_pyfunction!(power_left, m)?)?;
    m.add_function(wrap_pyfunction!(power_right, m)?)?;
    m.add_function(wrap_pyfunction!(scale_left, m)?)?;
    m.add_function(wrap_pyfunction!(scale_right, m)?)?;
    m.add_function(wrap_pyfunction!(lift_deal, m)?)?;
    m.add_function(wrap_pyfunction!(lift_bits, m)?)?;
    m.add_function(wrap_pyfunction!(lift_finish, m)?)?;
    m.add_function(wrap_pyfunction!(length_left, m)?)?;
    m.add_function(wrap_pyfunction!(length_right, m)?)?;
    m.add_function(wrap_pyfunction!(plain, m)?)?;
    m.add_function(wrap_pyfunction!(plain_divide, m)?)
}

fn invalid(message: String) -> PyErr {
    PyValueError::new_err(message)
}

fn same(name: &str, have: usize, want: usize) -> PyResult<()> {
    if have == want {
        return Ok(());
    }
    Err(invalid(format!(
        "{name} has {have} elements, wanted {want}"
    )))
}

/// Width of a factor in bytes.
fn width(bytes: usize) -> PyResult<()> {
    if (4..=8).contains(&bytes) {
        return Ok(());
    }
    Err(invalid(format!("factors of {bytes} bytes, wanted 4 to 8")))
}

fn rows<'a>(arrays: &'a [Words<'_>], n: usize) -> PyResult<Vec<&'a [u64]>> {
    arrays
        .iter()
        .map(|array| {
            same("a row of factors", array.len(), n)?;
            Ok(array.as_slice()?)
        })
        .collect()
}

/// At least one key.
fn masks(keys: &[Vec<u8>]) -> PyResult<Vec<[u8; 16]>> {
    if keys.is_empty() {
        return Err(invalid("no key that masks the factors".into()));
    }
    keys.iter().map(|key| exactly("key", key)).collect()
}

/// The left factors of a sum of products in Z_2^(8 bytes), less the masks of all keys: for each of `gains` the cosine and
/// the sine of the multiple of `phase` (2^-64 turns), then `factors`.
#[pyfunction]
fn fourier_left<'py>(
    py: Python<'py>,
    phase: Words<'py>,
    gains: Vec<f64>,
    factors: Vec<Words<'py>>,
    bytes: usize,
    keys: Vec<Vec<u8>>,
) -> PyResult<OutBytes<'py>> {
    width(bytes)?;
    let keys = masks(&keys)?;
    let (phase, factors) = (phase.as_slice()?, rows(&factors, phase.len())?);
    let mut out = vec![0; phase.len() * (2 * gains.len() + factors.len()) * bytes];
    py.detach(|| fourier::left(phase, &gains, &factors, bytes, &keys, &mut out));
    Ok(PyArray1::from_vec(py, out))
}

/// This side's half of the sum of products, mod 2^(8 bytes): harmonic k has the coefficients `cos[k-1]`, `sin[k-1]`.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn fourier_right<'py>(
    py: Python<'py>,
    phase: Words<'py>,
    cos: Vec<f64>,
    sin: Vec<f64>,
    factors: Vec<Words<'py>>,
    bytes: usize,
    half: &Bound<'py, PyAny>,
    constant: u64,
) -> PyResult<OutWords<'py>> {
    width(bytes)?;
    same("sin", sin.len(), cos.len())?;
    let (phase, factors) = (phase.as_slice()?, rows(&factors, phase.len())?);
    let series = Series {
        cos: &cos,
        sin: &sin,
        factors: &factors,
    };
    let mut out = vec![0; phase.len()];
    if let Ok(key) = half.cast::<PyBytes>() {
        let key = exactly("half", key.as_bytes())?;
        py.detach(|| fourier::right(phase, &series, bytes, Half::Mask(&key), constant, &mut out));
    } else {
        let sent: Bytes = half.extract()?;
        let sent = sent.as_slice()?;
        same(
            "half",
            sent.len(),
            phase.len() * (2 * cos.len() + factors.len()) * bytes,
        )?;
        py.detach(|| fourier::right(phase, &series, bytes, Half::Sent(sent), constant, &mut out));
    }
    Ok(PyArray1::from_vec(py, out))
}

fn flags<'a>(name: &str, bits: &'a Option<Bytes<'_>>, n: usize) -> PyResult<Option<&'a [u8]>> {
    match bits {
        None => Ok(None),
        Some(bits) => {
            same(name, bits.len(), n)?;
            Ok(Some(bits.as_slice()?))
        }
    }
}

/// The left factors of (-1)^sign * gate * 2^(exponent / 2^57 + shift) in Z_(2^128 - 1), less the masks of all keys: two
/// words each.
#[pyfunction]
#[pyo3(signature = (exponent, shift, sign, gate, keys))]
fn power_left<'py>(
    py: Python<'py>,
    exponent: Words<'py>,
    shift: u32,
    sign: Option<Bytes<'py>>,
    gate: Option<Bytes<'py>>,
    keys: Vec<Vec<u8>>,
) -> PyResult<OutWords<'py>> {
    let keys = masks(&keys)?;
    let n = exponent.len();
    let (sign, gate) = (flags("sign", &sign, n)?, flags("gate", &gate, n)?);
    let factor = Factor {
        exponent: exponent.as_slice()?,
        shift,
        sign,
        gate,
    };
    let mut out = vec![0; n * factor.terms() * 2];
    py.detach(|| pow2::left(&factor, &keys, &mut out));
    Ok(PyArray1::from_vec(py, out))
}

/// This side's addends of the product, rotated left by each of `rotations`, then divided by 2^64 and rounded: a row each.
/// One side is the `first`.
#[pyfunction]
#[pyo3(signature = (exponent, sign, gate, half, first, rotations))]
fn power_right<'py>(
    py: Python<'py>,
    exponent: Words<'py>,
    sign: Option<Bytes<'py>>,
    gate: Option<Bytes<'py>>,
    half: &Bound<'py, PyAny>,
    first: bool,
    rotations: Vec<u32>,
) -> PyResult<Vec<OutWords<'py>>> {
    let n = exponent.len();
    let (sign, gate) = (flags("sign", &sign, n)?, flags("gate", &gate, n)?);
    let factor = Factor {
        exponent: exponent.as_slice()?,
        shift: 0,
        sign,
        gate,
    };
    let mut out = vec![0; n * rotations.len()];
    if let Ok(key) = half.cast::<PyBytes>() {
        let key = exactly("half", key.as_bytes())?;
        py.detach(|| pow2::right(&factor, HalfWords::Mask(&key), first, &rotations, &mut out));
    } else {
        let sent: Words = half.extract()?;
        let sent = sent.as_slice()?;
        same("half", sent.len(), n * factor.terms() * 2)?;
        py.detach(|| pow2::right(&factor, HalfWords::Sent(sent), first, &rotations, &mut out));
    }
    Ok((0..rotations.len())
        .map(|r| PyArray1::from_slice(py, &out[r * n..(r + 1) * n]))
        .collect())
}

/// The masked left factors of x * (-1)^sign * 2^(exponent / 2^57 + shift) for a shared x, two words each.
#[pyfunction]
#[pyo3(signature = (a, exponent, shift, sign, key))]
fn scale_left<'py>(
    py: Python<'py>,
    a: Words<'py>,
    exponent: Words<'py>,
    shift: u32,
    sign: Option<Bytes<'py>>,
    key: &[u8],
) -> PyResult<OutWords<'py>> {
    let key = exactly("key", key)?;
    let n = a.len();
    same("exponent", exponent.len(), n)?;
    let (a, sign) = (a.as_slice()?, flags("sign", &sign, n)?);
    let factor = Factor {
        exponent: exponent.as_slice()?,
        shift,
        sign,
        gate: None,
    };
    let mut out = vec![0; n * pow2::SCALE_TERMS * 2];
    py.detach(|| pow2::scale_left(a, &factor, &key, &mut out));
    Ok(PyArray1::from_vec(py, out))
}

/// The other side of `scale_left`: this side's half of the result divided by 2^64 and rounded.
#[pyfunction]
#[pyo3(signature = (b, exponent, sign, half))]
fn scale_right<'py>(
    py: Python<'py>,
    b: Words<'py>,
    exponent: Words<'py>,
    sign: Option<Bytes<'py>>,
    half: &Bound<'py, PyAny>,
) -> PyResult<OutWords<'py>> {
    let n = b.len();
    same("exponent", exponent.len(), n)?;
    let (b, sign) = (b.as_slice()?, flags("sign", &sign, n)?);
    let factor = Factor {
        exponent: exponent.as_slice()?,
        shift: 0,
        sign,
        gate: None,
    };
    let mut out = vec![0; n];
    if let Ok(key) = half.cast::<PyBytes>() {
        let key = exactly("half", key.as_bytes())?;
        py.detach(|| pow2::scale_right(b, &factor, HalfWords::Mask(&key), &mut out));
    } else {
        let sent: Words = half.extract()?;
        let sent = sent.as_slice()?;
        same("half", sent.len(), n * pow2::SCALE_TERMS * 2)?;
        py.detach(|| pow2::scale_right(b, &factor, HalfWords::Sent(sent), &mut out));
    }
    Ok(PyArray1::from_vec(py, out))
}

/// The third party's halves of n products of the bits drawn with two keys, for the second side.
#[pyfunction]
fn lift_deal<'py>(
    py: Python<'py>,
    n: usize,
    bytes: usize,
    key_r: &[u8],
    key_s: &[u8],
    key_c: &[u8],
) -> PyResult<OutBytes<'py>> {
    product_width(bytes)?;
    let (r, s, c) = (
        exactly("key_r", key_r)?,
        exactly("key_s", key_s)?,
        exactly("key_c", key_c)?,
    );
    let out = py.detach(|| approx_lift::deal(n, bytes, &r, &s, &c));
    Ok(PyArray1::from_vec(py, out))
}

fn product_width(bytes: usize) -> PyResult<()> {
    if (1..=8).contains(&bytes) {
        return Ok(());
    }
    Err(invalid(format!("products of {bytes} bytes, wanted 1 to 8")))
}

fn small_ring(w: u32, halves: &[u64]) -> PyResult<()> {
    if !(4..=64).contains(&w) {
        return Err(invalid(format!("a ring of {w} bits, wanted 4 to 64")));
    }
    if w < 64 && halves.iter().any(|z| z >> w != 0) {
        return Err(invalid(format!("halves that are not below 2^{w}")));
    }
    Ok(())
}

/// One side's masked bits, packed: what it sends to the other.
#[pyfunction]
fn lift_bits<'py>(
    py: Python<'py>,
    halves: Words<'py>,
    w: u32,
    key: &[u8],
    first: bool,
) -> PyResult<OutBytes<'py>> {
    let (halves, key) = (halves.as_slice()?, exactly("key", key)?);
    small_ring(w, halves)?;
    let out = py.detach(|| {
        Side {
            halves,
            w,
            key_bit: &key,
            first,
        }
        .masked_bits()
    });
    Ok(PyArray1::from_vec(py, out))
}

/// One side's half of round(Z / 2^d) in Z_2^64 for Z = the sum of the halves in Z_2^w, |Z| < 2^(w-2).
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn lift_finish<'py>(
    py: Python<'py>,
    halves: Words<'py>,
    w: u32,
    d: u32,
    key: &[u8],
    first: bool,
    products: &Bound<'py, PyAny>,
    bytes: usize,
    theirs: Bytes<'py>,
) -> PyResult<OutWords<'py>> {
    let (halves, key) = (halves.as_slice()?, exactly("key", key)?);
    small_ring(w, halves)?;
    product_width(bytes)?;
    if !(1..=w).contains(&d) {
        return Err(invalid(format!("{d} bits to drop from {w}")));
    }
    let theirs = theirs.as_slice()?;
    same("theirs", theirs.len(), halves.len().div_ceil(8))?;
    let side = Side {
        halves,
        w,
        key_bit: &key,
        first,
    };
    let mut out = vec![0; halves.len()];
    if let Ok(drawn) = products.cast::<PyBytes>() {
        let key = exactly("products", drawn.as_bytes())?;
        let mut drawn = vec![0; halves.len() * bytes];
        py.detach(|| {
            Stream::new(&key).fill(&mut drawn);
            side.finish(d, &drawn, bytes, theirs, &mut out)
        });
    } else {
        let sent: Bytes = products.extract()?;
        let sent = sent.as_slice()?;
        same("products", sent.len(), halves.len() * bytes)?;
        py.detach(|| side.finish(d, sent, bytes, theirs, &mut out));
    }
    Ok(PyArray1::from_vec(py, out))
}

/// The masked bits of words of seven bits, LENGTH_BYTES bytes each.
#[pyfunction]
fn length_left<'py>(py: Python<'py>, u: Bytes<'py>, key: &[u8]) -> PyResult<OutBytes<'py>> {
    let (u, key) = (u.as_slice()?, exactly("key", key)?);
    let mut out = vec![0; u.len() * exponent::BYTES];
    py.detach(|| exponent::left(u, &key, &mut out));
    Ok(PyArray1::from_vec(py, out))
}

/// This side's half of (bits 0 to 5 as a number) + bit 6, mod 256.
#[pyfunction]
fn length_right<'py>(
    py: Python<'py>,
    v: Bytes<'py>,
    half: &Bound<'py, PyAny>,
) -> PyResult<OutBytes<'py>> {
    let v = v.as_slice()?;
    let mut out = vec![0; v.len()];
    if let Ok(key) = half.cast::<PyBytes>() {
        let key = exactly("half", key.as_bytes())?;
        py.detach(|| {
            let mut drawn = vec![0; v.len() * exponent::BYTES];
            Stream::new(&key).fill(&mut drawn);
            exponent::right(v, &drawn, true, &mut out)
        });
    } else {
        let sent: Bytes = half.extract()?;
        let sent = sent.as_slice()?;
        same("half", sent.len(), v.len() * exponent::BYTES)?;
        py.detach(|| exponent::right(v, sent, false, &mut out));
    }
    Ok(PyArray1::from_vec(py, out))
}

/// Signed ring integers from words: one word each for 32 and 64 bits, two (low, high) for 128.
fn signed(words: &[u64], bits: u32) -> PyResult<Vec<i128>> {
    Ok(match bits {
        32 => words.iter().map(|w| *w as u32 as i32 as i128).collect(),
        64 => words.iter().map(|w| *w as i64 as i128).collect(),
        128 => words
            .chunks_exact(2)
            .map(|w| (w[0] as u128 | (w[1] as u128) << 64) as i128)
            .collect(),
        _ => {
            return Err(invalid(format!(
                "a ring of {bits} bits, wanted 32, 64 or 128"
            )))
        }
    })
}

fn to_words(values: impl Iterator<Item = i128>, bits: u32) -> Vec<u64> {
    match bits {
        32 => values.map(|v| v as u32 as u64).collect(),
        64 => values.map(|v| v as u64).collect(),
        _ => values.flat_map(|v| [v as u64, (v >> 64) as u64]).collect(),
    }
}

fn grid(bits: u32, fraction: u32) -> PyResult<Grid> {
    if fraction + 3 > bits / 2 {
        return Err(invalid(format!(
            "{fraction} fraction bits in a ring of {bits}"
        )));
    }
    Ok(Grid { bits, fraction })
}

/// A function in the clear, correctly rounded: words of ring integers to words of ring integers.
#[pyfunction]
fn plain<'py>(
    py: Python<'py>,
    name: &str,
    words: Words<'py>,
    bits: u32,
    fraction: u32,
) -> PyResult<OutWords<'py>> {
    let function =
        Function::by_name(name).ok_or_else(|| invalid(format!("no function {name:?}")))?;
    let (grid, words) = (grid(bits, fraction)?, words.as_slice()?);
    let out = py.detach(|| {
        signed(words, bits).map(|x| to_words(x.into_iter().map(|x| grid.apply(function, x)), bits))
    })?;
    Ok(PyArray1::from_vec(py, out))
}

/// x / y in the clear, correctly rounded.
#[pyfunction]
fn plain_divide<'py>(
    py: Python<'py>,
    x: Words<'py>,
    y: Words<'py>,
    bits: u32,
    fraction: u32,
) -> PyResult<OutWords<'py>> {
    same("y", y.len(), x.len())?;
    let (grid, x, y) = (grid(bits, fraction)?, x.as_slice()?, y.as_slice()?);
    let out = py.detach(|| {
        let pairs = signed(x, bits)?.into_iter().zip(signed(y, bits)?);
        Ok::<_, PyErr>(to_words(pairs.map(|(x, y)| grid.divide(x, y)), bits))
    })?;
    Ok(PyArray1::from_vec(py, out))
}
