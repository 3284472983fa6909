//! From a row to its columns.
//!
//! One output: the single column dz with Fisher weight metric_rate·w·L² (never divided by L); its q is the variance of z. Several outputs:
//! rows of dz with weight 0, predictive, then the columns of dz'L. The first column carries the decay of the row's time step.

use crate::belief::{Belief, Uncertainty};
use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, Spread, Work, apart};
use crate::linalg::axpy;
use crate::model::{Model, Output};
use crate::row::{Input, Row};
use crate::scalar::Scalar;
use crate::spec::Iterations;
use crate::state::CLAMPED;

impl<T: Scalar> Filter<T> {
    /// Whether rows can share a pass.
    #[inline]
    pub(crate) fn shares(&self, input: &Input<'_, T>) -> bool {
        matches!(input, Input::Features(_))
            && apart(&self.model, &self.family, self.iterations)
            && !self.reweighs()
    }

    /// Adds the columns of a row. `moved`: its time step has been applied to the belief of `next`.
    pub(crate) fn prepare(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        moved: bool,
    ) -> Result<(), Error> {
        if index > 0 {
            self.meet(index, row)?;
        }
        let recurrent = self.run_model(row)?;
        let slot = &mut self.work.slots[index];
        slot.first = self.columns.len();
        let decay = T::of(if moved { 1.0 } else { slot.time.decay });
        if row.blank {
            self.columns.push(T::zero(), decay, self.sizes.p);
            return Ok(());
        }
        if self.sizes.k == 1 {
            self.predictive_column(index, row, decay, recurrent);
        } else {
            self.predictive_columns(index, row, decay, recurrent);
        }
        if self.work.slots[index].spread == Spread::Products {
            self.spread_of_row(decay, moved);
        }
        if !self.shares(&row.input) {
            let linear = matches!(row.input, Input::Features(_)) && self.model.linear();
            let clamped = self.place(index, row.offset, linear)?;
            self.next.wide[CLAMPED] += f64::from(clamped);
        }
        if !self.work.slots[index].learns {
            if self.spreads {
                self.columns.push(T::zero(), decay, self.sizes.p);
            }
            return Ok(());
        }
        match self.iterations {
            Iterations::Number(most) if self.iterate.is_some() => {
                self.iterate(index, row, moved, most as usize)?;
                self.last_columns(index, row);
            }
            Iterations::Word(_) if !self.shares(&row.input) => {
                self.implicit(index, row, moved)?;
                self.weigh_column(index, row);
            }
            _ if self.sizes.k == 1 => {
                let score = self.family.score(&self.work.seen_by(index, 1, row));
                self.work.slots[index].score = score;
                self.trust_one(index, row, decay, moved);
                self.weigh_column(index, row);
            }
            _ => self.fisher_columns(index, row, decay, moved)?,
        }
        Ok(())
    }

    pub(crate) fn predictive_column(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        decay: T,
        known: bool,
    ) {
        let h = self.columns.push(T::zero(), decay, 0);
        if known {
            h.copy_from_slice(&self.work.dz);
            return;
        }
        let z = &mut self.work.z[index..=index];
        output(
            &self.model,
            self.state.theta(),
            &row.input,
            z,
            h,
            self.sizes.p,
            self.sizes.padded,
            &mut self.work.model,
        );
    }

    fn predictive_columns(&mut self, index: usize, row: &Row<'_, T>, decay: T, known: bool) {
        let (k, p, padded) = (self.sizes.k, self.sizes.p, self.sizes.padded);
        let (dz, z) = (
            &mut self.work.dz,
            &mut self.work.z[index * k..(index + 1) * k],
        );
        if !known {
            dz.fill(T::zero());
            output(
                &self.model,
                self.state.theta(),
                &row.input,
                z,
                dz,
                p,
                padded,
                &mut self.work.model,
            );
        }
        if self.spares_rows(index, row) {
            self.work.slots[index].spread = Spread::Factor;
            return;
        }
        if self.spreads {
            self.work.slots[index].spread = if self.shares_inputs(index, row) {
                Spread::Pass
            } else {
                Spread::Products
            };
            return;
        }
        self.work.slots[index].ahead = k;
        for j in 0..k {
            let start = if matches!(row.input, Input::Features(_)) {
                self.model.start(j)
            } else {
                0
            };
            let h = self
                .columns
                .push(T::zero(), if j == 0 { decay } else { T::one() }, start);
            h.copy_from_slice(&self.work.dz[j * padded..(j + 1) * padded]);
        }
    }

    /// Whether the columns of a row are fused together, as multiples of its inputs, which are then kept.
    fn shares_inputs(&mut self, index: usize, row: &Row<'_, T>) -> bool {
        let (true, Input::Features(u)) = (self.work.slots[index].learns, row.input) else {
            return false;
        };
        if let Some(shared) = &mut self.work.shared {
            shared.x.copy_from_slice(u);
        }
        self.work.shared.is_some()
    }

    /// dz P dz' of the row, P after its time step. Cost O(k p²), one read of U and no column that teaches nothing.
    fn spread_of_row(&mut self, decay: T, moved: bool) {
        let at = if moved {
            self.next.belief()
        } else {
            self.state.belief()
        };
        self.belief.gram(at, &self.work.dz, &mut self.work.gram);
        for x in &mut self.work.gram {
            *x /= decay.to_f64();
        }
    }

    /// Several outputs, all observed, of a model that is linearised anew: L has an inverse and k columns say as much as 2k. See spared.rs.
    fn spares_rows(&self, index: usize, row: &Row<'_, T>) -> bool {
        let whole = self.family.quadratic() && row.y.iter().all(|y| !y.is_nan());
        let full = matches!(self.belief, Belief::Full(_)) && self.iterate.is_none();
        let full = full && !self.reweighs();
        self.work.slots[index].learns && whole && full && !self.model.linear()
    }

