//! Time of a joint belief on (s, theta) in the UD form: the state moves, the parameters stay.

use pulp::{Simd, WithSimd};

use super::ud::{NC, block_len, column_start};
use super::{AllocationError, Layout, Overflow};
use crate::scalar::Scalar;

/// Zeros that a run may contain before it is cut in two.
const GAP: usize = 8;

/// A sparse (n, p) matrix: in each row, runs of consecutive entries.
#[derive(Debug)]
pub struct Runs<T> {
    runs: Vec<Run>,
    values: Vec<T>,
}

/// Entries `start..start + len` of a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    row: usize,
    start: usize,
    len: usize,
    at: usize,
}

impl<T: Scalar> Runs<T> {
    /// Room for any (n, p) matrix that comes dense; nothing allocates after this.
    pub fn for_dense(n: usize, p: usize) -> Result<Self, AllocationError> {
        let rows = n.checked_mul(p / (GAP + 1) + 1).ok_or(Overflow)?;
        Self::with_capacity(rows, n.checked_mul(p).ok_or(Overflow)?)
    }

    /// Room for so many runs and entries.
    pub fn with_capacity(runs: usize, entries: usize) -> Result<Self, AllocationError> {
        let bytes = |n: usize, size| n.checked_mul(size).ok_or(Overflow);
        let (first, second) = (
            bytes(runs, size_of::<Run>())?,
            bytes(entries, size_of::<T>())?,
        );
        let mut made = Runs {
            runs: Vec::new(),
            values: Vec::new(),
        };
        (made.runs.try_reserve_exact(runs))
            .map_err(|_| AllocationError::OutOfMemory { bytes: first })?;
        (made.values.try_reserve_exact(entries))
            .map_err(|_| AllocationError::OutOfMemory { bytes: second })?;
        Ok(made)
    }

    /// The zero matrix.
    #[inline]
    pub fn clear(&mut self) {
        self.runs.clear();
        self.values.clear();
    }

    /// Entries `start..` of a row gain c·x.
    #[inline]
    pub fn push(&mut self, row: usize, start: usize, c: T, x: &[T]) {
        self.runs.push(Run {
            row,
            start,
            len: x.len(),
            at: self.values.len(),
        });
        self.values.extend(x.iter().map(|&x| c * x));
    }

    /// Row `row` gains x (p,), what is zero left out.
    pub fn push_row(&mut self, row: usize, x: &[T]) {
        let mut start = 0;
        while let Some(first) = x[start..].iter().position(|x| *x != T::zero()) {
            start += first;
            let (mut stop, mut zeros) = (start, 0);
            for (i, x) in x[start..].iter().enumerate() {
                if *x == T::zero() {
                    zeros += 1;
                    if zeros > GAP {
                        break;
                    }
                } else {
                    (zeros, stop) = (0, start + i + 1);
                }
            }
            self.push(row, start, T::one(), &x[start..stop]);
            start = stop;
        }
    }
}

/// Numbers that [`transition`] works with, for r columns of the noise's root.
pub fn transition_work(n: usize, r: usize) -> Option<usize> {
    let columns = n.checked_add(r)?;
    columns.checked_mul(n.checked_add(2)?)
}

