//! One row of a joint filter: propose, validate, commit.

use super::{Fared, Joint, Row};
use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::linalg::{self, axpy, dot};
use crate::scalar::Scalar;

impl<T: Scalar> Joint<T> {
    /// Lets the row's time pass, predicts, learns from y. With `commit` false, or on an error, nothing has changed.
    ///
    /// - z: (k,), c: (k, k): output, clamped, and its covariance before y is used; NaN where the row is blank
    pub fn step(
        &mut self,
        row: &Row<'_>,
        commit: bool,
        z: &mut [f64],
        c: &mut [f64],
    ) -> Result<Fared, Error> {
        self.move_on(row);
        self.columns.clear();
        let mut fared = Fared {
            nis: f64::NAN,
            ..Fared::default()
        };
        if row.blank {
            z.fill(f64::NAN);
            c.fill(f64::NAN);
        } else {
            z.copy_from_slice(row.output);
            fared.clamped = self.family.clamp(z, self.limits.z_clamp);
            if self.k == 1 {
                self.one(row, z, c, &mut fared)?;
            } else {
                self.many(row, z, c, &mut fared)?;
            }
            if !(z.iter().all(|z| z.is_finite()) && c.iter().all(|c| c.is_finite())) {
                return Err(Error::Overflow);
            }
        }
        if !self.next.is_finite() {
            return Err(Error::Overflow);
        }
        if commit {
            std::mem::swap(&mut self.state, &mut self.next);
        }
        Ok(fared)
    }

    /// s- and P <- F P F'/decay + Q.
    fn move_on(&mut self, row: &Row<'_>) {
        let (n, m, work) = (self.n, self.layout.p(), &mut self.work);
        self.next.x.copy_from_slice(&self.state.x);
        for (to, &s) in self.next.x.iter_mut().zip(row.state) {
            *to = T::of(s);
        }
        work.f_theta.clear();
        for (i, f) in row.transition.chunks_exact(m).enumerate() {
            let (f_s, f_theta) = f.split_at(n);
            let to = work.f_s[i * n..(i + 1) * n].iter_mut();
            to.chain(work.row.iter_mut())
                .zip(f_s.iter().chain(f_theta))
                .for_each(|(to, &x)| *to = T::of(x));
            work.f_theta.push_row(i, &work.row);
        }
        let (root, time) = match row.noise {
            Some(noise) => {
                (work.root.iter_mut().zip(noise)).for_each(|(to, &x)| *to = T::of(x));
                (&work.root, 1.0)
            }
            None => (&self.noise, row.dt),
        };
        work.times.fill(T::of(time));
        linalg::transition(
            &self.layout,
            n,
            (&self.state.u, &self.state.d),
            (&mut self.next.u, &mut self.next.d),
            T::of(1.0 / row.decay),
            &work.f_s,
            &work.f_theta,
            (&work.times, root),
            &mut work.transition,
        );
        self.diffuse(row.owed);
    }

    /// The parameters' noise of a time. Cost O(m²) for each column of its root.
    fn diffuse(&mut self, time: f64) {
        let (n, a, time) = (self.n, &mut self.work.dx, T::of(time));
        let (layout, next) = (&self.layout, &mut self.next);
        if time == T::zero() {
            return;
        }
        for (i, &variance) in self.variances.iter().enumerate() {
            if variance > T::zero() {
                let a = &mut a[..=n + i];
                a.fill(T::zero());
                a[n + i] = T::one();
                linalg::add_outer(layout, &mut next.u, &mut next.d, variance * time, a);
            }
        }
        for root in self.roots.chunks_exact((layout.p() - n).max(1)) {
            let a = &mut a[..layout.p()];
            a[..n].fill(T::zero());
            a[n..].copy_from_slice(root);
            linalg::add_outer(layout, &mut next.u, &mut next.d, time, a);
        }
    }

    /// One output: a single column H with Fisher weight w·L².
    fn one(
        &mut self,
        row: &Row<'_>,
        z: &[f64],
        c: &mut [f64],
        fared: &mut Fared,
    ) -> Result<(), Error> {
        let (e, information) = if row.learns {
            self.family.score(&seen_at(z, row))
        } else {
            (0.0, 0.0)
        };
        push(&mut self.columns, row.weight * information, row.jacobian);
        self.fuse()?;
        c[0] = self.columns.q(0).to_f64();
        if !row.learns {
            return Ok(());
        }
        let alpha = self.columns.alpha(0).to_f64();
        let mut gain = row.weight * e / alpha;
        if !(gain.is_finite() && alpha.is_finite()) {
            return Err(Error::Overflow);
        }
        fared.clipped = gain.abs() * c[0] > self.limits.step_clip;
        if fared.clipped {
            gain = gain.signum() * (self.limits.step_clip / c[0]);
        }
        axpy(T::of(gain), self.columns.b(0), &mut self.next.x);
        self.family.observed(row.y, &mut self.work.seen);
        fared.degrees = self.family.degrees(1);
        if information > 0.0 {
            fared.nis = row.weight * (e * e / information) / alpha;
        }
        Ok(())
    }

