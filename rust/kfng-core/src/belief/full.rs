//! The full covariance as P = U D U'. Section: D (padded,), then U.
//!
//! Source: Bierman 1977, Factorization Methods for Discrete Sequential Estimation.

use std::ops::Range;

use serde::Deserialize;

use super::Uncertainty;
use crate::error::{Error, fault};
use crate::field::{Array, Arrays, Field, filled, listed, positive, product};
use crate::linalg::{
    self, Aligned, Columns, INDEX_ORDER_MAX, LEAST_SHARED, Layout, MOST_SHARED, SharedRow, possible,
};
use crate::scalar::Scalar;

const MAX_PARAMETERS: usize = 32768;

/// The prior, and where the entries lie.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Full {
    prior_variance: Field,
    #[serde(skip, default = "nowhere")]
    layout: Layout,
    /// (p,)
    #[serde(skip)]
    variances: Vec<f64>,
    /// (p, p) where the prior has covariances.
    #[serde(skip)]
    covariance: Vec<f64>,
}

fn nowhere() -> Layout {
    Layout::new(0).expect("a size of 0 fits")
}

fn check<T: Scalar>(variances: &[T]) -> Result<(), Error> {
    if possible(variances) {
        return Ok(());
    }
    Err(Error::Parameter(fault(
        "prior_variance",
        format!("variances that fit {}", T::NAME),
        "larger ones",
    )))
}

impl Full {
    /// (D, U) of a section.
    fn split<'a, T>(&self, at: &'a [T]) -> (&'a [T], &'a [T]) {
        at.split_at(self.layout.d_len())
    }

    fn split_mut<'a, T>(&self, at: &'a mut [T]) -> (&'a mut [T], &'a mut [T]) {
        at.split_at_mut(self.layout.d_len())
    }

    /// Room for rows of k outputs on d shared inputs, where there is a pass for them that gains.
    pub fn shared_row<T: Scalar>(
        &self,
        (d, k): (usize, usize),
        intercept: bool,
    ) -> Result<Option<SharedRow<T>>, Error> {
        if self.layout.p() <= INDEX_ORDER_MAX || d < LEAST_SHARED || k >= MOST_SHARED {
            return Ok(None);
        }
        Ok(Some(SharedRow::zeros(&self.layout, d, k, intercept)?))
    }

    /// [`Uncertainty::fuse`] of all the columns of one row of outputs that share their inputs, and its [`Uncertainty::gram`].
    pub fn fuse_shared<T: Scalar>(
        &self,
        from: Option<&[T]>,
        to: &mut [T],
        columns: &mut Columns<T>,
        row: &mut SharedRow<T>,
        gram: &mut [f64],
    ) -> f64 {
        let from = from.map(|from| {
            let (d, u) = self.split(from);
            (u, d)
        });
        let (d, u) = self.split_mut(to);
        linalg::fuse_shared(&self.layout, from, u, d, columns, row, gram)
    }

    /// The prior variances of n parameters from `place` on, rounded.
    pub fn variances_of<T: Scalar>(&self, place: usize, n: usize) -> Result<Vec<T>, Error> {
        let mut variances = filled(n)?;
        for (to, &v) in variances.iter_mut().zip(&self.variances[place..]) {
            *to = T::of(v);
        }
        check(&variances)?;
        Ok(variances)
    }

    /// Parameters with these variances in front of `place`, in a section of this size that begins with the smaller belief: independent of
    /// the others, as where the prior has no covariances between them.
    pub fn insert<T: Scalar>(&self, at: &mut [T], place: usize, variances: &[T]) {
        let (d, u) = self.split_mut(at);
        linalg::insert(&self.layout, u, d, place, variances);
    }

    /// The inverse, in a section of this size.
    pub fn remove<T: Scalar>(&self, at: &mut [T], place: usize, n: usize) {
        let (d, u) = self.split_mut(at);
        linalg::remove(&self.layout, u, d, place, n);
    }

    /// Factors a dense (p, p) in float64 and rounds once; `false`: it is not positive definite.
    fn factor<T: Scalar>(&self, dense: &[f64], to: &mut [T]) -> Result<bool, Error> {
        let mut wide = Aligned::<f64>::zeros(self.size())?;
        let (d, u) = self.split_mut(&mut wide);
        if linalg::factor(&self.layout, dense, u, d).is_err() {
            return Ok(false);
        }
        for (to, &x) in to.iter_mut().zip(&wide[..]) {
            *to = T::of(x);
        }
        Ok(possible(&to[..self.layout.p()]))
    }
}

