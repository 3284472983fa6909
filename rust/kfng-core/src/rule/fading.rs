//! Exponential forgetting, to nothing or to the prior.
//!
//! ```text
//! J <- (1-lam)^dt·J,   1-lam = 2^(-1/half_life)
//! ```
//!
//! The same as process noise lam/(1-lam)·P. Source: Ollivier 2018, arXiv 1703.00209.

use serde::Deserialize;

use super::Time;
use crate::error::{Error, fault};

/// One of `forgetting` (lam) and `half_life`; `towards`: what takes the place of what is forgotten.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fading {
    forgetting: Option<f64>,
    half_life: Option<f64>,
    towards: Option<String>,
}

impl Fading {
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad = |argument, expected, got| Err(Error::Parameter(fault(argument, expected, got)));
        if let Some(name) = self.towards.as_ref().filter(|name| *name != "prior") {
            return bad("towards", "None or 'prior'", name.clone());
        }
        match (self.forgetting, self.half_life) {
            (Some(lam), None) if (0.0..1.0).contains(&lam) => Ok(()),
            (Some(lam), None) => bad("forgetting", "a number in [0, 1)", lam.to_string()),
            (None, Some(life)) if life > 0.0 && life.is_finite() => Ok(()),
            (None, Some(life)) => bad("half_life", "a finite number > 0", life.to_string()),
            _ => bad(
                "forgetting",
                "one of forgetting and half_life",
                "both or neither".to_string(),
            ),
        }
    }

    pub(super) fn towards_prior(&self) -> bool {
        self.towards.is_some()
    }

    #[inline]
    pub(super) fn time(&self, dt: f64, floor: f64) -> Time {
        let passes = true;
        if dt == 0.0 {
            return Time {
                log_decay: 0.0,
                decay: 1.0,
                passes,
            };
        }
        let log_decay = match (self.forgetting, self.half_life) {
            (Some(lam), _) => (-lam).ln_1p() * dt,
            (None, life) => -std::f64::consts::LN_2 / life.unwrap_or(f64::INFINITY) * dt,
        };
        let (log_decay, decay) = match self.forgetting {
            _ if log_decay < floor => (floor, floor.exp()),
            // A row per unit of time is the usual case, and then the factor is exact.
            Some(lam) if dt == 1.0 => (log_decay, 1.0 - lam),
            _ => (log_decay, log_decay.exp()),
        };
        Time {
            log_decay,
            decay,
            passes,
        }
    }
}
