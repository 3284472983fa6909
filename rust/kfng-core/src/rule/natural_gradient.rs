//! The online natural gradient, with its two rates.
//!
//! ```text
//! J <- (1-gamma_t)·J + gamma_t·w·A A',   theta <- theta + eta_t·J^-1 w·g
//! ```
//!
//! With gamma = eta it is a Kalman filter with forgetting, and gamma_t·J_t^-1 its posterior covariance. Only rows that learn count and
//! change anything. Source: Ollivier 2018, arXiv 1703.00209.

use serde::Deserialize;

use super::{Rate, Rates, Time};
use crate::error::{Error, fault};

/// eta and gamma (`None`: gamma = eta).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NaturalGradient {
    learning_rate: Rate,
    metric_rate: Option<Rate>,
    #[serde(skip)]
    offered: Offered,
}

/// What the caller's own functions give for the next row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offered {
    /// eta_t.
    pub learning: f64,
    /// gamma_t.
    pub metric: f64,
    /// Covariance scale after t-1 rows.
    pub before: f64,
}

impl NaturalGradient {
    pub(super) fn check(&self) -> Result<(), Error> {
        self.learning_rate.check()?;
        if let Some(rate) = &self.metric_rate {
            rate.check()?;
        }
        if !self.gamma().is_called() {
            self.metric(1.0)?;
            self.scale(0.0)?;
        }
        if !self.learning_rate.is_called() {
            self.learning(1.0)?;
        }
        Ok(())
    }

    /// Whether no row has rates of its own.
    pub(crate) fn is_constant(&self) -> bool {
        let number = |rate: &Rate| matches!(rate, Rate::Number(_));
        number(&self.learning_rate) && number(self.gamma())
    }

    pub(super) fn is_called(&self) -> bool {
        self.learning_rate.is_called() || self.gamma().is_called()
    }

    pub(super) fn offer(&mut self, offered: Offered) {
        self.offered = offered;
    }

    /// Whether gamma is eta. Two functions of the caller's are taken for different ones: the caller says when they are one.
    pub(super) fn has_posterior(&self) -> bool {
        match &self.metric_rate {
            None => true,
            Some(rate) => !rate.is_called() && *rate == self.learning_rate,
        }
    }

    fn gamma(&self) -> &Rate {
        self.metric_rate.as_ref().unwrap_or(&self.learning_rate)
    }

    fn metric(&self, t: f64) -> Result<f64, Error> {
        let gamma = self.gamma().at(t, self.offered.metric);
        let (name, expected, fits) = match self.metric_rate {
            None => (
                "learning_rate",
                "a number in (0, 1), as metric_rate is not given",
                gamma > 0.0,
            ),
            Some(_) => ("metric_rate", "a number in [0, 1)", gamma >= 0.0),
        };
        refuse_unless(fits && gamma < 1.0, name, expected, self.gamma(), t, gamma)
    }

    fn learning(&self, t: f64) -> Result<f64, Error> {
        let eta = self.learning_rate.at(t, self.offered.learning);
        let fits = eta > 0.0 && eta.is_finite();
        refuse_unless(
            fits,
            "learning_rate",
            "a finite number > 0",
            &self.learning_rate,
            t,
            eta,
        )
    }

    /// The posterior precision changes by (1-gamma_t)·gamma_{t-1}/gamma_t.
    #[inline]
    pub(super) fn time(&self, t: f64, floor: f64) -> Result<Time, Error> {
        let (gamma, before) = (self.metric(t)?, self.before(t)?);
        if gamma == 0.0 {
            return Ok(Time {
                log_decay: 0.0,
                decay: 1.0,
                passes: true,
            });
        }
        let kept = ((1.0 - gamma) * before / gamma).max(f64::MIN_POSITIVE);
        Ok(Time {
            log_decay: kept.ln().min(0.0).max(floor),
            decay: (1.0 - gamma).max(floor.exp()),
            passes: true,
        })
    }

    #[inline]
    pub(super) fn rates(&self, t: f64) -> Result<Rates, Error> {
        Ok(Rates {
            metric: self.metric(t)?,
            learning: self.learning(t)?,
        })
    }

    fn before(&self, t: f64) -> Result<f64, Error> {
        if self.gamma().is_called() {
            Ok(self.offered.before)
        } else {
            self.scale(t - 1.0)
        }
    }

    pub(super) fn scale(&self, t: f64) -> Result<f64, Error> {
        if t > 0.0 {
            return self.metric(t);
        }
        if self.gamma().is_called() {
            return Ok(self.offered.before);
        }
        let gamma_0 = self.gamma().at(0.0, 0.0);
        if gamma_0.is_finite() {
            Ok(gamma_0)
        } else {
            let expected = "an offset > 0: gamma_0 is scale/offset";
            Err(Error::Parameter(fault("offset", expected, "0")))
        }
    }

    pub(super) fn predictive_scale(&self, t: f64) -> Result<f64, Error> {
        let gamma = self.metric(t)?;
        Ok(gamma / (1.0 - gamma))
    }
}

/// The rate, or the error that names the setting, and the row where it is not constant.
#[inline]
fn refuse_unless(
    fits: bool,
    name: &str,
    expected: &str,
    rate: &Rate,
    t: f64,
    value: f64,
) -> Result<f64, Error> {
    if fits {
        return Ok(value);
    }
    Err(Error::Parameter(match rate {
        Rate::Number(_) => fault(name, expected, value),
        Rate::Schedule(_) => fault(name, format!("{expected} at t = {t}"), value),
    }))
}
