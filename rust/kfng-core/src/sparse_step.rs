//! The step of sparse rows (sparse.rs): of variances alone, Kalman or plain forgetting.

use crate::belief::{Belief, Uncertainty};
use crate::error::{Error, fault};
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, gain};
use crate::lapse::Lapse;
use crate::linalg::largest;
use crate::linalg::sweep::{Change, learn};
use crate::model::Model;
use crate::row::{Block, FLAG_SKIPPED, Report, Row};
use crate::rule::{Rule, Time};
use crate::scalar::Scalar;
use crate::sparse::{Source, Sparse, SparseRows};
use crate::state::{CLAMPED, ELAPSED, LOG_SINCE, MISSING, N_SEEN, N_UPDATES, WINDUP, finite};

impl<T: Scalar> Filter<T> {
    /// Whether sparse rows have a way of their own.
    pub fn takes_sparse(&self) -> bool {
        self.lean.is_some() && matches!(self.rule, Rule::Kalman(_) | Rule::Fading(_))
    }

    /// Takes sparse rows in order; `block` has no inputs. Returns how many, and the error of the next one, which changed nothing.
    pub fn run_sparse(
        &mut self,
        rows: &SparseRows<'_, T>,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> (usize, Option<Error>) {
        let (m, scales) = (block.len(), self.sizes.scales);
        let fits = block.fits(Some(0), 1, self.sizes.width, self.sizes.p, 0);
        if !(fits && report.fits(m, 1, scales)) {
            return (0, Some(misfit()));
        }
        let mut sparse = match self.begin_sparse(rows, m) {
            Ok(sparse) => sparse,
            Err(error) => return (0, Some(error)),
        };
        let mut end = (m, None);
        for i in 0..m {
            let row = block.row(i, 0, 1, self.sizes.width);
            if let Err(error) = self.sparse_step(&mut sparse, &row, rows.row(i), i, report) {
                end = (i, Some(error));
                break;
            }
        }
        self.end_sparse(sparse);
        end
    }

    /// z and C (n,) of sparse rows at the present time, one offset each; nothing changes.
    pub fn predict_sparse(
        &mut self,
        rows: &SparseRows<'_, T>,
        offset: &[f64],
        z: &mut [f64],
        c: &mut [f64],
    ) -> Result<(), Error> {
        if z.len() != offset.len() || c.len() != offset.len() {
            return Err(misfit());
        }
        let mut sparse = self.begin_sparse(rows, offset.len())?;
        for (i, &offset) in offset.iter().enumerate() {
            let sums = sparse.gather(rows.row(i), &self.gathered_from());
            let at = &mut z[i..=i];
            at[0] = sums.z.to_f64() + offset;
            self.family.clamp(at, self.limits.z_clamp);
            c[i] = sums.q.to_f64();
        }
        self.end_sparse(sparse);
        Ok(())
    }

    /// Brings all variances up to date, where time has passed for some. Cost O(p) then.
    pub fn settle(&mut self) {
        let Some(mut sparse) = self.lean.as_mut().and_then(|lean| lean.sparse.take()) else {
            return;
        };
        if sparse.lapse.as_ref().is_some_and(Lapse::pending) {
            self.catch_up(&mut sparse);
        }
        self.end_sparse(sparse);
    }

    fn begin_sparse(
        &mut self,
        rows: &SparseRows<'_, T>,
        m: usize,
    ) -> Result<Box<Sparse<T>>, Error> {
        let longest = rows.fits(m, self.sizes.d).ok_or_else(misfit)?;
        let (p, takes) = (self.sizes.p, self.takes_sparse());
        let lean = self.lean.as_mut().filter(|_| takes).ok_or_else(misfit)?;
        let mut sparse = match lean.sparse.take() {
            Some(sparse) => sparse,
            None => Box::new(Sparse::new(&self.rule, p)?),
        };
        if let Err(error) = sparse.make_room(longest) {
            lean.sparse = Some(sparse);
            return Err(error);
        }
        Ok(sparse)
    }

    fn end_sparse(&mut self, sparse: Box<Sparse<T>>) {
        if let Some(lean) = &mut self.lean {
            lean.sparse = Some(sparse);
        }
    }

