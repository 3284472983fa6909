//! Keys and their slots, on their way in and out.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::PyList;

use kfng_core::Error;
use kfng_core::bank::{Bank, Key};
use kfng_core::scalar::Scalar;

use super::BankCore;
use super::core::either;
use crate::arrays::{Fresh, integers};
use crate::errors::raise;
use crate::keys::{self, Column};

/// Keys that are looked for ahead.
const AHEAD: usize = 8;

/// The slots of some keys of a column; returns the places among them at which a key was made. On an error none was.
pub fn look_up<T: Scalar>(
    bank: &mut Bank<T>,
    column: &Column,
    rows: Range<usize>,
    create: bool,
    to: &mut [i64],
) -> Result<Vec<i64>, Error> {
    let (start, n, mut made, mut error) = (rows.start, rows.len(), Vec::new(), None);
    for i in 0..n {
        if i + AHEAD < n {
            bank.prefetch(column.key(start + i + AHEAD));
        }
        let key = column.key(start + i);
        if !create {
            to[i] = bank.find(key).map_or(-1, i64::from);
            continue;
        }
        match bank.find_or_make(key) {
            Ok((slot, new)) => {
                to[i] = slot.into();
                if new {
                    made.push(i64::try_from(i).unwrap_or(i64::MAX));
                }
            }
            Err(failure) => {
                error = Some(failure);
                break;
            }
        }
    }
    let Some(error) = error else {
        return Ok(made);
    };
    let slots: Vec<u32> = made.iter().map(|&i| to[i as usize] as u32).collect();
    bank.remove(&slots);
    Err(error)
}

/// Integers as a new array (n,).
pub fn listed(
    py: Python<'_>,
    x: impl Iterator<Item = i64>,
    n: usize,
) -> PyResult<Bound<'_, PyAny>> {
    let mut out = Fresh::<i64>::zeros(py, &[n])?;
    out.numbers().iter_mut().zip(x).for_each(|(to, x)| *to = x);
    Ok(out.done())
}

pub fn unknown(py: Python<'_>) -> PyErr {
    raise(py, "ParameterError", "keys", "keys of the bank", "others")
}

/// Slots, -1 for keys that are not there.
pub fn perhaps(slots: &Bound<'_, PyAny>) -> PyResult<Vec<Option<u32>>> {
    let slots = integers(slots).ok_or_else(|| unknown(slots.py()))?;
    Ok(slots
        .into_iter()
        .map(|slot| (slot >= 0).then(|| u32::try_from(slot).unwrap_or(u32::MAX)))
        .collect())
}

/// Slots of keys that are there.
pub fn known(slots: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    let found = integers(slots).ok_or_else(|| unknown(slots.py()))?;
    Ok(found
        .into_iter()
        .map(|slot| u32::try_from(slot).unwrap_or(u32::MAX))
        .collect())
}

impl BankCore {
    /// The keys of slots, as Python has them.
    pub fn names<'py>(&self, py: Python<'py>, slots: &[u32]) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        // In pieces, for the texts are copied before the thread is attached again.
        for slots in slots.chunks(1 << 16) {
            let mut texts = (Vec::new(), String::new());
            let found = self.detached(py, |core| {
                either!(core, bank => slots.iter().all(|&slot| bank.key(slot).map(|key| match key {
                    Key::Int(x) => texts.0.push(Err(x)),
                    Key::Text(text) => {
                        texts.1.push_str(text);
                        texts.0.push(Ok(texts.1.len()));
                    }
                }).is_some()))
            })?;
            if !found {
                return Err(unknown(py));
            }
            let mut start = 0;
            for name in texts.0 {
                let key = match name {
                    Err(x) => Key::Int(x),
                    Ok(end) => {
                        let text = &texts.1[start..end];
                        start = end;
                        Key::Text(text)
                    }
                };
                list.append(keys::to_python(py, key)?)?;
            }
        }
        Ok(list)
    }
}
