//! Rules: how time and learning enter the kernel. A rule touches no matrix.
//!
//! ```text
//! J <- decay·J + metric_rate·A A',   theta <- theta + learning_rate·J^-1 g
//! ```
//!
//! | rule | decay | metric_rate | learning_rate | before the row |
//! |---|---|---|---|---|
//! | Kalman | 1 | 1 | 1 | |
//! | Fading | (1-lam)^dt | 1 | 1 | turns towards the prior, where asked for |
//! | NaturalGradient | 1-gamma_t | gamma_t | eta_t | |
//! | ProcessNoise | 1 | 1 | 1 | P <- P + Q·dt |
//! | SGD, Adam | | 0 | rate_t, of the gradient itself | |
//!
//! Rows that learn are counted t = 1, 2, ...; t = 0 is the filter as it starts. Source: Ollivier 2018, arXiv 1703.00209.

use serde::Deserialize;

use crate::error::Error;
use crate::field::Arrays;

mod fading;
mod gradient;
mod natural_gradient;
mod process_noise;
mod schedule;

pub use fading::Fading;
pub use gradient::{Adam, Moments, SGD};
pub use natural_gradient::{NaturalGradient, Offered};
pub use process_noise::ProcessNoise;
pub use schedule::Rate;

/// The rule of a filter. The variants are the one list of names.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Rule {
    /// The static extended Kalman filter.
    Kalman(Kalman),
    /// Exponential forgetting.
    Fading(Fading),
    /// Two rates: of the metric, and of the step.
    NaturalGradient(NaturalGradient),
    /// theta is a random walk.
    ProcessNoise(ProcessNoise),
    /// Gradient descent.
    SGD(SGD),
    /// Adaptive gradient descent.
    Adam(Adam),
}

/// No settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kalman {}

/// What happens before a row is used.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// log of the factor of 1/(posterior variance).
    pub log_decay: f64,
    /// The factor of the precision J.
    pub decay: f64,
    /// Whether anything happens at all.
    pub passes: bool,
}

/// Nothing happens.
pub const STILL: Time = Time {
    log_decay: 0.0,
    decay: 1.0,
    passes: false,
};

/// How one row enters.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Factor of the Fisher information.
    pub metric: f64,
    /// Factor of the step.
    pub learning: f64,
}

/// Both 1.
pub const PLAIN: Rates = Rates {
    metric: 1.0,
    learning: 1.0,
};

impl Rule {
    /// Checks the settings that need no sizes.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Rule::Kalman(_) => Ok(()),
            Rule::Fading(fading) => fading.check(),
            Rule::NaturalGradient(gradient) => gradient.check(),
            Rule::ProcessNoise(noise) => noise.check(),
            Rule::SGD(rule) => rule.check(),
            Rule::Adam(rule) => rule.check(),
        }
    }

    /// Checks the settings against p parameters and takes in the arrays.
    pub fn prepare(&mut self, p: usize, arrays: &Arrays) -> Result<(), Error> {
        match self {
            Rule::ProcessNoise(noise) => noise.prepare(p, arrays),
            _ => Ok(()),
        }
    }

    /// Whether a direction that no row excites grows without bound unless a guard acts.
    pub fn forgets(&self) -> bool {
        match self {
            Rule::Fading(fading) => !fading.towards_prior(),
            Rule::NaturalGradient(_) => true,
            Rule::Kalman(_) | Rule::ProcessNoise(_) | Rule::SGD(_) | Rule::Adam(_) => false,
        }
    }

    /// Whether what is forgotten gives way to the prior.
    pub fn towards_prior(&self) -> bool {
        matches!(self, Rule::Fading(fading) if fading.towards_prior())
    }

    /// Whether a noise variance can be learned beside theta.
    pub fn allows_learned_noise(&self) -> bool {
        !matches!(self, Rule::NaturalGradient(_)) && !self.descends()
    }

    /// Whether theta moves along the gradient, with no metric.
    #[inline]
    pub fn descends(&self) -> bool {
        matches!(self, Rule::SGD(_) | Rule::Adam(_))
    }

    /// The constants of a rule that keeps moments of the gradient.
    #[inline]
    pub fn moments(&self) -> Option<Moments> {
        match self {
            Rule::Adam(rule) => Some(rule.moments()),
            _ => None,
        }
    }

    /// Whether some multiple of J^-1 is a covariance of theta.
    pub fn has_posterior(&self) -> bool {
        match self {
            Rule::NaturalGradient(gradient) => gradient.has_posterior(),
            _ => !self.descends(),
        }
    }

    /// Whether rows are counted, not time: dt must be 0 or 1.
    pub fn counts_rows(&self) -> bool {
        matches!(self, Rule::NaturalGradient(_))
    }

    /// The noise that is added before rows.
    #[inline]
    pub fn noise(&self) -> Option<&ProcessNoise> {
        match self {
            Rule::ProcessNoise(noise) => Some(noise),
            _ => None,
        }
    }

    /// Whether the rates of every row come from the caller, by `offer`.
    pub fn is_called(&self) -> bool {
        match self {
            Rule::NaturalGradient(gradient) => gradient.is_called(),
            Rule::SGD(rule) => rule.is_called(),
            Rule::Adam(rule) => rule.is_called(),
            _ => false,
        }
    }

    /// The rates of the next row, of a rule that `is_called`.
    pub fn offer(&mut self, offered: Offered) {
        match self {
            Rule::NaturalGradient(gradient) => gradient.offer(offered),
            Rule::SGD(rule) => rule.offer(offered),
            Rule::Adam(rule) => rule.offer(offered),
            _ => {}
        }
    }

    /// Before row t, which learns or not; no log decay passes `floor` (-inf: none).
    #[inline]
    pub fn time(&self, dt: f64, t: f64, learns: bool, floor: f64) -> Result<Time, Error> {
        match self {
            Rule::Kalman(_) | Rule::ProcessNoise(_) | Rule::SGD(_) | Rule::Adam(_) => Ok(STILL),
            Rule::Fading(fading) => Ok(fading.time(dt, floor)),
            Rule::NaturalGradient(_) if !learns => Ok(STILL),
            Rule::NaturalGradient(gradient) => gradient.time(t, floor),
        }
    }

    /// Rates of the t-th row that learns.
    #[inline]
    pub fn rates(&self, t: f64) -> Result<Rates, Error> {
        match self {
            Rule::NaturalGradient(gradient) => gradient.rates(t),
            Rule::SGD(rule) => rule.rates(t),
            Rule::Adam(rule) => rule.rates(t),
            _ => Ok(PLAIN),
        }
    }

    /// The posterior covariance after t rows that learned is this number times P; before row t, times P/decay.
    #[inline]
    pub fn scale(&self, t: f64) -> Result<f64, Error> {
        match self {
            Rule::NaturalGradient(gradient) => gradient.scale(t),
            _ => Ok(1.0),
        }
    }

    /// Before row t, times P itself: what its prediction is made from.
    #[inline]
    pub fn predictive_scale(&self, t: f64) -> Result<f64, Error> {
        match self {
            Rule::NaturalGradient(gradient) => gradient.predictive_scale(t),
            _ => Ok(1.0),
        }
    }
}
