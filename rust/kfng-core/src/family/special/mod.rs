//! The special functions of quantiles: normal, gamma, beta and Student's t.
//!
//! One idea serves every tail here: it is the density at its border times the integral of a log-concave function that falls from 1, and 64
//! Gauss-Legendre nodes over the reach of that function give it to about 1e-13, whatever the size of the parameters. Every quantile is
//! Newton's method on the logarithm of a tail, in the logarithm of the argument, where that tail is concave. Arguments are taken to be in
//! the domain; what is not gives NaN or a number, never a panic or a loop without end.

mod beta;
mod elementary;
mod gamma;
mod integral;
mod nodes;
mod normal;
mod student;
#[cfg(test)]
mod tests;

pub use beta::{beta_tails, log_weight as beta_log_weight};
pub use elementary::{HALF_LOG_2PI, expm1mx, log1pmx};
pub use gamma::{
    LARGE, gamma_quantile, gamma_tails, lgamma_ratio, log_weight as gamma_log_weight, stirling_rest,
};
pub use nodes::FEW_NODES;
#[cfg(test)]
use normal::normal_tails;
pub use normal::{log_normal_cdf, normal_quantile};
pub use student::student_quantile;
