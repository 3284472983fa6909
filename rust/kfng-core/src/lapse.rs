//! Time that passes for variances that no row touches: they all grow by the same factors, and are brought up to date when one does.
//!
//! ```text
//! V_i <- V_i/decay at every row;   at a wind-up check:  V_i above `most` times its prior goes back to it
//! ```
//!
//! What is kept is the growth so far and that at the checks, so that any V_i follows from when it was last touched, to rounding: the
//! factors are multiplied with one another first. Cost O(1) a row, and for a coordinate O(log checks) and so for each time it goes back.

use crate::error::Error;
use crate::field::filled;

/// Rows after which all are brought up to date.
const MOST: usize = 1 << 16;
/// Growth after which they are, too.
const LARGEST: f64 = 1e100;

/// The time since all variances were last brought up to date.
#[derive(Debug)]
pub(crate) struct Lapse {
    /// Growth after the time step of each row; 1 before the first.
    growth: Vec<f64>,
    /// How many checks there had been by then.
    counts: Vec<u32>,
    /// Growth at each check.
    checks: Vec<f64>,
    /// The row since which each variance is as it stands, (p,).
    since: Vec<u32>,
    /// The largest variance at the start.
    pub top: f64,
}

impl Lapse {
    pub fn new(p: usize) -> Result<Self, Error> {
        let mut growth = filled(MOST + 2)?;
        let mut counts = filled(MOST + 2)?;
        let mut checks = filled(MOST + 2)?;
        growth.clear();
        counts.clear();
        checks.clear();
        growth.push(1.0);
        counts.push(0);
        Ok(Lapse {
            growth,
            counts,
            checks,
            since: filled(p)?,
            top: 0.0,
        })
    }

    /// Whether time has passed.
    pub fn pending(&self) -> bool {
        self.growth.len() > 1
    }

    /// Whether all must be brought up to date before a row whose time step has this factor.
    pub fn is_full(&self, inverse_decay: f64, most: f64) -> bool {
        let after = self.grown() * inverse_decay;
        let room = after < LARGEST && self.top * after <= most;
        self.growth.len() > MOST || !room
    }

    /// The time step of a row, and whether it ends with a check.
    pub fn pass(&mut self, inverse_decay: f64, checked: bool) {
        let grown = self.grown() * inverse_decay;
        self.growth.push(grown);
        if checked {
            self.checks.push(grown);
        }
        self.counts.push(self.checks.len() as u32);
    }

    /// Takes the last time step back.
    pub fn undo(&mut self) {
        if self.pending() {
            self.growth.pop();
            self.counts.pop();
            let checks = self.counts.last().map_or(0, |&n| n as usize);
            self.checks.truncate(checks);
        }
    }

    /// The variance of coordinate j now, and how often it went back to its prior. `bound`: the factor of it that brings it there.
    pub fn now(&self, j: usize, mut v: f64, prior: f64, bound: f64) -> (f64, u32) {
        let at = self.since[j] as usize;
        let (mut from, mut checks) = (self.growth[at], &self.checks[self.counts[at] as usize..]);
        let (over, mut pulls) = (bound * prior, 0);
        while checks.last().is_some_and(|&last| v * (last / from) > over) {
            let first = checks.partition_point(|&grown| v * (grown / from) <= over);
            (from, checks) = (checks[first], &checks[first + 1..]);
            v = prior;
            pulls += 1;
        }
        (v * (self.grown() / from), pulls)
    }

    /// Coordinate j is up to date.
    pub fn touch(&mut self, j: usize) {
        self.since[j] = (self.growth.len() - 1) as u32;
    }

    /// All are.
    pub fn start(&mut self, top: f64) {
        self.growth.truncate(1);
        self.counts.truncate(1);
        self.checks.clear();
        self.since.fill(0);
        self.top = top;
    }

    fn grown(&self) -> f64 {
        self.growth.last().copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Lapse;

    #[test]
    fn a_variance_follows_from_when_it_was_touched() {
        let (prior, bound) = (0.7, 2.0);
        let mut lapse = Lapse::new(3).unwrap();
        let (mut v, mut pulls) = ([0.1, 0.7, 1.3], [0; 3]);
        let mut stored = v;
        for row in 0..1000_u32 {
            let (inverse, checked) = (1.0 + f64::from(row % 7) * 0.003, row % 16 == 0);
            lapse.pass(inverse, checked);
            for (v, pulls) in v.iter_mut().zip(&mut pulls) {
                *v *= inverse;
                if checked && *v > bound * prior {
                    *v = prior;
                    *pulls += 1;
                }
            }
            for j in 0..3 {
                if (row + j as u32).is_multiple_of([3, 5000, 250][j]) {
                    let (now, back) = lapse.now(j, stored[j], prior, bound);
                    assert!((now - v[j]).abs() < 1e-12 && back == pulls[j]);
                    v[j] *= 0.5;
                    stored[j] = v[j];
                    pulls[j] = 0;
                    lapse.touch(j);
                }
            }
            lapse.pass(3.0, true);
            lapse.undo();
        }
        for j in 0..3 {
            let (now, back) = lapse.now(j, stored[j], prior, bound);
            assert!((now - v[j]).abs() < 1e-12 && back == pulls[j]);
        }
        assert!(pulls[1] > 3);
    }

    #[test]
    fn it_is_full_in_time() {
        let mut lapse = Lapse::new(1).unwrap();
        lapse.start(2.0);
        assert!(
            !lapse.pending() && !lapse.is_full(1.0, 1e300) && lapse.is_full(f64::INFINITY, 1e300)
        );
        assert!(lapse.is_full(1e99, 1e99) && lapse.is_full(1e101, f64::MAX));
        let mut rows = 0;
        while !lapse.is_full(1.0, 1e300) {
            lapse.pass(1.0, true);
            rows += 1;
        }
        assert_eq!(rows, super::MOST);
    }
}
