//! The class `_core.BankCore`: its methods, in short; rows.rs, read.rs, states.rs and slots.rs have the long ones.
//!
//! The mutex is only ever waited for by a thread that has detached: whoever holds it never needs the interpreter.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use kfng_core::bank::Bank;
use kfng_core::filter::Sizes;
use kfng_core::{Dtype, Error, Spec};

use self::core::Core;
use self::slots::{known, listed, look_up, perhaps, unknown};
use crate::arrays::Fresh;
use crate::convert::core_form;
use crate::errors::to_python;
use crate::held::Held;
use crate::keys::Column;
use crate::leaving::calling;
use crate::likelihood::{Law, Likelihood};
use crate::lock;

mod core;
mod read;
mod rows;
mod slots;
mod states;

/// The compiled part of `kfng.Bank`; made from `Settings`.
#[pyclass(frozen, subclass, module = "kfng._core")]
pub struct BankCore {
    core: Held<Core>,
    law: Arc<Law>,
    sizes: Sizes,
    threads: usize,
    /// The settings, as Python has them.
    #[pyo3(get)]
    settings: Py<PyAny>,
}

#[pymethods]
impl BankCore {
    #[new]
    fn new(settings: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = settings.py();
        let _calling = calling(py);
        let (json, arrays) = core_form(settings)?;
        let threads: usize = settings.getattr("threads")?.extract()?;
        let core = py.detach(|| {
            let spec = Spec::parse(&json)?;
            Ok(match spec.dtype {
                Dtype::Float64 => Core::Wide(Bank::new(&spec, &arrays, threads)?),
                Dtype::Float32 => Core::Narrow(Bank::new(&spec, &arrays, threads)?),
            })
        });
        let core = core.map_err(|error: Error| to_python(py, &error))?;
        let sizes = either!(&core, bank => bank.sizes());
        let family = either!(&core, bank => bank.filter().family().clone());
        let law = Law {
            weighs: either!(&core, bank => bank.filter().is_robust()),
            ..Law::new(family, sizes.k, matches!(core, Core::Narrow(_)))
        };
        Ok(BankCore {
            core: Held::new(core),
            law: Arc::new(law),
            sizes,
            threads,
            settings: settings.clone().unbind(),
        })
    }

    #[getter]
    fn _likelihood(&self) -> Likelihood {
        Likelihood(Arc::clone(&self.law))
    }

