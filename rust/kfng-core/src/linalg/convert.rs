//! Between the UD form and the forms people and files hold: a dense matrix, variances, the packed triangle of a checkpoint.

use super::ud::column_start;
use super::{Layout, NotPositiveDefinite};
use crate::scalar::Scalar;

/// U = I and D = variances: P = diag(variances).
///
/// - variances: (p,); u: (`u_len`,), d: (`d_len`,), overwritten
pub fn diagonal_prior<T: Scalar>(layout: &Layout, variances: &[T], u: &mut [T], d: &mut [T]) {
    assert!(
        variances.len() == layout.p() && u.len() == layout.u_len() && d.len() == layout.d_len()
    );
    u.fill(T::zero());
    d.fill(T::zero());
    d[..layout.p()].copy_from_slice(variances);
    for j in 0..layout.p() {
        u[layout.at(j, j)] = T::one();
    }
}

/// Factors a dense P = U D U'.
///
/// ```text
/// for j = p-1..0:   u_j = (P_j - sum over k > j of D_k u_jk u_k)/D_j,   D_j the same sum at row j
/// ```
///
/// - dense: (p, p) row-major, its upper triangle is read; u: (`u_len`,), d: (`d_len`,), overwritten, unspecified on error
///
/// Cost O(p³/3). Source: Bierman 1977, III.4.
pub fn factor<T: Scalar>(
    layout: &Layout,
    dense: &[T],
    u: &mut [T],
    d: &mut [T],
) -> Result<(), NotPositiveDefinite> {
    let p = layout.p();
    assert!(dense.len() == p * p && u.len() == layout.u_len() && d.len() == layout.d_len());
    u.fill(T::zero());
    d.fill(T::zero());
    for j in (0..p).rev() {
        let (before, after) = u.split_at_mut(column_start(j) + j + 1);
        let start = before.len();
        let column = &mut before[column_start(j)..];
        for i in 0..=j {
            column[i] = dense[i * p + j];
        }
        for k in j + 1..p {
            let other = &after[column_start(k) - start..][..=j];
            let scale = d[k] * other[j];
            for (x, &y) in column.iter_mut().zip(other) {
                *x -= scale * y;
            }
        }
        let pivot = column[j];
        if !(pivot > T::zero() && pivot.is_finite()) {
            return Err(NotPositiveDefinite { index: j });
        }
        d[j] = pivot;
        for x in &mut column[..j] {
            *x /= pivot;
            if !x.is_finite() {
                return Err(NotPositiveDefinite { index: j });
            }
        }
        column[j] = T::one();
    }
    Ok(())
}

/// P = U D U', symmetric bit for bit; its diagonal has the bits of [`super::diagonal`].
///
/// - u: (`u_len`,), d: (`d_len`,); out: (p, p), overwritten
///
/// Cost O(p³/3).
pub fn dense<T: Scalar>(layout: &Layout, u: &[T], d: &[T], out: &mut [T]) {
    let p = layout.p();
    assert!(out.len() == p * p && u.len() == layout.u_len() && d.len() == layout.d_len());
    out.fill(T::zero());
    for k in 0..p {
        let column = &u[column_start(k)..][..=k];
        for j in 0..=k {
            let scale = d[k] * column[j];
            for (x, &y) in out[j * p..][..=j].iter_mut().zip(column) {
                *x += scale * y;
            }
        }
    }
    for j in 0..p {
        for i in 0..j {
            out[i * p + j] = out[j * p + i];
        }
    }
}

/// U^-1 of the unit upper triangular U.
///
/// - u: (`u_len`,); rows: (p, p) row-major, overwritten
///
/// Cost O(p³/6).
pub fn inverse_rows<T: Scalar>(layout: &Layout, u: &[T], rows: &mut [T]) {
    let p = layout.p();
    assert!(rows.len() == p * p && u.len() == layout.u_len());
    rows.fill(T::zero());
    for (i, row) in rows.chunks_exact_mut(p.max(1)).enumerate() {
        row[i] = T::one();
        for j in i + 1..p {
            let column = &u[column_start(j)..][i..j];
            let sum = row[i..j]
                .iter()
                .zip(column)
                .fold(T::zero(), |sum, (&x, &y)| sum + x * y);
            row[j] = -sum;
        }
    }
}

/// Length of the packed triangle: p(p-1)/2.
pub fn packed_len(layout: &Layout) -> usize {
    layout.p() * layout.p().saturating_sub(1) / 2
}

