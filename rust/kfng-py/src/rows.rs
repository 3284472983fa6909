//! Rows on their way from Python to the core: the plain ones at once, unusual ones through the rules of `kfng._border`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use kfng_core::family::Likelihood as _;
use kfng_core::linalg::threads;
use kfng_core::row::Report;
use kfng_core::state::finite;
use kfng_core::{Block, Error, Input, Transition};

use crate::arrays::{Fresh, Number, numbers};
use crate::convert::{element, number};
use crate::errors::{raise, to_python};
use crate::filter::Filter;
use crate::leaving::calling;
use crate::lock::Kind;
use crate::outputs::Outputs;
use crate::step::{Fate, Step, Values};

/// Sizes that fit on the stack on the way in.
const NEAR: usize = 32;

impl Filter {
    /// One row of plain arguments; `None`: something is unusual, and the rules of the border decide.
    #[inline]
    pub(crate) fn plain<T: Kind>(
        &self,
        py: Python<'_>,
        u: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        scalars: [f64; 3],
    ) -> PyResult<Option<Step>> {
        if let Some(inputs) = numbers::<T>(u, &[self.sizes.d]) {
            return self.take(py, inputs, y, scalars);
        }
        self.plain_copied::<T>(py, u, y, scalars)
    }

    fn plain_copied<T: Kind>(
        &self,
        py: Python<'_>,
        u: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        scalars: [f64; 3],
    ) -> PyResult<Option<Step>> {
        let (mut near, mut far) = ([T::zero(); NEAR], Vec::new());
        let inputs = if let Some(near) = near.get_mut(..self.sizes.d) {
            near
        } else {
            far.resize(self.sizes.d, T::zero());
            &mut far
        };
        if self.copy_features(u, inputs) {
            self.take(py, inputs, y, scalars)
        } else {
            Ok(None)
        }
    }

    /// The row, unless something about it is unusual. The inputs may be the caller's own memory: no Python code runs before they have
    /// been read, and where another thread holds the filter the border copies them first.
    #[inline]
    fn take<T: Kind>(
        &self,
        py: Python<'_>,
        inputs: &[T],
        y: &Bound<'_, PyAny>,
        [weight, dt, shift]: [f64; 3],
    ) -> PyResult<Option<Step>> {
        let (k, law) = (self.law.k, &*self.law);
        let (mut values, mut fate) = (Values::new(law), Fate::default());
        let (mut report, own_y) = values.report(law, &mut fate);
        if !observation(y, own_y) {
            return Ok(None);
        }
        if !(self.sound(own_y, [weight, dt, shift]) && (self.lean || finite(inputs))) {
            return Ok(None);
        }
        let several;
        let offset = if k == 1 {
            std::slice::from_ref(&shift)
        } else {
            several = vec![shift; k];
            &several
        };
        let mut block = Block {
            input: Input::Features(inputs),
            y: own_y,
            weight: &[weight],
            dt: &[dt],
            offset,
            blank: &[false],
        };
        let (done, error) = if self.called {
            let copied = inputs.to_vec(); // functions of Python are called first
            block.input = Input::Features(&copied);
            self.feed(py, &block, &mut report)?
        } else if let Some(core) = self.attached(py)? {
            Self::guarded(py, core, |core| T::within(core).run(&block, &mut report))?
        } else {
            return Ok(None);
        };
        if done == 0 && error.is_none() {
            return Ok(None);
        }
        self.taken(py, error, values, fate).map(Some)
    }

    /// Whether y, weight, time and offset are such as can be learned from.
    #[inline]
    pub(crate) fn sound(&self, y: &[f64], [weight, dt, shift]: [f64; 3]) -> bool {
        weight >= 0.0
            && dt >= 0.0
            && (weight + dt + shift).is_finite()
            && self.passes(dt)
            && !y.iter().any(|y| y.is_infinite())
            && !self.law.family.invalid(y)
    }

    /// Whether the rule can let this time pass.
    #[inline]
    fn passes(&self, dt: f64) -> bool {
        !self.counts_rows || dt == 0.0 || dt == 1.0
    }