    /// Several outputs: rows of H with weight 0, then H'L with weight w in residual form; a singular L: last H'e with weight 0.
    fn many(
        &mut self,
        row: &Row<'_>,
        z: &[f64],
        c: &mut [f64],
        fared: &mut Fared,
    ) -> Result<(), Error> {
        let (k, m, singular) = (self.k, self.layout.p(), self.family.singular());
        for h in row.jacobian.chunks_exact(m) {
            push(&mut self.columns, 0.0, h);
        }
        let seen = if row.learns {
            self.family.observed(row.y, &mut self.work.seen)
        } else {
            0
        };
        if row.learns {
            self.push_factor(row, z, seen)?;
        }
        self.fuse()?;
        for j in 0..k {
            for l in 0..=j {
                let x = dot(self.columns.h(l), self.columns.b(j)).to_f64();
                (c[j * k + l], c[l * k + j]) = (x, x);
            }
        }
        if !row.learns {
            return Ok(());
        }
        let work = &mut self.work;
        let l = &work.l[..seen * seen];
        let residuals = &mut work.small[..seen];
        self.family
            .whiten(&seen_at(z, row), &work.seen[..seen], l, residuals);
        let dx = &mut work.dx[..];
        dx.fill(T::zero());
        fared.nis = 0.0;
        for (r, residual) in residuals.iter().enumerate() {
            let residual = residual - dot(self.columns.h(k + r), dx).to_f64();
            let alpha = self.columns.alpha(k + r).to_f64();
            axpy(
                T::of(row.weight * residual / alpha),
                self.columns.b(k + r),
                dx,
            );
            fared.nis += row.weight * residual * residual / alpha;
        }
        fared.degrees = self.family.degrees(seen);
        let mut scale = 1.0;
        if singular {
            dx.copy_from_slice(self.columns.b(k + seen));
            scale = row.weight;
        }
        if self.limits.step_clip.is_finite() {
            let change = &mut work.small[..k];
            for (j, change) in change.iter_mut().enumerate() {
                *change = dot(self.columns.h(j), dx).to_f64() * scale;
            }
            let most = self.family.reach(change);
            fared.clipped = most > self.limits.step_clip;
            if fared.clipped {
                scale *= self.limits.step_clip / most;
            }
        }
        axpy(T::of(scale), dx, &mut self.next.x);
        Ok(())
    }

    /// The columns of H'L, and of H'e where L is singular.
    fn push_factor(&mut self, row: &Row<'_>, z: &[f64], seen: usize) -> Result<(), Error> {
        let (m, work) = (self.layout.p(), &mut self.work);
        let (chosen, l) = (&work.seen[..seen], &mut work.l[..seen * seen]);
        let at = seen_at(z, row);
        self.family.factor(&at, chosen, l, &mut work.small)?;
        for r in 0..seen {
            let h = self.columns.push(T::of(row.weight), T::one(), 0);
            for (i, &output) in chosen.iter().enumerate() {
                add(l[i * seen + r], &row.jacobian[output * m..][..m], h);
            }
        }
        if self.family.singular() {
            self.family.gradient(&at, &mut work.e);
            let h = self.columns.push(T::zero(), T::one(), 0);
            for (e, row) in work.e.iter().zip(row.jacobian.chunks_exact(m)) {
                add(*e, row, h);
            }
        }
        Ok(())
    }

    fn fuse(&mut self) -> Result<(), Error> {
        let (next, columns) = (&mut self.next, &mut self.columns);
        let range = 0..columns.len();
        let growth = linalg::fuse(&self.layout, None, &mut next.u, &mut next.d, columns, range);
        if growth.is_finite() {
            Ok(())
        } else {
            Err(Error::Overflow)
        }
    }
}

fn seen_at<'a>(z: &'a [f64], row: &Row<'a>) -> Seen<'a> {
    Seen {
        z,
        c: &[],
        y: row.y,
        a: &[],
        b: &[],
    }
}

fn push<T: Scalar>(columns: &mut linalg::Columns<T>, weight: f64, row: &[f64]) {
    let h = columns.push(T::of(weight), T::one(), 0);
    h.iter_mut().zip(row).for_each(|(to, &x)| *to = T::of(x));
}

fn add<T: Scalar>(c: f64, row: &[f64], h: &mut [T]) {
    h.iter_mut()
        .zip(row)
        .for_each(|(to, &x)| *to += T::of(c * x));
}
