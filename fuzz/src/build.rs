//! A filter from bytes: any combination of components, with settings that are mostly ordinary.

use kfng_core::error::Error;
use kfng_core::field::{Array, Arrays, Named};
use kfng_core::model::Output;
use kfng_core::scalar::Scalar;
use kfng_core::{Filter, Spec};

use super::bytes::Bytes;

/// Larger filters only make the fuzzer slow.
const MOST: usize = 300;

/// What a filter is made of.
pub struct Recipe {
    pub spec: Spec,
    pub arrays: Arrays,
}

impl Recipe {
    pub fn filter<T: Scalar>(&self) -> Result<Filter<T>, Error> {
        Filter::new(self.spec.clone(), &self.arrays)
    }

    pub fn robust(&self) -> bool {
        self.spec.robust.is_some()
    }

    /// The components as the bytes say; `None` where they are refused or too large.
    pub fn read<T: Scalar>(bytes: &mut Bytes<'_>) -> Option<Recipe> {
        let (family, k) = family(bytes);
        let model = model(bytes, k);
        let (rule, descends) = rule(bytes);
        let belief = belief(bytes, descends);
        let recurrent =
            !(model.contains("Linear\"") || model.contains("MLP") || model.contains("External\""));
        let extra = extra(bytes, recurrent, family.contains("\"Gaussian\""));
        let evidence = bytes.pick(2) == 0;
        let guards = guards(bytes);
        let json = |p: usize| {
            format!(
                r#"{{"model":{model},"family":{},"belief":{},"rule":{},{guards},"theta":{{"shape":[{p}]}},"evidence":{evidence},
                "dtype":"{}","num_threads":null,"feature_names":null,"seed":0{extra}}}"#,
                family.replace("@K", &k.to_string()),
                belief.replace("@P", &p.to_string()),
                rule.replace("@P", &p.to_string()),
                T::NAME
            )
        };
        let (n, free, p) = Spec::parse(&json(0)).ok()?.unknowns().ok()?;
        if p == 0 || free + p > MOST || n > MOST {
            return None;
        }
        let mut spec = Spec::parse(&json(free + p)).ok()?;
        spec.theta = Named { shape: vec![p] };
        spec.state = spec.state.map(|_| Named { shape: vec![n] });
        spec.state_prior = spec.state_prior.map(|_| Named { shape: vec![n, n] });
        let arrays = arrays(bytes, &spec, (n, free + p, p));
        Some(Recipe { spec, arrays })
    }
}

