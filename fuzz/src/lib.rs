//! What the fuzzer runs, and `cargo test` with the inputs that are kept: bytes become calls of the core, and a panic is what fails.
//!
//! Every input is taken to be what the Python border lets through, or what a file of unknown origin may hold; each target says which.

mod bank;
mod build;
mod bytes;
mod law;
mod load;
mod rows;
mod twin;

pub use bank::bank;
pub use law::law;
pub use load::load;
pub use rows::rows;
