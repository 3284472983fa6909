//! Rates that are Python functions: evaluated before each row, never while the filter's mutex is held.

use pyo3::prelude::*;

use kfng_core::rule::Offered;
use kfng_core::{Block, Error, Input, Report};

use crate::errors::{raise, to_python};
use crate::filter::Filter;
use crate::leaving::calling;
use crate::lock::{Core, Kind};

impl Filter {
    /// One row. Where another row came in between, the rates are asked for again.
    #[inline]
    pub(crate) fn feed<T: Kind>(
        &self,
        py: Python<'_>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> PyResult<(usize, Option<Error>)> {
        if !self.called {
            return self.with(py, |core| T::within(core).run(block, report));
        }
        loop {
            let t = self.n_updates(py)? + 1;
            let rule = self.settings.bind(py).getattr("rule")?;
            let (learning, metric, before) = {
                let _calling = calling(py);
                rule.call_method1("offered", (t,))?.extract()?
            };
            let offered = Offered {
                learning,
                metric,
                before,
            };
            let taken = self.with(py, |core| {
                let filter = T::within(core);
                (filter.n_updates() + 1 == t).then(|| {
                    filter.offer(offered);
                    filter.run(block, report)
                })
            })?;
            if let Some(taken) = taken {
                return Ok(taken);
            }
        }
    }

    /// Rows one at a time; also where a function raises, the rows before it stay taken.
    pub(crate) fn feed_singly<T: Kind>(
        &self,
        py: Python<'_>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> PyResult<(usize, Option<PyErr>)> {
        let (k, d, width) = (self.law.k, self.sizes.d, self.law.width);
        let Input::Features(u) = block.input else {
            return Err(raise(py, "ShapeError", "block", "rows of inputs", "others"));
        };
        for i in 0..block.len() {
            let row = Block {
                input: Input::Features(&u[i * d..(i + 1) * d]),
                y: &block.y[i * width..(i + 1) * width],
                weight: &block.weight[i..=i],
                dt: &block.dt[i..=i],
                offset: &block.offset[i * k..(i + 1) * k],
                blank: &block.blank[i..=i],
            };
            let mut own = Report {
                z: &mut report.z[i * k..(i + 1) * k],
                c: &mut report.c[i * k * k..(i + 1) * k * k],
                a: &mut [],
                b: &mut [],
                flags: &mut report.flags[i..=i],
                trust: report.trust.get_mut(i..=i).unwrap_or_default(),
            };
            match self.feed(py, &row, &mut own) {
                Ok((0, None)) => return Ok((i, None)),
                Ok((_, None)) => {}
                Ok((_, Some(error))) => return Ok((i, Some(to_python(py, &error)))),
                Err(error) => return Ok((i, Some(error))),
            }
        }
        Ok((block.len(), None))
    }

    /// What a reading of the filter needs of such rates.
    pub(crate) fn scale_now(&self, py: Python<'_>) -> PyResult<Option<Offered>> {
        if !self.called {
            return Ok(None);
        }
        let rule = self.settings.bind(py).getattr("rule")?;
        let _calling = calling(py);
        if !rule.getattr("has_posterior")?.extract::<bool>()? {
            return Ok(None);
        }
        let scale = rule
            .call_method1("scale", (self.n_updates(py)?,))?
            .extract()?;
        Ok(Some(Offered {
            learning: f64::NAN,
            metric: scale,
            before: scale,
        }))
    }

    /// p, unless it is too large for a (p, p) array.
    pub(crate) fn dense_size(&self, py: Python<'_>, name: &str) -> PyResult<usize> {
        let (p, most) = (
            self.sizes.p,
            self.with(py, |core| either!(core, filter => filter.max_dense()))?,
        );
        if p <= most {
            return Ok(p);
        }
        let expected = format!("at most {most} parameters for a (p, p) array");
        Err(raise(
            py,
            "ParameterError",
            name,
            &expected,
            &format!("{p} parameters"),
        ))
    }
}
