//! The class `_core.BankCore`.
//!
//! The mutex is only ever waited for by a thread that has detached: whoever holds it never needs the interpreter.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use kfng_core::bank::Bank;
use kfng_core::family::Likelihood as _;
use kfng_core::field::{Array, Arrays};
use kfng_core::filter::Sizes;
use kfng_core::linalg::threads;
use kfng_core::scalar::Scalar;
use kfng_core::state::finite;
use kfng_core::{Block, Dtype, Error, Input, Report, Spec};

use crate::arrays::{Fresh, Number, flags, integers, numbers};
use crate::convert::{core_form, named_arrays};
use crate::errors::{raise, to_python};
use crate::keys::{self, Column};
use crate::leaving::calling;
use crate::likelihood::{Law, Likelihood};
use crate::lock;
use crate::outputs::Outputs;

/// Keys that are looked for ahead.
const AHEAD: usize = 8;
/// Rows of a plain update that are taken together, and bytes of inputs of the largest one: signals wait for it.
const PIECE: usize = 1 << 14;
const MOST_BYTES: usize = 1 << 27;

/// A bank of either number type.
enum Core {
    Wide(Bank<f64>),
    Narrow(Bank<f32>),
}

macro_rules! either {
    ($core:expr, $bank:ident => $body:expr) => {
        match $core {
            Core::Wide($bank) => $body,
            Core::Narrow($bank) => $body,
        }
    };
}

/// The number types of banks.
trait Kind: Number + Scalar {
    fn within(core: &mut Core) -> &mut Bank<Self>;
}

impl Kind for f64 {
    fn within(core: &mut Core) -> &mut Bank<f64> {
        let Core::Wide(bank) = core else {
            unreachable!("the type was chosen from the bank's dtype")
        };
        bank
    }
}

impl Kind for f32 {
    fn within(core: &mut Core) -> &mut Bank<f32> {
        let Core::Narrow(bank) = core else {
            unreachable!("the type was chosen from the bank's dtype")
        };
        bank
    }
}

