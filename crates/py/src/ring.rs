//! Bindings of `argot-ring`. Arrays of a ring are uint32, uint64 or `Z128`; results are fresh arrays or `out=`.

use crate::array::{self, contiguous, empty, mismatch, released, text, Array, Kind, Output};
use crate::bits;
use crate::prf::exactly;
use argot_prf::Stream;
use argot_ring::elementwise::{self as ew, Binary, Bit, Unary};
use argot_ring::matmul::{Matrix, Sizes};
use argot_ring::tile::Tiled;
use argot_ring::{cross as products, fixed, reduce, Backend, Ring, Z128};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

pub type Any<'py> = Bound<'py, PyUntypedArray>;
pub type Out<'py> = Option<Any<'py>>;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let fields = PyList::new(py, [("lo", "<u8"), ("hi", "<u8")])?;
    m.add("Z128", PyArrayDescr::new(py, fields)?)?;
    m.add_function(wrap_pyfunction!(add, m)?)?;
    m.add_function(wrap_pyfunction!(sub, m)?)?;
    m.add_function(wrap_pyfunction!(mul, m)?)?;
    m.add_function(wrap_pyfunction!(and_, m)?)?;
    m.add_function(wrap_pyfunction!(or_, m)?)?;
    m.add_function(wrap_pyfunction!(xor, m)?)?;
    m.add_function(wrap_pyfunction!(neg, m)?)?;
    m.add_function(wrap_pyfunction!(invert, m)?)?;
    m.add_function(wrap_pyfunction!(shl, m)?)?;
    m.add_function(wrap_pyfunction!(shr, m)?)?;
    m.add_function(wrap_pyfunction!(sar, m)?)?;
    m.add_function(wrap_pyfunction!(cast, m)?)?;
    m.add_function(wrap_pyfunction!(sum, m)?)?;
    m.add_function(wrap_pyfunction!(cumsum, m)?)?;
    m.add_function(wrap_pyfunction!(matmul, m)?)?;
    m.add_function(wrap_pyfunction!(cross_matmul, m)?)?;
    m.add_function(wrap_pyfunction!(weighted_matmul, m)?)?;
    m.add_function(wrap_pyfunction!(encode, m)?)?;
    m.add_function(wrap_pyfunction!(encode_limit, m)?)?;
    m.add_function(wrap_pyfunction!(decode, m)?)?;
    m.add_function(wrap_pyfunction!(cross, m)?)?;
    m.add_function(wrap_pyfunction!(square_cross, m)?)?;
    m.add_function(wrap_pyfunction!(beaver, m)?)?;
    m.add_function(wrap_pyfunction!(zero, m)?)?;
    m.add_function(wrap_pyfunction!(add_stream, m)?)?;
    m.add_function(wrap_pyfunction!(sub_stream, m)?)?;
    bits::register(m)?;
    m.add_function(wrap_pyfunction!(empty_array, m)?)?;
    m.add_function(wrap_pyfunction!(array::trim, m)?)?;
    m.add_function(wrap_pyfunction!(array::map_large_blocks, m)?)?;
    m.add_function(wrap_pyfunction!(backend, m)?)?;
    m.add_function(wrap_pyfunction!(set_backend, m)?)
}

/// Call a generic function for the ring of an array.
macro_rules! by_ring {
    ($kind:expr, $call:ident $(::<$($more:ty),+>)? ($($arg:expr),* $(,)?)) => {
        match $kind {
            Kind::U32 => $call::<u32 $($(, $more)+)?>($($arg),*),
            Kind::U64 => $call::<u64 $($(, $more)+)?>($($arg),*),
            Kind::U128 => $call::<Z128 $($(, $more)+)?>($($arg),*),
        }
    };
}

pub fn stream(name: &str, key: &[u8]) -> PyResult<Stream> {
    Ok(Stream::new(&exactly(name, key)?))
}

/// The common ring of the arguments of `what`.
pub fn same_ring(what: &str, arrays: &[&Array<'_>]) -> PyResult<Kind> {
    let kind = arrays[0].kind()?;
    for other in &arrays[1..] {
        if other.kind()? != kind {
            return Err(PyTypeError::new_err(format!(
                "{what}: dtypes {} and {} do not match",
                arrays[0].dtype(),
                other.dtype()
            )));
        }
    }
    Ok(kind)
}

pub fn same_shape(py: Python<'_>, what: &str, arrays: &[&Array<'_>]) -> PyResult<()> {
    match arrays.iter().find(|a| a.shape() != arrays[0].shape()) {
        Some(other) => Err(mismatch(py, what, arrays[0].shape(), other.shape())),
        None => Ok(()),
    }
}

