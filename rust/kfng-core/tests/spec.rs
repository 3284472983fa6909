//! What a specification may not ask for, whoever wrote it.

use kfng_core::{Error, Spec};

fn parse(outputs: usize) -> Result<Spec, Error> {
    let model =
        format!(r#"{{"kind":"Linear","n_features":1,"n_outputs":{outputs},"intercept":true}}"#);
    Spec::parse(&format!(
        r#"{{"model":{model},
        "family":{{"kind":"Gaussian","variance":1.0,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}},
        "belief":{{"kind":"Diagonal","prior_variance":1.0,"projection":"precision"}},"rule":{{"kind":"Kalman"}},
        "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},"theta":{{"shape":[1]}},
        "evidence":false,"dtype":"float64","num_threads":null,"feature_names":null,"seed":0,"iterations":1}}"#
    ))
}

#[test]
fn outputs_whose_covariance_has_no_room() {
    assert!(parse(8192).is_ok());
    for outputs in [8193, 1 << 20, usize::MAX >> 12] {
        match parse(outputs) {
            Err(Error::Parameter(fault)) => {
                assert_eq!(fault.argument, "model");
                assert_eq!(fault.expected, "at most 8192 outputs");
            }
            other => panic!("{other:?}"),
        }
    }
}
