//! Rows of names on their way to columns: the plain ones; unusual ones come a second time as `kfng._hashing` writes them.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyString, PyTuple};

use kfng_core::error::Error;
use kfng_core::hashing::Hashed;

use crate::arrays::Fresh;
use crate::convert::element;
use crate::errors::to_python;

/// starts (m + 1,), indices and values (n,).
type Parts<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// Rows as dicts, or as lists or tuples of names and of pairs; None where something in them is unusual.
#[pyfunction]
pub fn hashed<'py>(
    py: Python<'py>,
    rows: &Bound<'py, PyList>,
    d: u32,
    signed: bool,
) -> PyResult<Option<Parts<'py>>> {
    let (mut hashed, mut text) = (Hashed::new(d.max(1), signed), String::new());
    for row in rows {
        if take(&row, &mut hashed, &mut text).is_none() {
            return Ok(None);
        }
        hashed.end_row().map_err(|error| to_python(py, &error))?;
    }
    let mut starts = Fresh::<i64>::zeros(py, &[hashed.starts.len()])?;
    let mut indices = Fresh::<i64>::zeros(py, &[hashed.indices.len()])?;
    let mut values = Fresh::<f64>::zeros(py, &[hashed.values.len()])?;
    starts.numbers().copy_from_slice(&hashed.starts);
    indices.numbers().copy_from_slice(&hashed.indices);
    values.numbers().copy_from_slice(&hashed.values);
    Ok(Some((starts.done(), indices.done(), values.done())))
}

fn take(row: &Bound<'_, PyAny>, to: &mut Hashed, text: &mut String) -> Option<()> {
    if let Ok(dict) = row.cast_exact::<PyDict>() {
        dict.iter()
            .try_for_each(|(name, value)| pair(&name, &value, to, text))
    } else if let Ok(list) = row.cast_exact::<PyList>() {
        list.iter().try_for_each(|item| one(&item, to, text))
    } else {
        let tuple = row.cast_exact::<PyTuple>().ok()?;
        tuple.iter().try_for_each(|item| one(&item, to, text))
    }
}

/// A name, which counts 1, or a pair of a name and its value.
fn one(item: &Bound<'_, PyAny>, to: &mut Hashed, text: &mut String) -> Option<()> {
    if let Ok(pair_of_both) = item.cast_exact::<PyTuple>() {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair_of_both.extract().ok()?;
        return pair(&name, &value, to, text);
    }
    named(item, |bytes| to.push(bytes, 1.0))
}

fn pair(
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    to: &mut Hashed,
    text: &mut String,
) -> Option<()> {
    if let Some(x) = element(value) {
        named(name, |bytes| to.push(bytes, x))
    } else if let Ok(level) = value.cast_exact::<PyString>() {
        text.clear();
        text.push_str(name.cast_exact::<PyString>().ok()?.to_str().ok()?);
        text.push('=');
        text.push_str(level.to_str().ok()?);
        to.push(text.as_bytes(), 1.0).ok()
    } else {
        let x = value.cast_exact::<PyBool>().ok()?.is_true();
        named(name, |bytes| to.push(bytes, f64::from(u8::from(x))))
    }
}

/// Does something with the bytes of a plain name.
fn named(name: &Bound<'_, PyAny>, then: impl FnOnce(&[u8]) -> Result<(), Error>) -> Option<()> {
    if let Ok(text) = name.cast_exact::<PyString>() {
        then(text.to_str().ok()?.as_bytes()).ok()
    } else {
        then(name.cast_exact::<PyBytes>().ok()?.as_bytes()).ok()
    }
}
