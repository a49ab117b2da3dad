//! `argot._core`: the only crate that knows Python. One file per crate below it; each checks shapes and types,
//! releases the GIL and calls the Rust function. No arithmetic lives here.

use pyo3::prelude::*;

mod approx;
mod array;
mod bits;
mod errors;
mod link;
mod mail;
mod mpc;
mod ot;
mod permute;
mod prf;
mod ring;
mod rlwe;
mod sets;
mod view;

/// Add a submodule that `from argot._core import NAME` finds.
fn submodule(
    parent: &Bound<'_, PyModule>,
    name: &str,
    fill: fn(&Bound<'_, PyModule>) -> PyResult<()>,
) -> PyResult<()> {
    let module = PyModule::new(parent.py(), name)?;
    fill(&module)?;
    parent.add_submodule(&module)
}

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    submodule(m, "ring", ring::register)?;
    submodule(m, "approx", approx::register)?;
    submodule(m, "mpc", mpc::register)?;
    submodule(m, "prf", prf::register)?;
    submodule(m, "sets", sets::register)?;
    submodule(m, "rlwe", rlwe::register)?;
    submodule(m, "link", link::register)?;
    submodule(m, "mail", mail::register)?;
    submodule(m, "ot", ot::register)
}
