//! What leads from the belief of some rows ago to the one of now: how a row that wrote its belief where it stood is taken back.
//!
//! A step that may be refused reads one belief and writes another, which is twice the memory. Afterwards the other buffer holds the
//! belief before the row, and the row's columns lead from there to here. As long as that is so the next rows may write in place while
//! their columns are noted. Fusing what is noted into the old belief gives back what stood there before a row, bit for bit, for a pass
//! does not depend on how columns are grouped. A full journal begins again, with a row from one buffer to the other.

use crate::error::Error;
use crate::field::{filled, product};
use crate::linalg::{Aligned, Columns};
use crate::scalar::Scalar;
use crate::state::Stamp;

/// Columns in a journal: one for so many parameters, so that it is small beside U, within these bounds.
const EACH: usize = 8;
const FEWEST: usize = 16;
const MOST: usize = 128;

/// Where the columns of a step were fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the belief itself: taken back by the journal.
    Here,
    /// From `state` to `next`.
    Across,
    /// In `next`, and not so that the journal could repeat it: the time step had written there before, or the columns are shared.
    Within,
}

/// The columns fused since the belief that is stamped `from` was the filter's; they lead to the one stamped `to`.
#[derive(Debug)]
pub struct Journal<T> {
    /// (room, padded)
    h: Aligned<T>,
    /// Weight, decay and start of each.
    settings: Vec<(T, T, usize)>,
    len: usize,
    padded: usize,
    link: Option<(Stamp, Stamp)>,
}

impl<T: Scalar> Journal<T> {
    /// For columns of this length; nothing allocates after this.
    pub fn new(padded: usize) -> Result<Self, Error> {
        let room = (padded / EACH).clamp(FEWEST, MOST);
        Ok(Journal {
            h: Aligned::zeros(product(&[room, padded])?)?,
            settings: filled(room)?,
            len: 0,
            padded,
            link: None,
        })
    }

    /// The same memory for another belief whose columns are as long.
    pub fn forget(&mut self) {
        (self.len, self.link) = (0, None);
    }

    /// Whether a row of so many columns can write in place: what leads from `from` to `to` is known, and there is room for the row.
    #[inline]
    pub fn takes(&self, columns: usize, from: Stamp, to: Stamp) -> bool {
        let room = self.settings.len();
        self.link == Some((from, to)) && columns <= room / 3 && self.len + columns <= room
    }

    /// Begins with a row that led from `from` to `to`; one of many columns is not worth it.
    pub fn begin(&mut self, columns: &Columns<T>, from: Stamp, to: Stamp) {
        (self.len, self.link) = (0, None);
        if columns.len() <= self.settings.len() / 3 {
            self.note(columns, from, to);
        }
    }

    /// A row that was fused into what was there.
    pub fn note(&mut self, columns: &Columns<T>, from: Stamp, to: Stamp) {
        for i in 0..columns.len() {
            let place = self.len * self.padded..(self.len + 1) * self.padded;
            self.h[place].copy_from_slice(columns.h(i));
            self.settings[self.len] = (columns.weight(i), columns.decay(i), columns.start(i));
            self.len += 1;
        }
        self.link = Some((from, to));
    }

    /// Puts the columns from `first` on into `columns`, as many as there is room for; the first of those left.
    pub fn recall(&self, first: usize, columns: &mut Columns<T>) -> usize {
        columns.clear();
        let end = self.len.min(first + columns.capacity());
        for i in first..end {
            let (weight, decay, start) = self.settings[i];
            let h = columns.push(weight, decay, start);
            h.copy_from_slice(&self.h[i * self.padded..(i + 1) * self.padded]);
        }
        end
    }

    /// Whether columns are left from `first` on.
    pub fn has(&self, first: usize) -> bool {
        first < self.len
    }

    /// Changes one number, for a test.
    #[cfg(test)]
    pub fn disturb(&mut self) {
        self.h[0] += T::one();
    }
}
