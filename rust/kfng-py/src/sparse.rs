//! Sparse rows, as `kfng._sparse` has checked them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use kfng_core::row::Report;
use kfng_core::state::finite;
use kfng_core::{Block, Input, SparseRows};

use crate::arrays::{Fresh, flags, integers, numbers};
use crate::errors::{raise, to_python};
use crate::filter::Filter;
use crate::leaving::calling;
use crate::lock::Kind;
use crate::outputs::Outputs;
use crate::rows::{fields, observation};
use crate::step::{Fate, Step, Values};

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

    /// One row (1, d) with float64 entries in ascending columns, as `kfng.FeatureHasher` makes them.
    fn plain(u: &Bound<'_, PyAny>, d: usize) -> Option<Self> {
        let py = u.py();
        let _calling = calling(py);
        let starts = integers(&u.getattr(intern!(py, "indptr")).ok()?)?;
        let indices = integers(&u.getattr(intern!(py, "indices")).ok()?)?;
        let data = u.getattr(intern!(py, "data")).ok()?;
        let values: Vec<T> = numbers::<f64>(&data, &[indices.len()])?
            .iter()
            .map(|&x| T::of(x))
            .collect();
        let shape = u.getattr(intern!(py, "shape")).ok()?;
        let found = Owned(starts, indices, values);
        let fits = shape.extract::<(usize, usize)>().ok()? == (1, d) && finite(&found.2);
        (fits && found.rows().fits(1, d).is_some()).then_some(found)
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
    /// One plain sparse row; `None`: the rules of the border decide.
    pub(crate) fn plain_sparse<T: Kind>(
        &self,
        py: Python<'_>,
        u: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        [weight, dt, shift]: [f64; 3],
    ) -> PyResult<Option<Step>> {
        let Some(row) = Owned::<T>::plain(u, self.sizes.d) else {
            return Ok(None);
        };
        let (mut values, mut fate) = (Values::new(&self.law), Fate::default());
        let (mut report, own_y) = values.report(&self.law, &mut fate);
        if !(observation(y, own_y) && self.sound(own_y, [weight, dt, shift])) {
            return Ok(None);
        }
        let block = Block {
            input: Input::Features(&[]),
            y: own_y,
            weight: &[weight],
            dt: &[dt],
            offset: &[shift],
            blank: &[false],
        };
        let (_, error) = self.with(py, |core| {
            T::within(core).run_sparse(&row.rows(), &block, &mut report)
        })?;
        self.taken(py, error, values, fate).map(Some)
    }

    /// One sparse row as `kfng._border.row` returns it, a `_sparse.Part` in the place of u.
    pub(crate) fn vetted_sparse<T: Kind>(
        &self,
        py: Python<'_>,
        row: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Step>> {
        let calls = calling(py);
        let Ok(parts) = row.getattr("u")?.getattr("arrays") else {
            return Ok(None);
        };
        let [starts, indices, values]: [Bound<'_, PyAny>; 3] = parts.extract()?;
        drop(calls);
        let bad = || raise(py, "ShapeError", "u", "a checked row", "another");
        let part = Owned::<T>::of([&starts, &indices, &values]).ok_or_else(bad)?;
        let offset = fields::<f64>(row, "offset", &[1])?;
        let run = |block: &Block<'_, T>, report: &mut Report<'_>| {
            self.unsettled(py, |core| {
                T::within(core).run_sparse(&part.rows(), block, report)
            })
        };
        self.checked(py, row, Input::Features(&[]), &offset, run)
            .map(Some)
    }

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
