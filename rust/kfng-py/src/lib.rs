//! The Python extension `kfng._core`: a thin border around kfng-core.
//!
//! Nothing is computed here. arrays.rs: slices of NumPy arrays, the only unsafe code · errors.rs: the one map to Python's exceptions ·
//! kinds.rs: what is written once for both number types · lock.rs: the filter behind its
//! mutex · held.rs: that mutex after a fork · leaving.rs: threads at exit · rows.rs, sparse.rs: rows on their way in · called.rs: rates that are Python functions · keys.rs: columns of keys · filter.rs,
//! joint.rs, bank.rs, step.rs, likelihood.rs: the classes · units.rs: a belief in other coordinates · hashing.rs: names to columns.

use pyo3::prelude::*;

#[macro_use]
mod kinds;

mod arrays;
mod bank;
mod called;
mod convert;
mod errors;
mod filter;
mod hashing;
mod held;
mod joint;
mod keys;
mod leaving;
mod likelihood;
mod lock;
mod outputs;
mod rows;
mod sparse;
mod step;
mod units;

/// The compiled core of kfng.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::bank::BankCore;
    #[pymodule_export]
    use crate::filter::Filter;
    #[pymodule_export]
    use crate::hashing::hashed;
    #[pymodule_export]
    use crate::joint::Joint;
    #[pymodule_export]
    use crate::likelihood::Likelihood;
    #[pymodule_export]
    use crate::step::Step;
    #[pymodule_export]
    use crate::units::change_units;
    use pyo3::prelude::*;

    /// The one version, from the workspace's manifest, and what happens at exit.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::held::register(module)?;
        crate::leaving::register(module.py())
    }
}
