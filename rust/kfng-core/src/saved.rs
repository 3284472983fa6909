//! The state of a filter by named arrays: what a checkpoint keeps.

use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::field::{Array, Arrays, filled};
use crate::filter::Filter;
use crate::scalar::Scalar;
use crate::state::{A, B, BOUND, NAMES, State, Y_STATS};

/// An array that a saved state has: its name, its shape, and whether it is of the filter's type.
pub type Wanted = (&'static str, Vec<usize>, bool);

impl<T: Scalar> Filter<T> {
    /// Calls `put` with every named array of the state; the flag says whether it is of the filter's type.
    pub fn save(&self, put: &mut dyn FnMut(&'static str, Array, bool)) -> Result<(), Error> {
        let wide = &self.state.wide;
        for (name, place, learned) in NAMES {
            let (shape, place) = shape_of(place, learned, self.scale.is_some());
            put(
                name,
                Array {
                    shape,
                    values: copied(&wide[place])?,
                },
                false,
            );
        }
        let stats = copied(&wide[Y_STATS..])?;
        put(
            "y_stats",
            Array {
                shape: vec![3, stats.len() / 3],
                values: stats,
            },
            false,
        );
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
        let learned = self.scale.is_some();
        let mut shapes: Vec<_> = NAMES
            .map(|(name, place, only)| (name, shape_of(place, only, learned).0, false))
            .into();
        shapes.push((
            "y_stats",
            vec![3, if learned { self.sizes.k } else { 0 }],
            false,
        ));
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
        let outputs = self.scale.as_ref().map_or(0, |scale| scale.k);
        let mut state = State::zeros(outputs, self.sizes.padded, self.belief.size())?;
        self.load_wide(&mut state.wide, arrays)?;
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
        self.state = state;
        Ok(())
    }

    fn load_wide(&self, wide: &mut [f64], arrays: &Arrays) -> Result<(), Error> {
        let learned = self.scale.is_some();
        for (name, place, only) in NAMES {
            let place = shape_of(place, only, learned).1;
            wide[place].copy_from_slice(&arrays[name].values);
        }
        wide[Y_STATS..].copy_from_slice(&arrays["y_stats"].values);
        let whole = arrays["counters"]
            .values
            .iter()
            .all(|&x| x >= 0.0 && x.fract() == 0.0);
        require("counters", whole, "whole numbers >= 0")?;
        require(
            "noise",
            !learned || (wide[A] > 1.0 && wide[B] > 0.0),
            "a > 1 and b > 0",
        )?;
        let k = (wide.len() - Y_STATS) / 3;
        let (weights, squares) = (&wide[Y_STATS..Y_STATS + k], &wide[Y_STATS + 2 * k..]);
        require(
            "y_stats",
            weights.iter().chain(squares).all(|&x| x >= 0.0),
            "weights and sums of squares >= 0",
        )
    }
}

fn shape_of(
    place: std::ops::Range<usize>,
    only_learned: bool,
    learned: bool,
) -> (Vec<usize>, std::ops::Range<usize>) {
    match (only_learned, learned) {
        (false, _) => (vec![place.len()], place),
        (true, true) => (vec![2, 1], place),
        (true, false) => (vec![2, 0], place.start..place.start),
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
