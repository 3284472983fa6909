//! The class `_core.Filter`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use kfng_core::field::{Array, Arrays};
use kfng_core::{Block, Dtype, Error, Input, Spec};

use crate::arrays::{Fresh, flags, numbers};
use crate::convert::{Keyword, core_form, named_arrays};
use crate::errors::{raise, to_python};
use crate::held::Held;
use crate::leaving::calling;
use crate::likelihood::{Law, Likelihood};
use crate::lock::Core;
use crate::step::Step;

/// The compiled part of `kfng.Filter`; made from `Settings`.
#[pyclass(frozen, subclass, module = "kfng._core")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something else of the filter"
)]
pub struct Filter {
    pub(crate) core: Held<Core>,
    /// Whether another filter has taken over what it knows.
    pub(crate) gone: AtomicBool,
    pub(crate) law: Arc<Law>,
    pub(crate) sizes: kfng_core::filter::Sizes,
    /// Whether rows come as inputs u.
    has_inputs: bool,
    /// Threads that a call may use.
    pub(crate) threads: usize,
    /// Names of the inputs, interned, where they have some.
    pub(crate) names: Option<Vec<Py<PyString>>>,
    /// Whether dt must be 0 or 1.
    pub(crate) counts_rows: bool,
    /// Whether the rule's rates are functions of the user's.
    pub(crate) called: bool,
    /// Whether time is in seconds, so that there is no default for it.
    seconds: bool,
    /// Whether the core sees for itself if inputs are finite, and takes no more than one pass over them.
    pub(crate) lean: bool,
    /// Whether it has a way of its own for sparse rows.
    pub(crate) sparse: bool,
    /// The settings, as Python has them.
    #[pyo3(get)]
    pub(crate) settings: Py<PyAny>,
}

#[pymethods]
impl Filter {
    #[new]
    #[pyo3(signature = (settings, donor = None))]
    fn new(settings: &Bound<'_, PyAny>, donor: Option<&Bound<'_, Filter>>) -> PyResult<Self> {
        let py = settings.py();
        let _calling = calling(py);
        let (json, arrays) = core_form(settings)?;
        let core = match donor.map(Bound::get) {
            Some(donor) => donor.detached(py, |core| donor.taken_over(core, &json, &arrays))?,
            None => py.detach(|| {
                let spec = Spec::parse(&json)?;
                Ok(match spec.dtype {
                    Dtype::Float64 => Core::Wide(kfng_core::Filter::new(spec, &arrays)?),
                    Dtype::Float32 => Core::Narrow(kfng_core::Filter::new(spec, &arrays)?),
                })
            }),
        };
        let core = core.map_err(|error: Error| to_python(py, &error))?;
        let (sizes, has_inputs) = either!(&core, filter => (filter.sizes(), filter.has_inputs()));
        let family = either!(&core, filter => filter.family().clone());
        let (called, counts_rows) =
            either!(&core, filter => (filter.is_called(), filter.counts_rows()));
        let lean = either!(&core, filter => filter.is_lean());
        let sparse = either!(&core, filter => filter.takes_sparse());
        let shares = either!(&core, filter => filter.shares_out());
        let law = Law {
            weighs: either!(&core, filter => filter.is_robust()),
            ..Law::new(family, sizes.k, matches!(core, Core::Narrow(_)))
        };
        Ok(Filter {
            core: Held::new(core),
            gone: AtomicBool::new(false),
            law: Arc::new(law),
            sizes,
            has_inputs,
            threads: if shares {
                settings.getattr("threads")?.extract()?
            } else {
                1
            },
            names: settings.getattr("feature_names")?.extract()?,
            called,
            lean,
            sparse,
            counts_rows,
            seconds: settings.getattr("rule")?.getattr("seconds")?.extract()?,
            settings: settings.clone().unbind(),
        })
    }

