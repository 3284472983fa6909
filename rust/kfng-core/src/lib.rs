//! kfng: online learning as Kalman filtering. The numerical core, in plain Rust.

pub mod linalg;
pub mod scalar;
