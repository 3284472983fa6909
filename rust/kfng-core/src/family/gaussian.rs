//! y ~ N(z, R), R a number, a matrix, or unknown variances learned beside theta.
//!
//! ```text
//! e = R^-1 (y - z),   L = chol(R)^-T
//! learned: relative to sigma² ~ InvGamma(a, b); y is Student-t with 2a degrees of freedom and scale (b/a)(I + C)
//! each:    R_j = b_j/a_j plugged in, b_j gains w/2·e_j²/(1 + w C_jj/R_j); no conjugate form, so approximate
//! ```
//!
//! Source: Ollivier 2018, arXiv 1703.00209, section 2; the unknown variance is the conjugate normal-inverse-gamma.

use serde::Deserialize;

use super::bernoulli::log1pexp;
use super::coverage;
use super::quadrature::LOG_2PI;
use super::special::{normal_quantile, student_quantile};
use super::{Likelihood, Link, Seen};
use crate::error::{Error, fault};
use crate::field::{Arrays, Field, Named, filled, listed, positive, product};
use crate::linalg::small::{cholesky, solve_lower};

/// Squares of residuals, over variances, may overflow beyond.
const FAR: f64 = 1e100;

/// A variance, or a word.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Variance {
    Known(f64),
    Word(Word),
}

#[derive(Clone, Debug, Deserialize)]
enum Word {
    #[serde(rename = "each")]
    Each,
}

/// The settings, and R with its factor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gaussian {
    variance: Option<Variance>,
    covariance: Option<Named>,
    prior_dof: f64,
    /// Of all learned variances, or of each.
    prior_scale: Field,
    #[serde(skip)]
    k: usize,
    /// Prior scale of each learned variance (m,).
    #[serde(skip)]
    b_0: Vec<f64>,
    /// (k, k); the identity where variances are learned.
    #[serde(skip)]
    r: Vec<f64>,
    /// L (k, k) of all outputs.
    #[serde(skip)]
    l: Vec<f64>,
}

impl Gaussian {
    /// Whether each output learns its own variance.
    fn each(&self) -> bool {
        matches!(self.variance, Some(Variance::Word(Word::Each)))
    }

    /// One output: R as a row of a filter is weighed by, 1 where a variance is learned for all; `None`: each learns its own.
    pub(crate) fn alone(&self) -> Option<f64> {
        self.r.first().copied().filter(|_| !self.each())
    }

    /// R_ij.
    fn noise(&self, row: &Seen<'_>, i: usize, j: usize) -> f64 {
        match self.each() {
            false => self.r[i * self.k + j],
            true if i == j => row.b[i] / row.a[i],
            true => 0.0,
        }
    }

    /// b_0 = a_0·scale² of each learned variance.
    fn prior_scales(&self, k: usize, arrays: &Arrays) -> Result<Vec<f64>, Error> {
        let mut b_0 = filled(self.noise_scales(k))?;
        match &self.prior_scale {
            Field::Number(scale) => b_0.fill(positive("prior_scale", *scale)?),
            Field::Array(named) if self.each() => {
                b_0.copy_from_slice(named.find("family.prior_scale", arrays, &[&[k]])?);
            }
            Field::Array(named) => {
                let expected = "a number, where no variance of each output is learned";
                let got = format!("{:?}", named.shape);
                return Err(Error::Shape(fault("prior_scale", expected, got)));
            }
        }
        for b in &mut b_0 {
            let scale = positive("prior_scale", *b)?;
            *b = positive("prior_scale", self.prior_dof / 2.0 * scale * scale)?;
        }
        Ok(b_0)
    }

    /// What the covariance of theta is relative to: 1, or the mean of sigma².
    fn scale(&self, a: &[f64], b: &[f64]) -> f64 {
        if self.relative() {
            b[0] / (a[0] - 1.0)
        } else {
            1.0
        }
    }