impl Uncertainty for Full {
    fn prepare(&mut self, p: usize, arrays: &Arrays) -> Result<(), Error> {
        if p > MAX_PARAMETERS {
            return Err(Error::Parameter(fault(
                "model",
                format!("at most {MAX_PARAMETERS} parameters with Full"),
                p,
            )));
        }
        self.layout = Layout::new(p)?;
        self.variances = filled(p)?;
        match &self.prior_variance {
            Field::Number(v) => self.variances.fill(positive("prior_variance", *v)?),
            Field::Array(named) => {
                let values = named.find("belief.prior_variance", arrays, &[&[p], &[p, p]])?;
                let stride = if named.shape.len() == 2 { p + 1 } else { 1 };
                for (variance, &v) in self.variances.iter_mut().zip(values.iter().step_by(stride)) {
                    *variance = positive("prior_variance", v)?;
                }
                if stride > 1 {
                    self.covariance = listed(values.iter().copied())?;
                }
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.layout.d_len() + self.layout.u_len()
    }

    fn padded(&self) -> usize {
        self.layout.padded()
    }

    fn columns<T: Scalar>(&self, max: usize) -> Result<Columns<T>, Error> {
        Ok(Columns::with_capacity(&self.layout, max)?)
    }

    fn start<T: Scalar>(&self, to: &mut [T]) -> Result<(), Error> {
        if !self.covariance.is_empty() {
            let bad = || {
                Error::NotPositiveDefinite(fault(
                    "prior_variance",
                    "a positive definite matrix",
                    "one that is not",
                ))
            };
            if self.factor(&self.covariance, to)? {
                return Ok(());
            }
            return Err(bad());
        }
        let mut variances = filled(self.layout.p())?;
        for (variance, &v) in variances.iter_mut().zip(&self.variances) {
            *variance = T::of(v);
        }
        check(&variances)?;
        let (d, u) = self.split_mut(to);
        linalg::diagonal_prior(&self.layout, &variances, u, d);
        Ok(())
    }

    fn prior_variances(&self) -> &[f64] {
        &self.variances
    }

    fn prior_columns(&self) -> Result<Vec<f64>, Error> {
        let p = self.layout.p();
        if self.covariance.is_empty() {
            return Ok(Vec::new());
        }
        let mut wide = Aligned::<f64>::zeros(self.size())?;
        self.start(&mut wide)?;
        let (d, u) = self.split(&wide);
        let mut rows = filled(product(&[p, p])?)?;
        linalg::inverse_rows(&self.layout, u, &mut rows);
        for (row, d) in rows.chunks_exact_mut(p).zip(d) {
            for x in row {
                *x /= d.sqrt();
            }
        }
        Ok(rows)
    }

    /// With U_12 = 0 the leading block is that of U_11 D_1 U_11'. Cost O(n p).
    fn restart<T: Scalar>(&self, at: &mut [T], section: &[T], n: usize) {
        let (layout, p) = (&self.layout, self.layout.p());
        let (d0, u0) = self.split(section);
        let (d, u) = self.split_mut(at);
        d[..n].copy_from_slice(&d0[..n]);
        for j in 0..p {
            let rows = layout.at(0, j)..layout.at(0, j) + n.min(j);
            if j < n {
                u[rows.clone()].copy_from_slice(&u0[rows]);
            } else {
                u[rows].fill(T::zero());
            }
        }
    }

    #[inline]
    fn fuse<T: Scalar>(
        &self,
        from: Option<&[T]>,
        to: &mut [T],
        columns: &mut Columns<T>,
        range: Range<usize>,
    ) -> f64 {
        let from = from.map(|at| {
            let (d, u) = self.split(at);
            (u, d)
        });
        let (d, u) = self.split_mut(to);
        linalg::fuse(&self.layout, from, u, d, columns, range)
    }

    fn has_gram(&self) -> bool {
        true
    }

    fn gram<T: Scalar>(&self, at: &[T], h: &[T], out: &mut [f64]) {
        let (d, u) = self.split(at);
        linalg::gram(&self.layout, u, d, h, out);
    }

    /// D is looked at every time; U only once the bound no longer excludes an overflow. The bound decides no bits.
    #[inline]
    fn settle<T: Scalar>(&self, to: &[T], bound: f64, growth: f64) -> Result<f64, Error> {
        let (d, u) = self.split(to);
        let small = self.layout.p() <= INDEX_ORDER_MAX; // the rest is zero, and whole registers are faster beyond
        if !possible(if small { &d[..self.layout.p()] } else { d }) {
            return Err(Error::Overflow);
        }
        let limit = if T::MAX.to_f64() > 1e300 { 1e200 } else { 1e30 };
        let next = bound * growth;
        if next < limit {
            return Ok(next);
        }
        if !linalg::all_finite(u) {
            return Err(Error::Overflow);
        }
        Ok(u.iter()
            .fold(1.0, |most: f64, &x| most.max(x.to_f64().abs())))
    }

    fn variance<T: Scalar>(&self, at: &[T], h: &[T], b: &mut [T]) -> T {
        let (d, u) = self.split(at);
        linalg::variance(&self.layout, u, d, h, Some(b))
    }

    fn diagonal<T: Scalar>(&self, at: &[T], out: &mut [T]) {
        let (d, u) = self.split(at);
        linalg::diagonal(&self.layout, u, d, out);
    }

    fn diagonal_at<T: Scalar>(&self, at: &[T], i: usize) -> T {
        let (d, u) = self.split(at);
        linalg::diagonal_at(&self.layout, u, d, i)
    }

    /// A rank-one update of U D U' for each coordinate, or each root. Cost O(p²) each; U is scanned afterwards.
    fn diffuse<T: Scalar>(
        &self,
        to: &mut [T],
        variances: &[f64],
        roots: &[f64],
        time: f64,
        work: &mut [T],
    ) -> f64 {
        let (p, (d, u)) = (self.layout.p(), self.split_mut(to));
        if roots.is_empty() {
            for (i, &q) in variances.iter().enumerate().filter(|(_, q)| **q > 0.0) {
                work[..=i].fill(T::zero());
                work[i] = T::one();
                linalg::add_outer(&self.layout, u, d, T::of(q * time), &mut work[..=i]);
            }
        }
        for root in roots.chunks_exact(p) {
            for (to, &x) in work.iter_mut().zip(root) {
                *to = T::of(x);
            }
            linalg::add_outer(&self.layout, u, d, T::of(time), &mut work[..p]);
        }
        f64::INFINITY
    }

    fn factors<T: Scalar>(&self, at: &[T], u: &mut [f64], d: &mut [f64]) {
        let (p, (d0, u0)) = (self.layout.p(), self.split(at));
        u.fill(0.0);
        for j in 0..p {
            d[j] = d0[j].to_f64();
            for i in 0..=j {
                u[i * p + j] = u0[self.layout.at(i, j)].to_f64();
            }
        }
    }

    fn dense<T: Scalar>(&self, at: &[T], out: &mut [f64]) -> Result<(), Error> {
        let mut wide = Aligned::<f64>::zeros(at.len())?;
        for (wide, x) in wide.iter_mut().zip(at) {
            *wide = x.to_f64();
        }
        let (d, u) = self.split(&wide);
        linalg::dense(&self.layout, u, d, out);
        Ok(())
    }

    fn told(&self) -> Result<Vec<Range<usize>>, Error> {
        let (p, u) = (self.layout.p(), self.layout.d_len());
        let columns = (1..p).map(|j| u + self.layout.at(0, j)..u + self.layout.at(0, j) + j);
        listed(std::iter::once(0..p).chain(columns))
    }

    fn save<T: Scalar>(
        &self,
        at: &[T],
        put: &mut dyn FnMut(&'static str, Array),
    ) -> Result<(), Error> {
        let (d, u) = self.split(at);
        let mut packed = filled(linalg::packed_len(&self.layout))?;
        linalg::pack(&self.layout, u, &mut packed);
        for (name, part) in [("U", &packed[..]), ("D", &d[..self.layout.p()])] {
            let mut values = filled(part.len())?;
            for (value, x) in values.iter_mut().zip(part) {
                *value = x.to_f64();
            }
            put(
                name,
                Array {
                    shape: vec![part.len()],
                    values,
                },
            );
        }
        Ok(())
    }

    fn shapes(&self, has: &dyn Fn(&str) -> bool) -> Result<Vec<(&'static str, Vec<usize>)>, Error> {
        let p = self.layout.p();
        product(&[p, p])?;
        Ok(if has("P") {
            vec![("P", vec![p, p])]
        } else {
            vec![
                ("U", vec![linalg::packed_len(&self.layout)]),
                ("D", vec![p]),
            ]
        })
    }

    fn load<T: Scalar>(&self, arrays: &Arrays, to: &mut [T]) -> Result<(), Error> {
        let bad =
            |name: &str, expected: &str| Error::BadValue(fault(name, expected, "other numbers"));
        let p = self.layout.p();
        if let Some(dense) = arrays.get("P") {
            let symmetric =
                (0..p).all(|i| (0..i).all(|j| dense.values[i * p + j] == dense.values[j * p + i]));
            if symmetric && self.factor(&dense.values, to)? {
                return Ok(());
            }
            return Err(bad("P", "a positive definite matrix"));
        }
        let (packed, variances) = (&arrays["U"].values, &arrays["D"].values);
        let mut rounded = filled(packed.len())?;
        for (x, &y) in rounded.iter_mut().zip(packed) {
            *x = T::of(y);
        }
        let (d, u) = self.split_mut(to);
        linalg::unpack(&self.layout, &rounded, u);
        d.fill(T::zero());
        for (d, &x) in d.iter_mut().zip(variances) {
            *d = T::of(x);
        }
        if !possible(d) {
            return Err(bad("D", "numbers >= 0"));
        }
        let mut diagonal = Aligned::zeros(self.padded())?;
        self.diagonal(to, &mut diagonal);
        if possible(&diagonal) {
            Ok(())
        } else {
            Err(bad("U", "factors of a finite matrix"))
        }
    }
}
