//! The part of a step that a recurrent model adds.
//!
//! ```text
//! s- = f(s, theta, u);  ds <- f_s·ds + f_theta        partials at the corrected s and theta of the row before
//! z = h(s-, theta);     dz = h_s·ds + h_theta         then as for any other model
//! s = s- + ds·dphi                                    the state correction, part of the algorithm
//! ```
//!
//! `state` holds s and ds before the row, `next` after it. Source: Ollivier 2018, arXiv 1703.00209, section 3.

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::field::filled;
use crate::filter::Filter;
use crate::linalg::{axpy, dot, multiply};
use crate::model::{Model, Output, Readout};
use crate::recurrence::Recurrence;
use crate::row::{Input, Report, Row, Transition};
use crate::scalar::Scalar;
use crate::sensitivity::{add_terms, mix, signs};
use crate::state::{BOUND, N_SEEN, State};
use crate::turns::LOG_D;

impl<T: Scalar> Filter<T> {
    /// s- and ds of the row into `next`, z into its place and dz (k, padded) into the workspace. Whether the model is recurrent.
    pub(crate) fn run_model(&mut self, row: &Row<'_, T>) -> Result<bool, Error> {
        let (k, padded) = (self.sizes.k, self.sizes.padded);
        let Some(at) = &mut self.recurrence else {
            return Ok(false);
        };
        let (before, next) = (&self.state, &mut self.next);
        if row.blank {
            next.influence.copy_from_slice(&before.influence);
            return Ok(true);
        }
        let (z, dz) = (&mut self.work.z[..k], &mut self.work.dz[..]);
        let theta = &before.theta()[at.sizes.free..];
        let mut readout = Readout::default();
        match row.input {
            Input::Transition(given) => {
                next.state.copy_from_slice(given.state);
                z.copy_from_slice(given.z);
            }
            Input::Features(u) => {
                readout = cell(&self.model, at, theta, (&before.state, u), next, z);
            }
            Input::Given { .. } => return Err(Error::Overflow), // refused before it comes here
        }
        if !next.state.iter().all(T::is_finite) {
            return Err(Error::Overflow);
        }
        let limit = self.limits.influence;
        let given = match row.input {
            Input::Transition(given) => Some(given),
            _ => None,
        };
        let restarts = if at.random() {
            random(at, before, next, given, padded, limit)?
        } else {
            exact(at, before, next, given, padded, limit)?
        };
        next.memory[at.memory.restarts()] += restarts;
        total(at, theta, next, given, readout, dz, padded);
        Ok(true)
    }

    /// After what the row taught: s moves along with phi, and what the next row needs to know of this one.
    pub(crate) fn finish_recurrent(&mut self, row: &Row<'_, T>, i: usize, report: &Report<'_>) {
        let (k, padded) = (self.sizes.k, self.sizes.padded);
        let Some(at) = &self.recurrence else { return };
        let moved = self.work.slots[0].learns || self.turns.is_some();
        if at.corrects && moved && !row.blank {
            let to = &mut self.work.dtheta;
            let moves = self.next.theta().iter().zip(self.state.theta());
            to.iter_mut()
                .zip(moves)
                .for_each(|(to, (&x, &x_0))| *to = x - x_0);
            let rows = self.next.influence.chunks_exact(padded);
            for (s, ds) in self.next.state.iter_mut().zip(rows) {
                *s += dot(ds, to);
            }
        }
        if !at.echoes {
            return;
        }
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let mean = &mut self.work.small[..k];
        let seen = Seen {
            z: &report.z[i * k..(i + 1) * k],
            c: &[],
            y: row.y,
            a,
            b,
        };
        self.family.mean(&seen, mean);
        let (feedback, rest) = self.next.memory.split_at_mut(2 * k);
        for j in 0..k {
            let (y, there) = (row.y[j], !row.y[j].is_nan());
            feedback[j] = if there { y } else { 0.0 };
            feedback[k + j] = f64::from(there);
            let residual = if there && !row.blank {
                y - mean[j]
            } else {
                0.0
            };
            rest[k + j] += residual * rest[j];
            rest[2 * k + j] += residual * residual;
            rest[j] = residual;
        }
    }

    /// Begins a sequence: s at `state`, or the initial one; where s_0 is unknown it is so again, and independent of theta.
    pub fn reset_state(&mut self, state: Option<&[f64]>) -> Result<(), Error> {
        let (k, padded) = (self.sizes.k, self.sizes.padded);
        let Some(at) = &self.recurrence else {
            return Ok(());
        };
        let (n, free) = (at.sizes.n, at.sizes.free);
        let mut start = filled(free)?;
        let now = &mut self.state;
        match state {
            Some(given) => {
                let given = given.iter().map(|&x| T::of(x));
                now.state.iter_mut().zip(given).for_each(|(to, x)| *to = x);
            }
            None => now.state.copy_from_slice(&at.state_0),
        }
        at.start(&mut now.influence, padded);
        now.memory[..2 * k].fill(0.0);
        now.memory[2 * k..3 * k].fill(0.0);
        if free > 0 {
            start.copy_from_slice(&now.state[..n]);
            now.theta_mut()[..n].copy_from_slice(&start);
            self.belief.restart(now.belief_mut(), &at.belief_0, n);
            if !now.turns.is_empty() {
                now.turns[LOG_D..LOG_D + n].fill(0.0);
            }
            now.wide[BOUND] = self.belief.settle(now.belief(), 1.0, f64::INFINITY)?;
        }
        Ok(())
    }
}

