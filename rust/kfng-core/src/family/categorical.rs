//! Classes on K logits: P(y=j) = pi_j = exp(z_j)/sum_i exp(z_i).
//!
//! ```text
//! e = onehot(y) - pi,   s_j = pi_j + ... + pi_K,   L_jj = sqrt(pi_j s_{j+1}/s_j),   L_ij = -pi_i/s_{j+1}·L_jj for i > j
//! => L L' = diag(pi) - pi pi'
//! ```
//!
//! Column j is that of class j against the classes after it; the last is zero. L is singular on purpose: adding a constant to all logits
//! changes nothing, so nothing is learned about it, and every quantity here is invariant under it. Source: Ollivier 2018, arXiv 1703.00209.

use std::cmp::Ordering;
use std::f64::consts::FRAC_PI_8;

use serde::Deserialize;

use super::quadrature::log_sum_exp;
use super::{Likelihood, Link, Seen};
use crate::error::{Error, fault};
use crate::field::Arrays;

/// K.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categorical {
    n_classes: usize,
}

/// pi (K,).
fn softmax(z: &[f64], pi: &mut [f64]) {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (pi, z) in pi.iter_mut().zip(z) {
        *pi = (z - top).exp();
    }
    let sum: f64 = pi.iter().sum();
    for pi in pi {
        *pi /= sum;
    }
}

/// 1 - pi_j, without the cancellation where pi_j is near 1.
fn rest(pi: &[f64], j: usize) -> f64 {
    pi[..j].iter().chain(&pi[j + 1..]).sum()
}

/// Entry i of onehot(j) - pi.
fn away(pi: &[f64], i: usize, j: usize) -> f64 {
    if i == j { rest(pi, j) } else { -pi[i] }
}

impl Likelihood for Categorical {
    fn prepare(&mut self, _: usize, _: &Arrays) -> Result<(), Error> {
        if self.n_classes >= 2 {
            return Ok(());
        }
        let (argument, expected) = ("n_classes", "an integer >= 2");
        Err(Error::Parameter(fault(argument, expected, self.n_classes)))
    }

    fn outputs_needed(&self) -> Option<usize> {
        Some(self.n_classes)
    }

    fn link(&self) -> Link {
        Link::Logit
    }

    fn y_width(&self, _: usize) -> usize {
        1
    }

    fn singular(&self) -> bool {
        true
    }

    fn invalid(&self, y: &[f64]) -> bool {
        y[0] < 0.0 || y[0] > (self.n_classes - 1) as f64 || y[0].floor() < y[0]
    }

    fn degrees(&self, seen: usize) -> usize {
        seen - 1
    }

    /// No logit lies further below the largest: with K = 2 the clamp of Bernoulli.
    fn clamp(&self, z: &mut [f64], limit: f64) -> bool {
        let least = z.iter().copied().fold(f64::NEG_INFINITY, f64::max) - limit;
        let clamped = z.iter().any(|&z| z < least);
        for z in z {
            *z = z.max(least);
        }
        clamped
    }