pub fn binary<'py, O: Binary, Swapped: Binary>(
    py: Python<'py>,
    what: &str,
    x: Array<'py>,
    y: Array<'py>,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let kind = same_ring(what, &[&x, &y])?;
    by_ring!(kind, binary_of::<O, Swapped>(py, what, x, y, out))
}

fn binary_of<'py, T: Ring, O: Binary, Swapped: Binary>(
    py: Python<'py>,
    what: &str,
    x: Array<'py>,
    y: Array<'py>,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let (x_scalar, y_scalar) = (x.shape().is_empty(), y.shape().is_empty());
    if x.shape() != y.shape() && !x_scalar && !y_scalar {
        return Err(mismatch(py, what, x.shape(), y.shape()));
    }
    if x_scalar && !y_scalar {
        return binary_of::<T, Swapped, O>(py, what, y, x, out);
    }
    let out = Output::new(py, out, x.shape(), x.dtype())?;
    let bytes = x.nbytes();
    if y_scalar {
        let y = y.slice::<T>()[0];
        if out.is(&x) {
            let o = out.slice::<T>();
            released(py, bytes, || ew::assign_scalar::<T, O>(o, y));
        } else {
            let x = out.disjoint(x)?;
            let (o, x) = (out.slice::<T>(), x.slice::<T>());
            released(py, bytes, || ew::binary_scalar::<T, O>(o, x, y));
        }
    } else if out.is(&x) {
        let y = out.disjoint(y)?;
        let (o, y) = (out.slice::<T>(), y.slice::<T>());
        released(py, bytes, || ew::assign::<T, O>(o, y));
    } else if out.is(&y) {
        let x = out.disjoint(x)?;
        let (o, x) = (out.slice::<T>(), x.slice::<T>());
        released(py, bytes, || ew::assign::<T, Swapped>(o, x));
    } else {
        let (x, y) = (out.disjoint(x)?, out.disjoint(y)?);
        let (o, x, y) = (out.slice::<T>(), x.slice::<T>(), y.slice::<T>());
        released(py, bytes, || ew::binary::<T, O>(o, x, y));
    }
    Ok(out.into_array())
}

macro_rules! binary_functions {
    ($($(#[$meta:meta])* $name:ident $op:ident $swapped:ident;)*) => {$(
        $(#[$meta])*
        #[pyfunction]
        #[pyo3(signature = (x, y, out=None))]
        fn $name<'py>(py: Python<'py>, x: Array<'py>, y: Array<'py>, out: Out<'py>) -> PyResult<Any<'py>> {
            binary::<ew::$op, ew::$swapped>(py, stringify!($name), x, y, out)
        }
    )*};
}
binary_functions! {
    /// x + y in the ring; equal shapes, or one of them 0-d.
    add Add Add;
    /// x - y in the ring; equal shapes, or one of them 0-d.
    sub Sub SubFrom;
    /// x * y in the ring; equal shapes, or one of them 0-d.
    mul Mul Mul;
    /// x & y on ring words; equal shapes, or one of them 0-d.
    and_ And And;
    /// x | y on ring words; equal shapes, or one of them 0-d.
    or_ Or Or;
    /// x ^ y on ring words; equal shapes, or one of them 0-d.
    xor Xor Xor;
}

fn unary<'py, T: Ring, O: Unary>(
    py: Python<'py>,
    x: Array<'py>,
    n: u32,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let out = Output::new(py, out, x.shape(), x.dtype())?;
    let x = out.disjoint(x)?;
    let (o, source) = (out.slice::<T>(), x.slice::<T>());
    released(py, x.nbytes(), || ew::unary::<T, O>(o, source, n));
    Ok(out.into_array())
}

/// -x in the ring.
#[pyfunction]
#[pyo3(signature = (x, out=None))]
fn neg<'py>(py: Python<'py>, x: Array<'py>, out: Out<'py>) -> PyResult<Any<'py>> {
    by_ring!(x.kind()?, unary::<ew::Neg>(py, x, 0, out))
}

/// ~x on ring words.
#[pyfunction]
#[pyo3(signature = (x, out=None))]
fn invert<'py>(py: Python<'py>, x: Array<'py>, out: Out<'py>) -> PyResult<Any<'py>> {
    by_ring!(x.kind()?, unary::<ew::Invert>(py, x, 0, out))
}

/// The value 0 in every place, for shifts by the whole word.
fn zeros_like<'py, T: Ring>(py: Python<'py>, x: Array<'py>, out: Out<'py>) -> PyResult<Any<'py>> {
    let out = Output::new(py, out, x.shape(), x.dtype())?;
    out.slice::<T>().fill(T::default());
    Ok(out.into_array())
}

fn word_bits(kind: Kind) -> u32 {
    match kind {
        Kind::U32 => 32,
        Kind::U64 => 64,
        Kind::U128 => 128,
    }
}