    /// S = R + C and r = (y - z)/scale of the outputs seen; returns (number seen, log det S, r'S^-1 r, scale): scale is 1 but where squares
    /// might overflow. work: (k² + k,).
    fn distance(&self, row: &Seen<'_>, work: &mut [f64]) -> (usize, f64, f64, f64) {
        if self.k == 1 {
            let s = self.noise(row, 0, 0) + row.c.first().copied().unwrap_or(0.0);
            let r = row.y[0] - row.z[0];
            let scale = scale_of(r.abs());
            return (
                usize::from(!r.is_nan()),
                s.ln(),
                r / scale * (r / scale) / s,
                scale,
            );
        }
        let k = self.k;
        let m = row.y.iter().filter(|y| !y.is_nan()).count();
        let (s, r) = work.split_at_mut(m * m);
        self.spread(row, s);
        for (r, i) in r.iter_mut().zip((0..k).filter(|&i| !row.y[i].is_nan())) {
            *r = row.y[i] - row.z[i];
        }
        let r = &mut r[..m];
        let scale = scale_of(r.iter().fold(0.0, |most: f64, r| most.max(r.abs())));
        for r in r.iter_mut() {
            *r /= scale;
        }
        if cholesky(s, m).is_err() {
            self.spread(row, s);
            self.factor_at_least_noise(row, s, m);
        }
        solve_lower(s, m, r);
        let log_det = 2.0 * (0..m).map(|i| s[i * m + i].ln()).sum::<f64>();
        (m, log_det, r.iter().map(|r| r * r).sum(), scale)
    }

    /// S (m, m) of the outputs seen.
    fn spread(&self, row: &Seen<'_>, s: &mut [f64]) {
        let (k, mut entries) = (self.k, s.iter_mut());
        for i in (0..k).filter(|&i| !row.y[i].is_nan()) {
            for j in (0..k).filter(|&j| !row.y[j].is_nan()) {
                if let Some(entry) = entries.next() {
                    *entry = self.noise(row, i, j) + row.c.get(i * k + j).copied().unwrap_or(0.0);
                }
            }
        }
    }

    /// chol(S) in the lower triangle where R is lost beside C: a pivot that rounding left without a sign is what it is at least, the
    /// variance of that output's noise given all others.
    #[cold]
    fn factor_at_least_noise(&self, row: &Seen<'_>, s: &mut [f64], m: usize) {
        let k = self.k;
        for (j, output) in (0..k).filter(|&i| !row.y[i].is_nan()).enumerate() {
            let pivot = s[j * m + j];
            let pivot = if pivot > 0.0 {
                pivot
            } else if self.each() {
                self.noise(row, output, output)
            } else {
                let inverse = &self.l[output * k..(output + 1) * k];
                1.0 / inverse.iter().map(|l| l * l).sum::<f64>()
            };
            s[j * m + j] = pivot.sqrt();
            for i in j + 1..m {
                s[i * m + j] /= pivot.sqrt();
            }
            for i in j + 1..m {
                for h in j + 1..=i {
                    s[i * m + h] -= s[i * m + j] * s[h * m + j];
                }
            }
        }
    }

    fn density(&self, row: &Seen<'_>, work: &mut [f64]) -> f64 {
        let (m, log_det, distance, scale) = self.distance(row, work);
        if m == 0 {
            return f64::NAN;
        }
        let half = m as f64 / 2.0;
        if !self.relative() {
            return 0.5 * (log_det + distance * scale * scale) + half * LOG_2PI;
        }
        let (a, b) = (row.a[0], row.b[0]);
        let log_norm =
            libm::lgamma(a) - libm::lgamma(a + half) + half * (LOG_2PI + b.ln()) + 0.5 * log_det;
        let share = if scale == 1.0 {
            (distance / (2.0 * b)).ln_1p()
        } else {
            log1pexp(distance.ln() + 2.0 * scale.ln() - (2.0 * b).ln())
        };
        log_norm + (a + half) * share
    }
}

/// What residuals are divided by, of the largest.
fn scale_of(most: f64) -> f64 {
    if most < FAR { 1.0 } else { most.min(f64::MAX) }
}

