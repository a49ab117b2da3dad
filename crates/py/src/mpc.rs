//! Bindings of the protocol kernels of `argot-ring`: `kernels_trunc`, `kernels_carry`, `kernels_compare`,
//! `kernels_bits`, `kernels_order`.
//!
//! Arrays are C-contiguous. Numbers are uint32, uint64 or two-word elements and are taken by their size; planes are
//! uint64 arrays (rows, words). Jobs are int64 arrays, a row each; -1 stands for none.

use crate::array::{empty, Array, Output};
use crate::prf::exactly;
use argot_prf::{Cipher, Stream};
use argot_ring::kernels_bits as bits;
use argot_ring::kernels_carry::{self as carry, Inner, Leaf, Node, Rows};
use argot_ring::kernels_compare as compare;
use argot_ring::kernels_order as order;
use argot_ring::kernels_trunc::{self as trunc, packed_len};
use argot_ring::{Ring, Z128};
use numpy::npyffi;
use numpy::{
    dtype, PyArray1, PyArray2, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray2,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

type Any<'py> = Bound<'py, PyUntypedArray>;
type Planes<'py> = Bound<'py, PyArray2<u64>>;
type Jobs<'py> = PyReadonlyArray2<'py, i64>;
type Bytes<'py> = Bound<'py, PyArray1<u8>>;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(pack, m)?)?;
    m.add_function(wrap_pyfunction!(unpack, m)?)?;
    m.add_function(wrap_pyfunction!(trunc_first, m)?)?;
    m.add_function(wrap_pyfunction!(trunc_meet, m)?)?;
    m.add_function(wrap_pyfunction!(trunc_last, m)?)?;
    m.add_function(wrap_pyfunction!(trunc_units, m)?)?;
    m.add_function(wrap_pyfunction!(trunc_deal, m)?)?;
    m.add_function(wrap_pyfunction!(trunc_half, m)?)?;
    m.add_function(wrap_pyfunction!(compare_len, m)?)?;
    m.add_function(wrap_pyfunction!(compare_deal, m)?)?;
    m.add_function(wrap_pyfunction!(compare_sign, m)?)?;
    m.add_function(wrap_pyfunction!(leaf_products, m)?)?;
    m.add_function(wrap_pyfunction!(leaf_join, m)?)?;
    m.add_function(wrap_pyfunction!(node_products, m)?)?;
    m.add_function(wrap_pyfunction!(node_join, m)?)?;
    m.add_function(wrap_pyfunction!(inner_products, m)?)?;
    m.add_function(wrap_pyfunction!(inner_join, m)?)?;
    m.add_function(wrap_pyfunction!(select_split, m)?)?;
    m.add_function(wrap_pyfunction!(select_join, m)?)?;
    m.add_function(wrap_pyfunction!(compose_split, m)?)?;
    m.add_function(wrap_pyfunction!(compose_join, m)?)?;
    m.add_function(wrap_pyfunction!(code_rename, m)?)?;
    m.add_function(wrap_pyfunction!(code_places, m)?)
}

/// Call a generic kernel for the element type of an array.
macro_rules! by_word {
    ($array:expr, $call:ident($($arg:expr),*)) => {
        match $array.dtype().itemsize() {
            4 => $call::<u32>($($arg),*),
            8 => $call::<u64>($($arg),*),
            16 => $call::<Z128>($($arg),*),
            n => Err(PyTypeError::new_err(format!("elements of {n} bytes; wanted 4, 8 or 16"))),
        }
    };
}

fn data<T>(array: &Any<'_>) -> PyResult<(*mut T, usize)> {
    if !array.is_c_contiguous() {
        return Err(PyValueError::new_err(format!(
            "an array of shape {:?} is not C-contiguous",
            array.shape()
        )));
    }
    if array.dtype().itemsize() != std::mem::size_of::<T>() {
        return Err(PyTypeError::new_err(format!(
            "an array of {}; wanted elements of {} bytes",
            array.dtype(),
            std::mem::size_of::<T>()
        )));
    }
    // SAFETY: the header of an array that is alive.
    let pointer: *mut T = unsafe { (*array.as_array_ptr()).data.cast() };
    if array.len() == 0 {
        return Ok((std::ptr::NonNull::dangling().as_ptr(), 0));
    }
    if !(pointer as usize).is_multiple_of(std::mem::align_of::<T>()) {
        return Err(PyValueError::new_err("an array is not aligned"));
    }
    Ok((pointer, array.len()))
}

