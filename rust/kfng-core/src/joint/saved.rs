//! Mean and covariance of a joint filter, read and put back.

use super::Joint;
use super::spec::find;
use crate::error::{Error, fault};
use crate::field::{Arrays, filled};
use crate::linalg::{self, Aligned};
use crate::scalar::Scalar;

impl<T: Scalar> Joint<T> {
    /// P (m, m) in float64.
    pub fn covariance(&self, out: &mut [f64]) -> Result<(), Error> {
        let wide = |from: &Aligned<T>| -> Result<Vec<f64>, Error> {
            let mut to = filled(from.len())?;
            (to.iter_mut().zip(&from[..])).for_each(|(to, x)| *to = x.to_f64());
            Ok(to)
        };
        let (u, d) = (wide(&self.state.u)?, wide(&self.state.d)?);
        linalg::dense(&self.layout, &u, &d, out);
        Ok(())
    }

    /// Length of the packed triangle of U.
    pub fn packed(&self) -> usize {
        linalg::packed_len(&self.layout)
    }

    /// x (m,), U packed and D (m,), exactly.
    pub fn save(&self, x: &mut [T], u: &mut [T], d: &mut [T]) {
        x.copy_from_slice(&self.state.x[..self.size()]);
        linalg::pack(&self.layout, &self.state.u, u);
        d.copy_from_slice(&self.state.d[..self.size()]);
    }

    /// The inverse of `save`, for arrays of unknown origin; on an error nothing has changed.
    pub fn load(&mut self, arrays: &Arrays) -> Result<(), Error> {
        let (m, packed) = (self.size(), self.packed());
        let x = &find("x", arrays, |s| s == [m])?.values;
        let u = &find("U", arrays, |s| s == [packed])?.values;
        let d = &find("D", arrays, |s| s == [m])?.values;
        if let Some(d) = d.iter().find(|&&d| d < 0.0) {
            return Err(Error::BadValue(fault("D", "numbers >= 0", d)));
        }
        let mut triangle = filled(packed)?;
        (triangle.iter_mut().zip(u)).for_each(|(to, &x)| *to = T::of(x));
        linalg::unpack(&self.layout, &triangle, &mut self.next.u);
        self.next.d.fill(T::zero());
        self.next.x.fill(T::zero());
        (self.next.d.iter_mut().zip(d)).for_each(|(to, &x)| *to = T::of(x));
        (self.next.x.iter_mut().zip(x)).for_each(|(to, &x)| *to = T::of(x));
        if !self.next.is_finite() {
            let expected = format!("finite numbers in {}", T::NAME);
            return Err(Error::BadValue(fault("state", expected, "overflow")));
        }
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(())
    }
}
