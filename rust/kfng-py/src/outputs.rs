//! What a run of rows hands out.

use pyo3::prelude::*;

use kfng_core::Report;

use crate::arrays::Fresh;
use crate::likelihood::Law;

/// z, C, a, b and the flags of m rows, and what they counted for where the filter is robust, that nobody else has seen yet.
pub struct Outputs<'py> {
    z: Fresh<'py, f64>,
    c: Fresh<'py, f64>,
    a: Fresh<'py, f64>,
    b: Fresh<'py, f64>,
    flags: Fresh<'py, u8>,
    trust: Option<Fresh<'py, f64>>,
}

impl<'py> Outputs<'py> {
    pub fn new(py: Python<'py>, m: usize, law: &Law) -> PyResult<Self> {
        let (k, s) = (law.k, law.scales);
        Ok(Outputs {
            z: Fresh::zeros(py, &[m, k])?,
            c: Fresh::zeros(py, &[m, k, k])?,
            a: Fresh::zeros(py, &[m, s])?,
            b: Fresh::zeros(py, &[m, s])?,
            flags: Fresh::zeros(py, &[m])?,
            trust: law.weighs.then(|| Fresh::zeros(py, &[m])).transpose()?,
        })
    }

    pub fn report(&mut self) -> Report<'_> {
        Report {
            z: self.z.numbers(),
            c: self.c.numbers(),
            a: self.a.numbers(),
            b: self.b.numbers(),
            flags: self.flags.numbers(),
            trust: self.trust.as_mut().map(Fresh::numbers).unwrap_or_default(),
        }
    }

    /// How many rows were taken of m, the error of the next one, and what was reported of them.
    pub fn done(
        self,
        py: Python<'py>,
        done: usize,
        m: usize,
        error: Option<PyErr>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let error = error.map_or_else(|| py.None(), |error| error.into_value(py).into_any());
        let mut parts = vec![done.into_pyobject(py)?.into_any(), error.into_bound(py)];
        for part in [self.z, self.c, self.a, self.b] {
            parts.push(if done == m {
                part.done()
            } else {
                part.first(done)?
            });
        }
        parts.push(if done == m {
            self.flags.done()
        } else {
            self.flags.first(done)?
        });
        if let Some(trust) = self.trust {
            parts.push(if done == m {
                trust.done()
            } else {
                trust.first(done)?
            });
        }
        Ok(parts)
    }
}
