//! s' = W s + V x + b, z = C s + c, every matrix learned. Parameters as those of an RNN.
//!
//! Source: Ollivier 2018, arXiv 1703.00209, section 3, with a linear f.

use serde::Deserialize;

use super::cell::{Cell, Constants, Dims, Given, Partials, Term};
use super::rnn::{preactivation, terms};
use crate::field::Named;
use crate::scalar::Scalar;

/// Sizes, and how inputs are centred and scaled.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearStateSpace {
    n_inputs: usize,
    n_units: usize,
    n_outputs: usize,
    input_center: Option<Named>,
    input_scale: Option<Named>,
    #[serde(skip)]
    constants: Constants,
}

impl Cell for LinearStateSpace {
    fn dims(&self) -> Dims {
        Dims {
            d: self.n_inputs,
            h: self.n_units,
            k: self.n_outputs,
        }
    }

    fn given(&self) -> Given<'_> {
        Given {
            center: self.input_center.as_ref(),
            scale: self.input_scale.as_ref(),
            mask: None,
        }
    }

    fn constants(&self) -> &Constants {
        &self.constants
    }

    fn set_constants(&mut self, constants: Constants) {
        self.constants = constants;
    }

    fn inner(&self) -> Option<usize> {
        let Dims { d, h, .. } = self.dims();
        d.checked_add(h)?.checked_add(1)?.checked_mul(h)
    }

    fn coefficients(&self) -> usize {
        self.n_units
    }

    fn terms(&self, add: &mut dyn FnMut(Term)) {
        terms(self.n_inputs, self.n_units, add);
    }

    fn passes(&self, _: usize, _: usize) -> bool {
        false
    }

    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>) {
        let (d, h) = (self.n_inputs, self.n_units);
        for i in 0..h {
            to.state[i] = preactivation(theta, &[], (d, h), i, to);
            to.coefficients[i] = T::one();
        }
    }
}
