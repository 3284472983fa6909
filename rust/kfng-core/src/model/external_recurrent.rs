//! A recurrent model that lives elsewhere: every row brings s', z and all partials.

use serde::Deserialize;

use super::Output;
use crate::error::{Error, fault};
use crate::scalar::Scalar;

/// The sizes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names of the settings")]
pub struct ExternalRecurrent {
    n_params: usize,
    n_state: usize,
    n_outputs: usize,
}

impl Output for ExternalRecurrent {
    fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("n_params", self.n_params),
            ("n_state", self.n_state),
            ("n_outputs", self.n_outputs),
        ];
        for (name, size) in sizes {
            if size == 0 {
                return Err(Error::Parameter(fault(name, "at least 1", 0)));
            }
        }
        Ok(())
    }

    fn inputs(&self) -> Option<usize> {
        None
    }

    fn outputs(&self) -> usize {
        self.n_outputs
    }

    fn parameters(&self) -> Option<usize> {
        Some(self.n_params)
    }

    fn state(&self) -> Option<usize> {
        Some(self.n_state)
    }

    fn forward<T: Scalar>(
        &self,
        _: &[T],
        _: &[T],
        _: &mut [f64],
        _: &mut [T],
        _: usize,
        _: &mut [T],
    ) {
        unreachable!("rows of an external model bring their outputs")
    }
}