/// The strict upper triangle of U without padding, column-major: column j gives rows 0..j-1. Exact.
///
/// - u: (`u_len`,); packed: (p(p-1)/2,), overwritten
pub fn pack<T: Scalar>(layout: &Layout, u: &[T], packed: &mut [T]) {
    assert!(u.len() == layout.u_len() && packed.len() == packed_len(layout));
    let mut rest = packed;
    for j in 0..layout.p() {
        let (column, tail) = rest.split_at_mut(j);
        column.copy_from_slice(&u[column_start(j)..][..j]);
        rest = tail;
    }
}

/// The inverse of [`pack`]: unit diagonal and zero padding come back.
///
/// - packed: (p(p-1)/2,); u: (`u_len`,), overwritten
pub fn unpack<T: Scalar>(layout: &Layout, packed: &[T], u: &mut [T]) {
    assert!(u.len() == layout.u_len() && packed.len() == packed_len(layout));
    u.fill(T::zero());
    let mut rest = packed;
    for j in 0..layout.p() {
        let (column, tail) = rest.split_at(j);
        u[column_start(j)..][..j].copy_from_slice(column);
        u[layout.at(j, j)] = T::one();
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::{dense, diagonal_prior, factor, pack, packed_len, unpack};
    use crate::linalg::testing::{Belief, PS, Rng};
    use crate::linalg::{Layout, NotPositiveDefinite, diagonal, diagonal_at};

    #[test]
    fn factor_and_dense_are_inverse() {
        for p in PS {
            let belief = Belief::<f64>::random(Layout::new(p).unwrap(), 3);
            let cov = belief.dense();
            let mut again = Belief::<f64>::zeros(belief.layout);
            factor(&belief.layout, &cov, &mut again.u, &mut again.d).unwrap();
            let size = cov.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            for (a, b) in cov.iter().zip(again.dense()) {
                assert!((a - b).abs() <= 1e-13 * size * p as f64, "p = {p}");
            }
        }
    }

    #[test]
    fn indefinite_and_poisoned_matrices_are_refused() {
        let layout = Layout::new(2).unwrap();
        let mut belief = Belief::<f64>::zeros(layout);
        let mut refused = |cov: [f64; 4]| factor(&layout, &cov, &mut belief.u, &mut belief.d);
        assert_eq!(
            refused([1.0, 2.0, 2.0, 1.0]),
            Err(NotPositiveDefinite { index: 0 })
        );
        assert_eq!(
            refused([1.0, 0.0, 0.0, 0.0]),
            Err(NotPositiveDefinite { index: 1 })
        );
        assert!(
            refused([1.0, f64::NAN, 0.0, 1.0]).is_err()
                && refused([f64::INFINITY, 0.0, 0.0, 1.0]).is_err()
        );
        assert!(refused([2.0, 1.0, 1.0, 2.0]).is_ok());
    }

    #[test]
    fn packing_is_exact() {
        for p in PS {
            let belief = Belief::<f32>::random(Layout::new(p).unwrap(), 5);
            let mut packed = vec![0.0; packed_len(&belief.layout)];
            pack(&belief.layout, &belief.u, &mut packed);
            let mut u = vec![f32::NAN; belief.layout.u_len()];
            unpack(&belief.layout, &packed, &mut u);
            assert!(u[..] == belief.u[..], "p = {p}");
        }
    }

    #[test]
    fn a_diagonal_prior_is_its_diagonal() {
        let layout = Layout::new(19).unwrap();
        let mut rng = Rng(5);
        let variances: Vec<f64> = (0..19).map(|_| 2.0 + rng.next()).collect();
        let mut belief = Belief::<f64>::zeros(layout);
        diagonal_prior(&layout, &variances, &mut belief.u, &mut belief.d);
        let mut out = vec![1.0; layout.padded()];
        diagonal(&layout, &belief.u, &belief.d, &mut out);
        assert!(out[..19] == variances[..] && out[19..].iter().all(|&x| x == 0.0));
    }

    #[test]
    fn the_three_diagonals_agree_bit_for_bit() {
        for p in PS {
            let belief = Belief::<f64>::random(Layout::new(p).unwrap(), 8);
            let (mut out, mut cov) = (vec![1.0; belief.layout.padded()], vec![0.0; p * p]);
            diagonal(&belief.layout, &belief.u, &belief.d, &mut out);
            dense(&belief.layout, &belief.u, &belief.d, &mut cov);
            for i in 0..p {
                assert_eq!(
                    out[i],
                    diagonal_at(&belief.layout, &belief.u, &belief.d, i),
                    "p = {p}, i = {i}"
                );
                assert_eq!(out[i], cov[i * p + i], "p = {p}, i = {i}");
            }
        }
    }
}