/// x * 2^k in the ring; 0 from k = the ring's bits on.
#[pyfunction]
#[pyo3(signature = (x, k, out=None))]
fn shl<'py>(py: Python<'py>, x: Array<'py>, k: u32, out: Out<'py>) -> PyResult<Any<'py>> {
    let kind = x.kind()?;
    if k >= word_bits(kind) {
        return by_ring!(kind, zeros_like(py, x, out));
    }
    by_ring!(kind, unary::<ew::Left>(py, x, k, out))
}

/// floor(x / 2^k) of the unsigned value.
#[pyfunction]
#[pyo3(signature = (x, k, out=None))]
fn shr<'py>(py: Python<'py>, x: Array<'py>, k: u32, out: Out<'py>) -> PyResult<Any<'py>> {
    let kind = x.kind()?;
    if k >= word_bits(kind) {
        return by_ring!(kind, zeros_like(py, x, out));
    }
    by_ring!(kind, unary::<ew::Right>(py, x, k, out))
}

/// floor(x / 2^k) of the signed value.
#[pyfunction]
#[pyo3(signature = (x, k, out=None))]
fn sar<'py>(py: Python<'py>, x: Array<'py>, k: u32, out: Out<'py>) -> PyResult<Any<'py>> {
    let kind = x.kind()?;
    let k = k.min(word_bits(kind) - 1);
    by_ring!(kind, unary::<ew::RightSigned>(py, x, k, out))
}

/// How [`cast`] reads or writes a dtype: as words of this size, or as bits.
#[derive(Clone, Copy)]
pub enum Form {
    Bit,
    Word8,
    Word16,
    Word32,
    Word64,
    Word128,
}

pub fn form(dtype: &Bound<'_, PyArrayDescr>) -> PyResult<Form> {
    match (dtype.kind(), dtype.itemsize()) {
        _ if dtype.byteorder() == b'>' => None,
        (b'b', 1) => Some(Form::Bit),
        (b'u' | b'i', 1) => Some(Form::Word8),
        (b'u' | b'i', 2) => Some(Form::Word16),
        (b'u' | b'i', 4) => Some(Form::Word32),
        (b'u' | b'i', 8) => Some(Form::Word64),
        (b'V', 16) => Some(Form::Word128),
        _ => None,
    }
    .ok_or_else(|| {
        PyTypeError::new_err(format!(
            "cast: dtype {dtype}; wanted bool, an integer dtype or ring.Z128"
        ))
    })
}

/// x in another dtype: reduced mod 2^k if narrower (bool: the lowest bit), else extended, by zeros or, if `signed`
/// or the dtype of x is a signed one, by copies of the top bit. From and to the rings, bool and all integer dtypes.
#[pyfunction]
#[pyo3(signature = (x, dtype, signed=false))]
fn cast<'py>(
    py: Python<'py>,
    x: Array<'py>,
    dtype: &Bound<'py, PyAny>,
    signed: bool,
) -> PyResult<Any<'py>> {
    let dtype = PyArrayDescr::new(py, dtype)?;
    let signed = signed || x.dtype().kind() == b'i';
    let (from, to) = (form(&x.dtype())?, form(&dtype)?);
    let out = empty(py, x.shape(), dtype)?;
    let out = Output(out);
    let bytes = x.nbytes();
    macro_rules! convert {
        ($from:ty, $to:ty) => {{
            let (o, x) = (out.slice::<$to>(), x.slice::<$from>());
            released(py, bytes, || ew::cast(o, x, signed))
        }};
    }
    macro_rules! to {
        ($from:ty) => {
            match to {
                Form::Bit => convert!($from, Bit),
                Form::Word8 => convert!($from, u8),
                Form::Word16 => convert!($from, u16),
                Form::Word32 => convert!($from, u32),
                Form::Word64 => convert!($from, u64),
                Form::Word128 => convert!($from, Z128),
            }
        };
    }
    match from {
        Form::Bit => to!(Bit),
        Form::Word8 => to!(u8),
        Form::Word16 => to!(u16),
        Form::Word32 => to!(u32),
        Form::Word64 => to!(u64),
        Form::Word128 => to!(Z128),
    }
    Ok(out.into_array())
}

/// An axis counted from either end, as an index.
fn axis_index(axis: isize, ndim: usize) -> PyResult<usize> {
    let index = if axis < 0 { axis + ndim as isize } else { axis };
    if (0..ndim as isize).contains(&index) {
        return Ok(index as usize);
    }
    Err(PyValueError::new_err(format!(
        "axis {axis} of an array of {ndim} dimensions"
    )))
}

