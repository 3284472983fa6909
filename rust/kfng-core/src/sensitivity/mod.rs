//! Sensitivities: what is kept of ds = ds/dphi while a recurrent model runs,
//!
//! ```text
//! ds <- f_s ds + f_theta      (RTRL, exact; SnAp and DiagonalRTRL keep part of it; UORO a random rank one)
//! ```
//!
//! and whether the state is corrected with it, s += ds·dphi: with RTRL the joint filter of (s, theta) is then exactly the natural gradient.
//! phi is theta, behind s_0 where that is unknown. Deterministic approximations may drive a covariance; a random one is unbiased for the
//! gradient alone. Source: Ollivier 2018, arXiv 1703.00209, section 3.

use enum_dispatch::enum_dispatch;
use serde::Deserialize;

use crate::error::{Error, fault};
use crate::field::{listed, push};
use crate::linalg::{axpy, multiply};
use crate::model::{Partials, Structure};
use crate::scalar::Scalar;

mod diagonal_rtrl;
mod rtrl;
mod snap;
mod uoro;

pub use diagonal_rtrl::DiagonalRTRL;
pub use rtrl::RTRL;
pub use snap::SnAp;
pub use uoro::{UORO, mix, signs};

/// The sensitivity of a filter. The variants are the one list of names.
#[enum_dispatch(Influence)]
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Sensitivity {
    /// All of ds.
    RTRL,
    /// The entries that n steps reach.
    SnAp,
    /// What units do to themselves.
    DiagonalRTRL,
    /// A random rank one.
    UORO,
}

/// What every sensitivity supplies.
#[enum_dispatch]
pub trait Influence {
    /// Checks the settings.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Which entries of f_s and ds take part; `None` of the structure: a model that lives elsewhere.
    fn plan(&self, structure: Option<&Structure>, sizes: Sizes) -> Result<Plan, Error>;

    /// Whether s moves along with theta.
    fn corrects(&self) -> bool;

    /// The seed of a random one.
    fn seed(&self) -> Option<u64> {
        None
    }
}

/// n components of the state, `free` = n of them unknown at the start (or 0), p parameters.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// n.
    pub n: usize,
    /// Components of s_0 in phi.
    pub free: usize,
    /// p.
    pub p: usize,
}

/// Which entries take part in ds <- f_s ds + f_theta.
#[derive(Clone, Debug)]
pub enum Plan {
    /// All of them.
    Dense,
    /// Row i of ds takes in rows `sources[i]`, at the places `segments[i]` (all others are 0).
    Sparse {
        /// Columns of f_s of each row.
        sources: Vec<Vec<usize>>,
        /// First places and ends of each row, in order.
        segments: Vec<Vec<(usize, usize)>>,
    },
    /// s~ theta~' in the place of ds.
    RankOne,
}

/// Above this share of f_s the dense product is the faster one.
const DENSE: f64 = 0.25;

impl Plan {
    /// Whole rows of ds from the given entries of f_s (n, n).
    pub(crate) fn rows(sizes: Sizes, keeps: impl Fn(usize, usize) -> bool) -> Result<Plan, Error> {
        let n = sizes.n;
        let (mut sources, mut segments) = (Vec::new(), Vec::new());
        for i in 0..n {
            push(&mut sources, listed((0..n).filter(|&j| keeps(i, j)))?)?;
            push(&mut segments, vec![(0, sizes.free + sizes.p)])?;
        }
        Ok(Plan::Sparse { sources, segments })
    }

    /// The same, or the dense product where that is faster and the same.
    pub(crate) fn exact(structure: &Structure, sizes: Sizes) -> Result<Plan, Error> {
        let used = structure.couples.iter().filter(|&&x| x).count();
        if used as f64 > DENSE * structure.couples.len() as f64 {
            return Ok(Plan::Dense);
        }
        Plan::rows(sizes, |i, j| structure.couples[i * sizes.n + j])
    }

    /// to = f_s from, of what takes part.
    ///
    /// - f_s: (n, n); from, to: (n, stride). Cost O(n² stride), or what the plan leaves of it
    pub fn propagate<T: Scalar>(&self, f_s: &[T], from: &[T], to: &mut [T], stride: usize) {
        let Plan::Sparse { sources, segments } = self else {
            multiply(f_s, from, to, stride);
            return;
        };
        let n = sources.len();
        for (i, row) in to.chunks_exact_mut(stride).enumerate() {
            row.fill(T::zero());
            for &j in &sources[i] {
                let (c, from) = (f_s[i * n + j], &from[j * stride..(j + 1) * stride]);
                for &(start, end) in &segments[i] {
                    axpy(c, &from[start..end], &mut row[start..end]);
                }
            }
        }
    }
}

/// ds += f_theta, in place.
///
/// - ds: (n, stride). Cost O(number of entries of f_theta)
pub fn add_terms<T: Scalar>(
    structure: &Structure,
    at: &mut Partials<T>,
    ds: &mut [T],
    stride: usize,
    free: usize,
) {
    structure.each(at, |term, c, vector| {
        let place = term.row * stride + free + term.start;
        if let [one] = vector {
            ds[place] += c * *one;
        } else {
            axpy(c, vector, &mut ds[place..place + vector.len()]);
        }
    });
}

/// Needs the structure of a model.
fn known<'a>(name: &str, structure: Option<&'a Structure>) -> Result<&'a Structure, Error> {
    structure.ok_or_else(|| {
        let expected = format!("RTRL or UORO: {name} needs a model whose structure is known");
        Error::Unsupported(fault("sensitivity", expected, name))
    })
}