    /// One row: let time pass, predict, then learn from y.
    ///
    /// Parameters
    /// ----------
    /// u : (d,), or a dict by `feature_names`, or one sparse row (1, d)
    ///     Inputs.
    /// y : float or (k,)
    ///     Observation; NaN is missing: time passes, nothing is learned.
    /// weight : float, default 1
    ///     Multiplier of the row's log-likelihood; 0: only time passes.
    /// dt : float, default 1
    ///     Time since the row before.
    /// offset : float or (k,), default 0
    ///     Added to z.
    /// time : number or date, instead of dt
    ///     When the row was, as in `update_many`: not before the last row that had a time, whose distance is then dt.
    ///
    /// Returns
    /// -------
    /// Step
    ///     The prediction made after the row's time step and before its y was used, and how the row fared.
    ///
    /// Raises
    /// ------
    /// ShapeError, DtypeError, ParameterError, NonFiniteError, UnknownNameError, UnsupportedError
    ///     The filter is then as it was before.
    #[pyo3(
        signature = (u, y, *, weight = Keyword::Default, dt = Keyword::Default, offset = Keyword::Default, time = None),
        text_signature = "($self, u, y, *, weight=1.0, dt=1.0, offset=0.0, time=None)"
    )]
    fn update<'py>(
        slf: &Bound<'py, Self>,
        u: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        weight: Keyword<'_, 'py>,
        dt: Keyword<'_, 'py>,
        offset: Keyword<'_, 'py>,
        time: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Step> {
        let (py, own) = (slf.py(), slf.get());
        let Some(time) = time else {
            return own.row(py, u, y, [weight, dt, offset]);
        };
        let waited = {
            let _calling = calling(py);
            slf.call_method1("_waited", (time, matches!(dt, Keyword::Default)))?
        };
        let (dt, when): (Bound<'py, PyAny>, Bound<'py, PyAny>) = waited.extract()?;
        let dt = Keyword::Value(dt.as_borrowed());
        let step = own.row(py, u, y, [weight, dt, offset])?;
        slf.setattr("_when", when)?;
        Ok(step)
    }

    /// One row of a model that lives elsewhere.
    ///
    /// Parameters
    /// ----------
    /// y : float or (k,)
    /// output : (k,)
    ///     z at `theta`, as it was before the call; of a recurrent model at the next state.
    /// jacobian : (k, p)
    ///     dz/dtheta there; of a recurrent model the pair of dz/dstate (k, n) and dz/dtheta.
    /// weight, dt : float, default 1
    /// state : (n,), optional
    ///     Of a recurrent model: the state after this step, from `state` and `theta` as they were before the call.
    /// transition : pair of (n, n) and (n, p), optional
    ///     Its derivatives by the state before and by theta.
    ///
    /// Returns
    /// -------
    /// Step
    ///
    /// Raises
    /// ------
    /// ShapeError, DtypeError, ParameterError, NonFiniteError
    #[pyo3(
        signature = (y, output, jacobian, *, weight = Keyword::Default, dt = Keyword::Default, state = None, transition = None),
        text_signature = "($self, y, output, jacobian, *, weight=1.0, dt=1.0, state=None, transition=None)"
    )]
    fn condition<'py>(
        &self,
        py: Python<'py>,
        y: &Bound<'py, PyAny>,
        output: &Bound<'py, PyAny>,
        jacobian: &Bound<'py, PyAny>,
        weight: Keyword<'_, 'py>,
        dt: Keyword<'_, 'py>,
        state: Option<&Bound<'py, PyAny>>,
        transition: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Step> {
        self.timed(py, dt)?;
        let simple = state.is_none() && transition.is_none() && self.sizes.n == 0;
        if let (true, Some(w), Some(t)) = (simple, weight.number(1.0), dt.number(1.0)) {
            let (parts, scalars) = ((output, jacobian), [w, t]);
            let taken = by_kind!(self.plain_given(py, y, parts, scalars))?;
            if let Some(step) = taken {
                return Ok(step);
            }
        }
        let given = py.import("kfng._border")?.getattr("given")?;
        let [weight, dt] = [weight, dt].map(|x| x.object(py, 1.0));
        let calls = calling(py);
        let row = if simple {
            given.call1((&self.settings, y, output, jacobian, weight, dt))?
        } else {
            given.call1((
                &self.settings,
                y,
                output,
                jacobian,
                weight,
                dt,
                state,
                transition,
            ))?
        };
        drop(calls);
        by_kind!(self.given(py, &row))
    }

    #[pyo3(signature = (U, Y, weight, dt, offset, blank, *, reordered = false))]
    #[expect(non_snake_case, reason = "the names of the mathematics")]
    fn _run<'py>(
        &self,
        py: Python<'py>,
        U: &Bound<'py, PyAny>,
        Y: &Bound<'py, PyAny>,
        weight: &Bound<'py, PyAny>,
        dt: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
        blank: &Bound<'py, PyAny>,
        reordered: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let m = U.len()?;
        let (k, width, bad) = (self.law.k, self.law.width, || {
            raise(py, "ShapeError", "block", "the arrays of a Block", "others")
        });
        let read = |ob, shape: &[usize]| numbers::<f64>(ob, shape).ok_or_else(bad);
        let blank = flags(blank, m).ok_or_else(bad)?;
        let (y, weight, dt, offset) = (
            read(Y, &[m, width])?,
            read(weight, &[m])?,
            read(dt, &[m])?,
            read(offset, &[m, k])?,
        );
        let (shape, blank) = ([m, self.sizes.d], &blank[..]);
        if self.law.narrow {
            let input = Input::Features(numbers::<f32>(U, &shape).ok_or_else(bad)?);
            self.run(
                py,
                &Block {
                    input,
                    y,
                    weight,
                    dt,
                    offset,
                    blank,
                },
                reordered,
            )
        } else {
            let input = Input::Features(numbers::<f64>(U, &shape).ok_or_else(bad)?);
            self.run(
                py,
                &Block {
                    input,
                    y,
                    weight,
                    dt,
                    offset,
                    blank,
                },
                reordered,
            )
        }
    }

    /// Blocks of rows taken together with their sums reordered, for the test that there were any.
    #[getter]
    fn _glm_blocks(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |core| either!(core, filter => filter.glm_blocks()))
    }

    /// Whether `_run` takes inputs that nobody has checked, the caller's own array among them: it then stops before a row that is not
    /// finite, without an error.
    #[getter]
    fn _takes_bare_rows(&self) -> bool {
        self.lean
    }

    /// Whether sparse rows have a way of their own, in O(inputs that are not 0).
    #[getter]
    fn _takes_sparse_rows(&self) -> bool {
        self.sparse
    }

    #[expect(non_snake_case, reason = "the names of the mathematics")]
    fn _run_sparse<'py>(
        &self,
        py: Python<'py>,
        starts: &Bound<'py, PyAny>,
        indices: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        Y: &Bound<'py, PyAny>,
        weight: &Bound<'py, PyAny>,
        dt: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
        blank: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (parts, rest) = ([starts, indices, values], [Y, weight, dt, offset, blank]);
        by_kind!(self.run_sparse(py, parts, rest))
    }

    fn _predict_sparse<'py>(
        &self,
        py: Python<'py>,
        starts: &Bound<'py, PyAny>,
        indices: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let parts = [starts, indices, values];
        by_kind!(self.predict_sparse(py, parts, offset))
    }

    fn _refuse(&self, py: Python<'_>, n: u32) -> PyResult<()> {
        self.with(
            py,
            |core| either!(core, filter => filter.refuse(f64::from(n))),
        )
    }

    #[pyo3(signature = (U, offset))]
    #[expect(non_snake_case, reason = "the name of the mathematics")]
    fn _predict<'py>(
        &self,
        py: Python<'py>,
        U: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        by_kind!(self.predict(py, U, offset))
    }

    fn _recurrence<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut arrays = Vec::new();
        let result = self.detached(py, |core| either!(core, filter => filter.save_recurrence(&mut |name, array, own| arrays.push((name, array, own)))))?;
        result.map_err(|error| to_python(py, &error))?;
        self.named(py, arrays)
    }

    fn _reset_state(&self, py: Python<'_>, state: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let bad = || {
            raise(
                py,
                "ShapeError",
                "state",
                "the state of the model",
                "another",
            )
        };
        let given = state.map(|ob| {
            numbers::<f64>(ob, &[self.sizes.n])
                .map(<[f64]>::to_vec)
                .ok_or_else(bad)
        });
        let given = given.transpose()?;
        let result = self.with(
            py,
            |core| either!(core, filter => filter.reset_state(given.as_deref())),
        )?;
        result.map_err(|error| to_python(py, &error))
    }

    fn _spread<'py>(&self, py: Python<'py>, dz: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (m, k, p) = (dz.len()?, self.law.k, self.sizes.p);
        let bad = || raise(py, "ShapeError", "dz", "one dz (k, p) a row", "others");
        let dz = numbers::<f64>(dz, &[m, k, p]).ok_or_else(bad)?.to_vec();
        let mut out = Fresh::<f64>::zeros(py, &[m, k, k])?;
        let (to, now) = (out.numbers(), self.scale_now(py)?);
        let result = self.detached(py, |core| {
            either!(core, filter => {
                now.inspect(|&now| filter.offer(now));
                filter.spread(&dz, to)
            })
        })?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(out.done())
    }

    fn _noise<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let shape = [self.law.scales];
        let (mut a, mut b) = (
            Fresh::<f64>::zeros(py, &shape)?,
            Fresh::<f64>::zeros(py, &shape)?,
        );
        let (to_a, to_b) = (a.numbers(), b.numbers());
        self.with(py, |core| either!(core, filter => filter.noise(to_a, to_b)))?;
        PyTuple::new(py, [a.done(), b.done()])
    }

    fn _factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let p = self.dense_size(py, "factors")?;
        let (mut u, mut d) = (
            Fresh::<f64>::zeros(py, &[p, p])?,
            Fresh::<f64>::zeros(py, &[p])?,
        );
        let (to_u, to_d) = (u.numbers(), d.numbers());
        self.detached(
            py,
            |core| either!(core, filter => filter.factors(to_u, to_d)),
        )?;
        PyTuple::new(py, [u.done(), d.done()])
    }

    fn _covariance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let p = self.dense_size(py, "cov")?;
        let mut out = Fresh::<f64>::zeros(py, &[p, p])?;
        let to = out.numbers();
        let result = self.detached(py, |core| either!(core, filter => filter.covariance(to)))?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(out.done())
    }

    fn _state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut arrays = Vec::new();
        let result = self.detached(py, |core| either!(core, filter => filter.save(&mut |name, array, own| arrays.push((name, array, own)))))?;
        result.map_err(|error| to_python(py, &error))?;
        self.named(py, arrays)
    }

    fn _set_state(&self, py: Python<'_>, state: &Bound<'_, PyDict>) -> PyResult<()> {
        let names: Vec<String> = state.keys().extract()?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let shapes = self
            .with(py, |core| either!(core, filter => filter.shapes(&has)))?
            .map_err(|error| to_python(py, &error))?;
        let own = |name: &str| shapes.iter().any(|(known, _, own)| *known == name && *own);
        let arrays = named_arrays(
            state,
            if self.law.narrow {
                "float32"
            } else {
                "float64"
            },
            own,
        )?;
        let result = self.detached(py, |core| either!(core, filter => filter.load(&arrays)))?;
        result.map_err(|error| to_python(py, &error))
    }

    /// Posterior mean (p,), a copy in the filter's dtype.
    #[getter]
    fn theta<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        by_kind!(self.mean(py))
    }

    /// Rows that taught something.
    #[getter]
    pub(crate) fn n_updates(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |core| either!(core, filter => filter.n_updates()))
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

