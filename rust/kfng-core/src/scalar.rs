//! The two number types of the core: `f32` and `f64`.

use nalgebra::RealField;
use pulp::bytemuck::Pod;

use crate::linalg::simd::Lanes;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating point type a filter can be built on. Sealed: the kernels promise bits for these two alone.
pub trait Scalar: RealField + Copy + Default + Lanes + Pod + sealed::Sealed {
    /// NumPy's name of the type, as checkpoints and error messages write it.
    const NAME: &'static str;
    /// Distance from one to the next number.
    const EPSILON: Self;
    /// Largest finite number.
    const MAX: Self;

    /// The value as `f64`, exactly.
    fn to_f64(self) -> f64;
    /// The nearest value of this type; beyond its range, an infinity. (`from_f64` is taken: nalgebra's supertraits have one.)
    fn of(x: f64) -> Self;
}

impl Scalar for f32 {
    const NAME: &'static str = "float32";
    const EPSILON: Self = f32::EPSILON;
    const MAX: Self = f32::MAX;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "float64";
    const EPSILON: Self = f64::EPSILON;
    const MAX: Self = f64::MAX;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn conversions_are_exact_or_nearest() {
        assert_eq!(0.1f32.to_f64(), f64::from(0.1f32));
        assert_eq!(f32::of(0.1), 0.1f32);
        assert_eq!(f32::of(1e300), f32::INFINITY);
        assert!(f32::of(f64::NAN).is_nan());
        assert_eq!(f64::of(0.1), 0.1);
    }
}
