//! What a row of a bank costs without its border: `cargo run --release --example bank_speed [p] [keys] [turns] [rows]`.
//!
//! Rows of every key in turn, then of random keys, of every key as a panel, and the same rows of one filter, each the fastest of some turns.

use std::time::Instant;

use kfng_core::bank::{Bank, Key};
use kfng_core::field::{Array, Arrays};
use kfng_core::{Block, Filter, Input, Report, Spec};

fn spec(p: usize) -> (Spec, Arrays) {
    let json = format!(
        r#"{{"model":{{"kind":"Linear","n_features":{p},"n_outputs":1,"intercept":false}},
        "family":{{"kind":"Gaussian","variance":1.0,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}},
        "belief":{{"kind":"Full","prior_variance":1.0}},"rule":{{"kind":"Kalman"}},
        "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
        "theta":{{"shape":[{p}]}},"evidence":false,"dtype":"float64","num_threads":null,"feature_names":null,"seed":0}}"#
    );
    let (shape, values) = (vec![p], vec![0.0; p]);
    let arrays = Arrays::from([("theta".into(), Array { shape, values })]);
    (Spec::parse(&json).expect("a specification"), arrays)
}

fn main() {
    let mut given = std::env::args()
        .skip(1)
        .map(|x| x.parse().expect("a number"));
    let p = given.next().unwrap_or(8);
    let keys = given.next().unwrap_or(1000);
    let turns = given.next().unwrap_or(50);
    let n = given.next().unwrap_or(10_000);
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let random: Vec<usize> = (0..n).map(|_| next() % keys).collect();
    let mut normal = |m: usize| -> Vec<f64> {
        (0..m)
            .map(|_| {
                (0..6)
                    .map(|_| next() as f64 / (1u64 << 30) as f64 - 1.0)
                    .sum()
            })
            .collect()
    };
    let (u, y) = (normal(n * p), normal(n));
    let (one, zero, blank) = (vec![1.0; n], vec![0.0; n], vec![false; n]);
    let block = Block {
        input: Input::Features(&u),
        y: &y,
        weight: &one,
        dt: &one,
        offset: &zero,
        blank: &blank,
    };
    let (mut z, mut c, mut flags) = (vec![0.0; n], vec![0.0; n], vec![0; n]);
    let mut report = Report {
        z: &mut z,
        c: &mut c,
        a: &mut [],
        b: &mut [],
        flags: &mut flags,
        trust: &mut [],
    };
    let (spec, arrays) = spec(p);
    let mut bank = Bank::<f64>::new(&spec, &arrays, 1).expect("a bank");
    let slots: Vec<u32> = (0..)
        .take(keys)
        .map(|key| {
            let key = Key::Int(key);
            let hash = bank.ask(key);
            bank.make(key, hash).expect("a key")
        })
        .collect();
    let mut filter = Filter::<f64>::new(spec, &arrays).expect("a filter");
    let mut fastest = |name: &str, run: &mut dyn FnMut(&mut Report<'_>) -> usize| {
        let mut least = f64::INFINITY;
        for _ in 0..turns {
            let start = Instant::now();
            assert_eq!(run(&mut report), n);
            least = least.min(start.elapsed().as_secs_f64());
        }
        println!("{name}: {:.1} ns a row", least / n as f64 * 1e9);
    };
    let turn: Vec<u32> = (0..n).map(|i| slots[i % keys]).collect();
    fastest("in turn", &mut |report| bank.run(&turn, &block, report).0);
    let random: Vec<u32> = random.iter().map(|&key| slots[key]).collect();
    fastest("random", &mut |report| bank.run(&random, &block, report).0);
    if n == keys {
        fastest("a panel", &mut |report| bank.run_panel(0, &block, report).0);
        fastest("a panel and a row", &mut |report| {
            bank.run(
                &turn[..0],
                &block.rows(0..0, p, 1, 1),
                &mut report.rows(0..0, 1, 0),
            );
            bank.run_panel(0, &block, report).0
        });
    }
    fastest("a filter", &mut |report| filter.run(&block, report).0);
}
