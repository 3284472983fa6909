//! The state of a small filter without padding, for very many of them.
//!
//! Packed: what lies above the diagonal of U, column after column, then D (p), then theta (p): p(p + 3)/2 numbers.

use super::{NC, PAD, Small};
use crate::row::{Block, Report};
use crate::scalar::Scalar;

/// Numbers of theta, D and U with their padding, at most.
const MOST: usize = 2 * PAD + PAD * PAD;

impl<T: Scalar> Small<T> {
    /// Numbers in a packed state.
    pub fn packed_len(&self) -> usize {
        self.p * (self.p + 3) / 2
    }

    /// Packs the `narrow` section of a state.
    ///
    /// - narrow: (`lengths().1`,); packed: (`packed_len()`,)
    pub fn pack(&self, narrow: &[T], packed: &mut [T]) {
        let p = self.p;
        let (above, rest) = packed.split_at_mut(p * (p - 1) / 2);
        let (d, theta) = rest.split_at_mut(p);
        theta.copy_from_slice(&narrow[..p]);
        d.copy_from_slice(&narrow[PAD..PAD + p]);
        let (mut above, columns) = (above, narrow[2 * PAD..].chunks_exact(PAD));
        for (j, column) in columns.take(p).enumerate() {
            let (to, rest) = above.split_at_mut(j);
            to.copy_from_slice(&column[..j]);
            above = rest;
        }
    }

    /// The inverse of `pack`; padding is written too.
    pub fn unpack(&self, packed: &[T], narrow: &mut [T]) {
        let p = self.p;
        narrow[..2 * PAD + self.blocks() * NC * PAD].fill(T::zero());
        let (above, rest) = packed.split_at(p * (p - 1) / 2);
        let (d, theta) = rest.split_at(p);
        narrow[..p].copy_from_slice(theta);
        narrow[PAD..PAD + p].copy_from_slice(d);
        let (mut above, columns) = (above, narrow[2 * PAD..].chunks_exact_mut(PAD));
        for (j, column) in columns.take(p).enumerate() {
            let (from, rest) = above.split_at(j);
            column[..j].copy_from_slice(from);
            column[j] = T::one();
            above = rest;
        }
    }

    /// Takes row `i` of a block into a packed state; `false`: it must go the general way (unpack, step, pack), and nothing has changed.
    ///
    /// - wide: (`lengths().0`,); packed: (`packed_len()`,)
    pub fn row_packed(
        &self,
        wide: &mut [f64],
        packed: &mut [T],
        block: &Block<'_, T>,
        i: usize,
        report: &mut Report<'_>,
    ) -> bool {
        let mut narrow = [T::zero(); MOST];
        self.unpack(packed, &mut narrow);
        let taken = self.one(wide, &mut narrow, block, i, report);
        if taken {
            self.pack(&narrow, packed);
        }
        taken
    }
}