    /// One output: the Fisher weight of the column, from its score. A fixed factor is known before z is.
    pub(crate) fn weigh_column(&mut self, index: usize, row: &Row<'_, T>) {
        let slot = &mut self.work.slots[index];
        slot.seen = 1;
        let weight = slot.rates.metric * (row.weight * slot.trust) * slot.score.1;
        self.columns.set_weight(slot.first, T::of(weight));
    }

    /// Several outputs: the columns of A = dz'L over the observed ones, each of weight metric_rate·w; singular L: then g = dz'e of weight 0.
    fn fisher_columns(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        decay: T,
        moved: bool,
    ) -> Result<(), Error> {
        let (k, padded) = (self.sizes.k, self.sizes.padded);
        let seen = &mut self.work.seen[index * k..(index + 1) * k];
        let m = self.family.observed(row.y, seen);
        self.work.slots[index].seen = m;
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let at = Seen {
            z: &self.work.z[index * k..(index + 1) * k],
            c: &[],
            y: row.y,
            a,
            b,
        };
        let l = &mut self.work.l[index * k * k..][..m * m];
        self.family
            .factor(&at, &seen[..m], l, &mut self.work.small)?;
        if self.family.singular() {
            self.family.gradient(&at, &mut self.work.small[..k]);
        }
        self.trust_many(index, row, decay, moved);
        self.factor_columns(index, row, decay);
        if self.family.singular() {
            let e = &self.work.small[..k];
            let g = self.columns.push(T::zero(), T::one(), 0);
            for (e, dz) in e.iter().zip(self.work.dz.chunks_exact(padded)) {
                axpy(T::of(*e), dz, g);
            }
        }
        if self.work.slots[index].spread == Spread::Pass {
            self.share_factor(index, m);
        }
        Ok(())
    }
}

impl<T: Scalar> Filter<T> {
    /// What the columns of A = dz'L, and g behind them, are of the inputs.
    fn share_factor(&mut self, index: usize, m: usize) {
        let (k, Some(shared)) = (self.sizes.k, &mut self.work.shared) else {
            return;
        };
        let l = &self.work.l[index * k * k..][..m * m];
        for row in &mut shared.coefficients {
            row.fill(T::zero());
        }
        for (s, &a) in self.work.seen[index * k..][..m].iter().enumerate() {
            for (to, &l) in shared.coefficients[a]
                .iter_mut()
                .zip(&l[s * m..(s + 1) * m])
            {
                *to = T::of(l);
            }
        }
        if self.family.singular() {
            for (row, &e) in shared.coefficients.iter_mut().zip(&self.work.small[..k]) {
                row[m] = T::of(e);
            }
        }
    }

    /// The columns of A = dz'L, each of weight metric_rate·w, the first with this decay.
    fn factor_columns(&mut self, index: usize, row: &Row<'_, T>, decay: T) {
        let (k, padded, slot) = (self.sizes.k, self.sizes.padded, &self.work.slots[index]);
        let m = slot.seen;
        let (l, seen) = (
            &self.work.l[index * k * k..][..m * m],
            &self.work.seen[index * k..][..m],
        );
        let weight = T::of(slot.rates.metric * (row.weight * slot.trust));
        let decay = if slot.ahead == 0 { decay } else { T::one() };
        for r in 0..m {
            let some = || (0..m).filter(|&s| l[s * m + r] != 0.0);
            // L is lower triangular, so that later columns of a linear model start later; a column of zeros teaches nothing.
            let start = match row.input {
                Input::Features(_) => some().map(|s| self.model.start(seen[s])).min(),
                _ => some().map(|_| 0).min(),
            };
            let (start, decay) = (
                start.unwrap_or(self.sizes.p),
                if r == 0 { decay } else { T::one() },
            );
            let a = self.columns.push(weight, decay, start);
            for s in some() {
                axpy(
                    T::of(l[s * m + r]),
                    &self.work.dz[seen[s] * padded..][..padded],
                    a,
                );
            }
        }
    }

    /// The columns of the last linearisation of an iterated row; the predictive ones stay those of the first.
    fn last_columns(&mut self, index: usize, row: &Row<'_, T>) {
        if self.sizes.k > 1 {
            self.factor_columns(index, row, T::one());
            return;
        }
        let slot = &self.work.slots[index];
        let weight = slot.rates.metric * row.weight * slot.score.1;
        let h = self.columns.push(T::of(weight), T::one(), 0);
        h.copy_from_slice(&self.work.dz);
    }
}

impl<T> Work<T> {
    /// A row of the wave at its z, with the noise as it is reported now.
    pub(crate) fn seen_by<'a>(&'a self, index: usize, k: usize, row: &Row<'a, T>) -> Seen<'a> {
        let (a, b) = self.noise.split_at(self.noise.len() / 2);
        Seen {
            z: &self.z[index * k..(index + 1) * k],
            c: &[],
            y: row.y,
            a,
            b,
        }
    }
}

/// z (k,) and dz (k, padded) of a row.
fn output<T: Scalar>(
    model: &Model,
    theta: &[T],
    input: &Input<'_, T>,
    z: &mut [f64],
    dz: &mut [T],
    p: usize,
    padded: usize,
    work: &mut [T],
) {
    match input {
        Input::Features(u) => model.forward(theta, u, z, dz, padded, work),
        Input::Transition(_) => {} // a recurrent model's, which `run_model` has taken in
        Input::Given { z: given, dz: rows } => {
            z.copy_from_slice(given);
            for (to, from) in dz.chunks_exact_mut(padded).zip(rows.chunks_exact(p)) {
                to[..p].copy_from_slice(from);
            }
        }
    }
}
