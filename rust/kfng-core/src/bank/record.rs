//! A filter's state as a record of numbers: what `State` keeps, without padding, without the ones of U.
//!
//! ```text
//! wide | turns | theta (p), the belief's numbers (for Full D (p), U column by column), as T
//! ```
//!
//! Source of the sections: `crate::state`.

use std::ops::Range;

use pulp::bytemuck;

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::field::listed;
use crate::filter::Filter;
use crate::linalg::INDEX_ORDER_MAX;
use crate::scalar::Scalar;
use crate::state::State;

const PAD: usize = INDEX_ORDER_MAX;
/// Where everything is, in records and in states.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of `wide`, then those of `turns`.
    pub wide: usize,
    pub turns: usize,
    /// Numbers of the filter's type.
    pub narrow: usize,
    /// Their places in the state's narrow section.
    told: Vec<Range<usize>>,
    /// Numbers in a record.
    pub words: usize,
}

impl Plan {
    /// For filters like this one, which has no hidden state.
    pub fn new<T: Scalar>(filter: &Filter<T>) -> Result<Self, Error> {
        let (p, padded) = (filter.sizes.p, filter.sizes.padded);
        let belief = filter.belief.told()?.into_iter();
        let belief = belief.map(|place| padded + place.start..padded + place.end);
        let told = listed(std::iter::once(0..p).chain(belief))?;
        let narrow = told.iter().map(Range::len).sum();
        let (wide, turns) = (filter.state.wide.len(), filter.state.turns.len());
        let bytes: usize = narrow * size_of::<T>();
        let words = wide + turns + bytes.div_ceil(8);
        Ok(Plan {
            wide,
            turns,
            narrow,
            told,
            words,
        })
    }

    /// The numbers of the filter's type.
    #[inline(always)]
    pub fn narrow<'a, T: Scalar>(&self, record: &'a [f64]) -> &'a [T] {
        let own = &record[self.wide + self.turns..self.words];
        &bytemuck::cast_slice::<f64, T>(own)[..self.narrow]
    }

    /// The numbers of the filter's type, to be written.
    #[inline(always)]
    pub fn narrow_mut<'a, T: Scalar>(&self, record: &'a mut [f64]) -> &'a mut [T] {
        let own = &mut record[self.wide + self.turns..self.words];
        &mut bytemuck::cast_slice_mut::<f64, T>(own)[..self.narrow]
    }

    /// The state of a record; padding and ones are there already.
    #[inline]
    pub fn unpack<T: Scalar>(&self, record: &[f64], state: &mut State<T>) {
        let (wide, rest) = record.split_at(self.wide);
        state.wide.copy_from_slice(wide);
        state.turns.copy_from_slice(&rest[..self.turns]);
        let mut own = self.narrow::<T>(record);
        for place in &self.told {
            let (part, rest) = own.split_at(place.len());
            state.narrow[place.clone()].copy_from_slice(part);
            own = rest;
        }
    }

    /// The record of a state.
    #[inline]
    pub fn pack<T: Scalar>(&self, state: &State<T>, record: &mut [f64]) {
        let (wide, rest) = record.split_at_mut(self.wide);
        wide.copy_from_slice(&state.wide);
        rest[..self.turns].copy_from_slice(&state.turns);
        let mut own = self.narrow_mut::<T>(record);
        for place in &self.told {
            let (part, rest) = own.split_at_mut(place.len());
            part.copy_from_slice(&state.narrow[place.clone()]);
            own = rest;
        }
    }

    /// The float64 numbers of a record, and those of the filter's type.
    #[inline(always)]
    pub fn parts<'a, T: Scalar>(&self, record: &'a [f64]) -> (&'a [f64], &'a [T]) {
        (&record[..self.wide], self.narrow(record))
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn open<'a, T: Scalar>(&self, record: &'a mut [f64]) -> (&'a mut [f64], &'a mut [T]) {
        let (wide, rest) = record.split_at_mut(self.wide);
        let own = &mut rest[self.turns..self.words - self.wide];
        (
            wide,
            &mut bytemuck::cast_slice_mut::<f64, T>(own)[..self.narrow],
        )
    }

    /// The same of a tile of n records that lies turned.
    #[inline(always)]
    pub fn turned<'a, T: Scalar>(
        &self,
        tile: &'a mut [f64],
        n: usize,
    ) -> (&'a mut [f64], &'a mut [T]) {
        let (wide, own) = tile.split_at_mut(n * self.wide);
        let own = bytemuck::cast_slice_mut::<f64, T>(own);
        (wide, &mut own[..n * self.narrow])
    }

    /// The narrow section of a small filter. Columns are copied whole, where that stays inside, and then cut: faster than so few numbers.
    #[inline(always)]
    pub fn spread<T: Scalar>(&self, own: &[T], narrow: &mut [T]) {
        let mut start = 0;
        for (i, to) in narrow.as_chunks_mut::<PAD>().0.iter_mut().enumerate() {
            let Some(length) = self.length(i) else {
                return;
            };
            if let Some(from) = own[start..].first_chunk::<PAD>() {
                for r in 0..PAD {
                    to[r] = if r < length { from[r] } else { T::zero() };
                }
                if i >= 2 {
                    to[length] = T::one();
                }
            } else {
                to[..length].copy_from_slice(&own[start..start + length]);
            }
            start += length;
        }
    }

    /// The inverse of `spread`: a column is written whole, and the next one over its padding.
    #[inline(always)]
    pub fn gather<T: Scalar>(&self, narrow: &[T], own: &mut [T]) {
        let mut start = 0;
        for (i, from) in narrow.as_chunks::<PAD>().0.iter().enumerate() {
            let Some(length) = self.length(i) else {
                return;
            };
            if let Some(to) = own[start..].first_chunk_mut::<PAD>() {
                *to = *from;
            } else {
                own[start..start + length].copy_from_slice(&from[..length]);
            }
            start += length;
        }
    }

    /// Numbers of theta, of D, and of column i - 2 of U.
    #[inline(always)]
    fn length(&self, i: usize) -> Option<usize> {
        let p = self.told[0].len();
        match i {
            0 | 1 => Some(p),
            _ => Some(i - 2).filter(|&j| j < p),
        }
    }
}