    /// The change of any logit against any other.
    fn reach(&self, change: &[f64]) -> f64 {
        let most = change.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most - change.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn factor(
        &self,
        row: &Seen<'_>,
        _: &[usize],
        l: &mut [f64],
        work: &mut [f64],
    ) -> Result<(), Error> {
        let k = row.z.len();
        let pi = &mut work[..k];
        softmax(row.z, pi);
        l.fill(0.0);
        let mut after = 0.0;
        for j in (0..k).rev() {
            let here = pi[j] + after;
            if after > 0.0 {
                let own = (pi[j] * (after / here)).sqrt();
                l[j * k + j] = own;
                for i in j + 1..k {
                    l[i * k + j] = -(pi[i] / after) * own;
                }
            }
            after = here;
        }
        Ok(())
    }

    fn gradient(&self, row: &Seen<'_>, e: &mut [f64]) {
        softmax(row.z, e);
        let class = row.y[0] as usize;
        let own = rest(e, class);
        for e in e.iter_mut() {
            *e = -*e;
        }
        e[class] = own;
    }

    /// The standardised residual of each class against those after it, up to the class that was seen.
    fn whiten(&self, row: &Seen<'_>, _: &[usize], _: &[f64], r: &mut [f64]) {
        softmax(row.z, r);
        if r.contains(&0.0) {
            r.fill(f64::NAN);
            return;
        }
        let (class, mut after) = (row.y[0] as usize, 0.0);
        for (j, r) in r.iter_mut().enumerate().rev() {
            let (own, here) = (*r, *r + after);
            *r = match j.cmp(&class) {
                Ordering::Less => -(own / here / after).sqrt(),
                Ordering::Equal => (after / here / own).sqrt(),
                Ordering::Greater => 0.0,
            };
            after = here;
        }
    }

    fn mean(&self, row: &Seen<'_>, out: &mut [f64]) {
        softmax(row.z, out);
    }

    /// sqrt(pi_j(1-pi_j) + pi_j²·d'C d), d = onehot(j) - pi.
    fn std(&self, row: &Seen<'_>, out: &mut [f64], work: &mut [f64]) {
        let (k, (pi, d)) = (row.z.len(), work.split_at_mut(row.z.len()));
        softmax(row.z, pi);
        for (j, out) in out.iter_mut().enumerate() {
            let d = &mut d[..k];
            (0..k).for_each(|i| d[i] = away(pi, i, j));
            let along = |row: &[f64]| row.iter().zip(&*d).map(|(c, d)| c * d).sum::<f64>();
            let spread: f64 = row
                .c
                .chunks_exact(k)
                .zip(&*d)
                .map(|(c, d)| d * along(c))
                .sum();
            *out = (pi[j] * (d[j] + pi[j] * spread)).sqrt();
        }
    }

    /// -log p_y with p_j ∝ 1/sum_i exp(-(z_j-z_i)/sqrt(1 + pi/8·Var(z_j-z_i))).
    ///
    /// The probit approximation of each pair of classes, which knows only differences. Source: MacKay 1992, Neural Computation 4, for
    /// K = 2.
    fn nll(&self, row: &Seen<'_>, work: &mut [f64]) -> f64 {
        let (k, z, c, y) = (row.z.len(), row.z, row.c, row.y[0]);
        if y.is_nan() || z[0].is_nan() {
            return f64::NAN;
        }
        let behind = |j: usize, i: usize| {
            let spread = (c[j * k + j] + c[i * k + i] - c[j * k + i] - c[i * k + j]).max(0.0);
            (z[i] - z[j]) / (1.0 + FRAC_PI_8 * spread).sqrt()
        };
        let log_odds = &mut work[..k];
        for (j, log_odds) in log_odds.iter_mut().enumerate() {
            *log_odds = log_sum_exp((0..k).map(|i| behind(j, i)));
        }
        log_odds[y as usize] + log_sum_exp(log_odds.iter().map(|x| -x))
    }

    fn plugin_nll(&self, row: &Seen<'_>, _: &mut [f64]) -> f64 {
        if row.y[0].is_nan() || row.z[0].is_nan() {
            return f64::NAN;
        }
        log_sum_exp(row.z.iter().copied()) - row.z[row.y[0] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Categorical;
    use crate::family::{Likelihood, Seen};

    #[test]
    fn the_factor_is_that_of_the_fisher_matrix_and_knows_no_common_mode() {
        let (family, z) = (Categorical { n_classes: 3 }, [0.3, 40.0, -1.0]);
        let row = Seen {
            z: &z,
            c: &[],
            y: &[2.0],
            a: &[],
            b: &[],
        };
        let (mut l, mut work, mut pi, mut e) = ([0.0; 9], [0.0; 12], [0.0; 3], [0.0; 3]);
        family.factor(&row, &[0, 1, 2], &mut l, &mut work).unwrap();
        family.mean(&row, &mut pi);
        family.gradient(&row, &mut e);
        for i in 0..3 {
            for j in 0..3 {
                let fisher: f64 = (0..3).map(|r| l[i * 3 + r] * l[j * 3 + r]).sum();
                let others: f64 = (0..3).filter(|&r| r != i).map(|r| pi[r]).sum();
                let exact = pi[i] * if i == j { others } else { -pi[j] };
                assert!((fisher / exact - 1.0).abs() < 1e-12, "{i} {j}");
            }
        }
        let mut r = [0.0; 3];
        family.whiten(&row, &[0, 1, 2], &l, &mut r);
        for i in 0..3 {
            let back: f64 = (0..3).map(|j| l[i * 3 + j] * r[j]).sum();
            assert!((back - e[i]).abs() < 1e-12);
        }
        assert!(e.iter().sum::<f64>().abs() < 1e-15);
    }
}
