//! What the way of a row in place works with: see lean_step.rs.

use crate::belief::Belief;
use crate::error::Error;
use crate::field::filled;
use crate::linalg::sweep::Change;
use crate::linalg::{Aligned, INDEX_ORDER_MAX};
use crate::model::{Model, Output};
use crate::scalar::Scalar;
use crate::sparse::Sparse;

/// What the lean way works with.
#[derive(Debug)]
pub(crate) struct Lean<T> {
    /// h of the row at hand and of the next one, (padded,) each.
    pub(crate) rows: [Aligned<T>; 2],
    /// Which of them is at hand.
    pub(crate) at: usize,
    /// Bounds on |theta| and V of the state, where they are known.
    pub(crate) bounds: Option<[f64; 2]>,
    /// What sparse rows need, from the first of them on.
    pub(crate) sparse: Option<Box<Sparse<T>>>,
}

impl<T: Scalar> Lean<T> {
    /// For components that have this way, and so many parameters that it is another arithmetic than that of small ones.
    pub(crate) fn new(
        model: &Model,
        belief: &Belief,
        (p, padded): (usize, usize),
    ) -> Result<Option<Self>, Error> {
        let (Model::Linear(model), Belief::Diagonal(_)) = (model, belief) else {
            return Ok(None);
        };
        if model.outputs() > 1 || p <= INDEX_ORDER_MAX {
            return Ok(None);
        }
        let mut rows = [Aligned::zeros(padded)?, Aligned::zeros(padded)?];
        for row in &mut rows {
            let d = model.inputs().unwrap_or(p);
            let blank: Vec<T> = filled(d)?;
            model.forward(&[], &blank, &mut [], row, padded, &mut []);
        }
        Ok(Some(Lean {
            rows,
            at: 0,
            bounds: None,
            sparse: None,
        }))
    }

    /// After theta or V changed by anything else.
    pub(crate) fn forget(&mut self) {
        self.bounds = None;
    }
}

/// Bounds on |theta| and V after a change, from those before; `None` where they are too near the largest number.
pub(crate) fn after<T: Scalar>([theta, v]: [f64; 2], change: &Change<T>, q: T) -> Option<[f64; 2]> {
    let most = T::MAX.to_f64() / 4.0;
    let margin = 1.0 + 8.0 * T::EPSILON.to_f64(); // of the rounding of each operation
    let v = v * change.inverse_decay.to_f64() * margin;
    let step = change.gain.to_f64().abs() * (v.sqrt() * q.to_f64().sqrt() * margin);
    let theta = (theta + step) * margin;
    let fine = v <= most && theta <= most && change.alpha.to_f64() <= most;
    fine.then_some([theta, v])
}
