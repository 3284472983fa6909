//! What can be read of a filter.

use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood};
use crate::field::filled;
use crate::filter::{Filter, Sizes};
use crate::linalg::dot;
use crate::model::Output;
use crate::row::{Input, Row};
use crate::rule::Offered;
use crate::scalar::Scalar;
use crate::small::Small;
use crate::state::N_UPDATES;

impl<T: Scalar> Filter<T> {
    /// p, d, k and the like.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// What a state elsewhere needs for rows of few parameters, where these components have it.
    pub fn small(&self) -> Option<&Small<T>> {
        self.small.as_ref()
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
        &self.state.theta()[self.sizes.free..self.sizes.p]
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
        let scale = self.scale_now()?;
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
        let mut missing = filled(self.sizes.width)?;
        missing.fill(f64::NAN);
        let ones = (missing, filled(k)?);
        for i in 0..n {
            let (z, c) = (
                &mut z[i * k..(i + 1) * k],
                &mut c[i * k * k..(i + 1) * k * k],
            );
            let u = &u[i * d..(i + 1) * d];
            if self.recurrence.is_some() {
                self.next.follow(&self.state); // a place to write the step to that is not taken
                self.run_model(&Row {
                    input: Input::Features(u),
                    y: &ones.0,
                    weight: 0.0,
                    dt: 0.0,
                    offset: &ones.1,
                    blank: false,
                })?;
                z.copy_from_slice(&self.work.z[..k]);
            } else {
                let (dz, work) = (&mut self.work.dz, &mut self.work.model);
                dz.fill(T::zero());
                self.model
                    .forward(self.state.theta(), u, z, dz, padded, work);
            }
            for (j, z) in z.iter_mut().enumerate() {
                let h = &self.work.dz[j * padded..(j + 1) * padded];
                if self.model.linear() {
                    *z = dot(h, self.state.theta()).to_f64();
                }
                *z += offset[i * k + j];
            }
            self.covariance_of(scale, c);
            self.family.clamp(z, self.limits.z_clamp);
        }
        Ok(())
    }

    /// C (k, k) = dz P dz' of the dz in the workspace, times `scale`.
    fn covariance_of(&mut self, scale: f64, c: &mut [f64]) {
        let (k, padded) = (self.sizes.k, self.sizes.padded);
        let (dz, b) = (&self.work.dz, &mut self.work.diagonal);
        for j in 0..k {
            let h = &dz[j * padded..(j + 1) * padded];
            let q = self.belief.variance(self.state.belief(), h, b).to_f64();
            c[j * k + j] = scale * q;
            for l in 0..j {
                let other = &dz[l * padded..(l + 1) * padded];
                c[j * k + l] = scale * dot(other, b).to_f64();
                c[l * k + j] = c[j * k + l];
            }
        }
    }

    /// C (m, k, k) = dz P dz' at the present time, of m given dz (k, p); nothing changes.
    pub fn spread(&mut self, dz: &[f64], c: &mut [f64]) -> Result<(), Error> {
        let Sizes { p, k, padded, .. } = self.sizes;
        let scale = self.scale_now()?;
        for (dz, c) in dz.chunks_exact(k * p).zip(c.chunks_exact_mut(k * k)) {
            for (to, from) in self
                .work
                .dz
                .chunks_exact_mut(padded)
                .zip(dz.chunks_exact(p))
            {
                to.fill(T::zero());
                to.iter_mut().zip(from).for_each(|(to, &x)| *to = T::of(x));
            }
            self.covariance_of(scale, c);
        }
        Ok(())
    }

    /// The posterior covariance as a multiple of P; 0 where there is none.
    fn scale_now(&self) -> Result<f64, Error> {
        if self.rule.has_posterior() {
            self.rule.scale(self.state.wide[N_UPDATES])
        } else {
            Ok(0.0)
        }
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
