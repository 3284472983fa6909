//! The sums of a sparse row, over the coordinates that are not 0, with the bits of the dense ones.
//!
//! A 0 adds nothing to a partial sum, so it is enough that each coordinate goes to the partial sum that it has in the dense order.

use pulp::{Simd, WithSimd};

use super::Path;
use super::sweep::{Partial, Sums};
use crate::scalar::Scalar;

/// Numbers in the longest register there is.
const LONGEST: usize = 16;

/// h'theta and h'V h of the coordinates `places` (ascending) of columns of length `padded`; h, theta and V as they are there.
///
/// Cost O(n) for n coordinates.
pub fn gathered<T: Scalar>(
    places: &[usize],
    h: &[T],
    theta: &[T],
    v: &[T],
    padded: usize,
) -> Sums<T> {
    let row = Gathered {
        places,
        h,
        theta,
        v,
        padded,
    };
    Path::best().run(row)
}

struct Gathered<'a, T> {
    places: &'a [usize],
    h: &'a [T],
    theta: &'a [T],
    v: &'a [T],
    padded: usize,
}

/// Whether a·b + c is rounded once: (1 + e)(1 - e) - 1 is -e² then, else 0.
#[inline(always)]
fn fuses<T: Scalar, S: Simd>(s: S) -> bool {
    let [more, less, one] = [T::one() + T::EPSILON, T::one() - T::EPSILON, -T::one()];
    let [more, less, one] = [more, less, one].map(|x| T::reg_splat(s, x));
    T::reg_sum(s, T::reg_fma(s, more, less, one)) != T::zero()
}

impl<T: Scalar> WithSimd for Gathered<'_, T> {
    type Output = Sums<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Sums<T> {
        let (lanes, fused) = (T::reg_lanes::<S>(), fuses::<T, S>(s));
        let whole = self.padded - self.padded % (4 * lanes);
        let mut z = [[T::zero(); LONGEST]; 4];
        let mut q = [[T::zero(); LONGEST]; 4];
        let fma = |x: T, y: T, sum: T| {
            if fused {
                x.mul_add(y, sum)
            } else {
                x * y + sum
            }
        };
        let numbers = self.h.iter().zip(self.theta.iter().zip(self.v));
        for (&at, (&h, (&theta, &v))) in self.places.iter().zip(numbers) {
            let (c, lane) = (if at < whole { at / lanes % 4 } else { 0 }, at % lanes);
            z[c][lane] = fma(h, theta, z[c][lane]);
            q[c][lane] = fma(h, v * h, q[c][lane]);
        }
        let sum = |parts: [[T; LONGEST]; 4]| {
            let mut sums = Partial::<T, S>::zero(s);
            for (c, part) in parts.iter().enumerate() {
                sums.set(c, T::regs::<S>(&part[..lanes])[0]);
            }
            sums.sum(s)
        };
        Sums {
            z: sum(z),
            q: sum(q),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gathered, gathered};
    use crate::linalg::Path;
    use crate::linalg::sweep::{Incoming, look};
    use crate::linalg::testing::Rng;
    use crate::scalar::Scalar;

    /// The same bits as the dense sums on the path of this machine; on the others near them.
    fn has_the_bits_of_dense_sums<T: Scalar>(tolerance: f64) {
        for d in [17, 31, 64, 100, 257, 1031] {
            let mut rng = Rng(d as u64);
            let padded = (d + 1_usize).next_multiple_of(16);
            let mut numbers = |n: usize| -> Vec<T> { (0..n).map(|_| T::of(rng.next())).collect() };
            let (theta, v, mut u) = (numbers(padded), numbers(padded), numbers(d));
            for (j, u) in u.iter_mut().enumerate() {
                if !(j * 7).is_multiple_of(5) {
                    *u = T::zero();
                }
            }
            let mut h = vec![T::zero(); padded];
            h[d] = T::one();
            let row = Incoming {
                from: &u,
                to: &mut h,
            };
            let dense = look(&theta, &v, row);
            let places: Vec<usize> = (0..=d).filter(|&j| h[j] != T::zero()).collect();
            let at = |x: &[T]| -> Vec<T> { places.iter().map(|&j| x[j]).collect() };
            let (h, theta, v) = (at(&h), at(&theta), at(&v));
            assert_eq!(gathered(&places, &h, &theta, &v, padded), dense);
            for path in Path::available() {
                let sums = path.run(Gathered {
                    places: &places,
                    h: &h,
                    theta: &theta,
                    v: &v,
                    padded,
                });
                assert!((sums.z - dense.z).to_f64().abs() < tolerance);
                assert!((sums.q - dense.q).to_f64().abs() < tolerance);
            }
        }
    }

    #[test]
    fn zeros_add_nothing() {
        has_the_bits_of_dense_sums::<f64>(1e-12);
        has_the_bits_of_dense_sums::<f32>(1e-3);
    }
}
