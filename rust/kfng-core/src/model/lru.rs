//! A diagonal linear recurrent unit: s'_i = tanh(decay_i) s_i + (V x)_i + b_i.
//!
//! weight_ih V (h, d), decay (h,), bias b (h,), weight_out, bias_out. Units do not mix, so f_s is diagonal and exact traces cost O(p).
//! Source: Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences", with real decays.

use serde::Deserialize;

use super::cell::{Cell, Frame, Of, Partials, Term};
use crate::linalg::dot;
use crate::scalar::Scalar;

/// Its frame.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct LRU(Frame);

impl Cell for LRU {
    fn frame(&self) -> &Frame {
        &self.0
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.0
    }

    fn inner(&self) -> Option<usize> {
        self.0.n_inputs.checked_add(2)?.checked_mul(self.0.n_units)
    }

    /// Those of the decays, and 1.
    fn coefficients(&self) -> usize {
        self.0.n_units + 1
    }

    fn terms(&self, add: &mut dyn FnMut(Term)) {
        let (d, h) = (self.0.n_inputs, self.0.n_units);
        for row in 0..h {
            let parts = [
                (row * d, Of::Input, h),
                (h * d + row, Of::One, row),
                (h * (d + 1) + row, Of::One, h),
            ];
            for (start, of, coefficient) in parts {
                add(Term {
                    row,
                    start,
                    of,
                    coefficient,
                });
            }
        }
    }

    fn passes(&self, i: usize, j: usize) -> bool {
        i == j
    }

    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>) {
        let (d, h) = (self.0.n_inputs, self.0.n_units);
        to.coefficients[h] = T::one();
        for i in 0..h {
            let decay = theta[h * d + i].tanh();
            let drive = dot(&theta[i * d..(i + 1) * d], &to.x) + theta[h * (d + 1) + i];
            to.state[i] = decay * to.before[i] + drive;
            to.coefficients[i] = (T::one() - decay * decay) * to.before[i];
            to.f_s[i * (h + 1)] = decay;
        }
    }
}