/// The compiled part of `kfng.Bank`; made from `Settings`.
#[pyclass(frozen, subclass, module = "kfng._core")]
pub struct BankCore {
    core: Mutex<Core>,
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
            core: Mutex::new(core),
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
        listed(py, live.into_iter().map(i64::from), self.count(py)?)
    }

    fn _keys_at<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let slots = known(slots)?;
        let list = PyList::empty(py);
        // In pieces, for the texts are copied before the thread is attached again.
        for slots in slots.chunks(1 << 16) {
            let mut texts = (Vec::new(), String::new());
            let found = self.detached(py, |core| {
                either!(core, bank => slots.iter().all(|&slot| bank.key(slot).map(|key| match key {
                    kfng_core::bank::Key::Int(x) => texts.0.push(Err(x)),
                    kfng_core::bank::Key::Text(text) => {
                        texts.1.push_str(text);
                        texts.0.push(Ok(texts.1.len()));
                    }
                }).is_some()))
            })?;
            if !found {
                return Err(unknown(py));
            }
            let mut start = 0;
            for name in texts.0 {
                let key = match name {
                    Err(x) => kfng_core::bank::Key::Int(x),
                    Ok(end) => {
                        let text = &texts.1[start..end];
                        start = end;
                        kfng_core::bank::Key::Text(text)
                    }
                };
                list.append(keys::to_python(py, key)?)?;
            }
        }
        Ok(list)
    }

    fn _capacity(&self, py: Python<'_>) -> PyResult<usize> {
        self.detached(py, |core| either!(core, bank => bank.capacity()))
    }

    fn _count(&self, py: Python<'_>) -> PyResult<usize> {
        self.count(py)
    }

    fn _remove(&self, py: Python<'_>, slots: &Bound<'_, PyAny>) -> PyResult<()> {
        let slots = known(slots)?;
        self.detached(py, |core| either!(core, bank => bank.remove(&slots)))
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
    ) -> PyResult<Bound<'py, PyTuple>> {
        let slots = known(slots)?;
        let rows = [U, Y, weight, dt, offset, blank];
        if self.law.narrow {
            self.run::<f32>(py, &slots, rows)
        } else {
            self.run::<f64>(py, &slots, rows)
        }
    }

    /// All of a plain update, of exact arrays; None: something is unusual, and nothing has been done.
    #[expect(non_snake_case, reason = "the name of the mathematics")]
    fn _plain<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        X: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        if self.law.narrow {
            self.plain::<f32>(py, keys, X, y)
        } else {
            self.plain::<f64>(py, keys, X, y)
        }
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
        if self.law.narrow {
            self.predict::<f32>(py, &slots, U, offset)
        } else {
            self.predict::<f64>(py, &slots, U, offset)
        }
    }

    fn _theta<'py>(
        &self,
        py: Python<'py>,
        slots: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slots = perhaps(slots)?;
        if self.law.narrow {
            self.theta::<f32>(py, &slots)
        } else {
            self.theta::<f64>(py, &slots)
        }
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
        let slots = known(slots)?;
        let names: Option<Vec<String>> = names.map(|names| names.extract()).transpose()?;
        let sections = self.detached(py, |core| either!(core, bank => bank.sections()))?;
        let dict = PyDict::new(py);
        for section in sections.map_err(|error| to_python(py, &error))? {
            if names
                .as_ref()
                .is_some_and(|names| !names.iter().any(|name| name == section.name))
            {
                continue;
            }
            let shape = [&[slots.len()], &section.shape[..]].concat();
            let (array, result) = if section.own && self.law.narrow {
                let mut out = Fresh::<f32>::zeros(py, &shape)?;
                let to = out.numbers();
                let result = self.detached(py, |core| {
                    f32::within(core).own_section(&section, &slots, to)
                })?;
                (out.done(), result)
            } else {
                let mut out = Fresh::<f64>::zeros(py, &shape)?;
                let to = out.numbers();
                let result = self.detached(py, |core| {
                    if section.own {
                        f64::within(core).own_section(&section, &slots, to)
                    } else {
                        either!(core, bank => bank.wide_section(&section, &slots, to))
                    }
                })?;
                (out.done(), result)
            };
            result.map_err(|error| to_python(py, &error))?;
            dict.set_item(section.name, array)?;
        }
        Ok(dict)
    }

    fn _append<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        sections: &Bound<'py, PyDict>,
        prior: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let column = Column::new(keys)?;
        let n = column.len();
        let priors = integers(prior).filter(|priors| priors.len() == n);
        let priors = priors.ok_or_else(|| {
            raise(
                py,
                "BadValueError",
                "prior",
                "an index for each key",
                "others",
            )
        })?;
        let names: Vec<String> = sections.keys().extract()?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let wanted = self.detached(py, |core| either!(core, bank => bank.shapes(&has)))?;
        let wanted = wanted.map_err(|error| to_python(py, &error))?;
        let own = |name: &str| wanted.iter().any(|(known, _, own)| *known == name && *own);
        let float = if self.law.narrow {
            "float32"
        } else {
            "float64"
        };
        let arrays = named_arrays(sections, float, own)?;
        if let Some((name, array)) = arrays
            .iter()
            .find(|(_, array)| array.shape.first() != Some(&n))
        {
            let got = format!("shape {:?}", array.shape);
            return Err(raise(py, "BadValueError", name, &format!("{n} rows"), &got));
        }
        let mut slots = Fresh::<i64>::zeros(py, &[n])?;
        let to = slots.numbers();
        let result = self.detached(
            py,
            |core| either!(core, bank => append(bank, &column, &arrays, &priors, to)),
        )?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(slots.done())
    }
}

/// The slots of some keys of a column; returns the places among them at which a key was made. On an error none was.
fn look_up<T: Scalar>(
    bank: &mut Bank<T>,
    column: &Column,
    rows: Range<usize>,
    create: bool,
    to: &mut [i64],
) -> Result<Vec<i64>, Error> {
    let (start, n, mut made, mut error) = (rows.start, rows.len(), Vec::new(), None);
    for i in 0..n {
        if i + AHEAD < n {
            bank.prefetch(column.key(start + i + AHEAD));
        }
        let key = column.key(start + i);
        if !create {
            to[i] = bank.find(key).map_or(-1, i64::from);
            continue;
        }
        match bank.find_or_make(key) {
            Ok((slot, new)) => {
                to[i] = slot.into();
                if new {
                    made.push(i64::try_from(i).unwrap_or(i64::MAX));
                }
            }
            Err(failure) => {
                error = Some(failure);
                break;
            }
        }
    }
    let Some(error) = error else {
        return Ok(made);
    };
    let slots: Vec<u32> = made.iter().map(|&i| to[i as usize] as u32).collect();
    bank.remove(&slots);
    Err(error)
}

