//! From fused columns to what a row teaches: the step of theta, the noise scale, the gauges, and the report.

use crate::error::Error;
use crate::family::coverage::after;
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, Fit, Sizes, Slot, Spread};
use crate::linalg::{axpy, dot};
use crate::robust::cut;
use crate::row::{FLAG_CLIPPED, FLAG_SKIPPED, Report, Row};
use crate::scalar::Scalar;
use crate::scale::Parts;
use crate::state::{
    CLAMPED, CLIPPED, COVERED, EVIDENCE, MISSING, N_UPDATES, NIS_COUNT, NIS_SUM, RHO_MAX,
    downweighted,
};

impl<T: Scalar> Filter<T> {
    /// Row `i` of the block, in slot `index` of the wave, once its columns have been fused.
    pub(crate) fn learn(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        i: usize,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let slot = self.work.slots[index];
        if index > 0 {
            self.pass(index, row.dt);
            self.note_noise();
        }
        if !row.blank && self.shares(&row.input) {
            let clamped = self.place(index, row.offset, true)?;
            self.next.wide[CLAMPED] += f64::from(clamped);
        }
        self.report(index, row, i, report)?;
        if let Some(trust) = report.trust.get_mut(i) {
            *trust = 1.0;
        }
        if !slot.learns {
            self.next.wide[MISSING] += f64::from(slot.missing);
            report.flags[i] = FLAG_SKIPPED;
            return Ok(());
        }
        let fit = if let Some(iterate) = &self.iterate {
            axpy(T::one(), iterate.step(), self.next.theta_mut());
            Fit {
                distance: iterate.distance,
                learned: iterate.distance,
                trust: 1.0,
                rho: iterate.rho,
                clipped: false,
            }
        } else if self.rule.descends() {
            self.descend(index, row)?
        } else if self.sizes.k == 1 {
            let score = if self.shares(&row.input) {
                self.family.score(&self.work.seen_by(index, 1, row))
            } else {
                slot.score
            };
            let (column, learning) = (slot.first, slot.rates.learning);
            let weight = row.weight * slot.trust;
            let (gain, fit) = self.gain(column, learning, score, weight)?;
            axpy(T::of(gain), self.columns.b(column), self.next.theta_mut());
            self.told(&slot, fit)
        } else {
            let fit = self.correct_many(index, row);
            self.told(&slot, fit)
        };
        self.account(&fit, slot.seen, row, i, report);
        Ok(())
    }

    /// What a row leaves besides theta and the belief: counters, gauges, the noise scale, evidence. `seen`: its observed outputs.
    #[inline]
    pub(crate) fn account(
        &mut self,
        fit: &Fit,
        seen: usize,
        row: &Row<'_, T>,
        i: usize,
        report: &mut Report<'_>,
    ) {
        report.flags[i] = if fit.clipped { FLAG_CLIPPED } else { 0 };
        let wide = &mut self.next.wide;
        wide[N_UPDATES] += 1.0;
        wide[CLIPPED] += f64::from(fit.clipped);
        wide[RHO_MAX] = wide[RHO_MAX].max(fit.rho);
        let relative = self.scale.as_ref().filter(|_| self.family.relative());
        if !fit.distance.is_nan() {
            let unit = relative.map_or(1.0, |scale| {
                let Parts { a, b, .. } = scale.of(wide);
                b[0] / a[0]
            });
            wide[NIS_SUM] += fit.distance / unit;
            wide[NIS_COUNT] += self.family.degrees(seen) as f64;
        }
        let Sizes { k, scales, .. } = self.sizes;
        let reported = Seen {
            z: &report.z[i * k..(i + 1) * k],
            c: &report.c[i * k * k..(i + 1) * k * k],
            y: row.y,
            a: &report.a[i * scales..(i + 1) * scales],
            b: &report.b[i * scales..(i + 1) * scales],
        };
        if self.family.covers() {
            wide[COVERED] = after(wide[COVERED], self.family.share_within(&reported));
        }
        let (mut weight, mut kept) = (row.weight, 1.0);
        if let Some(robust) = self.robust {
            let at = downweighted(wide.len());
            wide[at] += f64::from(robust.counts(fit.trust));
            if robust.cuts() {
                kept = fit.trust * fit.trust;
            } else {
                weight *= fit.trust;
            }
            if let Some(trust) = report.trust.get_mut(i) {
                *trust = fit.trust;
            }
        }
        if let Some(scale) = &self.scale {
            let gains = &mut self.work.small[..scales];
            if relative.is_some() {
                gains[0] = fit.learned;
            } else {
                self.family.innovations(&reported, weight, gains);
                if kept < 1.0 {
                    for gain in gains.iter_mut() {
                        *gain *= kept;
                    }
                }
            }
            scale.learn(wide, row.y, weight, gains);
        }
        if self.evidence {
            self.next.wide[EVIDENCE] -=
                row.weight * self.family.nll(&reported, &mut self.work.small);
        }
    }

