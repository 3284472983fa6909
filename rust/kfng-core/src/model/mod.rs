//! Models: the output z = h(u, theta) in link coordinates and its Jacobian dz. They know nothing of likelihoods.

use enum_dispatch::enum_dispatch;
use serde::Deserialize;

use crate::error::Error;
use crate::field::Arrays;
use crate::scalar::Scalar;

pub mod cell;
mod external;
mod external_recurrent;
mod gru;
mod linear;
mod linear_state_space;
mod lru;
mod lstm;
mod mlp;
mod rnn;

pub use cell::{Partials, Readout, Structure};
pub use external::External;
pub use external_recurrent::ExternalRecurrent;
pub use gru::GRU;
pub use linear::Linear;
pub use linear_state_space::LinearStateSpace;
pub use lru::LRU;
pub use lstm::LSTM;
pub use mlp::MLP;
pub use rnn::RNN;

/// The model of a filter. The variants are the one list of names.
#[enum_dispatch(Output)]
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Model {
    /// z = W u + c.
    Linear,
    /// z and dz come with every row.
    External,
    /// A network of dense layers.
    MLP,
    /// An Elman network.
    RNN,
    /// A gated recurrent unit.
    GRU,
    /// Long short-term memory.
    LSTM,
    /// A linear recurrence, every matrix learned.
    LinearStateSpace,
    /// A linear recurrence of units that do not mix.
    LRU,
    /// State, output and partials come with every row.
    ExternalRecurrent,
}

/// What every model supplies.
#[enum_dispatch]
pub trait Output {
    /// Checks the settings.
    fn check(&self) -> Result<(), Error>;

    /// Takes in the arrays.
    fn prepare(&mut self, _arrays: &Arrays) -> Result<(), Error> {
        Ok(())
    }

    /// d, or `None` where rows come as outputs and Jacobians.
    fn inputs(&self) -> Option<usize>;

    /// k.
    fn outputs(&self) -> usize;

    /// p, or `None` where it does not fit a machine word.
    fn parameters(&self) -> Option<usize>;

    /// Whether dz does not depend on theta and z = dz·theta.
    fn linear(&self) -> bool {
        false
    }

    /// The first index of row j of dz that can be non-zero.
    fn start(&self, _j: usize) -> usize {
        0
    }

    /// Numbers that `forward` works with.
    fn work(&self) -> usize {
        0
    }

    /// Components of the state of a recurrent model, 0 for the others, or `None` where they do not fit a machine word.
    fn state(&self) -> Option<usize> {
        Some(0)
    }

    /// The structure of a recurrent model's partials, where it is known here.
    fn structure(&self) -> Result<Option<Structure>, Error> {
        Ok(None)
    }

    /// Room for the partials of a recurrent model.
    fn partials<T: Scalar>(&self) -> Result<Partials<T>, Error> {
        Ok(Partials::default())
    }

    /// One step of a recurrent model at s (n,) and u (d,): s' and the partials.
    fn advance<T: Scalar>(
        &self,
        _theta: &[T],
        _s: &[T],
        _u: &[T],
        _structure: &Structure,
        _to: &mut Partials<T>,
    ) {
        unreachable!("no recurrent model")
    }

    /// z of a recurrent model at s (n,), and where its readout's parameters are.
    fn readout<T: Scalar>(&self, _theta: &[T], _s: &[T], _z: &mut [f64]) -> Readout {
        unreachable!("no recurrent model")
    }

    /// Output and Jacobian of one row of a model without a state.
    ///
    /// - theta: (p padded,); u: (d,); z: (k,), not written by a linear model; dz: (k, stride), zero on entry; work: (`work()`,)
    fn forward<T: Scalar>(
        &self,
        theta: &[T],
        u: &[T],
        z: &mut [f64],
        dz: &mut [T],
        stride: usize,
        work: &mut [T],
    );
}