/// The elements of an array, which must be C-contiguous and of the size of `T`.
fn slice<'a, T>(array: &'a Any<'_>) -> PyResult<&'a [T]> {
    let (pointer, length) = data::<T>(array)?;
    // SAFETY: `data` checked length, layout and alignment; any bytes are a valid element; the caller of the Python
    // function keeps the array and does not write to it meanwhile.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// The elements of an array that this call fills: fresh, or one that the caller gives to be changed.
#[allow(clippy::mut_from_ref)]
fn slice_mut<'a, T>(array: &'a Any<'_>) -> PyResult<&'a mut [T]> {
    // SAFETY: the header of an array that is alive.
    if unsafe { (*array.as_array_ptr()).flags } & npyffi::NPY_ARRAY_WRITEABLE == 0 {
        return Err(PyValueError::new_err("an array to be changed is read-only"));
    }
    let (pointer, length) = data::<T>(array)?;
    // SAFETY: as in `slice`; and it is either fresh or used by nobody else during the call.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
}

/// A fresh array of the shape and dtype of another.
fn like<'py>(py: Python<'py>, array: &Any<'py>) -> PyResult<Any<'py>> {
    empty(py, array.shape(), array.dtype())
}

/// The caller's array for a result like `array`, which shares no memory with these inputs; or a fresh one.
fn given<'py>(
    py: Python<'py>,
    out: Option<Any<'py>>,
    array: &Any<'py>,
    inputs: &[Option<&Any<'py>>],
) -> PyResult<Any<'py>> {
    let Some(out) = out else {
        return like(py, array);
    };
    let out = Output::new(py, Some(out), array.shape(), array.dtype())?;
    let overlaps = |input: &&Any<'py>| Array((*input).clone()).span_meets(&out);
    if inputs.iter().flatten().any(overlaps) {
        return Err(PyValueError::new_err("out shares memory with an input"));
    }
    Ok(out.into_array())
}

fn bytes<'py>(py: Python<'py>, length: usize) -> PyResult<Bytes<'py>> {
    Ok(empty(py, &[length], dtype::<u8>(py))?.cast_into()?)
}

fn stream(key: &[u8]) -> PyResult<Stream> {
    Ok(Stream::new(&exactly("key", key)?))
}

fn same(what: &str, have: usize, want: usize) -> PyResult<()> {
    if have == want {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{what} has {have} elements, wanted {want}"
    )))
}

fn drop_bits<W: Ring>(d: u32) -> PyResult<()> {
    if (1..=W::BITS - 2).contains(&d) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{d} bits to drop; wanted 1 to {}",
        W::BITS - 2
    )))
}

// ---- numbers of few bits

/// The low `bits` bits of every element, packed: uint8, ceil(size * bits / 8).
#[pyfunction]
fn pack<'py>(py: Python<'py>, x: Any<'py>, bits: u32) -> PyResult<Bytes<'py>> {
    fn run<'py, W: Ring>(py: Python<'py>, x: &Any<'py>, bits: u32) -> PyResult<Bytes<'py>> {
        if !(1..=W::BITS).contains(&bits) {
            return Err(PyValueError::new_err(format!(
                "{bits} bits; wanted 1 to {}",
                W::BITS
            )));
        }
        let out = bytes(py, packed_len(x.len(), bits))?;
        let (from, to) = (slice::<W>(x)?, slice_mut(out.as_untyped())?);
        py.detach(|| trunc::pack(from, bits, to));
        Ok(out)
    }
    by_word!(x, run(py, &x, bits))
}

/// What `pack` wrote, written to `out`.
#[pyfunction]
fn unpack<'py>(py: Python<'py>, packed: Any<'py>, bits: u32, out: Any<'py>) -> PyResult<()> {
    fn run<W: Ring>(py: Python<'_>, packed: &Any, bits: u32, out: &Any) -> PyResult<()> {
        if !(1..=W::BITS).contains(&bits) {
            return Err(PyValueError::new_err(format!(
                "{bits} bits; wanted 1 to {}",
                W::BITS
            )));
        }
        let (from, to) = (slice::<u8>(packed)?, slice_mut::<W>(out)?);
        same("packed", from.len(), packed_len(to.len(), bits))?;
        py.detach(|| trunc::unpack(from, bits, to));
        Ok(())
    }
    by_word!(out, run(py, &packed, bits, &out))
}

// ---- truncation

/// (rest, unit, near, far): what the first party sends, its packed unit, and its two output shares.
#[pyfunction]
#[allow(clippy::type_complexity)]
fn trunc_first<'py>(
    py: Python<'py>,
    r: Any<'py>,
    d: u32,
    rho: &[u8],
    unit: &[u8],
    near: &[u8],
    far: &[u8],
) -> PyResult<(Any<'py>, Bytes<'py>, Any<'py>, Any<'py>)> {
    let streams = [stream(rho)?, stream(unit)?, stream(near)?, stream(far)?];
    let arrays = (like(py, &r)?, like(py, &r)?, like(py, &r)?);
    let packed = bytes(py, packed_len(r.len(), d))?;
    fn run<W: Ring>(
        py: Python<'_>,
        (r, d): (&Any, u32),
        streams: &[Stream; 4],
        (rest, near, far): (&Any, &Any, &Any),
        unit: &Bytes,
    ) -> PyResult<()> {
        drop_bits::<W>(d)?;
        let out = trunc::First::<W> {
            rest: slice_mut(rest)?,
            unit: slice_mut(unit.as_untyped())?,
            near: slice_mut(near)?,
            far: slice_mut(far)?,
        };
        let [rho, unit, near, far] = streams;
        let keys = trunc::FirstKeys {
            rho,
            unit,
            near,
            far,
        };
        let r = slice(r)?;
        py.detach(|| trunc::first(r, d, &keys, out));
        Ok(())
    }
    let out = (&arrays.0, &arrays.1, &arrays.2);
    by_word!(r, run(py, (&r, d), &streams, out, &packed))?;
    let (rest, near, far) = arrays;
    Ok((rest, packed, near, far))
}

