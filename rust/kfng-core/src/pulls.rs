//! Turns towards the prior as columns: see turns.rs.

use crate::belief::{Belief, Uncertainty};
use crate::error::Error;
use crate::family::Likelihood;
use crate::filter::Filter;
use crate::linalg::axpy;
use crate::rule::Time;
use crate::scalar::Scalar;
use crate::turns::{ACCUMULATED, LOG_D, POSITION, SMALLEST_DECAY, due};

impl<T: Scalar> Filter<T> {
    /// The turns of the first row of a wave, after its clock: writes `next` where there are any. Cost O(p²) a turn, diagonal beliefs O(1).
    pub(crate) fn take_turns(&mut self, time: Time) -> Result<(bool, f64), Error> {
        let Some(turns) = &self.turns else {
            return Ok((false, 1.0));
        };
        let p = self.sizes.p;
        if time.decay < SMALLEST_DECAY {
            self.next.belief_mut().copy_from_slice(&turns.belief_0);
            self.next.theta_mut().copy_from_slice(&turns.theta_0);
            self.next.turns[LOG_D..].fill(0.0);
            self.next.turns[ACCUMULATED] = 0.0;
            return Ok((true, f64::INFINITY));
        }
        let (whole, _) = due(self.state.turns[ACCUMULATED], time, p);
        let mut left = whole.min(p as f64) as usize;
        if left == 0 {
            return Ok((false, 1.0));
        }
        if let Belief::Diagonal(belief) = &self.belief {
            belief.fade(self.state.belief(), self.next.belief_mut(), time.decay);
            for _ in 0..left {
                self.turn_alone()?;
            }
            return Ok((true, 1.0));
        }
        let (mut first, mut growth) = (true, 1.0);
        while left > 0 {
            let batch = left.min(self.columns.capacity());
            growth *= self.turn_together(batch, first.then_some(time.decay))?;
            (left, first) = (left - batch, false);
        }
        self.columns.clear();
        Ok((true, growth))
    }

    /// One turn of a belief whose coordinates know nothing of one another.
    fn turn_alone(&mut self) -> Result<(), Error> {
        let (Belief::Diagonal(belief), Some(turns)) = (&self.belief, &self.turns) else {
            return Ok(());
        };
        let i = self.next.turns[POSITION] as usize;
        let precision = -self.next.turns[LOG_D + i].exp_m1();
        let c = turns.scales[i];
        let away = c * (turns.theta_0[i].to_f64() - self.next.theta()[i].to_f64());
        let (variance, alpha) = belief.pull(self.next.belief_mut(), i, precision * c * c);
        self.next.theta_mut()[i] += T::of(variance * c / alpha * precision * away);
        self.took_turn(i, precision * away * away / alpha)
    }

    /// Turns that share passes over U; `decay`: they are the first of the time step.
    fn turn_together(&mut self, batch: usize, decay: Option<f64>) -> Result<f64, Error> {
        let Some(turns) = &self.turns else {
            return Ok(1.0);
        };
        let (p, position) = (self.sizes.p, self.next.turns[POSITION] as usize);
        self.columns.clear();
        for r in 0..batch {
            let i = (position + r) % p;
            let precision = -self.next.turns[LOG_D + i].exp_m1();
            let decay = decay.filter(|_| r == 0).unwrap_or(1.0);
            turns.column(i, self.columns.push(T::of(precision), T::of(decay), i));
        }
        let from = decay.map(|_| self.state.belief());
        let growth = self
            .belief
            .fuse(from, self.next.belief_mut(), &mut self.columns, 0..batch);
        for r in 0..batch {
            let i = (position + r) % p;
            let precision = -self.next.turns[LOG_D + i].exp_m1();
            let (h, theta) = (&self.columns.h(r)[i..p], &self.next.theta()[i..p]);
            let Some(turns) = &self.turns else { break };
            let mut away = 0.0;
            for ((h, x), x_0) in h.iter().zip(theta).zip(&turns.theta_0[i..p]) {
                away += h.to_f64() * (x_0.to_f64() - x.to_f64());
            }
            let alpha = self.columns.alpha(r).to_f64();
            let gain = T::of(precision * away / alpha);
            axpy(gain, self.columns.b(r), self.next.theta_mut());
            self.took_turn(i, precision * away * away / alpha)?;
        }
        Ok(growth)
    }

    /// The turn of column i is over; `distance` = e²/S.
    fn took_turn(&mut self, i: usize, distance: f64) -> Result<(), Error> {
        if !distance.is_finite() {
            return Err(Error::Overflow);
        }
        if let Some(scale) = self.scale.as_ref().filter(|_| self.family.relative()) {
            scale.pull(&mut self.next.wide, distance);
        }
        self.next.turns[LOG_D + i] = 0.0;
        self.next.turns[POSITION] = ((i + 1) % self.sizes.p) as f64;
        Ok(())
    }
}
