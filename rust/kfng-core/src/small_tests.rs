//! The bits of the general step, whatever the family, the rule, the size, the type, the cuts and the layout.

use crate::field::{Array, Arrays};
use crate::filter::Filter;
use crate::row::{Block, FLAG_SKIPPED, Input, Report};
use crate::scalar::Scalar;
use crate::spec::Spec;

pub(crate) const N: usize = 150;

/// Components as a filter and a bank take them.
pub(crate) fn spec<T: Scalar>(
    p: usize,
    d: usize,
    family: &str,
    rule: &str,
    evidence: bool,
) -> (Spec, Arrays) {
    let intercept = p > d;
    let json = format!(
        r#"{{"model":{{"kind":"Linear","n_features":{d},"n_outputs":1,"intercept":{intercept}}},"family":{family},
        "belief":{{"kind":"Full","prior_variance":2.0}},"rule":{rule},
        "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-3}},
        "theta":{{"shape":[{p}]}},"evidence":{evidence},"dtype":"{}","num_threads":null,"feature_names":null,"seed":0}}"#,
        T::NAME
    );
    let (shape, values) = (vec![p], (0..p).map(|i| 0.1 * i as f64).collect());
    let arrays = Arrays::from([("theta".into(), Array { shape, values })]);
    (Spec::parse(&json).unwrap(), arrays)
}

fn filter<T: Scalar>(p: usize, d: usize, family: &str, rule: &str, evidence: bool) -> Filter<T> {
    let (spec, arrays) = spec::<T>(p, d, family, rule, evidence);
    Filter::new(spec, &arrays).unwrap()
}

/// Rows with a missing y, a weight of 0, a blank, no time and much time among them; some excite little, so that a guard acts.
pub(crate) struct Rows<T> {
    pub u: Vec<T>,
    pub y: Vec<f64>,
    pub weight: Vec<f64>,
    pub dt: Vec<f64>,
    pub offset: Vec<f64>,
    pub blank: Vec<bool>,
}

impl<T: Scalar> Rows<T> {
    pub(crate) fn new(d: usize, family: &str, counted: bool) -> Self {
        let (mut u, mut y) = (Vec::new(), Vec::new());
        let pair = family.contains(r#""trials":null"#);
        for i in 0..N {
            let quiet = (60..110).contains(&i);
            for j in 0..d {
                let x = ((i * d + j) as f64 * 0.7).sin();
                u.push(T::of(if quiet && j > 0 { 0.0 } else { x }));
            }
            let bad = i % 17 == 3;
            let gamma = family.contains("Gamma");
            let value = f64::from(u8::from(i % 3 == 0)) + if gamma { 0.25 } else { 0.0 };
            y.push(if bad { f64::NAN } else { value });
            y.extend(pair.then_some(if bad { f64::NAN } else { 3.0 }));
        }
        let each = |f: &dyn Fn(usize) -> f64| (0..N).map(f).collect::<Vec<f64>>();
        Rows {
            u,
            y,
            weight: each(&|i| {
                if i % 23 == 5 {
                    0.0
                } else {
                    1.0 + (i % 2) as f64 / 2.0
                }
            }),
            dt: each(&|i| match i % 9 {
                8 if counted => 0.0,
                8 => 60.0,
                7 if !counted => 0.5,
                _ => 1.0,
            }),
            offset: each(&|i| 0.1 * (i % 3) as f64),
            blank: (0..N).map(|i| i % 34 == 3).collect(),
        }
    }

    pub(crate) fn block(&self, d: usize, width: usize, i: usize, j: usize) -> Block<'_, T> {
        Block {
            input: Input::Features(&self.u[i * d..j * d]),
            y: &self.y[i * width..j * width],
            weight: &self.weight[i..j],
            dt: &self.dt[i..j],
            offset: &self.offset[i..j],
            blank: &self.blank[i..j],
        }
    }
}

/// z, c, a, b of every row as bits, and whether it was skipped or clipped.
#[derive(Default, PartialEq)]
struct Seen {
    bits: Vec<u64>,
    flags: Vec<u8>,
}

