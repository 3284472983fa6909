//! A step allocates nothing: counted by an allocator that is first shown to count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kfng_core::bank::{Bank, Key};
use kfng_core::field::{Array, Arrays};
use kfng_core::joint::{self, Joint};
use kfng_core::scalar::Scalar;
use kfng_core::{Block, Filter, Input, Report, Spec};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

fn filter<T: Scalar>(d: usize, k: usize, family: &str, rule: &str, evidence: bool) -> Filter<T> {
    let model = format!(r#"{{"kind":"Linear","n_features":{d},"n_outputs":{k},"intercept":true}}"#);
    let belief = r#"{"kind":"Full","prior_variance":1.0}"#;
    let p = (d + 1) * k;
    made([&model, family, belief, rule, "1"], (k, p), evidence)
}

/// A filter of components as JSON: model, family, belief, rule, iterations.
fn made<T: Scalar>(parts: [&str; 5], (k, p): (usize, usize), evidence: bool) -> Filter<T> {
    let [model, family, belief, rule, iterations] = parts;
    let json = format!(
        r#"{{"model":{model},"family":{family},"belief":{belief},"rule":{rule},
        "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},"theta":{{"shape":[{p}]}},
        "evidence":{evidence},"dtype":"{}","num_threads":null,"feature_names":null,"seed":0,"iterations":{iterations}}}"#,
        T::NAME
    );
    build(&json, (k, p))
}

/// A filter of its JSON form, with k outputs and p parameters.
fn build<T: Scalar>(json: &str, (k, p): (usize, usize)) -> Filter<T> {
    let mut arrays = Arrays::new();
    arrays.insert(
        "theta".into(),
        Array {
            shape: vec![p],
            values: vec![0.0; p],
        },
    );
    arrays.insert(
        "state".into(),
        Array {
            shape: vec![4],
            values: vec![0.1; 4],
        },
    );
    for (name, n) in [
        ("family.covariance", k),
        ("rule.Q", p),
        ("belief.prior_variance", p),
    ] {
        let matrix = (0..n * n)
            .map(|ij| if ij % (n + 1) == 0 { 2.0 } else { 0.5 })
            .collect();
        let shape = vec![n, n];
        arrays.insert(
            name.into(),
            Array {
                shape,
                values: matrix,
            },
        );
    }
    Filter::new(Spec::parse(json).unwrap(), &arrays).unwrap()
}

/// m rows through `run`, all at once and then one at a time.
fn feed<T: Scalar>(filter: &mut Filter<T>, m: usize) {
    let sizes = filter.sizes();
    let (d, k, width, scales) = (sizes.d, sizes.k, sizes.width, sizes.scales);
    let u: Vec<T> = (0..m * d).map(|i| T::of((i as f64 * 0.7).sin())).collect();
    let mut y: Vec<f64> = (0..m * width)
        .map(|i| if i % 3 == 0 { 1.0 } else { 0.5 })
        .collect();
    y[4] = f64::NAN;
    let (one, offset, blank) = (vec![1.0; m], vec![0.1; m * k], vec![false; m]);
    let (mut z, mut c, mut a, mut b) = (
        vec![0.0; m * k],
        vec![0.0; m * k * k],
        vec![0.0; m * scales],
        vec![0.0; m * scales],
    );
    let mut flags = vec![0; m];
    let count = allocations(|| {
        let block = Block {
            input: Input::Features(&u),
            y: &y,
            weight: &one,
            dt: &one,
            offset: &offset,
            blank: &blank,
        };
        let mut report = Report {
            z: &mut z,
            c: &mut c,
            a: &mut a,
            b: &mut b,
            flags: &mut flags,
            trust: &mut [],
        };
        assert_eq!(filter.run(&block, &mut report), (m, None));
        for i in 0..m {
            let (outputs, noise) = (i * k..(i + 1) * k, i * scales..(i + 1) * scales);
            let block = Block {
                input: Input::Features(&u[i * d..(i + 1) * d]),
                y: &y[i * width..(i + 1) * width],
                weight: &one[..1],
                dt: &one[..1],
                offset: &offset[..k],
                blank: &blank[..1],
            };
            let mut report = Report {
                z: &mut z[outputs],
                c: &mut c[i * k * k..(i + 1) * k * k],
                a: &mut a[noise.clone()],
                b: &mut b[noise],
                flags: &mut flags[i..=i],
                trust: &mut [],
            };
            assert_eq!(filter.run(&block, &mut report), (1, None));
        }
    });
    assert_eq!(count, 0, "a step allocated");
    assert!(flags.contains(&0) && filter.n_updates() > 0);
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert!(allocations(|| drop(std::hint::black_box(vec![0u8; 100]))) >= 1);
}