/// Which axes of an array a reduction goes over.
struct Axes(Option<Vec<isize>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Axes {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Axes> {
        if object.is_none() {
            return Ok(Axes(None));
        }
        match object.extract::<isize>() {
            Ok(axis) => Ok(Axes(Some(vec![axis]))),
            Err(_) => object.extract::<Vec<isize>>().map(|axes| Axes(Some(axes))),
        }
    }
}

/// The sum in the ring over `axis` (None: all; an integer or a tuple).
#[pyfunction]
#[pyo3(signature = (x, axis=Axes(None), keepdims=false))]
fn sum<'py>(py: Python<'py>, x: Array<'py>, axis: Axes, keepdims: bool) -> PyResult<Any<'py>> {
    let ndim = x.shape().len();
    let mut over = vec![axis.0.is_none(); ndim];
    for axis in axis.0.unwrap_or_default() {
        let index = axis_index(axis, ndim)?;
        if std::mem::replace(&mut over[index], true) {
            return Err(PyValueError::new_err(format!("sum: axis {axis} twice")));
        }
    }
    by_ring!(x.kind()?, sum_of(py, x, &over, keepdims))
}

fn sum_of<'py, T: Ring>(
    py: Python<'py>,
    x: Array<'py>,
    over: &[bool],
    keepdims: bool,
) -> PyResult<Any<'py>> {
    let shape: Vec<usize> = x
        .shape()
        .iter()
        .zip(over)
        .filter(|(_, over)| keepdims || !**over)
        .map(|(n, over)| if *over { 1 } else { *n })
        .collect();
    let out = Output(empty(py, &shape, x.dtype())?);
    // Neighbouring axes with one fate are one axis.
    let mut groups: Vec<(usize, bool)> = Vec::new();
    for (n, over) in x.shape().iter().zip(over) {
        match groups.last_mut() {
            Some((length, same)) if same == over => *length *= n,
            _ => groups.push((*n, *over)),
        }
    }
    let (o, source) = (out.slice::<T>(), x.slice::<T>());
    released(py, x.nbytes(), || {
        let mut held: Option<Vec<T>> = None;
        let mut inner = 1;
        let todo = groups.iter().filter(|(_, over)| *over).count();
        let mut done = 0;
        for (n, over) in groups.iter().rev() {
            if !over {
                inner *= n;
                continue;
            }
            done += 1;
            let from = held.as_deref().unwrap_or(source);
            if done == todo {
                reduce::sum(o, from, *n, inner);
                return;
            }
            let mut to = vec![T::default(); from.len().checked_div(*n).unwrap_or(0)];
            reduce::sum(&mut to, from, *n, inner);
            held = Some(to);
        }
        o.copy_from_slice(source);
    });
    Ok(out.into_array())
}

/// Running sums in the ring along `axis`.
#[pyfunction]
fn cumsum<'py>(py: Python<'py>, x: Array<'py>, axis: isize) -> PyResult<Any<'py>> {
    let axis = axis_index(axis, x.shape().len())?;
    by_ring!(x.kind()?, cumsum_of(py, x, axis))
}

fn cumsum_of<'py, T: Ring>(py: Python<'py>, x: Array<'py>, axis: usize) -> PyResult<Any<'py>> {
    let out = Output(empty(py, x.shape(), x.dtype())?);
    let (n, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product());
    let (o, source) = (out.slice::<T>(), x.slice::<T>());
    released(py, x.nbytes(), || reduce::cumsum(o, source, n, inner));
    Ok(out.into_array())
}

/// An operand of a matrix product: matrices that lie row by row, or column by column, one after the other. What lies
/// in another way is copied.
struct Matrices<'py> {
    shape: Vec<usize>,
    array: Array<'py>,
    transposed: bool,
}

impl<'py> Matrices<'py> {
    fn new(object: &Bound<'py, PyAny>) -> PyResult<Matrices<'py>> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            let d = array.ndim();
            if d >= 2 && !array.is_c_contiguous() {
                let flipped = array.call_method1("swapaxes", (d - 2, d - 1))?;
                let flipped = flipped.cast_into::<PyUntypedArray>()?;
                if flipped.is_c_contiguous() {
                    return Ok(Matrices {
                        shape: array.shape().to_vec(),
                        array: flipped.extract()?,
                        transposed: true,
                    });
                }
            }
        }
        let array: Array<'py> = object.extract()?;
        Ok(Matrices {
            shape: array.shape().to_vec(),
            array,
            transposed: false,
        })
    }

    /// The same matrices row by row.
    fn by_rows(self) -> PyResult<Self> {
        if !self.transposed {
            return Ok(self);
        }
        let d = self.shape.len();
        let array = self.array.0.call_method1("swapaxes", (d - 2, d - 1))?;
        Ok(Matrices {
            array: array.extract()?,
            transposed: false,
            ..self
        })
    }

    fn disjoint(self, out: &Output<'py>) -> PyResult<Self> {
        let array = out.disjoint(self.array)?;
        Ok(Matrices { array, ..self })
    }

    fn view<T>(&self) -> Matrix<'_, T> {
        Matrix {
            data: self.array.slice(),
            transposed: self.transposed,
        }
    }
}

