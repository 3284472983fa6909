//! What a row teaches under a gradient rule: theta moves along g = w·dz'e, or as Adam's moments of it say; see rule/gradient.rs.

use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, Fit};
use crate::linalg::{axpy, dot};
use crate::row::Row;
use crate::rule::Moments;
use crate::scalar::Scalar;

impl<T: Scalar> Filter<T> {
    /// Moves theta and, with Adam, the moments; the step clip shortens the step alone.
    pub(crate) fn descend(&mut self, index: usize, row: &Row<'_, T>) -> Result<Fit, Error> {
        let distance = if self.sizes.k == 1 {
            self.slope(index, row)
        } else {
            self.slope_of_many(index, row)
        };
        let (slot, k) = (self.work.slots[index], self.sizes.k);
        let weight = T::of(row.weight);
        let step = &mut self.work.dtheta[..];
        for g in step.iter_mut() {
            *g *= weight;
        }
        if let Some(moments) = self.rule.moments() {
            let (m, v) = self.next.belief_mut().split_at_mut(self.sizes.padded);
            follow(moments, slot.t, step, m, v);
        }
        let mut scale = slot.rates.learning;
        let clipped = self.limits.step_clip.is_finite() && {
            let change = &mut self.work.small[..k];
            for (j, change) in change.iter_mut().enumerate() {
                *change = dot(self.columns.h(slot.first + j), step).to_f64() * scale;
            }
            let most = self.family.reach(change);
            if !most.is_finite() {
                return Err(Error::Overflow);
            }
            let clipped = most > self.limits.step_clip;
            scale *= if clipped {
                self.limits.step_clip / most
            } else {
                1.0
            };
            clipped
        };
        axpy(T::of(scale), step, self.next.theta_mut());
        Ok(Fit {
            distance,
            learned: distance,
            trust: 1.0,
            rho: 0.0,
            clipped,
        })
    }

    /// One output: dz'e into the workspace.
    fn slope(&mut self, index: usize, row: &Row<'_, T>) -> f64 {
        let slot = self.work.slots[index];
        let (e, information) = if self.shares(&row.input) {
            self.family.score(&self.work.seen_by(index, 1, row))
        } else {
            slot.score
        };
        self.work.dtheta.fill(T::zero());
        axpy(T::of(e), self.columns.h(slot.first), &mut self.work.dtheta);
        if information > 0.0 {
            row.weight * (e * e / information)
        } else {
            f64::NAN
        }
    }

    /// Several outputs: dz'e = dz'L r with L r = e, or the column g of a singular L.
    fn slope_of_many(&mut self, index: usize, row: &Row<'_, T>) -> f64 {
        let (k, slot) = (self.sizes.k, self.work.slots[index]);
        let m = slot.seen;
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let at = Seen {
            z: &self.work.z[index * k..(index + 1) * k],
            c: &[],
            y: row.y,
            a,
            b,
        };
        let residuals = &mut self.work.small[..m];
        let (seen, l) = (
            &self.work.seen[index * k..][..m],
            &self.work.l[index * k * k..][..m * m],
        );
        self.family.whiten(&at, seen, l, residuals);
        let distance = residuals.iter().map(|r| r * r).sum::<f64>() * row.weight;
        let step = &mut self.work.dtheta[..];
        if self.family.singular() {
            step.copy_from_slice(self.columns.h(slot.first + k + m));
            return distance;
        }
        step.fill(T::zero());
        for (r, residual) in residuals.iter().enumerate() {
            axpy(T::of(*residual), self.columns.h(slot.first + k + r), step);
        }
        if distance.is_nan() {
            f64::INFINITY
        } else {
            distance
        }
    }
}

/// m and v after the gradient of row t, and the direction in its place.
fn follow<T: Scalar>(at: Moments, t: f64, g: &mut [T], m: &mut [T], v: &mut [T]) {
    let (beta1, beta2) = (T::of(at.beta1), T::of(at.beta2));
    let (rest1, rest2) = (T::of(1.0 - at.beta1), T::of(1.0 - at.beta2));
    let unbias = |beta: f64| T::of(1.0 / (1.0 - beta.powf(t)));
    let (scale1, scale2, eps) = (unbias(at.beta1), unbias(at.beta2), T::of(at.eps));
    for ((g, m), v) in g.iter_mut().zip(m).zip(v) {
        *m = beta1 * *m + rest1 * *g;
        *v = beta2 * *v + rest2 * *g * *g;
        *g = *m * scale1 / ((*v * scale2).sqrt() + eps);
    }
}
