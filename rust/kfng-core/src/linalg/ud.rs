//! Where the entries of U and D lie.

use super::{Overflow, Path};

/// Columns per block.
pub(crate) const NC: usize = 4;
/// Columns start on a 64-byte line in either type: 16 numbers of f32, two lines of f64 (the second is skipped where it is all padding).
pub(crate) const PAD: usize = 16;
/// Up to this p sums run in index order and nothing is fused, on every machine; a bank of filters repeats that arithmetic bit for bit.
pub const INDEX_ORDER_MAX: usize = PAD;

/// Storage of P = U D U', U unit upper triangular, in two slices.
///
/// U lies in blocks of `NC` columns. All columns of a block have the length of its last one, rounded up to `PAD`; the unit diagonal
/// is stored and the rest is zero. No masks, and one sequential stream. D has the length `padded()`, zero from p on.
/// Every vector (h, b, theta) has the length `padded()`, zero from p on.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    p: usize,
    path: Path,
}

impl Layout {
    /// Layout of a p×p belief, run on the fastest instruction set of the machine.
    pub fn new(p: usize) -> Result<Self, Overflow> {
        Self::with_path(p, Path::best())
    }

    /// The same, run on a chosen instruction set.
    pub fn with_path(p: usize, path: Path) -> Result<Self, Overflow> {
        let padded = p.checked_next_multiple_of(PAD).ok_or(Overflow)?;
        // Bounds u_len, every offset and p², in bytes of either type, so that nothing below can overflow.
        let square = padded
            .checked_mul(padded)
            .and_then(|n| n.checked_mul(size_of::<f64>()))
            .ok_or(Overflow)?;
        isize::try_from(square)
            .map(|_| Layout { p, path })
            .map_err(|_| Overflow)
    }

    /// Number of parameters.
    #[inline(always)]
    pub fn p(&self) -> usize {
        self.p
    }

    /// Instruction set the kernels run on.
    #[inline(always)]
    pub fn path(&self) -> Path {
        self.path
    }

    /// Length of every h, b and theta.
    #[inline(always)]
    pub fn padded(&self) -> usize {
        self.p.next_multiple_of(PAD)
    }

    /// Length of the slice that holds U.
    #[inline(always)]
    pub fn u_len(&self) -> usize {
        block_start(self.blocks())
    }

    /// Length of the slice that holds D.
    #[inline(always)]
    pub fn d_len(&self) -> usize {
        self.padded()
    }

    /// Index of entry (i, j), i <= j < p.
    #[inline(always)]
    pub fn at(&self, i: usize, j: usize) -> usize {
        debug_assert!(i <= j && j < self.p);
        column_start(j) + i
    }

    /// Number of column blocks.
    #[inline(always)]
    pub(crate) fn blocks(&self) -> usize {
        self.p.div_ceil(NC)
    }

    /// Whether p is small enough for the index-order arithmetic.
    #[inline(always)]
    pub(crate) fn is_index_order(&self) -> bool {
        self.p <= INDEX_ORDER_MAX
    }
}

/// Length of the columns of a block.
#[inline(always)]
pub(crate) fn block_len(block: usize) -> usize {
    ((block + 1) * NC).next_multiple_of(PAD)
}

/// Index of the first entry of column j.
#[inline(always)]
pub(crate) fn column_start(j: usize) -> usize {
    block_start(j / NC) + (j % NC) * block_len(j / NC)
}

/// Index of the first entry of a block: PAD / NC blocks of each length lie before it.
#[inline(always)]
pub(crate) fn block_start(block: usize) -> usize {
    const GROUP: usize = PAD / NC;
    let (full, rest) = (block / GROUP, block % GROUP);
    NC * PAD * (GROUP * (full * (full + 1) / 2) + rest * (full + 1))
}

#[cfg(test)]
mod tests {
    use super::{Layout, NC, PAD, block_len, block_start};

    #[test]
    fn blocks_follow_one_another() {
        for block in 0..100 {
            assert_eq!(
                block_start(block + 1),
                block_start(block) + NC * block_len(block)
            );
            assert!(block_start(block).is_multiple_of(PAD) && block_len(block) >= (block + 1) * NC);
        }
    }

    #[test]
    fn entries_are_distinct_and_inside() {
        for p in [1, 4, 5, 16, 17, 40] {
            let layout = Layout::new(p).unwrap();
            let mut seen = vec![false; layout.u_len()];
            for j in 0..p {
                for i in 0..=j {
                    assert!(!std::mem::replace(&mut seen[layout.at(i, j)], true));
                }
            }
            assert!(layout.padded() >= p && layout.d_len() == layout.padded());
        }
        assert_eq!(Layout::new(0).unwrap().u_len(), 0);
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        for p in [usize::MAX, usize::MAX - 20, 1 << 40, 1 << 31] {
            assert!(Layout::new(p).is_err(), "{p}");
        }
        assert!(Layout::new(1 << 29).is_ok());
    }
}