#[test]
fn a_step_allocates_nothing() {
    let gaussian = |variance: &str, covariance: &str| {
        format!(
            r#"{{"kind":"Gaussian","variance":{variance},"covariance":{covariance},"prior_dof":3.0,"prior_scale":1.0}}"#
        )
    };
    let full = r#"{"shape":[3,3]}"#;
    let named = |kind: &str, field: &str| format!(r#"{{"kind":"{kind}"{field}}}"#);
    let cases = [
        (1, gaussian("1.0", "null")),
        (3, gaussian("1.0", full)),
        (3, gaussian("null", "null")),
        (1, gaussian(r#""each""#, "null")),
        (3, gaussian(r#""each""#, "null")),
        (2, named("GaussianMeanVariance", "")),
        (1, named("Bernoulli", "")),
        (1, named("Binomial", r#","trials":3"#)),
        (1, named("Binomial", r#","trials":null"#)),
        (3, named("Categorical", r#","n_classes":3"#)),
        (1, named("Poisson", "")),
        (1, named("NegativeBinomial", r#","dispersion":0.5"#)),
        (1, named("Gamma", r#","shape":2.0"#)),
    ];
    for rule in [
        r#"{"kind":"Kalman"}"#,
        r#"{"kind":"Fading","forgetting":0.2,"half_life":null,"towards":null}"#,
    ] {
        for d in [3, 40] {
            for (k, family) in &cases {
                feed(&mut filter::<f64>(d, *k, family, rule, true), 50);
                feed(&mut filter::<f32>(d, *k, family, rule, false), 50);
            }
        }
    }
}

#[test]
fn a_step_of_every_other_entry_allocates_nothing() {
    let linear = |k: usize| {
        (
            format!(r#"{{"kind":"Linear","n_features":5,"n_outputs":{k},"intercept":true}}"#),
            6 * k,
        )
    };
    let network = |k: usize, activation: &str| {
        (
            format!(r#"{{"kind":"MLP","layers":[5,4,3,{k}],"activation":"{activation}"}}"#),
            24 + 15 + 4 * k,
        )
    };
    let models = [
        (1, linear(1)),
        (3, linear(3)),
        (1, network(1, "tanh")),
        (3, network(3, "relu")),
    ];
    let learned = r#"{"kind":"Gaussian","variance":null,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}"#;
    let fading = |towards: &str| {
        format!(r#"{{"kind":"Fading","forgetting":0.2,"half_life":null,"towards":{towards}}}"#)
    };
    let gradient = |rate: &str| {
        format!(r#"{{"kind":"NaturalGradient","learning_rate":{rate},"metric_rate":null}}"#)
    };
    for (k, (model, p)) in &models {
        let square = format!(r#"{{"shape":[{p},{p}]}}"#);
        let known = if *k == 1 {
            r#"{"kind":"Poisson"}"#
        } else {
            r#"{"kind":"Categorical","n_classes":3}"#
        };
        let walk = |q: &str| format!(r#"{{"kind":"ProcessNoise","Q":{q},"every":3}}"#);
        let rules = [
            (fading("null"), learned),
            (fading(r#""prior""#), learned),
            (walk("0.1"), learned),
            (gradient("0.1"), known),
            (
                gradient(r#"{"kind":"Power","scale":0.5,"exponent":0.7}"#),
                known,
            ),
        ];
        let full = |prior: &str| format!(r#"{{"kind":"Full","prior_variance":{prior}}}"#);
        let diagonal = |projection: &str| {
            format!(r#"{{"kind":"Diagonal","prior_variance":1.0,"projection":"{projection}"}}"#)
        };
        for (rule, family) in &rules {
            for belief in [
                full("1.0"),
                full(&square),
                diagonal("precision"),
                diagonal("covariance"),
            ] {
                let parts = [&model[..], family, &belief, rule, "1"];
                feed(&mut made::<f64>(parts, (*k, *p), true), 50);
                feed(&mut made::<f32>(parts, (*k, *p), false), 50);
            }
        }
        let belief = full("1.0");
        let parts = [&model[..], known, &belief, &walk(&square), "3"];
        feed(&mut made::<f64>(parts, (*k, *p), true), 50);
        feed(&mut made::<f32>(parts, (*k, *p), true), 50);
        if model.contains("Linear") && *k == 1 {
            let parts = [&model[..], known, &belief, &rules[0].0, r#""implicit""#];
            feed(&mut made::<f64>(parts, (*k, *p), true), 50);
        }
    }
}

/// A joint filter of n state entries and p parameters, with noise on both.
fn joint<T: Scalar>(n: usize, p: usize, k: usize, family: &str) -> Joint<T> {
    let json = format!(
        r#"{{"family":{family},"guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
        "dtype":"{}","n":{n},"parameters":{p},"k":{k}}}"#,
        T::NAME
    );
    let matrix = |stride: usize, shape: &[usize]| Array {
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|ij| if ij % stride == 0 { 2.0 } else { 0.1 })
            .collect(),
    };
    let parts = [
        ("state", matrix(1, &[n])),
        ("theta", matrix(1, &[p])),
        ("state_prior", matrix(n + 1, &[n, n])),
        ("state_noise", matrix(n + 1, &[n, n])),
        ("prior_variance", matrix(p + 1, &[p, p])),
        ("parameter_noise", matrix(2, &[2, p])),
        ("family.covariance", matrix(k + 1, &[k, k])),
    ];
    let arrays = parts.map(|(name, part)| (name.to_owned(), part));
    Joint::new(&joint::Spec::parse(&json).unwrap(), &Arrays::from(arrays)).unwrap()
}

/// Rows with gaps and noise of their own. Every one is taken, and what is read of the filter is then something else.
fn drive<T: Scalar>(filter: &mut Joint<T>, n: usize, k: usize, width: usize) {
    let m = filter.size();
    let f: Vec<f64> = (0..n * m).map(|i| 0.4 * (i as f64).cos()).collect();
    let h: Vec<f64> = (0..k * m).map(|i| (i as f64 * 0.3).sin()).collect();
    let (noise, state, output) = (vec![0.1; n * n], vec![0.2; n], vec![0.3; k]);
    let (y, gone) = (vec![1.0; width], vec![f64::NAN; width]);
    let (mut z, mut c, mut x) = (vec![0.0; k], vec![0.0; k * k], vec![0.0; m]);
    let count = allocations(|| {
        for i in 0..20 {
            let learns = i % 5 != 3;
            let row = joint::Row {
                state: &state,
                transition: &f,
                output: &output,
                jacobian: &h,
                y: if learns { &y } else { &gone },
                weight: 0.5,
                decay: 0.9,
                dt: 0.5,
                owed: 0.5,
                noise: (i % 2 == 0).then_some(&noise[..]),
                blank: i % 10 == 3,
                learns,
            };
            filter.step(&row, i % 7 != 0, &mut z, &mut c).unwrap();
        }
        filter.mean(&mut x);
    });
    assert_eq!(count, 0);
    assert!(x.iter().any(|&x| x != 2.0 && x != 0.2));
}

#[test]
fn a_joint_filter_allocates_nothing_in_a_step() {
    for (k, width, family) in [
        (1, 1, r#"{"kind":"Poisson"}"#),
        (3, 1, r#"{"kind":"Categorical","n_classes":3}"#),
        (
            2,
            2,
            r#"{"kind":"Gaussian","variance":1.0,"covariance":{"shape":[2,2]},"prior_dof":3.0,"prior_scale":1.0}"#,
        ),
    ] {
        drive(&mut joint::<f64>(4, 30, k, family), 4, k, width);
        drive(&mut joint::<f32>(4, 30, k, family), 4, k, width);
    }
}

#[test]
fn a_step_of_a_recurrent_model_allocates_nothing() {
    let cell = |kind: &str, h: usize, more: &str| {
        format!(
            r#"{{"kind":"{kind}","n_inputs":5,"n_units":{h},"n_outputs":2,"input_center":null,"input_scale":null{more}}}"#
        )
    };
    let models = [
        (cell("RNN", 4, r#","activation":"tanh","mask":null"#), 50),
        (cell("GRU", 4, ""), 134),
        (cell("LSTM", 2, ""), 70),
        (cell("LinearStateSpace", 4, ""), 50),
        (cell("LRU", 4, ""), 38),
    ];
    let (full, point) = (
        r#"{"kind":"Full","prior_variance":0.01}"#,
        r#"{"kind":"Point"}"#,
    );
    let fading = r#"{"kind":"Fading","forgetting":0.1,"half_life":null,"towards":"prior"}"#;
    let adam = r#"{"kind":"Adam","learning_rate":0.001,"beta1":0.9,"beta2":0.999,"eps":1e-8}"#;
    let keeps = |kind: &str| format!(r#"{{"kind":"{kind}","state_correction":true}}"#);
    let cases = [
        (keeps("RTRL"), full, r#"{"kind":"Kalman"}"#),
        (keeps("DiagonalRTRL"), full, fading),
        (
            r#"{"kind":"SnAp","n":1,"state_correction":true}"#.into(),
            full,
            fading,
        ),
        (r#"{"kind":"UORO","seed":1}"#.into(), point, adam),
    ];
    let family =
        r#"{"kind":"Gaussian","variance":0.5,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}"#;
    for (model, p) in &models {
        for (sensitivity, belief, rule) in &cases {
            let json = |dtype: &str| {
                format!(
                    r#"{{"model":{model},"family":{family},"belief":{belief},"rule":{rule},"guards":{{"kind":"Guards","step_clip":"auto",
                    "z_clamp":"auto","windup":4.0,"r_floor":1e-9,"influence":1e8}},"theta":{{"shape":[{p}]}},"evidence":false,
                    "dtype":"{dtype}","num_threads":null,"feature_names":null,"seed":0,"sensitivity":{sensitivity},
                    "state":{{"shape":[4]}},"state_prior":null}}"#
                )
            };
            feed(&mut build::<f64>(&json("float64"), (2, *p)), 30);
            feed(&mut build::<f32>(&json("float32"), (2, *p)), 30);
        }
    }
}

#[test]
fn rows_of_a_bank_allocate_nothing() {
    for (p, n_features, order) in [(4, 3, 1), (9, 8, 7), (17, 16, 1), (9, 8, 200)] {
        let json = format!(
            r#"{{"model":{{"kind":"Linear","n_features":{n_features},"n_outputs":1,"intercept":true}},
            "family":{{"kind":"Gaussian","variance":null,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}},
            "belief":{{"kind":"Full","prior_variance":1.0}},"rule":{{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}},
            "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},"theta":{{"shape":[{p}]}},
            "evidence":false,"dtype":"float64","num_threads":null,"feature_names":null,"seed":0}}"#
        );
        let (shape, values) = (vec![p], vec![0.0; p]);
        let arrays = Arrays::from([("theta".into(), Array { shape, values })]);
        let mut bank = Bank::<f64>::new(&Spec::parse(&json).unwrap(), &arrays, 1).unwrap();
        let mut make = |key: i64| {
            let hash = bank.ask(Key::Int(key));
            bank.make(Key::Int(key), hash).unwrap()
        };
        let known: Vec<u32> = (0..20).map(&mut make).collect();
        // In turn, some of one key together, and of one key alone.
        let slots: Vec<u32> = (0..200).map(|i| known[i / order % 20]).collect();
        let m = slots.len();
        let u: Vec<f64> = (0..m * n_features)
            .map(|i| (0.7 * i as f64).sin())
            .collect();
        let y: Vec<f64> = (0..m)
            .map(|i| {
                if i % 41 == 3 {
                    f64::NAN
                } else {
                    (0.3 * i as f64).cos()
                }
            })
            .collect();
        let (one, zero, blank) = (vec![1.0; m], vec![0.0; m], vec![false; m]);
        let block = Block {
            input: Input::Features(&u),
            y: &y,
            weight: &one,
            dt: &one,
            offset: &zero,
            blank: &blank,
        };
        let (mut z, mut c, mut a, mut b) = (zero.clone(), zero.clone(), zero.clone(), zero.clone());
        let mut flags = vec![0; m];
        let mut report = Report {
            z: &mut z,
            c: &mut c,
            a: &mut a,
            b: &mut b,
            flags: &mut flags,
            trust: &mut [],
        };
        for _ in 0..2 {
            let count = allocations(|| {
                let (done, error) = bank.run(&slots, &block, &mut report);
                assert!(done == m && error.is_none());
            });
            assert_eq!(count, 0, "p = {p}, order {order}");
        }
    }
}
