//! The noise of rows side by side: what is learned of it, scores, and whether y lay in its interval.

use super::given::Given;
use super::lanes::{Each, Mask, mask, read, write};
use crate::family::coverage;
use crate::scalar::Scalar;
use crate::small::Small;
use crate::small::law::{Law, over};
use crate::state::{COVERED, NOISE};

/// Learned noise, as `Noise` in row.rs: a, b and the moments of y after the time step, and as reported.
pub(super) struct Noises<const N: usize> {
    pub own: [Each<N>; 5],
    pub a: Each<N>,
    pub b: Each<N>,
    pub floored: Mask<N>,
}

impl<const N: usize> Noises<N> {
    /// Nothing is learned.
    #[inline(always)]
    pub fn none() -> Self {
        Noises {
            own: [[0.0; N]; 5],
            a: [0.0; N],
            b: [0.0; N],
            floored: [0; N],
        }
    }
}

impl<T: Scalar> Small<T> {
    #[inline(always)]
    pub(super) fn noises<const N: usize>(&self, clock: &[f64], decay: &Each<N>) -> Noises<N> {
        let mut noise = Noises::none();
        let Some(a_0) = self.learned else {
            return noise;
        };
        for (i, own) in noise.own.iter_mut().enumerate() {
            own[..N].copy_from_slice(read::<N>(clock, NOISE + i));
        }
        let own = &mut noise.own;
        for l in 0..N {
            if decay[l] != 1.0 {
                let faded = (decay[l] * own[0][l]).max(a_0);
                own[1][l] *= faded / own[0][l];
                own[0][l] = faded;
                own[2][l] *= decay[l];
                own[4][l] *= decay[l];
            }
            (noise.a[l], noise.b[l]) = (own[0][l], own[1][l]);
        }
        if self.limits.r_floor != 0.0 {
            for l in 0..N {
                let (w, squares) = (own[2][l], own[4][l]);
                let variance = if w > 0.0 { squares / w } else { 0.0 };
                let floor = noise.a[l] * self.limits.r_floor * variance;
                noise.floored[l] = mask(floor > noise.b[l]);
                noise.b[l] = noise.b[l].max(floor);
            }
        }
        noise
    }

    /// (e, L²) of each.
    #[inline(always)]
    pub(super) fn scores<const N: usize>(
        &self,
        z: &Each<N>,
        given: &Given<N>,
        noise: &Noises<N>,
    ) -> (Each<N>, Each<N>) {
        let (mut e, mut information) = ([0.0; N], [0.0; N]);
        match self.law {
            Law::Fixed { r, information: x } => {
                for l in 0..N {
                    e[l] = over(given.y[l] - z[l], r);
                }
                information = [x; N];
            }
            Law::Each => {
                for l in 0..N {
                    let r = noise.b[l] / noise.a[l];
                    (e[l], information[l]) = ((given.y[l] - z[l]) / r, 1.0 / r);
                }
            }
            Law::Own => {
                let m = usize::from(self.learned.is_some());
                for l in (0..N).filter(|&l| given.ok[l] != 0) {
                    let seen = (z[l], &[given.y[l]][..]);
                    let noise = (m, noise.a[l], noise.b[l]);
                    (e[l], information[l]) = self.law.score(&self.family, seen, noise);
                }
            }
        }
        (e, information)
    }

    /// Whether each y lies in its interval.
    #[inline(always)]
    pub(super) fn cover<const N: usize>(
        &self,
        clock: &mut [f64],
        given: &Given<N>,
        (z, c): (&Each<N>, &Each<N>),
        noise: &Noises<N>,
    ) {
        let (mut limit, mut variance) = ([coverage::NORMAL; N], [0.0; N]);
        match self.law {
            Law::Fixed { r, .. } => {
                for l in 0..N {
                    variance[l] = c[l] + r;
                }
                if self.relative {
                    for l in 0..N {
                        limit[l] = noise.b[l] / noise.a[l] * coverage::student(noise.a[l]);
                    }
                }
            }
            Law::Each => {
                for l in 0..N {
                    variance[l] = c[l] + noise.b[l] / noise.a[l];
                }
            }
            Law::Own => return,
        }
        let mut covered = [0.0; N];
        covered[..N].copy_from_slice(read::<N>(clock, COVERED));
        for l in 0..N {
            let r = given.y[l] - z[l];
            let inside = if r * r <= limit[l] * variance[l] {
                1.0
            } else {
                0.0
            };
            covered[l] = coverage::after(covered[l], inside);
        }
        write::<N>(clock, COVERED, &covered);
    }
}
