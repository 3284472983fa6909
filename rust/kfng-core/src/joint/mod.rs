//! The joint extended Kalman filter on x = (s, theta), outside the axes of `Filter`; theta may be empty: the filter of a known model.
//!
//! ```text
//! time:  s- = f(s, theta, u);   P <- F P F'/decay + Q,   F = [[f_s, f_theta], [0, I]]
//! row:   columns of H = [h_s, h_theta] at s- and of H'L ─▶ fuse ─▶ b, q ─▶ x <- x + P H'(w·e)
//! ```
//!
//! P = U D U' as in `Full`, s first: then time touches the rows of s alone, and nothing is ever subtracted from P.
//! Source: Ollivier 2019, arXiv 1901.00696; Bierman 1977, Factorization Methods for Discrete Sequential Estimation.

use crate::error::Error;
use crate::family::{Family, Likelihood};
use crate::field::{Arrays, filled, product};
use crate::guard::Limits;
use crate::linalg::{self, Aligned, Columns, Layout, Runs, all_finite};
use crate::scalar::Scalar;

mod saved;
mod spec;
mod step;

pub use spec::Spec;

/// What a row brings: the model's values and partials at the x before it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// s- (n,).
    pub state: &'a [f64],
    /// \[f_s, f_theta\] (n, m).
    pub transition: &'a [f64],
    /// z (k,) at s-, offset included.
    pub output: &'a [f64],
    /// \[h_s, h_theta\] (k, m) at s-.
    pub jacobian: &'a [f64],
    /// Observation (width,).
    pub y: &'a [f64],
    /// Multiplier of the log-likelihood.
    pub weight: f64,
    /// P <- P/decay.
    pub decay: f64,
    /// Time for which the state's noise is added,
    pub dt: f64,
    /// and that of theta.
    pub owed: f64,
    /// A root (n, n) of what is added to the state's covariance, instead of dt times the settings' noise.
    pub noise: Option<&'a [f64]>,
    /// No output is known.
    pub blank: bool,
    /// y is there, and its weight is not 0.
    pub learns: bool,
}

/// How a row fared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fared {
    /// Whether an output was clamped,
    pub clamped: bool,
    /// and the step shortened.
    pub clipped: bool,
    /// Squared innovation over its variance; NaN where there is none,
    pub nis: f64,
    /// of so many degrees of freedom.
    pub degrees: usize,
}

/// Mean and covariance of x.
#[derive(Debug)]
pub(crate) struct State<T> {
    /// (padded,)
    pub x: Aligned<T>,
    pub u: Aligned<T>,
    pub d: Aligned<T>,
}

/// A filter: what never changes, the state, and what a step writes to before it is committed.
#[derive(Debug)]
pub struct Joint<T> {
    pub(crate) family: Family,
    pub(crate) limits: Limits,
    pub(crate) layout: Layout,
    /// State entries.
    pub(crate) n: usize,
    /// Outputs.
    pub(crate) k: usize,
    /// Root (n, n) of the state's noise in a unit of time.
    pub(crate) noise: Vec<T>,
    /// The parameters' noise: variances (p,), and where it has covariances the rows (r, p) of its root instead.
    pub(crate) variances: Vec<T>,
    pub(crate) roots: Vec<T>,
    pub(crate) state: State<T>,
    pub(crate) next: State<T>,
    pub(crate) columns: Columns<T>,
    pub(crate) work: Work<T>,
}

/// Sized once, so that no step allocates.
#[derive(Debug)]
pub(crate) struct Work<T> {
    /// (n, n)
    pub f_s: Vec<T>,
    pub f_theta: Runs<T>,
    /// (p,), (n, n) and (n,)
    pub row: Vec<T>,
    pub root: Vec<T>,
    pub times: Vec<T>,
    pub transition: Vec<T>,
    /// (padded,)
    pub dx: Aligned<T>,
    /// L (k, k), (k² + k,) and (k,)
    pub l: Vec<f64>,
    pub small: Vec<f64>,
    pub e: Vec<f64>,
    pub seen: Vec<usize>,
}

impl<T: Scalar> State<T> {
    fn zeros(layout: &Layout) -> Result<Self, Error> {
        Ok(State {
            x: Aligned::zeros(layout.padded())?,
            u: Aligned::zeros(layout.u_len())?,
            d: Aligned::zeros(layout.d_len())?,
        })
    }

    pub(crate) fn is_finite(&self) -> bool {
        all_finite(&self.x) && all_finite(&self.d) && all_finite(&self.u)
    }
}

impl<T: Scalar> Joint<T> {
    /// A filter at its prior. Every size is checked before memory is asked for, and memory that cannot be had is an error.
    pub fn new(spec: &Spec, arrays: &Arrays) -> Result<Self, Error> {
        let (n, p, k) = (spec.n, spec.parameters, spec.k);
        let layout = Layout::new(spec.size()?)?;
        let limits = spec.guards.limits::<T>(spec.family.link(), false)?;
        let mut family = spec.family.clone();
        family.prepare(k, arrays)?;
        let (noise, variances, roots) = spec.noises(arrays)?;
        let (mut state, next) = (State::zeros(&layout)?, State::zeros(&layout)?);
        let transition = linalg::transition_work(n, n).ok_or(Error::Memory(usize::MAX))?;
        let square = product(&[k, k])?;
        let mut work = Work {
            f_s: filled(product(&[n, n])?)?,
            f_theta: Runs::for_dense(n, p)?,
            row: filled(p)?,
            root: filled(n * n)?,
            times: filled(n)?,
            transition: filled(transition)?,
            dx: Aligned::zeros(layout.padded())?,
            l: filled(square)?,
            small: filled(square.checked_add(k).ok_or(Error::Memory(usize::MAX))?)?,
            e: filled(k)?,
            seen: filled(k)?,
        };
        spec.start(arrays, &layout, &mut state, &mut work)?;
        let columns = if k == 1 { 1 } else { product(&[2, k])? + 1 };
        Ok(Joint {
            family,
            limits,
            n,
            k,
            noise,
            variances,
            roots,
            state,
            next,
            columns: Columns::with_capacity(&layout, columns)?,
            layout,
            work,
        })
    }

    /// Entries of x.
    pub fn size(&self) -> usize {
        self.layout.p()
    }

    /// Entries of s.
    pub fn states(&self) -> usize {
        self.n
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.k
    }

    /// The law of y given z.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Mean of x into `out` (m,).
    pub fn mean(&self, out: &mut [f64]) {
        for (to, x) in out.iter_mut().zip(&self.state.x[..]) {
            *to = x.to_f64();
        }
    }
}
