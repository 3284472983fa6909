//! Long short-term memory, with the equations and the gate order (i, f, g, o) of torch.nn.LSTMCell; the state is (h, c), 2h numbers:
//!
//! ```text
//! i = sig(a_i),  f = sig(a_f),  g = tanh(a_g),  o = sig(a_o);   c' = f c + i g,   h' = o tanh(c');   a_q = V_q x + W_q h + b_q
//! ```
//!
//! weight_ih V (4h, d), weight_hh W (4h, h), bias b (4h,), weight_out, bias_out. Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000.

use serde::Deserialize;

use super::cell::{Cell, Dims, Frame, Of, Partials, Term, logistic};
use super::rnn::sum;
use crate::scalar::Scalar;

/// Its frame.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct LSTM(Frame);

/// Coefficients of a unit: c' by a_i, a_f, a_g; h' by a_i, a_f, a_g, a_o.
const OF_H: usize = 3;
const EACH: usize = 7;

impl Cell for LSTM {
    fn frame(&self) -> &Frame {
        &self.0
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.0
    }

    fn per_unit(&self) -> usize {
        2
    }

    fn inner(&self) -> Option<usize> {
        let Dims { d, h, .. } = self.dims();
        let each = d.checked_add(h)?.checked_add(1)?;
        each.checked_mul(4)?.checked_mul(h)
    }

    fn coefficients(&self) -> usize {
        EACH * self.0.n_units
    }

    fn terms(&self, add: &mut dyn FnMut(Term)) {
        let (d, h) = (self.0.n_inputs, self.0.n_units);
        for row in 0..2 * h {
            let (unit, gates, first) = if row < h {
                (row, 4, OF_H)
            } else {
                (row - h, 3, 0)
            };
            for gate in 0..gates {
                let at = gate * h + unit;
                let parts = [
                    (at * d, Of::Input),
                    (4 * h * d + at * h, Of::State),
                    (4 * h * (d + h) + at, Of::One),
                ];
                for (start, of) in parts {
                    add(Term {
                        row,
                        start,
                        of,
                        coefficient: EACH * unit + first + gate,
                    });
                }
            }
        }
    }

    /// h' and c' take in the c of their unit.
    fn passes(&self, i: usize, j: usize) -> bool {
        let h = self.0.n_units;
        j >= h && j - h == i % h
    }

    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>) {
        let (d, h, one) = (self.0.n_inputs, self.0.n_units, T::one());
        for unit in 0..h {
            let [a_i, a_f, a_g, a_o] = [0, 1, 2, 3].map(|gate| {
                let at = gate * h + unit;
                let (own, across) = sum(theta, (&to.x, &to.before[..h]), (at, 0, 4 * h * d));
                own + across + theta[4 * h * (d + h) + at]
            });
            let (i, f, g, o) = (logistic(a_i), logistic(a_f), a_g.tanh(), logistic(a_o));
            let before = to.before[h + unit];
            let c = f * before + i * g;
            let tanh = c.tanh();
            to.state[unit] = o * tanh;
            to.state[h + unit] = c;
            let by_c = o * (one - tanh * tanh);
            let own = [g * i * (one - i), before * f * (one - f), i * (one - g * g)];
            let coefficients = &mut to.coefficients[EACH * unit..EACH * (unit + 1)];
            for (q, c) in own.into_iter().enumerate() {
                coefficients[q] = c;
                coefficients[OF_H + q] = by_c * c;
            }
            coefficients[OF_H + 3] = tanh * o * (one - o);
            to.f_s[(h + unit) * 2 * h + h + unit] = f;
            to.f_s[unit * 2 * h + h + unit] = by_c * f;
        }
    }
}