impl Likelihood for Gaussian {
    fn prepare(&mut self, k: usize, arrays: &Arrays) -> Result<(), Error> {
        let variance = match self.variance {
            Some(Variance::Known(v)) => positive("variance", v)?,
            _ => 1.0,
        };
        if !(self.prior_dof > 2.0 && self.prior_dof.is_finite()) {
            let expected = "a finite number > 2";
            return Err(Error::Parameter(fault(
                "prior_dof",
                expected,
                self.prior_dof,
            )));
        }
        self.b_0 = self.prior_scales(k, arrays)?;
        (self.k, self.r, self.l) = (k, filled(product(&[k, k])?)?, filled(k * k)?);
        match &self.covariance {
            Some(named) => {
                let given = named.find("family.covariance", arrays, &[&[k, k]])?;
                // The mean of both triangles: Python allows an asymmetry of rounding.
                (0..k * k)
                    .for_each(|ij| self.r[ij] = 0.5 * (given[ij] + given[ij % k * k + ij / k]));
            }
            None => (0..k).for_each(|i| self.r[i * k + i] = variance),
        }
        let mut l = std::mem::take(&mut self.l);
        let seen = listed(0..k)?;
        invert(&self.r, k, &seen, &mut l, &mut filled(k * k)?).ok_or_else(|| {
            Error::NotPositiveDefinite(fault(
                "covariance",
                "a positive definite matrix",
                "one that is not",
            ))
        })?;
        self.l = l;
        Ok(())
    }

    fn outputs_needed(&self) -> Option<usize> {
        None // a covariance of another size is refused in `prepare`
    }

    fn link(&self) -> Link {
        Link::Identity
    }

    fn fixed_factor(&self) -> bool {
        !self.each()
    }

    fn quadratic(&self) -> bool {
        true
    }

    fn relative(&self) -> bool {
        self.variance.is_none()
    }

    fn noise_scales(&self, k: usize) -> usize {
        if self.each() {
            k
        } else {
            usize::from(self.relative())
        }
    }

    fn prior_noise(&self) -> (f64, &[f64]) {
        (self.prior_dof / 2.0, &self.b_0)
    }

    fn missing(&self, y: &[f64]) -> bool {
        y.iter().all(|y| y.is_nan())
    }

    fn invalid(&self, _: &[f64]) -> bool {
        false
    }

    fn observed(&self, y: &[f64], seen: &mut [usize]) -> usize {
        let mut m = 0;
        for j in (0..y.len()).filter(|&j| !y[j].is_nan()) {
            seen[m] = j;
            m += 1;
        }
        m
    }

    #[inline]
    fn score(&self, row: &Seen<'_>) -> (f64, f64) {
        let r = self.noise(row, 0, 0);
        ((row.y[0] - row.z[0]) / r, 1.0 / r)
    }

    fn factor(
        &self,
        row: &Seen<'_>,
        seen: &[usize],
        l: &mut [f64],
        work: &mut [f64],
    ) -> Result<(), Error> {
        let m = seen.len();
        if self.each() {
            l.fill(0.0);
            (0..m).for_each(|i| l[i * (m + 1)] = (row.a[seen[i]] / row.b[seen[i]]).sqrt());
            return Ok(());
        }
        if m == self.k {
            l.copy_from_slice(&self.l);
            return Ok(());
        }
        invert(&self.r, self.k, seen, l, work).ok_or(Error::Overflow)
    }

    /// r = L'(y - z).
    fn whiten(&self, row: &Seen<'_>, seen: &[usize], l: &[f64], r: &mut [f64]) {
        let m = seen.len();
        for (j, r) in r.iter_mut().enumerate() {
            *r = 0.0;
            for (i, &output) in seen.iter().enumerate() {
                *r += l[i * m + j] * (row.y[output] - row.z[output]);
            }
        }
    }

    fn innovations(&self, row: &Seen<'_>, weight: f64, out: &mut [f64]) {
        for (j, out) in out.iter_mut().enumerate() {
            let (e, c) = (row.y[j] - row.z[j], row.c[j * (self.k + 1)]);
            let gain = e * e / (1.0 + weight * c * (row.a[j] / row.b[j]));
            *out = if e.is_nan() { 0.0 } else { weight * gain };
        }
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        out.copy_from_slice(row.z);
    }

