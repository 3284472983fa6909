//! Rules: how time and learning enter the kernel.
//!
//! ```text
//! J <- decay·J + metric_rate·A A',   theta <- theta + learning_rate·J^-1 g
//! ```
//!
//! | rule | decay | metric_rate | learning_rate |
//! |---|---|---|---|
//! | Kalman | 1 | 1 | 1 |
//! | Fading | (1-lam)^dt | 1 | 1 |
//!
//! Source: Ollivier 2018, arXiv 1703.00209.

use serde::Deserialize;

use crate::error::{Error, fault};

/// The rule of a filter. The variants are the one list of names.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Rule {
    /// The static extended Kalman filter.
    Kalman(Kalman),
    /// Exponential forgetting.
    Fading(Fading),
}

/// No settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kalman {}

/// One of `forgetting` (lam) and `half_life`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fading {
    forgetting: Option<f64>,
    half_life: Option<f64>,
    towards: Option<String>,
}

/// What the passing of a time dt does to the precision.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// log of the factor.
    pub log_decay: f64,
    /// The factor.
    pub decay: f64,
}

/// How one row enters.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Factor of the Fisher information.
    pub metric: f64,
    /// Factor of the step.
    pub learning: f64,
}

impl Rule {
    /// Checks the settings.
    pub fn check(&self) -> Result<(), Error> {
        let Rule::Fading(Fading {
            forgetting,
            half_life,
            towards,
        }) = self
        else {
            return Ok(());
        };
        let bad = |argument, expected, got| Err(Error::Parameter(fault(argument, expected, got)));
        match (forgetting, half_life, towards) {
            (_, _, Some(name)) => Err(Error::Unsupported(fault("towards", "None", name))),
            (Some(lam), None, _) if (0.0..1.0).contains(lam) => Ok(()),
            (Some(lam), None, _) => bad("forgetting", "a number in [0, 1)", lam.to_string()),
            (None, Some(life), _) if *life > 0.0 && life.is_finite() => Ok(()),
            (None, Some(life), _) => bad("half_life", "a finite number > 0", life.to_string()),
            _ => bad(
                "forgetting",
                "one of forgetting and half_life",
                "both or neither".to_string(),
            ),
        }
    }

    /// Whether a direction that no row excites grows without bound unless a guard acts.
    pub fn forgets(&self) -> bool {
        matches!(self, Rule::Fading(_))
    }

    /// Decay in a time dt; no log decay passes `floor` (-inf: none).
    #[inline]
    pub fn time(&self, dt: f64, floor: f64) -> Time {
        match self {
            Rule::Kalman(_) => Time {
                log_decay: 0.0,
                decay: 1.0,
            },
            Rule::Fading(fading) => fading.time(dt, floor),
        }
    }

    /// Rates of the next row that learns.
    #[inline]
    pub fn rates(&self) -> Rates {
        Rates {
            metric: 1.0,
            learning: 1.0,
        }
    }
}

impl Fading {
    fn time(&self, dt: f64, floor: f64) -> Time {
        if dt == 0.0 {
            return Time {
                log_decay: 0.0,
                decay: 1.0,
            };
        }
        let log_decay = match (self.forgetting, self.half_life) {
            (Some(lam), _) => (-lam).ln_1p() * dt,
            (None, life) => -std::f64::consts::LN_2 / life.unwrap_or(f64::INFINITY) * dt,
        };
        match self.forgetting {
            _ if log_decay < floor => Time {
                log_decay: floor,
                decay: floor.exp(),
            },
            // A row per unit of time is the usual case, and then the factor is exact.
            Some(lam) if dt == 1.0 => Time {
                log_decay,
                decay: 1.0 - lam,
            },
            _ => Time {
                log_decay,
                decay: log_decay.exp(),
            },
        }
    }
}
