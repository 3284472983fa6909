//! A gated recurrent unit, with the equations and the gate order (r, z, n) of torch.nn.GRUCell:
//!
//! ```text
//! r = sig(a_r),   z = sig(a_z),   n = tanh(V_n x + b_n + r (W_n h + b_hn)),   h' = (1-z) n + z h;   a_g = V_g x + W_g h + b_g
//! ```
//!
//! weight_ih V (3h, d), weight_hh W (3h, h), bias b (3h,), bias_hn (h,), weight_out, bias_out. Source: Cho et al. 2014, arXiv 1406.1078.

use serde::Deserialize;

use super::cell::{Cell, Dims, Frame, Of, Partials, Term, logistic};
use super::rnn::sum;
use crate::scalar::Scalar;

/// Its frame.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct GRU(Frame);

/// Coefficients of a unit: a_r, a_z, a_n, and a_n through the reset gate.
const R: usize = 0;
const Z: usize = 1;
const N: usize = 2;
const INNER: usize = 3;

impl Cell for GRU {
    fn frame(&self) -> &Frame {
        &self.0
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.0
    }

    /// h (3d + 3h + 4).
    fn inner(&self) -> Option<usize> {
        let Dims { d, h, .. } = self.dims();
        let each = d.checked_add(h)?.checked_add(1)?.checked_mul(3)?;
        each.checked_add(1)?.checked_mul(h)
    }

    fn coefficients(&self) -> usize {
        4 * self.0.n_units
    }

    fn terms(&self, add: &mut dyn FnMut(Term)) {
        let (d, h) = (self.0.n_inputs, self.0.n_units);
        let (states, biases) = (3 * h * d, 3 * h * (d + h));
        for row in 0..h {
            let mut term = |start, of, which| {
                add(Term {
                    row,
                    start,
                    of,
                    coefficient: 4 * row + which,
                });
            };
            for gate in [R, Z, N] {
                let at = gate * h + row;
                term(at * d, Of::Input, gate);
                let across = if gate == N { INNER } else { gate };
                term(states + at * h, Of::State, across);
                term(biases + at, Of::One, gate);
            }
            term(biases + 3 * h + row, Of::One, INNER);
        }
    }

    fn passes(&self, i: usize, j: usize) -> bool {
        i == j
    }

    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>) {
        let (d, h) = (self.0.n_inputs, self.0.n_units);
        let (states, biases) = (3 * h * d, 3 * h * (d + h));
        for i in 0..h {
            let part = |gate: usize| {
                let at = gate * h + i;
                let (own, across) = sum(theta, (&to.x, &to.before), (at, 0, states));
                (own + theta[biases + at], across)
            };
            let [r, z] = [R, Z].map(|gate| {
                let (own, across) = part(gate);
                logistic(own + across)
            });
            let (own, across) = part(N);
            let inner = across + theta[biases + 3 * h + i];
            let n = (own + r * inner).tanh();
            let (before, one) = (to.before[i], T::one());
            to.state[i] = (one - z) * n + z * before;
            let by_n = (one - z) * (one - n * n);
            let c = &mut to.coefficients[4 * i..4 * i + 4];
            c[R] = by_n * inner * r * (one - r);
            c[Z] = (before - n) * z * (one - z);
            c[N] = by_n;
            c[INNER] = by_n * r;
            to.f_s[i * (h + 1)] = z;
        }
    }
}
