//! Any z and y of any family: scores, moments, densities and quantiles are numbers, and quantiles rise with their level.

use kfng_core::family::{Likelihood, Link, Seen};

use super::build::Recipe;
use super::bytes::Bytes;

const LEVELS: [f64; 9] = [0.0, 1e-12, 0.01, 0.25, 0.5, 0.75, 0.999, 1.0 - 1e-12, 1.0];

/// One input of the fuzzer.
pub fn law(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Some(recipe) = Recipe::read::<f64>(&mut bytes) else {
        return;
    };
    let Ok(filter) = recipe.filter::<f64>() else {
        return;
    };
    let (family, sizes) = (filter.family(), filter.sizes());
    while !bytes.is_empty() {
        case(&mut bytes, family, (sizes.k, sizes.width, sizes.scales));
    }
}

/// One row as a filter reports it: z clamped, C = G G', a > 1, b > 0.
fn case(bytes: &mut Bytes<'_>, family: &impl Likelihood, (k, width, m): (usize, usize, usize)) {
    let limit = match family.link() {
        Link::Identity => f64::INFINITY,
        Link::Logit => 30.0,
        Link::Log => 300.0,
    };
    let mut z: Vec<f64> = (0..k).map(|_| bytes.finite()).collect();
    family.clamp(&mut z, limit);
    let g: Vec<f64> = (0..k)
        .map(|_| bytes.finite().clamp(-1e150, 1e150))
        .collect();
    let plain = bytes.pick(3) == 0;
    let c: Vec<f64> = (0..k * k)
        .map(|ij| if plain { 0.0 } else { g[ij / k] * g[ij % k] })
        .collect();
    let mut y: Vec<f64> = (0..width).map(|_| bytes.finite()).collect();
    if family.invalid(&y) {
        y.iter_mut().for_each(|y| *y = y.abs().floor().min(1.0));
    }
    if family.invalid(&y) {
        y.fill(1.0);
    }
    let a: Vec<f64> = (0..m)
        .map(|_| 1.0 + bytes.magnitude().clamp(1e-3, 1e9))
        .collect();
    let b: Vec<f64> = (0..m)
        .map(|_| bytes.magnitude().clamp(1e-150, 1e150))
        .collect();
    let row = Seen {
        z: &z,
        c: &c,
        y: &y,
        a: &a,
        b: &b,
    };
    let (n, mut work) = (family.mean_width(k), vec![0.0; k * k + k]);
    let told = |what: &str, x: f64| panic!("{what} = {x} of {row:?}");
    let (mut mean, mut std) = (vec![0.0; n], vec![0.0; n]);
    family.mean(&row, &mut mean);
    family.std(&row, &mut std, &mut work);
    for (&mean, &std) in mean.iter().zip(&std) {
        if !mean.is_finite() {
            told("mean", mean);
        }
        if std.is_nan() || std < 0.0 {
            told("std", std);
        }
    }
    for (what, nll) in [
        ("nll", family.nll(&row, &mut work)),
        ("plug-in nll", family.plugin_nll(&row, &mut work)),
    ] {
        if nll.is_nan() || nll == f64::NEG_INFINITY {
            told(what, nll);
        }
    }
    if k == 1 {
        let (e, information) = family.score(&row);
        if e.is_nan() || information.is_nan() || information < 0.0 {
            told("score", e);
        }
    } else {
        several(family, &row, k);
    }
    let mut quantiles = vec![0.0; n * LEVELS.len()];
    family.quantiles(&row, &LEVELS, &mut quantiles);
    for of in quantiles.chunks_exact(LEVELS.len()) {
        let none = of.iter().all(|x| x.is_nan());
        if !none && !of.is_sorted() {
            panic!("quantiles {of:?} of {row:?}");
        }
    }
}

/// The factor of several outputs.
fn several(family: &impl Likelihood, row: &Seen<'_>, k: usize) {
    let mut seen = vec![0; k];
    let m = family.observed(row.y, &mut seen);
    let (mut l, mut work, mut r) = (vec![0.0; m * m], vec![0.0; k * k + k], vec![0.0; m]);
    if family.factor(row, &seen[..m], &mut l, &mut work).is_err() {
        return;
    }
    assert!(l.iter().all(|x| !x.is_nan()), "L = {l:?} of {row:?}");
    family.whiten(row, &seen[..m], &l, &mut r);
    let mut e = vec![0.0; k];
    family.gradient(row, &mut e);
}
