//! Single numbers and named arrays of Python.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt};

use kfng_core::field::{Array, Arrays};

use crate::arrays::any_shape;
use crate::errors::raise;
use crate::leaving::calling;

/// A keyword argument, or its default. `None` is a value like any other, and a wrong one.
#[derive(Clone, Copy)]
pub enum Keyword<'a, 'py> {
    /// Not given.
    Default,
    /// Given.
    Value(Borrowed<'a, 'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Keyword<'a, 'py> {
    type Error = std::convert::Infallible;

    fn extract(ob: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Keyword::Value(ob))
    }
}

impl<'py> Keyword<'_, 'py> {
    /// As a number, where it plainly is one.
    #[inline]
    pub fn number(self, default: f64) -> Option<f64> {
        match self {
            Keyword::Default => Some(default),
            Keyword::Value(ob) => number(&ob),
        }
    }

    /// As an object for the rules of the border.
    pub fn object(self, py: Python<'py>, default: f64) -> Bound<'py, PyAny> {
        match self {
            Keyword::Default => PyFloat::new(py, default).into_any(),
            Keyword::Value(ob) => (*ob).clone(),
        }
    }
}

/// What the core is made from: the JSON form of some settings, and their arrays.
pub fn core_form(settings: &Bound<'_, PyAny>) -> PyResult<(String, Arrays)> {
    let _calling = calling(settings.py());
    let json = settings.call_method0("core_json")?.extract()?;
    let arrays = settings
        .call_method0("core_arrays")?
        .cast_into::<PyDict>()?;
    Ok((json, named_arrays(&arrays, "float64", |_| false)?))
}

/// A float (`numpy.float64` is one) or an int that NumPy takes for a number as a number; anything unusual is `None`.
#[inline]
pub fn number(ob: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(x) = ob.cast::<PyFloat>() {
        return Some(x.value());
    }
    let x: i64 = ob.cast_exact::<PyInt>().ok()?.extract().ok()?;
    Some(x as f64)
}

/// One of several numbers: a float, or an int that float64 holds exactly (NumPy rounds others in its own ways).
#[inline]
pub fn element(ob: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(x) = ob.cast::<PyFloat>() {
        return Some(x.value());
    }
    let x: i64 = ob.cast_exact::<PyInt>().ok()?.extract().ok()?;
    (x.unsigned_abs() <= 1 << 53).then_some(x as f64)
}

/// Named arrays as the core takes them; `narrow` says which must have the filter's dtype, the others are float64.
pub fn named_arrays(
    dict: &Bound<'_, PyDict>,
    float: &str,
    narrow: impl Fn(&str) -> bool,
) -> PyResult<Arrays> {
    let (py, mut arrays) = (dict.py(), Arrays::new());
    let _calling = calling(py);
    let contiguous = py.import("numpy")?.getattr("ascontiguousarray")?;
    for (key, value) in dict {
        let name: String = key.extract()?;
        let ob = contiguous.call1((&value,))?;
        let wide = any_shape::<f64>(&ob).map(|(shape, values)| (shape, widened(values), "float64"));
        let found = wide.or_else(|| {
            any_shape::<f32>(&ob).map(|(shape, values)| (shape, widened(values), "float32"))
        });
        let expected = if narrow(&name) { float } else { "float64" };
        match found {
            Some((mut shape, Some(values), dtype)) if dtype == expected => {
                if value.getattr("ndim")?.extract::<usize>()? == 0 {
                    shape.clear(); // ascontiguousarray makes a number (1,)
                }
                arrays.insert(name, Array { shape, values });
            }
            Some((_, None, _)) => {
                return Err(pyo3::exceptions::PyMemoryError::new_err("out of memory"));
            }
            _ => {
                let got = ob.getattr("dtype")?.str()?;
                return Err(raise(
                    py,
                    "BadValueError",
                    &name,
                    &format!("dtype {expected}"),
                    &got.to_string_lossy(),
                ));
            }
        }
    }
    Ok(arrays)
}

/// A copy in float64, unless memory runs out.
fn widened<T: kfng_core::scalar::Scalar>(values: &[T]) -> Option<Vec<f64>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(values.len()).ok()?;
    copy.extend(values.iter().map(|x| x.to_f64()));
    Some(copy)
}
