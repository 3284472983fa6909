//! More than one linearisation of a row, and the implicit step of a linear model.
//!
//! The prior theta_0, P stays; only the point of linearisation theta_i = theta_0 + d, d = P v, moves. With e the score and L the Fisher
//! factor there,
//!
//! ```text
//! e <- e + L L' dz d,    A = sqrt(w)·dz'L,    d <- (P^-1 + A A')^-1 dz'(w·e) = P dz'x,    x = w·e - A-part of it, (k,)
//! ```
//!
//! is Gauss-Newton on w·nll(theta) + d'P^-1 d/2, whose first step is the ordinary update. The way is halved while that loss rises; over
//! a small step, which the loss itself cannot resolve, its slopes along the way tell. For one output of a linear model
//! z* = z + w·q·e(z*), q = dz P dz', is its exact fixed point. Only products P dz' are needed: k reads of the belief a linearisation.
//! Source: the iterated extended Kalman filter, textbooks; its first step: Ollivier 2018, arXiv 1703.00209.

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, Sizes};
use crate::iterate::Iterate;
use crate::linalg::small::{cholesky, cholesky_solve, solve_lower};
use crate::linalg::{axpy, dot};
use crate::model::Output;
use crate::row::{Input, Row};
use crate::scalar::Scalar;

const HALVINGS: usize = 30;
/// A step of so many posterior standard deviations, squared, is small.
const SMALL: f64 = 1e-8;

impl<T: Scalar> Filter<T> {
    /// Gauss-Newton from the row's own linearisation; leaves dz (k, padded) of the last one in `work.dz`, its L in `work.l`, or the score
    /// of the one output in the slot.
    pub(crate) fn iterate(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        moved: bool,
        most: usize,
    ) -> Result<(), Error> {
        let Some(mut at) = self.iterate.take() else {
            return Ok(());
        };
        let result = self.gauss_newton(index, row, moved, most, &mut at);
        self.iterate = Some(at);
        result
    }

    fn gauss_newton(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        moved: bool,
        most: usize,
        at: &mut Iterate<T>,
    ) -> Result<(), Error> {
        let (Sizes { k, padded, .. }, slot) = (self.sizes, self.work.slots[index]);
        let share = slot.rates.metric * row.weight;
        for j in 0..k {
            let h = self.columns.h(slot.first + j);
            at.dz[0][j * padded..(j + 1) * padded].copy_from_slice(h);
        }
        at.z[0].copy_from_slice(&self.work.z[index * k..(index + 1) * k]);
        at.vectors[0].fill(T::zero());
        at.vectors[1].fill(T::zero());
        let mut seen = std::mem::take(&mut self.work.chosen);
        let m = if k == 1 {
            seen[0] = 0;
            1
        } else {
            self.family.observed(row.y, &mut seen)
        };
        let mut last = 0;
        for _ in 0..most {
            last = 0;
            let linearised = self.linearise(row, moved, share, at, &seen[..m]);
            let small = match linearised {
                Ok(small) => small,
                Err(error) => {
                    self.work.chosen = seen;
                    return Err(error);
                }
            };
            if !self.go(row, share, small, at, &seen[..m]) {
                break; // nowhere to go
            }
            at.dz.swap(0, 1);
            at.z.swap(0, 1);
            last = 1;
        }
        self.work.dz.copy_from_slice(&at.dz[last]);
        self.work.slots[index].seen = m;
        if k == 1 {
            let information = at.squares[0][0] * at.squares[0][0];
            self.work.slots[index].score = (at.small[0][0], information);
        } else {
            self.work.seen[index * k..][..m].copy_from_slice(&seen[..m]);
            self.work.l[index * k * k..][..m * m].copy_from_slice(&at.squares[0][..m * m]);
        }
        self.work.chosen = seen;
        Ok(())
    }

    /// e, L and r at z (m of k outputs), before anything is added to them.
    fn score_at(&self, row: &Row<'_, T>, z: &[f64], seen: &[usize], to: Scored<'_>) {
        let (k, m) = (self.sizes.k, seen.len());
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let here = Seen {
            z,
            c: &[],
            y: row.y,
            a,
            b,
        };
        let Scored { e, l, r, work } = to;
        if k == 1 {
            let (score, information) = self.family.score(&here);
            (e[0], l[0]) = (score, information.sqrt());
            r[0] = if information > 0.0 {
                score / l[0]
            } else {
                f64::NAN
            };
            return;
        }
        let square = &mut l[..m * m];
        if self.family.factor(&here, seen, square, work).is_err() {
            square.fill(f64::NAN);
        }
        self.family.whiten(&here, seen, square, &mut r[..m]);
        if self.family.singular() {
            self.family.gradient(&here, e);
            return;
        }
        for i in 0..m {
            e[i] = (0..m).map(|j| square[i * m + j] * r[j]).sum();
        }
    }

