//! What passes before a row is used: its place in the count, its time step, and what that does to the belief.

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::family::Likelihood;
use crate::filter::{Filter, Slot};
use crate::guard::pull;
use crate::row::Row;
use crate::rule::PLAIN;
use crate::scalar::Scalar;
use crate::state::{ELAPSED, FLOORED, LOG_SINCE, N_SEEN, N_UPDATES, OWED, WINDUP};
use crate::turns::{ACCUMULATED, LOG_D, SMALLEST_DECAY, due};

impl<T: Scalar> Filter<T> {
    /// Fills the slot of a row, but for its columns: whether it teaches, its time step, its rates.
    #[inline]
    pub(crate) fn meet(&mut self, index: usize, row: &Row<'_, T>) -> Result<(), Error> {
        let t = if index == 0 {
            self.state.wide[N_UPDATES] + 1.0
        } else {
            let before = &self.work.slots[index - 1];
            before.t + f64::from(before.learns)
        };
        let missing = self.family.missing(row.y);
        let learns = !missing && row.weight != 0.0;
        let rule = &self.rule;
        let time = rule.time(row.dt, t, learns, self.limits.log_floor)?;
        self.work.slots[index] = Slot {
            time,
            missing,
            learns,
            t,
            rates: if learns { rule.rates(t)? } else { PLAIN },
            scale: match (rule.has_posterior(), learns) {
                (false, _) => 0.0,
                (true, true) => rule.scale(t)?,
                (true, false) => rule.predictive_scale(t)?,
            },
            ..Slot::default()
        };
        Ok(())
    }

    /// The time step of the first row of a wave: decay with the wind-up check or with turns towards the prior, process noise.
    ///
    /// Returns whether it has written the belief of `next`, and the growth of the bound on it.
    pub(crate) fn pass_first(&mut self, dt: f64) -> Result<(bool, f64), Error> {
        let time = self.work.slots[0].time;
        let (n_seen, since) = (
            self.state.wide[N_SEEN],
            self.state.wide[LOG_SINCE] + time.log_decay,
        );
        let due = time.passes && self.limits.due(n_seen, since);
        self.work.slots[0].due = due;
        let mut moved = (false, 1.0);
        if let Some(windup) = self.limits.windup.filter(|_| due) {
            moved = self.check_windup(windup)?;
        }
        self.pass(0, dt);
        if self.turns.is_some() {
            moved = self.take_turns(time)?;
        }
        if let Some(noise) = self.rule.noise().filter(|noise| noise.is_due(n_seen)) {
            let owed = std::mem::take(&mut self.next.wide[OWED]);
            if owed > 0.0 {
                let to = self.next.belief_mut();
                to.copy_from_slice(self.state.belief());
                let (variances, roots) = (noise.variances(), noise.roots());
                let growth =
                    self.belief
                        .diffuse(to, variances, roots, owed, &mut self.work.diagonal);
                moved = (true, growth);
            }
        }
        self.note_noise();
        Ok(moved)
    }

    fn check_windup(&mut self, windup: f64) -> Result<(bool, f64), Error> {
        let slot = self.work.slots[0];
        let (scale, scale_0) = (self.rule.scale(slot.t)?, self.scale_0);
        if scale_0 == 0.0 {
            return Ok((false, 1.0)); // a metric that stands still: there is no posterior variance to compare with
        }
        let (pulls, growth) = pull(
            &self.belief,
            (windup, scale_0 / scale),
            slot.time.decay,
            self.state.belief(),
            self.next.belief_mut(),
            &mut self.columns,
            &mut self.work.diagonal,
        )?;
        self.next.wide[WINDUP] += pulls as f64;
        Ok((pulls > 0, growth))
    }

    /// The clocks of a row, and the noise scale.
    #[inline]
    pub(crate) fn pass(&mut self, index: usize, dt: f64) {
        let (wide, slot) = (&mut self.next.wide, &self.work.slots[index]);
        wide[N_SEEN] += 1.0;
        wide[ELAPSED] += dt;
        if self.rule.noise().is_some() {
            wide[OWED] += dt;
        }
        let towards = self.turns.is_some();
        if towards {
            let turns = &mut self.next.turns;
            turns[ACCUMULATED] = due(turns[ACCUMULATED], slot.time, self.sizes.p).1;
            for log_d in &mut turns[LOG_D..] {
                *log_d += slot.time.log_decay;
            }
        } else {
            wide[LOG_SINCE] = if slot.due {
                0.0
            } else {
                wide[LOG_SINCE] + slot.time.log_decay
            };
        }
        match &self.scale {
            Some(scale) if towards => {
                let gone = slot.time.decay < SMALLEST_DECAY;
                scale.fade_towards(wide, if gone { 0.0 } else { slot.time.decay });
            }
            Some(scale) => scale.fade(wide, slot.time.decay),
            None => {}
        }
    }

    /// The learned noise as a row reports it.
    #[inline]
    pub(crate) fn note_noise(&mut self) {
        if let Some(scale) = &self.scale {
            let (a, b) = self.work.noise.split_at_mut(scale.m);
            let wide = &mut self.next.wide;
            let floored = scale.report(wide, self.limits.r_floor, a, b);
            wide[FLOORED] += f64::from(floored);
        }
    }

    /// Whether the time step of a row must be the first of its wave; `clock` is (`n_seen`, t, log-decay since the last check, log-decay
    /// without a turn) before the row, and after it on return. From counts and clocks alone, so that it is the same under any chunking.
    pub(crate) fn starts_wave(&self, clock: &mut [f64; 4], dt: f64, learns: bool) -> bool {
        let [n_seen, t, since, accumulated] = clock;
        let seen = *n_seen;
        *n_seen += 1.0;
        let Ok(time) = self.rule.time(dt, *t, learns, self.limits.log_floor) else {
            return true;
        };
        *t += f64::from(learns);
        let mut starts = self.rule.noise().is_some_and(|noise| noise.is_due(seen));
        if self.turns.is_some() {
            let (whole, rest) = due(*accumulated, time, self.sizes.p);
            let gone = time.decay < SMALLEST_DECAY;
            *accumulated = if gone { 0.0 } else { rest };
            return starts || whole > 0.0 || gone;
        }
        *since += time.log_decay;
        if time.passes && self.limits.due(seen, *since) {
            (*since, starts) = (0.0, true);
        }
        starts
    }
}
