//! s' = W s + V x + b, z = C s + c, every matrix learned. Parameters as those of an RNN.
//!
//! Source: Ollivier 2018, arXiv 1703.00209, section 3, with a linear f.

use serde::Deserialize;

use super::cell::{Cell, Dims, Frame, Partials, Term};
use super::rnn::{preactivation, terms};
use crate::scalar::Scalar;

/// Its frame.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct LinearStateSpace(Frame);

impl Cell for LinearStateSpace {
    fn frame(&self) -> &Frame {
        &self.0
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.0
    }

    fn inner(&self) -> Option<usize> {
        let Dims { d, h, .. } = self.dims();
        d.checked_add(h)?.checked_add(1)?.checked_mul(h)
    }

    fn coefficients(&self) -> usize {
        self.0.n_units
    }

    fn terms(&self, add: &mut dyn FnMut(Term)) {
        terms(self.0.n_inputs, self.0.n_units, add);
    }

    fn passes(&self, _: usize, _: usize) -> bool {
        false
    }

    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>) {
        let (d, h) = (self.0.n_inputs, self.0.n_units);
        for i in 0..h {
            to.state[i] = preactivation(theta, &[], (d, h), i, to);
            to.coefficients[i] = T::one();
        }
    }
}
