//! What threads do while the interpreter ends.
//!
//! Python ends a daemon thread where it next waits for the interpreter. In a function of NumPy or of Python that was called from here,
//! that unwinds through Rust's frames, which aborts the process (CPython before 3.14; PyO3 sees to its own `detach`). So whoever
//! calls such a function says so; at exit a handler waits until nobody is inside, and others wait before they go in.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

/// How long either waits at most. A thread that another exit handler joins goes on after it, once and for all.
const PATIENCE: Duration = Duration::from_secs(2);

static CLOSING: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static MAY_ENTER: Cell<bool> = const { Cell::new(false) };
}

/// Held while a function of Python or NumPy runs that may give the interpreter to another thread.
pub struct Calling(());

/// Before such a call.
#[inline]
pub fn calling(py: Python<'_>) -> Calling {
    if CLOSING.load(Ordering::SeqCst) {
        wait(py);
    }
    INSIDE.fetch_add(1, Ordering::SeqCst);
    Calling(())
}

impl Drop for Calling {
    #[inline]
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cold]
fn wait(py: Python<'_>) {
    if !MAY_ENTER.get() {
        MAY_ENTER.set(true);
        py.detach(|| sleep(PATIENCE)); // where the interpreter ends meanwhile, this does not return
    }
}

/// The exit handler.
fn close(py: Python<'_>) {
    MAY_ENTER.set(true);
    CLOSING.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && begun.elapsed() < PATIENCE {
        py.detach(|| sleep(Duration::from_micros(100)));
    }
}

/// Registers the handler; a forked child has none of its parent's other threads.
pub fn register(py: Python<'_>) -> PyResult<()> {
    let at_exit = |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| close(args.py());
    let close = PyCFunction::new_closure(py, None, None, at_exit)?;
    py.import("atexit")?.call_method1("register", (close,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let reset = |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            INSIDE.store(0, Ordering::SeqCst);
        };
        let options = PyDict::new(py);
        options.set_item(
            "after_in_child",
            PyCFunction::new_closure(py, None, None, reset)?,
        )?;
        os.call_method("register_at_fork", (), Some(&options))?;
    }
    Ok(())
}
