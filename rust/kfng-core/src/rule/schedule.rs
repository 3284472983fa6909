//! Schedules of a rate: one number for each row that learns, t = 1, 2, ...; t = 0 is the filter as it starts.

use serde::Deserialize;

use crate::error::{Error, fault};
use crate::field::positive;

/// A rate as written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// The same for all rows.
    Number(f64),
    /// A function of t.
    Schedule(Schedule),
}

/// The schedules; the variants are the one list of names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// scale/(t + offset).
    InverseTime {
        /// > 0.
        scale: f64,
        /// >= 0.
        offset: f64,
    },
    /// scale·(t + 1)^-exponent.
    Power {
        /// > 0.
        scale: f64,
        /// >= 0.
        exponent: f64,
    },
    /// A function of the caller's, who offers its value before every row.
    Called {},
}

impl Rate {
    /// Checks the numbers of a schedule.
    pub fn check(&self) -> Result<(), Error> {
        let not_negative = |name: &str, x: f64| {
            if x >= 0.0 && x.is_finite() {
                Ok(())
            } else {
                Err(Error::Parameter(fault(name, "a finite number >= 0", x)))
            }
        };
        match self {
            Rate::Schedule(Schedule::InverseTime { scale, offset }) => {
                positive("scale", *scale)?;
                not_negative("offset", *offset)
            }
            Rate::Schedule(Schedule::Power { scale, exponent }) => {
                positive("scale", *scale)?;
                not_negative("exponent", *exponent)
            }
            Rate::Number(_) | Rate::Schedule(Schedule::Called {}) => Ok(()),
        }
    }

    /// Whether the value comes from the caller.
    pub fn is_called(&self) -> bool {
        matches!(self, Rate::Schedule(Schedule::Called {}))
    }

    /// The rate of row t; `offered` is what the caller gave for it.
    #[inline]
    pub fn at(&self, t: f64, offered: f64) -> f64 {
        match self {
            Rate::Number(x) => *x,
            Rate::Schedule(Schedule::InverseTime { scale, offset }) => {
                if t + offset > 0.0 {
                    scale / (t + offset)
                } else {
                    f64::INFINITY
                }
            }
            Rate::Schedule(Schedule::Power { scale, exponent }) => {
                scale * (t + 1.0).powf(-exponent)
            }
            Rate::Schedule(Schedule::Called {}) => offered,
        }
    }
}
