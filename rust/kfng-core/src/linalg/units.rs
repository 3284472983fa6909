//! A belief in other coordinates of its inputs: u = scale·u' + center in the place of u, exactly.
//!
//! Of units z_j = w_j'u + c_j that is w_j' = scale·w_j and c_j' = c_j + center'w_j, or theta' = A theta and P' = A P A'. The biases c_j
//! stand behind the weights, so that A U is no triangle: its row of each c_j is full. It is made one again column by column, and P is
//! never formed.

/// Where column j of a packed U begins: strictly upper, column by column, as in a file.
fn start(j: usize) -> usize {
    j * j.saturating_sub(1) / 2
}

/// P <- A P A' of P = U D U'.
///
/// - u: (p(p-1)/2,) packed; d: (p,); scale, center: (inputs,); weights of `units` units come first, unit by unit, and where `center` is
///   not 0 their biases next
/// - work: (2p,)
///
/// Cost O(p²), and O(p²) for each unit where `center` is not 0.
pub fn change_units(
    u: &mut [f64],
    d: &mut [f64],
    (scale, center): (&[f64], &[f64]),
    units: usize,
    work: &mut [f64],
) {
    let (p, n) = (d.len(), scale.len());
    assert!(center.len() == n && units * n <= p && u.len() == start(p) && work.len() == 2 * p);
    if center.iter().any(|&x| x != 0.0) {
        assert!(units * (n + 1) <= p);
        for j in 0..units {
            shear(u, d, units * n + j, (center, j * n), work);
        }
    }
    let factor = |i: usize| if i < units * n { scale[i % n] } else { 1.0 };
    for j in 0..p {
        let own = factor(j);
        for (i, x) in u[start(j)..][..j].iter_mut().enumerate() {
            *x *= factor(i) / own;
        }
        d[j] *= own * own;
    }
}

/// Row r of P and its column plus v' times the rows from `first` on: theta_r <- theta_r + v'theta_first...
///
/// With r taken in front of what is before it the triangle would stay one. So r goes there, which is a rank-one update with the
/// column u_r (Agee and Turner 1972) that leaves in `row` what r has in each column; the sum is taken; and r comes back, which is
/// Bierman's update (1977, V) with `row` for f and what only r knows, rho, for the noise:
///
/// ```text
/// for j = r-1..0:   s = a_j;   D' = D_j + rho s²;   a <- a - s u_j;   u_j <- u_j + (rho s/D') a;   row_j = rho s/D';   rho <- rho D_j/D'
/// row_j <- row_j + v'u_j
/// for j = 0..r-1:   alpha' = alpha + D_j row_j²;   (u_j, b) <- (u_j - (row_j/alpha) b, b + D_j row_j u_j);   D_j <- D_j alpha/alpha'
/// u_r <- b/alpha,   D_r <- alpha
/// ```
///
/// Sums of what is not negative, but for the one that is asked for: nothing cancels.
fn shear(u: &mut [f64], d: &mut [f64], r: usize, (v, first): (&[f64], usize), work: &mut [f64]) {
    let p = d.len();
    for j in r + 1..p {
        let column = &mut u[start(j)..][..j];
        column[r] += dot(v, &column[first..]);
    }
    let (a, row) = work.split_at_mut(p);
    let (a, row) = (&mut a[..r], &mut row[..r]);
    a.copy_from_slice(&u[start(r)..][..r]);
    row.fill(0.0);
    let mut rho = d[r];
    for j in (0..r).rev() {
        let (s, old) = (a[j], d[j]);
        let new = old + rho * s * s;
        if s == 0.0 || new == 0.0 {
            continue;
        }
        let gain = rho * s / new;
        for (u, a) in u[start(j)..][..j].iter_mut().zip(&mut a[..j]) {
            *a -= s * *u;
            *u += gain * *a;
        }
        row[j] = gain;
        rho *= old / new;
        d[j] = new;
    }
    for j in first..r {
        row[j] += dot(v, &u[start(j)..][first..j]); // of a short column the entries there are
        row[j] += v.get(j - first).unwrap_or(&0.0); // the diagonal
    }
    let (b, mut alpha) = (a, rho);
    b.fill(0.0);
    for j in 0..r {
        let f = row[j];
        let g = d[j] * f;
        let new = alpha + f * g;
        if g != 0.0 {
            let gain = if alpha > 0.0 { f / alpha } else { 0.0 };
            for (u, b) in u[start(j)..][..j].iter_mut().zip(&mut b[..j]) {
                let old = *u;
                *u -= gain * *b;
                *b += g * old;
            }
            b[j] = g;
            d[j] *= alpha / new;
        } else if f != 0.0 && alpha > 0.0 {
            let gain = f / alpha; // of what is known exactly nothing comes into b
            for (u, b) in u[start(j)..][..j].iter_mut().zip(&b[..j]) {
                *u -= gain * *b;
            }
        }
        alpha = new;
    }
    d[r] = alpha;
    for (to, &b) in u[start(r)..][..r].iter_mut().zip(&*b) {
        *to = if alpha > 0.0 { b / alpha } else { 0.0 };
    }
}

