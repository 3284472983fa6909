//! Slices of NumPy arrays: the only unsafe code of the binding.
//!
//! Only exact arrays (no subclass) of a native dtype, C-contiguous and aligned, are looked into; borrow tracking is avoided, for it costs
//! more than a small step. Whatever a slice of a caller's array is used for must be over before Python code can run again: copy in first.
//! Rows of many inputs with variances alone are the exception: as NumPy's own loops they are read with the interpreter free, each number
//! once, and what was read is kept (kfng-core's linalg/sweep.rs), so that a thread that writes to the array changes which row is learned
//! from and nothing else.
#![allow(unsafe_code)]

use numpy::npyffi::{NPY_ARRAY_CARRAY_RO, PyArray_Descr};
use numpy::{
    Element, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods, dtype,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use kfng_core::scalar::Scalar;

use crate::leaving::calling;

/// A number type of arrays that is looked into.
pub trait Number: Element + Copy + Send + Sync + 'static {
    /// NumPy's name.
    const NAME: &'static str;
    /// Where the one native dtype object of this type is kept.
    fn cell() -> &'static PyOnceLock<Py<PyArrayDescr>>;
}

macro_rules! number {
    ($t:ty, $name:literal) => {
        impl Number for $t {
            const NAME: &'static str = $name;

            fn cell() -> &'static PyOnceLock<Py<PyArrayDescr>> {
                static CELL: PyOnceLock<Py<PyArrayDescr>> = PyOnceLock::new();
                &CELL
            }
        }
    };
}

number!(f64, "float64");
number!(f32, "float32");
number!(u8, "uint8");
number!(bool, "bool");
number!(i64, "int64");

fn native<T: Number>(py: Python<'_>) -> *mut PyArray_Descr {
    T::cell()
        .get_or_init(py, || dtype::<T>(py).unbind())
        .as_ptr()
        .cast()
}

/// The array behind an object, if it is exactly an array of native `T`, C-contiguous and aligned.
#[inline]
fn exact<'a, 'py, T: Number>(ob: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyUntypedArray>> {
    let array = ob.cast_exact::<PyUntypedArray>().ok()?;
    // SAFETY: the object is exactly a numpy.ndarray, so its fields are those of PyArrayObject, which NumPy keeps at a fixed place.
    let (descr, flags) = unsafe {
        let fields = numpy::npyffi::_PyArray_GET_ITEM_DATA(array.as_array_ptr().cast_const());
        ((*fields).descr, (*fields).flags)
    };
    let plain = flags & NPY_ARRAY_CARRAY_RO == NPY_ARRAY_CARRAY_RO;
    (plain && descr == native::<T>(ob.py())).then_some(array)
}

/// The numbers of an exact array of this shape. The caller must be done with them before Python code can run.
#[inline]
pub fn numbers<'a, T: Number + Scalar>(
    ob: &'a Bound<'_, PyAny>,
    shape: &[usize],
) -> Option<&'a [T]> {
    let array = exact::<T>(ob)?;
    if array.shape() != shape {
        return None;
    }
    Some(slice(array))
}

/// The numbers of an exact array of any shape, with the shape.
pub fn any_shape<'a, T: Number + Scalar>(
    ob: &'a Bound<'_, PyAny>,
) -> Option<(Vec<usize>, &'a [T])> {
    let array = exact::<T>(ob)?;
    Some((array.shape().to_vec(), slice(array)))
}

/// The truth values of an exact bool array (m,), copied.
pub fn flags(ob: &Bound<'_, PyAny>, m: usize) -> Option<Vec<bool>> {
    let array = exact::<bool>(ob)?;
    if array.shape() != [m] {
        return None;
    }
    // SAFETY: as in `slice`; read as bytes, since NumPy does not promise that a bool is 0 or 1.
    let bytes = unsafe { std::slice::from_raw_parts(data::<u8>(array), m) };
    Some(bytes.iter().map(|&x| x != 0).collect())
}

