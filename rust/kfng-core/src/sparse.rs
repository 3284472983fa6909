//! Rows of which most inputs are 0, in O(inputs that are not): a linear model of one output, variances alone, Kalman or plain forgetting.
//!
//! A 0 in h leaves theta_i and V_i as they are but for the time that passes (lapse.rs). Without forgetting the bits are those of the lean
//! way, whose operations these are, on the coordinates that the row has.

use crate::error::Error;
use crate::lapse::Lapse;
use crate::linalg::gathered::gathered;
use crate::linalg::sweep::Sums;
use crate::rule::Rule;
use crate::scalar::Scalar;

/// m rows: those of row i are `starts[i]..starts[i + 1]` of `indices` (ascending) and `values`.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a, T> {
    /// (m + 1,)
    pub starts: &'a [i64],
    /// (n,), each below d.
    pub indices: &'a [i64],
    /// (n,)
    pub values: &'a [T],
}

impl<'a, T> SparseRows<'a, T> {
    /// Row i.
    pub(crate) fn row(&self, i: usize) -> (&'a [i64], &'a [T]) {
        let range = self.starts[i] as usize..self.starts[i + 1] as usize;
        (&self.indices[range.clone()], &self.values[range])
    }

    /// Whether these are m rows of d inputs, and the length of the longest.
    #[must_use]
    pub fn fits(&self, m: usize, d: usize) -> Option<usize> {
        let (n, mut longest) = (self.indices.len(), 0);
        let end = self.starts.last().map(|&end| usize::try_from(end));
        let ends = self.starts.first() == Some(&0) && end == Some(Ok(n));
        if !ends || self.starts.len() != m + 1 || self.values.len() != n {
            return None;
        }
        if !self.starts.is_sorted() {
            return None;
        }
        for i in 0..m {
            let (indices, _) = self.row(i);
            let ascending = indices.is_sorted_by(|a, b| a < b);
            let within = indices.first().is_none_or(|&j| j >= 0)
                && indices.last().is_none_or(|&j| (j as u64) < d as u64);
            if !(ascending && within) {
                return None;
            }
            longest = longest.max(indices.len());
        }
        Some(longest)
    }
}

/// What this way works with.
#[derive(Debug)]
pub(crate) struct Sparse<T> {
    /// Coordinates of the row at hand; h, theta and V there, followed by zeros.
    pub(crate) places: Vec<usize>,
    pub(crate) h: Vec<T>,
    pub(crate) theta: Vec<T>,
    pub(crate) v: Vec<T>,
    /// How often these variances went back to the prior.
    pub(crate) pulls: u64,
    /// Where time passes.
    pub(crate) lapse: Option<Lapse>,
}

impl<T: Scalar> Sparse<T> {
    pub(crate) fn new(rule: &Rule, p: usize) -> Result<Self, Error> {
        let lapse = match rule {
            Rule::Fading(_) => Some(Lapse::new(p)?),
            _ => None,
        };
        Ok(Sparse {
            places: Vec::new(),
            h: Vec::new(),
            theta: Vec::new(),
            v: Vec::new(),
            pulls: 0,
            lapse,
        })
    }

    /// Room for rows of so many inputs and an intercept.
    pub(crate) fn make_room(&mut self, longest: usize) -> Result<(), Error> {
        let room = (longest + 1).next_multiple_of(16);
        for part in [&mut self.h, &mut self.theta, &mut self.v] {
            reserve(part, room)?;
        }
        reserve(&mut self.places, room)
    }
}

/// Room for so many in all.
fn reserve<X>(list: &mut Vec<X>, all: usize) -> Result<(), Error> {
    let more = all.saturating_sub(list.len());
    list.try_reserve(more)
        .map_err(|_| Error::Memory(all.saturating_mul(size_of::<X>())))
}

/// The state's numbers that a row is gathered from.
pub(crate) struct Source<'a, T> {
    pub(crate) theta: &'a [T],
    pub(crate) v: &'a [T],
    pub(crate) prior: &'a [f64],
    pub(crate) bound: f64,
    /// Where there is one.
    pub(crate) intercept: Option<usize>,
}

impl<T: Scalar> Sparse<T> {
    /// Takes a row in; returns its sums.
    pub(crate) fn gather(
        &mut self,
        (indices, values): (&[i64], &[T]),
        from: &Source<'_, T>,
    ) -> Sums<T> {
        self.places.clear();
        self.places.extend(indices.iter().map(|&j| j as usize));
        self.places.extend(from.intercept);
        self.h.clear();
        self.h.extend_from_slice(values);
        self.h.extend(from.intercept.map(|_| T::one()));
        self.theta.clear();
        self.theta
            .extend(self.places.iter().map(|&j| from.theta[j]));
        self.v.clear();
        self.pulls = 0;
        match &self.lapse {
            None => self.v.extend(self.places.iter().map(|&j| from.v[j])),
            Some(lapse) => {
                for &j in &self.places {
                    let (v, pulls) = lapse.now(j, from.v[j].to_f64(), from.prior[j], from.bound);
                    self.v.push(T::of(v));
                    self.pulls += u64::from(pulls);
                }
            }
        }
        let sums = gathered(
            &self.places,
            &self.h,
            &self.theta,
            &self.v,
            from.theta.len(),
        );
        let room = self.places.len().next_multiple_of(16);
        for part in [&mut self.h, &mut self.theta, &mut self.v] {
            part.resize(room, T::zero());
        }
        sums
    }
}