/// Its JSON, and the outputs that it wants; @K is their number.
fn family(bytes: &mut Bytes<'_>) -> (String, usize) {
    let gaussian = |variance: &str, covariance: &str, bytes: &mut Bytes<'_>| {
        let (dof, scale) = (bytes.one_of(&["3.0", "2.5", "1e6"]), bytes.setting());
        format!(
            r#"{{"kind":"Gaussian","variance":{variance},"covariance":{covariance},"prior_dof":{dof},"prior_scale":{scale}}}"#
        )
    };
    let k = bytes.one_of(&[1, 1, 1, 2, 3]);
    match bytes.pick(14) {
        0 | 1 => {
            let variance = bytes.setting();
            (gaussian(&variance, "null", bytes), k)
        }
        2 | 3 => (gaussian("null", "null", bytes), k),
        4 => (gaussian(r#""each""#, "null", bytes), k),
        5 => (gaussian("1.0", r#"{"shape":[@K,@K]}"#, bytes), k.max(2)),
        6 => (r#"{"kind":"GaussianMeanVariance"}"#.into(), 2),
        7 => (r#"{"kind":"Bernoulli"}"#.into(), 1),
        8 => {
            let trials = bytes.one_of(&["null", "1", "7", "1000000000000"]);
            (format!(r#"{{"kind":"Binomial","trials":{trials}}}"#), 1)
        }
        9 => (r#"{"kind":"Categorical","n_classes":@K}"#.into(), k.max(2)),
        10 | 11 => (r#"{"kind":"Poisson"}"#.into(), 1),
        12 => (
            format!(
                r#"{{"kind":"NegativeBinomial","dispersion":{}}}"#,
                bytes.setting()
            ),
            1,
        ),
        _ => (
            format!(r#"{{"kind":"Gamma","shape":{}}}"#, bytes.setting()),
            1,
        ),
    }
}

fn model(bytes: &mut Bytes<'_>, k: usize) -> String {
    let intercept = bytes.pick(2) == 0;
    let d = bytes.one_of(&[1, 2, 3, 5, 8, 15, 16, 17, 33, 40]);
    let activation = bytes.one_of(&["tanh", "relu"]);
    let frame = format!(
        r#""n_inputs":2,"n_units":2,"n_outputs":{k},"input_center":null,"input_scale":null"#
    );
    match bytes.pick(16) {
        0..=8 => format!(
            r#"{{"kind":"Linear","n_features":{d},"n_outputs":{k},"intercept":{intercept}}}"#
        ),
        9 => format!(r#"{{"kind":"MLP","layers":[3,4,{k}],"activation":"{activation}"}}"#),
        10 => format!(r#"{{"kind":"External","n_params":{d},"n_outputs":{k}}}"#),
        11 => format!(r#"{{"kind":"RNN",{frame},"activation":"tanh","mask":null}}"#),
        12 => format!(r#"{{"kind":"GRU",{frame}}}"#),
        13 => format!(r#"{{"kind":"LSTM",{frame}}}"#),
        14 => format!(r#"{{"kind":"LinearStateSpace",{frame}}}"#),
        _ => format!(r#"{{"kind":"LRU",{frame}}}"#),
    }
}

/// Its JSON, and whether it follows the gradient.
fn rule(bytes: &mut Bytes<'_>) -> (String, bool) {
    let rate = |bytes: &mut Bytes<'_>| match bytes.pick(4) {
        0 => format!(
            r#"{{"kind":"Power","scale":0.5,"exponent":{}}}"#,
            bytes.setting()
        ),
        1 => format!(
            r#"{{"kind":"InverseTime","scale":{},"offset":1.0}}"#,
            bytes.setting()
        ),
        2 => bytes.setting(),
        _ => "0.125".into(),
    };
    match bytes.pick(10) {
        0..=2 => (r#"{"kind":"Kalman"}"#.into(), false),
        3 | 4 => {
            let (towards, amount) = (
                bytes.one_of(&["null", r#""prior""#]),
                bytes.one_of(&["0.1", "0.5", "1e-9", "0.999"]),
            );
            (
                format!(
                    r#"{{"kind":"Fading","forgetting":{amount},"half_life":null,"towards":{towards}}}"#
                ),
                false,
            )
        }
        5 => {
            let half_life = bytes.setting();
            (
                format!(
                    r#"{{"kind":"Fading","forgetting":null,"half_life":{half_life},"towards":null}}"#
                ),
                false,
            )
        }
        6 => {
            let (learning, metric) = (rate(bytes), bytes.one_of(&["null", "0.25"]));
            (
                format!(
                    r#"{{"kind":"NaturalGradient","learning_rate":{learning},"metric_rate":{metric}}}"#
                ),
                false,
            )
        }
        7 => {
            let q = if bytes.pick(3) == 0 {
                r#"{"shape":[@P,@P]}"#.into()
            } else {
                bytes.setting()
            };
            let every = bytes.one_of(&["1", "3"]);
            (
                format!(r#"{{"kind":"ProcessNoise","Q":{q},"every":{every}}}"#),
                false,
            )
        }
        8 => (
            format!(r#"{{"kind":"SGD","learning_rate":{}}}"#, rate(bytes)),
            true,
        ),
        _ => {
            let learning = rate(bytes);
            (
                format!(
                    r#"{{"kind":"Adam","learning_rate":{learning},"beta1":0.9,"beta2":0.999,"eps":1e-8}}"#
                ),
                true,
            )
        }
    }
}

fn belief(bytes: &mut Bytes<'_>, descends: bool) -> String {
    if descends {
        return r#"{"kind":"Point"}"#.into();
    }
    let prior = match bytes.pick(6) {
        0 => r#"{"shape":[@P,@P]}"#.into(),
        1 => r#"{"shape":[@P]}"#.into(),
        2 => bytes.one_of(&["1e16", "1e-16", "1e12", "1e30"]).into(),
        _ => bytes.setting(),
    };
    let projection = bytes.one_of(&["precision", "covariance"]);
    if bytes.pick(3) == 0 {
        return format!(
            r#"{{"kind":"Diagonal","prior_variance":{prior},"projection":"{projection}"}}"#
        );
    }
    format!(r#"{{"kind":"Full","prior_variance":{prior}}}"#)
}

/// Iterations, a robust rule, a sensitivity: whatever the rest allows.
fn extra(bytes: &mut Bytes<'_>, recurrent: bool, gaussian: bool) -> String {
    if recurrent {
        let kind = bytes.one_of(&["RTRL", "DiagonalRTRL", "SnAp", "UORO"]);
        let of = match kind {
            "SnAp" => r#","n":1,"state_correction":true"#,
            "UORO" => r#","seed":1"#,
            _ => r#","state_correction":true"#,
        };
        let unknown = if bytes.pick(3) == 0 {
            r#","state_prior":{"shape":[0,0]}"#
        } else {
            ""
        };
        return format!(
            r#","state":{{"shape":[0]}},"sensitivity":{{"kind":"{kind}"{of}}}{unknown}"#
        );
    }
    match bytes.pick(8) {
        0 if gaussian => format!(
            r#","robust":{{"kind":"Imq","threshold":{}}}"#,
            bytes.setting()
        ),
        1 if gaussian => format!(
            r#","robust":{{"kind":"Student","dof":{}}}"#,
            bytes.setting()
        ),
        2 if gaussian => format!(r#","robust":{{"kind":"Winsor","sd":{}}}"#, bytes.setting()),
        0 => r#","iterations":3"#.into(),
        1 => r#","iterations":"implicit""#.into(),
        _ => String::new(),
    }
}

fn guards(bytes: &mut Bytes<'_>) -> String {
    let (clip, clamp) = match bytes.pick(5) {
        0 => ("null", "null"),
        1 => (r#""auto""#, "1e300"),
        2 => ("1e-3", r#""auto""#),
        _ => (r#""auto""#, r#""auto""#),
    };
    let windup = bytes.one_of(&["4.0", "4.0", "null", "2.5"]);
    let floor = bytes.one_of(&["1e-9", "1e-9", "null", "0.5"]);
    format!(
        r#""guards":{{"kind":"Guards","step_clip":{clip},"z_clamp":{clamp},"windup":{windup},"r_floor":{floor},"influence":1e8}}"#
    )
}

/// Every array that a specification may name, of the right shape: sound matrices, with a number from the bytes here and there.
fn arrays(bytes: &mut Bytes<'_>, spec: &Spec, (n, phi, p): (usize, usize, usize)) -> Arrays {
    let k = spec.model.outputs();
    let mut arrays = Arrays::new();
    let vector = |length: usize, x: f64| Array {
        shape: vec![length],
        values: vec![x; length],
    };
    let matrix = |n: usize, x: f64| {
        let values = (0..n * n)
            .map(|ij| if ij % (n + 1) == 0 { 2.0 } else { x })
            .collect();
        Array {
            shape: vec![n, n],
            values,
        }
    };
    arrays.insert("theta".into(), vector(p, 0.125));
    arrays.insert("state".into(), vector(n, 0.25));
    arrays.insert("state_prior".into(), matrix(n, 0.5));
    let off = bytes.one_of(&[0.0, 0.5, 1.99]);
    arrays.insert("family.covariance".into(), matrix(k, off));
    arrays.insert("rule.Q".into(), matrix(phi, off));
    let json = format!("{:?}", spec.belief);
    let flat = json.contains(&format!("shape: [{phi}] "));
    arrays.insert(
        "belief.prior_variance".into(),
        if flat {
            vector(phi, 2.0)
        } else {
            matrix(phi, off)
        },
    );
    for _ in 0..bytes.pick(3) {
        let name = bytes.one_of(&[
            "theta",
            "state",
            "family.covariance",
            "rule.Q",
            "belief.prior_variance",
        ]);
        let (at, x) = (usize::from(bytes.byte()), bytes.finite());
        if let Some(array) = arrays.get_mut(name)
            && !array.values.is_empty()
        {
            let at = at % array.values.len();
            array.values[at] = x;
        }
    }
    arrays
}
