//! The one map from the core's errors to the exceptions of `kfng.errors`.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use kfng_core::Error;

use crate::leaving::calling;

/// The exception that an error of the core becomes.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).unwrap_or_else(|failure| failure)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let _calling = calling(py);
    let class = match error {
        Error::Overflow => {
            static OVERFLOW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let overflow = OVERFLOW.get_or_try_init(py, || {
                PyResult::Ok(py.import("kfng._border")?.getattr("overflow")?.unbind())
            })?;
            return Ok(PyErr::from_value(overflow.bind(py).call0()?));
        }
        Error::Memory(_) => return Ok(PyMemoryError::new_err(error.to_string())),
        Error::Shape(_) => "ShapeError",
        Error::Parameter(_) => "ParameterError",
        Error::NonFinite(_) => "NonFiniteError",
        Error::NotPositiveDefinite(_) => "NotPositiveDefiniteError",
        Error::Unsupported(_) => "UnsupportedError",
        Error::BadHeader(_) => "BadHeaderError",
        Error::BadValue(_) => "BadValueError",
        _ => "InternalError",
    };
    match error.fault() {
        Some(fault) => Ok(raise(
            py,
            class,
            &fault.argument,
            &fault.expected,
            &fault.got,
        )),
        None => Ok(PyErr::from_value(
            errors(py)?.getattr(class)?.call1((error.to_string(),))?,
        )),
    }
}

/// An exception of `kfng.errors` with its fields.
pub fn raise(py: Python<'_>, class: &str, argument: &str, expected: &str, got: &str) -> PyErr {
    let _calling = calling(py);
    let make = || {
        let fields = PyDict::new(py);
        fields.set_item("argument", argument)?;
        fields.set_item("expected", expected)?;
        fields.set_item("got", got)?;
        Ok(PyErr::from_value(
            errors(py)?.getattr(class)?.call((), Some(&fields))?,
        ))
    };
    make().unwrap_or_else(|failure| failure)
}

/// A caught panic, or an object in which one was caught before.
pub fn internal(py: Python<'_>) -> PyErr {
    let _calling = calling(py);
    let text = "a fault inside kfng; the object it happened in refuses further use";
    let make = || {
        Ok(PyErr::from_value(
            errors(py)?.getattr("InternalError")?.call1((text,))?,
        ))
    };
    make().unwrap_or_else(|failure| failure)
}

fn errors(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    ERRORS
        .get_or_try_init(py, || Ok(py.import("kfng.errors")?.unbind()))
        .map(|module| module.bind(py))
}
