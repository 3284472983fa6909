//! What the step of a recurrent model works with; sized once. See recurrent.rs.

use crate::error::{Error, fault};
use crate::field::{filled, product};
use crate::linalg::Aligned;
use crate::model::{Model, Output, Partials, Structure};
use crate::scalar::Scalar;
use crate::sensitivity::{Influence, Plan, Sensitivity, Sizes};

/// The sections of a state's memory, for k outputs.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Outputs.
    pub k: usize,
}

impl Memory {
    /// Numbers in it.
    pub fn len(self) -> usize {
        5 * self.k + 1
    }

    /// Whether it is without outputs.
    pub fn is_empty(self) -> bool {
        self.k == 0
    }

    /// Last y (k,), and whether it was observed (k,).
    pub fn feedback(self, memory: &[f64]) -> &[f64] {
        &memory[..2 * self.k]
    }

    /// Last residual, sum of r_t r_{t-1}, sum of r_t² (3, k).
    pub fn echo(self, memory: &[f64]) -> &[f64] {
        &memory[2 * self.k..5 * self.k]
    }

    /// Place of the count of rows of ds that were set to 0.
    pub fn restarts(self) -> usize {
        5 * self.k
    }
}

/// Constants and workspace.
#[derive(Debug)]
pub struct Recurrence<T> {
    /// n, unknown components of s_0, p.
    pub sizes: Sizes,
    /// Which entries take part.
    pub plan: Plan,
    /// Whether s moves along with theta.
    pub corrects: bool,
    /// Of the signs of a random sensitivity.
    pub seed: u64,
    /// `None`: rows bring their partials.
    pub structure: Option<Structure>,
    /// Those of the row at hand.
    pub partials: Partials<T>,
    /// s_0 (n,).
    pub state_0: Vec<T>,
    /// The belief's section at the prior, where s_0 is unknown.
    pub belief_0: Aligned<T>,
    /// f_s s~ and nu (n,) each, and nu' f_theta (padded,).
    pub products: Vec<T>,
    /// (n,)
    pub signs: Vec<T>,
    /// (padded,)
    pub along: Aligned<T>,
    /// The memory's sections.
    pub memory: Memory,
    /// Whether there is one number y for each output.
    pub echoes: bool,
}

impl<T: Scalar> Recurrence<T> {
    /// Of a model, its sensitivity and its initial state.
    pub fn new(
        model: &Model,
        sensitivity: &Sensitivity,
        (n, free, p): (usize, usize, usize),
        state_0: &[f64],
        belief_0: Option<&[T]>,
        padded: usize,
        echoes: bool,
    ) -> Result<Self, Error> {
        let (sizes, structure) = (Sizes { n, free, p }, model.structure()?);
        let plan = sensitivity.plan(structure.as_ref(), sizes)?;
        let random = matches!(plan, Plan::RankOne);
        let n = if random { sizes.n } else { 0 };
        let mut copy = Aligned::zeros(belief_0.map_or(0, <[T]>::len))?;
        copy.copy_from_slice(belief_0.unwrap_or_default());
        let mut start = filled(sizes.n)?;
        for (to, &x) in start.iter_mut().zip(state_0) {
            *to = T::of(x);
        }
        if !start.iter().all(|x: &T| x.is_finite()) {
            let expected = format!("numbers that fit {}", T::NAME);
            return Err(Error::NonFinite(fault("state", expected, "larger ones")));
        }
        Ok(Recurrence {
            sizes,
            plan,
            corrects: sensitivity.corrects(),
            seed: sensitivity.seed().unwrap_or_default(),
            structure,
            partials: model.partials()?,
            state_0: start,
            belief_0: copy,
            products: filled(n)?,
            signs: filled(n)?,
            along: Aligned::zeros(if random { padded } else { 0 })?,
            memory: Memory { k: model.outputs() },
            echoes,
        })
    }

    /// Whether ds is a random rank one.
    pub fn random(&self) -> bool {
        matches!(self.plan, Plan::RankOne)
    }

    /// Numbers in the influence.
    pub fn influence_len(&self, padded: usize) -> Result<usize, Error> {
        if self.random() {
            let n = self.sizes.n.next_multiple_of(16);
            n.checked_add(padded).ok_or(Error::Memory(usize::MAX))
        } else {
            product(&[self.sizes.n, padded])
        }
    }

    /// The place of theta~ behind s~.
    pub fn along_from(&self) -> usize {
        self.sizes.n.next_multiple_of(16)
    }

    /// ds_0 = 0, or [I 0].
    pub fn start(&self, influence: &mut [T], padded: usize) {
        influence.fill(T::zero());
        for i in 0..self.sizes.free {
            influence[i * padded + i] = T::one();
        }
    }
}
