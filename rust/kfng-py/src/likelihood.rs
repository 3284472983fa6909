//! Densities of rows, independent of any filter's state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;

use kfng_core::Error;
use kfng_core::family::{Family, Likelihood as _, Seen};

use crate::arrays::{Fresh, numbers};
use crate::errors::{internal, raise, to_python};

/// A family with its sizes: what a filter, its steps and its likelihood share.
pub struct Law {
    pub family: Family,
    /// Outputs.
    pub k: usize,
    /// Numbers in one y.
    pub width: usize,
    /// Whether a noise variance is learned.
    pub learned: bool,
    /// Whether the filter is float32.
    pub narrow: bool,
    /// The family as Python writes it.
    pub name: String,
}

impl Law {
    /// -log densities of n rows into `out`; with `c` empty at the mean theta.
    pub fn densities(&self, rows: &Rows<'_>, out: &mut [f64]) -> Result<(), Error> {
        let (k, m) = (self.k, usize::from(self.learned));
        let mut work = vec![0.0; k * k + k];
        for (i, out) in out.iter_mut().enumerate() {
            let noise = i * m..(i + 1) * m;
            let seen = Seen {
                z: &rows.z[i * k..(i + 1) * k],
                c: if rows.c.is_empty() {
                    &[]
                } else {
                    &rows.c[i * k * k..(i + 1) * k * k]
                },
                y: &rows.y[i * self.width..(i + 1) * self.width],
                a: &rows.a[noise.clone()],
                b: &rows.b[noise],
            };
            *out = if rows.c.is_empty() {
                self.family.plugin_nll(&seen, &mut work)
            } else {
                self.family.nll(&seen, &mut work)?
            };
        }
        Ok(())
    }

    /// The exception of an error; a family that has no predictive density is named.
    pub fn raise(&self, py: Python<'_>, error: &Error) -> PyErr {
        match (error, error.fault()) {
            (Error::Unsupported(_), Some(fault)) => raise(
                py,
                "UnsupportedError",
                &fault.argument,
                &fault.expected,
                &self.name,
            ),
            _ => to_python(py, error),
        }
    }
}

/// Rows as they were reported: z (n, k), c (n, k, k) or empty, y (n, width), a and b (n, m).
pub struct Rows<'a> {
    pub z: &'a [f64],
    pub c: &'a [f64],
    pub y: &'a [f64],
    pub a: &'a [f64],
    pub b: &'a [f64],
}

/// Negative log densities of rows; independent of any filter's state.
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
        self.densities(py, z, Some(C), y, a, b)
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
        self.densities(py, z, None, y, a, b)
    }
}

impl Likelihood {
    fn densities<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        c: Option<&Bound<'py, PyAny>>,
        y: &Bound<'py, PyAny>,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let law = &self.0;
        let (n, k, m) = (z.len()?, law.k, usize::from(law.learned));
        let contiguous = py.import("numpy")?.getattr("ascontiguousarray")?;
        let plain = |ob: &Bound<'py, PyAny>| contiguous.call1((ob, "float64"));
        let (z, y, a, b) = (plain(z)?, plain(y)?, plain(a)?, plain(b)?);
        let c = c.map(plain).transpose()?;
        let bad = || {
            raise(
                py,
                "ShapeError",
                "z",
                &format!("{n} rows of {k} outputs in every array"),
                "others",
            )
        };
        let read = |ob, shape: &[usize]| numbers::<f64>(ob, shape).ok_or_else(bad);
        let mut out = Fresh::<f64>::zeros(py, &[n])?;
        let rows = Rows {
            z: read(&z, &[n, k])?,
            c: c.as_ref().map_or(Ok(&[][..]), |c| read(c, &[n, k, k]))?,
            y: read(&y, &[n, law.width])?,
            a: read(&a, &[n, m])?,
            b: read(&b, &[n, m])?,
        };
        let result = catch_unwind(AssertUnwindSafe(|| law.densities(&rows, out.numbers())));
        result
            .map_err(|_| internal(py))?
            .map_err(|error| law.raise(py, &error))?;
        Ok(out.done())
    }
}
