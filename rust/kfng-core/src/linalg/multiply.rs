//! A small dense matrix times rows: the influence update ds <- f_s ds, and dz = h_s ds.

use pulp::{Simd, WithSimd};

use super::Path;
use crate::scalar::Scalar;

/// Rows of the result that share a read of B.
const ROWS: usize = 4;

/// to = A B.
///
/// - a: (m, n); b: (n, stride), to: (m, stride), row-major, stride a multiple of 16
///
/// Tiles of 4 rows by 2 or 4 registers stay in registers over the whole sum, in index order; the tile of B stays in the first cache.
/// Nothing is packed, so nothing is allocated. Cost O(m n stride).
pub fn multiply<T: Scalar>(a: &[T], b: &[T], to: &mut [T], stride: usize) {
    let (m, n) = (to.len() / stride, b.len() / stride);
    assert!(a.len() == m * n && b.len() == n * stride && to.len() == m * stride);
    assert!(stride.is_multiple_of(16));
    Path::best().run(Multiply { a, b, to, n });
}

struct Multiply<'a, T> {
    a: &'a [T],
    b: &'a [T],
    to: &'a mut [T],
    n: usize,
}

impl<T: Scalar> WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Multiply { a, b, to, n } = self;
        let (b, to) = (T::regs::<S>(b), T::regs_mut::<S>(to));
        if n == 0 {
            to.fill(T::reg_splat(s, T::zero()));
            return;
        }
        let width = b.len() / n;
        // Whole lines of 64 bytes: three registers of 32 would fill more accumulators, but took 1.8 times as long.
        let wide = if size_of::<T::Reg<S>>() == 64 { 4 } else { 2 };
        let mut at = 0;
        while at + wide <= width {
            if wide == 4 {
                columns::<T, S, 4>(s, a, b, to, (n, width, at));
            } else {
                columns::<T, S, 2>(s, a, b, to, (n, width, at));
            }
            at += wide;
        }
        for at in at..width {
            columns::<T, S, 1>(s, a, b, to, (n, width, at));
        }
    }
}

/// Registers `at..at + W` of every row of the result.
#[inline(always)]
fn columns<T: Scalar, S: Simd, const W: usize>(
    s: S,
    a: &[T],
    b: &[T::Reg<S>],
    to: &mut [T::Reg<S>],
    (n, width, at): (usize, usize, usize),
) {
    let (mut a, mut to) = (a, to);
    while a.len() >= ROWS * n {
        let (a_tile, a_rest) = a.split_at(ROWS * n);
        let (to_tile, to_rest) = to.split_at_mut(ROWS * width);
        tile::<T, S, ROWS, W>(s, a_tile, b, to_tile, (n, width, at));
        (a, to) = (a_rest, to_rest);
    }
    match a.len() / n {
        3 => tile::<T, S, 3, W>(s, a, b, to, (n, width, at)),
        2 => tile::<T, S, 2, W>(s, a, b, to, (n, width, at)),
        1 => tile::<T, S, 1, W>(s, a, b, to, (n, width, at)),
        _ => {}
    }
}

/// M rows by W registers.
#[inline(always)]
fn tile<T: Scalar, S: Simd, const M: usize, const W: usize>(
    s: S,
    a: &[T],
    b: &[T::Reg<S>],
    to: &mut [T::Reg<S>],
    (n, width, at): (usize, usize, usize),
) {
    let rows: [&[T]; M] = std::array::from_fn(|i| &a[i * n..(i + 1) * n]);
    let mut sums = [[T::reg_splat(s, T::zero()); W]; M];
    for (j, b) in b.chunks_exact(width).enumerate().take(n) {
        let Some(b) = b[at..].first_chunk::<W>() else {
            return;
        };
        for i in 0..M {
            let a = T::reg_splat(s, rows[i][j]);
            for c in 0..W {
                sums[i][c] = T::reg_fma(s, a, b[c], sums[i][c]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        to[i * width + at..i * width + at + W].copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::{Multiply, multiply};
    use crate::linalg::testing::Rng;
    use crate::linalg::{Aligned, Path};
    use crate::scalar::Scalar;

    fn check<T: Scalar>(tolerance: f64) {
        let mut rng = Rng(5);
        for (m, n, stride) in [
            (1, 1, 16),
            (3, 5, 16),
            (4, 4, 48),
            (6, 9, 80),
            (9, 7, 112),
            (0, 3, 16),
        ] {
            let a: Vec<T> = (0..m * n).map(|_| T::of(rng.next())).collect();
            let mut b = Aligned::<T>::zeros(n * stride).unwrap();
            b.iter_mut().for_each(|b| *b = T::of(rng.next()));
            for path in Path::available() {
                let mut to = Aligned::<T>::zeros(m * stride).unwrap();
                to.fill(T::of(9.0));
                path.run(Multiply {
                    a: &a,
                    b: &b,
                    to: &mut to,
                    n,
                });
                for i in 0..m {
                    for c in 0..stride {
                        let sum: f64 = (0..n)
                            .map(|j| a[i * n + j].to_f64() * b[j * stride + c].to_f64())
                            .sum();
                        assert!((sum - to[i * stride + c].to_f64()).abs() < tolerance);
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_equals_the_loop() {
        check::<f64>(1e-13);
        check::<f32>(1e-5);
    }

    #[test]
    #[should_panic(expected = "assertion")]
    fn shapes_are_checked() {
        multiply(&[1.0; 3], &[1.0; 32], &mut [0.0; 16], 16);
    }
}
