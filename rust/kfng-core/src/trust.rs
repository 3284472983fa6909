//! What each row counts for under a policy of robust.rs: before its columns are fused, or, where the innovation is cut, when its gain is found.

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::family::Likelihood;
use crate::filter::{Filter, Fit, Slot, gain};
use crate::linalg::dot;
use crate::robust::{Robust, cut};
use crate::row::Row;
use crate::scalar::Scalar;

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
