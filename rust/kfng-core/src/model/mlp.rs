//! A network of dense layers: z = W_n a_n + b_n, a_{l+1} = act(W_l a_l + b_l), a_0 = u.
//!
//! weight0 (h_1, d), bias0 (h_1,), weight1, bias1, ... flattened in this order. The Jacobian is exact, one backward pass for each output:
//!
//! ```text
//! delta_n = e_j;   dz_j/dW_l = delta_l a_l',   dz_j/db_l = delta_l;   delta_{l-1} = act'(a_l) * (W_l' delta_l)
//! ```
//!
//! Cost O(k p) a row.

use serde::Deserialize;

use super::Output;
use crate::error::{Error, fault};
use crate::linalg::{axpy, dot};
use crate::scalar::Scalar;

const MAX_LAYERS: usize = 1024;

/// Sizes [d, h_1, ..., k] and what hidden units do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MLP {
    layers: Vec<usize>,
    activation: Activation,
}

/// act(s), and act'(s) as a function of a = act(s).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Slope 1 - a².
    Tanh,
    /// max(s, 0); slope 1 where a > 0, 0 at 0.
    Relu,
}

impl Activation {
    #[inline]
    pub(super) fn value<T: Scalar>(self, s: T) -> T {
        match self {
            Activation::Tanh => s.tanh(),
            Activation::Relu if s < T::zero() => T::zero(),
            Activation::Relu => s, // NaN stays what it is
        }
    }

    #[inline]
    pub(super) fn slope<T: Scalar>(self, a: T) -> T {
        match self {
            Activation::Tanh => T::one() - a * a,
            Activation::Relu if a > T::zero() => T::one(),
            Activation::Relu => T::zero(),
        }
    }
}

impl MLP {
    /// Units that are neither inputs nor outputs.
    fn hidden(&self) -> &[usize] {
        &self.layers[1..self.layers.len() - 1]
    }

    /// Largest layer of them.
    fn widest(&self) -> usize {
        self.hidden().iter().copied().max().unwrap_or(0)
    }

    /// (fan in, units, first parameter) of the last layer, counted from the end as the backward pass goes.
    fn last(&self, p: usize) -> (usize, usize, usize) {
        let n = self.layers.len();
        let (fan_in, units) = (self.layers[n - 2], self.layers[n - 1]);
        (fan_in, units, p - units * (fan_in + 1))
    }
}

impl Output for MLP {
    fn check(&self) -> Result<(), Error> {
        let bad = |got| {
            let expected = format!("a list [d, h_1, ..., k] of 2 to {MAX_LAYERS} sizes >= 1");
            Err(Error::Parameter(fault("layers", expected, got)))
        };
        if !(2..=MAX_LAYERS).contains(&self.layers.len()) {
            return bad(self.layers.len().to_string());
        }
        if self.layers.contains(&0) {
            return bad("0".to_string());
        }
        Ok(())
    }

    fn inputs(&self) -> Option<usize> {
        Some(self.layers[0])
    }

    fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1]
    }

    fn parameters(&self) -> Option<usize> {
        self.layers.windows(2).try_fold(0usize, |sum, pair| {
            sum.checked_add(pair[0].checked_add(1)?.checked_mul(pair[1])?)
        })
    }

    fn work(&self) -> usize {
        self.hidden().iter().sum::<usize>() + 2 * self.widest()
    }

    fn forward<T: Scalar>(
        &self,
        theta: &[T],
        u: &[T],
        z: &mut [f64],
        dz: &mut [T],
        stride: usize,
        work: &mut [T],
    ) {
        let (units, deltas) = work.split_at_mut(self.hidden().iter().sum());
        let p = self.values(theta, u, units, z);
        for (j, row) in dz.chunks_exact_mut(stride).enumerate() {
            self.backward(theta, u, units, j, &mut row[..p], deltas);
        }
    }
}

impl MLP {
    /// The values of the hidden units, layer after layer, and z; returns p.
    fn values<T: Scalar>(&self, theta: &[T], u: &[T], units: &mut [T], z: &mut [f64]) -> usize {
        let (mut at, mut start) = (0, 0);
        for pair in self.layers[..self.layers.len() - 1].windows(2) {
            let (fan_in, n) = (pair[0], pair[1]);
            let (before, rest) = units.split_at_mut(start);
            let a = if start == 0 {
                u
            } else {
                &before[start - fan_in..]
            };
            let (weights, biases) = (&theta[at..at + n * fan_in], &theta[at + n * fan_in..]);
            for (i, unit) in rest[..n].iter_mut().enumerate() {
                let sum = dot(&weights[i * fan_in..(i + 1) * fan_in], a) + biases[i];
                *unit = self.activation.value(sum);
            }
            (at, start) = (at + n * (fan_in + 1), start + n);
        }
        let (fan_in, k) = (self.layers[self.layers.len() - 2], z.len());
        let a = if start == 0 {
            u
        } else {
            &units[start - fan_in..]
        };
        for (j, z) in z.iter_mut().enumerate() {
            let weights = &theta[at + j * fan_in..at + (j + 1) * fan_in];
            *z = (dot(weights, a) + theta[at + k * fan_in + j]).to_f64();
        }
        at + k * (fan_in + 1)
    }

