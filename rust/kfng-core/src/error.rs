//! Everything the core refuses, each with the argument, what was expected and what came.

use std::fmt::Display;

use thiserror::Error;

/// What was wrong: the fields of every error of kfng.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{argument}: expected {expected}, got {got}")]
pub struct Fault {
    /// Name of the argument.
    pub argument: String,
    /// What would have been right.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// An error of the core. Bindings translate each kind to one class.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// An array has the wrong shape, or two components do not fit together.
    #[error(transparent)]
    Shape(Fault),
    /// A value lies outside its range.
    #[error(transparent)]
    Parameter(Fault),
    /// NaN or infinity in a setting.
    #[error(transparent)]
    NonFinite(Fault),
    /// A covariance that is none.
    #[error(transparent)]
    NotPositiveDefinite(Fault),
    /// A combination that is not offered.
    #[error(transparent)]
    Unsupported(Fault),
    /// A specification that cannot be read.
    #[error(transparent)]
    BadHeader(Fault),
    /// A stored value that is impossible.
    #[error(transparent)]
    BadValue(Fault),
    /// A finite row so large that the step is not; the state is as before.
    #[error("a row that overflows")]
    Overflow,
    /// Memory that could not be had.
    #[error("out of memory: {0} bytes were asked for")]
    Memory(usize),
}

impl Error {
    /// The fields of an error, where it has them.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Shape(fault)
            | Error::Parameter(fault)
            | Error::NonFinite(fault)
            | Error::NotPositiveDefinite(fault)
            | Error::Unsupported(fault)
            | Error::BadHeader(fault)
            | Error::BadValue(fault) => Some(fault),
            Error::Overflow | Error::Memory(_) => None,
        }
    }
}

/// Shorthand for the fields of an error.
pub(crate) fn fault(argument: impl Display, expected: impl Display, got: impl Display) -> Fault {
    Fault {
        argument: argument.to_string(),
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
