//! A mutex that nobody waits for in vain after a fork.
//!
//! A child process has none of its parent's other threads, but has the mutexes that they held. So each mutex is stamped, by whoever takes it,
//! with how many forks lie behind this process: one that is taken with another stamp is held by a thread of the parent, and never given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread::sleep;
use std::time::Duration;

use pyo3::prelude::*;

use crate::errors::{internal, raise};

/// Forks that lie behind this process.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Looks at a stamp, a millisecond apart: whoever took the mutex a moment ago may not have stamped it yet.
const LOOKS: usize = 200;

/// What a child does first.
#[pyfunction]
fn forked() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// Sees to it that children do.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let os = module.py().import("os")?;
    if os.hasattr("register_at_fork")? {
        let options = pyo3::types::PyDict::new(module.py());
        options.set_item("after_in_child", wrap_pyfunction!(forked, module)?)?;
        os.call_method("register_at_fork", (), Some(&options))?;
    }
    Ok(())
}

/// Why a mutex is not to be had.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    /// A panic left what it guards.
    Poisoned,
    /// A thread of the parent process has it.
    Orphaned,
}

impl Lost {
    /// The error of an object whose mutex it is.
    pub fn error(self, py: Python<'_>) -> PyErr {
        let expected = "an object that no other thread was using when this process was forked";
        match self {
            Lost::Poisoned => internal(py),
            Lost::Orphaned => raise(py, "UnsupportedError", "self", expected, "one in use"),
        }
    }
}

/// What a mutex guards.
#[derive(Debug)]
pub struct Held<C> {
    mutex: Mutex<C>,
    forks: AtomicU64,
}

impl<C> Held<C> {
    pub fn new(what: C) -> Self {
        Held {
            mutex: Mutex::new(what),
            forks: AtomicU64::new(0),
        }
    }

    /// The guard; `None`: another thread has it.
    #[inline]
    pub fn try_lock(&self) -> Result<Option<MutexGuard<'_, C>>, Lost> {
        match self.mutex.try_lock() {
            Ok(guard) => {
                let now = FORKS.load(Ordering::Relaxed);
                self.forks.store(now, Ordering::Relaxed);
                Ok(Some(guard))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(Lost::Poisoned),
        }
    }

    /// The guard, once it is there.
    pub fn lock(&self) -> Result<MutexGuard<'_, C>, Lost> {
        for _ in 0..LOOKS {
            if let Some(guard) = self.try_lock()? {
                return Ok(guard);
            }
            let now = FORKS.load(Ordering::SeqCst);
            if self.forks.load(Ordering::SeqCst) == now {
                let guard = self.mutex.lock().map_err(|_| Lost::Poisoned)?;
                self.forks.store(now, Ordering::SeqCst);
                return Ok(guard);
            }
            sleep(Duration::from_millis(1));
        }
        Err(Lost::Orphaned)
    }
}
