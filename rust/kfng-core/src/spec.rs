//! A filter's specification: JSON with arrays beside it. Everything is checked again here, for it may come from a file.

use serde::Deserialize;

use crate::belief::Belief;
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood};
use crate::field::{Arrays, Named};
use crate::guard::Guards;
use crate::model::{Model, Output};
use crate::rule::Rule;

const MAX_PARAMETERS: usize = 1 << 26;
/// A row keeps k x k numbers: 8192 outputs make half a gigabyte.
const MAX_OUTPUTS: usize = 1 << 13;

/// The number type of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// f64.
    Float64,
    /// f32.
    Float32,
}

/// How often a row is linearised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Iterations {
    /// So many times; 1 is the ordinary update.
    Number(u32),
    /// At the point it leads to.
    Word(Word),
}

/// The one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// One output of a linear model alone.
    Implicit,
}

impl Default for Iterations {
    fn default() -> Self {
        Iterations::Number(1)
    }
}

/// The components and constants of a filter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// z = h(u, theta).
    pub model: Model,
    /// The law of y given z.
    pub family: Family,
    /// Where uncertainty is kept.
    pub belief: Belief,
    /// How time and learning enter.
    pub rule: Rule,
    /// What bounds the unexpected.
    pub guards: Guards,
    /// Shape of theta_0.
    pub theta: Named,
    /// Whether log densities are summed.
    pub evidence: bool,
    /// Number type.
    pub dtype: Dtype,
    /// Threads asked for.
    pub num_threads: Option<u32>,
    /// Names of the inputs.
    pub feature_names: Option<Vec<String>>,
    /// Seed of the first theta.
    pub seed: u64,
    /// Linearisations of a row.
    #[serde(default)]
    pub iterations: Iterations,
}

impl Spec {
    /// Reads the JSON form and checks what needs no memory: settings, and that the sizes fit.
    pub fn parse(json: &str) -> Result<Self, Error> {
        let spec: Spec = serde_json::from_str(json)
            .map_err(|error| Error::BadHeader(fault("spec", "the settings of a filter", error)))?;
        spec.model.check()?;
        spec.rule.check()?;
        if spec.model.outputs() > MAX_OUTPUTS {
            let expected = format!("at most {MAX_OUTPUTS} outputs");
            return Err(Error::Parameter(fault(
                "model",
                expected,
                spec.model.outputs(),
            )));
        }
        if let Some(k) = spec.family.outputs_needed()
            && k != spec.model.outputs()
        {
            return Err(Error::Shape(fault(
                "family",
                format!("a model with {k} output(s)"),
                spec.model.outputs(),
            )));
        }
        spec.check_iterations()?;
        if spec.family.noise_scales(spec.model.outputs()) > 0 && !spec.rule.allows_learned_noise() {
            let expected = "a known noise variance with this rule";
            return Err(Error::Unsupported(fault("rule", expected, "a learned one")));
        }
        spec.parameters()?;
        Ok(spec)
    }

    fn check_iterations(&self) -> Result<(), Error> {
        let refuse = |expected: &str| {
            let got = format!("{:?}", self.iterations);
            Err(Error::Unsupported(fault("iterations", expected, got)))
        };
        match self.iterations {
            Iterations::Number(1) => Ok(()),
            Iterations::Number(0) => Err(Error::Parameter(fault("iterations", ">= 1", 0))),
            _ if !self.rule.has_posterior() => refuse("a rule with a posterior covariance"),
            Iterations::Number(_) if self.model.inputs().is_none() => {
                refuse("a model that can be linearised again")
            }
            Iterations::Word(_) if !self.model.linear() || self.model.outputs() != 1 => {
                refuse("a linear model of one output")
            }
            _ => Ok(()),
        }
    }

    /// p, where it is a size a filter can have.
    pub fn parameters(&self) -> Result<usize, Error> {
        let small = |p: &usize| *p <= MAX_PARAMETERS;
        let too_many = || {
            Error::Parameter(fault(
                "model",
                format!("at most {MAX_PARAMETERS} parameters"),
                "more",
            ))
        };
        self.model.parameters().filter(small).ok_or_else(too_many)
    }

    /// theta_0 (p,).
    pub fn theta_0<'a>(&self, arrays: &'a Arrays) -> Result<&'a [f64], Error> {
        self.theta.find("theta", arrays, &[&[self.parameters()?]])
    }
}
