//! Rows in waves: where neither dz nor L depends on theta, up to 16 columns share one pass over the belief, bit for bit.

use std::ops::Range;

use crate::error::{Error, fault};
use crate::family::Likelihood;
use crate::filter::{Filter, Sizes};
use crate::linalg::threads;
use crate::model::Output;
use crate::row::{Block, Report};
use crate::scalar::Scalar;
use crate::state::{LOG_SINCE, N_SEEN, N_UPDATES, SKIPPED, State};

impl<T: Scalar> Filter<T> {
    /// Takes rows in order; returns how many, and the error of the row after them. The rows before it stay taken.
    pub fn run(&mut self, block: &Block<'_, T>, report: &mut Report<'_>) -> (usize, Option<Error>) {
        let (m, sizes) = (block.len(), self.sizes);
        if let (true, Some(row)) = (self.short, self.alone(block, report)) {
            match self.short_step(&row, 0, report) {
                Ok(true) => return (1, None),
                Ok(false) => {}
                Err(error) => return (0, Some(error)),
            }
        }
        if !block.fits(
            self.model.inputs(),
            sizes.k,
            sizes.width,
            sizes.p - sizes.free,
            sizes.n,
        ) || !report.fits(m, sizes.k, sizes.scales)
        {
            return (
                0,
                Some(Error::Shape(fault(
                    "block",
                    "arrays of one number of rows",
                    "others",
                ))),
            );
        }
        if self.lean.is_some() {
            return self.run_lean(block, report);
        }
        let (mut done, mut alone) = (0, 0);
        if let Some(small) = &self.small {
            let State { wide, narrow, .. } = &mut *self.state;
            done = small.rows(wide, narrow, block, 0, report);
        }
        let short = self.short && !self.together.now && !self.gains_by_waves();
        while done < m {
            if short {
                let row = block.row(done, sizes.d, sizes.k, sizes.width);
                match self.short_step(&row, done, report) {
                    Ok(true) => {
                        done += 1;
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => return (done, Some(error)),
                }
            }
            let rows = if done < alone || self.small.is_some() {
                done..done + 1
            } else {
                self.next_wave(block, done)
            };
            let taken = if self.together.now && rows.len() > 1 {
                self.glm_step(block, rows.clone(), report)
            } else {
                self.step(block, rows.clone(), report)
            };
            match taken {
                Ok(()) => {
                    done = rows.end;
                    if let Some(small) = &self.small {
                        let State { wide, narrow, .. } = &mut *self.state;
                        done += small.rows(wide, narrow, block, done, report);
                    }
                }
                Err(error) if rows.len() == 1 => return (done, Some(error)),
                Err(_) => alone = rows.end, // one by one: the rows before the bad one stand
            }
        }
        (m, None)
    }

    /// The rows that share a pass with row `start`: none after it whose time step runs a wind-up check, takes turns or adds noise.
    fn next_wave(&self, block: &Block<'_, T>, start: usize) -> Range<usize> {
        let Sizes { p, wave, room, .. } = self.sizes;
        let most = if self.together.now || self.shares(&block.input) {
            room.min(wave * threads::available(p))
        } else {
            1
        };
        let most = most.min(block.len() - start);
        let free = self.limits.windup.is_none() && self.turns.is_none();
        if most == 1 || (free && self.rule.noise().is_none()) {
            return start..start + most;
        }
        let wide = &self.state.wide;
        let accumulated = self.state.turns.first().copied().unwrap_or_default();
        let mut clock = [
            wide[N_SEEN],
            wide[N_UPDATES] + 1.0,
            wide[LOG_SINCE],
            accumulated,
        ];
        for i in start..start + most {
            let y = &block.y[i * self.sizes.width..(i + 1) * self.sizes.width];
            let learns = block.weight[i] != 0.0 && !self.family.missing(y);
            if self.starts_wave(&mut clock, block.dt[i], learns) && i > start {
                return start..i;
            }
        }
        start..start + most
    }

    /// Counts rows that were refused before they came here; no time passes.
    pub fn refuse(&mut self, rows: f64) {
        self.state.wide[SKIPPED] += rows;
    }

    /// Whether rows come as inputs u.
    pub fn has_inputs(&self) -> bool {
        self.model.inputs().is_some()
    }
}
