//! Unbiased online recurrent optimisation: ds as a random rank one, s~ theta~', right in the mean.
//!
//! ```text
//! a = f_s s~,  c = nu' f_theta,  nu = ±1;   rho0 = sqrt(|theta~|/|a|),  rho1 = sqrt(|c|/|nu|)
//! s~ <- rho0 a + rho1 nu,   theta~ <- theta~/rho0 + c/rho1;   dz = (h_s s~) theta~' + h_theta
//! ```
//!
//! The mean of s~ theta~' is ds, while that of ds~'ds~ is inflated: for gradient rules alone. Source: Tallec and Ollivier 2018, arXiv 1702.05043.

use serde::Deserialize;

use super::{Influence, Plan, Sizes};
use crate::error::Error;
use crate::linalg::dot;
use crate::model::Structure;
use crate::scalar::Scalar;

/// Seed of the signs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UORO {
    seed: u64,
}

impl Influence for UORO {
    fn plan(&self, _: Option<&Structure>, _: Sizes) -> Result<Plan, Error> {
        Ok(Plan::RankOne)
    }

    fn corrects(&self) -> bool {
        false
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// nu (n,) of the row before which `t` rows were seen: the top bits of splitmix64.
pub fn signs<T: Scalar>(seed: u64, t: u64, nu: &mut [T]) {
    let n = nu.len() as u64;
    for (i, nu) in nu.iter_mut().enumerate() {
        let count = t.wrapping_mul(n).wrapping_add(i as u64 + 1);
        let mut x = seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        *nu = if x >> 63 == 0 { T::one() } else { -T::one() };
    }
}

/// The two factors after a step.
///
/// - a, nu, to_s: (n,); c: (stride,); theta: (stride,), the factor before; to_theta: (stride,)
pub fn mix<T: Scalar>(a: &[T], nu: &[T], c: &[T], theta: &[T], to_s: &mut [T], to_theta: &mut [T]) {
    let norm = |x: &[T]| dot(x, x).sqrt();
    let ratio = |over: T, under: T| {
        if over == T::zero() || under == T::zero() {
            T::one()
        } else {
            (over / under).sqrt()
        }
    };
    let (rho0, rho1) = (ratio(norm(theta), norm(a)), ratio(norm(c), norm(nu)));
    for ((to, &a), &nu) in to_s.iter_mut().zip(a).zip(nu) {
        *to = rho0 * a + rho1 * nu;
    }
    for ((to, &x), &c) in to_theta.iter_mut().zip(theta).zip(c) {
        *to = x / rho0 + c / rho1;
    }
}
