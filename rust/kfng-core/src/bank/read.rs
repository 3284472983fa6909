//! What can be read of keys: predictions, means, variances, noise.

use super::Bank;
use crate::belief::Uncertainty;
use crate::error::{Error, fault};
use crate::filter::Filter;
use crate::linalg::Aligned;
use crate::scalar::Scalar;
use crate::state::SKIPPED;

impl<T: Scalar> Bank<T> {
    /// The workspace with the state of a key, or, without one, of a key that starts.
    fn state(&mut self, slot: Option<u32>) -> &mut Filter<T> {
        let (prior, record) = match slot {
            Some(slot) => (self.keys.prior(slot), self.store.record(slot)),
            None => (self.fresh.len() - 1, &self.fresh[self.fresh.len() - 1][..]),
        };
        let filter = &mut self.work[0].filters[prior];
        self.plan.unpack(record, &mut filter.state);
        filter
    }

    fn known(&self, slots: &[Option<u32>]) -> Result<(), Error> {
        if slots.iter().flatten().all(|&slot| self.keys.lives(slot)) {
            return Ok(());
        }
        let expected = "keys of the bank";
        Err(Error::Parameter(fault("keys", expected, "others")))
    }

    /// z (n, k) and C (n, k, k) of rows u (n, d) at the present time, with the noise a, b (n, scales); nothing changes. `None` starts at the newest prior.
    pub fn predict(
        &mut self,
        slots: &[Option<u32>],
        u: &[T],
        offset: &[f64],
        [z, c, a, b]: [&mut [f64]; 4],
    ) -> Result<(), Error> {
        self.known(slots)?;
        let (n, sizes) = (slots.len(), self.sizes);
        let (d, k, m) = (sizes.d, sizes.k, sizes.scales);
        let fits = u.len() == n * d
            && offset.len() == n * k
            && z.len() == n * k
            && c.len() == n * k * k
            && [a.len(), b.len()] == [n * m; 2];
        if !fits {
            let expected = "rows of inputs, with an offset each";
            return Err(Error::Shape(fault("U", expected, "others")));
        }
        for (i, &slot) in slots.iter().enumerate() {
            let filter = self.state(slot);
            filter.predict(
                &u[i * d..(i + 1) * d],
                &offset[i * k..(i + 1) * k],
                &mut z[i * k..(i + 1) * k],
                &mut c[i * k * k..(i + 1) * k * k],
            )?;
            filter.noise(&mut a[i * m..(i + 1) * m], &mut b[i * m..(i + 1) * m]);
        }
        Ok(())
    }

    /// a and b (n, scales) of the learned noise variances as reported now.
    pub fn noise(
        &mut self,
        slots: &[Option<u32>],
        a: &mut [f64],
        b: &mut [f64],
    ) -> Result<(), Error> {
        self.known(slots)?;
        let m = self.sizes.scales;
        if m > 0 {
            let rows = a.chunks_exact_mut(m).zip(b.chunks_exact_mut(m));
            for (&slot, (a, b)) in slots.iter().zip(rows) {
                self.state(slot).noise(a, b);
            }
        }
        Ok(())
    }

    /// theta (n, p).
    pub fn theta(&mut self, slots: &[Option<u32>], out: &mut [T]) -> Result<(), Error> {
        self.known(slots)?;
        let p = self.sizes.p;
        let newest = &self.fresh[self.fresh.len() - 1];
        let store = &mut self.store;
        for (&slot, out) in slots.iter().zip(out.chunks_exact_mut(p)) {
            let record = slot.map_or(&newest[..], |slot| store.record(slot));
            out.copy_from_slice(&self.plan.narrow(record)[..p]);
        }
        Ok(())
    }

    /// The diagonal of P as the belief keeps it, in float64 as that of `Filter::covariance`, (n, p).
    pub fn variances(&mut self, slots: &[Option<u32>], out: &mut [f64]) -> Result<(), Error> {
        self.known(slots)?;
        let p = self.sizes.p;
        let mut wide = Aligned::<f64>::zeros(self.filter().belief.size())?;
        let mut diagonal = Aligned::<f64>::zeros(self.sizes.padded)?;
        for (&slot, out) in slots.iter().zip(out.chunks_exact_mut(p)) {
            let filter = self.state(slot);
            for (to, x) in wide.iter_mut().zip(filter.state.belief()) {
                *to = x.to_f64();
            }
            filter.belief.diagonal(&wide[..], &mut diagonal[..]);
            out.copy_from_slice(&diagonal[..p]);
        }
        Ok(())
    }

    /// Counts rows that were refused before they came here; no time passes.
    pub fn refuse(&mut self, slots: &[u32]) -> Result<(), Error> {
        self.check(slots)?;
        for &slot in slots {
            self.store.record_mut(slot)[SKIPPED] += 1.0;
        }
        Ok(())
    }
}
