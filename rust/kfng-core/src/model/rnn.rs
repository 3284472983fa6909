//! s' = act(W s + V x + b): an Elman network, and with act(a) = a a linear state space.
//!
//! weight_ih V (h, d), weight_hh W (h, h), bias b (h,), weight_out, bias_out, flattened in this order. Row i of f_theta is act'(a_i) times
//! x, s and 1 at the places of row i of V, W and b. Source: Elman 1990, "Finding structure in time".

use serde::Deserialize;

use super::cell::{Cell, Constants, Dims, Frame, Of, Partials, Term};
use super::mlp::Activation;
use crate::field::Named;
use crate::linalg::dot;
use crate::scalar::Scalar;

/// Its frame, and what units do.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Settings")]
pub struct RNN {
    frame: Frame,
    activation: Activation,
}

/// The JSON form, with mask (h, h) of 0 and 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    n_inputs: usize,
    n_units: usize,
    n_outputs: usize,
    activation: Activation,
    mask: Option<Named>,
    input_center: Option<Named>,
    input_scale: Option<Named>,
}

impl From<Settings> for RNN {
    fn from(from: Settings) -> Self {
        RNN {
            activation: from.activation,
            frame: Frame {
                n_inputs: from.n_inputs,
                n_units: from.n_units,
                n_outputs: from.n_outputs,
                input_center: from.input_center,
                input_scale: from.input_scale,
                mask: from.mask,
                constants: Constants::default(),
            },
        }
    }
}

/// weight_ih (h, d) and weight_hh (h, h), one after the other, then biases: what one gate of `first` reads.
pub(super) fn sum<T: Scalar>(
    theta: &[T],
    at: (&[T], &[T]),
    (first, inputs, states): (usize, usize, usize),
) -> (T, T) {
    let (x, s) = at;
    let (d, h) = (x.len(), s.len());
    let (own, across) = (inputs + first * d, states + first * h);
    (
        dot(&theta[own..own + d], x),
        dot(&theta[across..across + h], s),
    )
}

/// V x + W s + b of unit i, with the mask in `to.masked`.
pub(super) fn preactivation<T: Scalar>(
    theta: &[T],
    mask: &[f64],
    (d, h): (usize, usize),
    i: usize,
    to: &mut Partials<T>,
) -> T {
    let s = if mask.is_empty() {
        &to.before[..]
    } else {
        let pairs = to.before.iter().zip(&mask[i * h..(i + 1) * h]);
        for (to, (&s, &on)) in to.masked.iter_mut().zip(pairs) {
            *to = s * T::of(on);
        }
        &to.masked[..]
    };
    let (own, across) = sum(theta, (&to.x, s), (i, 0, h * d));
    own + across + theta[h * (d + h) + i]
}

/// The terms of V, W and b.
pub(super) fn terms(d: usize, h: usize, add: &mut dyn FnMut(Term)) {
    for row in 0..h {
        let parts = [
            (row * d, Of::Input),
            (h * d + row * h, Of::State),
            (h * (d + h) + row, Of::One),
        ];
        for (start, of) in parts {
            add(Term {
                row,
                start,
                of,
                coefficient: row,
            });
        }
    }
}

impl Cell for RNN {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    fn inner(&self) -> Option<usize> {
        let Dims { d, h, .. } = self.dims();
        d.checked_add(h)?.checked_add(1)?.checked_mul(h)
    }

    fn coefficients(&self) -> usize {
        self.frame.n_units
    }

    fn terms(&self, add: &mut dyn FnMut(Term)) {
        terms(self.frame.n_inputs, self.frame.n_units, add);
    }

    fn passes(&self, _: usize, _: usize) -> bool {
        false
    }

    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>) {
        let (d, h) = (self.frame.n_inputs, self.frame.n_units);
        for i in 0..h {
            let a = preactivation(theta, &self.frame.constants.mask, (d, h), i, to);
            to.state[i] = self.activation.value(a);
            to.coefficients[i] = self.activation.slope(to.state[i]);
        }
    }
}