    /// z, C = dz P dz' and the noise after the row's time step, before y is used.
    fn report(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        i: usize,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let (k, Slot { first, scale, .. }) = (self.sizes.k, self.work.slots[index]);
        let (z, c) = (
            &mut report.z[i * k..(i + 1) * k],
            &mut report.c[i * k * k..(i + 1) * k * k],
        );
        if row.blank {
            z.fill(f64::NAN);
            c.fill(f64::NAN);
        } else {
            z.copy_from_slice(&self.work.z[index * k..(index + 1) * k]);
            match self.work.slots[index].spread {
                Spread::Factor => self.covariance_by_factor(index, scale, c),
                Spread::Products | Spread::Pass => {
                    for (c, x) in c.iter_mut().zip(&self.work.gram) {
                        *c = scale * x;
                    }
                }
                Spread::Rows => {
                    for j in 0..k {
                        c[j * k + j] = scale * self.columns.q(first + j).to_f64();
                        for l in 0..j {
                            let (h, b) = (self.columns.h(first + l), self.columns.b(first + j));
                            c[j * k + l] = scale * dot(h, b).to_f64();
                            c[l * k + j] = c[j * k + l];
                        }
                    }
                }
            }
            if !c.iter().all(|c| c.is_finite()) {
                return Err(Error::Overflow);
            }
        }
        let m = self.sizes.scales;
        let (a, b) = self.work.noise.split_at(m);
        report.a[i * m..(i + 1) * m].copy_from_slice(a);
        report.b[i * m..(i + 1) * m].copy_from_slice(b);
        Ok(())
    }

    /// The gain of one output, its column fused.
    #[inline]
    pub(crate) fn gain(
        &self,
        column: usize,
        learning: f64,
        score: (f64, f64),
        weight: f64,
    ) -> Result<(f64, Fit), Error> {
        let (alpha, q) = (self.columns.alpha(column), self.columns.q(column));
        let shown = (alpha.to_f64(), q.to_f64());
        self.cut_gain(shown, learning, score, weight)
    }

    /// Several outputs, in residual form: dtheta += (b_j/alpha_j)·w·(r_j - metric_rate·A_j'dtheta) with L r = e, exactly the block update.
    /// Singular L: the residuals are for the gauge alone, and dtheta = learning_rate·w·b of the column g, which was fused last.
    fn correct_many(&mut self, index: usize, row: &Row<'_, T>) -> Fit {
        let (Sizes { k, padded, .. }, slot) = (self.sizes, &self.work.slots[index]);
        let (m, rates) = (slot.seen, slot.rates);
        let (weight, robust, unit) = (row.weight * slot.trust, self.robust, self.reported_unit());
        let l = &self.work.l[index * k * k..][..m * m];
        let seen = &self.work.seen[index * k..][..m];
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let at = Seen {
            z: &self.work.z[index * k..(index + 1) * k],
            c: &[],
            y: row.y,
            a,
            b,
        };
        let residuals = &mut self.work.small[..m];
        self.family.whiten(&at, seen, l, residuals);
        let dtheta = &mut self.work.dtheta[..];
        dtheta.fill(T::zero());
        let (mut distance, mut rho) = (0.0, 0.0f64);
        let first = slot.first + slot.ahead;
        for r in 0..m {
            let column = first + r;
            let moved = rates.metric * dot(self.columns.h(column), dtheta).to_f64();
            let residual = residuals[r] - moved;
            let alpha = self.columns.alpha(column).to_f64();
            let gain = weight * residual / alpha;
            axpy(T::of(gain), self.columns.b(column), dtheta);
            distance += weight * residual * residual / alpha;
            rho = rho.max(alpha - 1.0);
        }
        let trust = cut(robust, distance / unit, m);
        let mut scale = rates.learning * trust;
        let singular = self.family.singular();
        if singular {
            dtheta.copy_from_slice(self.columns.b(first + m));
            scale = rates.learning * row.weight;
        }
        let clipped = self.limits.step_clip.is_finite() && {
            let change = &mut self.work.small[..k];
            for (j, change) in change.iter_mut().enumerate() {
                let dz = if slot.ahead == 0 {
                    &self.work.dz[j * padded..(j + 1) * padded]
                } else {
                    self.columns.h(slot.first + j)
                };
                *change = dot(dz, dtheta).to_f64() * scale;
            }
            let most = self.family.reach(change);
            let clipped = most > self.limits.step_clip;
            scale *= if clipped {
                self.limits.step_clip / most
            } else {
                1.0
            };
            clipped
        };
        axpy(T::of(scale), dtheta, self.next.theta_mut());
        // A factor that overflowed shows in the distance, which the scale or the gauge carries on to the finiteness check.
        if distance.is_nan() && !singular {
            distance = f64::INFINITY;
        }
        Fit {
            distance,
            learned: distance * (trust * trust),
            trust,
            rho,
            clipped,
        }
    }
}
