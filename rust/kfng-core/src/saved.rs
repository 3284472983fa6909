//! The state of a filter by named arrays: what a checkpoint keeps.

use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::field::{Array, Arrays, filled};
use crate::filter::Filter;
use crate::scalar::Scalar;
use crate::scale::Scale;
use crate::state::{BOUND, ELAPSED, NAMES, NOISE, OWED, State};
use crate::turns::{ACCUMULATED, LOG_D, POSITION};

/// An array that a saved state has: its name, its shape, and whether it is of the filter's type.
pub type Wanted = (&'static str, Vec<usize>, bool);

impl<T: Scalar> Filter<T> {
    /// Calls `put` with every named array of the state; the flag says whether it is of the filter's type.
    pub fn save(&self, put: &mut dyn FnMut(&'static str, Array, bool)) -> Result<(), Error> {
        let wide = &self.state.wide;
        let (noise, stats) = wide[NOISE..].split_at(2 * self.sizes.scales);
        let parts = self
            .places()
            .map(|(name, place)| (name, vec![place.len()], &wide[place]));
        let shapes = ([2, self.sizes.scales], [3, stats.len() / 3]);
        let kept = [
            ("noise", shapes.0.to_vec(), noise),
            ("y_stats", shapes.1.to_vec(), stats),
        ];
        for (name, shape, values) in parts.into_iter().chain(kept) {
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
        let mut theta = filled(self.sizes.p)?;
        for (to, x) in theta.iter_mut().zip(self.theta()) {
            *to = x.to_f64();
        }
        put(
            "theta",
            Array {
                shape: vec![self.sizes.p],
                values: theta,
            },
            true,
        );
        self.belief.save(self.state.belief(), &mut |name, array| {
            put(name, array, true);
        })
    }

    /// Names, shapes and whether of the filter's type, of the arrays that `load` needs, given which names there are.
    pub fn shapes(&self, has: &dyn Fn(&str) -> bool) -> Result<Vec<Wanted>, Error> {
        let mut shapes: Vec<_> = self
            .places()
            .map(|(name, place)| (name, vec![place.len()], false))
            .into();
        let outputs = self.scale.as_ref().map_or(0, |scale| scale.k);
        shapes.push(("noise", vec![2, self.sizes.scales], false));
        shapes.push(("y_stats", vec![3, outputs], false));
        if self.turns.is_some() {
            shapes.push(("turns", vec![self.sizes.p], false));
            shapes.push(("turn", vec![LOG_D], false));
        }
        shapes.push(("theta", vec![self.sizes.p], true));
        shapes.extend(
            self.belief
                .shapes(has)?
                .into_iter()
                .map(|(name, shape)| (name, shape, true)),
        );
        Ok(shapes)
    }

    /// The inverse of `save`, for files of unknown origin; on an error nothing has changed.
    pub fn load(&mut self, arrays: &Arrays) -> Result<(), Error> {
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
                format!("shape {shape:?}"),
            )?;
            require(
                name,
                array.values.iter().all(|x| x.is_finite()),
                "finite numbers",
            )?;
        }
        let noise = self.scale.as_ref().map_or(Ok(0), Scale::size)?;
        let (padded, size) = (self.sizes.padded, self.belief.size());
        let mut state = State::zeros(noise, padded, size, self.state.turns.len())?;
        self.load_wide(&mut state.wide, arrays)?;
        self.load_turns(&mut state.turns, arrays)?;
        for (to, &x) in state.theta_mut().iter_mut().zip(&arrays["theta"].values) {
            *to = T::of(x);
        }
        self.belief.load(arrays, state.belief_mut())?;
        // An infinite growth makes the belief scan itself, which sets the bound.
        state.wide[BOUND] = self.belief.settle(state.belief(), 1.0, f64::INFINITY)?;
        require(
            "theta",
            state.is_finite(),
            format!("numbers that fit {}", T::NAME),
        )?;
        *self.state = state;
        Ok(())
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
        let (noise, stats) = wide[NOISE..].split_at_mut(2 * self.sizes.scales);
        noise.copy_from_slice(&arrays["noise"].values);
        stats.copy_from_slice(&arrays["y_stats"].values);
        let whole = arrays["counters"]
            .values
            .iter()
            .all(|&x| x >= 0.0 && x.fract() == 0.0);
        require("counters", whole, "whole numbers >= 0")?;
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

fn require(name: &str, holds: bool, expected: impl std::fmt::Display) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::BadValue(fault(name, expected, "something else")))
    }
}
