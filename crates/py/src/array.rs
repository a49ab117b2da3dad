//! NumPy arrays as slices, and fresh arrays: what every binding of kernels needs.

use numpy::npyffi::{self, NpyTypes, PY_ARRAY_API};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::time::Instant;

/// Work on fewer bytes keeps the GIL: giving it up and taking it back would cost more.
const RELEASE: usize = 16 << 10;

/// Run `work`, without the GIL if it handles more than a few thousand bytes.
pub fn released<R: Send>(py: Python<'_>, bytes: usize, work: impl FnOnce() -> R + Send) -> R {
    if bytes > RELEASE {
        py.detach(work)
    } else {
        work()
    }
}

/// Which ring an array is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U32,
    U64,
    U128,
}

/// The ring of a dtype, if it is one.
pub fn kind_of(dtype: &Bound<'_, PyArrayDescr>) -> Option<Kind> {
    match (dtype.kind(), dtype.itemsize(), dtype.byteorder()) {
        (_, _, b'>') => None,
        (b'u', 4, _) => Some(Kind::U32),
        (b'u', 8, _) => Some(Kind::U64),
        (b'V', 16, _) => Some(Kind::U128),
        _ => None,
    }
}

/// An argument: a C-contiguous, aligned array; what came is copied where it was none.
pub struct Array<'py>(pub Bound<'py, PyUntypedArray>);

impl<'a, 'py> FromPyObject<'a, 'py> for Array<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Array<'py>> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            let align = array.dtype().itemsize().min(8);
            if array.is_c_contiguous() && is_aligned(&array, align) {
                return Ok(Array(array.to_owned()));
            }
        }
        contiguous(&object, None).map(Array)
    }
}

impl<'py> Array<'py> {
    pub fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn dtype(&self) -> Bound<'py, PyArrayDescr> {
        self.0.dtype()
    }

    pub fn nbytes(&self) -> usize {
        self.len() * self.dtype().itemsize()
    }

    /// The ring of its elements, or a TypeError.
    pub fn kind(&self) -> PyResult<Kind> {
        kind_of(&self.dtype()).ok_or_else(|| {
            PyTypeError::new_err(format!(
                "an array of {}; wanted uint32, uint64 or ring.Z128",
                self.dtype()
            ))
        })
    }

    /// The elements. `T` has the size of the dtype's items, at most the alignment of a word, and no invalid values.
    pub fn slice<T>(&self) -> &[T] {
        assert_eq!(self.dtype().itemsize(), std::mem::size_of::<T>());
        if self.len() == 0 {
            return &[];
        }
        // SAFETY: C-contiguous and aligned as `extract` left it, and alive as long as `self`. Python code that writes
        // to an argument of a running kernel gets some mixture of values, as with NumPy's own functions.
        unsafe { std::slice::from_raw_parts(self.address() as *const T, self.len()) }
    }

    fn address(&self) -> usize {
        address(&self.0)
    }

    pub fn span(&self) -> Range<usize> {
        self.address()..self.address() + self.nbytes()
    }

    /// Whether it shares memory with a result.
    pub fn span_meets(&self, out: &Output<'py>) -> bool {
        let start = address(&out.0);
        let end = start + out.0.len() * out.0.dtype().itemsize();
        self.span().start < end && start < self.span().end
    }
}

/// A result: a fresh array, or the caller's `out=`.
pub struct Output<'py>(pub Bound<'py, PyUntypedArray>);

