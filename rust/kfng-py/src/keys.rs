//! Columns of keys on their way in, copied, and keys on their way out.

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString};

use kfng_core::bank::Key;

use crate::arrays::{integers, texts};
use crate::errors::raise;

/// A key of a list: an integer, or where its text ends among all.
#[derive(Clone, Copy)]
enum Name {
    Int(i64),
    Text(usize, usize),
}

/// A column of keys.
pub enum Column {
    /// Integers alone.
    Ints(Vec<i64>),
    /// Others.
    Names(Names),
}

/// Keys with their texts one behind the other.
#[derive(Default)]
pub struct Names {
    names: Vec<Name>,
    text: String,
}

impl Names {
    fn push(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.names.push(Name::Text(start, self.text.len()));
    }
}

impl Column {
    /// An int64 array, an array of texts of one width, or a list of exact int and str.
    pub fn new(keys: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bad = |row: usize| {
            let got = format!("another in row {row}");
            raise(
                keys.py(),
                "ParameterError",
                "keys",
                "integers in the range of int64, and texts in Unicode",
                &got,
            )
        };
        if let Some(ints) = integers(keys) {
            return Ok(Column::Ints(ints));
        }
        if let Some((width, codes)) = texts(keys) {
            return fixed(width, &codes, keys.len()?)
                .map(Column::Names)
                .map_err(bad);
        }
        let mut column = Names::default();
        for (row, key) in keys.cast::<PyList>()?.iter().enumerate() {
            if let Ok(text) = key.cast_exact::<PyString>() {
                column.push(text.to_str().map_err(|_| bad(row))?);
            } else if let Ok(x) = key.cast_exact::<PyInt>() {
                column
                    .names
                    .push(Name::Int(x.extract().map_err(|_| bad(row))?));
            } else {
                return Err(bad(row));
            }
        }
        Ok(Column::Names(column))
    }

    /// An int64 array alone, or one of texts.
    pub fn array(keys: &Bound<'_, PyAny>) -> Option<Self> {
        if let Some(ints) = integers(keys) {
            return Some(Column::Ints(ints));
        }
        let (width, codes) = texts(keys)?;
        fixed(width, &codes, keys.len().ok()?)
            .ok()
            .map(Column::Names)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        match self {
            Column::Ints(ints) => ints.len(),
            Column::Names(column) => column.names.len(),
        }
    }

    /// Key i.
    #[inline(always)]
    pub fn key(&self, i: usize) -> Key<'_> {
        match self {
            Column::Ints(ints) => Key::Int(ints[i]),
            Column::Names(column) => match column.names[i] {
                Name::Int(x) => Key::Int(x),
                Name::Text(start, end) => Key::Text(&column.text[start..end]),
            },
        }
    }
}

/// Texts of one width; the row of one that is not Unicode.
fn fixed(width: usize, codes: &[u32], n: usize) -> Result<Names, usize> {
    let mut column = Names::default();
    for row in 0..n {
        let start = column.text.len();
        let codes = &codes[row * width..(row + 1) * width];
        let end = codes
            .iter()
            .rposition(|&code| code != 0)
            .map_or(0, |last| last + 1);
        for &code in &codes[..end] {
            column.text.push(char::from_u32(code).ok_or(row)?);
        }
        column.names.push(Name::Text(start, column.text.len()));
    }
    Ok(column)
}

/// A key as Python has it.
pub fn to_python<'py>(py: Python<'py>, key: Key<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match key {
        Key::Int(x) => x.into_pyobject(py)?.into_any(),
        Key::Text(text) => PyString::new(py, text).into_any(),
    })
}
