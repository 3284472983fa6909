//! Models: the output z = h(u, theta) in link coordinates and its Jacobian dz. They know nothing of likelihoods.

use enum_dispatch::enum_dispatch;
use serde::Deserialize;

use crate::error::Error;
use crate::scalar::Scalar;

mod external;
mod linear;
mod mlp;

pub use external::External;
pub use linear::Linear;
pub use mlp::MLP;

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
}

/// What every model supplies.
#[enum_dispatch]
pub trait Output {
    /// Checks the settings.
    fn check(&self) -> Result<(), Error>;

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

    /// Output and Jacobian of one row.
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
