//! Sparse rows, as `kfng._sparse` has checked them.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use kfng_core::{Block, Input, SparseRows};

use crate::arrays::{Fresh, flags, integers, numbers};
use crate::errors::{raise, to_python};
use crate::filter::Filter;
use crate::lock::Kind;
use crate::outputs::Outputs;

/// starts (m + 1,), indices and values (n,).
pub type Parts<'a, 'py> = [&'a Bound<'py, PyAny>; 3];

/// Copied, so that the interpreter may be free while they are read.
struct Owned<T>(Vec<i64>, Vec<i64>, Vec<T>);

impl<T: Kind> Owned<T> {
    fn of([starts, indices, values]: Parts<'_, '_>) -> Option<Self> {
        let (starts, indices) = (integers(starts)?, integers(indices)?);
        let values = numbers::<T>(values, &[indices.len()])?.to_vec();
        Some(Owned(starts, indices, values))
    }

    fn rows(&self) -> SparseRows<'_, T> {
        SparseRows {
            starts: &self.0,
            indices: &self.1,
            values: &self.2,
        }
    }
}

impl Filter {
    pub(crate) fn run_sparse<'py, T: Kind>(
        &self,
        py: Python<'py>,
        parts: Parts<'_, 'py>,
        [y, weight, dt, offset, blank]: [&Bound<'py, PyAny>; 5],
    ) -> PyResult<Bound<'py, PyTuple>> {
        let m = weight.len()?;
        let bad = || raise(py, "ShapeError", "block", "the arrays of a Block", "others");
        let read = |ob, shape: &[usize]| numbers::<f64>(ob, shape).ok_or_else(bad);
        let (blank, rows) = (
            flags(blank, m).ok_or_else(bad)?,
            Owned::<T>::of(parts).ok_or_else(bad)?,
        );
        let block = Block {
            input: Input::Features(&[]),
            y: read(y, &[m, self.law.width])?,
            weight: read(weight, &[m])?,
            dt: read(dt, &[m])?,
            offset: read(offset, &[m, self.law.k])?,
            blank: &blank,
        };
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let (done, error) = self.unsettled(py, |core| {
            T::within(core).run_sparse(&rows.rows(), &block, &mut report)
        })?;
        let error = error.map(|error| to_python(py, &error));
        PyTuple::new(py, outputs.done(py, done, m, error)?)
    }

    pub(crate) fn predict_sparse<'py, T: Kind>(
        &self,
        py: Python<'py>,
        parts: Parts<'_, 'py>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let n = offset.len()?;
        let bad = || {
            raise(
                py,
                "ShapeError",
                "U",
                "checked rows, with an offset each",
                "others",
            )
        };
        let rows = Owned::<T>::of(parts).ok_or_else(bad)?;
        let offset = numbers::<f64>(offset, &[n, 1]).ok_or_else(bad)?.to_vec();
        let (mut z, mut c) = (
            Fresh::<f64>::zeros(py, &[n, 1])?,
            Fresh::<f64>::zeros(py, &[n, 1, 1])?,
        );
        let (to_z, to_c) = (z.numbers(), c.numbers());
        let result = self.unsettled(py, |core| {
            T::within(core).predict_sparse(&rows.rows(), &offset, to_z, to_c)
        })?;
        result.map_err(|error| to_python(py, &error))?;
        PyTuple::new(py, [z.done(), c.done()])
    }
}