/// The shape of x @ y, and the sizes of one product of the batch.
fn product_shape(
    py: Python<'_>,
    what: &str,
    x: &Matrices<'_>,
    y: &Matrices<'_>,
) -> PyResult<(Vec<usize>, Sizes)> {
    let (a, b) = (&x.shape, &y.shape);
    let d = a.len();
    if d < 2 || b.len() != d || a[..d - 2] != b[..d - 2] || a[d - 1] != b[d - 2] {
        return Err(PyValueError::new_err(format!(
            "{what}: shapes {} and {} do not match; wanted (..., m, k) and (..., k, n) with equal batch dimensions",
            text(py, a),
            text(py, b)
        )));
    }
    let (m, k, n) = (a[d - 2], a[d - 1], b[d - 1]);
    let mut shape = a[..d - 1].to_vec();
    shape.push(n);
    Ok((shape, Sizes { m, k, n }))
}

/// Work of a product in bytes of elementwise work, roughly.
fn product_work(out: &Any<'_>, sizes: Sizes) -> usize {
    out.len().saturating_mul(sizes.k.max(1)).saturating_mul(2)
}

/// x @ y in the ring: (..., m, k) @ (..., k, n), batched over equal leading dimensions. Transposed views are not
/// copied.
#[pyfunction]
#[pyo3(signature = (x, y, out=None))]
fn matmul<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let (x, y) = (Matrices::new(x)?, Matrices::new(y)?);
    let kind = same_ring("matmul", &[&x.array, &y.array])?;
    let (shape, sizes) = product_shape(py, "matmul", &x, &y)?;
    let out = Output::new(py, out, &shape, x.array.dtype())?;
    let (x, y) = (x.disjoint(&out)?, y.disjoint(&out)?);
    let work = product_work(&out.0, sizes);
    macro_rules! run {
        ($t:ty) => {{
            let (o, x, y) = (out.slice::<$t>(), x.view::<$t>(), y.view::<$t>());
            released(py, work, || argot_ring::matmul::matmul(o, x, y, sizes))
        }};
    }
    match kind {
        Kind::U32 => run!(u32),
        Kind::U64 => run!(u64),
        Kind::U128 => run!(Z128),
    }
    Ok(out.into_array())
}

/// The two parts of a share of matrices, which lie alike, as do those of the other factor, and what their product needs.
struct Factors<'py> {
    x: [Matrices<'py>; 2],
    y: [Matrices<'py>; 2],
    kind: Kind,
    sizes: Sizes,
    out: Output<'py>,
}

impl<'py> Factors<'py> {
    fn new(
        py: Python<'py>,
        what: &str,
        [x0, x1, y0, y1]: [&Bound<'py, PyAny>; 4],
        out: Out<'py>,
    ) -> PyResult<Factors<'py>> {
        let pair = |a, b| {
            let (a, b) = (Matrices::new(a)?, Matrices::new(b)?);
            if a.shape != b.shape {
                return Err(mismatch(py, what, &a.shape, &b.shape));
            }
            if a.transposed != b.transposed {
                return Ok([a.by_rows()?, b.by_rows()?]);
            }
            Ok([a, b])
        };
        let ([x0, x1], [y0, y1]) = (pair(x0, x1)?, pair(y0, y1)?);
        let kind = same_ring(what, &[&x0.array, &x1.array, &y0.array, &y1.array])?;
        let (shape, sizes) = product_shape(py, what, &x0, &y0)?;
        let out = Output::new(py, out, &shape, x0.array.dtype())?;
        Ok(Factors {
            x: [x0.disjoint(&out)?, x1.disjoint(&out)?],
            y: [y0.disjoint(&out)?, y1.disjoint(&out)?],
            kind,
            sizes,
            out,
        })
    }

    fn work(&self) -> usize {
        product_work(&self.out.0, self.sizes)
    }

    /// `out`, the two parts of x and those of y.
    #[allow(clippy::type_complexity)]
    fn views<T>(&self) -> (&mut [T], [Matrix<'_, T>; 2], [Matrix<'_, T>; 2]) {
        let ([x0, x1], [y0, y1]) = (&self.x, &self.y);
        (
            self.out.slice(),
            [x0.view(), x1.view()],
            [y0.view(), y1.view()],
        )
    }
}

/// x0 @ y0 + x0 @ y1 + x1 @ y0 in the ring, shapes as for `matmul`.
#[pyfunction]
#[pyo3(signature = (x0, x1, y0, y1, out=None))]
fn cross_matmul<'py>(
    py: Python<'py>,
    x0: &Bound<'py, PyAny>,
    x1: &Bound<'py, PyAny>,
    y0: &Bound<'py, PyAny>,
    y1: &Bound<'py, PyAny>,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let factors = Factors::new(py, "cross_matmul", [x0, x1, y0, y1], out)?;
    fn run<T: Tiled>(py: Python<'_>, factors: &Factors<'_>) {
        let ((out, x, y), sizes) = (factors.views::<T>(), factors.sizes);
        released(py, factors.work(), || {
            argot_ring::matmul::cross_matmul(out, x, y, sizes)
        })
    }
    by_ring!(factors.kind, run(py, &factors));
    Ok(factors.out.into_array())
}

