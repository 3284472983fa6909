//! Densities of rows, independent of any filter's state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;

use kfng_core::family::{Family, Likelihood as _, Seen};

use crate::arrays::{Fresh, numbers};
use crate::errors::{internal, raise};

/// A family with its sizes: what a filter, its steps and its likelihood share.
pub struct Law {
    pub family: Family,
    /// Outputs.
    pub k: usize,
    /// Numbers in one y.
    pub width: usize,
    /// Numbers in the mean of one y.
    pub mean_width: usize,
    /// Learned noise variances.
    pub scales: usize,
    /// Whether the filter is float32.
    pub narrow: bool,
}

impl Law {
    /// -log densities of n rows into `out`; with `c` empty at the mean theta.
    pub fn densities(&self, rows: &Rows<'_>, out: &mut [f64]) {
        let mut work = self.work();
        for (i, out) in out.iter_mut().enumerate() {
            let seen = self.row(rows, i);
            *out = if rows.c.is_empty() {
                self.family.plugin_nll(&seen, &mut work)
            } else {
                self.family.nll(&seen, &mut work)
            };
        }
    }

    /// E(y|z) of n rows into `out` (n, mean_width).
    pub fn means(&self, rows: &Rows<'_>, out: &mut [f64]) {
        for (i, out) in out.chunks_exact_mut(self.mean_width).enumerate() {
            self.family.mean(&self.row(rows, i), out);
        }
    }

    /// Standard deviations of y of n rows into `out` (n, mean_width).
    pub fn stds(&self, rows: &Rows<'_>, out: &mut [f64]) {
        let mut work = self.work();
        for (i, out) in out.chunks_exact_mut(self.mean_width).enumerate() {
            self.family.std(&self.row(rows, i), out, &mut work);
        }
    }

    fn work(&self) -> Vec<f64> {
        let several = usize::from(self.k > 1);
        vec![0.0; several * (self.k * self.k + self.k)]
    }

    fn row<'a>(&self, rows: &Rows<'a>, i: usize) -> Seen<'a> {
        let (k, m) = (self.k, self.scales);
        let (square, noise) = (k * k, i * m..(i + 1) * m);
        let part = |x: &'a [f64], place| if x.is_empty() { x } else { &x[place] };
        Seen {
            z: &rows.z[i * k..(i + 1) * k],
            c: part(rows.c, i * square..(i + 1) * square),
            y: &rows.y[i * self.width..(i + 1) * self.width],
            a: part(rows.a, noise.clone()),
            b: part(rows.b, noise),
        }
    }
}

/// Rows as they were reported: z (n, k), c (n, k, k) or empty, y (n, width), a and b (n, m) or empty.
pub struct Rows<'a> {
    pub z: &'a [f64],
    pub c: &'a [f64],
    pub y: &'a [f64],
    pub a: &'a [f64],
    pub b: &'a [f64],
}

/// Moments and negative log densities of rows; independent of any filter's state.
#[pyclass(frozen, module = "kfng._core")]
pub struct Likelihood(pub Arc<Law>);

#[pymethods]
impl Likelihood {
    /// Negative log densities with theta integrated out, (n,).
    #[pyo3(name = "nll", signature = (z, C, y, a, b))]
    #[expect(non_snake_case, reason = "the name of the mathematics")]
    fn nll<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        C: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.each(py, z, [Some(C), Some(a), Some(b)], y, &[], Law::densities)
    }

    /// Negative log densities at the mean theta, (n,).
    fn plugin_nll<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.each(py, z, [None, Some(a), Some(b)], y, &[], Law::densities)
    }

    /// E(y|z), (n, mean_width); y says what a mean needs besides z.
    fn mean<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.each(py, z, [None; 3], y, &[self.0.mean_width], Law::means)
    }

    /// Standard deviations of y with theta integrated out to first order, (n, mean_width).
    #[pyo3(name = "std", signature = (z, C, y, a, b))]
    #[expect(non_snake_case, reason = "the name of the mathematics")]
    fn std<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        C: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let width = [self.0.mean_width];
        self.each(py, z, [Some(C), Some(a), Some(b)], y, &width, Law::stds)
    }
}

impl Likelihood {
    /// An array (n, *own) that `fill` makes of the n rows.
    fn each<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        [c, a, b]: [Option<&Bound<'py, PyAny>>; 3],
        y: &Bound<'py, PyAny>,
        own: &[usize],
        fill: impl FnOnce(&Law, &Rows<'_>, &mut [f64]),
    ) -> PyResult<Bound<'py, PyAny>> {
        let law = &self.0;
        let (n, k, m) = (z.len()?, law.k, law.scales);
        let contiguous = py.import("numpy")?.getattr("ascontiguousarray")?;
        let plain = |ob: &Bound<'py, PyAny>| contiguous.call1((ob, "float64"));
        let (z, y) = (plain(z)?, plain(y)?);
        let given = |ob: Option<&Bound<'py, PyAny>>| ob.map(plain).transpose();
        let (c, a, b) = (given(c)?, given(a)?, given(b)?);
        let bad = || {
            raise(
                py,
                "ShapeError",
                "z",
                &format!("{n} rows of {k} outputs in every array"),
                "others",
            )
        };
        let mut out = Fresh::<f64>::zeros(py, &[&[n], own].concat())?;
        let rows = Rows {
            z: read(Some(&z), &[n, k]).ok_or_else(bad)?,
            c: read(c.as_ref(), &[n, k, k]).ok_or_else(bad)?,
            y: read(Some(&y), &[n, law.width]).ok_or_else(bad)?,
            a: read(a.as_ref(), &[n, m]).ok_or_else(bad)?,
            b: read(b.as_ref(), &[n, m]).ok_or_else(bad)?,
        };
        let result = catch_unwind(AssertUnwindSafe(|| fill(law, &rows, out.numbers())));
        result.map_err(|_| internal(py))?;
        Ok(out.done())
    }
}

/// The numbers of an array of this shape, none where there is no array; `None` where the shape is another.
fn read<'a>(ob: Option<&'a Bound<'_, PyAny>>, shape: &[usize]) -> Option<&'a [f64]> {
    ob.map_or(Some(&[]), |ob| numbers::<f64>(ob, shape))
}
