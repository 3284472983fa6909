//! What can be read of a filter.

use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood};
use crate::filter::{Filter, Sizes};
use crate::linalg::dot;
use crate::model::Output;
use crate::rule::Offered;
use crate::scalar::Scalar;
use crate::state::N_UPDATES;

impl<T: Scalar> Filter<T> {
    /// p, d, k and the like.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The largest p for which a (p, p) array is made.
    pub fn max_dense(&self) -> usize {
        self.belief.max_dense()
    }

    /// Whether the rule counts rows, not time: dt must be 0 or 1.
    pub fn counts_rows(&self) -> bool {
        self.rule.counts_rows()
    }

    /// Whether the rates of every row must be offered before it.
    pub fn is_called(&self) -> bool {
        self.rule.is_called()
    }

    /// The rates of the next row that learns, from functions of the caller's.
    pub fn offer(&mut self, offered: Offered) {
        if self.n_updates() == 0 {
            self.scale_0 = offered.before;
        }
        self.rule.offer(offered);
    }

    /// The family.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// theta (p,).
    pub fn theta(&self) -> &[T] {
        &self.state.theta()[..self.sizes.p]
    }

    /// Rows that taught something.
    pub fn n_updates(&self) -> u64 {
        self.state.wide[N_UPDATES] as u64
    }

    /// a and b (scales,) of the learned noise variances as reported now.
    pub fn noise(&self, a: &mut [f64], b: &mut [f64]) {
        if let Some(scale) = &self.scale {
            scale.report(&self.state.wide, self.limits.r_floor, a, b);
        }
    }

    /// z (n, k) and C (n, k, k) of rows u (n, d) at the present time; nothing changes.
    pub fn predict(
        &mut self,
        u: &[T],
        offset: &[f64],
        z: &mut [f64],
        c: &mut [f64],
    ) -> Result<(), Error> {
        let Sizes { d, k, padded, .. } = self.sizes;
        let n = offset.len() / k;
        let scale = if self.rule.has_posterior() {
            self.rule.scale(self.state.wide[N_UPDATES])?
        } else {
            0.0
        };
        if self.model.inputs().is_none()
            || u.len() != n * d
            || z.len() != n * k
            || c.len() != n * k * k
        {
            return Err(Error::Shape(fault(
                "U",
                "rows of inputs, with an offset each",
                "others",
            )));
        }
        for i in 0..n {
            let (z, c) = (
                &mut z[i * k..(i + 1) * k],
                &mut c[i * k * k..(i + 1) * k * k],
            );
            let dz = &mut self.work.dz;
            dz.fill(T::zero());
            self.model.forward(
                self.state.theta(),
                &u[i * d..(i + 1) * d],
                z,
                dz,
                padded,
                &mut self.work.model,
            );
            for j in 0..k {
                let h = &dz[j * padded..(j + 1) * padded];
                if self.model.linear() {
                    z[j] = dot(h, self.state.theta()).to_f64();
                }
                z[j] += offset[i * k + j];
                c[j * k + j] = scale
                    * self
                        .belief
                        .variance(self.state.belief(), h, &mut self.work.diagonal)
                        .to_f64();
                for l in 0..j {
                    c[j * k + l] = scale
                        * dot(&dz[l * padded..(l + 1) * padded], &self.work.diagonal).to_f64();
                    c[l * k + j] = c[j * k + l];
                }
            }
            self.family.clamp(z, self.limits.z_clamp);
        }
        Ok(())
    }

    /// U (p, p) and D (p,), written to slices of these sizes.
    pub fn factors(&self, u: &mut [f64], d: &mut [f64]) {
        self.belief.factors(self.state.belief(), u, d);
    }

    /// P (p, p).
    pub fn covariance(&self, out: &mut [f64]) -> Result<(), Error> {
        self.belief.dense(self.state.belief(), out)
    }
}
