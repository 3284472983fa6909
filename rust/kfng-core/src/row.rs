//! Rows on their way in, and what is reported of them on the way out.

use std::ops::Range;

/// What a row says of the model: its input, or output and Jacobian themselves.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// u of m rows, (m, d).
    Features(&'a [T]),
    /// One row's z (k,) and dz (k, p).
    Given {
        /// Output.
        z: &'a [f64],
        /// Jacobian.
        dz: &'a [T],
    },
    /// One row of a recurrent model that lives elsewhere.
    Transition(Transition<'a, T>),
}

/// s' (n,), z (k,) there, and all partials: of s' by s (n, n) and theta (n, p), of z by s' (k, n) and theta (k, p).
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a, T> {
    /// s'.
    pub state: &'a [T],
    /// z.
    pub z: &'a [f64],
    /// Of s' by s.
    pub f_s: &'a [T],
    /// Of s' by theta.
    pub f_theta: &'a [T],
    /// Of z by s'.
    pub h_s: &'a [T],
    /// Of z by theta.
    pub h_theta: &'a [T],
}

impl<T> Transition<'_, T> {
    /// Whether the arrays fit n components, k outputs and p parameters.
    fn fits(&self, n: usize, k: usize, p: usize) -> bool {
        let is = |x: &[T], rows: usize, columns: usize| rows.checked_mul(columns) == Some(x.len());
        self.state.len() == n
            && self.z.len() == k
            && is(self.f_s, n, n)
            && is(self.f_theta, n, p)
            && is(self.h_s, k, n)
            && is(self.h_theta, k, p)
    }
}

/// m rows, checked: finite u (or `blank`), y NaN where missing, weight and dt >= 0.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a, T> {
    /// Inputs.
    pub input: Input<'a, T>,
    /// (m, width): the numbers of one observation
    pub y: &'a [f64],
    /// (m,), multiplies the log-likelihood.
    pub weight: &'a [f64],
    /// (m,), time since the row before.
    pub dt: &'a [f64],
    /// (m, k), added to z.
    pub offset: &'a [f64],
    /// (m,): u was bad and does not matter; the row is the column h = 0.
    pub blank: &'a [bool],
}

/// One row of a block.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, T> {
    /// u (d,), or the output and Jacobian.
    pub input: Input<'a, T>,
    /// (width,)
    pub y: &'a [f64],
    /// Multiplies the log-likelihood.
    pub weight: f64,
    /// Time since the row before.
    pub dt: f64,
    /// (k,)
    pub offset: &'a [f64],
    /// Whether the row is the column h = 0.
    pub blank: bool,
}

impl<'a, T> Block<'a, T> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.weight.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.weight.is_empty()
    }

    /// Whether the arrays fit m rows of d inputs, k outputs, p parameters and n components of a state.
    pub fn fits(&self, d: Option<usize>, k: usize, width: usize, p: usize, n: usize) -> bool {
        let m = self.len();
        let input = match self.input {
            Input::Features(u) => d.is_some_and(|d| m.checked_mul(d) == Some(u.len())),
            Input::Transition(ref at) => m == 1 && d.is_none() && n > 0 && at.fits(n, k, p),
            Input::Given { z, dz } => {
                n == 0 && m == 1 && z.len() == k && k.checked_mul(p) == Some(dz.len())
            }
        };
        let sizes = m.checked_mul(width) == Some(self.y.len())
            && m.checked_mul(k) == Some(self.offset.len());
        input && sizes && self.dt.len() == m && self.blank.len() == m
    }

    /// Some rows of inputs.
    #[inline]
    pub fn rows(&self, rows: Range<usize>, d: usize, k: usize, width: usize) -> Block<'a, T> {
        let (start, end) = (rows.start, rows.end);
        let input = match self.input {
            Input::Features(u) => Input::Features(&u[start * d..end * d]),
            Input::Given { z, dz } => Input::Given { z, dz },
            Input::Transition(ref at) => Input::Transition(Transition { ..*at }),
        };
        Block {
            input,
            y: &self.y[start * width..end * width],
            weight: &self.weight[rows.clone()],
            dt: &self.dt[rows.clone()],
            offset: &self.offset[start * k..end * k],
            blank: &self.blank[rows],
        }
    }

    /// Row i.
    #[inline]
    pub fn row(&self, i: usize, d: usize, k: usize, width: usize) -> Row<'a, T> {
        let input = match self.input {
            Input::Features(u) => Input::Features(&u[i * d..(i + 1) * d]),
            Input::Given { z, dz } => Input::Given { z, dz },
            Input::Transition(ref at) => Input::Transition(Transition { ..*at }),
        };
        Row {
            input,
            y: &self.y[i * width..(i + 1) * width],
            weight: self.weight[i],
            dt: self.dt[i],
            offset: &self.offset[i * k..(i + 1) * k],
            blank: self.blank[i],
        }
    }
}

/// Nothing was learned from the row.
pub const FLAG_SKIPPED: u8 = 1;
/// The step of theta was shortened.
pub const FLAG_CLIPPED: u8 = 2;

/// What is reported of m rows: z (m, k), c (m, k, k), a and b (m, scales), flags (m,).
#[derive(Debug)]
pub struct Report<'a> {
    /// Output before y was used; NaN where u was bad.
    pub z: &'a mut [f64],
    /// Its covariance, relative to the noise variance where that is learned.
    pub c: &'a mut [f64],
    /// Shapes of the learned noise variances.
    pub a: &'a mut [f64],
    /// Their scales, floored.
    pub b: &'a mut [f64],
    /// `FLAG_SKIPPED`, `FLAG_CLIPPED`.
    pub flags: &'a mut [u8],
    /// What each row counted for, (m,) of a robust filter; empty of any other.
    pub trust: &'a mut [f64],
}

impl Report<'_> {
    /// Row i.
    #[inline]
    pub fn row(&mut self, i: usize, k: usize, scales: usize) -> Report<'_> {
        self.rows(i..i + 1, k, scales)
    }

    /// Some rows.
    #[inline]
    pub fn rows(&mut self, rows: Range<usize>, k: usize, scales: usize) -> Report<'_> {
        let (start, end) = (rows.start, rows.end);
        Report {
            z: &mut self.z[start * k..end * k],
            c: &mut self.c[start * k * k..end * k * k],
            a: &mut self.a[start * scales..end * scales],
            b: &mut self.b[start * scales..end * scales],
            flags: &mut self.flags[rows.clone()],
            trust: self.trust.get_mut(rows).unwrap_or_default(),
        }
    }

    /// Whether there is room for m rows of k outputs and so many learned noise variances.
    pub fn fits(&self, m: usize, k: usize, scales: usize) -> bool {
        let noise = m.checked_mul(scales);
        let outputs = m.checked_mul(k);
        let squares = outputs.and_then(|n| n.checked_mul(k));
        outputs == Some(self.z.len())
            && squares == Some(self.c.len())
            && [self.a.len(), self.b.len(), self.flags.len()].map(Some) == [noise, noise, Some(m)]
            && (self.trust.is_empty() || self.trust.len() == m)
    }
}
