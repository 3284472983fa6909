//! A belief in other coordinates of its inputs.

use pyo3::prelude::*;

use crate::arrays::{Fresh, any_shape, numbers};
use crate::errors::raise;

/// U and D of P' = A P A': see kfng-core's linalg/units.rs.
#[pyfunction]
#[pyo3(name = "_change_units")]
#[expect(non_snake_case, reason = "the names of the mathematics")]
pub fn change_units<'py>(
    py: Python<'py>,
    U: &Bound<'py, PyAny>,
    D: &Bound<'py, PyAny>,
    scale: &Bound<'py, PyAny>,
    center: &Bound<'py, PyAny>,
    units: usize,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let bad = || raise(py, "ShapeError", "U", "U and D of a state", "others");
    let (p, n) = (D.len()?, scale.len()?);
    let own = n.saturating_add(1).saturating_mul(units);
    let found = any_shape::<f64>(center).ok_or_else(bad)?;
    let shifted = found.1.iter().any(|&x| x != 0.0);
    if found.0 != [n] || n.saturating_mul(units) > p || (shifted && own > p) {
        return Err(bad());
    }
    let (mut u, mut d) = (
        Fresh::<f64>::zeros(py, &[p * p.saturating_sub(1) / 2])?,
        Fresh::<f64>::zeros(py, &[p])?,
    );
    let (to_u, to_d) = (u.numbers(), d.numbers());
    to_u.copy_from_slice(numbers::<f64>(U, &[to_u.len()]).ok_or_else(bad)?);
    to_d.copy_from_slice(numbers::<f64>(D, &[p]).ok_or_else(bad)?);
    let scale = numbers::<f64>(scale, &[n]).ok_or_else(bad)?.to_vec();
    let center = numbers::<f64>(center, &[n]).ok_or_else(bad)?.to_vec();
    py.detach(|| {
        let mut work = vec![0.0; 2 * p];
        kfng_core::linalg::change_units(to_u, to_d, (&scale, &center), units, &mut work);
    });
    Ok((u.done(), d.done()))
}
