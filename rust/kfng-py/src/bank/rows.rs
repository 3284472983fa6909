//! Rows of a bank: those of a checked block, and a plain update at once.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use kfng_core::bank::Bank;
use kfng_core::family::Likelihood as _;
use kfng_core::linalg::threads;
use kfng_core::scalar::Scalar;
use kfng_core::state::finite;
use kfng_core::{Block, Error, Input, Report};

use super::BankCore;
use super::core::Kind;
use super::slots::look_up;
use crate::arrays::{Fresh, flags, numbers};
use crate::errors::{raise, to_python};
use crate::keys::Column;
use crate::outputs::Outputs;

/// Rows of a plain update that are taken together, and bytes of inputs of the largest one: signals wait for it.
const PIECE: usize = 1 << 14;
const MOST_BYTES: usize = 1 << 27;

/// Rows of which nothing is unusual: weight 1, dt 1, no offset.
struct Plain<'a, T> {
    column: &'a Column,
    u: &'a [T],
    y: &'a [f64],
}

impl<T: Scalar> Plain<'_, T> {
    /// Piece by piece: slots, then rows. On an error no key is made of the rows from it on.
    fn take(&self, bank: &mut Bank<T>, report: &mut Report<'_>) -> (usize, Option<Error>) {
        let (m, sizes) = (self.column.len(), bank.sizes());
        let (d, k, s, width) = (sizes.d, sizes.k, sizes.scales, sizes.width);
        let most = PIECE.min(m);
        let (one, offset, blank) = (vec![1.0; most], vec![0.0; most * k], vec![false; most]);
        let (mut slots, mut start) = (vec![0; most], 0);
        while start < m {
            let n = PIECE.min(m - start);
            let rows = start..start + n;
            let made = match look_up(bank, self.column, rows.clone(), true, &mut slots[..n]) {
                Ok(made) => made,
                Err(error) => return (start, Some(error)),
            };
            let block = Block {
                input: Input::Features(&self.u[start * d..rows.end * d]),
                y: &self.y[start * width..rows.end * width],
                weight: &one[..n],
                dt: &one[..n],
                offset: &offset[..n * k],
                blank: &blank[..n],
            };
            let own: Vec<u32> = slots[..n].iter().map(|&slot| slot as u32).collect();
            let (done, error) = bank.run(&own, &block, &mut report.rows(rows, k, s));
            if error.is_some() {
                let late = made.iter().filter(|&&row| row as usize >= done);
                let late: Vec<u32> = late.map(|&row| own[row as usize]).collect();
                bank.remove(&late);
                return (start + done, error);
            }
            start += n;
        }
        (m, None)
    }
}

impl BankCore {
    pub fn run<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[u32],
        rows: [&Bound<'py, PyAny>; 6],
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (m, k, width) = (slots.len(), self.law.k, self.law.width);
        let bad = || raise(py, "ShapeError", "block", "the arrays of a Block", "others");
        let read = |ob, shape: &[usize]| numbers::<f64>(ob, shape).ok_or_else(bad);
        let [u, y, weight, dt, offset, blank] = rows;
        let blank = flags(blank, m).ok_or_else(bad)?;
        let block = Block {
            input: Input::Features(numbers::<T>(u, &[m, self.sizes.d]).ok_or_else(bad)?),
            y: read(y, &[m, width])?,
            weight: read(weight, &[m])?,
            dt: read(dt, &[m])?,
            offset: read(offset, &[m, k])?,
            blank: &blank,
        };
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let (done, error) = self.detached(py, |core| {
            threads::enter(self.threads, usize::MAX, || {
                T::within(core).run(slots, &block, &mut report)
            })
        })?;
        PyTuple::new(
            py,
            outputs.done(py, done, m, error.map(|error| to_python(py, &error)))?,
        )
    }

    pub fn plain<'py, T: Kind>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (d, width) = (self.sizes.d, self.law.width);
        let Some(column) = Column::array(keys) else {
            return Ok(None);
        };
        let m = column.len();
        let found = numbers::<f64>(y, &[m, width]);
        let found = if width == 1 {
            found.or_else(|| numbers::<f64>(y, &[m]))
        } else {
            found
        };
        let (Some(u), Some(given)) = (numbers::<T>(x, &[m, d]), found) else {
            return Ok(None);
        };
        if size_of_val(u) > MOST_BYTES {
            return Ok(None);
        }
        // Copied while attached: these arrays are the caller's own.
        let (u, mut own_y) = (u.to_vec(), Fresh::<f64>::zeros(py, &[m, width])?);
        own_y.numbers().copy_from_slice(given);
        let y = &*own_y.numbers();
        let family = &self.law.family;
        let fine = |y: &[f64]| !y.iter().any(|y| y.is_infinite()) && !family.invalid(y);
        if !finite(&u) || !y.chunks_exact(width).all(fine) {
            return Ok(None);
        }
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let rows = Plain {
            column: &column,
            u: &u,
            y,
        };
        let (done, error) = self.detached(py, |core| {
            threads::enter(self.threads, usize::MAX, || {
                rows.take(T::within(core), &mut report)
            })
        })?;
        let parts = outputs.done(py, done, m, error.map(|error| to_python(py, &error)))?;
        let y = if done == m {
            own_y.done()
        } else {
            own_y.first(done)?
        };
        PyTuple::new(py, parts.into_iter().chain([y]).collect::<Vec<_>>()).map(Some)
    }
}
