//! Products of vectors, on the instruction set of the machine.

use pulp::{Simd, WithSimd};

use super::Path;
use super::ud::INDEX_ORDER_MAX;
use crate::scalar::Scalar;

/// x'y.
///
/// - x, y: (n,), fastest where n is a multiple of 16
///
/// Up to n = 16 in index order and unfused; beyond, four registers of partial sums. Cost O(n).
#[inline]
pub fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    if x.len() <= INDEX_ORDER_MAX {
        dot_index_order(x, y)
    } else {
        dot_on(Path::best(), x, y)
    }
}

/// [`dot`] on a chosen instruction set, such as that of a layout.
#[inline]
pub fn dot_on<T: Scalar>(path: Path, x: &[T], y: &[T]) -> T {
    if x.len() <= INDEX_ORDER_MAX {
        dot_index_order(x, y)
    } else {
        path.run(Dot { x, y })
    }
}

/// y <- y + a·x.
///
/// - x, y: (n,)
///
/// Up to n = 16 unfused. Cost O(n).
#[inline]
pub fn axpy<T: Scalar>(a: T, x: &[T], y: &mut [T]) {
    if x.len() <= INDEX_ORDER_MAX {
        axpy_index_order(a, x, y);
    } else {
        axpy_on(Path::best(), a, x, y);
    }
}

/// [`axpy`] on a chosen instruction set.
#[inline]
pub fn axpy_on<T: Scalar>(path: Path, a: T, x: &[T], y: &mut [T]) {
    if x.len() <= INDEX_ORDER_MAX {
        axpy_index_order(a, x, y);
    } else {
        path.run(Axpy { a, x, y });
    }
}

#[inline(always)]
fn dot_index_order<T: Scalar>(x: &[T], y: &[T]) -> T {
    assert_eq!(x.len(), y.len());
    x.iter().zip(y).fold(T::zero(), |sum, (&x, &y)| sum + x * y)
}

#[inline(always)]
fn axpy_index_order<T: Scalar>(a: T, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

struct Dot<'a, T> {
    x: &'a [T],
    y: &'a [T],
}

impl<T: Scalar> WithSimd for Dot<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> T {
        let Dot { x, y } = self;
        assert_eq!(x.len(), y.len());
        let whole = x.len() - x.len() % T::reg_lanes::<S>();
        let (x_chunks, x_last) = T::regs::<S>(&x[..whole]).as_chunks::<4>();
        let (y_chunks, y_last) = T::regs::<S>(&y[..whole]).as_chunks::<4>();
        let mut a = [T::reg_splat(s, T::zero()); 4];
        for (x, y) in x_chunks.iter().zip(y_chunks) {
            for c in 0..4 {
                a[c] = T::reg_fma(s, x[c], y[c], a[c]);
            }
        }
        for (&x, &y) in x_last.iter().zip(y_last) {
            a[0] = T::reg_fma(s, x, y, a[0]);
        }
        let sum = T::reg_sum(
            s,
            T::reg_add(s, T::reg_add(s, a[0], a[1]), T::reg_add(s, a[2], a[3])),
        );
        sum + dot_index_order(&x[whole..], &y[whole..])
    }
}

struct Axpy<'a, T> {
    a: T,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Scalar> WithSimd for Axpy<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Axpy { a, x, y } = self;
        assert_eq!(x.len(), y.len());
        let whole = x.len() - x.len() % T::reg_lanes::<S>();
        let (x, x_tail) = x.split_at(whole);
        let (y, y_tail) = y.split_at_mut(whole);
        let scale = T::reg_splat(s, a);
        for (y, &x) in T::regs_mut::<S>(y).iter_mut().zip(T::regs::<S>(x)) {
            *y = T::reg_fma(s, scale, x, *y);
        }
        axpy_index_order(a, x_tail, y_tail);
    }
}

#[cfg(test)]
mod tests {
    use super::{axpy, axpy_on, dot, dot_on};
    use crate::linalg::testing::Rng;
    use crate::linalg::{Path, all_finite};

    #[test]
    fn every_path_equals_the_loop() {
        let mut rng = Rng(11);
        for n in [0, 1, 5, 16, 17, 31, 32, 64, 112, 257, 1000] {
            let x: Vec<f64> = (0..n).map(|_| rng.next()).collect();
            let y: Vec<f64> = (0..n).map(|_| rng.next()).collect();
            let sum = x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>();
            assert!((dot(&x, &y) - sum).abs() < 1e-12);
            for path in Path::available() {
                let before = Path::runs(path.name());
                assert!((dot_on(path, &x, &y) - sum).abs() < 1e-12);
                let mut z = y.clone();
                axpy_on(path, 0.5, &x, &mut z);
                assert!(
                    z.iter()
                        .zip(&x)
                        .zip(&y)
                        .all(|((z, x), y)| (z - (y + 0.5 * x)).abs() < 1e-15)
                );
                assert_eq!(Path::runs(path.name()) - before, if n > 16 { 2 } else { 0 });
            }
            let mut z = y.clone();
            axpy(0.0, &x, &mut z);
            assert!(z == y);
        }
    }

    #[test]
    fn one_bad_number_is_seen() {
        for n in [1, 31, 32, 33, 100] {
            let mut x = vec![f32::MAX; n];
            assert!(all_finite(&x));
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for i in [0, n / 2, n - 1] {
                    let good = std::mem::replace(&mut x[i], bad);
                    assert!(!all_finite(&x));
                    x[i] = good;
                }
            }
        }
    }
}
