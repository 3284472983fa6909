//! The pass of a diagonal belief: the columns of one row as a block, bound by memory.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::columns::Tally;
use super::sweep::{Change, quadratic, shrink};
use super::ud::INDEX_ORDER_MAX;
use super::{Columns, Path, axpy, dot};
use crate::scalar::Scalar;

/// Coordinates that share a pass over the columns.
const BLOCK: usize = 1024;

/// Fuses the columns of a row into P = diag(V), exactly as into a full covariance that starts diagonal, and keeps a diagonal of the result.
///
/// ```text
/// V <- V/decay;   for j:  b_j = V h_j - sum over i < j of (w_i b_i'h_j/alpha_i) b_i;   q_j = h_j'b_j;   alpha_j = 1 + w_j q_j
/// precision:   V <- V/(1 + V·sum_j w_j h_j²)          covariance:  V <- max(V - sum_j (w_j/alpha_j) b_j², u·V)
/// ```
///
/// - from: V (padded,) before, `None`: in place; to: V after
/// - columns: h, weight, and the decay of the first, in; b, q, alpha out
///
/// Cost O(p r²) for r columns of weight > 0. Source: the kernel of Ollivier 2018, arXiv 1703.00209, on a diagonal prior.
pub fn fuse_diagonal<T: Scalar>(
    from: Option<&[T]>,
    to: &mut [T],
    columns: &mut Columns<T>,
    range: Range<usize>,
    keeps_precision: bool,
) {
    let padded = columns.padded;
    assert!(range.end <= columns.len() && to.len() == padded);
    assert!(from.is_none_or(|from| from.len() == padded));
    if range.len() == 1 && padded > INDEX_ORDER_MAX {
        alone(from, to, columns, range.start, keeps_precision);
        return;
    }
    let decay = range
        .clone()
        .next()
        .map_or(T::one(), |first| columns.settings[first].decay);
    match from {
        Some(from) if decay == T::one() => to.copy_from_slice(from),
        Some(from) => {
            let inverse = T::one() / decay;
            to.iter_mut()
                .zip(from)
                .for_each(|(to, &v)| *to = v * inverse);
        }
        None if decay == T::one() => {}
        None => {
            let inverse = T::one() / decay;
            for to in to.iter_mut() {
                *to *= inverse;
            }
        }
    }
    let path = Path::best();
    for j in range.clone() {
        let (before, b) = columns.b[..(j + 1) * padded].split_at_mut(j * padded);
        let h = &columns.h[j * padded..(j + 1) * padded];
        path.run(Product { v: to, h, b });
        for i in range.start..j {
            let weight = columns.settings[i].weight;
            if weight != T::zero() {
                let other = &before[i * padded..(i + 1) * padded];
                axpy(
                    -(weight * dot(other, h) / columns.tallies[i].alpha),
                    other,
                    b,
                );
            }
        }
        let q = dot(h, b);
        columns.tallies[j] = Tally {
            q,
            alpha: T::one() + columns.settings[j].weight * q,
            ..Tally::default()
        };
    }
    let informative = |j: &usize| columns.settings[*j].weight != T::zero();
    let (h, b) = (&columns.h[..], &columns.b[..]);
    let weight = |j: usize| {
        let weight = columns.settings[j].weight;
        if keeps_precision {
            weight
        } else {
            weight / columns.tallies[j].alpha
        }
    };
    let x = if keeps_precision { h } else { b };
    if !range.clone().any(|j| informative(&j)) {
        return;
    }
    for (block, v) in to.chunks_mut(BLOCK).enumerate() {
        let mut sums = [T::zero(); BLOCK];
        for j in range.clone().filter(informative) {
            let at = j * padded + block * BLOCK;
            let (x, weight) = (&x[at..at + v.len()], weight(j));
            path.run_uncounted(Squares {
                x,
                weight,
                sums: &mut sums,
            });
        }
        path.run_uncounted(Shrink {
            v,
            sums: &sums,
            keeps_precision,
        });
    }
}

/// One column alone, with the bits of `sweep`: q in one pass over V and h, b and V in another.
fn alone<T: Scalar>(
    from: Option<&[T]>,
    to: &mut [T],
    columns: &mut Columns<T>,
    at: usize,
    keeps_precision: bool,
) {
    let (padded, setting) = (columns.padded, columns.settings[at]);
    let place = at * padded..(at + 1) * padded;
    let h = &columns.h[place.clone()];
    let q = quadratic(from.unwrap_or(to), h) * setting.inverse_decay;
    let alpha = T::one() + setting.weight * q;
    columns.tallies[at] = Tally {
        alpha,
        q,
        ..Tally::default()
    };
    let change = Change {
        inverse_decay: setting.inverse_decay,
        gain: T::zero(),
        weight: setting.weight,
        alpha,
        keeps_precision,
    };
    shrink(from, to, h, &mut columns.b[place], change);
}

/// max(x, y), NaN where x is.
#[inline(always)]
fn larger<T: Scalar>(x: T, y: T) -> T {
    if x < y { y } else { x }
}

/// max|x_i|. Cost O(n).
pub fn largest<T: Scalar>(x: &[T]) -> T {
    Path::best().run_uncounted(Largest(x))
}

struct Largest<'a, T>(&'a [T]);

impl<T: Scalar> WithSimd for Largest<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> T {
        let (chunks, rest) = self.0.as_chunks::<16>();
        let mut most = [T::zero(); 16];
        for chunk in chunks {
            for (most, &x) in most.iter_mut().zip(chunk) {
                *most = larger(*most, x.abs());
            }
        }
        most.iter()
            .chain(rest)
            .fold(T::zero(), |most, &x| larger(most, x.abs()))
    }
}

/// Whether every number is finite and >= 0. No early exit: the answer is nearly always yes.
#[inline]
pub fn possible<T: Scalar>(x: &[T]) -> bool {
    if x.len() <= super::INDEX_ORDER_MAX {
        fine(x)
    } else {
        Path::best().run(Possible(x))
    }
}

#[inline(always)]
fn fine<T: Scalar>(x: &[T]) -> bool {
    let fine = |x: T| u8::from(x >= T::zero()) & u8::from(x <= T::MAX);
    x.iter().fold(1, |all, &x| all & fine(x)) == 1
}

struct Possible<'a, T>(&'a [T]);

impl<T: Scalar> WithSimd for Possible<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        fine(self.0)
    }
}

struct Product<'a, T> {
    v: &'a [T],
    h: &'a [T],
    b: &'a mut [T],
}

impl<T: Scalar> WithSimd for Product<'_, T> {
    type Output = ();

    // Element by element there is no sum to reorder, so the compiler vectorises this alone.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((b, &v), &h) in self.b.iter_mut().zip(self.v).zip(self.h) {
            *b = v * h;
        }
    }
}

struct Squares<'a, T> {
    x: &'a [T],
    weight: T,
    sums: &'a mut [T; BLOCK],
}

impl<T: Scalar> WithSimd for Squares<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (sum, &x) in self.sums.iter_mut().zip(self.x) {
            *sum += self.weight * x * x;
        }
    }
}

struct Shrink<'a, T> {
    v: &'a mut [T],
    sums: &'a [T; BLOCK],
    keeps_precision: bool,
}

impl<T: Scalar> WithSimd for Shrink<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let floor = T::EPSILON / T::of(2.0);
        if self.keeps_precision {
            for (v, &sum) in self.v.iter_mut().zip(self.sums) {
                *v /= T::one() + *v * sum;
            }
        } else {
            for (v, &sum) in self.v.iter_mut().zip(self.sums) {
                *v = larger(*v - sum, floor * *v);
            }
        }
    }
}