/// P <- c·F P F' + blockdiag(S diag(s) S', 0) with F = [[f_s, f_theta], [0, I]], of P = U D U' on (s, theta), s of length n.
///
/// ```text
/// U_st <- f_s U_st + f_theta U_tt;   U_tt, D_t <- U_tt, c D_t        (theta is last: its own factors do not see s)
/// U_ss D_s U_ss' <- [f_s U_ss | S] diag(c D_s | s) [f_s U_ss | S]'   by weighted Gram-Schmidt, from the last row up
/// ```
///
/// - from: (u0, d0), read; u: (`u_len`,), d: (`d_len`,), overwritten; c > 0
/// - f_s: (n, n) row-major; f_theta: (n, p - n); s: (r,) >= 0; root: (n, r); work: ([`transition_work`],)
///
/// Sums of what is not negative make D: P cannot become indefinite. Cost O(n² p + n³) and half the entries of f_theta times p: a p × n
/// product where f_theta is dense, O(p²) for a cell, each of whose parameters drives one unit.
/// Source: Thornton 1976; Bierman 1977, VI.4.
#[expect(
    clippy::too_many_arguments,
    reason = "two matrices, and what maps one to the other"
)]
pub fn transition<T: Scalar>(
    layout: &Layout,
    n: usize,
    (u0, d0): (&[T], &[T]),
    (u, d): (&mut [T], &mut [T]),
    c: T,
    f_s: &[T],
    f_theta: &Runs<T>,
    (s, root): (&[T], &[T]),
    work: &mut [T],
) {
    let (p, columns) = (layout.p(), n + s.len());
    assert!(n <= p && f_s.len() == n * n && root.len() == n * s.len());
    assert!(u0.len() == layout.u_len() && d0.len() == layout.d_len());
    assert!(u.len() == u0.len() && d.len() == d0.len());
    let (w, work) = work.split_at_mut(n * columns);
    let (weights, work) = work.split_at_mut(columns);
    layout.path().run_index_order(Carry {
        n,
        p,
        u0,
        u,
        f_s,
        f_theta,
    });
    for (to, &x) in d.iter_mut().zip(d0) {
        *to = x * c;
    }
    for j in 0..n {
        u[column_start(j)..][..block_len(j / NC)].fill(T::zero()); // what a refused step may have left
    }
    for (i, row) in w.chunks_exact_mut(columns.max(1)).enumerate() {
        for (j, x) in row[..n].iter_mut().enumerate() {
            *x = product(&f_s[i * n..][..=j], &u0[column_start(j)..][..=j]);
        }
        row[n..].copy_from_slice(&root[i * s.len()..][..s.len()]);
    }
    weights[..n].copy_from_slice(&d[..n]);
    weights[n..].copy_from_slice(s);
    triangular(layout, n, w, weights, (u, d), &mut work[..columns]);
}

/// The first n rows and columns of U and D from W diag(weights) W'.
///
/// - w: (n, m) row-major, overwritten; weights: (m,) >= 0; u: (`u_len`,), d: (`d_len`,); work: (m,)
///
/// Cost O(n² m). Source: Bierman 1977, VI.4.
pub fn triangular<T: Scalar>(
    layout: &Layout,
    n: usize,
    w: &mut [T],
    weights: &[T],
    (u, d): (&mut [T], &mut [T]),
    work: &mut [T],
) {
    let m = weights.len();
    assert!(w.len() == n * m && work.len() == m);
    for j in (0..n).rev() {
        let (above, row) = w.split_at_mut(j * m);
        let row = &row[..m];
        for ((v, &x), &weight) in work.iter_mut().zip(row).zip(weights) {
            *v = weight * x;
        }
        let pivot = product(row, work);
        d[j] = pivot;
        u[layout.at(j, j)] = T::one();
        for (i, other) in above.chunks_exact_mut(m.max(1)).enumerate() {
            let gain = if pivot == T::zero() {
                T::zero() // nothing is unknown in this direction: any factor does
            } else {
                product(other, work) / pivot
            };
            u[layout.at(i, j)] = gain;
            for (x, &y) in other.iter_mut().zip(row) {
                *x -= gain * y;
            }
        }
    }
}

/// x'y in eight partial sums, which the compiler keeps in registers.
#[inline(always)]
fn product<T: Scalar>(x: &[T], y: &[T]) -> T {
    let ((xs, x), (ys, y)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut sums = [T::zero(); 8];
    for (x, y) in xs.iter().zip(ys) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let rest = x.iter().zip(y).fold(T::zero(), |sum, (&x, &y)| sum + x * y);
    sums.iter().fold(rest, |sum, &x| sum + x)
}

/// The columns of theta.
struct Carry<'a, T> {
    n: usize,
    p: usize,
    u0: &'a [T],
    u: &'a mut [T],
    f_s: &'a [T],
    f_theta: &'a Runs<T>,
}