impl<'py> Output<'py> {
    /// `out` if given, which must have this shape and dtype, be writeable, C-contiguous and aligned; else a fresh one.
    pub fn new(
        py: Python<'py>,
        out: Option<Bound<'py, PyUntypedArray>>,
        shape: &[usize],
        dtype: Bound<'py, PyArrayDescr>,
    ) -> PyResult<Output<'py>> {
        let Some(out) = out else {
            return empty(py, shape, dtype).map(Output);
        };
        // SAFETY: reads the header of an array that is alive.
        let flags = unsafe { (*out.as_array_ptr()).flags };
        if out.shape() != shape || !out.dtype().is_equiv_to(&dtype) {
            return Err(PyValueError::new_err(format!(
                "out has shape {} and dtype {}; wanted shape {} and dtype {dtype}",
                text(py, out.shape()),
                out.dtype(),
                text(py, shape),
            )));
        }
        if !out.is_c_contiguous()
            || flags & npyffi::NPY_ARRAY_WRITEABLE == 0
            || !is_aligned(&out, dtype.itemsize().min(8))
        {
            return Err(PyValueError::new_err(
                "out must be writeable, C-contiguous and aligned",
            ));
        }
        Ok(Output(out))
    }

    /// The elements, to be written; `T` as in [`Array::slice`].
    ///
    /// No other slice of this memory may be in use: call [`Output::disjoint`] on every input first.
    #[allow(clippy::mut_from_ref)]
    pub fn slice<T>(&self) -> &mut [T] {
        assert_eq!(self.0.dtype().itemsize(), std::mem::size_of::<T>());
        if self.0.len() == 0 {
            return &mut [];
        }
        // SAFETY: as in `Array::slice`; writeable; fresh, or disjoint from the inputs.
        unsafe { std::slice::from_raw_parts_mut(address(&self.0) as *mut T, self.0.len()) }
    }

    /// The input itself, or a copy of it where it shares memory with this result.
    pub fn disjoint(&self, input: Array<'py>) -> PyResult<Array<'py>> {
        if input.span_meets(self) {
            // SAFETY: gives a new reference or an exception.
            let copy = unsafe {
                let py = input.0.py();
                let copy = PY_ARRAY_API.PyArray_NewCopy(
                    py,
                    input.0.as_array_ptr(),
                    npyffi::NPY_ORDER::NPY_CORDER,
                );
                Bound::from_owned_ptr_or_err(py, copy)?
            };
            return Ok(Array(copy.cast_into()?));
        }
        Ok(input)
    }

    /// Whether the result is exactly the memory of `input`.
    pub fn is(&self, input: &Array<'py>) -> bool {
        address(&self.0) == input.address() && self.0.len() == input.len()
    }

    pub fn into_array(self) -> Bound<'py, PyUntypedArray> {
        self.0
    }
}

fn address(array: &Bound<'_, PyUntypedArray>) -> usize {
    // SAFETY: reads the header of an array that is alive.
    unsafe { (*array.as_array_ptr()).data as usize }
}

fn is_aligned(array: &Bound<'_, PyUntypedArray>, align: usize) -> bool {
    align <= 1 || address(array).is_multiple_of(align)
}

/// What `object` holds as a fresh C-contiguous array, of `dtype` if given (safe casts only).
pub fn contiguous<'py>(
    object: &Bound<'py, PyAny>,
    dtype: Option<Bound<'py, PyArrayDescr>>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let descr = dtype.map_or(std::ptr::null_mut(), |d| d.into_ptr().cast());
    let flags = npyffi::NPY_ARRAY_CARRAY_RO | npyffi::NPY_ARRAY_ENSUREARRAY;
    // SAFETY: takes over the reference to the dtype; gives a new reference or an exception.
    let array = unsafe {
        let array = PY_ARRAY_API.PyArray_FromAny(
            py,
            object.as_ptr(),
            descr,
            0,
            0,
            flags,
            std::ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(py, array)?
    };
    let array = array.cast_into::<PyUntypedArray>()?;
    if is_aligned(&array, array.dtype().itemsize().min(8)) {
        return Ok(array);
    }
    // A structure counts as aligned anywhere for NumPy.
    let copy = array.call_method0("copy")?;
    Ok(copy.cast_into::<PyUntypedArray>()?)
}

/// A shape as Python prints it.
pub fn text(py: Python<'_>, shape: &[usize]) -> String {
    PyTuple::new(py, shape).map_or_else(|_| format!("{shape:?}"), |tuple| tuple.to_string())
}

/// A ValueError naming both shapes.
pub fn mismatch(py: Python<'_>, what: &str, x: &[usize], y: &[usize]) -> PyErr {
    PyValueError::new_err(format!(
        "{what}: shapes {} and {} do not match",
        text(py, x),
        text(py, y)
    ))
}