/// Of as many entries as both have.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::{change_units, start};
    use crate::linalg::testing::Rng;

    /// U D U' of a packed U.
    fn dense(u: &[f64], d: &[f64]) -> Vec<f64> {
        let p = d.len();
        let at = |i: usize, j: usize| match i.cmp(&j) {
            std::cmp::Ordering::Less => u[start(j) + i],
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => 0.0,
        };
        let mut out = vec![0.0; p * p];
        for ij in 0..p * p {
            out[ij] = (0..p)
                .map(|k| at(ij / p, k) * d[k] * at(ij % p, k))
                .sum::<f64>();
        }
        out
    }

    /// A, entry by entry.
    fn matrix(p: usize, scale: &[f64], center: &[f64], units: usize) -> Vec<f64> {
        let n = scale.len();
        let mut a = vec![0.0; p * p];
        for i in 0..p {
            a[i * p + i] = if i < units * n { scale[i % n] } else { 1.0 };
        }
        for j in 0..units {
            for i in 0..n {
                if center[i] != 0.0 {
                    a[(units * n + j) * p + j * n + i] = center[i];
                }
            }
        }
        a
    }

    fn error(p: usize, got: &[f64], a: &[f64], before: &[f64]) -> f64 {
        let mut exact = vec![0.0; p * p];
        for ij in 0..p * p {
            for k in 0..p {
                for l in 0..p {
                    exact[ij] += a[ij / p * p + k] * before[k * p + l] * a[ij % p * p + l];
                }
            }
        }
        (0..p * p)
            .map(|ij| {
                let size = (exact[ij / p * (p + 1)] * exact[ij % p * (p + 1)]).sqrt();
                (got[ij] - exact[ij]).abs() / size.max(f64::MIN_POSITIVE)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_covariance_is_that_of_the_new_coordinates() {
        let mut rng = Rng(5);
        // units, inputs, parameters behind them
        for (units, n, rest) in [
            (1, 1, 0),
            (1, 4, 0),
            (3, 2, 0),
            (2, 5, 7),
            (1, 0, 2),
            (4, 9, 3),
        ] {
            let p = units * (n + 1) + rest;
            let mut u: Vec<f64> = (0..start(p)).map(|_| rng.next()).collect();
            let mut d: Vec<f64> = (0..p).map(|_| 1.5 + rng.next()).collect();
            if p > 6 {
                d[1] = 0.0; // known exactly, given those behind it
            }
            let before = dense(&u, &d);
            let scale: Vec<f64> = (0..n).map(|_| (3.0 * rng.next()).exp()).collect();
            let center: Vec<f64> = (0..n).map(|_| 2.0 * rng.next()).collect();
            let mut work = vec![f64::NAN; 2 * p];
            change_units(&mut u, &mut d, (&scale, &center), units, &mut work);
            assert!(d.iter().all(|&x| x >= 0.0 && x.is_finite()));
            let got = dense(&u, &d);
            let a = matrix(p, &scale, &center, units);
            assert!(error(p, &got, &a, &before) < 1e-12, "{units} {n} {rest}");
            if n > 0 {
                let still = matrix(p, &scale, &vec![0.0; n], units); // control: the biases stay where they are
                assert!(error(p, &got, &still, &before) > 1e-3);
            }
        }
    }

    #[test]
    fn a_bias_that_nothing_else_tells_and_one_that_the_weights_tell() {
        for (last, first) in [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)] {
            let (mut u, mut d) = (vec![0.5], vec![first, last]);
            let before = dense(&u, &d);
            change_units(&mut u, &mut d, (&[2.0], &[3.0]), 1, &mut [0.0; 4]);
            let a = matrix(2, &[2.0], &[3.0], 1);
            assert!(error(2, &dense(&u, &d), &a, &before) < 1e-14);
        }
    }
}
