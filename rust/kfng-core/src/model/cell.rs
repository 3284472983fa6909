//! Recurrent cells: s' = f(s, theta, u) with a linear readout z = C h + c, and their partials in structured form.
//!
//! A cell is made of gates that see W x + V h + b, so f_theta is never formed: each of its entries lies in a *term*, row i of f_theta
//! from `start` on being a coefficient times x, h or 1; f_s = sum over terms of the coefficient times the row of V, plus what a component
//! passes on directly. The coefficients are all that a cell computes.
//!
//! Source: Ollivier 2018, arXiv 1703.00209, section 3; Williams and Zipser 1989, "A learning algorithm for continually running fully
//! recurrent neural networks".

use serde::Deserialize;

use super::Output;
use crate::error::{Error, fault};
use crate::field::{Arrays, Named, filled, listed, positive, product, push};
use crate::linalg::{axpy, dot};
use crate::scalar::Scalar;

/// Sizes of a cell: inputs, units, outputs.
#[derive(Clone, Copy, Debug)]
pub struct Dims {
    /// d.
    pub d: usize,
    /// h.
    pub h: usize,
    /// k.
    pub k: usize,
}

/// What all cells are told: sizes, and how inputs are centred and scaled.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    pub(super) n_inputs: usize,
    pub(super) n_units: usize,
    pub(super) n_outputs: usize,
    pub(super) input_center: Option<Named>,
    pub(super) input_scale: Option<Named>,
    /// Which units are connected, (h, h) of 0 and 1: of a cell that has such a setting.
    #[serde(skip)]
    pub(super) mask: Option<Named>,
    #[serde(skip)]
    pub(super) constants: Constants,
}

/// What a term of f_theta multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// x (d,): a row of `weight_ih`.
    Input,
    /// h (h,): a row of `weight_hh`.
    State,
    /// A number: a bias, or a decay.
    One,
}

/// Entries of row `row` of f_theta: `start..` is a coefficient times x, h or 1.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// Component of the state.
    pub row: usize,
    /// First parameter.
    pub start: usize,
    /// What the coefficient multiplies.
    pub of: Of,
    /// Index of the coefficient.
    pub coefficient: usize,
}

/// What never changes of a cell's partials.
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// All terms of f_theta, row by row.
    pub terms: Vec<Term>,
    /// f_s (n, n): which entries can be non-zero.
    pub couples: Vec<bool>,
    /// The unit that a component belongs to, (n,).
    pub units: Vec<usize>,
    /// (h, h) of 0 and 1 over `weight_hh`, empty: all 1.
    pub mask: Vec<f64>,
    /// Lengths of x, h and 1.
    pub lengths: [usize; 3],
}

/// One step of a cell, sized once.
#[derive(Clone, Debug, Default)]
pub struct Partials<T> {
    /// s' (n,).
    pub state: Vec<T>,
    /// f_s (n, n).
    pub f_s: Vec<T>,
    /// Those of the terms.
    pub coefficients: Vec<T>,
    /// x (d,).
    pub x: Vec<T>,
    /// s (n,), and it times a row of the mask (h,).
    pub before: Vec<T>,
    /// (h,)
    pub masked: Vec<T>,
}

/// Constants of a cell that come as arrays.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    /// Centre of the inputs (d,).
    pub center: Vec<f64>,
    /// Scale of the inputs (d,).
    pub scale: Vec<f64>,
    /// (h, h) of 0 and 1, or empty.
    pub mask: Vec<f64>,
}

/// What every cell supplies; everything else about it is written here.
pub trait Cell {
    /// Sizes and constants.
    fn frame(&self) -> &Frame;

    /// The same, for taking in arrays.
    fn frame_mut(&mut self) -> &mut Frame;

    /// Its sizes.
    fn dims(&self) -> Dims {
        let frame = self.frame();
        Dims {
            d: frame.n_inputs,
            h: frame.n_units,
            k: frame.n_outputs,
        }
    }

