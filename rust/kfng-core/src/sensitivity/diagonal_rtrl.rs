//! Of f_s only what components of one unit do to one another: exact where units do not mix, and O(n p) a step everywhere.
//!
//! Source: Mozer 1989, "A focused backpropagation algorithm for temporal pattern recognition".

use serde::Deserialize;

use super::{Influence, Plan, Sizes, known};
use crate::error::Error;
use crate::model::Structure;

/// Whether s is corrected.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiagonalRTRL {
    state_correction: bool,
}

impl Influence for DiagonalRTRL {
    fn plan(&self, structure: Option<&Structure>, sizes: Sizes) -> Result<Plan, Error> {
        let Structure { couples, units, .. } = known("DiagonalRTRL", structure)?;
        Plan::rows(sizes, |i, j| {
            couples[i * sizes.n + j] && units[i] == units[j]
        })
    }

    fn corrects(&self) -> bool {
        self.state_correction
    }
}
