//! Keys and their slots, on their way in and out.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use kfng_core::Error;
use kfng_core::bank::{Bank, Key};
use kfng_core::scalar::Scalar;

use super::BankCore;
use super::core::Core;
use crate::arrays::{Fresh, Number, integers};
use crate::errors::raise;
use crate::keys::{self, Column};

/// Keys that are asked for before the first of them is looked for.
const TOGETHER: usize = 16;
/// So few slots that they are in the cache anyway.
const NEAR: usize = 1 << 13;

/// The slots of some keys of a column, -1 for one that is not there and is not to be made; returns the places among them at which a key
/// was made. On an error none was.
pub fn look_up<T: Scalar>(
    bank: &mut Bank<T>,
    column: &Column,
    rows: Range<usize>,
    create: bool,
    to: &mut [i64],
) -> Result<Vec<i64>, Error> {
    let (start, n, mut made) = (rows.start, rows.len(), Vec::new());
    let mut hashes = [0; TOGETHER];
    for first in (0..n).step_by(TOGETHER) {
        let some = first..n.min(first + TOGETHER);
        for (i, hash) in some.clone().zip(&mut hashes) {
            *hash = bank.ask(column.key(start + i));
        }
        if bank.capacity() > NEAR {
            for (i, &hash) in some.clone().zip(&hashes) {
                bank.ask_name(column.key(start + i), hash);
            }
        }
        for (i, &hash) in some.zip(&hashes) {
            let key = column.key(start + i);
            to[i] = match bank.find(key, hash) {
                Some(slot) => slot.into(),
                None if !create => -1,
                None => match room(&mut made).and_then(|()| bank.make(key, hash)) {
                    Ok(slot) => {
                        made.push(i64::try_from(i).unwrap_or(i64::MAX));
                        slot.into()
                    }
                    Err(error) => {
                        let slots = made.iter().map(|&i| to[i as usize] as u32);
                        bank.unmake(slots);
                        return Err(error);
                    }
                },
            };
        }
    }
    Ok(made)
}

/// Room for one more.
fn room(list: &mut Vec<i64>) -> Result<(), Error> {
    list.try_reserve(1)
        .map_err(|_| Error::Memory(size_of::<i64>()))
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

/// Numbers as a new array (n,).
fn copied<'py, T: Number>(py: Python<'py>, x: &[T]) -> PyResult<Bound<'py, PyAny>> {
    let mut out = Fresh::<T>::zeros(py, &[x.len()])?;
    out.numbers().copy_from_slice(x);
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
    /// The keys of slots as a file has them: kinds, integers, texts and where each begins.
    pub fn key_arrays<'py>(&self, py: Python<'py>, slots: &[u32]) -> PyResult<Bound<'py, PyDict>> {
        let (mut kinds, mut ints, mut text, mut offsets) = (vec![], vec![], vec![], vec![0]);
        let found = self.detached(py, |core| {
            either!(core, bank => slots.iter().all(|&slot| bank.key(slot).map(|key| {
                kinds.push(u8::from(matches!(key, Key::Text(_))));
                match key {
                    Key::Int(x) => ints.push(x),
                    Key::Text(one) => {
                        text.extend_from_slice(one.as_bytes());
                        offsets.push(i64::try_from(text.len()).unwrap_or(i64::MAX));
                    }
                }
            }).is_some()))
        })?;
        if !found {
            return Err(unknown(py));
        }
        let dict = PyDict::new(py);
        dict.set_item("keys.kind", copied(py, &kinds)?)?;
        dict.set_item("keys.int", copied(py, &ints)?)?;
        dict.set_item("keys.text", copied(py, &text)?)?;
        dict.set_item("keys.offsets", copied(py, &offsets)?)?;
        Ok(dict)
    }

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

    /// The keys that are gone since the last `mark`, as Python has them.
    pub fn gone<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let gone: Vec<Result<i64, String>> = self.detached(py, |core| {
            either!(core, bank => bank.gone().map(|key| match key {
                Key::Int(x) => Ok(x),
                Key::Text(text) => Err(text.to_owned()),
            }).collect())
        })?;
        let list = PyList::empty(py);
        for name in &gone {
            let key = match name {
                Ok(x) => Key::Int(*x),
                Err(text) => Key::Text(text),
            };
            list.append(keys::to_python(py, key)?)?;
        }
        Ok(list)
    }
}