    fn gathered_from(&self) -> Source<'_, T> {
        let intercept = matches!(&self.model, Model::Linear(model) if model.has_intercept());
        Source {
            theta: self.state.theta(),
            v: self.state.belief(),
            prior: self.belief.prior_variances(),
            bound: self.limits.windup.map_or(f64::INFINITY, |most| most / 2.0),
            intercept: intercept.then_some(self.sizes.d),
        }
    }

    /// Row `i` of a block; on an error nothing has changed.
    fn sparse_step(
        &mut self,
        sparse: &mut Sparse<T>,
        row: &Row<'_, T>,
        numbers: (&[i64], &[T]),
        i: usize,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let before = &self.state.wide;
        let (n_seen, since, t) = (before[N_SEEN], before[LOG_SINCE], before[N_UPDATES] + 1.0);
        let learns = row.weight != 0.0 && !self.family.missing(row.y);
        let time = self.rule.time(row.dt, t, learns, self.limits.log_floor)?;
        let due = time.passes && self.limits.due(n_seen, since + time.log_decay);
        self.let_pass(sparse, time, due)?;
        let taken = self.take_sparse(sparse, row, numbers, (time, due, learns), i, report);
        if taken.is_ok() {
            self.write(sparse, learns);
        } else if let Some(lapse) = &mut sparse.lapse {
            lapse.undo();
        }
        taken
    }

    /// What a row teaches, into the workspace and `next`.
    fn take_sparse(
        &mut self,
        sparse: &mut Sparse<T>,
        row: &Row<'_, T>,
        numbers: (&[i64], &[T]),
        (time, due, learns): (Time, bool, bool),
        i: usize,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let wide = &mut self.next.wide;
        wide.copy_from_slice(&self.state.wide);
        wide[N_SEEN] += 1.0;
        wide[ELAPSED] += row.dt;
        wide[LOG_SINCE] = if due {
            0.0
        } else {
            wide[LOG_SINCE] + time.log_decay
        };
        if let Some(noise) = &self.scale {
            noise.fade(wide, time.decay);
        }
        self.note_noise();
        let m = self.sizes.scales;
        let (a, b) = self.work.noise.split_at(m);
        report.a[i * m..(i + 1) * m].copy_from_slice(a);
        report.b[i * m..(i + 1) * m].copy_from_slice(b);
        let seen = sparse.gather(
            if row.blank { (&[], &[]) } else { numbers },
            &self.gathered_from(),
        );
        let (mut z, c) = ([seen.z.to_f64() + row.offset[0]], seen.q.to_f64());
        if !(z[0].is_finite() && c.is_finite()) {
            return Err(Error::Overflow);
        }
        if row.blank {
            (report.z[i], report.c[i]) = (f64::NAN, f64::NAN);
        } else {
            let clamped = self.family.clamp(&mut z, self.limits.z_clamp);
            self.next.wide[CLAMPED] += f64::from(clamped);
            (report.z[i], report.c[i]) = (z[0], c);
        }
        if learns {
            self.learn_sparse(sparse, row, (z, seen.q), i, report)?;
        } else {
            self.next.wide[MISSING] += f64::from(self.family.missing(row.y));
            report.flags[i] = FLAG_SKIPPED;
        }
        if finite(&self.next.wide) {
            Ok(())
        } else {
            Err(Error::Overflow)
        }
    }

    fn learn_sparse(
        &mut self,
        sparse: &mut Sparse<T>,
        row: &Row<'_, T>,
        (z, q): ([f64; 1], T),
        i: usize,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let score = self.family.score(&Seen {
            z: &z,
            c: &[],
            y: row.y,
            a,
            b,
        });
        let weight = T::of(row.weight * score.1);
        let alpha = T::one() + weight * q;
        let (gain, fit) = gain(
            (alpha.to_f64(), q.to_f64()),
            1.0,
            score,
            row.weight,
            self.limits.step_clip,
        )?;
        let change = Change {
            inverse_decay: T::one(),
            gain: T::of(gain),
            weight,
            alpha,
            keeps_precision: matches!(&self.belief, Belief::Diagonal(own) if own.keeps_precision()),
        };
        learn(&mut sparse.theta, &mut sparse.v, &sparse.h, change, None);
        self.account(&fit, 1, row, i, report);
        if finite(&sparse.theta) && finite(&sparse.v) {
            Ok(())
        } else {
            Err(Error::Overflow)
        }
    }

    /// Writes a row; nothing can fail any more.
    fn write(&mut self, sparse: &mut Sparse<T>, learns: bool) {
        if learns {
            let (theta, v) = self.state.narrow.split_at_mut(self.sizes.padded);
            for (&j, (&to_theta, &to_v)) in
                sparse.places.iter().zip(sparse.theta.iter().zip(&sparse.v))
            {
                (theta[j], v[j]) = (to_theta, to_v);
            }
            if let Some(lapse) = &mut sparse.lapse {
                sparse.places.iter().for_each(|&j| lapse.touch(j));
                self.next.wide[WINDUP] += sparse.pulls as f64;
            }
            if let Some(lean) = &mut self.lean {
                lean.bounds = None;
            }
        }
        std::mem::swap(&mut self.state.wide, &mut self.next.wide);
    }

    /// Time passes for all variances; none of them can overflow by it.
    fn let_pass(&mut self, sparse: &mut Sparse<T>, time: Time, due: bool) -> Result<(), Error> {
        let (inverse, most) = (
            (T::one() / T::of(time.decay)).to_f64(),
            T::MAX.to_f64() / 4.0,
        );
        let starts = |lapse: &Lapse| !lapse.pending() || lapse.is_full(inverse, most);
        if sparse.lapse.as_ref().is_some_and(starts) {
            self.catch_up(sparse);
        }
        if let Some(lapse) = &mut sparse.lapse {
            let fits = lapse.top * inverse <= most;
            if !fits {
                return Err(Error::Overflow);
            }
            lapse.pass(inverse, due);
        }
        Ok(())
    }

    fn catch_up(&mut self, sparse: &mut Sparse<T>) {
        let Some(lapse) = &mut sparse.lapse else {
            return;
        };
        let bound = self.limits.windup.map_or(f64::INFINITY, |most| most / 2.0);
        let v = &mut self.state.narrow[self.sizes.padded..];
        if lapse.pending() {
            let priors = self.belief.prior_variances();
            for (j, (v, &prior)) in v.iter_mut().zip(priors).enumerate() {
                let (now, pulls) = lapse.now(j, v.to_f64(), prior, bound);
                *v = T::of(now);
                self.state.wide[WINDUP] += f64::from(pulls);
            }
            if let Some(lean) = &mut self.lean {
                lean.bounds = None;
            }
        }
        lapse.start(largest(v).to_f64());
    }
}

fn misfit() -> Error {
    Error::Shape(fault(
        "block",
        "sparse rows of one number of rows",
        "others",
    ))
}