/// (high, product, side) from c1 + c2: what stays, what the other of the two gets, the share with the first party.
/// Either `drawn` (two keys) or `received` (two arrays) says where its shares of the first party's values are.
#[pyfunction]
#[pyo3(signature = (c1, c2, d, mask, drawn=None, received=None))]
fn trunc_meet<'py>(
    py: Python<'py>,
    c1: Any<'py>,
    c2: Option<Any<'py>>,
    d: u32,
    mask: &[u8],
    drawn: Option<(Vec<u8>, Vec<u8>)>,
    received: Option<(Any<'py>, Any<'py>)>,
) -> PyResult<(Any<'py>, Bytes<'py>, Any<'py>)> {
    let mask = stream(mask)?;
    let keys = match drawn {
        Some((rho, unit)) => Some((stream(&rho)?, stream(&unit)?)),
        None => None,
    };
    let (high, side) = (like(py, &c1)?, like(py, &c1)?);
    let packed = bytes(py, packed_len(c1.len(), d))?;
    type Sources<'a, 'py> = (
        &'a Option<(Stream, Stream)>,
        &'a Option<(Any<'py>, Any<'py>)>,
    );
    fn run<W: Ring>(
        py: Python<'_>,
        (c1, c2, d): (&Any, Option<&Any>, u32),
        (keys, received): Sources,
        mask: &Stream,
        (high, packed, side): (&Any, &Bytes, &Any),
    ) -> PyResult<()> {
        drop_bits::<W>(d)?;
        let n = c1.len();
        let given = match (keys, received) {
            (Some((rho, unit)), None) => trunc::Given::Drawn { rho, unit },
            (None, Some((rest, unit))) => {
                same("rest", rest.len(), n)?;
                same("unit", unit.len(), packed_len(n, d))?;
                trunc::Given::Received {
                    rest: slice::<W>(rest)?,
                    unit: slice(unit)?,
                }
            }
            _ => return Err(PyValueError::new_err("give one of drawn and received")),
        };
        let c2 = match c2 {
            Some(c2) => {
                same("c2", c2.len(), n)?;
                slice::<W>(c2)?
            }
            None => &[],
        };
        let c1 = slice(c1)?;
        let out = (
            slice_mut(high)?,
            slice_mut(packed.as_untyped())?,
            slice_mut(side)?,
        );
        py.detach(|| trunc::meet((c1, c2), d, &given, mask, out));
        Ok(())
    }
    by_word!(
        c1,
        run(
            py,
            (&c1, c2.as_ref(), d),
            (&keys, &received),
            &mask,
            (&high, &packed, &side)
        )
    )?;
    Ok((high, packed, side))
}

/// `high` += (own + peer) 2^(k-d), in place.
#[pyfunction]
fn trunc_last<'py>(
    py: Python<'py>,
    high: Any<'py>,
    own: Any<'py>,
    peer: Any<'py>,
    d: u32,
) -> PyResult<()> {
    fn run<W: Ring>(py: Python<'_>, high: &Any, own: &Any, peer: &Any, d: u32) -> PyResult<()> {
        drop_bits::<W>(d)?;
        let (high, own, peer) = (slice_mut::<W>(high)?, slice(own)?, slice(peer)?);
        same("own", own.len(), packed_len(high.len(), d))?;
        same("peer", peer.len(), packed_len(high.len(), d))?;
        py.detach(|| trunc::last(high, own, peer, d));
        Ok(())
    }
    by_word!(high, run(py, &high, &own, &peer, d))
}

/// The complements of the top bits of x (+ 2^(k-2) if `lifted`) + also, as planes (1, words).
#[pyfunction]
fn trunc_units<'py>(
    py: Python<'py>,
    x: Any<'py>,
    also: Option<Any<'py>>,
    lifted: bool,
) -> PyResult<Planes<'py>> {
    fn run<W: Ring>(
        py: Python<'_>,
        (x, also): (&Any, Option<&Any>),
        lifted: bool,
        plane: &Planes,
    ) -> PyResult<()> {
        let addends = pair::<W>(x, also)?;
        let out = slice_mut(plane.as_untyped())?;
        py.detach(|| trunc::units(addends, lifted, out));
        Ok(())
    }
    let words = x.len().div_ceil(64);
    let plane = empty(py, &[1, words], dtype::<u64>(py))?.cast_into::<PyArray2<u64>>()?;
    by_word!(x, run(py, (&x, also.as_ref()), lifted, &plane))?;
    Ok(plane)
}

/// rho s less the draw of `key`, packed, d bits each; one plane each, `like` has shape and dtype of the numbers.
#[pyfunction]
fn trunc_deal<'py>(
    py: Python<'py>,
    rho: Planes<'py>,
    s: Planes<'py>,
    like: Any<'py>,
    d: u32,
    key: &[u8],
) -> PyResult<Bytes<'py>> {
    fn run<W: Ring>(
        py: Python<'_>,
        (rho, s): (&Planes, &Planes),
        (n, d): (usize, u32),
        key: &Stream,
        out: &Bytes,
    ) -> PyResult<()> {
        drop_bits::<W>(d)?;
        let (rho, s) = (plane(rho, n)?, plane(s, n)?);
        let out = slice_mut(out.as_untyped())?;
        py.detach(|| trunc::deal::<W>(rho, s, n, d, key, out));
        Ok(())
    }
    let (n, key) = (like.len(), stream(key)?);
    let out = bytes(py, packed_len(n, d))?;
    by_word!(like, run(py, (&rho, &s), (n, d), &key, &out))?;
    Ok(out)
}