    /// One row of plain arguments that brings its output and Jacobian; `None`: the rules of the border decide.
    pub(crate) fn plain_given<T: Kind>(
        &self,
        py: Python<'_>,
        y: &Bound<'_, PyAny>,
        (output, jacobian): (&Bound<'_, PyAny>, &Bound<'_, PyAny>),
        [weight, dt]: [f64; 2],
    ) -> PyResult<Option<Step>> {
        let (k, law) = (self.law.k, &*self.law);
        let (Some(z), Some(dz)) = (
            numbers::<f64>(output, &[k]),
            numbers::<T>(jacobian, &[k, self.sizes.p]),
        ) else {
            return Ok(None);
        };
        let (z, dz) = (z.to_vec(), dz.to_vec());
        let (mut values, mut fate) = (Values::new(law), Fate::default());
        let (mut report, own_y) = values.report(law, &mut fate);
        if !observation(y, own_y) {
            return Ok(None);
        }
        let fine =
            weight >= 0.0 && dt >= 0.0 && (weight + dt).is_finite() && finite(&z) && finite(&dz);
        if !fine
            || !self.passes(dt)
            || own_y.iter().any(|y| y.is_infinite())
            || law.family.invalid(own_y)
        {
            return Ok(None);
        }
        let (input, offset) = (Input::Given { z: &z, dz: &dz }, vec![0.0; k]);
        let block = Block {
            input,
            y: own_y,
            weight: &[weight],
            dt: &[dt],
            offset: &offset,
            blank: &[false],
        };
        let (_, error) = self.feed(py, &block, &mut report)?;
        self.taken(py, error, values, fate).map(Some)
    }

    /// One row as `kfng._border.row` returns it.
    pub(crate) fn vetted<T: Kind>(&self, py: Python<'_>, row: &Bound<'_, PyAny>) -> PyResult<Step> {
        if self.sparse
            && let Some(step) = self.vetted_sparse::<T>(py, row)?
        {
            return Ok(step);
        }
        let u = fields::<T>(row, "u", &[self.sizes.d])?;
        let offset = fields::<f64>(row, "offset", &[self.law.k])?;
        self.checked(py, row, Input::Features(&u), &offset, self.feeding(py))
    }

    /// One row as `kfng._border.given` returns it.
    pub(crate) fn given<T: Kind>(&self, py: Python<'_>, row: &Bound<'_, PyAny>) -> PyResult<Step> {
        let (k, n, p) = (self.law.k, self.sizes.n, self.sizes.p - self.sizes.free);
        let z = fields::<f64>(row, "output", &[k])?;
        let dz = fields::<T>(row, "jacobian", &[k, p])?;
        if n > 0 {
            let input = Input::Transition(Transition {
                state: &fields::<T>(row, "state", &[n])?,
                z: &z,
                f_s: &fields::<T>(row, "f_s", &[n, n])?,
                f_theta: &fields::<T>(row, "f_theta", &[n, p])?,
                h_s: &fields::<T>(row, "h_s", &[k, n])?,
                h_theta: &dz,
            });
            return self.checked(py, row, input, &vec![0.0; k], self.feeding(py));
        }
        self.checked(
            py,
            row,
            Input::Given { z: &z, dz: &dz },
            &vec![0.0; self.law.k],
            self.feeding(py),
        )
    }

    /// The ordinary way of a checked row.
    fn feeding<T: Kind>(
        &self,
        py: Python<'_>,
    ) -> impl FnOnce(&Block<'_, T>, &mut Report<'_>) -> PyResult<(usize, Option<Error>)> {
        move |block, report| self.feed(py, block, report)
    }

    pub(crate) fn checked<T: Kind>(
        &self,
        py: Python<'_>,
        row: &Bound<'_, PyAny>,
        input: Input<'_, T>,
        offset: &[f64],
        run: impl FnOnce(&Block<'_, T>, &mut Report<'_>) -> PyResult<(usize, Option<Error>)>,
    ) -> PyResult<Step> {
        let (weight, dt, blank) = (
            row.getattr("weight")?.extract()?,
            row.getattr("dt")?.extract()?,
            row.getattr("blank")?.extract()?,
        );
        let (mut values, mut fate) = (Values::new(&self.law), Fate::default());
        let (mut report, y) = values.report(&self.law, &mut fate);
        y.copy_from_slice(&fields::<f64>(row, "y", &[self.law.width])?);
        let block = Block {
            input,
            y,
            weight: &[weight],
            dt: &[dt],
            offset,
            blank: &[blank],
        };
        let (_, error) = run(&block, &mut report)?;
        self.taken(py, error, values, fate)
    }

    #[inline]
    pub(crate) fn taken(
        &self,
        py: Python<'_>,
        error: Option<Error>,
        values: Values,
        fate: Fate,
    ) -> PyResult<Step> {
        match error {
            None => Ok(Step {
                law: Arc::clone(&self.law),
                values,
                fate,
            }),
            Some(error) => Err(to_python(py, &error)),
        }
    }

