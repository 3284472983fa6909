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

/// Rows of a panel that are taken together, and bytes of inputs of the largest plain update: signals wait for it.
const PIECE: usize = 1 << 9;
const MOST_BYTES: usize = 1 << 27;

/// Whose rows they are.
enum Whose<'a> {
    /// Of these keys.
    Keys(&'a Column),
    /// Of these slots, all different.
    Slots(Vec<u32>),
    /// Of all slots, side by side.
    All,
}

/// Rows of which nothing is unusual: weight 1, dt 1, no offset.
struct Plain<'a, T> {
    whose: Whose<'a>,
    u: &'a [T],
    y: &'a [f64],
}

impl<T: Scalar> Plain<'_, T> {
    /// A panel: all its keys, then its rows, side by side where the keys are all that there are, in order. On an error no key is made of the rows
    /// from it on.
    fn take_panel(self, bank: &mut Bank<T>, report: &mut Report<'_>) -> (usize, Option<Error>) {
        let Whose::Keys(column) = self.whose else {
            return self.take(bank, report);
        };
        let mut found = vec![0; column.len()];
        if bank.is_empty()
            && let Err(error) = bank.reserve(column.len())
        {
            return (0, Some(error));
        }
        let made = match look_up(bank, column, 0..column.len(), true, &mut found) {
            Ok(made) => made,
            Err(error) => return (0, Some(error)),
        };
        let slots: Vec<u32> = found.into_iter().map(|slot| slot as u32).collect();
        let whose = if side_by_side(bank, &slots) {
            Whose::All
        } else {
            Whose::Slots(slots.clone())
        };
        let (done, error) = Plain { whose, ..self }.take(bank, report);
        if error.is_some() {
            let late = made.iter().filter(|&&row| row as usize >= done);
            bank.unmake(late.map(|&row| slots[row as usize]));
        }
        (done, error)
    }

    /// Piece by piece: slots, then rows. On an error no key is made of the rows from it on.
    fn take(&self, bank: &mut Bank<T>, report: &mut Report<'_>) -> (usize, Option<Error>) {
        let sizes = bank.sizes();
        let (d, k, s, width) = (sizes.d, sizes.k, sizes.scales, sizes.width);
        let m = self.y.len() / width;
        let panel = matches!(self.whose, Whose::All);
        let most = if panel { PIECE } else { bank.rows_at_once() }.min(m);
        let (one, offset, blank) = (vec![1.0; most], vec![0.0; most * k], vec![false; most]);
        let (mut found, mut own, mut start) = (vec![0; most], vec![0; most], 0);
        while start < m {
            let n = most.min(m - start);
            let rows = start..start + n;
            let mut made = Vec::new();
            let slots = match &self.whose {
                Whose::All => &[],
                Whose::Slots(slots) => &slots[rows.clone()],
                Whose::Keys(column) => {
                    made = match look_up(bank, column, rows.clone(), true, &mut found[..n]) {
                        Ok(made) => made,
                        Err(error) => return (start, Some(error)),
                    };
                    for (own, &slot) in own.iter_mut().zip(&found) {
                        *own = slot as u32;
                    }
                    &own[..n]
                }
            };
            let block = Block {
                input: Input::Features(&self.u[start * d..rows.end * d]),
                y: &self.y[start * width..rows.end * width],
                weight: &one[..n],
                dt: &one[..n],
                offset: &offset[..n * k],
                blank: &blank[..n],
            };
            let mut place = report.rows(rows, k, s);
            let (done, error) = match self.whose {
                Whose::All => bank.run_panel(start, &block, &mut place),
                _ => bank.run(slots, &block, &mut place),
            };
            if error.is_some() {
                let late = made.iter().filter(|&&row| row as usize >= done);
                bank.unmake(late.map(|&row| slots[row as usize]));
                return (start + done, error);
            }
            start += n;
        }
        (m, None)
    }
}

/// Whether these slots are all that there are, in order, and go side by side.
fn side_by_side<T: Scalar>(bank: &Bank<T>, slots: &[u32]) -> bool {
    let some = bank.abreast().is_some_and(|n| 4 * slots.len() > n);
    let all = some && bank.in_order_of_slots() == Some(slots.len());
    all && slots.iter().zip(0..).all(|(&slot, i)| slot == i)
}

/// A panel of these slots.
fn run_panel<T: Scalar>(
    bank: &mut Bank<T>,
    slots: &[u32],
    block: &Block<'_, T>,
    report: &mut Report<'_>,
) -> (usize, Option<Error>) {
    if side_by_side(bank, slots) {
        bank.run_panel(0, block, report)
    } else {
        bank.run(slots, block, report)
    }
}

impl BankCore {
    pub fn run<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[u32],
        rows: [&Bound<'py, PyAny>; 6],
        panel: bool,
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
                let bank = T::within(core);
                if panel {
                    run_panel(bank, slots, &block, &mut report)
                } else {
                    bank.run(slots, &block, &mut report)
                }
            })
        })?;
        PyTuple::new(
            py,
            outputs.done(py, done, m, error.map(|error| to_python(py, &error)))?,
        )
    }

    /// A plain update of exact arrays, a panel where all keys differ, of every key in order where none are given; None: something is unusual, and nothing has been done.
    pub fn plain<'py, T: Kind>(
        &self,
        py: Python<'py>,
        keys: Option<&Bound<'py, PyAny>>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        panel: bool,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (d, width) = (self.sizes.d, self.law.width);
        let (column, m, whose);
        if let Some(keys) = keys {
            column = Column::array(keys);
            let Some(column) = &column else {
                return Ok(None);
            };
            m = column.len();
            whose = Whose::Keys(column);
        } else {
            let found = self.detached(py, |core| {
                let bank = T::within(core);
                let all = bank.in_order_of_slots();
                Ok(if let Some(m) = all.filter(|_| bank.abreast().is_some()) {
                    (m, Whose::All)
                } else {
                    let live = bank.live()?;
                    (live.len(), Whose::Slots(live))
                })
            })?;
            (m, whose) = found.map_err(|error| to_python(py, &error))?;
        }
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
        // A Gaussian y is anything.
        let fine = family.quadratic() || !y.chunks_exact(width).any(|y| family.invalid(y));
        if !fine || y.iter().any(|y| y.is_infinite()) || !finite(&u) {
            return Ok(None);
        }
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let rows = Plain { whose, u: &u, y };
        let (done, error) = self.detached(py, |core| {
            threads::enter(self.threads, usize::MAX, || {
                if panel {
                    rows.take_panel(T::within(core), &mut report)
                } else {
                    rows.take(T::within(core), &mut report)
                }
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
