//! kfng: online learning as Kalman filtering. The numerical core, in plain Rust.
//!
//! Imports point one way: scalar, error → linalg → field → family → model → sensitivity → belief → rule → state, row, lapse → guard, scale, robust, sparse → lean → spec → small → filter and
//! what stands beside it (clock, trust, pulls, relinearise, recurrent, prepare, learn, descent, glm_block, short, sparse_step, spared, wave, access, saved, resize; joint) → bank.

mod access;
pub mod bank;
pub mod belief;
mod clock;
mod commit;
mod descent;
pub mod error;
pub mod family;
pub mod field;
pub mod filter;
mod glm_block;
pub mod guard;
pub mod hashing;
mod iterate;
pub mod joint;
mod journal;
mod lapse;
mod lean;
mod lean_step;
mod learn;
pub mod linalg;
pub mod model;
mod prepare;
mod pulls;
pub mod recurrence;
mod recurrent;
mod relinearise;
mod resize;
pub mod robust;
pub mod row;
pub mod rule;
pub mod saved;
pub mod scalar;
pub mod scale;
pub mod sensitivity;
mod short;
pub mod small;
#[cfg(test)]
mod small_tests;
mod spared;
mod sparse;
mod sparse_step;
pub mod spec;
pub mod state;
mod trust;
mod turns;
mod wave;

pub use error::{Error, Fault};
pub use filter::Filter;
pub use row::{Block, Input, Report, Transition};
pub use small::Small;
pub use sparse::SparseRows;
pub use spec::{Dtype, Spec};
