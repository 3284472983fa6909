//! A filter behind a mutex.
//!
//! The mutex is never held while the interpreter is waited for: a single row is taken attached, with `try_lock`; where another thread
//! holds the filter, and for everything long, the thread detaches first and locks then. A panic poisons the mutex, and the object answers
//! every later call with an InternalError.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use kfng_core::scalar::Scalar;

use crate::arrays::Number;
use crate::errors::{internal, raise};
use crate::filter::Filter;
use crate::held::Held;

/// A filter of either number type.
pub enum Core {
    Wide(kfng_core::Filter<f64>),
    Narrow(kfng_core::Filter<f32>),
}

/// The number types of filters.
pub trait Kind: Number + Scalar {
    fn within(core: &mut Core) -> &mut kfng_core::Filter<Self>;
}

impl Kind for f64 {
    fn within(core: &mut Core) -> &mut kfng_core::Filter<f64> {
        let Core::Wide(filter) = core else {
            unreachable!("the type was chosen from the filter's dtype")
        };
        filter
    }
}

impl Kind for f32 {
    fn within(core: &mut Core) -> &mut kfng_core::Filter<f32> {
        let Core::Narrow(filter) = core else {
            unreachable!("the type was chosen from the filter's dtype")
        };
        filter
    }
}

impl Core {
    /// Brings up to date what sparse rows have left for later.
    #[inline]
    fn settle(&mut self) {
        either!(self, filter => filter.settle());
    }
}

impl Filter {
    /// Runs `f`, which reads no variance, on the filter, attached where nobody else holds it.
    #[inline]
    pub(crate) fn with<R: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Core) -> R + Send,
    ) -> PyResult<R> {
        match self.attached(py)? {
            Some(guard) => Self::guarded(py, guard, f),
            None => self.unsettled(py, f),
        }
    }

    /// The filter, unless another thread holds it.
    #[inline]
    pub(crate) fn attached(&self, py: Python<'_>) -> PyResult<Option<MutexGuard<'_, Core>>> {
        match self.core.try_lock() {
            Ok(Some(_)) if self.gone.load(Ordering::Relaxed) => Err(gone(py)),
            found => found.map_err(|lost| lost.error(py)),
        }
    }

    /// Runs `f` on the filter that `attached` gave.
    #[inline]
    pub(crate) fn guarded<R>(
        py: Python<'_>,
        guard: MutexGuard<'_, Core>,
        f: impl FnOnce(&mut Core) -> R,
    ) -> PyResult<R> {
        // The guard goes into the closure: unwinding drops it there, which poisons the mutex.
        let run = AssertUnwindSafe(move || {
            let mut guard = guard;
            f(&mut guard)
        });
        catch_unwind(run).map_err(|_| internal(py))
    }

    /// Runs `f` on the filter with the interpreter free for other threads, all of its variances up to date.
    pub(crate) fn detached<R: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Core) -> R + Send,
    ) -> PyResult<R> {
        self.unsettled(py, |core| {
            core.settle();
            f(core)
        })
    }

    /// The same without that: sparse rows leave the variances of others for later.
    pub(crate) fn unsettled<R: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Core) -> R + Send,
    ) -> PyResult<R> {
        let run = |core: &mut Core| (!self.gone.load(Ordering::Relaxed)).then(|| f(core));
        detached(py, &self.core, run)?.ok_or_else(|| gone(py))
    }
}

/// A filter whose state another one has.
fn gone(py: Python<'_>) -> PyErr {
    let expected = "the larger filter that took over its state";
    raise(py, "UnsupportedError", "self", expected, "this one")
}

/// Runs `f` on what a mutex guards, with the interpreter free for other threads.
pub(crate) fn detached<C: Send, R: Send>(
    py: Python<'_>,
    core: &Held<C>,
    f: impl FnOnce(&mut C) -> R + Send,
) -> PyResult<R> {
    let run = AssertUnwindSafe(|| core.lock().map(|mut core| f(&mut core)));
    let done = py.detach(|| catch_unwind(run));
    done.map_err(|_| internal(py))?
        .map_err(|lost| lost.error(py))
}
