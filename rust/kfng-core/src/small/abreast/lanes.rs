//! Numbers of filters side by side: one of each, in arrays that fill whole registers.

use crate::scalar::Scalar;

/// One number of each.
pub(super) type Each<const N: usize> = [f64; N];
/// All ones where something holds of a filter, else 0: a lane, which a bool is not.
pub(super) type Mask<const N: usize> = [u64; N];

/// All ones, or 0.
#[inline(always)]
pub(super) fn mask(x: bool) -> u64 {
    u64::from(x).wrapping_neg()
}

/// Whether all of them are set.
#[inline(always)]
pub(super) fn all(x: &[u64]) -> bool {
    x.iter().fold(u64::MAX, |all, x| all & x) == u64::MAX
}

/// Whether any of them is set.
#[inline(always)]
pub(super) fn any(x: &[u64]) -> bool {
    x.iter().fold(0, |any, x| any | x) != 0
}

/// Quantity w of those in (w, n).
#[inline(always)]
pub(super) fn read<const N: usize>(x: &[f64], w: usize) -> &[f64; N] {
    x[w * N..].first_chunk().expect("w quantities of N")
}

#[inline(always)]
pub(super) fn write<const N: usize>(x: &mut [f64], w: usize, value: &Each<N>) {
    x[w * N..][..N].copy_from_slice(&value[..N]);
}

#[inline(always)]
pub(super) fn narrow<T: Scalar, const N: usize>(x: &Each<N>) -> [T; N] {
    let mut out = [T::zero(); N];
    for l in 0..N {
        out[l] = T::of(x[l]);
    }
    out
}

#[inline(always)]
pub(super) fn wide<T: Scalar, const N: usize>(x: &[T]) -> Each<N> {
    let mut out = [0.0; N];
    for l in 0..N {
        out[l] = x[l].to_f64();
    }
    out
}