/// Keys that are new with their states, all or none.
fn append<T: Scalar>(
    bank: &mut Bank<T>,
    column: &Column,
    arrays: &Arrays,
    priors: &[i64],
    to: &mut [i64],
) -> Result<(), Error> {
    let mut state: Arrays = arrays
        .iter()
        .map(|(name, array)| {
            let shape = array.shape[1..].to_vec();
            let values = vec![0.0; shape.iter().product()];
            (name.clone(), Array { shape, values })
        })
        .collect();
    for i in 0..column.len() {
        for (name, array) in arrays {
            if let Some(one) = state.get_mut(name) {
                let len = one.values.len();
                one.values
                    .copy_from_slice(&array.values[i * len..(i + 1) * len]);
            }
        }
        let prior = usize::try_from(priors[i]).unwrap_or(usize::MAX);
        match bank.append(column.key(i), prior, &state) {
            Ok(slot) => to[i] = slot.into(),
            Err(error) => {
                let made: Vec<u32> = to[..i].iter().map(|&slot| slot as u32).collect();
                bank.remove(&made);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Integers as a new array (n,).
fn listed(py: Python<'_>, x: impl Iterator<Item = i64>, n: usize) -> PyResult<Bound<'_, PyAny>> {
    let mut out = Fresh::<i64>::zeros(py, &[n])?;
    out.numbers().iter_mut().zip(x).for_each(|(to, x)| *to = x);
    Ok(out.done())
}

fn unknown(py: Python<'_>) -> PyErr {
    raise(py, "ParameterError", "keys", "keys of the bank", "others")
}

/// Slots, -1 for keys that are not there.
fn perhaps(slots: &Bound<'_, PyAny>) -> PyResult<Vec<Option<u32>>> {
    let slots = integers(slots).ok_or_else(|| unknown(slots.py()))?;
    Ok(slots
        .into_iter()
        .map(|slot| (slot >= 0).then(|| u32::try_from(slot).unwrap_or(u32::MAX)))
        .collect())
}

/// Slots of keys that are there.
fn known(slots: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    let found = integers(slots).ok_or_else(|| unknown(slots.py()))?;
    Ok(found
        .into_iter()
        .map(|slot| u32::try_from(slot).unwrap_or(u32::MAX))
        .collect())
}

/// Rows of which nothing is unusual: weight 1, dt 1, no offset.
struct Plain<'a, T> {
    column: &'a Column,
    u: &'a [T],
    y: &'a [f64],
}

impl<T: Scalar> Plain<'_, T> {
    /// Piece by piece: slots, then rows. On an error no key is made of the rows from it on.
    fn take(&self, bank: &mut Bank<T>, report: &mut Report<'_>) -> (usize, Option<Error>) {
        let (m, sizes) = (self.column.len(), bank.sizes());
        let (d, k, s, width) = (sizes.d, sizes.k, sizes.scales, sizes.width);
        let most = PIECE.min(m);
        let (one, offset, blank) = (vec![1.0; most], vec![0.0; most * k], vec![false; most]);
        let (mut slots, mut start) = (vec![0; most], 0);
        while start < m {
            let n = PIECE.min(m - start);
            let rows = start..start + n;
            let made = match look_up(bank, self.column, rows.clone(), true, &mut slots[..n]) {
                Ok(made) => made,
                Err(error) => return (start, Some(error)),
            };
            let block = Block {
                input: Input::Features(&self.u[start * d..rows.end * d]),
                y: &self.y[start * width..rows.end * width],
                weight: &one[..n],
                dt: &one[..n],
                offset: &offset[..n * k],
                blank: &blank[..n],
            };
            let own: Vec<u32> = slots[..n].iter().map(|&slot| slot as u32).collect();
            let (done, error) = bank.run(&own, &block, &mut report.rows(rows, k, s));
            if error.is_some() {
                let late = made.iter().filter(|&&row| row as usize >= done);
                let late: Vec<u32> = late.map(|&row| own[row as usize]).collect();
                bank.remove(&late);
                return (start + done, error);
            }
            start += n;
        }
        (m, None)
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

    fn run<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[u32],
        rows: [&Bound<'py, PyAny>; 6],
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (m, k, width) = (slots.len(), self.law.k, self.law.width);
        let bad = || raise(py, "ShapeError", "block", "the arrays of a Block", "others");
        let read = |ob, shape: &[usize]| numbers::<f64>(ob, shape).ok_or_else(bad);
        let [u, y, weight, dt, offset, blank] = rows;
        let blank = flags(blank, m).ok_or_else(bad)?;
        let block = Block {
            input: Input::Features(numbers::<T>(u, &[m, self.sizes.d]).ok_or_else(bad)?),
            y: read(y, &[m, width])?,
            weight: read(weight, &[m])?,
            dt: read(dt, &[m])?,
            offset: read(offset, &[m, k])?,
            blank: &blank,
        };
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let (done, error) = self.detached(py, |core| {
            threads::enter(self.threads, usize::MAX, || {
                T::within(core).run(slots, &block, &mut report)
            })
        })?;
        PyTuple::new(
            py,
            outputs.done(py, done, m, error.map(|error| to_python(py, &error)))?,
        )
    }

    fn plain<'py, T: Kind>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (d, width) = (self.sizes.d, self.law.width);
        let Some(column) = Column::array(keys) else {
            return Ok(None);
        };
        let m = column.len();
        let found = numbers::<f64>(y, &[m, width]);
        let found = if width == 1 {
            found.or_else(|| numbers::<f64>(y, &[m]))
        } else {
            found
        };
        let (Some(u), Some(given)) = (numbers::<T>(x, &[m, d]), found) else {
            return Ok(None);
        };
        if size_of_val(u) > MOST_BYTES {
            return Ok(None);
        }
        // Copied while attached: these arrays are the caller's own.
        let (u, mut own_y) = (u.to_vec(), Fresh::<f64>::zeros(py, &[m, width])?);
        own_y.numbers().copy_from_slice(given);
        let y = &*own_y.numbers();
        let family = &self.law.family;
        let fine = |y: &[f64]| !y.iter().any(|y| y.is_infinite()) && !family.invalid(y);
        if !finite(&u) || !y.chunks_exact(width).all(fine) {
            return Ok(None);
        }
        let mut outputs = Outputs::new(py, m, &self.law)?;
        let mut report = outputs.report();
        let rows = Plain {
            column: &column,
            u: &u,
            y,
        };
        let (done, error) = self.detached(py, |core| {
            threads::enter(self.threads, usize::MAX, || {
                rows.take(T::within(core), &mut report)
            })
        })?;
        let parts = outputs.done(py, done, m, error.map(|error| to_python(py, &error)))?;
        let y = if done == m {
            own_y.done()
        } else {
            own_y.first(done)?
        };
        PyTuple::new(py, parts.into_iter().chain([y]).collect::<Vec<_>>()).map(Some)
    }

    fn predict<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[Option<u32>],
        u: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (n, k, m) = (slots.len(), self.law.k, self.law.scales);
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
        let [mut z, mut c, mut a, mut b] = [
            Fresh::<f64>::zeros(py, &[n, k])?,
            Fresh::<f64>::zeros(py, &[n, k, k])?,
            Fresh::<f64>::zeros(py, &[n, m])?,
            Fresh::<f64>::zeros(py, &[n, m])?,
        ];
        let to = [z.numbers(), c.numbers(), a.numbers(), b.numbers()];
        let result = self.detached(py, |core| T::within(core).predict(slots, &u, &offset, to))?;
        result.map_err(|error| to_python(py, &error))?;
        PyTuple::new(py, [z.done(), c.done(), a.done(), b.done()])
    }

    fn theta<'py, T: Kind>(
        &self,
        py: Python<'py>,
        slots: &[Option<u32>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut out = Fresh::<T>::zeros(py, &[slots.len(), self.sizes.p])?;
        let to = out.numbers();
        let result = self.detached(py, |core| T::within(core).theta(slots, to))?;
        result.map_err(|error| to_python(py, &error))?;
        Ok(out.done())
    }
}