/// (a x0 + b x1) @ (c y0 + d y1) in the ring, (a, b, c, d) = `weights`, shapes as for `matmul`.
#[pyfunction]
#[pyo3(signature = (x0, x1, y0, y1, weights, out=None))]
fn weighted_matmul<'py>(
    py: Python<'py>,
    x0: &Bound<'py, PyAny>,
    x1: &Bound<'py, PyAny>,
    y0: &Bound<'py, PyAny>,
    y1: &Bound<'py, PyAny>,
    weights: [i32; 4],
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let factors = Factors::new(py, "weighted_matmul", [x0, x1, y0, y1], out)?;
    fn run<T: Tiled>(py: Python<'_>, factors: &Factors<'_>, weights: [i32; 4]) {
        let ((out, [x0, x1], [y0, y1]), sizes) = (factors.views::<T>(), factors.sizes);
        let [a, b, c, d] = weights.map(|w| {
            let size = T::from_u64(w.unsigned_abs().into());
            if w < 0 {
                size.negated()
            } else {
                size
            }
        });
        released(py, factors.work(), || {
            argot_ring::matmul::weighted_matmul(out, (x0, x1, a, b), (y0, y1, c, d), sizes)
        })
    }
    by_ring!(factors.kind, run(py, &factors, weights));
    Ok(factors.out.into_array())
}

/// A dtype that must be one of the rings'.
fn ring_dtype<'py>(
    py: Python<'py>,
    dtype: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyArrayDescr>, Kind)> {
    let dtype = PyArrayDescr::new(py, dtype)?;
    match crate::array::kind_of(&dtype) {
        Some(kind) => Ok((dtype, kind)),
        None => Err(PyTypeError::new_err(format!(
            "dtype {dtype}; wanted uint32, uint64 or ring.Z128"
        ))),
    }
}

/// What fixed point allows: 2 f + 2 bits below those of the ring.
fn check_fraction(kind: Kind, fraction_bits: u32) -> PyResult<()> {
    if 2 * fraction_bits as u64 + 2 < word_bits(kind) as u64 {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{fraction_bits} fraction bits in a ring of {} bits",
        word_bits(kind)
    )))
}

/// round(x * 2^f) as ring elements, to the nearest and ties to even.
///
/// Takes |x| < 2^(k-2-2f), `encode_limit(f, dtype)`: then the product of any two numbers has 2f fraction bits and
/// still fits. Raises ValueError for the first value that is NaN, infinite or out of range; the exception has the
/// attributes `index` (in C order) and `kind` ("nan", "inf" or "range"), and never the value.
#[pyfunction]
fn encode<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    fraction_bits: u32,
    dtype: &Bound<'py, PyAny>,
) -> PyResult<Any<'py>> {
    let x = match x.extract::<Array<'py>>() {
        Ok(x) if x.dtype().kind() == b'f' && x.dtype().itemsize() == 8 => x,
        _ => Array(contiguous(x, Some(numpy::dtype::<f64>(py)))?),
    };
    let (dtype, kind) = ring_dtype(py, dtype)?;
    check_fraction(kind, fraction_bits)?;
    by_ring!(kind, encode_of(py, x, fraction_bits, dtype))
}

fn encode_of<'py, T: Ring>(
    py: Python<'py>,
    x: Array<'py>,
    fraction_bits: u32,
    dtype: Bound<'py, PyArrayDescr>,
) -> PyResult<Any<'py>> {
    let out = Output(empty(py, x.shape(), dtype)?);
    let (o, source) = (out.slice::<T>(), x.slice::<f64>());
    match released(py, x.nbytes(), || fixed::encode(o, source, fraction_bits)) {
        Ok(()) => Ok(out.into_array()),
        Err((index, bad)) => {
            let limit = fixed::limit_log2(T::BITS, fraction_bits);
            let error = PyValueError::new_err(format!(
                "encode: element {index} (C order) is {}; wanted finite values of magnitude below 2^{limit}",
                match bad {
                    fixed::Bad::Nan => "NaN",
                    fixed::Bad::Inf => "infinite",
                    fixed::Bad::Range => "out of range",
                }
            ));
            error.value(py).setattr("index", index)?;
            error.value(py).setattr("kind", bad.name())?;
            Err(error)
        }
    }
}

