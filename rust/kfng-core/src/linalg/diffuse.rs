//! Process noise in the UD form.

use pulp::{Simd, WithSimd};

use super::Layout;
use super::ud::column_start;
use crate::scalar::Scalar;

/// P <- P + c·a a' of P = U D U'.
///
/// ```text
/// for j = n-1..0:   s = a_j;   D' = D_j + c s²;   a <- a - s u_j;   u_j <- u_j + (c s/D') a;   c <- c D_j/D';   D_j <- D'
/// ```
///
/// - u: (`u_len`,), d: (`d_len`,); c >= 0; a: (n,), n <= p, zero from n on and left undefined
///
/// Sums of what is not negative: nothing cancels. Cost O(n²). Source: Agee and Turner 1972; Bierman 1977, III.
pub fn add_outer<T: Scalar>(layout: &Layout, u: &mut [T], d: &mut [T], c: T, a: &mut [T]) {
    assert!(a.len() <= layout.p() && u.len() == layout.u_len() && d.len() == layout.d_len());
    layout.path().run_index_order(AddOuter { u, d, c, a });
}

struct AddOuter<'a, T> {
    u: &'a mut [T],
    d: &'a mut [T],
    c: T,
    a: &'a mut [T],
}

impl<T: Scalar> WithSimd for AddOuter<'_, T> {
    type Output = ();

    // Element by element there is no sum to reorder, so the compiler vectorises this alone.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let AddOuter { u, d, mut c, a } = self;
        for j in (0..a.len()).rev() {
            let (s, old) = (a[j], d[j]);
            if s == T::zero() {
                continue;
            }
            let new = old + c * s * s;
            if new == T::zero() {
                continue;
            }
            let gain = c * s / new;
            let column = &mut u[column_start(j)..][..j];
            for (u, a) in column.iter_mut().zip(&mut a[..j]) {
                *a -= s * *u;
                *u += gain * *a;
            }
            c *= old / new;
            d[j] = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::add_outer;
    use crate::linalg::Layout;
    use crate::linalg::testing::{Belief, PS, Rng};

    #[test]
    fn adds_an_outer_product() {
        for p in PS {
            let mut belief = Belief::<f64>::random(Layout::new(p).unwrap(), 4);
            let (before, mut rng) = (belief.dense(), Rng(7));
            for n in [p, p.div_ceil(2)] {
                let a: Vec<f64> = (0..n).map(|_| rng.next()).collect();
                let before = belief.dense();
                add_outer(
                    &belief.layout,
                    &mut belief.u,
                    &mut belief.d,
                    0.7,
                    &mut a.clone(),
                );
                let after = belief.dense();
                for ij in 0..p * p {
                    let (i, j) = (ij / p, ij % p);
                    let added = if i < n && j < n {
                        0.7 * a[i] * a[j]
                    } else {
                        0.0
                    };
                    let size = (after[i * p + i] * after[j * p + j]).sqrt();
                    assert!(
                        (after[ij] - before[ij] - added).abs() <= 1e-13 * size,
                        "p = {p}"
                    );
                }
            }
            assert!(belief.dense() != before || p == 0);
        }
    }

    #[test]
    fn nothing_known_and_nothing_added_stay_so() {
        let mut belief = Belief::<f64>::zeros(Layout::new(3).unwrap());
        add_outer(
            &belief.layout,
            &mut belief.u,
            &mut belief.d,
            0.0,
            &mut [1.0, 2.0, 3.0],
        );
        assert!(belief.d.iter().chain(&belief.u[..]).all(|&x| x == 0.0));
    }
}