    pub(crate) fn run<'py, T: Kind>(
        &self,
        py: Python<'py>,
        block: &Block<'_, T>,
        reordered: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let m = block.len();
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let (done, error) = if self.called {
            self.feed_singly(py, block, &mut report)?
        } else {
            let (done, error) = self.detached(py, |core| {
                let filter = T::within(core);
                threads::enter(self.threads, self.sizes.p, || {
                    if reordered {
                        filter.run_reordered(block, &mut report)
                    } else {
                        filter.run(block, &mut report)
                    }
                })
            })?;
            (done, error.map(|error| to_python(py, &error)))
        };
        PyTuple::new(py, outputs.done(py, done, m, error)?)
    }

    pub(crate) fn predict<'py, T: Kind>(
        &self,
        py: Python<'py>,
        u: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (n, k) = (u.len()?, self.law.k);
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
        let (mut z, mut c) = (
            Fresh::<f64>::zeros(py, &[n, k])?,
            Fresh::<f64>::zeros(py, &[n, k, k])?,
        );
        let (to_z, to_c) = (z.numbers(), c.numbers());
        let now = self.scale_now(py)?;
        let result = self.detached(py, |core| {
            let filter = T::within(core);
            now.inspect(|&now| filter.offer(now));
            filter.predict(&u, &offset, to_z, to_c)
        })?;
        result.map_err(|error| to_python(py, &error))?;
        PyTuple::new(py, [z.done(), c.done()])
    }

    pub(crate) fn mean<'py, T: Kind>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut out = Fresh::<T>::zeros(py, &[self.sizes.p - self.sizes.free])?;
        let to = out.numbers();
        self.with(py, |core| to.copy_from_slice(T::within(core).theta()))?;
        Ok(out.done())
    }
}

impl Filter {
    /// Writes plain inputs, a list or tuple of numbers, a dict of them, or float64 for a float32 filter; whether they were plain.
    fn copy_features<T: Kind>(&self, u: &Bound<'_, PyAny>, to: &mut [T]) -> bool {
        if let Some(from) = numbers::<f64>(u, &[to.len()]) {
            to.iter_mut().zip(from).for_each(|(to, &x)| *to = T::of(x));
            true
        } else if let Ok(list) = u.cast_exact::<PyList>() {
            list.len() == to.len() && fill(to, list.iter())
        } else if let Ok(dict) = u.cast_exact::<PyDict>() {
            self.names
                .as_ref()
                .is_some_and(|names| by_name(dict, names, to))
        } else if let Ok(tuple) = u.cast_exact::<PyTuple>() {
            tuple.len() == to.len() && fill(to, tuple.iter_borrowed().map(Borrowed::to_owned))
        } else {
            false
        }
    }
}

/// Writes numbers in order; whether all were plain ones.
#[inline]
fn fill<'py, T: Kind>(to: &mut [T], from: impl Iterator<Item = Bound<'py, PyAny>>) -> bool {
    let written = to.iter_mut().zip(from).map(|(to, x)| write(to, &x));
    written.fold(true, |plain, x| plain & x)
}

#[inline]
fn write<T: Kind>(to: &mut T, x: &Bound<'_, PyAny>) -> bool {
    element(x).map(|x| *to = T::of(x)).is_some()
}

/// Writes the values of a dict with exactly these names; whether it was one, of plain numbers. While its keys come in the order of the
/// names and are the same objects, nothing is looked up.
fn by_name<T: Kind>(dict: &Bound<'_, PyDict>, names: &[Py<PyString>], to: &mut [T]) -> bool {
    let py = dict.py();
    if dict.len() != names.len() {
        return false;
    }
    let mut ordered = true;
    for (((key, x), name), to) in dict.iter().zip(names).zip(&mut *to) {
        ordered = key.is(name) && write(to, &x);
        if !ordered {
            break;
        }
    }
    ordered
        || to.iter_mut().zip(names).all(|(to, name)| {
            let found = dict.get_item(name.bind(py)).ok().flatten();
            found.is_some_and(|x| write(to, &x))
        })
}

/// Writes a plain y; whether it was one.
#[inline]
pub(crate) fn observation(y: &Bound<'_, PyAny>, to: &mut [f64]) -> bool {
    if let ([to], Some(y)) = (&mut *to, number(y)) {
        *to = y;
        return true;
    }
    let plain = numbers::<f64>(y, &[to.len()]);
    if let Some(y) = plain {
        to.copy_from_slice(y);
    }
    plain.is_some()
}

/// An array of a checked row, copied.
pub(crate) fn fields<T: Kind>(
    row: &Bound<'_, PyAny>,
    name: &str,
    shape: &[usize],
) -> PyResult<Vec<T>> {
    let py = row.py();
    let _calling = calling(py);
    let array = py
        .import("numpy")?
        .getattr("ascontiguousarray")?
        .call1((row.getattr(name)?, <T as Number>::NAME))?;
    let numbers = numbers::<T>(&array, shape).ok_or_else(|| {
        raise(
            py,
            "ShapeError",
            name,
            &format!("{shape:?}"),
            "another shape",
        )
    })?;
    Ok(numbers.to_vec())
}
