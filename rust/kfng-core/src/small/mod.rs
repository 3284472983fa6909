//! Few parameters: a row of a linear model of one output with a full belief of p <= 16, worked on where the state lies.
//!
//! The operations of the general step, in its order, so with its bits; nothing is copied, and nothing is written before all that the row
//! leaves behind is known to be finite and allowed. A row that asks for more (y missing, weight 0, a blank, a wind-up pull, a number that
//! might overflow) is left to the general step, with nothing changed.
//!
//! A [`Small`] is immutable and needs no filter: threads share it, and the state is whatever slices the caller has.
//!
//! | slice | what |
//! |---|---|
//! | `wide` (f64) | the float64 section of a state, see state.rs: 17 numbers, and 5 more where a noise variance is learned |
//! | `narrow` (T) | theta (16), D (16), then U: its columns of 16, in whole blocks of 4; zero from p on, and the unit diagonal |
//!
//! [`packed`] has the same row on a state without padding: p(p + 3)/2 numbers.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::belief::{Belief, Uncertainty};
use crate::family::{Family, Likelihood};
use crate::guard::Limits;
use crate::linalg::index_order::Column;
use crate::linalg::{INDEX_ORDER_MAX, Path};
use crate::model::{Model, Output};
use crate::row::{Block, Input, Report};
use crate::rule::Rule;
use crate::scalar::Scalar;
use crate::scale::Scale;
use crate::state::NOISE;

pub mod abreast;
mod law;
mod pace;
pub mod packed;
mod row;

use law::Law;
use pace::Pace;
use row::copy;

/// Numbers in a block of columns, and in theta and D.
const PAD: usize = INDEX_ORDER_MAX;
const NC: usize = 4;

/// What such rows need to know that never changes.
#[derive(Clone, Debug)]
pub struct Small<T> {
    p: usize,
    /// Inputs.
    d: usize,
    /// Numbers in one y.
    width: usize,
    intercept: bool,
    path: Path,
    family: Family,
    law: Law,
    pace: Pace,
    limits: Limits,
    /// a_0 where a noise variance is learned.
    learned: Option<f64>,
    /// Whether the belief is relative to it.
    relative: bool,
    evidence: bool,
    /// Prior variances, zero from p on, and the scale of the posterior before the first row.
    prior: ([f64; PAD], f64),
    number: PhantomData<T>,
}

/// The prepared components of a filter with one look at a row and nothing between rows but decay.
#[derive(Debug)]
pub struct Parts<'a> {
    /// z = h(u, theta).
    pub model: &'a Model,
    /// The law of y.
    pub family: &'a Family,
    /// Prepared.
    pub belief: &'a Belief,
    /// Without turns and process noise.
    pub rule: &'a Rule,
    /// The guards.
    pub limits: &'a Limits,
    /// Of a learned noise variance.
    pub scale: Option<&'a Scale>,
    /// Of the posterior before the first row.
    pub scale_0: f64,
    /// Whether log densities are summed.
    pub evidence: bool,
}

impl<T: Scalar> Small<T> {
    /// `None`: these components go the general way.
    pub fn new(parts: &Parts<'_>) -> Option<Self> {
        let (Model::Linear(model), Belief::Full(belief)) = (parts.model, parts.belief) else {
            return None;
        };
        let (p, d) = (model.parameters()?, model.inputs()?);
        let offered = parts.rule.is_called() || parts.rule.noise().is_some();
        if model.outputs() != 1 || p > PAD || offered || parts.rule.towards_prior() {
            return None;
        }
        let mut prior = [0.0; PAD];
        prior[..p].copy_from_slice(belief.prior_variances());
        Some(Small {
            p,
            d,
            width: parts.family.y_width(1),
            intercept: p > d,
            path: Path::best(),
            law: Law::of(parts.family),
            family: parts.family.clone(),
            pace: Pace::of(parts.rule, parts.limits.log_floor)?,
            limits: *parts.limits,
            learned: parts.scale.map(|scale| scale.a_0),
            relative: parts.scale.is_some() && parts.family.relative(),
            evidence: parts.evidence,
            prior: (prior, parts.scale_0),
            number: PhantomData,
        })
    }

    /// Numbers in `wide` and in `narrow`.
    pub fn lengths(&self) -> (usize, usize) {
        let noise = if self.learned.is_some() { 5 } else { 0 };
        (NOISE + noise, 2 * PAD + self.blocks() * NC * PAD)
    }

    fn blocks(&self) -> usize {
        self.p.div_ceil(NC)
    }

    /// Takes rows `first..` of a block, in order; returns how many, which ends before the first row that must go the general way. The
    /// state is then as after the rows taken; nothing of that row is reported.
    ///
    /// - wide, narrow: (see `lengths`)
    /// - block, report: of as many rows, one output
    pub fn rows(
        &self,
        wide: &mut [f64],
        narrow: &mut [T],
        block: &Block<'_, T>,
        first: usize,
        report: &mut Report<'_>,
    ) -> usize {
        self.between(wide, narrow, block, first..block.len(), report)
    }

    /// Takes row `i` of a block; `false`: it must go the general way, and nothing has changed.
    pub fn one(
        &self,
        wide: &mut [f64],
        narrow: &mut [T],
        block: &Block<'_, T>,
        i: usize,
        report: &mut Report<'_>,
    ) -> bool {
        self.between(wide, narrow, block, i..i + 1, report) == 1
    }

    fn between(
        &self,
        wide: &mut [f64],
        narrow: &mut [T],
        block: &Block<'_, T>,
        rows: Range<usize>,
        report: &mut Report<'_>,
    ) -> usize {
        match self.blocks() {
            1 => self
                .path
                .run_index_order(Run::<T, 1>(self, wide, narrow, block, rows, report)),
            2 => self
                .path
                .run_index_order(Run::<T, 2>(self, wide, narrow, block, rows, report)),
            3 => self
                .path
                .run_index_order(Run::<T, 3>(self, wide, narrow, block, rows, report)),
            4 => self
                .path
                .run_index_order(Run::<T, 4>(self, wide, narrow, block, rows, report)),
            _ => 0,
        }
    }
}

struct Run<'a, 'b, 'c, T, const K: usize>(
    &'a Small<T>,
    &'a mut [f64],
    &'a mut [T],
    &'a Block<'b, T>,
    Range<usize>,
    &'a mut Report<'c>,
);

impl<T: Scalar, const K: usize> WithSimd for Run<'_, '_, '_, T, K> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> usize {
        let Run(small, wide, narrow, block, rows, report) = self;
        let (Some(mut state), Input::Features(u)) =
            (row::Place::<T, K>::of(wide, narrow), block.input)
        else {
            return 0;
        };
        // The inputs of a row are written while the row before it is taken, so that they are in memory when they are read in other pieces.
        let (n, d, mut columns) = (rows.len(), small.d, [small.column(); 2]);
        let fill = |h: &mut Column<T>, i: usize| copy(h, &u[i * d..(i + 1) * d]);
        if n > 0 {
            fill(&mut columns[0], rows.start);
        }
        for (taken, i) in rows.enumerate() {
            if taken + 1 < n {
                fill(&mut columns[(taken + 1) % 2], i + 1);
            }
            if !small.row(s, &mut state, block, &columns[taken % 2], i, report) {
                return taken;
            }
        }
        n
    }
}