impl Filter {
    /// A filter with more or fewer inputs that has what this one knows, which is gone then; on an error this one is as it was.
    fn taken_over(&self, core: &mut Core, json: &str, arrays: &Arrays) -> Result<Core, Error> {
        let spec = Spec::parse(json)?;
        let made = match core {
            Core::Wide(old) => Core::Wide(kfng_core::Filter::resized(spec, arrays, old)?.0),
            Core::Narrow(old) => Core::Narrow(kfng_core::Filter::resized(spec, arrays, old)?.0),
        };
        self.gone.store(true, Ordering::Relaxed);
        Ok(made)
    }

    /// One row; weight, dt and offset as they came.
    #[inline]
    fn row<'py>(
        &self,
        py: Python<'py>,
        u: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        [weight, dt, offset]: [Keyword<'_, 'py>; 3],
    ) -> PyResult<Step> {
        self.timed(py, dt)?;
        if let (true, Some(w), Some(t), Some(shift)) = (
            self.has_inputs,
            weight.number(1.0),
            dt.number(1.0),
            offset.number(0.0),
        ) {
            let scalars = [w, t, shift];
            let taken = by_kind!(self.plain(py, u, y, scalars))?;
            if let Some(step) = taken {
                return Ok(step);
            }
            if self.sparse
                && let Some(step) = by_kind!(self.plain_sparse(py, u, y, scalars))?
            {
                return Ok(step);
            }
        }
        let [weight, dt, offset] =
            [(weight, 1.0), (dt, 1.0), (offset, 0.0)].map(|(x, default)| x.object(py, default));
        let row = {
            let _calling = calling(py);
            let row = py.import("kfng._border")?.getattr("row")?;
            row.call1((&self.settings, u, y, weight, dt, offset, self.sparse))?
        };
        by_kind!(self.vetted(py, &row))
    }

    /// Where time is in seconds, a row says how many there were.
    #[inline]
    fn timed(&self, py: Python<'_>, dt: Keyword<'_, '_>) -> PyResult<()> {
        if self.seconds && matches!(dt, Keyword::Default) {
            let expected = "seconds since the row before, for a half-life with a unit";
            return Err(raise(py, "ParameterError", "dt", expected, "none"));
        }
        Ok(())
    }

    /// Saved arrays as NumPy's; the flag says which are of the filter's type.
    fn named<'py>(
        &self,
        py: Python<'py>,
        arrays: Vec<(&'static str, Array, bool)>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, array, own) in arrays {
            if own && self.law.narrow {
                let mut out = Fresh::<f32>::zeros(py, &array.shape)?;
                out.numbers()
                    .iter_mut()
                    .zip(&array.values)
                    .for_each(|(to, &x)| *to = x as f32);
                dict.set_item(name, out.done())?;
            } else {
                let mut out = Fresh::<f64>::zeros(py, &array.shape)?;
                out.numbers().copy_from_slice(&array.values);
                dict.set_item(name, out.done())?;
            }
        }
        Ok(dict)
    }
}
