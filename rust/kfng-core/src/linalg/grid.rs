//! The columns of a block as registers, by one pointer and one stride.
//!
//! A sweep over two or three blocks with a slice for each column has more pointers than the machine has registers, and spends a third
//! of its time on fetching them back.

#![allow(unsafe_code)]

use std::marker::PhantomData;

use pulp::Simd;

use super::ud::NC;
use crate::scalar::Scalar;

/// The `NC` columns of a block, `n` registers of each.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a, T> {
    at: *const T,
    stride: usize,
    block: PhantomData<&'a [T]>,
}

/// The same, to be written.
pub(super) struct GridMut<'a, T> {
    at: *mut T,
    stride: usize,
    block: PhantomData<&'a mut [T]>,
}

/// Where register i of column c lies. Wrapping, for a check of overflow would be a branch in the innermost loop.
#[inline(always)]
fn place<T: Scalar, S: Simd>(stride: usize, c: usize, i: usize) -> usize {
    let row = i.wrapping_mul(T::reg_lanes::<S>());
    c.wrapping_mul(stride).wrapping_add(row)
}

impl<'a, T: Scalar> Grid<'a, T> {
    /// Of a block (NC, stride), its columns at least `n` registers long. Panics where they are not.
    #[inline(always)]
    pub(super) fn new<S: Simd>(block: &'a [T], n: usize) -> Self {
        let stride = block.len() / NC;
        assert!(n * T::reg_lanes::<S>() <= stride);
        let (at, block) = (block.as_ptr(), PhantomData);
        Grid { at, stride, block }
    }

    /// Register i of column c.
    ///
    /// # Safety
    /// c < NC, and i < n of [`Grid::new`] with the same `S`.
    #[inline(always)]
    pub(super) unsafe fn get<S: Simd>(self, c: usize, i: usize) -> T::Reg<S> {
        // SAFETY: the register ends at or before (c + 1)·stride <= NC·stride <= the length of the block; any bits are a number.
        unsafe {
            let at = self.at.add(place::<T, S>(self.stride, c, i));
            at.cast::<T::Reg<S>>().read_unaligned()
        }
    }
}

impl<'a, T: Scalar> GridMut<'a, T> {
    /// As [`Grid::new`].
    #[inline(always)]
    pub(super) fn new<S: Simd>(block: &'a mut [T], n: usize) -> Self {
        let stride = block.len() / NC;
        assert!(n * T::reg_lanes::<S>() <= stride);
        let (at, block) = (block.as_mut_ptr(), PhantomData);
        GridMut { at, stride, block }
    }

    /// Register i of column c.
    ///
    /// # Safety
    /// c < NC, and i < n of [`GridMut::new`] with the same `S`.
    #[inline(always)]
    pub(super) unsafe fn get<S: Simd>(&self, c: usize, i: usize) -> T::Reg<S> {
        // SAFETY: as in `Grid::get`.
        unsafe {
            let at = self.at.add(place::<T, S>(self.stride, c, i));
            at.cast::<T::Reg<S>>().read_unaligned()
        }
    }

    /// Writes register i of column c.
    ///
    /// # Safety
    /// As for `get`.
    #[inline(always)]
    pub(super) unsafe fn set<S: Simd>(&mut self, c: usize, i: usize, x: T::Reg<S>) {
        // SAFETY: as in `Grid::get`; the block is borrowed for writing, and a register is plain numbers.
        unsafe {
            let at = self.at.add(place::<T, S>(self.stride, c, i));
            at.cast::<T::Reg<S>>().write_unaligned(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::{Grid, GridMut};

    #[test]
    fn columns_lie_a_stride_apart() {
        let mut block: Vec<f64> = (0..12).map(f64::from).collect();
        let mut grid = GridMut::new::<Scalar>(&mut block, 3);
        // SAFETY: 4 columns of 3 registers of one number.
        unsafe {
            assert!(grid.get::<Scalar>(0, 0) == 0.0 && grid.get::<Scalar>(3, 2) == 11.0);
            grid.set::<Scalar>(2, 1, -1.0);
        }
        let grid = Grid::new::<Scalar>(&block, 2);
        // SAFETY: 4 columns of at least 2 registers.
        unsafe { assert!(grid.get::<Scalar>(2, 1) == -1.0 && grid.get::<Scalar>(1, 0) == 3.0) };
        assert_eq!(block.iter().filter(|&&x| x < 0.0).count(), 1);
    }

    #[test]
    #[should_panic(expected = "assertion")]
    fn short_columns_are_refused() {
        Grid::new::<Scalar>(&[0.0f32; 11], 3);
    }
}