    /// Row j of dz, zero on entry.
    fn backward<T: Scalar>(
        &self,
        theta: &[T],
        u: &[T],
        units: &[T],
        j: usize,
        row: &mut [T],
        deltas: &mut [T],
    ) {
        let (fan_in, k, at) = self.last(row.len());
        let mut end = units.len();
        let a = if end == 0 { u } else { &units[end - fan_in..] };
        row[at + j * fan_in..at + (j + 1) * fan_in].copy_from_slice(a);
        row[at + k * fan_in + j] = T::one();
        let (mut delta, mut next) = deltas.split_at_mut(self.widest());
        let mut at = at;
        if end > 0 {
            let weights = &theta[at + j * fan_in..at + (j + 1) * fan_in];
            for ((delta, &w), &a) in delta.iter_mut().zip(weights).zip(a) {
                *delta = w * self.activation.slope(a);
            }
        }
        for pair in self.layers[..self.layers.len() - 1].windows(2).rev() {
            let (fan_in, n) = (pair[0], pair[1]);
            at -= n * (fan_in + 1);
            end -= n;
            let a = if end == 0 {
                u
            } else {
                &units[end - fan_in..end]
            };
            let own = &delta[..n];
            for (&d, row) in own.iter().zip(row[at..].chunks_exact_mut(fan_in)) {
                for (x, &a) in row.iter_mut().zip(a) {
                    *x = d * a;
                }
            }
            row[at + n * fan_in..at + n * (fan_in + 1)].copy_from_slice(own);
            if end == 0 {
                return;
            }
            let below = &mut next[..fan_in];
            below.fill(T::zero());
            for (&d, weights) in own.iter().zip(theta[at..].chunks_exact(fan_in)) {
                if d != T::zero() {
                    axpy(d, weights, below);
                }
            }
            for (x, &a) in below.iter_mut().zip(a) {
                *x *= self.activation.slope(a);
            }
            std::mem::swap(&mut delta, &mut next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, MLP, Output};

    /// Central differences of a smooth network, several outputs.
    #[test]
    fn the_jacobian_is_that_of_the_differences() {
        for layers in [vec![3, 2], vec![3, 5, 1], vec![2, 4, 3, 2]] {
            let model = MLP {
                layers,
                activation: Activation::Tanh,
            };
            model.check().unwrap();
            let (d, k, p) = (
                model.layers[0],
                model.outputs(),
                model.parameters().unwrap(),
            );
            let theta: Vec<f64> = (0..p).map(|i| (i as f64 * 1.7).sin()).collect();
            let u: Vec<f64> = (0..d).map(|i| (i as f64 + 0.3).cos()).collect();
            let stride = p.next_multiple_of(16);
            let run = |theta: &[f64]| {
                let (mut z, mut dz) = (vec![0.0; k], vec![0.0; k * stride]);
                model.forward(
                    theta,
                    &u,
                    &mut z,
                    &mut dz,
                    stride,
                    &mut vec![0.0; model.work()],
                );
                (z, dz)
            };
            let (_, dz) = run(&theta);
            for i in 0..p {
                let moved = |by: f64| {
                    let mut theta = theta.clone();
                    theta[i] += by;
                    run(&theta).0
                };
                for (j, (up, down)) in moved(1e-6).iter().zip(moved(-1e-6)).enumerate() {
                    assert!(((up - down) / 2e-6 - dz[j * stride + i]).abs() < 1e-8);
                }
            }
        }
    }

    #[test]
    fn relu_has_slope_0_at_0_and_passes_nan_on() {
        assert_eq!(Activation::Relu.slope(0.0), 0.0);
        assert_eq!(
            (Activation::Relu.value(-1.0), Activation::Relu.value(2.0)),
            (0.0, 2.0)
        );
        assert!(Activation::Relu.value(f64::NAN).is_nan());
    }

    #[test]
    fn sizes_that_do_not_fit_are_seen() {
        let model = |layers: &[usize]| MLP {
            layers: layers.to_vec(),
            activation: Activation::Relu,
        };
        assert!(model(&[3]).check().is_err() && model(&[3, 0]).check().is_err());
        assert_eq!(model(&[usize::MAX, 2]).parameters(), None);
        assert_eq!(model(&[1 << 40, 1 << 40]).parameters(), None);
    }
}