/// (mask, half): the half of the shifted sum of the party that knows x + also, less the mask. Planes of its own bit
/// and of what each of the two told; the key of its share of the dealt product (first party) or what it received.
#[pyfunction]
#[pyo3(signature = (x, also, d, own, c, told, mask_key, key=None, received=None, out=None))]
#[allow(clippy::too_many_arguments)]
fn trunc_half<'py>(
    py: Python<'py>,
    x: Any<'py>,
    also: Option<Any<'py>>,
    d: u32,
    own: Planes<'py>,
    c: Planes<'py>,
    told: Planes<'py>,
    mask_key: &[u8],
    key: Option<&[u8]>,
    received: Option<Any<'py>>,
    out: Option<Any<'py>>,
) -> PyResult<(Any<'py>, Any<'py>)> {
    fn run<W: Ring>(
        py: Python<'_>,
        (x, also, d): (&Any, Option<&Any>, u32),
        (own, c, told): (&Planes, &Planes, &Planes),
        (key, received, mask_key): (Option<&Stream>, Option<&Any>, &Stream),
        (mask, out): (&Any, &Any),
    ) -> PyResult<()> {
        drop_bits::<W>(d)?;
        let n = x.len();
        let share = match (key, received) {
            (Some(key), None) => Ok(key),
            (None, Some(packed)) => {
                same("received", packed.len(), packed_len(n, d))?;
                Err(slice(packed)?)
            }
            _ => return Err(PyValueError::new_err("give one of key and received")),
        };
        let told = trunc::Told {
            own: plane(own, n)?,
            c: plane(c, n)?,
            d: plane(told, n)?,
            share,
        };
        let addends = pair::<W>(x, also)?;
        let target = (slice_mut(mask)?, slice_mut(out)?);
        py.detach(|| trunc::half(addends, d, &told, mask_key, target));
        Ok(())
    }
    let inputs = [Some(&x), also.as_ref(), received.as_ref()];
    let (mask, out) = (given(py, out, &x, &inputs)?, like(py, &x)?);
    let (key, mask_key) = (key.map(stream).transpose()?, stream(mask_key)?);
    by_word!(
        x,
        run(
            py,
            (&x, also.as_ref(), d),
            (&own, &c, &told),
            (key.as_ref(), received.as_ref(), &mask_key),
            (&mask, &out)
        )
    )?;
    Ok((mask, out))
}

/// An addend in one or two arrays of equal size.
fn pair<'a, W: Ring>(x: &'a Any<'_>, also: Option<&'a Any<'_>>) -> PyResult<(&'a [W], &'a [W])> {
    let also = match also {
        Some(also) => {
            same("the second array", also.len(), x.len())?;
            slice(also)?
        }
        None => &[],
    };
    Ok((slice(x)?, also))
}

/// A single plane of n bits.
fn plane<'a>(planes: &'a Planes<'_>, n: usize) -> PyResult<&'a [u64]> {
    same("a plane", planes.len(), n.div_ceil(64))?;
    slice(planes.as_untyped())
}

// ---- comparison

fn compare_bound(bound: u32, most: u32) -> PyResult<()> {
    if (1..=most).contains(&bound) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "a bound of {bound} bits; wanted 1 to {most}"
    )))
}

/// A public cipher.
fn cipher(key: &[u8]) -> PyResult<Cipher> {
    Ok(Cipher::new(u128::from_le_bytes(exactly("cipher", key)?)))
}

/// Bytes of the key of one comparison with numbers of `bound` bits.
#[pyfunction]
fn compare_len(bound: u32) -> PyResult<usize> {
    compare_bound(bound, Z128::BITS)?;
    Ok(compare::key_len(bound))
}

/// The keys of the masks `r` mod 2^bound, uint8, `compare_len` bytes each, from the keys of the two parties' roots.
#[pyfunction]
fn compare_deal<'py>(
    py: Python<'py>,
    r: Any<'py>,
    bound: u32,
    cipher: &[u8],
    first: &[u8],
    second: &[u8],
) -> PyResult<Bytes<'py>> {
    type Roots<'a> = [&'a Stream; 2];
    fn run<'py, W: Ring>(
        py: Python<'py>,
        r: &Any<'py>,
        bound: u32,
        cipher: &Cipher,
        roots: Roots,
    ) -> PyResult<Bytes<'py>> {
        compare_bound(bound, W::BITS)?;
        let out = bytes(py, r.len() * compare::key_len(bound))?;
        let (from, to) = (slice::<W>(r)?, slice_mut(out.as_untyped())?);
        py.detach(|| compare::generate(from, bound, cipher, roots, to));
        Ok(out)
    }
    let (cipher, roots) = (self::cipher(cipher)?, [stream(first)?, stream(second)?]);
    by_word!(r, run(py, &r, bound, &cipher, [&roots[0], &roots[1]]))
}

