//! What comes with rows side by side.

use super::lanes::{Each, Mask, mask};
use crate::row::Block;

/// One row of each filter.
pub(super) struct Given<const N: usize> {
    pub y: Each<N>,
    pub weight: Each<N>,
    pub dt: Each<N>,
    pub offset: Each<N>,
    /// Whether they are ordinary so far.
    pub ok: Mask<N>,
}

impl<const N: usize> Given<N> {
    #[inline(always)]
    fn nothing() -> Self {
        Given {
            y: [0.0; N],
            weight: [1.0; N],
            dt: [1.0; N],
            offset: [0.0; N],
            ok: [u64::MAX; N],
        }
    }

    /// Rows of the block, of `width` numbers in y.
    #[inline(always)]
    pub fn each<T>(block: &Block<'_, T>, at: impl Fn(usize) -> usize, width: usize) -> Self {
        let mut given = Given::nothing();
        for l in 0..N {
            let row = at(l);
            given.y[l] = block.y[row * width];
            (given.weight[l], given.dt[l]) = (block.weight[row], block.dt[row]);
            given.offset[l] = block.offset[row];
            let blank = block.blank[row] || given.weight[l] == 0.0;
            given.ok[l] = mask(!(blank || given.y[l].is_nan()));
        }
        given
    }
}
