//! A bank of float64 or of float32.

use kfng_core::bank::Bank;
use kfng_core::scalar::Scalar;

use crate::arrays::Number;

/// A bank of either number type.
pub enum Core {
    /// float64.
    Wide(Bank<f64>),
    /// float32.
    Narrow(Bank<f32>),
}

/// The number types of banks.
pub trait Kind: Number + Scalar {
    /// The bank, whose type was chosen from its dtype.
    fn within(core: &mut Core) -> &mut Bank<Self>;
}

impl Kind for f64 {
    fn within(core: &mut Core) -> &mut Bank<f64> {
        let Core::Wide(bank) = core else {
            unreachable!("the type was chosen from the bank's dtype")
        };
        bank
    }
}

impl Kind for f32 {
    fn within(core: &mut Core) -> &mut Bank<f32> {
        let Core::Narrow(bank) = core else {
            unreachable!("the type was chosen from the bank's dtype")
        };
        bank
    }
}
