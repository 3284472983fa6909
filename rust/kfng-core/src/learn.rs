//! From fused columns to what a row teaches: the step of theta, the noise scale, the gauges, and the report.

use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::filter::Filter;
use crate::linalg::{axpy, dot};
use crate::row::{FLAG_CLIPPED, FLAG_SKIPPED, Report, Row};
use crate::scalar::Scalar;
use crate::state::{
    A, B, CLAMPED, CLIPPED, ELAPSED, EVIDENCE, FLOORED, LOG_SINCE, MISSING, N_SEEN, N_UPDATES,
    NIS_COUNT, NIS_SUM, RHO_MAX,
};

/// What correcting theta has shown: w·e'S^-1 e (NaN where L has no inverse), and max(alpha) - 1.
struct Fit {
    distance: f64,
    rho: f64,
    clipped: bool,
}

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
        self.let_time_pass(index, row.dt);
        if !row.blank && self.shares(&row.input) {
            let clamped = self.place(index, row.offset, true)?;
            self.next.wide[CLAMPED] += f64::from(clamped);
        }
        self.report(index, row, i, report)?;
        if !slot.learns {
            self.next.wide[MISSING] += f64::from(slot.missing);
            report.flags[i] = FLAG_SKIPPED;
            return Ok(());
        }
        let fit = if self.sizes.k == 1 {
            self.correct(index, row)?
        } else {
            self.correct_many(index, row)
        };
        report.flags[i] = if fit.clipped { FLAG_CLIPPED } else { 0 };
        let wide = &mut self.next.wide;
        wide[N_UPDATES] += 1.0;
        wide[CLIPPED] += f64::from(fit.clipped);
        wide[RHO_MAX] = wide[RHO_MAX].max(fit.rho);
        if !fit.distance.is_nan() {
            wide[NIS_SUM] += if self.scale.is_some() {
                fit.distance / (wide[B] / wide[A])
            } else {
                fit.distance
            };
            wide[NIS_COUNT] += slot.seen as f64;
        }
        if let Some(scale) = &self.scale {
            scale.learn(wide, row.y, row.weight, fit.distance);
        }
        if self.evidence {
            let (k, a) = (
                self.sizes.k,
                if self.scale.is_some() { i..i + 1 } else { 0..0 },
            );
            let (z, c) = (
                &report.z[i * k..(i + 1) * k],
                &report.c[i * k * k..(i + 1) * k * k],
            );
            let seen = Seen {
                z,
                c,
                y: row.y,
                a: &report.a[a.clone()],
                b: &report.b[a],
            };
            self.next.wide[EVIDENCE] -=
                row.weight * self.family.nll(&seen, &mut self.work.small)?;
        }
        Ok(())
    }

    fn let_time_pass(&mut self, index: usize, dt: f64) {
        let (wide, slot) = (&mut self.next.wide, &self.work.slots[index]);
        wide[N_SEEN] += 1.0;
        wide[ELAPSED] += dt;
        wide[LOG_SINCE] = if slot.due {
            0.0
        } else {
            wide[LOG_SINCE] + slot.time.log_decay
        };
        if let Some(scale) = &self.scale {
            scale.fade(wide, slot.time.decay);
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
        let (k, first) = (self.sizes.k, self.work.slots[index].first);
        let (z, c) = (
            &mut report.z[i * k..(i + 1) * k],
            &mut report.c[i * k * k..(i + 1) * k * k],
        );
        if row.blank {
            z.fill(f64::NAN);
            c.fill(f64::NAN);
        } else {
            z.copy_from_slice(&self.work.z[index * k..(index + 1) * k]);
            for j in 0..k {
                c[j * k + j] = self.columns.q(first + j).to_f64();
                for l in 0..j {
                    c[j * k + l] =
                        dot(self.columns.h(first + l), self.columns.b(first + j)).to_f64();
                    c[l * k + j] = c[j * k + l];
                }
            }
            if !c.iter().all(|c| c.is_finite()) {
                return Err(Error::Overflow);
            }
        }
        if let Some(scale) = &self.scale {
            report.a[i] = self.next.wide[A];
            report.b[i] = scale.reported(&self.next.wide, self.limits.r_floor);
            self.next.wide[FLOORED] += f64::from(report.b[i] > self.next.wide[B]);
        }
        Ok(())
    }

    /// One output: dtheta = learning_rate·(b/alpha)·w·e, shortened by the step clip; P is not.
    fn correct(&mut self, index: usize, row: &Row<'_, T>) -> Result<Fit, Error> {
        let slot = &self.work.slots[index];
        let (e, information) = if self.shares(&row.input) {
            self.family.score(self.work.z[index], row.y[0])
        } else {
            slot.score
        };
        let (alpha, q) = (
            self.columns.alpha(slot.first).to_f64(),
            self.columns.q(slot.first).to_f64(),
        );
        let mut gain = self.rule.rates().learning * row.weight * e / alpha;
        if !(gain.is_finite() && alpha.is_finite()) {
            return Err(Error::Overflow);
        }
        let clipped = gain.abs() * q > self.limits.step_clip;
        if clipped {
            gain = gain.signum() * (self.limits.step_clip / q);
        }
        axpy(
            T::of(gain),
            self.columns.b(slot.first),
            self.next.theta_mut(),
        );
        let distance = if information > 0.0 {
            row.weight * (e * e / information) / alpha
        } else {
            f64::NAN
        };
        Ok(Fit {
            distance,
            rho: alpha - 1.0,
            clipped,
        })
    }

    /// Several outputs, in residual form: dtheta += (b_j/alpha_j)·w·(r_j - A_j'dtheta) with r = L'(y-z), exactly the block update.
    fn correct_many(&mut self, index: usize, row: &Row<'_, T>) -> Fit {
        let (k, slot) = (self.sizes.k, &self.work.slots[index]);
        let (m, rates) = (slot.seen, self.rule.rates());
        let l = &self.work.l[index * k * k..][..m * m];
        let (z, seen) = (
            &self.work.z[index * k..(index + 1) * k],
            &self.work.seen[index * k..][..m],
        );
        let dtheta = &mut self.work.dtheta[..];
        dtheta.fill(T::zero());
        let (mut distance, mut rho) = (0.0, 0.0f64);
        for r in 0..m {
            let (column, mut residual) = (slot.first + k + r, 0.0);
            for s in 0..m {
                residual += l[s * m + r] * (row.y[seen[s]] - z[seen[s]]);
            }
            residual -= dot(self.columns.h(column), dtheta).to_f64();
            let alpha = self.columns.alpha(column).to_f64();
            let gain = rates.metric * row.weight * residual / alpha;
            axpy(T::of(gain), self.columns.b(column), dtheta);
            distance += row.weight * residual * residual / alpha;
            rho = rho.max(alpha - 1.0);
        }
        let mut scale = rates.learning / rates.metric;
        let move_of = |j: usize| dot(self.columns.h(slot.first + j), dtheta).to_f64().abs() * scale;
        let clipped = self.limits.step_clip.is_finite() && {
            let most = (0..k).map(move_of).fold(0.0, f64::max);
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
        Fit {
            distance: if distance.is_nan() {
                f64::INFINITY
            } else {
                distance
            },
            rho,
            clipped,
        }
    }
}
