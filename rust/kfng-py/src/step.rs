//! One row's prediction, made after its time step and before its y was used, and how the row fared.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use kfng_core::row::{FLAG_CLIPPED, FLAG_SKIPPED, Report};

use crate::arrays::Fresh;
use crate::leaving::calling;
use crate::likelihood::{Law, Rows};

/// How a row fared: its flags, and what it counted for.
#[derive(Clone, Copy)]
pub struct Fate {
    pub flags: u8,
    pub trust: f64,
}

impl Default for Fate {
    fn default() -> Self {
        Fate {
            flags: 0,
            trust: 1.0,
        }
    }
}

/// z (k,) | C (k, k) | y (width,) | a, b: beside the step where there is one output, so that a step is one allocation.
pub enum Values {
    One([f64; 5]),
    Many(Box<[f64]>),
}

impl Values {
    /// Room for a row.
    #[inline]
    pub fn new(law: &Law) -> Values {
        if law.k == 1 && law.width == 1 {
            Values::One([0.0; 5])
        } else {
            Values::Many(vec![0.0; law.k * (law.k + 1) + law.width + 2 * law.scales].into())
        }
    }

    #[inline]
    fn all(&self) -> &[f64] {
        match self {
            Values::One(values) => values,
            Values::Many(values) => values,
        }
    }

    /// Where the row is reported to, and its y.
    #[inline]
    pub fn report<'a>(&'a mut self, law: &Law, fate: &'a mut Fate) -> (Report<'a>, &'a mut [f64]) {
        let values = match self {
            Values::One(values) => &mut values[..],
            Values::Many(values) => &mut values[..],
        };
        let (z, rest) = values.split_at_mut(law.k);
        let (c, rest) = rest.split_at_mut(law.k * law.k);
        let (y, noise) = rest.split_at_mut(law.width);
        let (a, b) = noise.split_at_mut(noise.len() / 2);
        let m = law.scales;
        (
            Report {
                z,
                c,
                a: &mut a[..m],
                b: &mut b[..m],
                flags: std::slice::from_mut(&mut fate.flags),
                trust: if law.weighs {
                    std::slice::from_mut(&mut fate.trust)
                } else {
                    &mut []
                },
            },
            y,
        )
    }
}

/// One row's prediction, made after its time step and before its y was used, and how the row fared.
#[pyclass(frozen, module = "kfng._core")]
pub struct Step {
    pub law: Arc<Law>,
    pub values: Values,
    pub fate: Fate,
}

impl Step {
    fn rows(&self) -> Rows<'_> {
        let (law, m) = (&self.law, self.law.scales);
        let (z, rest) = self.values.all().split_at(law.k);
        let (c, rest) = rest.split_at(law.k * law.k);
        let (y, noise) = rest.split_at(law.width);
        Rows {
            z,
            c,
            y,
            a: &noise[..m],
            b: &noise[noise.len() / 2..][..m],
        }
    }

    fn shaped<'py>(
        &self,
        py: Python<'py>,
        narrow: bool,
        fill: impl FnOnce(&mut [f64]),
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.law.mean_width == 1 {
            let mut x = [0.0];
            fill(&mut x);
            let _calling = calling(py);
            return scalar(py, narrow)?.call1((x[0],));
        }
        if !narrow {
            let mut out = Fresh::<f64>::zeros(py, &[self.law.mean_width])?;
            fill(out.numbers());
            return Ok(out.done());
        }
        let mut wide = vec![0.0; self.law.mean_width];
        fill(&mut wide);
        let mut out = Fresh::<f32>::zeros(py, &[self.law.mean_width])?;
        out.numbers()
            .iter_mut()
            .zip(wide)
            .for_each(|(to, x)| *to = x as f32);
        Ok(out.done())
    }

    fn density(&self, plugin: bool) -> f64 {
        let rows = self.rows();
        let (mut out, c) = ([0.0], if plugin { &[][..] } else { rows.c });
        self.law.densities(&Rows { c, ..rows }, &mut out);
        out[0]
    }
}

/// `numpy.float64` or `numpy.float32`.
fn scalar(py: Python<'_>, narrow: bool) -> PyResult<&Bound<'_, PyType>> {
    static WIDE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NARROW: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if narrow {
        NARROW.import(py, "numpy", "float32")
    } else {
        WIDE.import(py, "numpy", "float64")
    }
}

#[pymethods]
impl Step {
    /// E(y), shaped as the family's mean: a number, (k,) or (K,), in the filter's dtype.
    #[getter]
    fn prediction<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shaped(py, self.law.narrow, |out| {
            self.law.means(&self.rows(), out);
        })
    }

    /// Predictive standard deviation of y, theta integrated out to first order, shaped as `prediction`.
    #[getter]
    fn std<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shaped(py, false, |out| {
            self.law.stds(&self.rows(), out);
        })
    }

    /// -log predictive density of y, theta integrated out; NaN where y is missing.
    #[getter]
    fn nll(&self) -> f64 {
        self.density(false)
    }

    /// -log density of y at the mean theta.
    #[getter]
    fn nll_plugin(&self) -> f64 {
        self.density(true)
    }

    /// True where nothing was learned (y missing, or weight 0).
    #[getter]
    fn skipped(&self) -> bool {
        self.fate.flags & FLAG_SKIPPED != 0
    }

    /// True where the step of theta was shortened by the step clip.
    #[getter]
    fn clipped(&self) -> bool {
        self.fate.flags & FLAG_CLIPPED != 0
    }

    /// What the row counted for with a robust filter; 1 where nothing was changed, and with every other filter.
    #[getter]
    fn robust_weight(&self) -> f64 {
        self.fate.trust
    }

    /// What a trace keeps of the row: z (k,), C (k, k), a, b (m,), its flags, and of a robust filter what it counted for.
    #[getter]
    fn _seen<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let (rows, k) = (self.rows(), self.law.k);
        let array = |values: &[f64], shape: &[usize]| -> PyResult<Bound<'py, PyAny>> {
            let mut out = Fresh::<f64>::zeros(py, shape)?;
            out.numbers().copy_from_slice(values);
            Ok(out.done())
        };
        let (z, c) = (array(rows.z, &[k])?, array(rows.c, &[k, k])?);
        let (a, b) = (
            array(rows.a, &[rows.a.len()])?,
            array(rows.b, &[rows.b.len()])?,
        );
        let flags = self.fate.flags.into_pyobject(py)?.into_any();
        let mut parts = vec![z, c, a, b, flags];
        if self.law.weighs {
            parts.push(self.fate.trust.into_pyobject(py)?.into_any());
        }
        PyTuple::new(py, parts)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (prediction, std) = (
            self.prediction(py)?.str()?.to_string(),
            self.std(py)?.str()?.to_string(),
        );
        let word = |yes| if yes { "True" } else { "False" };
        let (skipped, clipped) = (word(self.skipped()), word(self.clipped()));
        Ok(format!(
            "Step(prediction={prediction}, std={std}, skipped={skipped}, clipped={clipped})"
        ))
    }
}
