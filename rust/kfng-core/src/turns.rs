//! Forgetting towards the prior: what is forgotten of the data is given back to the prior, column after column.
//!
//! With J_prior = C C' (columns c_i; a diagonal prior: c_i = e_i·sqrt(J_prior,ii)) each column keeps D_i, the decay since its last turn:
//!
//! ```text
//! turn:  a pseudo-observation of c_i'theta at c_i'theta_0 with precision 1 - D_i,   then D_i <- 1
//! => J = discounted data + C diag(D) C', theta its solution, at all times
//! ```
//!
//! A turn is due whenever ln 2/p of log-decay has accumulated: from the clock alone. Exact, like the noise variance beside it, to which a
//! pull adds its e²/(2S). Source: the kernel of Ollivier 2018, arXiv 1703.00209, on pseudo-observations.

use std::f64::consts::LN_2;

use crate::belief::{Belief, Uncertainty};
use crate::error::Error;
use crate::field::listed;
use crate::linalg::Aligned;
use crate::rule::Time;
use crate::scalar::Scalar;

/// Below this decay in one time step nothing is left of the data: everything goes back to the prior.
pub(crate) const SMALLEST_DECAY: f64 = 1e-12;
/// Accumulated log-decay without a turn, and the column whose turn is next; then log D of each column.
pub(crate) const ACCUMULATED: usize = 0;
pub(crate) const POSITION: usize = 1;
pub(crate) const LOG_D: usize = 2;

/// What forgetting goes back to.
#[derive(Debug)]
pub struct Turns<T> {
    /// (padded,)
    pub(crate) theta_0: Aligned<T>,
    /// The belief's section at the prior.
    pub(crate) belief_0: Aligned<T>,
    /// c_i'e_i where the prior is diagonal, (p,).
    pub(crate) scales: Vec<f64>,
    /// c_i as rows (p, p), zero before i, where it has covariances.
    columns: Vec<f64>,
}

/// Whole turns in what has accumulated with this time step, and what is left of it; one definition for the look ahead and the step.
#[inline]
pub(crate) fn due(accumulated: f64, time: Time, p: usize) -> (f64, f64) {
    let each = LN_2 / p as f64;
    let whole = ((accumulated - time.log_decay) / each).floor();
    (
        whole,
        (accumulated - time.log_decay - whole * each).max(0.0),
    )
}

impl<T: Scalar> Turns<T> {
    /// The prior of a filter that starts.
    pub fn new(belief: &Belief, theta: &[T], section: &[T]) -> Result<Self, Error> {
        let (mut theta_0, mut belief_0) =
            (Aligned::zeros(theta.len())?, Aligned::zeros(section.len())?);
        theta_0.copy_from_slice(theta);
        belief_0.copy_from_slice(section);
        let scales = belief.prior_variances().iter().map(|v| 1.0 / v.sqrt());
        Ok(Turns {
            theta_0,
            belief_0,
            scales: listed(scales)?,
            columns: belief.prior_columns()?,
        })
    }

    /// c_i into h, zero on entry.
    pub(crate) fn column(&self, i: usize, h: &mut [T]) {
        if self.columns.is_empty() {
            h[i] = T::of(self.scales[i]);
            return;
        }
        let p = self.scales.len();
        for (h, &c) in h[i..p]
            .iter_mut()
            .zip(&self.columns[i * p + i..(i + 1) * p])
        {
            *h = T::of(c);
        }
    }
}