/// A party's part of the top bits of c - r mod 2^bound, a plane, from the key of its roots and what was dealt.
#[pyfunction]
fn compare_sign<'py>(
    py: Python<'py>,
    c: Any<'py>,
    bound: u32,
    cipher: &[u8],
    root: &[u8],
    second: bool,
    dealt: Any<'py>,
) -> PyResult<Planes<'py>> {
    fn run<'py, W: Ring>(
        py: Python<'py>,
        (c, dealt): (&Any<'py>, &Any<'py>),
        bound: u32,
        cipher: &Cipher,
        (root, second): (&Stream, bool),
    ) -> PyResult<Planes<'py>> {
        compare_bound(bound, W::BITS)?;
        same("dealt", dealt.len(), c.len() * compare::key_len(bound))?;
        let shape = [1, c.len().div_ceil(64)];
        let out = empty(py, &shape, dtype::<u64>(py))?.cast_into::<PyArray2<u64>>()?;
        let (from, keys, to) = (slice::<W>(c)?, slice(dealt)?, slice_mut(out.as_untyped())?);
        py.detach(|| compare::evaluate(from, bound, cipher, root, second, keys, to));
        Ok(out)
    }
    let (cipher, root) = (self::cipher(cipher)?, stream(root)?);
    by_word!(c, run(py, (&c, &dealt), bound, &cipher, (&root, second)))
}

// ---- carries

fn rows<'a>(planes: &'a Planes<'_>) -> PyResult<Rows<'a>> {
    Ok(Rows {
        data: slice(planes.as_untyped())?,
        words: planes.shape()[1],
    })
}

/// Rows of equal words: (planes, rows that must be there).
fn check(words: usize, wanted: &[(&Planes<'_>, usize)]) -> PyResult<()> {
    for (planes, count) in wanted {
        let shape = planes.shape();
        if shape[0] < *count || shape[1] != words {
            return Err(PyValueError::new_err(format!(
                "planes of shape {shape:?}, wanted ({count}, {words})"
            )));
        }
    }
    Ok(())
}

fn natural(value: i64) -> PyResult<usize> {
    usize::try_from(value)
        .ok()
        .filter(|v| *v < 1 << 20)
        .ok_or_else(|| PyValueError::new_err(format!("{value} in a job")))
}

fn optional(value: i64) -> PyResult<Option<usize>> {
    if value == -1 {
        return Ok(None);
    }
    natural(value).map(Some)
}

fn table<const N: usize>(jobs: &Jobs<'_>) -> PyResult<Vec<[i64; N]>> {
    let table = jobs.as_array();
    if table.ncols() != N {
        return Err(PyValueError::new_err(format!(
            "jobs of {} columns, wanted {N}",
            table.ncols()
        )));
    }
    Ok(table
        .rows()
        .into_iter()
        .map(|row| std::array::from_fn(|i| row[i]))
        .collect())
}

/// Columns: start, size, generate, pass, inner.
fn leaves(jobs: &Jobs<'_>) -> PyResult<Vec<Leaf>> {
    table::<5>(jobs)?
        .into_iter()
        .map(|[start, size, generate, pass, inner]| {
            let size = natural(size)?;
            if !(1..=3).contains(&size) {
                return Err(PyValueError::new_err(format!("a leaf of {size} positions")));
            }
            Ok(Leaf {
                start: natural(start)?,
                size,
                generate: generate != 0,
                pass: pass != 0,
                inner: inner != 0,
            })
        })
        .collect()
}

/// Columns: G and P of the high, the middle and the low range.
fn nodes(jobs: &Jobs<'_>) -> PyResult<Vec<Node>> {
    table::<6>(jobs)?
        .into_iter()
        .map(|[gh, ph, gm, pm, gl, pl]| {
            let node = Node {
                high: (optional(gh)?, natural(ph)?),
                middle: match optional(pm)? {
                    Some(p) => Some((optional(gm)?, p)),
                    None => None,
                },
                low: (optional(gl)?, optional(pl)?),
            };
            let generates = node.high.0.is_some();
            let middle = node.middle.is_none_or(|(g, _)| g.is_some() == generates);
            if !middle || node.low.0.is_some() != generates || (!generates && node.low.1.is_none())
            {
                return Err(PyValueError::new_err(format!("a job {node:?}")));
            }
            Ok(node)
        })
        .collect()
}

/// Columns: start, share, carry.
fn inners(jobs: &Jobs<'_>) -> PyResult<Vec<Inner>> {
    table::<3>(jobs)?
        .into_iter()
        .map(|[start, share, carry]| {
            Ok(Inner {
                start: natural(start)?,
                share: natural(share)?,
                carry: natural(carry)?,
            })
        })
        .collect()
}

fn leaf_rows(jobs: &[Leaf]) -> usize {
    jobs.iter().map(|j| j.start + j.size).max().unwrap_or(0)
}

fn node_rows(jobs: &[Node]) -> usize {
    jobs.iter().map(|j| j.last_row() + 1).max().unwrap_or(0)
}

/// Add every product of the leaves to `masks`, in place.
#[pyfunction]
fn leaf_products(py: Python<'_>, m: Planes<'_>, jobs: Jobs<'_>, masks: Planes<'_>) -> PyResult<()> {
    let jobs = leaves(&jobs)?;
    let count = jobs.iter().map(Leaf::products).sum();
    let m_rows = rows(&m)?;
    check(m_rows.words, &[(&m, leaf_rows(&jobs)), (&masks, count)])?;
    let out = slice_mut(masks.as_untyped())?;
    py.detach(|| carry::leaf_products(m_rows, &jobs, out));
    Ok(())
}

/// One of the others' outputs of the leaves, masked.
#[pyfunction]
fn leaf_join<'py>(
    py: Python<'py>,
    shares: Planes<'py>,
    n: Planes<'py>,
    jobs: Jobs<'py>,
    lead: bool,
    masks: Planes<'py>,
) -> PyResult<Planes<'py>> {
    let jobs = leaves(&jobs)?;
    let products = jobs.iter().map(Leaf::products).sum();
    let outputs = jobs.iter().map(Leaf::outputs).sum();
    let n_rows = rows(&n)?;
    check(
        n_rows.words,
        &[
            (&n, leaf_rows(&jobs)),
            (&shares, products),
            (&masks, outputs),
        ],
    )?;
    let out = copy(py, &masks)?;
    let (share_rows, target) = (rows(&shares)?, slice_mut(out.as_untyped())?);
    py.detach(|| carry::leaf_join(share_rows, n_rows, &jobs, lead, target));
    Ok(out)
}