/// The integers of an exact int64 array (m,), copied.
pub fn integers(ob: &Bound<'_, PyAny>) -> Option<Vec<i64>> {
    let array = exact::<i64>(ob)?;
    if array.ndim() != 1 {
        return None;
    }
    // SAFETY: as in `slice`: native, aligned, contiguous integers, any bit pattern of which is valid.
    let found = unsafe { std::slice::from_raw_parts(data::<i64>(array), array.len()) };
    Some(found.to_vec())
}

/// The code points of an exact array (m,) of texts of one width, copied, with the width; shorter texts end with zeros.
pub fn texts(ob: &Bound<'_, PyAny>) -> Option<(usize, Vec<u32>)> {
    let array = ob.cast_exact::<PyUntypedArray>().ok()?;
    let descr = array.dtype();
    let native = descr.kind() == b'U' && descr.is_native_byteorder() != Some(false);
    // SAFETY: exactly an array, see `exact`.
    let flags = unsafe {
        (*numpy::npyffi::_PyArray_GET_ITEM_DATA(array.as_array_ptr().cast_const())).flags
    };
    let plain = flags & NPY_ARRAY_CARRAY_RO == NPY_ARRAY_CARRAY_RO;
    if !(native && plain && array.ndim() == 1) {
        return None;
    }
    let width = descr.itemsize() / size_of::<u32>();
    // SAFETY: NumPy keeps texts as UCS-4 of the item's size, here native, aligned and contiguous; any bit pattern is valid as an integer.
    let found = unsafe { std::slice::from_raw_parts(data::<u32>(array), array.len() * width) };
    Some((width, found.to_vec()))
}

#[inline]
fn slice<'a, T: Scalar>(array: &'a Bound<'_, PyUntypedArray>) -> &'a [T] {
    // SAFETY: `exact` has seen native, aligned, contiguous numbers of T, any bit pattern of which is valid; the array is alive as long as
    // the reference. NumPy's data pointer is never null.
    unsafe { std::slice::from_raw_parts(data::<T>(array), array.len()) }
}

#[inline]
fn data<T>(array: &Bound<'_, PyUntypedArray>) -> *const T {
    // SAFETY: exactly an array, see `exact`.
    unsafe {
        (*numpy::npyffi::_PyArray_GET_ITEM_DATA(array.as_array_ptr().cast_const()))
            .data
            .cast_const()
            .cast()
    }
}

/// An array of zeros that nobody else has seen yet.
pub struct Fresh<'py, T: Number>(Bound<'py, PyArrayDyn<T>>);

impl<'py, T: Number> Fresh<'py, T> {
    /// Made by NumPy, so that memory that cannot be had is a MemoryError.
    pub fn zeros(py: Python<'py>, shape: &[usize]) -> PyResult<Self> {
        static ZEROS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let _calling = calling(py);
        let zeros = ZEROS.get_or_try_init(py, || {
            PyResult::Ok(py.import("numpy")?.getattr("zeros")?.unbind())
        })?;
        let array = zeros
            .bind(py)
            .call1((PyTuple::new(py, shape)?, dtype::<T>(py)))?;
        Ok(Fresh(array.cast_into::<PyArrayDyn<T>>()?))
    }

    /// Its numbers.
    pub fn numbers(&mut self) -> &mut [T] {
        // SAFETY: the array was made by `zeros`, owns contiguous memory, and no other reference to it exists before `done`.
        unsafe { self.0.as_slice_mut() }.expect("a new array is contiguous")
    }

    /// Hands it over.
    pub fn done(self) -> Bound<'py, PyAny> {
        self.0.into_any()
    }

    /// Hands over the first rows.
    pub fn first(self, rows: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.0.py();
        let _calling = calling(py);
        let slice = pyo3::types::PySlice::new(py, 0, isize::try_from(rows)?, 1);
        self.0.get_item(slice)
    }
}
