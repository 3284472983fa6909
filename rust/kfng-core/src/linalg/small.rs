//! Cholesky factor and triangular solves of a small k×k matrix, in place: the outputs of one observation.

use super::NotPositiveDefinite;
use crate::scalar::Scalar;

/// A <- L with A = L L', L lower triangular; the strict upper triangle is set to zero.
///
/// - a: (k, k) row-major, its lower triangle is read
///
/// Cost O(k³/6). Source: Golub and Van Loan, Matrix Computations, 4.2.
pub fn cholesky<T: Scalar>(a: &mut [T], k: usize) -> Result<(), NotPositiveDefinite> {
    assert_eq!(a.len(), k * k);
    for i in 0..k {
        for j in 0..=i {
            let mut sum = a[i * k + j];
            for l in 0..j {
                sum -= a[i * k + l] * a[j * k + l];
            }
            if i > j {
                a[i * k + j] = sum / a[j * k + j];
            } else if sum > T::zero() && sum.is_finite() {
                a[i * k + i] = sum.sqrt();
            } else {
                return Err(NotPositiveDefinite { index: i });
            }
        }
        a[i * k + i + 1..(i + 1) * k].fill(T::zero());
    }
    Ok(())
}

/// x <- L^-1 x.
///
/// - l: (k, k) lower triangular, row-major; x: (k,)
///
/// Cost O(k²/2).
pub fn solve_lower<T: Scalar>(l: &[T], k: usize, x: &mut [T]) {
    assert!(l.len() == k * k && x.len() == k);
    for i in 0..k {
        let mut sum = x[i];
        for j in 0..i {
            sum -= l[i * k + j] * x[j];
        }
        x[i] = sum / l[i * k + i];
    }
}

/// x <- L'^-1 x.
///
/// - l: (k, k) lower triangular, row-major; x: (k,)
///
/// Cost O(k²/2).
pub fn solve_lower_transposed<T: Scalar>(l: &[T], k: usize, x: &mut [T]) {
    assert!(l.len() == k * k && x.len() == k);
    for i in (0..k).rev() {
        x[i] /= l[i * k + i];
        for j in 0..i {
            let y = l[i * k + j] * x[i];
            x[j] -= y;
        }
    }
}

/// x <- A^-1 x, given L of A = L L'. Shapes and cost as the two solves.
pub fn cholesky_solve<T: Scalar>(l: &[T], k: usize, x: &mut [T]) {
    solve_lower(l, k, x);
    solve_lower_transposed(l, k, x);
}

#[cfg(test)]
mod tests {
    use super::{cholesky, cholesky_solve};
    use crate::linalg::NotPositiveDefinite;
    use crate::linalg::testing::Rng;

    #[test]
    fn solves_a_random_system() {
        let mut rng = Rng(3);
        for k in [0, 1, 2, 3, 10, 50] {
            let m: Vec<f64> = (0..k * k).map(|_| rng.next()).collect();
            let entry = |i: usize, j: usize| {
                (0..k).map(|l| m[i * k + l] * m[j * k + l]).sum::<f64>()
                    + if i == j { 1.0 } else { 0.0 }
            };
            let a: Vec<f64> = (0..k * k).map(|ij| entry(ij / k, ij % k)).collect();
            let y: Vec<f64> = (0..k).map(|_| rng.next()).collect();
            let (mut l, mut x) = (a.clone(), y.clone());
            cholesky(&mut l, k).unwrap();
            cholesky_solve(&l, k, &mut x);
            for i in 0..k {
                assert!(((0..k).map(|j| a[i * k + j] * x[j]).sum::<f64>() - y[i]).abs() < 1e-12);
                assert!((i + 1..k).all(|j| l[i * k + j] == 0.0));
            }
        }
    }

    #[test]
    fn refuses_what_is_not_positive_definite() {
        assert_eq!(
            cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2),
            Err(NotPositiveDefinite { index: 1 })
        );
        assert_eq!(
            cholesky(&mut [0.0f32], 1),
            Err(NotPositiveDefinite { index: 0 })
        );
        assert!(
            cholesky(&mut [f64::NAN], 1).is_err() && cholesky(&mut [f64::INFINITY], 1).is_err()
        );
    }
}
