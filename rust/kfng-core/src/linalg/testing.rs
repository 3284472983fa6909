//! What the tests of this folder share: random beliefs and the obvious dense loop.

use super::{Aligned, Columns, Layout, dense, diagonal_prior};
use crate::scalar::Scalar;

/// Sizes on both sides of every boundary of the layout.
pub(crate) const PS: [usize; 18] = [
    1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, 257, 500,
];

/// Xorshift: numbers in [-1, 1).
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// An owned belief.
pub(crate) struct Belief<T> {
    pub layout: Layout,
    pub u: Aligned<T>,
    pub d: Aligned<T>,
}

impl<T: Scalar> Belief<T> {
    pub(crate) fn zeros(layout: Layout) -> Self {
        Belief {
            layout,
            u: Aligned::zeros(layout.u_len()).unwrap(),
            d: Aligned::zeros(layout.d_len()).unwrap(),
        }
    }

    pub(crate) fn prior(layout: Layout, variance: f64) -> Self {
        let mut belief = Self::zeros(layout);
        diagonal_prior(
            &layout,
            &vec![T::of(variance); layout.p()],
            &mut belief.u,
            &mut belief.d,
        );
        belief
    }

    /// Small entries above the diagonal, so that P stays well conditioned.
    pub(crate) fn random(layout: Layout, seed: u64) -> Self {
        let (mut belief, mut rng) = (Self::prior(layout, 1.0), Rng(seed));
        for j in 0..layout.p() {
            belief.d[j] = T::of(1.5 + rng.next());
            for i in 0..j {
                belief.u[layout.at(i, j)] = T::of(rng.next() / (layout.p() as f64).sqrt());
            }
        }
        belief
    }

    pub(crate) fn copy(&self) -> Self {
        Belief {
            layout: self.layout,
            u: self.u.try_clone().unwrap(),
            d: self.d.try_clone().unwrap(),
        }
    }

    pub(crate) fn dense(&self) -> Vec<T> {
        let mut out = vec![T::zero(); self.layout.p() * self.layout.p()];
        dense(&self.layout, &self.u, &self.d, &mut out);
        out
    }
}

/// k random columns; the fourth has weight 0, and every third another decay.
pub(crate) fn random_columns<T: Scalar>(layout: &Layout, k: usize, seed: u64) -> Columns<T> {
    let (mut columns, mut rng) = (Columns::with_capacity(layout, k).unwrap(), Rng(seed));
    for t in 0..k {
        let weight = if t == 3 { 0.0 } else { 1.1 + rng.next() };
        let h = columns.push(T::of(weight), T::of(if t % 3 == 0 { 0.99 } else { 1.0 }), 0);
        h[..layout.p()]
            .iter_mut()
            .for_each(|x| *x = T::of(rng.next()));
    }
    columns
}

/// Dense P <- P/decay - weight·b b'/alpha in f64, the obvious loop; returns (b, q).
pub(crate) fn obvious(cov: &mut [f64], h: &[f64], weight: f64, decay: f64) -> (Vec<f64>, f64) {
    let p = h.len();
    for x in cov.iter_mut() {
        *x /= decay;
    }
    let b: Vec<f64> = (0..p)
        .map(|i| (0..p).map(|j| cov[i * p + j] * h[j]).sum())
        .collect();
    let q = h.iter().zip(&b).map(|(h, b)| h * b).sum::<f64>();
    for i in 0..p {
        for j in 0..p {
            cov[i * p + j] -= weight / (1.0 + weight * q) * b[i] * b[j];
        }
    }
    (b, q)
}