    /// w·nll at z up to a constant.
    fn misfit(&self, row: &Row<'_, T>, z: &[f64], r: &[f64], work: &mut [f64]) -> f64 {
        if self.family.quadratic() {
            return r.iter().map(|r| r * r).sum::<f64>() / 2.0;
        }
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let here = Seen {
            z,
            c: &[],
            y: row.y,
            a,
            b,
        };
        self.family.plugin_nll(&here, work)
    }

    /// The way from d, v to the minimum of the row linearised here, and whether it is small. Cost k reads of the belief.
    fn linearise(
        &mut self,
        row: &Row<'_, T>,
        moved: bool,
        share: f64,
        at: &mut Iterate<T>,
        seen: &[usize],
    ) -> Result<bool, Error> {
        let (Sizes { padded, .. }, m) = (self.sizes, seen.len());
        let decay = if moved {
            1.0
        } else {
            self.work.slots[0].time.decay
        };
        let Iterate {
            dz,
            products,
            vectors,
            z,
            squares,
            small,
            family,
            ..
        } = at;
        let [d, v, way, way_v, ..] = vectors;
        let ([l, c, s], [e, r, x, other]) = (squares, small);
        let to = Scored {
            e,
            l,
            r,
            work: family,
        };
        self.score_at(row, &z[0], seen, to);
        let column = |j: usize| &dz[0][j * padded..(j + 1) * padded];
        // e <- e + L L' dz d, r <- r + L' dz d
        for (i, &j) in seen.iter().enumerate() {
            x[i] = dot(column(j), d).to_f64();
        }
        for j in 0..m {
            other[j] = (0..m).map(|i| l[i * m + j] * x[i]).sum();
            r[j] += other[j];
        }
        for i in 0..m {
            e[i] += (0..m).map(|j| l[i * m + j] * other[j]).sum::<f64>();
        }
        // C = dz P dz'
        let section = if moved {
            self.next.belief()
        } else {
            self.state.belief()
        };
        for (i, &j) in seen.iter().enumerate() {
            let product = &mut products[i * padded..(i + 1) * padded];
            let q = self.belief.variance(section, column(j), product).to_f64();
            c[i * m + i] = q / decay;
            for (h, &other) in seen[..i].iter().enumerate() {
                let entry = dot(column(other), product).to_f64() / decay;
                (c[i * m + h], c[h * m + i]) = (entry, entry);
            }
        }
        // x = w·e - sqrt(w) L S^-1 sqrt(w) L'C w·e, with S = I + w·L'C L
        for (x, e) in x.iter_mut().zip(&*e) {
            *x = share * e;
        }
        for i in 0..m {
            for j in 0..m {
                let mut sum = 0.0;
                for p in 0..m {
                    for q in 0..m {
                        sum += l[p * m + i] * c[p * m + q] * l[q * m + j];
                    }
                }
                s[i * m + j] = share * sum + f64::from(i == j);
            }
        }
        for i in 0..m {
            let mut sum = 0.0;
            for p in 0..m {
                for q in 0..m {
                    sum += l[p * m + i] * c[p * m + q] * x[q];
                }
            }
            other[i] = sum;
        }
        let s = &mut s[..m * m];
        cholesky(s, m).map_err(|_| Error::Overflow)?;
        cholesky_solve(s, m, &mut other[..m]);
        for i in 0..m {
            x[i] -= share * (0..m).map(|j| l[i * m + j] * other[j]).sum::<f64>();
        }
        for (way, x) in [(&mut *way, &*d), (&mut *way_v, &*v)] {
            way.iter_mut().zip(&x[..]).for_each(|(to, &x)| *to = -x);
        }
        for (i, &j) in seen.iter().enumerate() {
            let product = &products[i * padded..(i + 1) * padded];
            axpy(T::of(x[i] / decay), product, way);
            axpy(T::of(x[i]), column(j), way_v);
        }
        let mut size = dot(way, way_v).to_f64();
        for (i, &j) in seen.iter().enumerate() {
            other[i] = dot(column(j), way).to_f64();
        }
        for j in 0..m {
            let along: f64 = (0..m).map(|i| l[i * m + j] * other[i]).sum();
            size += share * along * along;
        }
        // the gauges of this linearisation
        at.rho = (0..m)
            .map(|i| s[i * m + i] * s[i * m + i] - 1.0)
            .fold(0.0, f64::max);
        other[..m].copy_from_slice(&r[..m]);
        solve_lower(s, m, &mut other[..m]);
        at.distance = row.weight * other[..m].iter().map(|r| r * r).sum::<f64>();
        Ok(size < SMALL)
    }

