//! The state of a filter by named arrays: what a checkpoint keeps.

use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::family::Likelihood;
use crate::family::coverage::MOST_ROWS;
use crate::field::{Array, Arrays, filled, listed, push};
use crate::filter::Filter;
use crate::scalar::Scalar;
use crate::state::{BOUND, COVERED, ELAPSED, N_UPDATES, NAMES, NOISE, OWED, State, downweighted};
use crate::turns::{ACCUMULATED, LOG_D, POSITION};

/// The section that files of before it was kept do not have: it then begins when they are loaded.
pub(crate) const COVERAGE: &str = "coverage";

/// An array that a saved state has: its name, its shape, and whether it is of the filter's type.
pub type Wanted = (&'static str, Vec<usize>, bool);

impl<T: Scalar> Filter<T> {
    /// Calls `put` with every named array of the state; the flag says whether it is of the filter's type.
    pub fn save(&self, put: &mut dyn FnMut(&'static str, Array, bool)) -> Result<(), Error> {
        let wide = &self.state.wide;
        let (noise, rest) = wide[NOISE..].split_at(2 * self.sizes.scales);
        let stats = &rest[..3 * self.moments()];
        let parts = self
            .places()
            .map(|(name, place)| (name, vec![place.len()], &wide[place]));
        let shapes = ([2, self.sizes.scales], [3, stats.len() / 3]);
        let kept = [
            ("noise", shapes.0.to_vec(), noise),
            ("y_stats", shapes.1.to_vec(), stats),
        ];
        let robust = self.robust.map(|_| {
            let at = downweighted(wide.len());
            ("robust", vec![1], &wide[at..=at])
        });
        let covered = self.family.covers().then(|| {
            let place = COVERED..=COVERED;
            (COVERAGE, vec![1], &wide[place])
        });
        let own = robust.into_iter().chain(covered);
        for (name, shape, values) in parts.into_iter().chain(kept).chain(own) {
            let values = copied(values)?;
            put(name, Array { shape, values }, false);
        }
        if self.turns.is_some() {
            let (turn, turns) = self.state.turns.split_at(LOG_D);
            for (name, part) in [("turns", turns), ("turn", turn)] {
                let (shape, values) = (vec![part.len()], copied(part)?);
                put(name, Array { shape, values }, false);
            }
        }
        let mut theta = filled(self.theta().len())?;
        for (to, x) in theta.iter_mut().zip(self.theta()) {
            *to = x.to_f64();
        }
        let shape = vec![theta.len()];
        let values = theta;
        put("theta", Array { shape, values }, true);
        self.save_recurrence(put)?;
        self.belief.save(self.state.belief(), &mut |name, array| {
            put(name, array, true);
        })
    }

    /// Names, shapes and whether of the filter's type, of the arrays that `load` needs, given which names there are.
    pub fn shapes(&self, has: &dyn Fn(&str) -> bool) -> Result<Vec<Wanted>, Error> {
        let places = self.places().into_iter();
        let places = places.map(|(name, place)| (name, vec![place.len()], false));
        let mut shapes = listed(places)?;
        let mut add = |wanted: Wanted| push(&mut shapes, wanted);
        add(("noise", vec![2, self.sizes.scales], false))?;
        add(("y_stats", vec![3, self.moments()], false))?;
        if self.robust.is_some() {
            add(("robust", vec![1], false))?;
        }
        if self.family.covers() && has(COVERAGE) {
            add((COVERAGE, vec![1], false))?;
        }
        if self.turns.is_some() {
            add(("turns", vec![self.sizes.p], false))?;
            add(("turn", vec![LOG_D], false))?;
        }
        add(("theta", vec![self.sizes.p - self.sizes.free], true))?;
        self.recurrence_shapes()
            .into_iter()
            .try_for_each(&mut add)?;
        for (name, shape) in self.belief.shapes(has)? {
            add((name, shape, true))?;
        }
        Ok(shapes)
    }

    /// The inverse of `save`, for files of unknown origin; on an error nothing has changed.
    pub fn load(&mut self, arrays: &Arrays) -> Result<(), Error> {
        let mut state = self.blank(arrays)?;
        self.read(arrays, &mut state)?;
        *self.state = state;
        if let Some(lean) = &mut self.lean {
            lean.forget();
        }
        Ok(())
    }

    /// A state that `read` may be given, once names and shapes of the arrays have been looked at.
    pub fn blank(&self, arrays: &Arrays) -> Result<State<T>, Error> {
        let shapes = self.shapes(&|name| arrays.contains_key(name))?;
        if shapes.len() != arrays.len()
            || shapes.iter().any(|(name, ..)| !arrays.contains_key(*name))
        {
            let names: Vec<_> = shapes.iter().map(|(name, ..)| *name).collect();
            return Err(Error::BadValue(fault(
                "state",
                format!("{names:?}"),
                format!("{:?}", arrays.keys()),
            )));
        }
        for (name, shape, _) in &shapes {
            let array = &arrays[*name];
            require(
                name,
                array.shape == *shape && array.values.len() == shape.iter().product::<usize>(),
                format_args!("shape {shape:?}"),
            )?;
        }
        let own = self.state.wide.len() - NOISE;
        let (padded, size) = (self.sizes.padded, self.belief.size());
        State::zeros(own, padded, size, self.state.turns.len())
    }

    /// Outputs whose moments are kept.
    fn moments(&self) -> usize {
        self.scale.as_ref().map_or(0, |scale| scale.k)
    }

    /// Reads arrays of the names and shapes that `blank` has seen; on an error the state is no state.
    pub fn read(&self, arrays: &Arrays, state: &mut State<T>) -> Result<(), Error> {
        for (name, array) in arrays {
            require(
                name,
                array.values.iter().all(|x| x.is_finite()),
                "finite numbers",
            )?;
        }
        self.load_wide(&mut state.wide, arrays)?;
        self.load_turns(&mut state.turns, arrays)?;
        let theta = &mut state.theta_mut()[self.sizes.free..];
        for (to, &x) in theta.iter_mut().zip(&arrays["theta"].values) {
            *to = T::of(x);
        }
        self.load_recurrence(state, arrays)?;
        self.belief.load(arrays, state.belief_mut())?;
        // An infinite growth makes the belief scan itself, which sets the bound.
        state.wide[BOUND] = self.belief.settle(state.belief(), 1.0, f64::INFINITY)?;
        require(
            "theta",
            state.is_finite(),
            format_args!("numbers that fit {}", T::NAME),
        )
    }

    /// The arrays of a recurrent filter alone.
    pub fn save_recurrence(
        &self,
        put: &mut dyn FnMut(&'static str, Array, bool),
    ) -> Result<(), Error> {
        let Some(at) = &self.recurrence else {
            return Ok(());
        };
        let padded = self.sizes.padded;
        for (name, shape, own) in self.recurrence_shapes() {
            let values = match name {
                "state" => narrow(self.state.state.iter())?,
                "influence" => {
                    let rows = self.state.influence.chunks_exact(padded);
                    narrow(rows.flat_map(|row| &row[..self.sizes.p]))?
                }
                "uoro_state" => narrow(self.state.influence[..at.sizes.n].iter())?,
                "uoro_theta" => {
                    let along = &self.state.influence[at.along_from()..];
                    narrow(along[..self.sizes.p].iter())?
                }
                "initial_state" => narrow(self.state.theta()[..self.sizes.free].iter())?,
                "feedback" => copied(at.memory.feedback(&self.state.memory))?,
                "echo" => copied(at.memory.echo(&self.state.memory))?,
                _ => copied(&self.state.memory[at.memory.restarts()..])?,
            };
            put(name, Array { shape, values }, own);
        }
        Ok(())
    }

    fn recurrence_shapes(&self) -> Vec<Wanted> {
        let Some(at) = &self.recurrence else {
            return Vec::new();
        };
        let (n, p, k) = (at.sizes.n, self.sizes.p, self.sizes.k);
        let mut shapes = vec![("state", vec![n], true)];
        if at.random() {
            shapes.push(("uoro_state", vec![n], true));
            shapes.push(("uoro_theta", vec![p], true));
        } else {
            shapes.push(("influence", vec![n, p], true));
        }
        if self.sizes.free > 0 {
            shapes.push(("initial_state", vec![n], true));
        }
        shapes.push(("feedback", vec![2, k], false));
        shapes.push(("echo", vec![3, k], false));
        shapes.push(("restarts", vec![1], false));
        shapes
    }

    fn load_recurrence(&self, state: &mut State<T>, arrays: &Arrays) -> Result<(), Error> {
        let Some(at) = &self.recurrence else {
            return Ok(());
        };
        let (n, free, p) = (at.sizes.n, at.sizes.free, self.sizes.p);
        let padded = self.sizes.padded;
        state.recur(at.memory.len(), n, at.influence_len(padded)?)?;
        let fill = |to: &mut [T], name: &str| {
            let values = arrays[name].values.iter().map(|&x| T::of(x));
            to.iter_mut().zip(values).for_each(|(to, x)| *to = x);
        };
        fill(&mut state.state, "state");
        if at.random() {
            let (s, along) = state.influence.split_at_mut(at.along_from());
            fill(&mut s[..n], "uoro_state");
            fill(&mut along[..p], "uoro_theta");
        } else {
            let rows = state.influence.chunks_exact_mut(padded);
            for (to, from) in rows.zip(arrays["influence"].values.chunks_exact(p)) {
                to.iter_mut().zip(from).for_each(|(to, &x)| *to = T::of(x));
            }
        }
        if free > 0 {
            fill(&mut state.theta_mut()[..n], "initial_state");
        }
        let (feedback, echo) = (&arrays["feedback"].values, &arrays["echo"].values);
        let restarts = &arrays["restarts"].values;
        let (first, rest) = state.memory.split_at_mut(feedback.len());
        first.copy_from_slice(feedback);
        rest[..echo.len()].copy_from_slice(echo);
        rest[echo.len()..].copy_from_slice(restarts);
        let (last, flags) = feedback.split_at(self.sizes.k);
        let possible = |(&y, &there): (&f64, &f64)| there == 1.0 || (there == 0.0 && y == 0.0);
        require(
            "feedback",
            last.iter().zip(flags).all(possible),
            "flags of 1 and 0, with y = 0 where none was observed",
        )?;
        let squares = echo[2 * self.sizes.k..].iter().all(|&x| x >= 0.0);
        require("echo", squares, "sums of squares >= 0")?;
        let whole = restarts[0] >= 0.0 && restarts[0].fract() == 0.0;
        require("restarts", whole, "a whole number >= 0")?;
        require(
            "influence",
            state.influence.iter().all(T::is_finite),
            format!("numbers that fit {}", T::NAME),
        )
    }

    /// Names and places of the sections that are saved: process noise alone owes time.
    fn places(&self) -> [(&'static str, std::ops::Range<usize>); 4] {
        NAMES.map(|(name, place)| match name {
            "clock" if self.rule.noise().is_none() => (name, ELAPSED..OWED),
            _ => (name, place),
        })
    }

    fn load_turns(&self, turns: &mut [f64], arrays: &Arrays) -> Result<(), Error> {
        if turns.is_empty() {
            return Ok(());
        }
        let p = self.sizes.p;
        let (turn, rest) = turns.split_at_mut(LOG_D);
        turn.copy_from_slice(&arrays["turn"].values);
        rest.copy_from_slice(&arrays["turns"].values);
        let decays = rest.iter().all(|&x| x <= 0.0);
        require("turns", decays, "logarithms of decays, <= 0")?;
        let position = turn[POSITION];
        let inside = (0.0..p as f64).contains(&position) && position.fract() == 0.0;
        require(
            "turn",
            turn[ACCUMULATED] >= 0.0 && inside,
            format!("an accumulated decay >= 0 and an index below {p}"),
        )
    }

    fn load_wide(&self, wide: &mut [f64], arrays: &Arrays) -> Result<(), Error> {
        for (name, place) in self.places() {
            wide[place].copy_from_slice(&arrays[name].values);
        }
        let (noise, rest) = wide[NOISE..].split_at_mut(2 * self.sizes.scales);
        noise.copy_from_slice(&arrays["noise"].values);
        rest[..3 * self.moments()].copy_from_slice(&arrays["y_stats"].values);
        let (noise, stats) = (&arrays["noise"].values[..], &arrays["y_stats"].values[..]);
        if self.robust.is_some() {
            let count = arrays["robust"].values[0];
            let whole = count >= 0.0 && count.fract() == 0.0;
            require("robust", whole, "a whole number >= 0")?;
            let at = downweighted(wide.len());
            wide[at] = count;
        }
        let whole = arrays["counters"]
            .values
            .iter()
            .all(|&x| x >= 0.0 && x.fract() == 0.0);
        require("counters", whole, "whole numbers >= 0")?;
        if let Some(kept) = arrays.get(COVERAGE) {
            let most = wide[N_UPDATES].min(MOST_ROWS);
            let possible = kept.values[0] >= 0.0 && kept.values[0].trunc() <= most;
            let expected = format_args!("at least 0 and below {}", most + 1.0);
            require(COVERAGE, possible, expected)?;
            wide[COVERED] = kept.values[0];
        }
        let (a, b) = noise.split_at(self.sizes.scales);
        require(
            "noise",
            a.iter().all(|&a| a > 1.0) && b.iter().all(|&b| b > 0.0),
            "a > 1 and b > 0",
        )?;
        let k = stats.len() / 3;
        let (weights, squares) = (&stats[..k], &stats[2 * k..]);
        require(
            "y_stats",
            weights.iter().chain(squares).all(|&x| x >= 0.0),
            "weights and sums of squares >= 0",
        )
    }
}

fn copied(x: &[f64]) -> Result<Vec<f64>, Error> {
    let mut copy = filled(x.len())?;
    copy.copy_from_slice(x);
    Ok(copy)
}

fn narrow<'a, T: Scalar>(x: impl Iterator<Item = &'a T> + Clone) -> Result<Vec<f64>, Error> {
    let mut copy = filled(x.clone().count())?;
    for (to, x) in copy.iter_mut().zip(x) {
        *to = x.to_f64();
    }
    Ok(copy)
}

fn require(name: &str, holds: bool, expected: impl std::fmt::Display) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::BadValue(fault(name, expected, "something else")))
    }
}