/// Add every product of the joins to `masks`, in place.
#[pyfunction]
fn node_products(
    py: Python<'_>,
    u0: Planes<'_>,
    u1: Planes<'_>,
    jobs: Jobs<'_>,
    masks: Planes<'_>,
) -> PyResult<()> {
    let jobs = nodes(&jobs)?;
    let count = jobs.iter().map(Node::products).sum();
    let (first, second) = (rows(&u0)?, rows(&u1)?);
    let wanted = node_rows(&jobs);
    check(
        first.words,
        &[(&u0, wanted), (&u1, wanted), (&masks, count)],
    )?;
    let out = slice_mut(masks.as_untyped())?;
    py.detach(|| carry::node_products(first, second, &jobs, out));
    Ok(())
}

/// One of the others' outputs of the joins, masked.
#[pyfunction]
fn node_join<'py>(
    py: Python<'py>,
    shares: Planes<'py>,
    u: Planes<'py>,
    v: Planes<'py>,
    jobs: Jobs<'py>,
    lead: bool,
    masks: Planes<'py>,
) -> PyResult<Planes<'py>> {
    let jobs = nodes(&jobs)?;
    let products = jobs.iter().map(Node::products).sum();
    let outputs = jobs.iter().map(Node::outputs).sum();
    let (u_rows, v_rows) = (rows(&u)?, rows(&v)?);
    let wanted = node_rows(&jobs);
    check(
        v_rows.words,
        &[
            (&u, wanted),
            (&v, wanted),
            (&shares, products),
            (&masks, outputs),
        ],
    )?;
    let out = copy(py, &masks)?;
    let (share_rows, target) = (rows(&shares)?, slice_mut(out.as_untyped())?);
    py.detach(|| carry::node_join(share_rows, u_rows, v_rows, &jobs, lead, target));
    Ok(out)
}

/// Add every product of the carries within blocks to `masks`, in place.
#[pyfunction]
fn inner_products(
    py: Python<'_>,
    m: Planes<'_>,
    u0: Planes<'_>,
    u1: Planes<'_>,
    jobs: Jobs<'_>,
    masks: Planes<'_>,
) -> PyResult<()> {
    let jobs = inners(&jobs)?;
    let (m_rows, first, second) = (rows(&m)?, rows(&u0)?, rows(&u1)?);
    let (start, carried) = inner_rows(&jobs);
    check(
        m_rows.words,
        &[
            (&m, start),
            (&u0, carried),
            (&u1, carried),
            (&masks, 3 * jobs.len()),
        ],
    )?;
    let out = slice_mut(masks.as_untyped())?;
    py.detach(|| carry::inner_products(m_rows, first, second, &jobs, out));
    Ok(())
}

/// One of the others' carries within blocks, masked.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn inner_join<'py>(
    py: Python<'py>,
    leaf_shares: Planes<'py>,
    shares: Planes<'py>,
    n: Planes<'py>,
    u: Planes<'py>,
    v: Planes<'py>,
    jobs: Jobs<'py>,
    lead: bool,
    masks: Planes<'py>,
) -> PyResult<Planes<'py>> {
    let jobs = inners(&jobs)?;
    let n_rows = rows(&n)?;
    let (start, carried) = inner_rows(&jobs);
    let leaf = jobs.iter().map(|j| j.share + 6).max().unwrap_or(0);
    check(
        n_rows.words,
        &[
            (&leaf_shares, leaf),
            (&shares, 3 * jobs.len()),
            (&n, start),
            (&u, carried),
            (&v, carried),
            (&masks, 2 * jobs.len()),
        ],
    )?;
    let out = copy(py, &masks)?;
    let all = (rows(&leaf_shares)?, rows(&shares)?);
    let carries = (rows(&u)?, rows(&v)?);
    let target = slice_mut(out.as_untyped())?;
    py.detach(|| carry::inner_join(all, n_rows, carries, &jobs, lead, target));
    Ok(out)
}

fn inner_rows(jobs: &[Inner]) -> (usize, usize) {
    (
        jobs.iter().map(|j| j.start + 2).max().unwrap_or(0),
        jobs.iter().map(|j| j.carry + 1).max().unwrap_or(0),
    )
}

