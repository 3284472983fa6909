//! Robust observation: what a row counts for that its prediction did not expect.
//!
//! ```text
//! delta = e'S^-1 e,   S = R/w + C          of m observed outputs, in units of the learned variance as it is reported
//! Imq:     1/(1 + delta/(m threshold²))    multiplies w
//! Student: (dof + m)/(dof + delta)         multiplies w
//! Winsor:  sqrt(m sd²/delta), at most 1    multiplies e; P is updated as usual
//! ```
//!
//! Sources: `Imq`: Duran-Martin et al. 2024, arXiv 2405.05646; `Student`: Lange, Little and Taylor, JASA 84 (1989); `Winsor`: Masreliez
//! and Martin, IEEE Trans. Automat. Control 22 (1977).

use serde::Deserialize;

use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood};
use crate::field::{filled, positive, product};
use crate::filter::{Filter, Fit, Slot, gain};
use crate::linalg::dot;
use crate::linalg::small::{cholesky, solve_lower};
use crate::row::Row;
use crate::scalar::Scalar;

/// The policy of a filter. The variants are the one list of names.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Robust {
    /// Inverse multi-quadratic.
    Imq {
        /// In standard deviations: a row that far off counts for half.
        threshold: f64,
    },
    /// Student-t noise as a scale mixture.
    Student {
        /// Degrees of freedom.
        dof: f64,
    },
    /// The innovation is cut.
    Winsor {
        /// In standard deviations.
        sd: f64,
    },
}

impl Robust {
    /// Checks the setting and the family.
    pub fn check(&self, family: &Family) -> Result<(), Error> {
        let _ = match *self {
            Robust::Imq { threshold } => positive("threshold", threshold)?,
            Robust::Student { dof } => positive("dof", dof)?,
            Robust::Winsor { sd } => positive("sd", sd)?,
        };
        if matches!(family, Family::Gaussian(_)) {
            return Ok(());
        }
        let expected = "None with a family that is no Gaussian";
        Err(Error::Unsupported(fault("robust", expected, "one")))
    }

    /// Whether the innovation is multiplied, not the row's weight: the Fisher weight is known before z is.
    #[inline]
    pub fn cuts(&self) -> bool {
        matches!(self, Robust::Winsor { .. })
    }

    /// What a row of this squared distance counts for.
    #[inline]
    pub fn weight(&self, delta: f64, m: usize) -> f64 {
        let m = m as f64;
        match *self {
            Robust::Imq { threshold } => 1.0 / (1.0 + delta / (m * (threshold * threshold))),
            Robust::Student { dof } => (dof + m) / (dof + delta),
            Robust::Winsor { sd } => {
                let bound = m * (sd * sd);
                if delta <= bound {
                    1.0
                } else {
                    (bound / delta).sqrt()
                }
            }
        }
    }

    /// Whether such a row is counted as down-weighted.
    #[inline]
    pub fn counts(&self, weight: f64) -> bool {
        weight < if self.cuts() { 1.0 } else { 0.5 }
    }
}

/// What is needed for the distance of several outputs before their columns are fused, (k, k) each, and (k,).
#[derive(Debug, Default)]
pub(crate) struct Distance {
    c: Vec<f64>,
    s: Vec<f64>,
    product: Vec<f64>,
    r: Vec<f64>,
}

impl Distance {
    /// Room for k outputs.
    pub(crate) fn new(k: usize) -> Result<Self, Error> {
        let square = product(&[k, k])?;
        Ok(Distance {
            c: filled(square)?,
            s: filled(square)?,
            product: filled(square)?,
            r: filled(k)?,
        })
    }

    /// r'S^-1 r with S = I + share·L'CL, of the m outputs whose rows and columns of C are `c` (m, m), with L (m, m) and r given.
    fn of(&mut self, m: usize, share: f64, l: &[f64]) -> f64 {
        let (c, cl, s) = (
            &self.c[..m * m],
            &mut self.product[..m * m],
            &mut self.s[..m * m],
        );
        for (cl, c) in cl.chunks_exact_mut(m).zip(c.chunks_exact(m)) {
            for (j, x) in cl.iter_mut().enumerate() {
                *x = (0..m).map(|i| c[i] * l[i * m + j]).sum();
            }
        }
        for i in 0..m {
            for j in 0..m {
                let sum: f64 = (0..m).map(|t| l[t * m + i] * cl[t * m + j]).sum();
                s[i * m + j] = share * sum + if i == j { 1.0 } else { 0.0 };
            }
        }
        if cholesky(s, m).is_err() {
            return f64::INFINITY; // an overflow, found where the row is looked at as a whole
        }
        let r = &mut self.r[..m];
        solve_lower(s, m, r);
        r.iter().map(|r| r * r).sum()
    }
}

