//! States of keys by named arrays, out and in.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use kfng_core::Error;
use kfng_core::bank::Bank;
use kfng_core::field::{Array, Arrays};
use kfng_core::scalar::Scalar;

use super::BankCore;
use super::core::{Core, Kind};
use crate::arrays::{Fresh, integers};
use crate::convert::named_arrays;
use crate::errors::{raise, to_python};
use crate::keys::Column;

impl BankCore {
    /// The arrays of these keys' states, or those of these names.
    pub fn sections<'py>(
        &self,
        py: Python<'py>,
        slots: &[u32],
        names: Option<&[String]>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let sections = self.detached(py, |core| either!(core, bank => bank.sections()))?;
        let dict = PyDict::new(py);
        for section in sections.map_err(|error| to_python(py, &error))? {
            if names.is_some_and(|names| !names.iter().any(|name| name == section.name)) {
                continue;
            }
            let shape = [&[slots.len()], &section.shape[..]].concat();
            let (array, result) = if section.own && self.law.narrow {
                let mut out = Fresh::<f32>::zeros(py, &shape)?;
                let to = out.numbers();
                let result = self.detached(py, |core| {
                    f32::within(core).own_section(&section, slots, to)
                })?;
                (out.done(), result)
            } else {
                let mut out = Fresh::<f64>::zeros(py, &shape)?;
                let to = out.numbers();
                let result = self.detached(py, |core| {
                    if section.own {
                        f64::within(core).own_section(&section, slots, to)
                    } else {
                        either!(core, bank => bank.wide_section(&section, slots, to))
                    }
                })?;
                (out.done(), result)
            };
            result.map_err(|error| to_python(py, &error))?;
            dict.set_item(section.name, array)?;
        }
        Ok(dict)
    }

    /// Keys that are not there yet, with their states and priors; the slots.
    pub fn append<'py>(
        &self,
        py: Python<'py>,
        column: &Column,
        sections: &Bound<'py, PyDict>,
        prior: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let n = column.len();
        let priors = integers(prior).filter(|priors| priors.len() == n);
        let priors = priors.ok_or_else(|| {
            let expected = "an index for each key";
            raise(py, "BadValueError", "prior", expected, "others")
        })?;
        let arrays = self.states(py, sections, n)?;
        let mut slots = Fresh::<i64>::zeros(py, &[n])?;
        let to = slots.numbers();
        let result = self.detached(
            py,
            |core| either!(core, bank => append(bank, column, &arrays, &priors, to)),
        )?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(slots.done())
    }

    /// Other states of keys that are there, all different.
    pub fn replace(
        &self,
        py: Python<'_>,
        slots: &[u32],
        sections: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let arrays = self.states(py, sections, slots.len())?;
        let result = self.detached(py, |core| {
            either!(core, bank => {
                let (mut one, mut spare) = (single(&arrays), None);
                slots.iter().enumerate().try_for_each(|(i, &slot)| {
                    take(&arrays, i, &mut one);
                    bank.replace(slot, &one, &mut spare)
                })
            })
        })?;
        result.map_err(|error| to_python(py, &error))
    }

    /// The arrays of n keys' states, of unknown origin.
    fn states(&self, py: Python<'_>, sections: &Bound<'_, PyDict>, n: usize) -> PyResult<Arrays> {
        let names: Vec<String> = sections.keys().extract()?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let wanted = self.detached(py, |core| either!(core, bank => bank.shapes(&has)))?;
        let wanted = wanted.map_err(|error| to_python(py, &error))?;
        let own = |name: &str| wanted.iter().any(|(known, _, own)| *known == name && *own);
        let float = if self.law.narrow {
            "float32"
        } else {
            "float64"
        };
        let arrays = named_arrays(sections, float, own)?;
        if let Some((name, array)) = arrays
            .iter()
            .find(|(_, array)| array.shape.first() != Some(&n))
        {
            let got = format!("shape {:?}", array.shape);
            return Err(raise(py, "BadValueError", name, &format!("{n} rows"), &got));
        }
        Ok(arrays)
    }
}

/// Room for one key's state, out of the arrays of many.
fn single(arrays: &Arrays) -> Arrays {
    let one = |(name, array): (&String, &Array)| {
        let shape = array.shape[1..].to_vec();
        let values = vec![0.0; shape.iter().product()];
        (name.clone(), Array { shape, values })
    };
    arrays.iter().map(one).collect()
}

/// The state of key i.
fn take(arrays: &Arrays, i: usize, to: &mut Arrays) {
    for (array, one) in arrays.values().zip(to.values_mut()) {
        let len = one.values.len();
        one.values
            .copy_from_slice(&array.values[i * len..(i + 1) * len]);
    }
}

/// Keys that are new with their states, all or none.
fn append<T: Scalar>(
    bank: &mut Bank<T>,
    column: &Column,
    arrays: &Arrays,
    priors: &[i64],
    to: &mut [i64],
) -> Result<(), Error> {
    let (mut one, mut spare) = (single(arrays), None);
    for i in 0..column.len() {
        take(arrays, i, &mut one);
        let prior = usize::try_from(priors[i]).unwrap_or(usize::MAX);
        match bank.append(column.key(i), prior, &one, &mut spare) {
            Ok(slot) => to[i] = slot.into(),
            Err(error) => {
                bank.unmake(to[..i].iter().map(|&slot| slot as u32));
                return Err(error);
            }
        }
    }
    Ok(())
}
