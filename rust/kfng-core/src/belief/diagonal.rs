//! Variances V (p,) alone: what a row would correlate is dropped again at once. Section: V (padded,).
//!
//! ```text
//! S = I + A'VA;   theta <- theta + V(g - A S^-1 A'V g), the exact gain of a diagonal prior, all columns of a row as one block; then
//! precision:   1/V_i <- 1/V_i + sum_r A_ir²              (the diagonal of the new precision)
//! covariance:  V_i <- max(V_i - (V A S^-1 A'V)_ii, u·V_i)  (the diagonal of the new covariance; u unit roundoff)
//! ```
//!
//! Source: the kernel of Ollivier 2018, arXiv 1703.00209, on a diagonal prior.

use std::ops::Range;

use serde::Deserialize;

use super::Uncertainty;
use crate::error::{Error, fault};
use crate::field::{Array, Arrays, Field, filled, listed, positive};
use crate::linalg::{self, Columns, Layout};
use crate::scalar::Scalar;

const MAX_DENSE: usize = 32768;

/// The prior, and which diagonal a row leaves behind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagonal {
    prior_variance: Field,
    projection: Projection,
    /// (p,)
    #[serde(skip)]
    variances: Vec<f64>,
}

/// The diagonal of which matrix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    /// J.
    Precision,
    /// P.
    Covariance,
}

impl Diagonal {
    /// to <- from/decay. Cost O(p).
    pub fn fade<T: Scalar>(&self, from: &[T], to: &mut [T], decay: f64) {
        let inverse = T::one() / T::of(decay);
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from * inverse;
        }
    }

    /// Fuses an observation of coordinate i of this precision; returns its old variance and alpha. Cost O(1).
    pub fn pull<T: Scalar>(&self, at: &mut [T], i: usize, precision: f64) -> (f64, f64) {
        let variance = at[i].to_f64();
        let alpha = 1.0 + precision * variance;
        at[i] = T::of(variance / alpha);
        (variance, alpha)
    }

    /// Whether the diagonal of J is kept.
    pub fn keeps_precision(&self) -> bool {
        self.projection == Projection::Precision
    }

    /// How many variances the wind-up check takes back. Cost O(p).
    pub fn over<T: Scalar>(&self, most: f64, scale: f64, decay: f64, at: &[T]) -> usize {
        let over = |v: T, prior: f64| v.to_f64() / decay > most * (prior * scale);
        let pairs = at.iter().zip(&self.variances);
        pairs.map(|(&v, &prior)| usize::from(over(v, prior))).sum()
    }

    /// The wind-up check: variances above `most` times `scale` times their prior go back to that prior. Writes `to` where one does;
    /// returns how many. Cost O(p).
    pub fn bound<T: Scalar>(
        &self,
        most: f64,
        scale: f64,
        decay: f64,
        from: &[T],
        to: &mut [T],
    ) -> usize {
        let over = |v: T, prior: f64| v.to_f64() / decay > most * (prior * scale);
        let pulls = self.over(most, scale, decay, from);
        if pulls > 0 {
            self.fade(from, to, decay);
            for (to, (&v, &prior)) in to.iter_mut().zip(from.iter().zip(&self.variances)) {
                if over(v, prior) {
                    *to = T::of(prior * scale);
                }
            }
        }
        pulls
    }

    fn padded_len(&self) -> usize {
        self.variances.len().next_multiple_of(16)
    }
}

