//! Moments, densities and quantiles of rows, independent of any filter's state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;

use kfng_core::family::{Family, Likelihood as _, Seen};

use crate::arrays::{Fresh, numbers};
use crate::errors::{internal, raise};
use crate::leaving::calling;

/// Rows that are gone through before other threads are let in: some tenths of a millisecond.
const AT_ONCE: usize = 1 << 16;

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
    /// Whether it is robust: rows count for less where they are far off.
    pub weighs: bool,
}

impl Law {
    pub fn new(family: Family, k: usize, narrow: bool) -> Self {
        Law {
            width: family.y_width(k),
            mean_width: family.mean_width(k),
            scales: family.noise_scales(k),
            family,
            k,
            narrow,
            weighs: false,
        }
    }

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

    /// Quantiles of y at `levels` of n rows into `out` (n, mean_width, levels).
    pub fn quantiles(&self, rows: &Rows<'_>, levels: &[f64], out: &mut [f64]) {
        let size = (self.mean_width * levels.len()).max(1);
        for (i, out) in out.chunks_exact_mut(size).enumerate() {
            self.family.quantiles(&self.row(rows, i), levels, out);
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

/// `kfng._trace.Seen`: arrays z (n, k), C (n, k, k), y (n, width), a and b (n, m).
#[derive(FromPyObject)]
struct Given<'py> {
    z: Bound<'py, PyAny>,
    #[pyo3(attribute("C"))]
    c: Bound<'py, PyAny>,
    y: Bound<'py, PyAny>,
    a: Bound<'py, PyAny>,
    b: Bound<'py, PyAny>,
}

/// Their numbers, copied: the arrays may be the caller's own, and the thread detaches.
struct Copied {
    z: Vec<f64>,
    c: Vec<f64>,
    y: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Copied {
    fn new(law: &Law, n: usize, given: Given<'_>) -> PyResult<Self> {
        let Given { z, c, y, a, b } = given;
        let py = z.py();
        let _calling = calling(py);
        let contiguous = py.import("numpy")?.getattr("ascontiguousarray")?;
        let copied = |ob: &Bound<'_, PyAny>, shape: &[usize]| {
            let array = contiguous.call1((ob, "float64"))?;
            let expected = format!("{n} rows of {} outputs in every array", law.k);
            let found = numbers::<f64>(&array, shape)
                .ok_or_else(|| raise(py, "ShapeError", "z", &expected, "others"))?;
            PyResult::Ok(found.to_vec())
        };
        let (k, m) = (law.k, law.scales);
        Ok(Copied {
            z: copied(&z, &[n, k])?,
            c: copied(&c, &[n, k, k])?,
            y: copied(&y, &[n, law.width])?,
            a: copied(&a, &[n, m])?,
            b: copied(&b, &[n, m])?,
        })
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            z: &self.z,
            c: &self.c,
            y: &self.y,
            a: &self.a,
            b: &self.b,
        }
    }
}

/// Moments, negative log densities and quantiles of rows; independent of any filter's state.
#[pyclass(frozen, module = "kfng._core")]
pub struct Likelihood(pub Arc<Law>);

#[pymethods]
impl Likelihood {
    /// Negative log densities with theta integrated out, (n,).
    fn nll<'py>(&self, seen: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.each(seen, &[], |rows, out| self.0.densities(rows, out))
    }

    /// Negative log densities at the mean theta, (n,).
    fn plugin_nll<'py>(&self, seen: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.each(seen, &[], |rows, out| {
            self.0.densities(&Rows { c: &[], ..*rows }, out);
        })
    }

    /// E(y|z), (n, mean_width); y says what a mean needs besides z.
    fn mean<'py>(&self, seen: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        let family = &self.0.family;
        if let Some(done) = self.at_once(&seen, |rows, out| family.means(rows.z, out))? {
            return Ok(done);
        }
        let width = self.0.mean_width;
        self.each(seen, &[width], |rows, out| self.0.means(rows, out))
    }

    /// Standard deviations of y with theta integrated out to first order, (n, mean_width).
    fn std<'py>(&self, seen: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        let family = &self.0.family;
        let stds = |rows: &Rows<'_>, out: &mut [f64]| family.stds(rows.c, [rows.a, rows.b], out);
        if let Some(done) = self.at_once(&seen, stds)? {
            return Ok(done);
        }
        let width = self.0.mean_width;
        self.each(seen, &[width], |rows, out| self.0.stds(rows, out))
    }

    /// Quantiles of y with theta integrated out, (n, mean_width, len(q)) for levels q in [0, 1].
    fn quantiles<'py>(&self, seen: Given<'py>, q: Vec<f64>) -> PyResult<Bound<'py, PyAny>> {
        self.each(seen, &[self.0.mean_width, q.len()], move |rows, out| {
            self.0.quantiles(rows, &q, out);
        })
    }
}

impl Likelihood {
    /// An array (n, 1) that `fill` makes of n rows of one output, piece by piece with the interpreter held, for copying them would take longer;
    /// `None`: it is not `fill`'s.
    fn at_once<'py>(
        &self,
        seen: &Given<'py>,
        fill: impl Fn(&Rows<'_>, &mut [f64]) -> bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, n, m) = (seen.z.py(), seen.z.len()?, self.0.scales);
        if self.0.k != 1 || self.0.mean_width != 1 {
            return Ok(None);
        }
        let mut out = Fresh::<f64>::zeros(py, &[n, 1])?;
        let own = |ob, shape: &[usize]| numbers::<f64>(ob, shape);
        for start in (0..n).step_by(AT_ONCE) {
            if start > 0 {
                py.detach(|| ());
            }
            // Looked for anew: other threads may have changed the arrays.
            let (Some(z), Some(c)) = (own(&seen.z, &[n, 1]), own(&seen.c, &[n, 1, 1])) else {
                return Ok(None);
            };
            let (Some(a), Some(b)) = (own(&seen.a, &[n, m]), own(&seen.b, &[n, m])) else {
                return Ok(None);
            };
            let part = start..n.min(start + AT_ONCE);
            let noise = part.start * m..part.end * m;
            let (z, c, a, b) = (
                &z[part.clone()],
                &c[part.clone()],
                &a[noise.clone()],
                &b[noise],
            );
            let rows = Rows { z, c, y: &[], a, b };
            if !fill(&rows, &mut out.numbers()[part]) {
                return Ok(None);
            }
        }
        Ok(Some(out.done()))
    }

    /// An array (n, *own) that `fill` makes of the n rows, detached.
    fn each<'py>(
        &self,
        seen: Given<'py>,
        own: &[usize],
        fill: impl FnOnce(&Rows<'_>, &mut [f64]) + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, n) = (seen.z.py(), seen.z.len()?);
        let copied = Copied::new(&self.0, n, seen)?;
        let mut out = Fresh::<f64>::zeros(py, &[&[n], own].concat())?;
        let to = out.numbers();
        let run = AssertUnwindSafe(|| fill(&copied.rows(), to));
        let result = py.detach(|| catch_unwind(run));
        result.map_err(|_| internal(py))?;
        Ok(out.done())
    }
}
