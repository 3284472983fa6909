//! Threads: forced on, counted, and the same bits for 1, 2 and 7 of them. They are forced for the whole process: a binary of its own.

use kfng_core::field::{Array, Arrays};
use kfng_core::linalg::threads;
use kfng_core::scalar::Scalar;
use kfng_core::{Block, Filter, Input, Report, Spec};

const ROWS: usize = 23;

fn filter<T: Scalar>(d: usize, k: usize, rule: &str) -> Filter<T> {
    let p = d * k;
    let covariance = if k > 1 { r#"{"shape":[3,3]}"# } else { "null" };
    let json = format!(
        r#"{{"model":{{"kind":"Linear","n_features":{d},"n_outputs":{k},"intercept":false}},
        "family":{{"kind":"Gaussian","variance":1.0,"covariance":{covariance},"prior_dof":3.0,"prior_scale":1.0}},
        "belief":{{"kind":"Full","prior_variance":2.0}},"rule":{rule},
        "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
        "theta":{{"shape":[{p}]}},"evidence":true,"dtype":"{}","num_threads":null,"feature_names":null,"seed":0}}"#,
        T::NAME
    );
    let identity = (0..9).map(|ij| if ij % 4 == 0 { 2.0 } else { 0.5 });
    let arrays = Arrays::from([
        (
            "theta".into(),
            Array {
                shape: vec![p],
                values: vec![0.1; p],
            },
        ),
        (
            "family.covariance".into(),
            Array {
                shape: vec![3, 3],
                values: identity.collect(),
            },
        ),
    ]);
    Filter::new(Spec::parse(&json).unwrap(), &arrays).unwrap()
}

/// Everything that is reported and saved, as bits, and the passes that were shared out.
fn outcome<T: Scalar>(threads: usize, d: usize, k: usize, rule: &str) -> (Vec<u64>, u64) {
    let mut filter = filter::<T>(d, k, rule);
    let u: Vec<T> = (0..ROWS * d)
        .map(|i| T::of((i as f64 * 0.7).sin()))
        .collect();
    let mut y: Vec<f64> = (0..ROWS * k).map(|i| (i as f64 * 1.3).cos()).collect();
    y[4 * k] = f64::NAN;
    let (weight, dt) = (vec![1.5; ROWS], vec![0.5; ROWS]);
    let (offset, blank) = (vec![0.1; ROWS * k], vec![false; ROWS]);
    let (mut z, mut c) = (vec![0.0; ROWS * k], vec![0.0; ROWS * k * k]);
    let mut flags = vec![0; ROWS];
    let block = Block {
        input: Input::Features(&u),
        y: &y,
        weight: &weight,
        dt: &dt,
        offset: &offset,
        blank: &blank,
    };
    let mut report = Report {
        z: &mut z,
        c: &mut c,
        a: &mut [],
        b: &mut [],
        flags: &mut flags,
        trust: &mut [],
    };
    let before = threads::runs();
    let done = threads::enter(threads, d * k, || filter.run(&block, &mut report));
    assert_eq!(done, (ROWS, None));
    let mut bits: Vec<u64> = z.iter().chain(&c).map(|x| x.to_bits()).collect();
    let save =
        |_: &str, array: Array, _: bool| bits.extend(array.values.iter().map(|x| x.to_bits()));
    let mut save = save;
    filter
        .save(&mut |name, array, own| save(name, array, own))
        .unwrap();
    (bits, threads::runs() - before)
}

fn same<T: Scalar>(d: usize, k: usize, rule: &str) {
    let (one, none) = outcome::<T>(1, d, k, rule);
    assert_eq!(none, 0);
    for threads in [2, 7] {
        let (bits, shared) = outcome::<T>(threads, d, k, rule);
        assert!(shared > 0, "no pass was shared out");
        assert!(
            bits == one,
            "{threads} threads, d = {d}, k = {k}, {}",
            T::NAME
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (kalman, fading) = (
        r#"{"kind":"Kalman"}"#,
        r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}"#,
    );
    for d in [1000, 1037] {
        same::<f64>(d, 1, kalman);
        same::<f32>(d, 1, fading);
    }
    threads::force_from(Some(0));
    for d in [6, 13, 40, 129] {
        same::<f64>(d, 3, kalman);
        same::<f32>(d, 3, fading);
    }
    for d in [17, 20, 64, 130] {
        same::<f64>(d, 1, fading);
        same::<f32>(d, 1, kalman);
    }
    threads::force_from(None);
    assert_eq!(outcome::<f64>(7, 200, 1, kalman).1, 0);
}

#[test]
fn a_panic_ends_the_call_and_its_threads() {
    let caught = std::panic::catch_unwind(|| {
        threads::enter(3, 5000, || -> usize { panic!("on purpose") });
    });
    assert!(caught.is_err());
    assert_eq!(threads::enter(3, 5000, || 7), 7);
}
