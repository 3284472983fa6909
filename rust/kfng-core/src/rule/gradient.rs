//! Gradient rules: no metric, no posterior.
//!
//! ```text
//! g = w dz'e
//! SGD:   theta <- theta + rate_t·g
//! Adam:  m <- beta1 m + (1-beta1) g;  v <- beta2 v + (1-beta2) g²;   theta <- theta + rate_t·m/(1-beta1^t)/(sqrt(v/(1-beta2^t)) + eps)
//! ```
//!
//! Only rows that learn count, t = 1, 2, ...; time means nothing. Source: Robbins and Monro 1951; Kingma and Ba 2015, arXiv 1412.6980.

use serde::Deserialize;

use super::{Offered, Rate, Rates};
use crate::error::{Error, fault};
use crate::field::positive;

/// Stochastic gradient descent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SGD {
    learning_rate: Rate,
    #[serde(skip)]
    offered: Offered,
}

/// Its adaptive form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    learning_rate: Rate,
    beta1: f64,
    beta2: f64,
    eps: f64,
    #[serde(skip)]
    offered: Offered,
}

/// The constants of Adam.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// Of the mean.
    pub beta1: f64,
    /// Of the mean square.
    pub beta2: f64,
    /// Added to the root.
    pub eps: f64,
}

/// No metric, and the rate of row t.
fn rates(rate: &Rate, t: f64, offered: f64) -> Result<Rates, Error> {
    let learning = rate.at(t, offered);
    if learning > 0.0 && learning.is_finite() {
        return Ok(Rates {
            metric: 0.0,
            learning,
        });
    }
    let expected = match rate {
        Rate::Number(_) => "a finite number > 0".to_string(),
        Rate::Schedule(_) => format!("a finite number > 0 at t = {t}"),
    };
    Err(Error::Parameter(fault("learning_rate", expected, learning)))
}

fn check(rate: &Rate) -> Result<(), Error> {
    rate.check()?;
    if !rate.is_called() {
        rates(rate, 1.0, 0.0)?;
    }
    Ok(())
}

impl SGD {
    pub(super) fn check(&self) -> Result<(), Error> {
        check(&self.learning_rate)
    }

    pub(super) fn is_called(&self) -> bool {
        self.learning_rate.is_called()
    }

    pub(super) fn offer(&mut self, offered: Offered) {
        self.offered = offered;
    }

    pub(super) fn rates(&self, t: f64) -> Result<Rates, Error> {
        rates(&self.learning_rate, t, self.offered.learning)
    }
}

impl Adam {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::Parameter(fault(name, "a number in [0, 1)", beta)));
            }
        }
        positive("eps", self.eps)?;
        check(&self.learning_rate)
    }

    pub(super) fn is_called(&self) -> bool {
        self.learning_rate.is_called()
    }

    pub(super) fn offer(&mut self, offered: Offered) {
        self.offered = offered;
    }

    pub(super) fn rates(&self, t: f64) -> Result<Rates, Error> {
        rates(&self.learning_rate, t, self.offered.learning)
    }

    pub(super) fn moments(&self) -> Moments {
        Moments {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
        }
    }
}
