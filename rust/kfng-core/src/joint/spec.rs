//! The settings of a joint filter: JSON with arrays beside it, checked again here.

use serde::Deserialize;

use super::{State, Work};
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood};
use crate::field::{Array, Arrays, filled, product};
use crate::guard::Guards;
use crate::linalg::{self, Layout};
use crate::scalar::Scalar;
use crate::spec::Dtype;

const MAX_ENTRIES: usize = 32768;
const MAX_OUTPUTS: usize = 1 << 13;

/// Components and sizes; the numbers come as arrays.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The law of y given z.
    pub family: Family,
    /// Step clip and clamp are used.
    pub guards: Guards,
    /// Number type.
    pub dtype: Dtype,
    /// State entries.
    pub n: usize,
    /// Parameters.
    pub parameters: usize,
    /// Outputs.
    pub k: usize,
}

impl Spec {
    /// Reads the JSON form.
    pub fn parse(json: &str) -> Result<Self, Error> {
        let spec: Spec = serde_json::from_str(json)
            .map_err(|error| Error::BadHeader(fault("spec", "the settings of a filter", error)))?;
        spec.size()?;
        if !(1..=MAX_OUTPUTS).contains(&spec.k) {
            let expected = format!("1 to {MAX_OUTPUTS} outputs");
            return Err(Error::Parameter(fault("n_outputs", expected, spec.k)));
        }
        if spec.family.noise_scales(spec.k) > 0 {
            let expected = "a known noise variance beside a state";
            return Err(Error::Unsupported(fault(
                "family",
                expected,
                "a learned one",
            )));
        }
        if let Some(k) = spec.family.outputs_needed()
            && k != spec.k
        {
            return Err(Error::Shape(fault(
                "family",
                format!("{k} output(s)"),
                spec.k,
            )));
        }
        Ok(spec)
    }

    /// n + p.
    pub fn size(&self) -> Result<usize, Error> {
        let size = self.n.saturating_add(self.parameters);
        if self.n == 0 || size > MAX_ENTRIES {
            let expected = format!("a state, and at most {MAX_ENTRIES} entries");
            return Err(Error::Parameter(fault("model", expected, size)));
        }
        Ok(size)
    }

    /// Roots of the state's noise (n, n); variances (p,) or roots (r, p) of the parameters'.
    #[expect(clippy::type_complexity, reason = "three arrays")]
    pub(super) fn noises<T: Scalar>(
        &self,
        arrays: &Arrays,
    ) -> Result<(Vec<T>, Vec<T>, Vec<T>), Error> {
        let (n, p) = (self.n, self.parameters);
        let noise = of_type(find("state_noise", arrays, |s| s == [n, n])?)?;
        let found = find("parameter_noise", arrays, |s| {
            s == [p] || (s.len() == 2 && s[1] == p)
        })?;
        let values = of_type(found)?;
        Ok(if found.shape.len() == 2 {
            (noise, Vec::new(), values)
        } else {
            (noise, values, Vec::new())
        })
    }

    /// x_0 and P_0.
    pub(super) fn start<T: Scalar>(
        &self,
        arrays: &Arrays,
        layout: &Layout,
        to: &mut State<T>,
        work: &mut Work<T>,
    ) -> Result<(), Error> {
        let (n, p) = (self.n, self.parameters);
        let state = find("state", arrays, |s| s == [n])?;
        let theta = find("theta", arrays, |s| s == [p])?;
        for (to, &x) in
            to.x.iter_mut()
                .zip(state.values.iter().chain(&theta.values))
        {
            *to = T::of(x);
        }
        let prior = find("prior_variance", arrays, |s| s == [p] || s == [p, p])?;
        let own = Layout::new(p)?;
        let (mut u, mut d) = (filled(own.u_len())?, filled(own.d_len())?);
        let values: Vec<T> = of_type(prior)?;
        if prior.shape.len() == 2 {
            linalg::factor(&own, &values, &mut u, &mut d).map_err(|_| {
                let expected = "a positive definite matrix";
                Error::NotPositiveDefinite(fault("prior_variance", expected, "one that is not"))
            })?;
        } else {
            linalg::diagonal_prior(&own, &values, &mut u, &mut d);
        }
        for j in 0..p {
            to.d[n + j] = d[j];
            for i in 0..=j {
                to.u[layout.at(n + i, n + j)] = u[own.at(i, j)];
            }
        }
        let mut root = of_type(find("state_prior", arrays, |s| s == [n, n])?)?;
        let (ones, rest) = work.transition.split_at_mut(n);
        ones.fill(T::one());
        linalg::triangular(
            layout,
            n,
            &mut root,
            ones,
            (&mut to.u, &mut to.d),
            &mut rest[..n],
        );
        if !to.is_finite() || !to.d.iter().all(|&d| d >= T::zero()) {
            let expected = format!("finite numbers in {}", T::NAME);
            return Err(Error::NonFinite(fault(
                "state or prior",
                expected,
                "overflow",
            )));
        }
        Ok(())
    }
}

/// An array of the settings: there, of a right shape, and finite.
pub(super) fn find<'a>(
    name: &str,
    arrays: &'a Arrays,
    fits: impl Fn(&[usize]) -> bool,
) -> Result<&'a Array, Error> {
    let array = arrays
        .get(name)
        .ok_or_else(|| Error::BadHeader(fault(name, "an array", "none")))?;
    if !fits(&array.shape) || product(&array.shape)? != array.values.len() {
        let got = format!("{:?}", array.shape);
        return Err(Error::Shape(fault(name, "another shape", got)));
    }
    match array.values.iter().find(|x| !x.is_finite()) {
        Some(x) => Err(Error::NonFinite(fault(name, "finite numbers", x))),
        None => Ok(array),
    }
}

fn of_type<T: Scalar>(array: &Array) -> Result<Vec<T>, Error> {
    let mut made = filled(array.values.len())?;
    for (to, &x) in made.iter_mut().zip(&array.values) {
        *to = T::of(x);
    }
    Ok(made)
}
