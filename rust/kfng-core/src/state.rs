//! Everything about a filter that changes, in one buffer of sections.
//!
//! ```text
//! wide (f64):   counters (8) | clock (3) | evidence | gauges (3) | bound | coverage | noise (2, m) | y_stats (3, k where m > 0) | robust, where it is
//! turns (f64):  log-decay without a turn, position, log D (p)   where forgetting is towards the prior
//! memory (f64): feedback (2, k) | echo (3, k) | restarts        where the model is recurrent
//! narrow (T):   theta (padded,) | belief
//! state (T):    s (n,);  influence (T): ds (n, padded), or s~ and theta~
//! ```
//!
//! float32 stops counting at 2^24, so what counts is float64 in every filter. `bound` >= max|u_ij| decides when U is scanned and is
//! not part of what is saved.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::field::filled;
use crate::linalg::Aligned;
use crate::scalar::Scalar;

/// Rows taken, missing ones included.
pub const N_SEEN: usize = 0;
/// Rows that taught something.
pub const N_UPDATES: usize = 1;
/// Rows without y.
pub const MISSING: usize = 2;
/// Rows refused.
pub const SKIPPED: usize = 3;
/// Steps shortened.
pub const CLIPPED: usize = 4;
/// Outputs clamped.
pub const CLAMPED: usize = 5;
/// Variances taken back.
pub const WINDUP: usize = 6;
/// Noise variances floored.
pub const FLOORED: usize = 7;
/// Sum of dt.
pub const ELAPSED: usize = 8;
/// log of the decay since the last wind-up check.
pub const LOG_SINCE: usize = 9;
/// Time for which process noise has not been added yet.
pub const OWED: usize = 10;
/// Sum of log predictive densities.
pub const EVIDENCE: usize = 11;
/// Sum of squared innovations over their variance.
pub const NIS_SUM: usize = 12;
/// Entries of y in that sum.
pub const NIS_COUNT: usize = 13;
/// Largest h'P h/R.
pub const RHO_MAX: usize = 14;
/// Bound on the entries of U.
pub const BOUND: usize = 15;
/// How many of the last rows were inside their interval, and of how many: see family/coverage.rs.
pub const COVERED: usize = 16;
/// Shapes (m,) and scales (m,) of the learned noise variances; then running weight, mean and sum of squares of y, (3, k).
pub const NOISE: usize = 17;

/// Of `len` numbers of the float64 section of a robust filter, that of rows which it did not take at full weight.
#[inline]
pub const fn downweighted(len: usize) -> usize {
    len - 1
}

/// The sections that are saved by name and always there, without theta and the belief.
pub const NAMES: [(&str, Range<usize>); 4] = [
    ("counters", N_SEEN..ELAPSED),
    ("clock", ELAPSED..EVIDENCE),
    ("evidence", EVIDENCE..NIS_SUM),
    ("gauges", NIS_SUM..BOUND),
];

/// Which content of which buffer of a belief: no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    buffer: u64,
    content: u64,
}

static BUFFERS: AtomicU64 = AtomicU64::new(0);

/// The buffer.
#[derive(Debug)]
pub struct State<T> {
    /// float64 section.
    pub wide: Vec<f64>,
    /// Turns towards the prior, empty where there are none.
    pub turns: Vec<f64>,
    /// What a recurrent filter remembers of its last row, and gauges of it.
    pub memory: Vec<f64>,
    /// s of a recurrent model.
    pub state: Vec<T>,
    /// ds, in the form of its sensitivity.
    pub influence: Aligned<T>,
    /// Section of the filter's type.
    pub narrow: Aligned<T>,
    padded: usize,
    stamp: Stamp,
}

impl<T: Scalar> State<T> {
    /// All zero; `noise`: numbers after the fixed ones.
    pub fn zeros(noise: usize, padded: usize, belief: usize, turns: usize) -> Result<Self, Error> {
        let narrow = padded
            .checked_add(belief)
            .ok_or(Error::Memory(usize::MAX))?;
        let mut wide = filled(NOISE.checked_add(noise).ok_or(Error::Memory(usize::MAX))?)?;
        wide[BOUND] = 1.0;
        Ok(State {
            wide,
            turns: filled(turns)?,
            memory: Vec::new(),
            state: Vec::new(),
            influence: Aligned::zeros(0)?,
            narrow: Aligned::zeros(narrow)?,
            padded,
            stamp: Stamp {
                buffer: BUFFERS.fetch_add(1, Ordering::Relaxed),
                content: 0,
            },
        })
    }