fn copy<'py>(py: Python<'py>, planes: &Planes<'py>) -> PyResult<Planes<'py>> {
    let out = like(py, planes.as_untyped())?.cast_into::<PyArray2<u64>>()?;
    slice_mut::<u64>(out.as_untyped())?.copy_from_slice(slice(planes.as_untyped())?);
    Ok(out)
}

// ---- bits times numbers

/// (product, unit): the first party's messages for bit * number, with u = u0 ^ u1 (one plane each), a = a0 + a1.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn select_split<'py>(
    py: Python<'py>,
    u0: Planes<'py>,
    u1: Planes<'py>,
    a0: Any<'py>,
    a1: Any<'py>,
    product_key: &[u8],
    unit_key: &[u8],
) -> PyResult<(Any<'py>, Any<'py>)> {
    let keys = (stream(product_key)?, stream(unit_key)?);
    let (product, unit) = (like(py, &a0)?, like(py, &a0)?);
    fn run<W: Ring>(
        py: Python<'_>,
        (u0, u1): (&Planes, &Planes),
        (a0, a1): (&Any, &Any),
        keys: (&Stream, &Stream),
        (product, unit): (&Any, &Any),
    ) -> PyResult<()> {
        let words = a0.len().div_ceil(64);
        same("a1", a1.len(), a0.len())?;
        same("u0", u0.len(), words)?;
        same("u1", u1.len(), words)?;
        let u = (slice(u0.as_untyped())?, slice(u1.as_untyped())?);
        let a = (slice::<W>(a0)?, slice(a1)?);
        let out = (slice_mut(product)?, slice_mut(unit)?);
        py.detach(|| bits::select_split(u, a, keys, out));
        Ok(())
    }
    by_word!(
        a0,
        run(
            py,
            (&u0, &u1),
            (&a0, &a1),
            (&keys.0, &keys.1),
            (&product, &unit)
        )
    )?;
    Ok((product, unit))
}

/// (mask, half): one of the others' half of bit * number, less the mask. `part_b` may be None.
#[pyfunction]
#[pyo3(signature = (v, part_a, part_b, c, mask_key, drawn=None, received=None, out=None))]
#[allow(clippy::too_many_arguments)]
fn select_join<'py>(
    py: Python<'py>,
    v: Planes<'py>,
    part_a: Any<'py>,
    part_b: Option<Any<'py>>,
    c: Any<'py>,
    mask_key: &[u8],
    drawn: Option<(Vec<u8>, Vec<u8>)>,
    received: Option<(Any<'py>, Any<'py>)>,
    out: Option<Any<'py>>,
) -> PyResult<(Any<'py>, Any<'py>)> {
    let mask_stream = stream(mask_key)?;
    let keys = match drawn {
        Some((product, unit)) => Some((stream(&product)?, stream(&unit)?)),
        None => None,
    };
    let (first, second) = received
        .as_ref()
        .map_or((None, None), |(a, b)| (Some(a), Some(b)));
    let inputs = [Some(&part_a), part_b.as_ref(), Some(&c), first, second];
    let (mask, out) = (self::given(py, out, &c, &inputs)?, like(py, &c)?);
    type Parts<'a, 'py> = (&'a Any<'py>, Option<&'a Any<'py>>, &'a Any<'py>);
    type Sources<'a, 'py> = (
        &'a Option<(Stream, Stream)>,
        &'a Option<(Any<'py>, Any<'py>)>,
    );
    fn run<W: Ring>(
        py: Python<'_>,
        v: &Planes,
        (part_a, part_b, c): Parts,
        (keys, received): Sources,
        mask_stream: &Stream,
        (mask, out): (&Any, &Any),
    ) -> PyResult<()> {
        let n = c.len();
        same("v", v.len(), n.div_ceil(64))?;
        same("part", part_a.len(), n)?;
        let given = match (keys, received) {
            (Some((product, unit)), None) => bits::Given::Drawn(product, unit),
            (None, Some((product, unit))) => {
                same("product", product.len(), n)?;
                same("unit", unit.len(), n)?;
                bits::Given::Received(slice::<W>(product)?, slice(unit)?)
            }
            _ => return Err(PyValueError::new_err("give one of drawn and received")),
        };
        let part_b = match part_b {
            Some(part) => {
                same("part", part.len(), n)?;
                slice(part)?
            }
            None => &[],
        };
        let parts = (slice(part_a)?, part_b, slice(c)?);
        let v = slice(v.as_untyped())?;
        let target = (slice_mut(mask)?, slice_mut(out)?);
        py.detach(|| bits::select_join(v, parts, &given, mask_stream, target));
        Ok(())
    }
    by_word!(
        c,
        run(
            py,
            &v,
            (&part_a, part_b.as_ref(), &c),
            (&keys, &received),
            &mask_stream,
            (&mask, &out)
        )
    )?;
    Ok((mask, out))
}

/// The first party's packed message for the numbers with bits u (width, words); `like` has their shape and dtype.
#[pyfunction]
fn compose_split<'py>(
    py: Python<'py>,
    u: Planes<'py>,
    like: Any<'py>,
    key: &[u8],
) -> PyResult<Bytes<'py>> {
    fn run<'py, W: Ring>(
        py: Python<'py>,
        u: &Planes<'py>,
        n: usize,
        stream: &Stream,
    ) -> PyResult<Bytes<'py>> {
        let width = compose_width::<W>(u, n)?;
        let out = bytes(py, bits::compose_len::<W>(n, width))?;
        let (from, to) = (slice(u.as_untyped())?, slice_mut(out.as_untyped())?);
        py.detach(|| bits::compose_split::<W>(from, n, width, stream, to));
        Ok(out)
    }
    by_word!(like, run(py, &u, like.len(), &stream(key)?))
}

