//! The columns of a wave: what goes into a belief, and what comes out.

use super::ud::NC;
use super::{Aligned, AllocationError, Layout, Overflow};
use crate::scalar::Scalar;

/// What a pass accumulates for one column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally<T> {
    /// 1 + w h'P h so far.
    pub alpha: T,
    /// h'P h so far, apart from alpha: (alpha - 1)/w is 0/0 at a saturated logit.
    pub q: T,
    /// max |w f_j / alpha_j| so far, for the bound on U, apart for each place in a block: no chain from column to column.
    pub peak: [T; NC],
    /// Sum of |v_j| so far, for the bound on U, in the same way.
    pub spread: [T; NC],
}

/// What the owner sets of one column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting<T> {
    pub weight: T,
    pub decay: T,
    /// 1/decay: one division a column, not p; a pass multiplies D by it.
    pub inverse_decay: T,
    pub start: usize,
}

/// Columns (h, Fisher weight, decay) in and (b = P h, q = h'P h, alpha = 1 + w q) out, sized once.
#[derive(Debug)]
pub struct Columns<T> {
    pub(crate) h: Aligned<T>,
    pub(crate) b: Aligned<T>,
    pub(crate) settings: Vec<Setting<T>>,
    pub(crate) tallies: Vec<Tally<T>>,
    pub(crate) padded: usize,
    len: usize,
}

impl<T: Scalar> Columns<T> {
    /// Room for `max` columns of the layout; nothing allocates after this.
    pub fn with_capacity(layout: &Layout, max: usize) -> Result<Self, AllocationError> {
        let padded = layout.padded();
        let len = padded.checked_mul(max).ok_or(Overflow)?;
        let (h, b) = (Aligned::zeros(len)?, Aligned::zeros(len)?);
        let (settings, tallies) = (filled(max)?, filled(max)?);
        Ok(Columns {
            h,
            b,
            settings,
            tallies,
            padded,
            len: 0,
        })
    }

    /// Forgets every column.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Number of columns.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no column.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Largest number of columns.
    #[inline(always)]
    pub fn capacity(&self) -> usize {
        self.settings.len()
    }

    /// Adds a column and returns its h, zero, of length `padded()`; the owner writes entries `start..p` and no others.
    ///
    /// `start`: the first index that can be non-zero; a pass only decays what lies before it. Panics when full.
    #[inline]
    pub fn push(&mut self, weight: T, decay: T, start: usize) -> &mut [T] {
        let i = self.len;
        self.settings[i] = Setting {
            weight,
            decay,
            inverse_decay: T::one() / decay,
            start,
        };
        self.len += 1;
        let h = &mut self.h[i * self.padded..(i + 1) * self.padded];
        h.fill(T::zero());
        h
    }

    /// Changes the Fisher weight of column i, for owners who learn it from h.
    #[inline]
    pub fn set_weight(&mut self, i: usize, weight: T) {
        assert!(i < self.len);
        self.settings[i].weight = weight;
    }

    /// What comes out of columns where P = 0.
    pub fn nothing_known(&mut self, range: std::ops::Range<usize>) {
        self.b[range.start * self.padded..range.end * self.padded].fill(T::zero());
        for tally in &mut self.tallies[range] {
            *tally = Tally {
                alpha: T::one(),
                ..Tally::default()
            };
        }
    }

    /// h of column i.
    #[inline]
    pub fn h(&self, i: usize) -> &[T] {
        assert!(i < self.len);
        &self.h[i * self.padded..(i + 1) * self.padded]
    }

    /// h of every column, (len, padded).
    #[inline]
    pub fn rows(&self) -> &[T] {
        &self.h[..self.len * self.padded]
    }

    /// P h of column i, with P as it was before the column (after its decay).
    #[inline]
    pub fn b(&self, i: usize) -> &[T] {
        assert!(i < self.len);
        &self.b[i * self.padded..(i + 1) * self.padded]
    }

    /// h'P h of column i, with the same P.
    #[inline]
    pub fn q(&self, i: usize) -> T {
        assert!(i < self.len);
        self.tallies[i].q
    }

    /// 1 + weight·q of column i.
    #[inline]
    pub fn alpha(&self, i: usize) -> T {
        assert!(i < self.len);
        self.tallies[i].alpha
    }

    /// Fisher weight of column i.
    #[inline]
    pub fn weight(&self, i: usize) -> T {
        assert!(i < self.len);
        self.settings[i].weight
    }

    /// First index of column i that can be non-zero.
    #[inline]
    pub fn start(&self, i: usize) -> usize {
        assert!(i < self.len);
        self.settings[i].start
    }

    /// Decay of column i.
    #[inline]
    pub fn decay(&self, i: usize) -> T {
        assert!(i < self.len);
        self.settings[i].decay
    }
}

fn filled<X: Clone + Default>(len: usize) -> Result<Vec<X>, AllocationError> {
    let bytes = len.checked_mul(size_of::<X>()).ok_or(Overflow)?;
    let mut x = Vec::new();
    x.try_reserve_exact(len)
        .map_err(|_| AllocationError::OutOfMemory { bytes })?;
    x.resize(len, X::default());
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::Columns;
    use crate::linalg::Layout;

    #[test]
    fn a_used_slot_comes_back_zero() {
        let layout = Layout::new(5).unwrap();
        let mut columns = Columns::<f64>::with_capacity(&layout, 2).unwrap();
        columns.push(1.0, 1.0, 0)[..5].fill(3.0);
        columns.push(2.0, 0.5, 1)[4] = 1.0;
        assert!(
            columns.len() == 2
                && columns.capacity() == 2
                && columns.weight(1) == 2.0
                && columns.decay(1) == 0.5
        );
        columns.clear();
        assert!(columns.is_empty());
        assert!(columns.push(1.0, 1.0, 0).iter().all(|&x| x == 0.0));
        assert_eq!(columns.h(0).len(), layout.padded());
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn a_full_workspace_refuses() {
        let mut columns = Columns::<f32>::with_capacity(&Layout::new(3).unwrap(), 1).unwrap();
        columns.push(1.0, 1.0, 0);
        columns.push(1.0, 1.0, 0);
    }
}