/// The bound that `encode` holds values to: |x| < encode_limit(fraction_bits, dtype).
#[pyfunction]
fn encode_limit(py: Python<'_>, fraction_bits: u32, dtype: &Bound<'_, PyAny>) -> PyResult<f64> {
    let (_, kind) = ring_dtype(py, dtype)?;
    check_fraction(kind, fraction_bits)?;
    Ok(2f64.powi(fixed::limit_log2(word_bits(kind), fraction_bits)))
}

/// x / 2^f as float64, of the signed value; rounded once.
#[pyfunction]
fn decode<'py>(py: Python<'py>, x: Array<'py>, fraction_bits: u32) -> PyResult<Any<'py>> {
    let kind = x.kind()?;
    check_fraction(kind, fraction_bits)?;
    by_ring!(kind, decode_of(py, x, fraction_bits))
}

fn decode_of<'py, T: Ring>(
    py: Python<'py>,
    x: Array<'py>,
    fraction_bits: u32,
) -> PyResult<Any<'py>> {
    let out = Output(empty(py, x.shape(), numpy::dtype::<f64>(py))?);
    let (o, source) = (out.slice::<f64>(), x.slice::<T>());
    released(py, x.nbytes(), || fixed::decode(o, source, fraction_bits));
    Ok(out.into_array())
}

/// x0 y0 + x0 y1 + x1 y0 + PRG(plus) - PRG(minus), elementwise, equal shapes.
#[pyfunction]
#[pyo3(signature = (x0, x1, y0, y1, plus, minus, out=None))]
#[allow(clippy::too_many_arguments)]
fn cross<'py>(
    py: Python<'py>,
    x0: Array<'py>,
    x1: Array<'py>,
    y0: Array<'py>,
    y1: Array<'py>,
    plus: &[u8],
    minus: &[u8],
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let kind = same_ring("cross", &[&x0, &x1, &y0, &y1])?;
    same_shape(py, "cross", &[&x0, &x1, &y0, &y1])?;
    let (plus, minus) = (stream("plus", plus)?, stream("minus", minus)?);
    let out = Output::new(py, out, x0.shape(), x0.dtype())?;
    let (x0, x1) = (out.disjoint(x0)?, out.disjoint(x1)?);
    let (y0, y1) = (out.disjoint(y0)?, out.disjoint(y1)?);
    macro_rules! run {
        ($t:ty) => {{
            let o = out.slice::<$t>();
            let x = [x0.slice::<$t>(), x1.slice::<$t>()];
            let y = [y0.slice::<$t>(), y1.slice::<$t>()];
            released(py, x0.nbytes(), || products::cross(o, x, y, &plus, &minus))
        }};
    }
    match kind {
        Kind::U32 => run!(u32),
        Kind::U64 => run!(u64),
        Kind::U128 => run!(Z128),
    }
    Ok(out.into_array())
}

/// c + e PRG(b) + f PRG(a), and e f more if `first`; elementwise, equal shapes.
#[pyfunction]
#[pyo3(signature = (c, e, f, a, b, first, out=None))]
#[allow(clippy::too_many_arguments)]
fn beaver<'py>(
    py: Python<'py>,
    c: Array<'py>,
    e: Array<'py>,
    f: Array<'py>,
    a: &[u8],
    b: &[u8],
    first: bool,
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let kind = same_ring("beaver", &[&c, &e, &f])?;
    same_shape(py, "beaver", &[&c, &e, &f])?;
    let (a, b) = (stream("a", a)?, stream("b", b)?);
    let out = Output::new(py, out, c.shape(), c.dtype())?;
    let (c, e, f) = (out.disjoint(c)?, out.disjoint(e)?, out.disjoint(f)?);
    macro_rules! run {
        ($t:ty) => {{
            let o = out.slice::<$t>();
            let (rest, opened) = (c.slice::<$t>(), [e.slice::<$t>(), f.slice::<$t>()]);
            released(py, c.nbytes(), || {
                products::beaver(o, rest, opened, [&a, &b], first)
            })
        }};
    }
    match kind {
        Kind::U32 => run!(u32),
        Kind::U64 => run!(u64),
        Kind::U128 => run!(Z128),
    }
    Ok(out.into_array())
}

