//! The score of one output, without asking a family again what it always answers.

use crate::family::{Family, Likelihood, Seen};

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

    /// (e, L²) at z.
    #[inline(always)]
    pub(super) fn score(self, family: &Family, row: &Seen<'_>) -> (f64, f64) {
        match self {
            Law::Fixed { r, information } => ((row.y[0] - row.z[0]) / r, information),
            Law::Each => {
                let r = row.b[0] / row.a[0];
                ((row.y[0] - row.z[0]) / r, 1.0 / r)
            }
            Law::Own => family.score(row),
        }
    }
}
