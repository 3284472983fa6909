//! The class `_core.Joint`: the kernel of `kfng.JointEkf` and `kfng.StateFilter`, whose rows Python has checked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use kfng_core::joint::{Row, Spec};
use kfng_core::row::{FLAG_CLIPPED, FLAG_SKIPPED};
use kfng_core::{Dtype, Error};

use crate::arrays::{Fresh, numbers};
use crate::convert::{core_form, named_arrays};
use crate::errors::{internal, raise, to_python};
use crate::held::Held;
use crate::leaving::calling;
use crate::likelihood::{Law, Likelihood};

/// A filter of either number type.
enum Core {
    Wide(kfng_core::joint::Joint<f64>),
    Narrow(kfng_core::joint::Joint<f32>),
}

/// Mean and covariance of x = (s, theta), and one row's change of them.
#[pyclass(frozen, module = "kfng._core")]
pub struct Joint {
    core: Held<Core>,
    law: Arc<Law>,
    /// Entries of s and of x.
    n: usize,
    m: usize,
}

#[pymethods]
impl Joint {
    #[new]
    fn new(settings: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = settings.py();
        let _calling = calling(py);
        let (json, arrays) = core_form(settings)?;
        let core = py.detach(|| {
            let spec = Spec::parse(&json)?;
            Ok(match spec.dtype {
                Dtype::Float64 => Core::Wide(kfng_core::joint::Joint::new(&spec, &arrays)?),
                Dtype::Float32 => Core::Narrow(kfng_core::joint::Joint::new(&spec, &arrays)?),
            })
        });
        let core = core.map_err(|error: Error| to_python(py, &error))?;
        let (n, m, k, family) = either!(&core, joint => (joint.states(), joint.size(), joint.outputs(), joint.family().clone()));
        let law = Law::new(family, k, matches!(core, Core::Narrow(_)));
        Ok(Joint {
            core: Held::new(core),
            law: Arc::new(law),
            n,
            m,
        })
    }

    /// One row: s- (n,), [f_s, f_theta] (n, m), z (k,), [h_s, h_theta] (k, m), y; scalars (weight, decay, dt, owed); noise (n, n) or None.
    ///
    /// Returns z, C, flags, clamped, nis, degrees.
    #[expect(clippy::too_many_arguments, reason = "the parts of a row")]
    fn step<'py>(
        &self,
        py: Python<'py>,
        state: &Bound<'py, PyAny>,
        transition: &Bound<'py, PyAny>,
        output: &Bound<'py, PyAny>,
        jacobian: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        scalars: (f64, f64, f64, f64),
        noise: Option<&Bound<'py, PyAny>>,
        blank: bool,
        learns: bool,
        commit: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (n, m, k) = (self.n, self.m, self.law.k);
        let (weight, decay, dt, owed) = scalars;
        let bad = || raise(py, "ShapeError", "row", "the arrays of a row", "others");
        let read = |ob, shape: &[usize]| numbers::<f64>(ob, shape).ok_or_else(bad);
        let (mut z, mut c) = (
            Fresh::<f64>::zeros(py, &[k])?,
            Fresh::<f64>::zeros(py, &[k, k])?,
        );
        let row = Row {
            state: read(state, &[n])?,
            transition: read(transition, &[n, m])?,
            output: read(output, &[k])?,
            jacobian: read(jacobian, &[k, m])?,
            y: read(y, &[self.law.width])?,
            weight,
            decay,
            dt,
            owed,
            noise: noise.map(|ob| read(ob, &[n, n])).transpose()?,
            blank,
            learns,
        };
        let (to_z, to_c) = (z.numbers(), c.numbers());
        let fared = self.with(
            py,
            |core| either!(core, joint => joint.step(&row, commit, to_z, to_c)),
        )?;
        let fared = fared.map_err(|error| to_python(py, &error))?;
        let mut flags = if learns { 0 } else { FLAG_SKIPPED };
        if fared.clipped {
            flags |= FLAG_CLIPPED;
        }
        let fared = (fared.clamped, fared.nis, fared.degrees);
        (z.done(), c.done(), flags, fared.0, fared.1, fared.2).into_pyobject(py)
    }

    fn mean<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut out = Fresh::<f64>::zeros(py, &[self.m])?;
        let to = out.numbers();
        self.with(py, |core| either!(core, joint => joint.mean(to)))?;
        Ok(out.done())
    }

    fn covariance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut out = Fresh::<f64>::zeros(py, &[self.m, self.m])?;
        let to = out.numbers();
        self.with(py, |core| either!(core, joint => joint.covariance(to)))?
            .map_err(|error| to_python(py, &error))?;
        Ok(out.done())
    }

    fn arrays<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let packed = self.m * self.m.saturating_sub(1) / 2;
        let dict = PyDict::new(py);
        if self.law.narrow {
            let mut parts = Parts::<f32>::zeros(py, self.m, packed)?;
            let [x, u, d] = parts.numbers();
            self.with(py, |core| {
                if let Core::Narrow(joint) = core {
                    joint.save(x, u, d);
                }
            })?;
            parts.put(&dict)?;
        } else {
            let mut parts = Parts::<f64>::zeros(py, self.m, packed)?;
            let [x, u, d] = parts.numbers();
            self.with(py, |core| {
                if let Core::Wide(joint) = core {
                    joint.save(x, u, d);
                }
            })?;
            parts.put(&dict)?;
        }
        Ok(dict)
    }

    fn set_arrays(&self, py: Python<'_>, arrays: &Bound<'_, PyDict>) -> PyResult<()> {
        let own = if self.law.narrow {
            "float32"
        } else {
            "float64"
        };
        let arrays = named_arrays(arrays, own, |_| true)?;
        self.with(py, |core| either!(core, joint => joint.load(&arrays)))?
            .map_err(|error| to_python(py, &error))
    }

    #[getter]
    fn _likelihood(&self) -> Likelihood {
        Likelihood(Arc::clone(&self.law))
    }

    /// A fault on purpose, for the test that one never reaches the caller as a panic.
    fn _panic(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |_| panic!("asked for"))
    }
}

impl Joint {
    /// Runs `f` on the filter. Python holds a lock of its own around every call, so nobody waits here; a panic poisons the mutex.
    fn with<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Core) -> R) -> PyResult<R> {
        let run = AssertUnwindSafe(|| self.core.lock().map(|mut core| f(&mut core)));
        catch_unwind(run)
            .map_err(|_| internal(py))?
            .map_err(|lost| lost.error(py))
    }
}

/// x (m,), U packed and D (m,) as new arrays.
struct Parts<'py, T: crate::arrays::Number>([Fresh<'py, T>; 3]);

impl<'py, T: crate::arrays::Number> Parts<'py, T> {
    fn zeros(py: Python<'py>, m: usize, packed: usize) -> PyResult<Self> {
        let one = |len: usize| Fresh::zeros(py, &[len]);
        Ok(Parts([one(m)?, one(packed)?, one(m)?]))
    }

    fn numbers(&mut self) -> [&mut [T]; 3] {
        self.0.each_mut().map(Fresh::numbers)
    }

    fn put(self, dict: &Bound<'py, PyDict>) -> PyResult<()> {
        for (name, part) in ["x", "U", "D"].into_iter().zip(self.0) {
            dict.set_item(name, part.done())?;
        }
        Ok(())
    }
}
