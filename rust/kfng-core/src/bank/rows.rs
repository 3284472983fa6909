//! What threads need to share the rows of a call: who takes which, where it is reported, and how it is undone.

use super::lanes::Chains;
use super::slab::{Slab, Tiles};
use crate::error::Error;
use crate::field::listed;
use crate::linalg::parts::{Part, parts};
use crate::row::Report;

const BITS: usize = u64::BITS as usize;

/// Room for so many more.
#[inline(always)]
pub(super) fn room<X>(list: &mut Vec<X>, more: usize) -> Result<(), Error> {
    list.try_reserve(more)
        .map_err(|_| Error::Memory(more.saturating_mul(size_of::<X>())))
}

/// Records as they were before a piece.
#[derive(Debug, Default)]
pub struct Undo {
    slots: Vec<u32>,
    records: Vec<f64>,
    /// A bit of each slot: whether its record is kept.
    kept: Vec<u64>,
}

impl Undo {
    /// Nothing is kept, of so many slots.
    pub fn clear(&mut self, slots: usize) -> Result<(), Error> {
        for slot in self.slots.drain(..) {
            self.kept[slot as usize / BITS] = 0;
        }
        self.records.clear();
        let words = slots.div_ceil(BITS);
        let more = words.saturating_sub(self.kept.len());
        room(&mut self.kept, more)?;
        self.kept.resize(words, 0);
        Ok(())
    }

    /// Keeps a record, the first time that it is asked to; on an error it is not kept.
    #[inline(always)]
    pub fn keep(&mut self, slot: u32, record: &[f64]) -> Result<(), Error> {
        let (bits, bit) = (
            &mut self.kept[slot as usize / BITS],
            1 << (slot as usize % BITS),
        );
        if *bits & bit == 0 {
            room(&mut self.slots, 1)?;
            room(&mut self.records, record.len())?;
            *bits |= bit;
            self.slots.push(slot);
            self.records.extend_from_slice(record);
        }
        Ok(())
    }

    /// Puts all back.
    pub fn restore(&self, slab: &mut Slab) {
        for (&slot, record) in self
            .slots
            .iter()
            .zip(self.records.chunks_exact(slab.words()))
        {
            slab.get_mut(slot).copy_from_slice(record);
        }
    }
}

/// What one thread has of a piece.
#[derive(Debug, Default)]
pub struct Mine {
    /// Its rows, in order.
    pub order: Vec<u32>,
    /// The same, key by key.
    pub chains: Chains,
    /// What it keeps of records before it changes them.
    pub undo: Undo,
}

/// Kept from call to call.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Of the rows of a piece, the thread.
    owners: Vec<u8>,
    threads: Vec<Mine>,
}

impl Scratch {
    /// For so many threads.
    pub fn prepare(&mut self, threads: usize) -> Result<(), Error> {
        let more = threads.saturating_sub(self.threads.len());
        room(&mut self.threads, more)?;
        self.threads.resize_with(threads, Mine::default);
        Ok(())
    }

    /// For the rows of these slots, of so many that there are; `often`: key by key, perhaps.
    pub fn begin(
        &mut self,
        slots: &[u32],
        all: usize,
        tiles: Tiles,
        often: bool,
    ) -> Result<(), Error> {
        let (m, threads) = (slots.len(), self.threads.len());
        self.owners.clear();
        room(&mut self.owners, m)?;
        if threads == 1 {
            self.owners.resize(m, 0);
        } else {
            let owners = slots.iter().map(|&slot| tiles.owner(slot, threads));
            self.owners.extend(owners);
        }
        for mine in &mut self.threads {
            mine.order.clear();
            room(&mut mine.order, m)?;
            if often {
                mine.chains.room(m, all)?;
            }
            mine.undo.clear(all)?;
        }
        Ok(())
    }

    /// The thread of each row, and what each thread has.
    pub fn parts(&mut self) -> (&[u8], &mut [Mine]) {
        (&self.owners, &mut self.threads)
    }

    /// What the threads have kept.
    pub fn undos(&self) -> impl Iterator<Item = &Undo> {
        self.threads.iter().map(|mine| &mine.undo)
    }
}

/// Where one thread reports its rows.
#[derive(Debug)]
pub struct Rows<'a> {
    z: Part<'a, f64>,
    c: Part<'a, f64>,
    a: Part<'a, f64>,
    b: Part<'a, f64>,
    flags: Part<'a, u8>,
    trust: Part<'a, f64>,
}

impl<'a> Rows<'a> {
    /// For each thread the rows it owns.
    pub fn parts(
        report: &'a mut Report<'_>,
        k: usize,
        scales: usize,
        owners: &'a [u8],
        threads: usize,
    ) -> Result<Vec<Rows<'a>>, Error> {
        let z = parts(&mut *report.z, k, owners, threads);
        let c = parts(&mut *report.c, k * k, owners, threads);
        let a = parts(&mut *report.a, scales, owners, threads);
        let b = parts(&mut *report.b, scales, owners, threads);
        let flags = parts(&mut *report.flags, 1, owners, threads);
        let weighs = usize::from(!report.trust.is_empty());
        let trust = parts(&mut *report.trust, weighs, owners, threads);
        let all = z.zip(c).zip(a.zip(b)).zip(flags.zip(trust));
        listed(all.map(|(((z, c), (a, b)), (flags, trust))| Rows {
            z,
            c,
            a,
            b,
            flags,
            trust,
        }))
    }

    /// Of row i.
    #[inline]
    pub fn report(&mut self, i: usize) -> Report<'_> {
        Report {
            z: self.z.row(i),
            c: self.c.row(i),
            a: self.a.row(i),
            b: self.b.row(i),
            flags: self.flags.row(i),
            trust: self.trust.row(i),
        }
    }
}