    // -- keys and slots
    fn _slots<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        create: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let column = Column::new(keys)?;
        let mut slots = Fresh::<i64>::zeros(py, &[column.len()])?;
        let to = slots.numbers();
        let made = self.detached(
            py,
            |core| either!(core, bank => look_up(bank, &column, 0..column.len(), create, to)),
        )?;
        let made = made.map_err(|error| to_python(py, &error))?;
        let mut rows = Fresh::<i64>::zeros(py, &[made.len()])?;
        rows.numbers().copy_from_slice(&made);
        PyTuple::new(py, [slots.done(), rows.done()])
    }

    fn _live<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let live = self.detached(py, |core| either!(core, bank => bank.live()))?;
        let live = live.map_err(|error| to_python(py, &error))?;
        listed(py, live.into_iter().map(i64::from), self.count(py)?)
    }

    fn _keys_at<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.names(py, &known(slots)?)
    }

    fn _key_arrays<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.key_arrays(py, &known(slots)?)
    }

    fn _reserve(&self, py: Python<'_>, ints: usize) -> PyResult<()> {
        let result = self.detached(py, |core| either!(core, bank => bank.reserve(ints)))?;
        result.map_err(|error| to_python(py, &error))
    }

    // -- what has changed
    fn _mark(&self, py: Python<'_>) -> PyResult<()> {
        self.detached(py, |core| either!(core, bank => bank.mark()))
    }

    fn _changed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let changed = self.detached(py, |core| either!(core, bank => bank.changed()))?;
        let changed = changed.map_err(|error| to_python(py, &error))?;
        let n = changed.len();
        listed(py, changed.into_iter().map(i64::from), n)
    }

    fn _gone<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.gone(py)
    }

    fn _capacity(&self, py: Python<'_>) -> PyResult<usize> {
        self.detached(py, |core| either!(core, bank => bank.capacity()))
    }

    fn _count(&self, py: Python<'_>) -> PyResult<usize> {
        self.count(py)
    }

    fn _remove(&self, py: Python<'_>, slots: &Bound<'_, PyAny>) -> PyResult<()> {
        let slots = known(slots)?;
        let result = self.detached(py, |core| either!(core, bank => bank.remove(&slots)))?;
        result.map_err(|error| to_python(py, &error))
    }

    fn _core_nbytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.detached(
            py,
            |core| either!(core, bank => bank.bytes().0 + bank.bytes().1),
        )
    }

    /// Bytes of the records alone, for the test of what a key costs.
    fn _record_nbytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.detached(py, |core| either!(core, bank => bank.record_bytes()))
    }

    // -- priors
    fn _add_prior(&self, py: Python<'_>, settings: &Bound<'_, PyAny>) -> PyResult<()> {
        let (json, arrays) = core_form(settings)?;
        let result = self.detached(py, |core| {
            let spec = Spec::parse(&json)?;
            either!(core, bank => bank.add_prior(&spec, &arrays))
        })?;
        result.map_err(|error| to_python(py, &error))
    }

    fn _prior_of<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slots = known(slots)?;
        let priors = self.detached(py, |core| {
            either!(core, bank => {
                let prior = |&slot| bank.key(slot).map(|_| i64::from(bank.prior(slot)));
                slots.iter().map(prior).collect::<Option<Vec<_>>>()
            })
        })?;
        let priors = priors.ok_or_else(|| unknown(py))?;
        listed(py, priors.into_iter(), slots.len())
    }

    // -- rows
    #[pyo3(signature = (slots, U, Y, weight, dt, offset, blank, panel = false))]
    #[expect(non_snake_case, reason = "the names of the mathematics")]
    fn _run<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
        U: &Bound<'py, PyAny>,
        Y: &Bound<'py, PyAny>,
        weight: &Bound<'py, PyAny>,
        dt: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
        blank: &Bound<'py, PyAny>,
        panel: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let slots = known(slots)?;
        let rows = [U, Y, weight, dt, offset, blank];
        by_kind!(self.run(py, &slots, rows, panel))
    }

    /// All of a plain update, of exact arrays; a panel is of different keys, of every key where `keys` is None. None: something is unusual, and
    /// nothing has been done.
    #[pyo3(signature = (keys, X, y, panel = false))]
    #[expect(non_snake_case, reason = "the name of the mathematics")]
    fn _plain<'py>(
        &self,
        py: Python<'py>,
        keys: Option<&Bound<'py, PyAny>>,
        X: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        panel: bool,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        by_kind!(self.plain(py, keys, X, y, panel))
    }

    fn _refuse(&self, py: Python<'_>, slots: &Bound<'_, PyAny>) -> PyResult<()> {
        let slots = known(slots)?;
        let result = self.detached(py, |core| either!(core, bank => bank.refuse(&slots)))?;
        result.map_err(|error| to_python(py, &error))
    }

    // -- reading
    #[expect(non_snake_case, reason = "the name of the mathematics")]
    fn _predict<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
        U: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let slots = perhaps(slots)?;
        by_kind!(self.predict(py, &slots, U, offset))
    }

    fn _theta<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slots = perhaps(slots)?;
        by_kind!(self.theta(py, &slots))
    }

    fn _variances<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slots = perhaps(slots)?;
        let mut out = Fresh::<f64>::zeros(py, &[slots.len(), self.sizes.p])?;
        let to = out.numbers();
        let result = self.detached(py, |core| either!(core, bank => bank.variances(&slots, to)))?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(out.done())
    }

    fn _noise<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let slots = perhaps(slots)?;
        let shape = [slots.len(), self.sizes.scales];
        let (mut a, mut b) = (
            Fresh::<f64>::zeros(py, &shape)?,
            Fresh::<f64>::zeros(py, &shape)?,
        );
        let (to_a, to_b) = (a.numbers(), b.numbers());
        let result = self.detached(
            py,
            |core| either!(core, bank => bank.noise(&slots, to_a, to_b)),
        )?;
        result.map_err(|error| to_python(py, &error))?;
        PyTuple::new(py, [a.done(), b.done()])
    }

    // -- states
    #[pyo3(signature = (slots, names = None))]
    fn _sections<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
        names: Option<Bound<'py, PyTuple>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let names: Option<Vec<String>> = names.map(|names| names.extract()).transpose()?;
        self.sections(py, &known(slots)?, names.as_deref())
    }

    fn _append<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        sections: &Bound<'py, PyDict>,
        prior: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.append(py, &Column::new(keys)?, sections, prior)
    }

    fn _replace(
        &self,
        py: Python<'_>,
        slots: &Bound<'_, PyAny>,
        sections: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        self.replace(py, &known(slots)?, sections)
    }
}

impl BankCore {
    /// Runs `f` on the bank with the interpreter free for other threads.
    fn detached<R: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Core) -> R + Send,
    ) -> PyResult<R> {
        lock::detached(py, &self.core, f)
    }

    fn count(&self, py: Python<'_>) -> PyResult<usize> {
        self.detached(py, |core| either!(core, bank => bank.len()))
    }
}
