//! A filter's specification: JSON with arrays beside it. Everything is checked again here, for it may come from a file.

use serde::Deserialize;

use crate::belief::Belief;
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood};
use crate::field::{Arrays, Named};
use crate::guard::Guards;
use crate::model::{Model, Output};
use crate::robust::Robust;
use crate::rule::Rule;
use crate::sensitivity::{Influence, Sensitivity};

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
    /// How rows that are far off are weighed.
    #[serde(default)]
    pub robust: Option<Robust>,
    /// What is kept of ds/dtheta of a recurrent model.
    #[serde(default)]
    pub sensitivity: Option<Sensitivity>,
    /// Shape of its initial state.
    #[serde(default)]
    pub state: Option<Named>,
    /// Where that is unknown: the belief is about phi = (s_0, theta), with its prior and noise in whole.
    #[serde(default)]
    pub state_prior: Option<Named>,
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
        spec.check_robust()?;
        spec.check_recurrence()?;
        if spec.family.noise_scales(spec.model.outputs()) > 0 && !spec.rule.allows_learned_noise() {
            let expected = "a known noise variance with this rule";
            return Err(Error::Unsupported(fault("rule", expected, "a learned one")));
        }
        spec.unknowns()?;
        Ok(spec)
    }

    fn check_recurrence(&self) -> Result<(), Error> {
        let refuse = |name: &str, expected: &str, got: &str| {
            Err(Error::Unsupported(fault(name, expected, got)))
        };
        let descends = self.rule.descends();
        if descends != matches!(self.belief, Belief::Point(_)) {
            return refuse(
                "belief",
                "Point with gradient rules, and with no other",
                "another",
            );
        }
        let recurrent = self.model.state() != Some(0);
        if !recurrent {
            let given = self.sensitivity.is_some() || self.state.is_some();
            if given || self.state_prior.is_some() {
                return refuse("sensitivity", "None (the model has no state)", "one");
            }
            return Ok(());
        }
        let Some(sensitivity) = &self.sensitivity else {
            return refuse("sensitivity", "one, with a recurrent model", "None");
        };
        sensitivity.check()?;
        if self.iterations != Iterations::default() {
            return refuse("iterations", "1 with a recurrent model", "another");
        }
        if sensitivity.seed().is_some() && !descends {
            let expected = "a gradient rule: with a random ds~ the mean of ds~'ds~ is inflated, a Fisher matrix built from it is wrong";
            return refuse("sensitivity", expected, "UORO");
        }
        if self.state_prior.is_some() && (descends || self.rule.counts_rows()) {
            return refuse("state_prior", "None with this rule", "one");
        }
        Ok(())
    }

    /// (n, components of s_0 that are unknown, p); sizes that fit.
    pub fn unknowns(&self) -> Result<(usize, usize, usize), Error> {
        let p = self.parameters()?;
        let small = |n: &usize| *n <= MAX_PARAMETERS;
        let n = self.model.state().filter(small).ok_or_else(|| {
            let expected = format!("at most {MAX_PARAMETERS} components of the state");
            Error::Parameter(fault("model", expected, "more"))
        })?;
        Ok((n, if self.state_prior.is_some() { n } else { 0 }, p))
    }

    /// The initial state (n,).
    pub fn state_0<'a>(&self, n: usize, arrays: &'a Arrays) -> Result<&'a [f64], Error> {
        match &self.state {
            Some(named) => named.find("state", arrays, &[&[n]]),
            None => Err(Error::BadHeader(fault("state", "an array", "none"))),
        }
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

    fn check_robust(&self) -> Result<(), Error> {
        let Some(robust) = &self.robust else {
            return Ok(());
        };
        robust.check(&self.family)?;
        let refuse = |expected: &str| Err(Error::Unsupported(fault("robust", expected, "one")));
        if self.rule.descends() {
            return refuse("None with a gradient rule");
        }
        if self.iterations != Iterations::default() {
            return refuse("None with iterations");
        }
        Ok(())
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
