//! Arrays of a specification or a saved state: named, with a shape, in float64.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, fault};
use crate::linalg::{AllocationError, Overflow};

/// One array, C-order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, as many as the shape says.
    pub values: Vec<f64>,
}

/// Arrays by dotted name, such as "belief.prior_variance".
pub type Arrays = BTreeMap<String, Array>;

/// What stands for an array in the JSON form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A number or an array.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// A number.
    Number(f64),
    /// The shape of an array.
    Array(Named),
}

impl Named {
    /// The array of that name: there, of the shape written and of one of the shapes allowed, and finite.
    pub fn find<'a>(
        &self,
        name: &str,
        arrays: &'a Arrays,
        allowed: &[&[usize]],
    ) -> Result<&'a [f64], Error> {
        if !allowed.contains(&&self.shape[..]) {
            return Err(Error::Shape(fault(
                name,
                format!("one of the shapes {allowed:?}"),
                format!("{:?}", self.shape),
            )));
        }
        let array = arrays
            .get(name)
            .ok_or_else(|| Error::BadHeader(fault(name, "an array", "none")))?;
        let size = self
            .shape
            .iter()
            .try_fold(1usize, |size, &length| size.checked_mul(length));
        if array.shape != self.shape || size != Some(array.values.len()) {
            return Err(Error::Shape(fault(
                name,
                format!("{:?}", self.shape),
                format!("{:?}", array.shape),
            )));
        }
        match array.values.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(Error::NonFinite(fault(name, "finite numbers", x))),
            None => Ok(&array.values),
        }
    }
}

/// A finite number > 0, or the error that says so.
pub(crate) fn positive(name: &str, x: f64) -> Result<f64, Error> {
    if x > 0.0 && x.is_finite() {
        Ok(x)
    } else {
        Err(Error::Parameter(fault(name, "a finite number > 0", x)))
    }
}

/// `len` default values, or an error instead of an abort when they cannot be had.
pub(crate) fn filled<X: Clone + Default>(len: usize) -> Result<Vec<X>, Error> {
    let bytes = len
        .checked_mul(size_of::<X>())
        .ok_or(Overflow)
        .map_err(AllocationError::from)?;
    let mut x = Vec::new();
    x.try_reserve_exact(len).map_err(|_| Error::Memory(bytes))?;
    x.resize(len, X::default());
    Ok(x)
}

/// One more in a list, or an error instead of an abort when there is no memory for it.
pub(crate) fn push<X>(list: &mut Vec<X>, x: X) -> Result<(), Error> {
    let bytes = list.len().saturating_mul(size_of::<X>());
    list.try_reserve(1).map_err(|_| Error::Memory(bytes))?;
    list.push(x);
    Ok(())
}

/// What an iterator gives, or an error instead of an abort when there is no memory for it.
pub(crate) fn listed<X>(items: impl Iterator<Item = X>) -> Result<Vec<X>, Error> {
    let mut list = Vec::new();
    for x in items {
        push(&mut list, x)?;
    }
    Ok(list)
}

/// A product of sizes, or the error of a size that does not fit.
pub(crate) fn product(sizes: &[usize]) -> Result<usize, Error> {
    sizes
        .iter()
        .try_fold(1usize, |size, &n| size.checked_mul(n))
        .ok_or(Error::Memory(usize::MAX))
}

impl From<AllocationError> for Error {
    fn from(error: AllocationError) -> Self {
        match error {
            AllocationError::OutOfMemory { bytes } => Error::Memory(bytes),
            AllocationError::Overflow(_) => Error::Memory(usize::MAX),
        }
    }
}

impl From<Overflow> for Error {
    fn from(_: Overflow) -> Self {
        Error::Memory(usize::MAX)
    }
}