    /// Makes room for a recurrent model: `memory` numbers, n components of the state, `influence` numbers of its derivative.
    pub fn recur(&mut self, memory: usize, n: usize, influence: usize) -> Result<(), Error> {
        self.memory = filled(memory)?;
        self.state = filled(n)?;
        self.influence = Aligned::zeros(influence)?;
        Ok(())
    }

    /// Room for a theta of length `padded` and a belief of `belief` numbers, of which the first `padded` are a vector as well; returns how
    /// many numbers had to move. On an error nothing has changed.
    pub fn reserve(&mut self, padded: usize, belief: usize) -> Result<usize, Error> {
        let front = 2 * padded.saturating_sub(self.padded);
        let old = self.narrow.len() - self.padded;
        let back = belief.saturating_sub(padded);
        let back = back.saturating_sub(old - self.padded);
        Ok(self.narrow.reserve(front, back, padded)?)
    }

    /// The two vectors and what is behind them at these sizes, for which there is room; it stays where it is, and they go before it.
    pub fn resize(&mut self, padded: usize, belief: usize) {
        let (old, kept) = (self.padded, padded.min(self.padded));
        let back = (belief - padded).cast_signed() - (self.narrow.len() - 2 * old).cast_signed();
        let front = 2 * (padded.cast_signed() - old.cast_signed());
        let (mut shift, grows) = (front.unsigned_abs(), front > 0);
        if grows {
            self.narrow.resize(front, back);
            self.narrow.copy_within(shift..shift + old, 0);
            self.narrow
                .copy_within(shift + old..shift + 2 * old, padded);
            self.narrow[old..padded].fill(T::zero());
            self.narrow[padded + old..2 * padded].fill(T::zero());
        } else {
            shift += padded;
            self.narrow.copy_within(old..old + kept, shift);
            self.narrow.copy_within(..kept, shift - padded);
            self.narrow.resize(front, back);
        }
        self.padded = padded;
        self.stamp.content += 1;
    }

    /// theta (padded,).
    #[inline]
    pub fn theta(&self) -> &[T] {
        &self.narrow[..self.padded]
    }

    /// theta (padded,).
    #[inline]
    pub fn theta_mut(&mut self) -> &mut [T] {
        &mut self.narrow[..self.padded]
    }

    /// The belief's section.
    #[inline]
    pub fn belief(&self) -> &[T] {
        &self.narrow[self.padded..]
    }

    /// The belief's section, to be changed: its stamp is another then.
    #[inline]
    pub fn belief_mut(&mut self) -> &mut [T] {
        self.stamp.content += 1;
        &mut self.narrow[self.padded..]
    }

    /// Of the belief as it is.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Changes beliefs with another state, and nothing else.
    #[inline]
    pub fn swap_belief(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.narrow, &mut other.narrow);
        std::mem::swap(&mut self.stamp, &mut other.stamp);
        self.theta_mut().swap_with_slice(other.theta_mut());
    }

    /// Takes over everything but the belief and the influence, which a step reads from there.
    #[inline]
    pub fn follow(&mut self, before: &Self) {
        self.wide.copy_from_slice(&before.wide);
        self.turns.copy_from_slice(&before.turns);
        self.memory.copy_from_slice(&before.memory);
        self.state.copy_from_slice(&before.state);
        self.theta_mut().copy_from_slice(before.theta());
    }

    /// Whether everything but the belief and the influence is finite.
    #[inline]
    pub fn is_finite(&self) -> bool {
        finite(&self.wide)
            && finite(&self.turns)
            && finite(self.theta())
            && finite(&self.memory)
            && finite(&self.state)
    }
}

/// Whether every number is finite: 0·x is 0 then, and NaN otherwise. No early exit.
#[inline]
pub fn finite<T: Scalar>(x: &[T]) -> bool {
    let mut sums = [T::zero(); 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += x * T::zero();
        }
    }
    sums.iter().all(|&sum| sum == T::zero()) && rest.iter().all(|&x| x * T::zero() == T::zero())
}
