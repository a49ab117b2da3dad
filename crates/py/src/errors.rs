//! Errors of `argot.errors`, by name.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An error of `argot.errors` by the name of its class.
pub fn error(py: Python<'_>, class: &str, what: &str, fields: &[(&str, &str)]) -> PyErr {
    let raised = || -> PyResult<PyErr> {
        let named = PyDict::new(py);
        for (name, value) in fields {
            named.set_item(name, value)?;
        }
        let instance = py
            .import("argot.errors")?
            .getattr(class)?
            .call((what,), Some(&named))?;
        Ok(PyErr::from_value(instance))
    };
    raised().unwrap_or_else(|failure| failure)
}
