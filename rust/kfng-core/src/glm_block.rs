//! Known rows of a one-output linear model in one pass, although their weights depend on theta: exact, with the sums in another order.
//!
//! ```text
//! G = H P H';  z = H theta;  s = 1
//! for j in 0..k:   s <- s/d_j;   q = s G_jj;   (e, L²) = family(z_j + offset, y_j);   w = metric·weight·L²;   alpha = 1 + w q
//!     a = rate·weight·e/alpha, shortened by the step clip;   z_i += s G_ij a;   G_il -= (s w/alpha) G_ij G_jl    for i, l > j
//! ```
//!
//! gives each row the z it would have had one at a time; the columns then share a pass as those of known weights do. What a row teaches
//! comes from that pass, not from G. Where anything fails the rows are run again one by one. Source: the identity of the textbook
//! Kalman filter in the space of outputs; the step: Ollivier 2018, arXiv 1703.00209.

use std::ops::Range;

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::family::Likelihood;
use crate::filter::Filter;
use crate::linalg::dot;
use crate::row::{Block, Report, Row};
use crate::scalar::Scalar;
use crate::state::{BOUND, CLAMPED};

impl<T: Scalar> Filter<T> {
    /// [`Filter::run`] with the sums reordered where that is faster.
    pub fn run_reordered(
        &mut self,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> (usize, Option<Error>) {
        self.together.now = self.together.gains;
        let result = self.run(block, report);
        self.together.now = false;
        result
    }

    /// Blocks of rows that were taken together so far.
    pub fn glm_blocks(&self) -> u64 {
        self.together.taken
    }

    /// Rows that share one pass: propose, validate, commit. On an error nothing has changed.
    pub(crate) fn glm_step(
        &mut self,
        block: &Block<'_, T>,
        rows: Range<usize>,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let (d, width) = (self.sizes.d, self.sizes.width);
        let row = |i: usize| block.row(i, d, 1, width);
        self.next.follow(&self.state);
        self.columns.clear();
        self.meet(0, &row(rows.start))?;
        let (moved, mut growth) = self.pass_first(block.dt[rows.start])?;
        for (slot, i) in rows.clone().enumerate() {
            self.glm_column(slot, &row(i), moved && slot == 0)?;
        }
        self.weigh_columns(rows.clone().map(row), moved)?;
        let from = (!moved).then(|| self.state.belief());
        let columns = 0..self.columns.len();
        growth *= self
            .belief
            .fuse(from, self.next.belief_mut(), &mut self.columns, columns);
        for (slot, i) in rows.enumerate() {
            self.learn(slot, &row(i), i, report)?;
        }
        self.next.wide[BOUND] =
            self.belief
                .settle(self.next.belief(), self.next.wide[BOUND], growth)?;
        if !self.next.is_finite() {
            return Err(Error::Overflow);
        }
        std::mem::swap(&mut self.state, &mut self.next);
        self.together.taken += 1;
        Ok(())
    }

    /// The column of a row, its weight not known yet.
    fn glm_column(&mut self, index: usize, row: &Row<'_, T>, moved: bool) -> Result<(), Error> {
        if index > 0 {
            self.meet(index, row)?;
        }
        let slot = &mut self.work.slots[index];
        slot.first = self.columns.len();
        let decay = T::of(if moved { 1.0 } else { slot.time.decay });
        if row.blank {
            self.columns.push(T::zero(), decay, self.sizes.p);
        } else {
            self.predictive_column(index, row, decay, false);
        }
        Ok(())
    }

    /// z, score and Fisher weight of each row of the block, by the recursion above.
    fn weigh_columns<'a>(
        &mut self,
        rows: impl Iterator<Item = Row<'a, T>>,
        moved: bool,
    ) -> Result<(), Error>
    where
        T: 'a,
    {
        let k = self.columns.len();
        let mut gram = std::mem::take(&mut self.work.gram); // given back below, so nothing is allocated
        let (products, outputs) = gram.split_at_mut(k * k);
        let at = if moved {
            self.next.belief()
        } else {
            self.state.belief()
        };
        self.belief.gram(at, self.columns.rows(), products);
        for (i, z) in outputs[..k].iter_mut().enumerate() {
            *z = dot(self.columns.h(i), self.next.theta()).to_f64();
        }
        let mut result = Ok(());
        let mut scale = 1.0;
        for (j, row) in rows.enumerate() {
            scale /= self.columns.decay(j).to_f64();
            result = self.weigh(j, &row, scale, products, &mut outputs[..k]);
            if result.is_err() {
                break;
            }
        }
        self.work.gram = gram;
        result
    }

    /// One turn of the recursion.
    fn weigh(
        &mut self,
        j: usize,
        row: &Row<'_, T>,
        scale: f64,
        products: &mut [f64],
        outputs: &mut [f64],
    ) -> Result<(), Error> {
        if row.blank {
            return Ok(());
        }
        let z = outputs[j] + row.offset[0];
        if !z.is_finite() {
            return Err(Error::Overflow);
        }
        self.work.z[j] = z;
        let clamped = self
            .family
            .clamp(&mut self.work.z[j..=j], self.limits.z_clamp);
        self.next.wide[CLAMPED] += f64::from(clamped);
        if !self.work.slots[j].learns {
            return Ok(());
        }
        self.work.slots[j].score = self.family.score(&self.work.seen_by(j, 1, row));
        self.weigh_column(j, row);
        let (k, slot, q) = (
            outputs.len(),
            &self.work.slots[j],
            scale * products[j * (outputs.len() + 1)],
        );
        let weight = self.columns.weight(j).to_f64();
        let alpha = 1.0 + weight * q;
        let mut gain = slot.rates.learning * row.weight * slot.score.0 / alpha;
        if !(gain.is_finite() && alpha.is_finite()) {
            return Err(Error::Overflow);
        }
        if gain.abs() * q > self.limits.step_clip {
            gain = gain.signum() * (self.limits.step_clip / q);
        }
        let shrink = scale * weight / alpha;
        let (before, after) = products.split_at_mut((j + 1) * k);
        let own = &before[j * k..];
        for (i, others) in after.chunks_exact_mut(k).enumerate() {
            let to_own = own[j + 1 + i];
            outputs[j + 1 + i] += scale * to_own * gain;
            for (other, own) in others[j + 1..].iter_mut().zip(&own[j + 1..]) {
                *other -= shrink * to_own * own;
            }
        }
        Ok(())
    }
}