impl Uncertainty for Diagonal {
    fn prepare(&mut self, p: usize, arrays: &Arrays) -> Result<(), Error> {
        self.variances = filled(p)?;
        match &self.prior_variance {
            Field::Number(v) => self.variances.fill(positive("prior_variance", *v)?),
            Field::Array(named) => {
                let values = named.find("belief.prior_variance", arrays, &[&[p]])?;
                for (variance, &v) in self.variances.iter_mut().zip(values) {
                    *variance = positive("prior_variance", v)?;
                }
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.padded_len()
    }

    fn padded(&self) -> usize {
        self.padded_len()
    }

    fn shares_passes(&self) -> bool {
        false
    }

    fn columns<T: Scalar>(&self, max: usize) -> Result<Columns<T>, Error> {
        let layout = Layout::new(self.variances.len())?;
        Ok(Columns::with_capacity(&layout, max)?)
    }

    fn start<T: Scalar>(&self, to: &mut [T]) -> Result<(), Error> {
        to.fill(T::zero());
        for (to, &v) in to.iter_mut().zip(&self.variances) {
            *to = T::of(v);
        }
        if linalg::possible(to) {
            return Ok(());
        }
        Err(Error::Parameter(fault(
            "prior_variance",
            format!("variances that fit {}", T::NAME),
            "larger ones",
        )))
    }

    fn prior_variances(&self) -> &[f64] {
        &self.variances
    }

    fn restart<T: Scalar>(&self, at: &mut [T], section: &[T], n: usize) {
        at[..n].copy_from_slice(&section[..n]);
    }

    /// All columns as one block: the decay of the first, and of no other.
    #[inline]
    fn fuse<T: Scalar>(
        &self,
        from: Option<&[T]>,
        to: &mut [T],
        columns: &mut Columns<T>,
        range: Range<usize>,
    ) -> f64 {
        linalg::fuse_diagonal(from, to, columns, range, self.keeps_precision());
        1.0
    }

    fn settle<T: Scalar>(&self, to: &[T], _: f64, _: f64) -> Result<f64, Error> {
        if linalg::possible(to) {
            Ok(1.0)
        } else {
            Err(Error::Overflow)
        }
    }

    fn variance<T: Scalar>(&self, at: &[T], h: &[T], b: &mut [T]) -> T {
        for ((b, &v), &h) in b.iter_mut().zip(at).zip(h) {
            *b = v * h;
        }
        linalg::dot(h, b)
    }

    fn diagonal<T: Scalar>(&self, at: &[T], out: &mut [T]) {
        out.copy_from_slice(at);
    }

    fn diagonal_at<T: Scalar>(&self, at: &[T], i: usize) -> T {
        at[i]
    }

    /// Q (p,) has no covariances here.
    fn diffuse<T: Scalar>(
        &self,
        to: &mut [T],
        variances: &[f64],
        _: &[f64],
        time: f64,
        _: &mut [T],
    ) -> f64 {
        for (to, &q) in to.iter_mut().zip(variances) {
            *to += T::of(q * time);
        }
        1.0
    }

    fn factors<T: Scalar>(&self, at: &[T], u: &mut [f64], d: &mut [f64]) {
        u.fill(0.0);
        for (i, d) in d.iter_mut().enumerate() {
            u[i * self.variances.len() + i] = 1.0;
            *d = at[i].to_f64();
        }
    }

    fn dense<T: Scalar>(&self, at: &[T], out: &mut [f64]) -> Result<(), Error> {
        out.fill(0.0);
        for i in 0..self.variances.len() {
            out[i * self.variances.len() + i] = at[i].to_f64();
        }
        Ok(())
    }

    fn max_dense(&self) -> usize {
        MAX_DENSE
    }

    fn told(&self) -> Result<Vec<Range<usize>>, Error> {
        listed(std::iter::once(0..self.variances.len()))
    }

    fn save<T: Scalar>(
        &self,
        at: &[T],
        put: &mut dyn FnMut(&'static str, Array),
    ) -> Result<(), Error> {
        let mut values = filled(self.variances.len())?;
        for (value, x) in values.iter_mut().zip(at) {
            *value = x.to_f64();
        }
        let shape = vec![values.len()];
        put("V", Array { shape, values });
        Ok(())
    }

    fn shapes(&self, _: &dyn Fn(&str) -> bool) -> Result<Vec<(&'static str, Vec<usize>)>, Error> {
        Ok(vec![("V", vec![self.variances.len()])])
    }

    fn load<T: Scalar>(&self, arrays: &Arrays, to: &mut [T]) -> Result<(), Error> {
        to.fill(T::zero());
        for (to, &x) in to.iter_mut().zip(&arrays["V"].values) {
            *to = T::of(x);
        }
        if linalg::possible(to) {
            Ok(())
        } else {
            Err(Error::BadValue(fault("V", "variances >= 0", "others")))
        }
    }
}