/// A fresh C-contiguous array with unspecified contents; large ones reuse the memory of freed ones.
pub fn empty<'py>(
    py: Python<'py>,
    shape: &[usize],
    dtype: Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let too_large = || PyValueError::new_err(format!("shape {} is too large", text(py, shape)));
    let bytes = shape
        .iter()
        .try_fold(dtype.itemsize(), |product, n| product.checked_mul(*n))
        .filter(|bytes| *bytes <= isize::MAX as usize / 2)
        .ok_or_else(too_large)?;
    let mut dims = [0 as npyffi::npy_intp; 64];
    if shape.len() > dims.len() {
        return Err(too_large());
    }
    for (dim, n) in dims.iter_mut().zip(shape) {
        *dim = *n as npyffi::npy_intp;
    }
    if bytes < POOLED {
        // SAFETY: takes over the reference to the dtype; gives a new array or an exception.
        return unsafe {
            let array = PY_ARRAY_API.PyArray_Empty(
                py,
                shape.len() as i32,
                dims.as_mut_ptr(),
                dtype.into_ptr().cast(),
                0,
            );
            Ok(Bound::from_owned_ptr_or_err(py, array)?.cast_into::<PyUntypedArray>()?)
        };
    }
    let memory = Memory::take(bytes).ok_or_else(|| {
        PyMemoryError::new_err(format!("no memory for an array of {bytes} bytes"))
    })?;
    let data = memory.address.as_ptr();
    let owner = Bound::new(py, memory)?;
    // SAFETY: the data is at least `bytes` long and lives as long as its owner, which the array then holds; the calls
    // take over the references to dtype and owner.
    unsafe {
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            npyffi::get_type_object(py, NpyTypes::PyArray_Type),
            dtype.into_ptr().cast(),
            shape.len() as i32,
            dims.as_mut_ptr(),
            std::ptr::null_mut(),
            data.cast(),
            npyffi::NPY_ARRAY_CARRAY,
            std::ptr::null_mut(),
        );
        let array = Bound::from_owned_ptr_or_err(py, array)?.cast_into::<PyUntypedArray>()?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_array_ptr(), owner.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}

/// Arrays from here on come from the pool: fresh pages from the system would cost more than most kernels.
const POOLED: usize = 512 << 10;
/// Bytes that the pool keeps at least, if there are so many; that it fills up to beside arrays in use; and at most.
const ALWAYS_KEPT: usize = 8 << 20;
const FILLED_TO: usize = 64 << 20;
const KEPT: usize = 256 << 20;
const PAGE: usize = 4 << 10;
/// From two of these on, arrays are made of large pages, which the system clears much faster than small ones.
const LARGE_PAGE: usize = 2 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    bytes: 0,
    lent: 0,
    peak: 0,
    used: None,
});

struct Pool {
    /// Oldest first.
    free: Vec<Memory>,
    bytes: usize,
    /// Bytes of the arrays in use.
    lent: usize,
    /// The most that were in use since free memory was last given back: half of it may be held, free or not.
    peak: usize,
    /// When a large array was asked for or let go, until what is free has been given back.
    used: Option<Instant>,
}

impl Pool {
    /// Bytes that may be free now: what keeps all that is held below half of what was once in use, as other
    /// memory may peak at other times, and of few arrays in use nearly all, for the next run.
    fn kept(&self) -> usize {
        (self.lent / 8)
            .max(FILLED_TO.max(self.peak / 2).saturating_sub(self.lent))
            .clamp(ALWAYS_KEPT, KEPT)
    }

    /// Take out the oldest until no more than `room` bytes are free.
    fn evict(&mut self, room: usize) -> Vec<Memory> {
        let mut evicted = Vec::new();
        while self.bytes > room {
            let oldest = self.free.remove(0);
            self.bytes -= oldest.size;
            evicted.push(oldest);
        }
        evicted
    }
}

