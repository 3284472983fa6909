//! Dense linear algebra of the core: the UD form of a covariance and its kernels.
//!
//! The only place that chooses instruction sets. Kernels take plain slices, so one buffer can hold the whole state of a filter.

use thiserror::Error;

pub(crate) mod abreast;
pub mod aligned;
mod alone;
mod block;
pub mod columns;
pub mod convert;
pub mod diagonal;
mod diffuse;
pub mod fuse;
#[cfg(test)]
mod fuse_tests;
pub mod gathered;
mod gram;
mod grid;
pub(crate) mod in_place;
pub(crate) mod index_order;
mod insert;
pub mod multiply;
mod panel;
pub mod parts;
mod pipeline;
mod pivots;
pub mod read;
pub mod row;
#[cfg(test)]
mod row_tests;
pub mod simd;
pub mod small;
pub mod sweep;
#[cfg(test)]
pub(crate) mod testing;
pub mod threads;
mod transition;
pub mod ud;
mod units;
pub mod vector;

pub use aligned::Aligned;
pub use columns::Columns;
pub use convert::{dense, diagonal_prior, factor, inverse_rows, pack, packed_len, unpack};
pub use diagonal::{fuse_diagonal, largest, possible};
pub use diffuse::add_outer;
pub use fuse::fuse;
pub use gram::{MOST, gram};
pub use insert::{insert, remove};
pub use multiply::multiply;
pub use read::{all_finite, diagonal, diagonal_at, variance};
pub use row::{LEAST_SHARED, MOST_SHARED, SharedRow, fuse_shared};
pub use simd::Path;
pub use transition::{Runs, transition, transition_work, triangular};
pub use ud::{INDEX_ORDER_MAX, Layout};
pub use units::change_units;
pub use vector::{axpy, dot};

/// A size that does not fit the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too large: the size of the arrays does not fit the address space")]
pub struct Overflow;

/// Memory that could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AllocationError {
    /// The size does not fit the address space.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The allocator refused.
    #[error("out of memory: {bytes} bytes were asked for")]
    OutOfMemory {
        /// Size of the request.
        bytes: usize,
    },
}

/// A matrix that is not positive definite (or not finite).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not positive definite: pivot {index} is not a positive finite number")]
pub struct NotPositiveDefinite {
    /// Row of the first bad pivot.
    pub index: usize,
}