    fn std(&self, row: &Seen<'_>, out: &mut [f64], _: &mut [f64]) {
        let (k, scale) = (self.k, self.scale(row.a, row.b));
        for (i, out) in out.iter_mut().enumerate() {
            *out = (row.c[i * k + i] * scale + scale * self.noise(row, i, i)).sqrt();
        }
    }

    fn means(&self, z: &[f64], out: &mut [f64]) -> bool {
        let alone = self.k == 1;
        if alone {
            out.copy_from_slice(z);
        }
        alone
    }

    fn stds(&self, c: &[f64], [a, b]: [&[f64]; 2], out: &mut [f64]) -> bool {
        if self.k != 1 {
            return false;
        }
        let Some(r) = self.alone() else {
            for ((out, &c), (a, b)) in out.iter_mut().zip(c).zip(a.iter().zip(b)) {
                *out = (c + b / a).sqrt();
            }
            return true;
        };
        if self.relative() {
            for ((out, &c), (&a, &b)) in out.iter_mut().zip(c).zip(a.iter().zip(b)) {
                let scale = self.scale(&[a], &[b]);
                *out = (c * scale + scale * r).sqrt();
            }
        } else {
            for (out, &c) in out.iter_mut().zip(c) {
                *out = (c + r).sqrt();
            }
        }
        true
    }

    fn quantiles(&self, row: &Seen<'_>, levels: &[f64], out: &mut [f64]) {
        let k = self.k;
        for (i, out) in out.chunks_exact_mut(levels.len().max(1)).enumerate() {
            let variance = row.c.get(i * k + i).copied().unwrap_or(0.0) + self.noise(row, i, i);
            for (out, &level) in out.iter_mut().zip(levels) {
                let (scale, standard) = if self.relative() {
                    (row.b[0] / row.a[0], student_quantile(level, 2.0 * row.a[0]))
                } else {
                    (1.0, normal_quantile(level))
                };
                let spread = match (variance * scale).sqrt() {
                    sd if sd.is_infinite() => variance.sqrt() * scale.sqrt(),
                    sd => sd,
                };
                *out = row.z[i] + spread * standard;
            }
        }
    }

    fn covers(&self) -> bool {
        true
    }

    fn share_within(&self, row: &Seen<'_>) -> f64 {
        let limit = if self.relative() {
            row.b[0] / row.a[0] * coverage::student(row.a[0])
        } else {
            coverage::NORMAL
        };
        let (mut inside, mut seen) = (0.0, 0.0);
        for j in (0..self.k).filter(|&j| !row.y[j].is_nan()) {
            let r = row.y[j] - row.z[j];
            let variance = row.c[j * (self.k + 1)] + self.noise(row, j, j);
            inside += f64::from(r * r <= limit * variance);
            seen += 1.0;
        }
        inside / seen
    }

    fn nll(&self, row: &Seen<'_>, work: &mut [f64]) -> f64 {
        self.density(row, work)
    }

    fn plugin_nll(&self, row: &Seen<'_>, work: &mut [f64]) -> f64 {
        self.density(&Seen { c: &[], ..*row }, work)
    }
}

/// L = chol(R_seen)^-T, upper triangular.
///
/// - r: (k, k); l, work: (m, m) row-major. Cost O(m³)
fn invert(r: &[f64], k: usize, seen: &[usize], l: &mut [f64], work: &mut [f64]) -> Option<()> {
    let m = seen.len();
    let work = &mut work[..m * m];
    for i in 0..m {
        for j in 0..m {
            work[i * m + j] = r[seen[i] * k + seen[j]];
        }
    }
    cholesky(work, m).ok()?;
    for i in 0..m {
        let row = &mut l[i * m..(i + 1) * m];
        row.fill(0.0);
        row[i] = 1.0;
        solve_lower(work, m, row);
    }
    l[..m * m].iter().all(|x| x.is_finite()).then_some(())
}