/// Have the allocator take large blocks from the system one by one, in the whole process, so that they go back when they
/// are freed. By default glibc soon takes blocks of up to 32 MiB from its heaps instead: of 130 MB that a sort of 10^6
/// numbers had in use, 150 MB more were then kept between them.
#[pyfunction]
pub fn map_large_blocks() {
    // SAFETY: sets two parameters of the allocator, which has a lock of its own.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8 << 20);
    }
}

/// Give the memory of freed arrays back to the system, unless arrays came or went in the last `seconds`.
#[pyfunction]
pub fn trim(py: Python<'_>, seconds: f64) {
    let freed = {
        let Ok(mut pool) = POOL.lock() else { return };
        match pool.used {
            Some(used) if used.elapsed().as_secs_f64() >= seconds => pool.used = None,
            _ => return,
        }
        pool.bytes = 0;
        pool.peak = pool.lent;
        std::mem::take(&mut pool.free)
    };
    py.detach(|| {
        freed.into_iter().for_each(Memory::give_back);
        // SAFETY: gives pages of free memory back; all that is in use stays as it is.
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        unsafe {
            libc::malloc_trim(0);
        }
    });
}

/// Memory of one large array; goes to the pool when the array dies.
#[pyclass(frozen, module = "argot._core")]
struct Memory {
    address: NonNull<u8>,
    /// Zero once it has been given away.
    size: usize,
}

// SAFETY: the memory belongs to whoever holds this object.
unsafe impl Send for Memory {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Memory {}

impl Memory {
    fn take(bytes: usize) -> Option<Memory> {
        // Sizes come in steps, so that nearly equal arrays can follow one another.
        let step = bytes.next_power_of_two() / 16;
        let size = bytes.next_multiple_of(step.max(Memory::align(bytes)));
        let mut evicted = Vec::new();
        if let Ok(mut pool) = POOL.lock() {
            pool.used = Some(Instant::now());
            pool.lent += size;
            pool.peak = pool.peak.max(pool.lent);
            if let Some(i) = pool.free.iter().rposition(|memory| memory.size == size) {
                pool.bytes -= size;
                return Some(pool.free.remove(i));
            }
            let kept = pool.kept();
            evicted = pool.evict(kept);
        }
        evicted.into_iter().for_each(Memory::give_back);
        let layout = Layout::from_size_align(size, Memory::align(size)).ok()?;
        // SAFETY: the size is not zero.
        let Some(address) = NonNull::new(unsafe { std::alloc::alloc(layout) }) else {
            if let Ok(mut pool) = POOL.lock() {
                pool.lent -= size;
            }
            return None;
        };
        #[cfg(target_os = "linux")]
        if layout.align() == LARGE_PAGE {
            // SAFETY: advice on whole pages that were just allocated; it may be refused, and nothing depends on it.
            unsafe { libc::madvise(address.as_ptr().cast(), size, libc::MADV_HUGEPAGE) };
        }
        Some(Memory { address, size })
    }

    fn align(bytes: usize) -> usize {
        if bytes >= 2 * LARGE_PAGE {
            LARGE_PAGE
        } else {
            PAGE
        }
    }

    /// To the system, not to the pool.
    fn give_back(mut self) {
        self.free();
        self.size = 0;
    }

    fn free(&self) {
        // SAFETY: allocated with this layout in `take`; nobody uses it any more.
        unsafe {
            std::alloc::dealloc(
                self.address.as_ptr(),
                Layout::from_size_align_unchecked(self.size, Memory::align(self.size)),
            );
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.size == 0 {
            return;
        }
        let Ok(mut pool) = POOL.lock() else {
            return self.free();
        };
        pool.lent -= self.size;
        if self.size > KEPT {
            drop(pool);
            return self.free();
        }
        let room = pool.kept().max(self.size) - self.size;
        let evicted = pool.evict(room);
        pool.bytes += self.size;
        pool.used = Some(Instant::now());
        pool.free.push(Memory {
            address: self.address,
            size: self.size,
        });
        drop(pool);
        evicted.into_iter().for_each(Memory::give_back);
    }
}