    /// Goes the way, or a part of it that does not make the loss rise; whether there was one.
    fn go(
        &mut self,
        row: &Row<'_, T>,
        share: f64,
        small: bool,
        at: &mut Iterate<T>,
        seen: &[usize],
    ) -> bool {
        let before = self.height(row, share, small, at, seen, false);
        let mut part = T::of(2.0);
        for _ in 0..=HALVINGS {
            part *= T::of(0.5);
            let [d, v, way, way_v, d_new, v_new, theta] = &mut at.vectors;
            for (to, from, way) in [(&mut *d_new, &*d, &*way), (&mut *v_new, &*v, &*way_v)] {
                for ((to, &from), &way) in to.iter_mut().zip(&from[..]).zip(&way[..]) {
                    *to = from + part * way;
                }
            }
            for ((to, &x), &d) in theta.iter_mut().zip(self.next.theta()).zip(&d_new[..]) {
                *to = x + d;
            }
            self.look(row, at);
            let after = self.height(row, share, small, at, seen, true);
            let rise = if small {
                before + after
            } else {
                after - before
            };
            if rise <= 0.0 {
                at.vectors.swap(0, 4);
                at.vectors.swap(1, 5);
                return true;
            }
        }
        false
    }

    /// z, clamped, and dz at the theta that is tried.
    fn look(&mut self, row: &Row<'_, T>, at: &mut Iterate<T>) {
        let (Sizes { k, padded, .. }, theta) = (self.sizes, &at.vectors[6]);
        let (z, dz) = (&mut at.z[1], &mut at.dz[1]);
        let Input::Features(u) = row.input else {
            return;
        };
        dz.fill(T::zero());
        self.model
            .forward(theta, u, z, dz, padded, &mut self.work.model);
        for j in 0..k {
            if self.model.linear() {
                z[j] = dot(&dz[j * padded..(j + 1) * padded], theta).to_f64();
            }
            z[j] += row.offset[j];
        }
        self.family.clamp(z, self.limits.z_clamp);
    }

    /// The loss here or where it tries to go; for a small way its slope along it.
    fn height(
        &self,
        row: &Row<'_, T>,
        share: f64,
        small: bool,
        at: &mut Iterate<T>,
        seen: &[usize],
        there: bool,
    ) -> f64 {
        let (padded, m, side) = (self.sizes.padded, seen.len(), usize::from(there));
        let Iterate {
            dz,
            vectors,
            z,
            trial: [e, l, r],
            family,
            ..
        } = at;
        let to = Scored {
            e,
            l,
            r,
            work: family,
        };
        self.score_at(row, &z[side], seen, to);
        let (d, v) = (&vectors[4 * side], &vectors[4 * side + 1]);
        if !small {
            let loss = self.misfit(row, &z[side], &r[..m], family);
            return share * loss + dot(d, v).to_f64() / 2.0;
        }
        let way = &vectors[2];
        let mut slope = dot(v, way).to_f64();
        for (i, &j) in seen.iter().enumerate() {
            let along = dot(&dz[side][j * padded..(j + 1) * padded], way);
            slope -= share * e[i] * along.to_f64();
        }
        slope
    }

    /// One output of a linear model: the score at z* itself, in the slot. The root lies between z and z + w·q·e(z), for e falls in z.
    pub(crate) fn implicit(
        &mut self,
        index: usize,
        row: &Row<'_, T>,
        moved: bool,
    ) -> Result<(), Error> {
        let slot = self.work.slots[index];
        let (section, decay) = if moved {
            (self.next.belief(), 1.0)
        } else {
            (self.state.belief(), slot.time.decay)
        };
        let h = self.columns.h(slot.first);
        let variance = self
            .belief
            .variance(section, h, &mut self.work.diagonal)
            .to_f64();
        let q = slot.rates.metric * row.weight * variance / decay;
        let z = self.work.z[index];
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let score = |t: f64| {
            self.family.score(&Seen {
                z: &[t],
                c: &[],
                y: row.y,
                a,
                b,
            })
        };
        let reached = |t: f64| z + q * score(t).0;
        let (mut low, mut high) = (z.min(reached(z)), z.max(reached(z)));
        if !(high - low).is_finite() {
            return Err(Error::Overflow);
        }
        let mut middle = low + (high - low) / 2.0;
        while low < middle && middle < high {
            if middle < reached(middle) {
                low = middle;
            } else {
                high = middle;
            }
            middle = low + (high - low) / 2.0;
        }
        let (e, information) = score(middle);
        self.work.slots[index].score = (e + information * (middle - z), information);
        Ok(())
    }
}

/// What `score_at` fills: e (k,), L (k, k), r (k,); work (k² + k,).
struct Scored<'a> {
    e: &'a mut [f64],
    l: &'a mut [f64],
    r: &'a mut [f64],
    work: &'a mut [f64],
}
