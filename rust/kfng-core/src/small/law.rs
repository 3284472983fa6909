//! The score of one output, without asking a family again what it always answers.

use crate::family::coverage;
use crate::family::{Family, Likelihood, Seen};
use crate::scalar::Scalar;

/// What a family's score is made from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Law {
    /// y ~ N(z, r), or relative to a learned variance: r = 1.
    Fixed { r: f64, information: f64 },
    /// y ~ N(z, b/a).
    Each,
    /// The family's own, with its clamp.
    Own,
}

impl Law {
    pub(super) fn of(family: &Family) -> Law {
        let Family::Gaussian(gaussian) = family else {
            return Law::Own;
        };
        gaussian.alone().map_or(Law::Each, |r| Law::Fixed {
            r,
            information: 1.0 / r,
        })
    }

    /// Whether the Fisher information is 1, whatever the row.
    #[inline(always)]
    pub(super) fn plain(self) -> bool {
        matches!(self, Law::Fixed { information, .. } if information == 1.0)
    }

    /// (e, L²) at z, with the noise as it is reported, of `m` learned variances.
    #[inline(always)]
    pub(super) fn score(
        self,
        family: &Family,
        (z, y): (f64, &[f64]),
        (m, a, b): (usize, f64, f64),
    ) -> (f64, f64) {
        match self {
            Law::Fixed { r, information } => (over(y[0] - z, r), information),
            Law::Each => {
                let r = b / a;
                ((y[0] - z) / r, 1.0 / r)
            }
            Law::Own => family.score(&Seen {
                z: &[z],
                c: &[],
                y,
                a: &[a][..m],
                b: &[b][..m],
            }),
        }
    }

    /// Whether y lies in its interval, where the family has one: as `share_within`. `c`: the variance of z; `relative`: of what is learned.
    #[inline(always)]
    pub(super) fn inside(self, r: f64, c: f64, (a, b): (f64, f64), relative: bool) -> Option<bool> {
        let (variance, limit) = match self {
            Law::Fixed { r, .. } if relative => (c + r, b / a * coverage::student(a)),
            Law::Fixed { r, .. } => (c + r, coverage::NORMAL),
            Law::Each => (c + b / a, coverage::NORMAL),
            Law::Own => return None,
        };
        Some(r * r <= limit * variance)
    }
}

/// x/y, without a division where y is 1.
#[inline(always)]
pub(super) fn over<T: Scalar>(x: T, y: T) -> T {
    if y == T::one() { x } else { x / y }
}
