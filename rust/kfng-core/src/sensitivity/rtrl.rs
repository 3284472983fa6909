//! Real-time recurrent learning: ds in full, exact.
//!
//! Source: Williams and Zipser 1989, "A learning algorithm for continually running fully recurrent neural networks".

use serde::Deserialize;

use super::{Influence, Plan, Sizes};
use crate::error::Error;
use crate::model::Structure;

/// Whether s is corrected.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RTRL {
    state_correction: bool,
}

impl Influence for RTRL {
    /// A sparse f_s costs what it has.
    fn plan(&self, structure: Option<&Structure>, sizes: Sizes) -> Result<Plan, Error> {
        structure.map_or(Ok(Plan::Dense), |structure| Plan::exact(structure, sizes))
    }

    fn corrects(&self) -> bool {
        self.state_correction
    }
}
