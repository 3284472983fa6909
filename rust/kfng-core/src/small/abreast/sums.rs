//! What rows side by side add to sums and clocks.

use super::given::Given;
use super::lanes::{Each, read, write};
use super::noise::Noises;
use crate::family::{Likelihood, Seen};
use crate::scalar::Scalar;
use crate::scale::not_less;
use crate::small::Small;
use crate::state::{ELAPSED, EVIDENCE, NIS_SUM, NOISE, RHO_MAX};

/// Rows of which all is known that sums and clocks need.
pub(super) struct Changed<'a, T, const N: usize> {
    pub small: &'a Small<T>,
    pub z: Each<N>,
    pub c: Each<N>,
    pub alpha: Each<N>,
    pub distance: Each<N>,
    pub since: Each<N>,
}

pub(super) struct Sums<const N: usize> {
    nis: Each<N>,
    evidence: Each<N>,
    elapsed: Each<N>,
    rho: Each<N>,
    learned: [Each<N>; 5],
    /// Of all that is written or reported: not finite where one of them is not.
    pub all: Each<N>,
}

impl<T: Scalar, const N: usize> Changed<'_, T, N> {
    #[inline(always)]
    pub fn sums(&self, clock: &[f64], given: &Given<N>, noise: &Noises<N>) -> Sums<N> {
        let small = self.small;
        let mut sums = Sums {
            nis: [0.0; N],
            evidence: [0.0; N],
            elapsed: [0.0; N],
            rho: [0.0; N],
            learned: noise.own,
            all: [0.0; N],
        };
        let (nis, elapsed) = (read::<N>(clock, NIS_SUM), read::<N>(clock, ELAPSED));
        let rho = read::<N>(clock, RHO_MAX);
        if small.evidence {
            sums.evidence = *read::<N>(clock, EVIDENCE);
        }
        for l in 0..N {
            let distance = if small.relative {
                self.distance[l] / (noise.own[1][l] / noise.own[0][l])
            } else {
                self.distance[l]
            };
            sums.nis[l] = nis[l] + distance;
            sums.elapsed[l] = elapsed[l] + given.dt[l];
            sums.rho[l] = rho[l].max(self.alpha[l] - 1.0);
        }
        if small.learned.is_some() {
            self.learn(given, noise, &mut sums.learned);
        }
        if small.evidence {
            for l in 0..N {
                sums.evidence[l] -= given.weight[l] * self.nll(l, given, noise);
            }
        }
        for l in 0..N {
            let sum = self.z[l] + self.c[l] + self.alpha[l] + sums.nis[l] + sums.evidence[l];
            sums.all[l] = sum + sums.elapsed[l] + self.since[l] + sums.rho[l];
        }
        if small.learned.is_some() {
            for x in &sums.learned {
                for l in 0..N {
                    sums.all[l] += x[l];
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn learn(&self, given: &Given<N>, noise: &Noises<N>, own: &mut [Each<N>; 5]) {
        for l in 0..N {
            let (y, weight) = (given.y[l], given.weight[l]);
            let gain = if self.small.relative {
                self.distance[l]
            } else {
                let r = y - self.z[l];
                weight * (r * r / (1.0 + weight * self.c[l] * (noise.a[l] / noise.b[l])))
            };
            own[0][l] += weight / 2.0;
            own[2][l] += weight;
            let delta = y - own[3][l];
            own[3][l] += weight / own[2][l] * delta;
            own[4][l] += not_less(weight * delta * (y - own[3][l]));
            own[1][l] += gain / 2.0;
        }
    }

    fn nll(&self, l: usize, given: &Given<N>, noise: &Noises<N>) -> f64 {
        let m = usize::from(self.small.learned.is_some());
        let seen = Seen {
            z: &[self.z[l]],
            c: &[self.c[l]],
            y: &[given.y[l]],
            a: &[noise.a[l]][..m],
            b: &[noise.b[l]][..m],
        };
        self.small.family.nll(&seen, &mut [])
    }
}

impl<const N: usize> Sums<N> {
    #[inline(always)]
    pub fn write(&self, clock: &mut [f64], learned: bool, evidence: bool) {
        write::<N>(clock, NIS_SUM, &self.nis);
        if evidence {
            write::<N>(clock, EVIDENCE, &self.evidence);
        }
        write::<N>(clock, ELAPSED, &self.elapsed);
        write::<N>(clock, RHO_MAX, &self.rho);
        if learned {
            for (i, x) in self.learned.iter().enumerate() {
                write::<N>(clock, NOISE + i, x);
            }
        }
    }
}
