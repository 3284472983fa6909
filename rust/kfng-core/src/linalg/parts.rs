//! Rows of one array that several threads write, each row by one thread.
#![allow(unsafe_code)]

use std::marker::PhantomData;

/// What one thread may write of the rows (m, width) of an array: those whose owner it is.
#[derive(Debug)]
pub struct Part<'a, T> {
    at: *mut T,
    width: usize,
    owners: &'a [u8],
    me: u8,
    array: PhantomData<&'a mut [T]>,
}

// SAFETY: a part gives access to its own rows alone, as a mutable slice of them would.
unsafe impl<T: Send> Send for Part<'_, T> {}

/// Parts for the threads 0..threads of an array (m, width) whose row i belongs to thread `owners[i]`.
pub fn parts<'a, T>(
    array: &'a mut [T],
    width: usize,
    owners: &'a [u8],
    threads: usize,
) -> impl Iterator<Item = Part<'a, T>> {
    assert!(owners.len().checked_mul(width) == Some(array.len()));
    let at = array.as_mut_ptr();
    (0..threads).map_while(move |me| {
        Some(Part {
            at,
            width,
            owners,
            me: u8::try_from(me).ok()?,
            array: PhantomData,
        })
    })
}

impl<T> Part<'_, T> {
    /// Row i, (width,).
    #[inline]
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(self.owners[i] == self.me, "a row of another thread");
        // SAFETY: i < m, and m·width is the array's length; the array is borrowed as long as the parts live. Row i has one owner, there is
        // one part of each owner, and the part is borrowed while the row is.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(i * self.width), self.width) }
    }
}

/// Asks for the cache lines of numbers that are soon needed.
#[inline(always)]
pub fn prefetch<T>(x: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let mut line = x.as_ptr().cast::<i8>();
        for _ in 0..size_of_val(x).div_ceil(LINE) {
            // SAFETY: a hint, which touches nothing, of an address in the slice or within a line of its end.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
            line = line.wrapping_add(LINE);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = x;
}

#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::{parts, prefetch};

    #[test]
    fn every_row_is_written_by_its_owner() {
        let owners: Vec<u8> = (0..97u8).map(|i| i % 3).collect();
        let mut array = vec![0.0; 2 * owners.len()];
        prefetch(&array);
        std::thread::scope(|scope| {
            for (t, mut part) in parts(&mut array, 2, &owners, 3).enumerate() {
                let owners = &owners;
                scope.spawn(move || {
                    for i in (0..owners.len()).filter(|&i| usize::from(owners[i]) == t) {
                        part.row(i).fill(t as f64 + i as f64);
                    }
                });
            }
        });
        for (i, row) in array.chunks_exact(2).enumerate() {
            assert_eq!(row, [f64::from(owners[i]) + i as f64; 2]);
        }
    }

    #[test]
    #[should_panic(expected = "a row of another thread")]
    fn a_row_of_another_thread_is_refused() {
        let mut array = [0.0; 2];
        let mut all = parts(&mut array, 1, &[0, 1], 2);
        let _ = all.next().unwrap().row(1);
    }
}
