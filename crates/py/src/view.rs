//! Bytes of Python objects without a copy.

use pyo3::ffi;
use pyo3::prelude::*;

/// A buffer taken as plain bytes. pyo3's own wrapper refuses the 0-d arrays that scalar shares are.
pub struct View(Box<ffi::Py_buffer>);

impl View {
    /// The bytes of an object with C-contiguous memory.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<View> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: `view` is an empty Py_buffer at an address that stays its own; PyBUF_SIMPLE asks for C-contiguous bytes,
        // and on success the view is released exactly once, by drop.
        match unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut(), ffi::PyBUF_SIMPLE) }
        {
            0 => Ok(View(view)),
            _ => Err(PyErr::fetch(object.py())),
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        let length = usize::try_from(self.0.len).unwrap_or(0);
        if length == 0 {
            return &[];
        }
        // SAFETY: the buffer protocol keeps these `len` bytes alive and in place until the view is released. Their owner
        // could change them meanwhile, which is a wrong message and no worse: they are only copied.
        unsafe { std::slice::from_raw_parts(self.0.buf.cast::<u8>().cast_const(), length) }
    }
}

// SAFETY: the view is read without the GIL but made and released with it; what it points to is bound to no thread.
unsafe impl Send for View {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for View {}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer in `of`, released here only, with the GIL.
        Python::attach(|_| unsafe { ffi::PyBuffer_Release(self.0.as_mut()) });
    }
}
