//! A buffer on a cache line.

use std::ops::{Deref, DerefMut};

use super::{AllocationError, Overflow};
use crate::scalar::Scalar;

/// Cache line and widest register, in bytes.
const LINE: usize = 64;
/// From so many bytes on large pages are asked for: a pass over more than the 8 MB that small ones reach waits for their table.
const LARGE: usize = 4 << 20;

/// A zeroed buffer that starts on a 64-byte line: unaligned columns cost a fifth to a third of the speed from p = 500 up.
#[derive(Debug)]
pub struct Aligned<T> {
    // Longer than `len` by one line, so that a line starts somewhere in its head; the heap block does not move with the struct.
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Scalar> Aligned<T> {
    /// `len` zeros, or an error instead of an abort when they cannot be had.
    pub fn zeros(len: usize) -> Result<Self, AllocationError> {
        let spare = LINE / size_of::<T>();
        let total = len.checked_add(spare).ok_or(Overflow)?;
        let bytes = total
            .checked_mul(size_of::<T>())
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(Overflow)?;
        let mut buffer = Vec::new();
        buffer
            .try_reserve_exact(total)
            .map_err(|_| AllocationError::OutOfMemory { bytes })?;
        if bytes >= LARGE {
            prefer_large_pages(buffer.spare_capacity_mut());
        }
        buffer.resize(total, T::zero());
        // An allocator aligns to the element at least, so the offset is a whole number of elements.
        let start = buffer.as_ptr().align_offset(LINE).min(spare);
        Ok(Aligned { buffer, start, len })
    }

    /// Room to become `front` longer before and `back` longer behind; returns how many numbers had to move for that.
    ///
    /// They move to a buffer with half as much again behind and `spare` before: whoever grows by little and little moves a few times
    /// what there is in the end. On an error nothing has changed.
    pub fn reserve(
        &mut self,
        front: usize,
        back: usize,
        spare: usize,
    ) -> Result<usize, AllocationError> {
        let end = self.start + self.len;
        if front <= self.start && back <= self.buffer.len() - end {
            return Ok(0);
        }
        let before = spare.max(front).next_multiple_of(LINE / size_of::<T>());
        let behind = back.max(self.len / 2);
        let total = before.checked_add(self.len);
        let total = total.and_then(|n| n.checked_add(behind)).ok_or(Overflow)?;
        let mut larger = Self::zeros(total)?;
        larger[before..before + self.len].copy_from_slice(self);
        (larger.start, larger.len) = (larger.start + before, self.len);
        *self = larger;
        Ok(self.len)
    }

    /// `front` longer before and `back` longer behind, or shorter where that is negative: whole lines before, and no more than there is
    /// room for. What is new is zero.
    pub fn resize(&mut self, front: isize, back: isize) {
        assert!(front.unsigned_abs().is_multiple_of(LINE / size_of::<T>()));
        let end = self.start + self.len;
        let fits = "room for it is reserved";
        let new_start = self.start.checked_add_signed(-front).expect(fits);
        let new_end = end.checked_add_signed(back).expect(fits);
        for gone in [self.start..new_start, new_end..end] {
            if gone.start < gone.end {
                self.buffer[gone].fill(T::zero());
            }
        }
        assert!(new_start <= new_end && new_end <= self.buffer.len());
        (self.start, self.len) = (new_start, new_end - new_start);
    }

    /// A copy on a line of its own.
    pub fn try_clone(&self) -> Result<Self, AllocationError> {
        let mut copy = Self::zeros(self.len)?;
        copy.copy_from_slice(self);
        Ok(copy)
    }
}

/// Asks Linux for pages of 2 MB, before memory is touched. A wish: nothing depends on the answer, and other systems are not asked.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a system call")]
fn prefer_large_pages<T>(memory: &mut [std::mem::MaybeUninit<T>]) {
    const PAGE: usize = 4096;
    let bytes = size_of_val(memory);
    let at = memory.as_mut_ptr().cast::<u8>();
    let skip = at.align_offset(PAGE);
    if skip < bytes {
        // SAFETY: the advice is about pages that begin within the slice, whose memory is ours, and changes no content; where a page size
        // is another the call is refused.
        unsafe { libc::madvise(at.add(skip).cast(), bytes - skip, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn prefer_large_pages<T>(_: &mut [std::mem::MaybeUninit<T>]) {}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.buffer[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::{Aligned, AllocationError, LINE, Overflow};

    #[test]
    fn starts_on_a_line_and_is_zero() {
        for len in [0, 1, 7, 16, 1000] {
            let (a, b) = (
                Aligned::<f64>::zeros(len).unwrap(),
                Aligned::<f32>::zeros(len).unwrap(),
            );
            assert!(
                a.as_ptr().addr().is_multiple_of(LINE) && b.as_ptr().addr().is_multiple_of(LINE)
            );
            assert!(
                a.len() == len
                    && a.iter().all(|&x| x == 0.0)
                    && b.len() == len
                    && b.iter().all(|&x| x == 0.0)
            );
        }
    }

    #[test]
    fn a_buffer_that_prefers_large_pages_is_as_any_other() {
        let mut a = Aligned::<f32>::zeros(super::LARGE / 4 + 5).unwrap();
        assert!(a.as_ptr().addr().is_multiple_of(LINE) && a.iter().all(|&x| x == 0.0));
        let last = a.len() - 1;
        (a[0], a[last]) = (1.0, 2.0);
        assert!(a.iter().sum::<f32>() == 3.0);
    }

    #[test]
    fn a_copy_is_equal_and_aligned() {
        let mut a = Aligned::<f32>::zeros(5).unwrap();
        a[3] = 2.0;
        let b = a.try_clone().unwrap();
        assert!(
            b[..] == a[..] && b.as_ptr().addr().is_multiple_of(LINE) && b.as_ptr() != a.as_ptr()
        );
    }

    #[test]
    fn resized_it_keeps_its_numbers_and_is_zero_around_them() {
        let mut a = Aligned::<f64>::zeros(16).unwrap();
        a.iter_mut().zip(1..).for_each(|(x, i)| *x = f64::from(i));
        let numbers = a.to_vec();
        let (mut moved, mut before) = (0, 0);
        for step in 1..=200 {
            let front = if step % 4 == 0 { 8 } else { 0 };
            moved += a.reserve(front, 3, 64).unwrap();
            a.resize(front.cast_signed(), 3);
            before += front;
            assert!(a.as_ptr().addr().is_multiple_of(LINE) && a.len() == 16 + before + 3 * step);
            assert!(a[before..before + 16] == numbers);
            assert!(a.iter().sum::<f64>() == 136.0);
        }
        assert!(moved < 6 * a.len(), "{moved} numbers of {}", a.len());
        a.resize(-before.cast_signed() - 8, -600);
        assert!(a[..] == numbers[8..]);
        a.resize(8, 40);
        assert!(a[..8].iter().chain(&a[16..]).all(|&x| x == 0.0) && a[8..16] == numbers[8..]);
        assert!(a.reserve(0, usize::MAX / 8, 0).is_err() && a.len() == 56);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert_eq!(
            Aligned::<f64>::zeros(usize::MAX).unwrap_err(),
            AllocationError::Overflow(Overflow)
        );
        assert_eq!(
            Aligned::<f64>::zeros(usize::MAX / 8).unwrap_err(),
            AllocationError::Overflow(Overflow)
        );
        // In the black box, for a buffer that nobody looks at is not asked for.
        let huge = std::hint::black_box(Aligned::<f64>::zeros(usize::MAX / 32));
        assert!(matches!(huge, Err(AllocationError::OutOfMemory { .. })));
    }
}