/// What of the innovation counts, of m outputs at a squared distance `delta`.
#[inline]
pub(crate) fn cut(robust: Option<Robust>, delta: f64, m: usize) -> f64 {
    robust
        .filter(Robust::cuts)
        .map_or(1.0, |robust| robust.weight(delta, m))
}

impl<T: Scalar> Filter<T> {
    /// Whether rows may count for less than their weight, which is then reported.
    pub fn is_robust(&self) -> bool {
        self.robust.is_some()
    }

    /// Whether the weight of a row, so its column, depends on its innovation.
    #[inline]
    pub(crate) fn reweighs(&self) -> bool {
        self.robust.is_some_and(|robust| !robust.cuts())
    }

    /// The learned variance that S is relative to, as the row reports it, else 1.
    #[inline]
    pub(crate) fn reported_unit(&self) -> f64 {
        match &self.scale {
            Some(_) if self.family.relative() => self.work.noise[1] / self.work.noise[0],
            _ => 1.0,
        }
    }

    /// One output whose column holds dz: notes what the row counts for, from its score. P is that of after the time step.
    pub(crate) fn trust_one(&mut self, index: usize, row: &Row<'_, T>, decay: T, moved: bool) {
        let Some(robust) = self.robust.filter(|robust| !robust.cuts()) else {
            return;
        };
        let slot = self.work.slots[index];
        let at = if moved {
            self.next.belief()
        } else {
            self.state.belief()
        };
        let h = self.columns.h(slot.first);
        let q = self
            .belief
            .variance(at, h, &mut self.work.diagonal)
            .to_f64()
            / decay.to_f64();
        let (e, information) = slot.score;
        let alpha = 1.0 + slot.rates.metric * row.weight * information * q;
        self.trust(index, robust, row.weight * (e * e / information) / alpha, 1);
    }

    /// Several outputs, whose factor L (m, m) is in place: notes what the row counts for.
    pub(crate) fn trust_many(&mut self, index: usize, row: &Row<'_, T>, decay: T, moved: bool) {
        let Some(robust) = self.robust.filter(|robust| !robust.cuts()) else {
            return;
        };
        let (k, padded, slot) = (self.sizes.k, self.sizes.padded, self.work.slots[index]);
        let m = slot.seen;
        let at = if moved {
            self.next.belief()
        } else {
            self.state.belief()
        };
        let seen = &self.work.seen[index * k..][..m];
        let dz = |j: usize| &self.work.dz[j * padded..][..padded];
        for (i, &a) in seen.iter().enumerate() {
            self.belief.variance(at, dz(a), &mut self.work.diagonal);
            for (j, &b) in seen[..=i].iter().enumerate() {
                let c = dot(dz(b), &self.work.diagonal).to_f64() / decay.to_f64();
                self.distance.c[i * m + j] = c;
                self.distance.c[j * m + i] = c;
            }
        }
        let l = &self.work.l[index * k * k..][..m * m];
        let row_seen = self.work.seen_by(index, k, row);
        self.family
            .whiten(&row_seen, seen, l, &mut self.distance.r[..m]);
        let distance = row.weight * self.distance.of(m, slot.rates.metric * row.weight, l);
        self.trust(index, robust, distance, m);
    }

    fn trust(&mut self, index: usize, robust: Robust, distance: f64, m: usize) {
        let trust = robust.weight(distance / self.reported_unit(), m);
        let slot = &mut self.work.slots[index];
        (slot.trust, slot.distance) = (trust, distance);
    }

    /// What the gauges and the learned noise are told, where the row was fused at another weight than its own.
    #[inline]
    pub(crate) fn told(&self, slot: &Slot, fit: Fit) -> Fit {
        if !self.reweighs() {
            return fit;
        }
        Fit {
            distance: slot.distance,
            trust: slot.trust,
            ..fit
        }
    }

    /// [`gain`] of one output, its innovation cut where the policy says so.
    #[inline]
    pub(crate) fn cut_gain(
        &self,
        shown: (f64, f64),
        learning: f64,
        score: (f64, f64),
        weight: f64,
    ) -> Result<(f64, Fit), Error> {
        let clip = self.limits.step_clip;
        let (found, fit) = gain(shown, learning, score, weight, clip)?;
        let trust = match self.robust {
            Some(_) => cut(self.robust, fit.distance / self.reported_unit(), 1),
            None => 1.0,
        };
        if trust == 1.0 {
            return Ok((found, fit));
        }
        let (found, own) = gain(shown, learning, (score.0 * trust, score.1), weight, clip)?;
        Ok((
            found,
            Fit {
                learned: fit.distance * (trust * trust),
                trust,
                clipped: own.clipped,
                ..fit
            },
        ))
    }
}