    /// Components of the state per unit; h comes first.
    fn per_unit(&self) -> usize {
        1
    }

    /// Parameters before the readout, or `None` where they do not fit a machine word.
    fn inner(&self) -> Option<usize>;

    /// Coefficients of the terms.
    fn coefficients(&self) -> usize;

    /// Calls `add` with every term of f_theta, row by row.
    fn terms(&self, add: &mut dyn FnMut(Term));

    /// Whether component j of the state passes on to component i directly, not through `weight_hh`.
    fn passes(&self, i: usize, j: usize) -> bool;

    /// s' and the coefficients, and what passes directly into f_s, zero on entry.
    fn gates<T: Scalar>(&self, theta: &[T], to: &mut Partials<T>);
}

impl<C: Cell> Output for C {
    fn check(&self) -> Result<(), Error> {
        let Dims { d, h, k } = self.dims();
        for (name, size) in [("n_inputs", d), ("n_units", h), ("n_outputs", k)] {
            if size == 0 {
                return Err(Error::Parameter(fault(name, "at least 1", 0)));
            }
        }
        Ok(())
    }

    fn prepare(&mut self, arrays: &Arrays) -> Result<(), Error> {
        let (Dims { d, h, .. }, given) = (self.dims(), self.frame());
        let mut constants = Constants {
            center: filled(d)?,
            scale: filled(d)?,
            mask: Vec::new(),
        };
        constants.scale.fill(1.0);
        if let Some(named) = &given.input_center {
            let center = named.find("model.input_center", arrays, &[&[d]])?;
            constants.center.copy_from_slice(center);
        }
        if let Some(named) = &given.input_scale {
            let scale = named.find("model.input_scale", arrays, &[&[d]])?;
            for (to, &x) in constants.scale.iter_mut().zip(scale) {
                *to = positive("input_scale", x)?;
            }
        }
        if let Some(named) = &given.mask {
            let mask = named.find("model.mask", arrays, &[&[h, h]])?;
            if let Some(x) = mask.iter().find(|&&x| x != 0.0 && x != 1.0) {
                return Err(Error::Parameter(fault("mask", "an array of 0 and 1", x)));
            }
            constants.mask = filled(product(&[h, h])?)?;
            constants.mask.copy_from_slice(mask);
        }
        self.frame_mut().constants = constants;
        Ok(())
    }

    fn inputs(&self) -> Option<usize> {
        Some(self.dims().d)
    }

    fn outputs(&self) -> usize {
        self.dims().k
    }

    fn parameters(&self) -> Option<usize> {
        let Dims { h, k, .. } = self.dims();
        self.inner()?.checked_add(h.checked_add(1)?.checked_mul(k)?)
    }

    fn state(&self) -> Option<usize> {
        self.dims().h.checked_mul(self.per_unit())
    }

    fn structure(&self) -> Result<Option<Structure>, Error> {
        let Dims { d, h, .. } = self.dims();
        let n = product(&[h, self.per_unit()])?;
        let (mut terms, mut room) = (Vec::new(), Ok(()));
        self.terms(&mut |term| {
            if room.is_ok() {
                room = push(&mut terms, term);
            }
        });
        room?;
        let mut couples = filled(product(&[n, n])?)?;
        let mask = listed(self.frame().constants.mask.iter().copied())?;
        for i in 0..n {
            let reads = terms.iter().any(|t| t.row == i && t.of == Of::State);
            for j in 0..n {
                let seen = j < h && (mask.is_empty() || mask[i % h * h + j] != 0.0);
                couples[i * n + j] = self.passes(i, j) || (reads && seen);
            }
        }
        Ok(Some(Structure {
            terms,
            couples,
            units: listed((0..n).map(|i| i % h))?,
            mask,
            lengths: [d, h, 1],
        }))
    }

