//! Rates and clocks of rows side by side.

use pulp::Simd;

use super::given::Given;
use super::lanes::{Each, Mask, mask, read};
use crate::linalg::abreast::{MOST, Places, diagonal};
use crate::scalar::Scalar;
use crate::small::pace::{Beat, Pace};
use crate::small::{PAD, Small};
use crate::state::{LOG_SINCE, N_SEEN, N_UPDATES};

/// Of each row.
pub(super) struct Beats<const N: usize> {
    pub decay: Each<N>,
    pub log_decay: Each<N>,
    pub metric: Each<N>,
    pub learning: Each<N>,
    pub spread: Each<N>,
    pub scale: Each<N>,
    pub passes: [bool; N],
    /// Whether none decays, and none passes.
    pub still: bool,
}

impl<const N: usize> Beats<N> {
    #[inline(always)]
    pub fn all(beat: &Beat) -> Self {
        Beats {
            decay: [beat.time.decay; N],
            log_decay: [beat.time.log_decay; N],
            metric: [beat.rates.metric; N],
            learning: [beat.rates.learning; N],
            spread: [beat.spread; N],
            scale: [beat.scale; N],
            passes: [beat.time.passes; N],
            still: beat.time.decay == 1.0 && beat.time.log_decay == 0.0 && !beat.time.passes,
        }
    }

    fn set(&mut self, l: usize, beat: &Beat) {
        self.decay[l] = beat.time.decay;
        self.log_decay[l] = beat.time.log_decay;
        self.metric[l] = beat.rates.metric;
        self.learning[l] = beat.rates.learning;
        self.spread[l] = beat.spread;
        self.scale[l] = beat.scale;
        self.passes[l] = beat.time.passes;
        self.still = false;
    }
}

impl<T: Scalar> Small<T> {
    /// What all rows have alike, where they do.
    #[inline(always)]
    pub(super) fn uniform(&self, dt: &[f64]) -> Option<&Beat> {
        match &self.pace {
            Pace::Constant(beat) => Some(beat),
            Pace::Fading(unit, _) if dt.iter().all(|&dt| dt == 1.0) => Some(unit),
            _ => None,
        }
    }

    /// What each row has.
    #[inline(always)]
    pub(super) fn beats<const N: usize>(&self, clock: &[f64], given: &mut Given<N>) -> Beats<N> {
        if let Some(beat) = self.uniform(&given.dt) {
            return Beats::all(beat);
        }
        let still = Beat {
            time: crate::rule::STILL,
            rates: crate::rule::PLAIN,
            scale: 1.0,
            spread: 1.0,
        };
        let (updates, mut beats) = (read::<N>(clock, N_UPDATES), Beats::all(&still));
        for l in 0..N {
            let (t, mut own) = (updates[l] + 1.0, None);
            let floor = self.limits.log_floor;
            match self.pace.beat(given.dt[l], t, floor, &mut own) {
                Some(beat) => beats.set(l, beat),
                None => given.ok[l] = 0,
            }
        }
        beats
    }

    /// The clock of the wind-up check, and the check where it is due: a row on which it would act goes alone.
    #[inline(always)]
    pub(super) fn since<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        at: &Places<'_, T>,
        clock: &[f64],
        beats: &Beats<N>,
        ok: &mut Mask<N>,
    ) -> Each<N> {
        let (before, seen) = (read::<N>(clock, LOG_SINCE), read::<N>(clock, N_SEEN));
        let (mut since, mut due) = ([0.0; N], [false; N]);
        for l in 0..N {
            since[l] = before[l] + beats.log_decay[l];
        }
        if self.limits.windup.is_none() || beats.still {
            return since;
        }
        for l in 0..N {
            due[l] = beats.passes[l] && self.limits.due(seen[l], since[l]);
        }
        if !due[..N].contains(&true) {
            return since;
        }
        let (prior, scale_0) = (&self.prior.0, self.prior.1);
        let windup = self.limits.windup.filter(|_| scale_0 != 0.0);
        let mut variances = [T::zero(); PAD * MOST];
        diagonal::<T, S, R>(s, self.p, at, &mut variances);
        for l in (0..N).filter(|&l| due[l]) {
            since[l] = 0.0;
            let fine = windup.is_none_or(|windup| {
                (0..self.p).all(|i| {
                    let c = prior[i] * (scale_0 / beats.scale[l]);
                    variances[i * N + l].to_f64() / beats.decay[l] <= windup / 2.0 * c
                })
            });
            ok[l] &= mask(fine);
        }
        since
    }
}
