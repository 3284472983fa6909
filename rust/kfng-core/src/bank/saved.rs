//! States of keys by named arrays with a leading axis of keys: what a checkpoint keeps. The names are those of a filter's state.

use super::{Bank, Key};
use crate::error::{Error, fault};
use crate::field::Arrays;
use crate::saved::COVERAGE;
use crate::scalar::Scalar;
use crate::state::{COVERED, NAMES, NOISE, State, downweighted};
use crate::turns::LOG_D;

/// An array of some keys' states: its name, the shape of one key's, where it is in a record, and whether it is of the filter's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Name.
    pub name: &'static str,
    /// Shape of one key's.
    pub shape: Vec<usize>,
    /// First number, among those of its type.
    pub at: usize,
    /// Whether it is of the filter's type; else float64.
    pub own: bool,
}

impl Section {
    /// Numbers of one key.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a key has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Scalar> Bank<T> {
    /// The sections of a key's state.
    pub fn sections(&self) -> Result<Vec<Section>, Error> {
        let filter = self.filter();
        let (p, m) = (self.sizes.p, self.sizes.scales);
        let outputs = filter.scale.as_ref().map_or(0, |scale| scale.k);
        let turns = self.plan.wide;
        filter
            .shapes(&|name| name == COVERAGE)?
            .into_iter()
            .map(|(name, shape, own)| {
                let at = match name {
                    "noise" => NOISE,
                    "y_stats" => NOISE + 2 * m,
                    "robust" => downweighted(self.plan.wide),
                    COVERAGE => COVERED,
                    "turn" => turns,
                    "turns" => turns + LOG_D,
                    "theta" => 0,
                    "D" | "V" | "m" => p,
                    "U" | "v" => 2 * p,
                    _ => NAMES
                        .iter()
                        .find(|(known, _)| *known == name)
                        .map(|(_, place)| place.start)
                        .ok_or_else(|| {
                            Error::Unsupported(fault("state", "sections that are known", name))
                        })?,
                };
                debug_assert!(name != "y_stats" || shape == [3, outputs]);
                Ok(Section {
                    name,
                    shape,
                    at,
                    own,
                })
            })
            .collect()
    }

    /// The numbers of a section that is not of the filter's type, key after key.
    pub fn wide_section(
        &mut self,
        section: &Section,
        slots: &[u32],
        out: &mut [f64],
    ) -> Result<(), Error> {
        self.check(slots)?;
        let len = section.len();
        for (&slot, out) in slots.iter().zip(out.chunks_exact_mut(len.max(1))) {
            out.copy_from_slice(&self.store.record(slot)[section.at..][..len]);
        }
        Ok(())
    }

    /// The numbers of a section of the filter's type, key after key.
    pub fn own_section(
        &mut self,
        section: &Section,
        slots: &[u32],
        out: &mut [T],
    ) -> Result<(), Error> {
        self.check(slots)?;
        let len = section.len();
        for (&slot, out) in slots.iter().zip(out.chunks_exact_mut(len.max(1))) {
            let own = self.plan.narrow::<T>(self.store.record(slot));
            out.copy_from_slice(&own[section.at..][..len]);
        }
        Ok(())
    }

    /// A key that is not there yet, in a state from arrays of unknown origin, with one of the bank's priors; on an error nothing has changed.
    ///
    /// `spare`: none for the first of many keys whose arrays have one shape; then it is kept for those that follow.
    pub fn append(
        &mut self,
        key: Key<'_>,
        prior: usize,
        arrays: &Arrays,
        spare: &mut Option<State<T>>,
    ) -> Result<u32, Error> {
        let hash = self.keys.hash(key);
        if prior >= self.fresh.len() || self.keys.find(key, hash).is_some() {
            let expected = "new keys, each once, with priors of the bank";
            return Err(Error::Parameter(fault("keys", expected, "others")));
        }
        let state = self.state_of(prior, arrays, spare)?;
        let slot = self.make_at(key, hash, prior)?;
        self.plan.pack(state, self.store.record_mut(slot));
        Ok(slot)
    }

    /// Puts a key that is there in another state, as `append`; on an error nothing has changed.
    pub fn replace(
        &mut self,
        slot: u32,
        arrays: &Arrays,
        spare: &mut Option<State<T>>,
    ) -> Result<(), Error> {
        self.check(&[slot])?;
        let state = self.state_of(self.keys.prior(slot), arrays, spare)?;
        self.plan.pack(state, self.store.record_mut(slot));
        Ok(())
    }

    /// The state that these arrays say.
    fn state_of<'a>(
        &self,
        prior: usize,
        arrays: &Arrays,
        spare: &'a mut Option<State<T>>,
    ) -> Result<&'a State<T>, Error> {
        let filter = &self.work[0].filters[prior];
        let state = match spare {
            Some(state) => state,
            None => spare.insert(filter.blank(arrays)?),
        };
        filter.read(arrays, state)?;
        Ok(state)
    }

    /// Names, shapes and whether of the filter's type, of the arrays that `append` needs, given which names there are.
    pub fn shapes(&self, has: &dyn Fn(&str) -> bool) -> Result<Vec<crate::saved::Wanted>, Error> {
        self.filter().shapes(has)
    }
}