    fn partials<T: Scalar>(&self) -> Result<Partials<T>, Error> {
        let Dims { d, h, .. } = self.dims();
        let n = product(&[h, self.per_unit()])?;
        Ok(Partials {
            state: filled(n)?,
            f_s: filled(product(&[n, n])?)?,
            coefficients: filled(self.coefficients())?,
            x: filled(d)?,
            before: filled(n)?,
            masked: filled(h)?,
        })
    }

    fn advance<T: Scalar>(
        &self,
        theta: &[T],
        s: &[T],
        u: &[T],
        structure: &Structure,
        to: &mut Partials<T>,
    ) {
        let (Dims { h, .. }, constants) = (self.dims(), &self.frame().constants);
        let scaling = constants.center.iter().zip(&constants.scale);
        for ((x, u), (center, scale)) in to.x.iter_mut().zip(u).zip(scaling) {
            *x = T::of((u.to_f64() - center) / scale);
        }
        to.before.copy_from_slice(s);
        to.f_s.fill(T::zero());
        self.gates(theta, to);
        let n = to.state.len();
        for term in structure.terms.iter().filter(|t| t.of == Of::State) {
            let (c, row) = (to.coefficients[term.coefficient], term.row);
            let weights = &theta[term.start..term.start + h];
            let f_s = &mut to.f_s[row * n..row * n + h];
            if structure.mask.is_empty() {
                axpy(c, weights, f_s);
            } else {
                let mask = &structure.mask[row * h..(row + 1) * h];
                for ((to, &w), &on) in f_s.iter_mut().zip(weights).zip(mask) {
                    *to += c * w * T::of(on);
                }
            }
        }
    }

    /// z = C h + c; h_s = [C 0]; row j of h_theta is h at the place of `weight_out` j, and 1 at that of `bias_out` j.
    fn readout<T: Scalar>(&self, theta: &[T], s: &[T], z: &mut [f64]) -> Readout {
        let (Dims { h, k, .. }, at) = (self.dims(), self.inner().unwrap_or(0));
        for (j, z) in z.iter_mut().enumerate() {
            let weights = &theta[at + j * h..at + (j + 1) * h];
            *z = (dot(weights, &s[..h]) + theta[at + h * k + j]).to_f64();
        }
        Readout {
            weights: at,
            biases: at + h * k,
            h,
        }
    }

    fn forward<T: Scalar>(
        &self,
        _: &[T],
        _: &[T],
        _: &mut [f64],
        _: &mut [T],
        _: usize,
        _: &mut [T],
    ) {
        unreachable!("a recurrent model has a state")
    }
}

/// Where the readout's parameters are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readout {
    /// First of `weight_out` (k, h).
    pub weights: usize,
    /// First of `bias_out` (k,).
    pub biases: usize,
    /// Components of the state that are read.
    pub h: usize,
}

impl Structure {
    /// Calls `visit(term, c, vector)` with every term of this step; the vector is x, h (masked) or \[1\].
    pub fn each<T: Scalar>(&self, at: &mut Partials<T>, mut visit: impl FnMut(&Term, T, &[T])) {
        let h = at.masked.len();
        for term in &self.terms {
            let c = at.coefficients[term.coefficient];
            match term.of {
                Of::Input => visit(term, c, &at.x),
                Of::One => visit(term, c, &[T::one()]),
                Of::State if self.mask.is_empty() => visit(term, c, &at.before[..h]),
                Of::State => {
                    let mask = &self.mask[term.row * h..(term.row + 1) * h];
                    for ((to, &s), &on) in at.masked.iter_mut().zip(&at.before).zip(mask) {
                        *to = s * T::of(on);
                    }
                    visit(term, c, &at.masked);
                }
            }
        }
    }
}

/// 1/(1 + exp(-a)); an overflow of exp gives the right 0.
#[inline]
pub(super) fn logistic<T: Scalar>(a: T) -> T {
    T::one() / (T::one() + (-a).exp())
}