/// One step of a model that lives here.
fn cell<T: Scalar>(
    model: &Model,
    at: &mut Recurrence<T>,
    theta: &[T],
    (s, u): (&[T], &[T]),
    next: &mut State<T>,
    z: &mut [f64],
) -> Readout {
    let Recurrence {
        structure: Some(structure),
        partials,
        ..
    } = at
    else {
        return Readout::default();
    };
    model.advance(theta, s, u, structure, partials);
    next.state.copy_from_slice(&partials.state);
    model.readout(theta, &next.state, z)
}

/// ds <- f_s ds + f_theta, then the bound; returns how many rows it set to 0.
fn exact<T: Scalar>(
    at: &mut Recurrence<T>,
    before: &State<T>,
    next: &mut State<T>,
    given: Option<Transition<'_, T>>,
    padded: usize,
    limit: Option<f64>,
) -> Result<f64, Error> {
    let free = at.sizes.free;
    let f_s = given.map_or(&at.partials.f_s[..], |given| given.f_s);
    at.plan
        .propagate(f_s, &before.influence, &mut next.influence, padded);
    if let Some(given) = given {
        let p = at.sizes.p;
        let rows = next.influence.chunks_exact_mut(padded);
        for (ds, f_theta) in rows.zip(given.f_theta.chunks_exact(p)) {
            axpy(T::one(), f_theta, &mut ds[free..free + p]);
        }
    } else if let Some(structure) = &at.structure {
        add_terms(
            structure,
            &mut at.partials,
            &mut next.influence,
            padded,
            free,
        );
    }
    let mut restarts = 0.0;
    for ds in next.influence.chunks_exact_mut(padded) {
        // The sum of squares bounds the largest entry, and is finite where all are.
        let squares = dot(ds, ds).to_f64();
        match limit {
            Some(limit) if squares <= limit * limit => {}
            Some(limit) => {
                let fine = |x: &T| x.to_f64().abs() <= limit;
                if !ds.iter().all(fine) {
                    ds.fill(T::zero());
                    restarts += 1.0;
                }
            }
            None if squares.is_finite() || ds.iter().all(T::is_finite) => {}
            None => return Err(Error::Overflow),
        }
    }
    Ok(restarts)
}

/// s~ and theta~ after a step, then the bound; returns how many rows of s~ theta~' it set to 0.
fn random<T: Scalar>(
    at: &mut Recurrence<T>,
    before: &State<T>,
    next: &mut State<T>,
    given: Option<Transition<'_, T>>,
    padded: usize,
    limit: Option<f64>,
) -> Result<f64, Error> {
    let (n, from, p) = (at.sizes.n, at.along_from(), at.sizes.p);
    let f_s = given.map_or(&at.partials.f_s[..], |given| given.f_s);
    let (s, theta) = before.influence.split_at(from);
    for (to, f_s) in at.products.iter_mut().zip(f_s.chunks_exact(n)) {
        *to = dot(f_s, &s[..n]);
    }
    signs(at.seed, before.wide[N_SEEN] as u64, &mut at.signs);
    at.along.fill(T::zero());
    let (nu, along) = (&at.signs, &mut at.along);
    if let Some(given) = given {
        for (&nu, f_theta) in nu.iter().zip(given.f_theta.chunks_exact(p)) {
            axpy(nu, f_theta, &mut along[..p]);
        }
    } else if let Some(structure) = &at.structure {
        structure.each(&mut at.partials, |term, c, vector| {
            let to = &mut along[term.start..term.start + vector.len()];
            axpy(c * nu[term.row], vector, to);
        });
    }
    let (to_s, to_theta) = next.influence.split_at_mut(from);
    mix(&at.products, nu, along, theta, &mut to_s[..n], to_theta);
    let largest = |x: &[T]| {
        x.iter().fold(0.0, |most: f64, x| match x.to_f64().abs() {
            x if x > most || x.is_nan() => x,
            _ => most,
        })
    };
    debug_assert!(to_theta.len() == padded);
    let reach = largest(to_s) * largest(to_theta);
    let finite = to_s.iter().chain(&*to_theta).all(T::is_finite);
    match limit {
        Some(limit) if finite && reach <= limit => Ok(0.0),
        Some(_) => {
            next.influence.fill(T::zero());
            Ok(n as f64)
        }
        None if finite => Ok(0.0),
        None => Err(Error::Overflow),
    }
}

/// dz = h_s ds + h_theta, (k, padded).
fn total<T: Scalar>(
    at: &Recurrence<T>,
    theta: &[T],
    next: &State<T>,
    given: Option<Transition<'_, T>>,
    readout: Readout,
    dz: &mut [T],
    padded: usize,
) {
    let (n, free, p, k) = (at.sizes.n, at.sizes.free, at.sizes.p, at.memory.k);
    let (h_s, h) = match given {
        Some(given) => (given.h_s, n),
        None => (&theta[readout.weights..readout.biases], readout.h),
    };
    if at.random() {
        let (s, along) = next.influence.split_at(at.along_from());
        for (dz, h_s) in dz.chunks_exact_mut(padded).zip(h_s.chunks_exact(h)) {
            dz.fill(T::zero());
            axpy(dot(h_s, &s[..h]), along, dz);
        }
    } else {
        multiply(h_s, &next.influence[..h * padded], dz, padded);
    }
    if let Some(given) = given {
        for (dz, h_theta) in dz
            .chunks_exact_mut(padded)
            .zip(given.h_theta.chunks_exact(p))
        {
            axpy(T::one(), h_theta, &mut dz[free..free + p]);
        }
        return;
    }
    for (j, dz) in dz.chunks_exact_mut(padded).enumerate().take(k) {
        let place = free + readout.weights + j * h;
        axpy(T::one(), &next.state[..h], &mut dz[place..place + h]);
        dz[free + readout.biases + j] += T::one();
    }
}
