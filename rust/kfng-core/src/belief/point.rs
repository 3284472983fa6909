//! theta alone, for gradient rules: nothing is known of how sure it is. Section: nothing, or the moments m and v (padded,) of Adam.

use std::ops::Range;

use serde::Deserialize;

use super::Uncertainty;
use crate::error::{Error, fault};
use crate::field::{Array, Arrays, filled, listed};
use crate::linalg::{Columns, Layout, all_finite};
use crate::scalar::Scalar;

/// No settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    #[serde(skip)]
    p: usize,
    #[serde(skip)]
    moments: bool,
}

impl Point {
    /// Makes room for m and v.
    pub fn keep_moments(&mut self) {
        self.moments = true;
    }
}

impl Uncertainty for Point {
    fn prepare(&mut self, p: usize, _: &Arrays) -> Result<(), Error> {
        self.p = p;
        Ok(())
    }

    fn size(&self) -> usize {
        if self.moments { 2 * self.padded() } else { 0 }
    }

    fn padded(&self) -> usize {
        self.p.next_multiple_of(16)
    }

    fn shares_passes(&self) -> bool {
        false
    }

    fn columns<T: Scalar>(&self, max: usize) -> Result<Columns<T>, Error> {
        Ok(Columns::with_capacity(&Layout::new(self.p)?, max)?)
    }

    fn start<T: Scalar>(&self, to: &mut [T]) -> Result<(), Error> {
        to.fill(T::zero());
        Ok(())
    }

    fn prior_variances(&self) -> &[f64] {
        &[]
    }

    /// P = 0: b = 0 and q = 0.
    fn fuse<T: Scalar>(
        &self,
        from: Option<&[T]>,
        to: &mut [T],
        columns: &mut Columns<T>,
        range: Range<usize>,
    ) -> f64 {
        if let Some(from) = from {
            to.copy_from_slice(from);
        }
        columns.nothing_known(range);
        1.0
    }

    fn settle<T: Scalar>(&self, to: &[T], _: f64, _: f64) -> Result<f64, Error> {
        if all_finite(to) {
            Ok(1.0)
        } else {
            Err(Error::Overflow)
        }
    }

    fn variance<T: Scalar>(&self, _: &[T], _: &[T], b: &mut [T]) -> T {
        b.fill(T::zero());
        T::zero()
    }

    fn diagonal<T: Scalar>(&self, _: &[T], out: &mut [T]) {
        out.fill(T::zero());
    }

    fn diagonal_at<T: Scalar>(&self, _: &[T], _: usize) -> T {
        T::zero()
    }

    fn diffuse<T: Scalar>(&self, _: &mut [T], _: &[f64], _: &[f64], _: f64, _: &mut [T]) -> f64 {
        1.0
    }

    fn factors<T: Scalar>(&self, _: &[T], u: &mut [f64], d: &mut [f64]) {
        u.fill(0.0);
        d.fill(0.0);
    }

    fn max_dense(&self) -> usize {
        0
    }

    fn dense<T: Scalar>(&self, _: &[T], out: &mut [f64]) -> Result<(), Error> {
        out.fill(0.0);
        Ok(())
    }

    fn told(&self) -> Result<Vec<Range<usize>>, Error> {
        let starts = [0, self.padded()];
        let used = if self.moments { &starts[..] } else { &[] };
        listed(used.iter().map(|&start| start..start + self.p))
    }

    fn save<T: Scalar>(
        &self,
        at: &[T],
        put: &mut dyn FnMut(&'static str, Array),
    ) -> Result<(), Error> {
        for (name, part) in ["m", "v"]
            .into_iter()
            .zip(at.chunks_exact(self.padded().max(1)))
        {
            let mut values = filled(self.p)?;
            for (value, x) in values.iter_mut().zip(part) {
                *value = x.to_f64();
            }
            let shape = vec![self.p];
            put(name, Array { shape, values });
        }
        Ok(())
    }

    fn shapes(&self, _: &dyn Fn(&str) -> bool) -> Result<Vec<(&'static str, Vec<usize>)>, Error> {
        let names: &[&'static str] = if self.moments { &["m", "v"] } else { &[] };
        Ok(names.iter().map(|&name| (name, vec![self.p])).collect())
    }

    fn load<T: Scalar>(&self, arrays: &Arrays, to: &mut [T]) -> Result<(), Error> {
        let padded = self.padded().max(1);
        for (name, part) in ["m", "v"].into_iter().zip(to.chunks_exact_mut(padded)) {
            for (to, &x) in part.iter_mut().zip(&arrays[name].values) {
                *to = T::of(x);
            }
            if !all_finite(part) || (name == "v" && part.iter().any(|&v| v < T::zero())) {
                let expected = "moments that fit, v >= 0";
                return Err(Error::BadValue(fault(name, expected, "others")));
            }
        }
        Ok(())
    }
}