/// x0^2 + 2 x0 x1 + PRG(plus) - PRG(minus), elementwise, equal shapes.
#[pyfunction]
#[pyo3(signature = (x0, x1, plus, minus, out=None))]
fn square_cross<'py>(
    py: Python<'py>,
    x0: Array<'py>,
    x1: Array<'py>,
    plus: &[u8],
    minus: &[u8],
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let kind = same_ring("square_cross", &[&x0, &x1])?;
    same_shape(py, "square_cross", &[&x0, &x1])?;
    let (plus, minus) = (stream("plus", plus)?, stream("minus", minus)?);
    let out = Output::new(py, out, x0.shape(), x0.dtype())?;
    let (x0, x1) = (out.disjoint(x0)?, out.disjoint(x1)?);
    macro_rules! run {
        ($t:ty) => {{
            let o = out.slice::<$t>();
            let x = [x0.slice::<$t>(), x1.slice::<$t>()];
            released(py, x0.nbytes(), || {
                products::square_cross(o, x, &plus, &minus)
            })
        }};
    }
    match kind {
        Kind::U32 => run!(u32),
        Kind::U64 => run!(u64),
        Kind::U128 => run!(Z128),
    }
    Ok(out.into_array())
}

/// PRG(plus) - PRG(minus): this party's addend of a sharing of zero.
#[pyfunction]
fn zero<'py>(
    py: Python<'py>,
    shape: Vec<usize>,
    dtype: &Bound<'py, PyAny>,
    plus: &[u8],
    minus: &[u8],
) -> PyResult<Any<'py>> {
    let (dtype, kind) = ring_dtype(py, dtype)?;
    let (plus, minus) = (stream("plus", plus)?, stream("minus", minus)?);
    let out = Output(empty(py, &shape, dtype)?);
    let bytes = out.0.len() * out.0.dtype().itemsize();
    macro_rules! run {
        ($t:ty) => {{
            let o = out.slice::<$t>();
            released(py, bytes, || products::zero(o, &plus, &minus))
        }};
    }
    match kind {
        Kind::U32 => run!(u32),
        Kind::U64 => run!(u64),
        Kind::U128 => run!(Z128),
    }
    Ok(out.into_array())
}

fn with_stream<'py, T: Ring>(
    py: Python<'py>,
    x: Array<'py>,
    stream: &Stream,
    out: Out<'py>,
    work: fn(&mut [T], &[T], &Stream),
) -> PyResult<Any<'py>> {
    let out = Output::new(py, out, x.shape(), x.dtype())?;
    let x = out.disjoint(x)?;
    let (o, source) = (out.slice::<T>(), x.slice::<T>());
    released(py, x.nbytes(), || work(o, source, stream));
    Ok(out.into_array())
}

/// x + PRG(key).
#[pyfunction]
#[pyo3(signature = (x, key, out=None))]
fn add_stream<'py>(
    py: Python<'py>,
    x: Array<'py>,
    key: &[u8],
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let stream = stream("key", key)?;
    match x.kind()? {
        Kind::U32 => with_stream::<u32>(py, x, &stream, out, products::add_stream),
        Kind::U64 => with_stream::<u64>(py, x, &stream, out, products::add_stream),
        Kind::U128 => with_stream::<Z128>(py, x, &stream, out, products::add_stream),
    }
}

/// x - PRG(key).
#[pyfunction]
#[pyo3(signature = (x, key, out=None))]
fn sub_stream<'py>(
    py: Python<'py>,
    x: Array<'py>,
    key: &[u8],
    out: Out<'py>,
) -> PyResult<Any<'py>> {
    let stream = stream("key", key)?;
    match x.kind()? {
        Kind::U32 => with_stream::<u32>(py, x, &stream, out, products::sub_stream),
        Kind::U64 => with_stream::<u64>(py, x, &stream, out, products::sub_stream),
        Kind::U128 => with_stream::<Z128>(py, x, &stream, out, products::sub_stream),
    }
}

/// A fresh array with unspecified contents, as `numpy.empty`; large ones reuse the memory of freed ones.
#[pyfunction]
#[pyo3(name = "empty")]
fn empty_array<'py>(
    py: Python<'py>,
    shape: Vec<usize>,
    dtype: &Bound<'py, PyAny>,
) -> PyResult<Any<'py>> {
    let dtype = PyArrayDescr::new(py, dtype)?;
    if dtype.has_object() {
        return Err(PyTypeError::new_err(format!("empty: dtype {dtype}")));
    }
    empty(py, &shape, dtype)
}

/// The instructions in use: "avx512", "avx2" or "portable".
#[pyfunction]
fn backend() -> &'static str {
    Backend::current().name()
}

/// Use other instructions from now on, in tests; ValueError where the processor does not have them.
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
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "this processor cannot run the backend {name}"
    )))
}