impl<T: Scalar> WithSimd for Carry<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Carry {
            n,
            p,
            u0,
            u,
            f_s,
            f_theta,
        } = self;
        for j in n..p {
            let place = column_start(j)..column_start(j) + block_len(j / NC);
            let (old, new) = (&u0[place.clone()], &mut u[place]);
            new.copy_from_slice(old);
            let (s, theta) = (&old[..n], &old[n..=j]);
            for (to, row) in new.iter_mut().zip(f_s.chunks_exact(n.max(1))) {
                *to = product(row, s);
            }
            for run in &f_theta.runs {
                if run.start < theta.len() {
                    let stop = theta.len().min(run.start + run.len);
                    let values = &f_theta.values[run.at..][..stop - run.start];
                    new[run.row] += product(values, &theta[run.start..stop]);
                }
            }
        }
        let rest = column_start(p)..u.len();
        u[rest.clone()].copy_from_slice(&u0[rest]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Runs, transition, transition_work};
    use crate::linalg::Layout;
    use crate::linalg::testing::{Belief, Rng};

    /// F P F'·c + blockdiag(S diag(s) S', 0), entry by entry.
    fn literal(
        p: usize,
        n: usize,
        cov: &[f64],
        f: &[f64],
        c: f64,
        s: &[f64],
        root: &[f64],
    ) -> Vec<f64> {
        let full = |i: usize, j: usize| {
            if i < n {
                f[i * p + j]
            } else {
                f64::from(u8::from(i == j))
            }
        };
        let mut out = vec![0.0; p * p];
        for i in 0..p {
            for j in 0..p {
                for k in 0..p {
                    for l in 0..p {
                        out[i * p + j] += c * full(i, k) * cov[k * p + l] * full(j, l);
                    }
                }
                if i < n && j < n {
                    for (k, s) in s.iter().enumerate() {
                        out[i * p + j] +=
                            root[i * s_len(root, n) + k] * s * root[j * s_len(root, n) + k];
                    }
                }
            }
        }
        out
    }

    fn s_len(root: &[f64], n: usize) -> usize {
        root.len() / n.max(1)
    }

    #[test]
    fn the_covariance_moves() {
        let mut rng = Rng(11);
        for (n, p) in [(0, 5), (1, 1), (2, 2), (3, 8), (5, 17), (4, 33), (20, 20)] {
            let layout = Layout::new(p).unwrap();
            let belief = Belief::<f64>::random(layout, 6);
            let mut draw = |m: usize| (0..m).map(|_| rng.next()).collect::<Vec<f64>>();
            let (mut f, root) = (draw(n * p), draw(n * 2));
            // Zeros in f_theta: runs with gaps of every kind.
            (0..n * p)
                .filter(|i| i % 13 < 5 && i % p >= n)
                .for_each(|i| f[i] = 0.0);
            let s = [0.7, 0.0];
            let f_s: Vec<f64> = (0..n * n).map(|i| f[i / n * p + i % n]).collect();
            let mut runs = Runs::for_dense(n, p - n).unwrap();
            (0..n).for_each(|i| runs.push_row(i, &f[i * p + n..(i + 1) * p]));
            let mut to = Belief::<f64>::zeros(layout);
            (to.u).copy_from_slice(&belief.u);
            let mut work = vec![0.0; transition_work(n, 2).unwrap()];
            transition(
                &layout,
                n,
                (&belief.u, &belief.d),
                (&mut to.u, &mut to.d),
                1.25,
                &f_s,
                &runs,
                (&s, &root),
                &mut work,
            );
            let exact = literal(p, n, &belief.dense(), &f, 1.25, &s, &root);
            let got = to.dense();
            for ij in 0..p * p {
                let size = (exact[ij / p * (p + 1)] * exact[ij % p * (p + 1)]).sqrt();
                assert!(
                    (got[ij] - exact[ij]).abs() <= 1e-13 * size,
                    "n = {n}, p = {p}"
                );
            }
            assert!(to.d.iter().all(|&d| d >= 0.0));
        }
    }

    #[test]
    fn a_known_state_stays_known_without_parameters_and_noise() {
        let layout = Layout::new(3).unwrap();
        let belief = Belief::<f64>::zeros(layout);
        let mut to = Belief::<f64>::zeros(layout);
        let mut work = vec![0.0; transition_work(3, 0).unwrap()];
        let f_s = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let runs = Runs::for_dense(3, 0).unwrap();
        let (from, to) = ((&belief.u[..], &belief.d[..]), &mut to);
        transition(
            &layout,
            3,
            from,
            (&mut to.u, &mut to.d),
            1.0,
            &f_s,
            &runs,
            (&[], &[]),
            &mut work,
        );
        assert!(to.dense().iter().all(|&x| x == 0.0));
    }
}
