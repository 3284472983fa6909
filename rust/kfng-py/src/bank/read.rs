//! What is read of keys.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::BankCore;
use super::core::Kind;
use crate::arrays::{Fresh, numbers};
use crate::errors::{raise, to_python};

impl BankCore {
    pub fn predict<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[Option<u32>],
        u: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (n, k, m) = (slots.len(), self.law.k, self.law.scales);
        let bad = || {
            raise(
                py,
                "ShapeError",
                "U",
                "checked rows of inputs, with an offset each",
                "others",
            )
        };
        // Copied while attached: these arrays may be the caller's own.
        let u = numbers::<T>(u, &[n, self.sizes.d])
            .ok_or_else(bad)?
            .to_vec();
        let offset = numbers::<f64>(offset, &[n, k]).ok_or_else(bad)?.to_vec();
        let [mut z, mut c, mut a, mut b] = [
            Fresh::<f64>::zeros(py, &[n, k])?,
            Fresh::<f64>::zeros(py, &[n, k, k])?,
            Fresh::<f64>::zeros(py, &[n, m])?,
            Fresh::<f64>::zeros(py, &[n, m])?,
        ];
        let to = [z.numbers(), c.numbers(), a.numbers(), b.numbers()];
        let result = self.detached(py, |core| T::within(core).predict(slots, &u, &offset, to))?;
        result.map_err(|error| to_python(py, &error))?;
        PyTuple::new(py, [z.done(), c.done(), a.done(), b.done()])
    }

    pub fn theta<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[Option<u32>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut out = Fresh::<T>::zeros(py, &[slots.len(), self.sizes.p])?;
        let to = out.numbers();
        let result = self.detached(py, |core| T::within(core).theta(slots, to))?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(out.done())
    }
}