/// Add one of the others' half of these numbers to `out`, in place. Give the key or the bytes received.
#[pyfunction]
#[pyo3(signature = (v, out, lead, key=None, received=None))]
fn compose_join<'py>(
    py: Python<'py>,
    v: Planes<'py>,
    out: Any<'py>,
    lead: bool,
    key: Option<&[u8]>,
    received: Option<Any<'py>>,
) -> PyResult<()> {
    fn run<W: Ring>(
        py: Python<'_>,
        v: &Planes,
        out: &Any,
        lead: bool,
        (stream, received): (Option<&Stream>, Option<&Any>),
    ) -> PyResult<()> {
        let width = compose_width::<W>(v, out.len())?;
        let given = match (stream, received) {
            (Some(stream), None) => Ok(stream),
            (None, Some(packed)) => {
                let want = bits::compose_len::<W>(out.len(), width);
                same("received", packed.len(), want)?;
                Err(slice(packed)?)
            }
            _ => return Err(PyValueError::new_err("give one of key and received")),
        };
        let (v, out) = (slice(v.as_untyped())?, slice_mut::<W>(out)?);
        py.detach(|| bits::compose_join(v, width, given, lead, out));
        Ok(())
    }
    let stream = key.map(stream).transpose()?;
    by_word!(
        out,
        run(py, &v, &out, lead, (stream.as_ref(), received.as_ref()))
    )
}

fn compose_width<W: Ring>(planes: &Planes<'_>, n: usize) -> PyResult<usize> {
    let shape = planes.shape();
    if shape[1] != n.div_ceil(64) || shape[0] > W::BITS as usize {
        return Err(PyValueError::new_err(format!(
            "planes of shape {shape:?}, wanted (at most {}, {})",
            W::BITS,
            n.div_ceil(64)
        )));
    }
    Ok(shape[0])
}

// ---- sorting by a digit

/// The rows of a part of a code: one less than a power of two, up to `order::MOST`.
fn code_rows(code: &Any<'_>, n: usize) -> PyResult<()> {
    match code.shape() {
        [rows, columns]
            if *columns == n
                && *rows > 0
                && (rows + 1).is_power_of_two()
                && *rows < order::MOST =>
        {
            Ok(())
        }
        shape => Err(PyValueError::new_err(format!(
            "a code of shape {shape:?}; wanted ({} or less, one less than a power of two; {n})",
            order::MOST - 1
        ))),
    }
}

/// Change a part of a code, uint32 (count - 1, n), to that of other digits: entry t becomes the one at t ^ names.
#[pyfunction]
fn code_rename(py: Python<'_>, code: Any<'_>, names: Any<'_>, lead: bool) -> PyResult<()> {
    code_rows(&code, names.len())?;
    let ((from, length), (other, count)) = (data::<u32>(&code)?, data::<u32>(&names)?);
    if from < other.wrapping_add(count) && other < from.wrapping_add(length) {
        return Err(PyValueError::new_err(
            "the names share memory with the code",
        ));
    }
    let (words, names) = (slice_mut::<u32>(&code)?, slice::<u32>(&names)?);
    let count = code.shape()[0] as u32 + 1;
    if names.iter().any(|name| *name >= count) {
        return Err(PyValueError::new_err(format!("a name of {count} or more")));
    }
    py.detach(|| order::rename(words, names, lead));
    Ok(())
}

/// This party's part, uint32 (n,), of the place of every element within its row of `row`, from two parts of the code.
/// `begins`, uint32 (2, values of a digit): its two parts of what the sums of the only row begin with.
#[pyfunction]
#[pyo3(signature = (own, next, leads, row, begins=None))]
fn code_places<'py>(
    py: Python<'py>,
    own: Any<'py>,
    next: Any<'py>,
    leads: (bool, bool),
    row: usize,
    begins: Option<Any<'py>>,
) -> PyResult<Any<'py>> {
    let n = own.shape().get(1).copied().unwrap_or(0);
    code_rows(&own, n)?;
    code_rows(&next, n)?;
    same("the other part", next.len(), own.len())?;
    if row == 0 || !n.is_multiple_of(row) {
        return Err(PyValueError::new_err(format!(
            "rows of {row} of {n} elements"
        )));
    }
    let out = empty(py, &[n], dtype::<u32>(py))?;
    let f = [slice::<u32>(&own)?, slice::<u32>(&next)?];
    let to = slice_mut::<u32>(&out)?;
    let sums = match &begins {
        None => None,
        Some(sums) => {
            let digits = own.shape()[0] + 1;
            same("the sums", sums.len(), 2 * digits)?;
            same("the row of sums", row, n)?;
            let (own, next) = slice::<u32>(sums)?.split_at(digits);
            Some([own, next])
        }
    };
    py.detach(|| order::places(f, [leads.0, leads.1], row, sums, to));
    Ok(out)
}