impl Seen {
    fn take(&mut self, m: usize, scales: usize, run: impl FnOnce(&mut Report<'_>)) {
        let (mut z, mut c, mut flags) = (vec![0.0; m], vec![0.0; m], vec![0; m]);
        let (mut a, mut b) = (vec![0.0; m * scales], vec![0.0; m * scales]);
        run(&mut Report {
            z: &mut z,
            c: &mut c,
            a: &mut a,
            b: &mut b,
            flags: &mut flags,
            trust: &mut [],
        });
        for i in 0..m {
            let place = i * scales..(i + 1) * scales;
            let noise = a[place.clone()].iter().chain(&b[place]);
            self.bits
                .extend([z[i], c[i]].iter().chain(noise).map(|x| x.to_bits()));
        }
        self.flags.extend(flags);
    }
}

fn bits<T: Scalar>(wide: &[f64], narrow: &[T]) -> Vec<u64> {
    let narrow = narrow.iter().map(|x| x.to_f64().to_bits());
    wide.iter().map(|x| x.to_bits()).chain(narrow).collect()
}

fn feed<T: Scalar>(filter: &mut Filter<T>, rows: &Rows<T>, cuts: impl Fn(usize) -> usize) -> Seen {
    let (sizes, mut seen, mut i) = (filter.sizes(), Seen::default(), 0);
    while i < N {
        let j = (i + cuts(i)).min(N);
        let block = rows.block(sizes.d, sizes.width, i, j);
        seen.take(j - i, sizes.scales, |report| {
            assert_eq!(filter.run(&block, report), (j - i, None));
        });
        i = j;
    }
    seen
}

fn same<T: Scalar>(p: usize, d: usize, family: &str, rule: &str, evidence: bool) {
    let make = || filter::<T>(p, d, family, rule, evidence);
    let rows = Rows::new(d, family, rule.contains("NaturalGradient"));
    let name = format!("{} {family} {rule} p = {p}", T::NAME);
    let (mut general, mut taken) = (make(), make());
    general.small = None;
    let expected = feed(&mut general, &rows, |_| 1);
    let state = bits(&general.state.wide, &general.state.narrow);
    for cuts in [1, 7, N] {
        let mut small = make();
        let seen = feed(&mut small, &rows, |i| 1 + (i * 5 + cuts - 1) % cuts);
        assert!(seen == expected, "{name}: what is reported, cut by {cuts}");
        let own = bits(&small.state.wide, &small.state.narrow);
        assert!(own == state, "{name}: the state, cut by {cuts}");
    }
    // On slices of the caller's, packed; rows that are not taken go through the filter.
    let small = taken.small().unwrap().clone();
    let (sizes, mut seen, mut count) = (taken.sizes(), Seen::default(), 0);
    let mut packed = vec![T::zero(); small.packed_len()];
    let block = rows.block(d, sizes.width, 0, N);
    seen.take(N, sizes.scales, |report| {
        for i in 0..N {
            small.pack(&taken.state.narrow, &mut packed);
            let mut wide = taken.state.wide.clone();
            if small.row_packed(&mut wide, &mut packed, &block, i, report) {
                taken.state.wide = wide;
                small.unpack(&packed, &mut taken.state.narrow);
                count += 1;
                continue;
            }
            assert!(
                wide == taken.state.wide,
                "{name}: row {i} changed something"
            );
            taken.small = None;
            let alone = rows.block(d, sizes.width, i, i + 1);
            let place = i * sizes.scales..(i + 1) * sizes.scales;
            let mut own = Report {
                z: &mut report.z[i..=i],
                c: &mut report.c[i..=i],
                a: &mut report.a[place.clone()],
                b: &mut report.b[place],
                flags: &mut report.flags[i..=i],
                trust: &mut [],
            };
            assert_eq!(taken.run(&alone, &mut own), (1, None));
        }
    });
    assert!(count > N / 2, "{name}: {count} rows were taken");
    assert!(seen == expected, "{name}: what is reported, packed");
    let own = bits(&taken.state.wide, &taken.state.narrow);
    assert!(own == state, "{name}: the state, packed");
    assert!(expected.flags.contains(&FLAG_SKIPPED));
}

pub(crate) fn gaussian(variance: &str) -> String {
    format!(
        r#"{{"kind":"Gaussian","variance":{variance},"covariance":null,"prior_dof":3.0,"prior_scale":1.0}}"#
    )
}

pub(crate) const OTHERS: [&str; 7] = [
    r#"{"kind":"Bernoulli"}"#,
    r#"{"kind":"Poisson"}"#,
    r#"{"kind":"Binomial","trials":4.0}"#,
    r#"{"kind":"Binomial","trials":null}"#,
    r#"{"kind":"NegativeBinomial","dispersion":0.5}"#,
    r#"{"kind":"Gamma","shape":2.0}"#,
    r#"{"kind":"Gamma","shape":1.0}"#,
];
pub(crate) const KALMAN: &str = r#"{"kind":"Kalman"}"#;
pub(crate) const FADING: [&str; 2] = [
    r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}"#,
    r#"{"kind":"Fading","forgetting":null,"half_life":25.0,"towards":null}"#,
];
pub(crate) const GRADIENT: [&str; 4] = [
    r#"{"kind":"NaturalGradient","learning_rate":0.05,"metric_rate":null}"#,
    r#"{"kind":"NaturalGradient","learning_rate":0.05,"metric_rate":0.02}"#,
    r#"{"kind":"NaturalGradient","learning_rate":{"kind":"InverseTime","scale":1.0,"offset":2.0},"metric_rate":null}"#,
    r#"{"kind":"NaturalGradient","learning_rate":0.1,"metric_rate":{"kind":"Power","scale":0.5,"exponent":0.7}}"#,
];

fn each_size(family: &str, rule: &str) {
    for (p, d) in [
        (1, 1),
        (1, 0),
        (4, 3),
        (5, 5),
        (10, 9),
        (12, 12),
        (16, 15),
        (16, 16),
    ] {
        same::<f64>(p, d, family, rule, p == 5);
        same::<f32>(p, d, family, rule, p == 5);
    }
}

#[test]
fn gaussian_rows_have_the_same_bits() {
    for variance in ["0.5", "null", r#""each""#] {
        for rule in [&[KALMAN][..], &FADING].concat() {
            each_size(&gaussian(variance), rule);
        }
    }
}

#[test]
fn other_rows_have_the_same_bits() {
    for family in OTHERS {
        for rule in [&[KALMAN][..], &FADING[..1]].concat() {
            each_size(family, rule);
        }
    }
}

#[test]
fn rates_have_the_same_bits() {
    for rule in GRADIENT {
        each_size(&gaussian("0.5"), rule);
        each_size(OTHERS[0], rule);
    }
}

#[test]
fn what_goes_another_way() {
    let wide = filter::<f64>(17, 17, &gaussian("0.5"), KALMAN, false);
    assert!(wide.small().is_none() && wide.short);
    let towards = r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":"prior"}"#;
    assert!(
        filter::<f64>(4, 4, &gaussian("0.5"), towards, false)
            .small()
            .is_none()
    );
}
