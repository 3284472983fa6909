//! Tests of the pass: against the obvious loop, between its modes, at the edges of the number types.

use super::fuse;
use crate::linalg::testing::{Belief, PS, obvious, random_columns};
use crate::linalg::{Columns, Layout, Path, variance};
use crate::scalar::Scalar;

const K: usize = 16;

/// Every size on every instruction set of this machine.
fn layouts() -> impl Iterator<Item = Layout> {
    PS.into_iter()
        .flat_map(|p| Path::available().map(move |path| Layout::with_path(p, path).unwrap()))
}

fn to_f64<T: Scalar>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

fn equals_the_obvious_loop<T: Scalar>(tolerance: f64) {
    for layout in layouts() {
        let p = layout.p();
        let mut belief = Belief::<T>::random(layout, 7);
        let mut columns = random_columns::<T>(&layout, K, 9);
        let mut cov = to_f64(&belief.dense());
        let size = cov.iter().fold(0.0f64, |m, x| m.max(x.abs())) * p as f64;
        fuse(
            &layout,
            None,
            &mut belief.u,
            &mut belief.d,
            &mut columns,
            0..K,
        );
        for t in 0..K {
            let (weight, decay) = (columns.weight(t).to_f64(), columns.decay(t).to_f64());
            let (b, q) = obvious(&mut cov, &to_f64(&columns.h(t)[..p]), weight, decay);
            let alpha = 1.0 + weight * q;
            assert!(
                (columns.q(t).to_f64() - q).abs() <= tolerance * size * p as f64,
                "{layout:?} q"
            );
            assert!(
                (columns.alpha(t).to_f64() - alpha).abs() <= 2.0 * tolerance * size * p as f64,
                "{layout:?} alpha"
            );
            assert!(
                b.iter()
                    .zip(columns.b(t))
                    .all(|(x, y)| (x - y.to_f64()).abs() <= tolerance * size),
                "{layout:?} b"
            );
            assert!(
                columns.b(t)[p..].iter().all(|&x| x == T::zero()),
                "{layout:?} padding of b"
            );
        }
        let worst = cov
            .iter()
            .zip(to_f64(&belief.dense()))
            .fold(0.0f64, |m, (x, y)| m.max((x - y).abs()));
        assert!(
            worst <= tolerance * size,
            "{layout:?} P differs by {worst:e}"
        );
    }
}

#[test]
fn equals_the_obvious_loop_f64() {
    equals_the_obvious_loop::<f64>(1e-13);
}

#[test]
fn equals_the_obvious_loop_f32() {
    equals_the_obvious_loop::<f32>(2e-6); // sixteen steps of rounding at 6e-8
}

fn modes_agree<T: Scalar>() {
    for layout in layouts() {
        let start = Belief::<T>::random(layout, 7);
        let (mut wave, mut one) = (start.copy(), start.copy());
        let (mut columns, mut singles) = (
            random_columns::<T>(&layout, K, 9),
            random_columns::<T>(&layout, K, 9),
        );
        let growth = fuse(&layout, None, &mut wave.u, &mut wave.d, &mut columns, 0..K);
        let mut product = 1.0;
        for t in 0..K {
            product *= fuse(
                &layout,
                None,
                &mut one.u,
                &mut one.d,
                &mut singles,
                t..t + 1,
            );
        }
        assert_eq!(growth, product);
        assert!(
            wave.u[..] == one.u[..] && wave.d[..] == one.d[..],
            "{layout:?} wave"
        );
        assert!(columns.b[..] == singles.b[..]);
        assert!(
            (0..K).all(|t| columns.q(t) == singles.q(t) && columns.alpha(t) == singles.alpha(t))
        );

        let mut next = Belief::<T>::zeros(layout);
        let mut columns = random_columns::<T>(&layout, K, 9);
        let from = fuse(
            &layout,
            Some((&start.u, &start.d)),
            &mut next.u,
            &mut next.d,
            &mut columns,
            0..K,
        );
        assert!(
            wave.u[..] == next.u[..] && wave.d[..] == next.d[..] && from == growth,
            "{layout:?} from"
        );
        assert!(columns.b[..] == singles.b[..]);

        let mut nothing = Belief::<T>::zeros(layout);
        assert_eq!(
            fuse(
                &layout,
                Some((&start.u, &start.d)),
                &mut nothing.u,
                &mut nothing.d,
                &mut columns,
                2..2
            ),
            1.0
        );
        assert!(nothing.u[..] == start.u[..] && nothing.d[..] == start.d[..]);
    }
}

#[test]
fn wave_and_from_are_bit_identical() {
    modes_agree::<f64>();
    modes_agree::<f32>();
}

/// Not to rounding only: what is skipped adds exact zeros, so the bits agree as long as the belief is finite.
#[test]
fn a_start_changes_no_bits() {
    for layout in layouts() {
        let prior = Belief::<f64>::random(layout, 7);
        for first in [0, layout.p() / 2, layout.p() - 1] {
            let mut results = [0, first].map(|start| {
                let mut columns = Columns::with_capacity(&layout, 2).unwrap();
                for weight in [0.0, 2.0] {
                    columns.push(weight, 0.9, start)[first] = 1.0;
                }
                let mut next = Belief::zeros(layout);
                fuse(
                    &layout,
                    Some((&prior.u, &prior.d)),
                    &mut next.u,
                    &mut next.d,
                    &mut columns,
                    0..2,
                );
                (next, columns)
            });
            let [(a, x), (b, y)] = &mut results;
            assert!(
                a.u[..] == b.u[..] && a.d[..] == b.d[..],
                "{layout:?} from {first}"
            );
            assert!(x.b[..] == y.b[..] && x.q(1) == y.q(1) && x.alpha(1) == y.alpha(1));
            assert!(b.d[0] != prior.d[0], "decay reaches what is skipped");
        }
    }
}

#[test]
fn variance_has_the_bits_of_a_pass() {
    for layout in layouts() {
        let mut belief = Belief::<f32>::random(layout, 7);
        let mut columns = Columns::with_capacity(&layout, 1).unwrap();
        columns.push(0.7, 1.0, 0)[..layout.p()]
            .copy_from_slice(&random_columns(&layout, 1, 2).h(0)[..layout.p()]);
        let mut b = vec![f32::NAN; layout.padded()];
        let q = variance(&layout, &belief.u, &belief.d, columns.h(0), Some(&mut b));
        assert_eq!(
            q,
            variance(&layout, &belief.u, &belief.d, columns.h(0), None)
        );
        fuse(
            &layout,
            None,
            &mut belief.u,
            &mut belief.d,
            &mut columns,
            0..1,
        );
        assert!(q == columns.q(0) && b == columns.b(0), "{layout:?}");
    }
}

#[test]
fn units_change_no_bits() {
    for layout in layouts() {
        let run = |power: i32| {
            let mut belief = Belief::<f64>::random(layout, 7);
            belief
                .d
                .iter_mut()
                .for_each(|x| *x *= 2.0f64.powi(-2 * power));
            let mut columns = random_columns::<f64>(&layout, K, 9);
            columns.h.iter_mut().for_each(|x| *x *= 2.0f64.powi(power));
            fuse(
                &layout,
                None,
                &mut belief.u,
                &mut belief.d,
                &mut columns,
                0..K,
            );
            belief
                .d
                .iter_mut()
                .for_each(|x| *x *= 2.0f64.powi(2 * power));
            (belief.u.to_vec(), belief.d.to_vec(), columns.q(K - 1))
        };
        assert!(run(0) == run(20) && run(0) == run(-20), "{layout:?}");
    }
}

#[test]
fn float32_stays_positive_where_subtraction_fails() {
    for layout in layouts() {
        for exponent in [6, 9, 12] {
            let mut belief = Belief::<f32>::prior(layout, 10f64.powi(exponent));
            for seed in 1..20 {
                let mut columns = random_columns::<f32>(&layout, K, seed);
                fuse(
                    &layout,
                    None,
                    &mut belief.u,
                    &mut belief.d,
                    &mut columns,
                    0..K,
                );
                assert!(
                    belief.d.iter().all(|&x| x >= 0.0 && x.is_finite()),
                    "{layout:?}"
                );
                // With D >= 0, x'U D U'x is a sum of squares: positive semi-definite by its form; q shows it.
                assert!((0..K).all(|t| columns.q(t) >= 0.0 && columns.alpha(t) >= 1.0));
            }
        }
    }
}

#[test]
fn growth_bounds_u_and_sees_every_overflow() {
    for layout in layouts() {
        let mut belief = Belief::<f64>::random(layout, 7);
        let largest = |u: &[f64]| u.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let before = largest(&belief.u);
        let mut columns = random_columns::<f64>(&layout, K, 9);
        let growth = fuse(
            &layout,
            None,
            &mut belief.u,
            &mut belief.d,
            &mut columns,
            0..K,
        );
        assert!(growth.is_finite() && largest(&belief.u) <= growth * before);
        for bad in [f64::NAN, f64::INFINITY, 1e200, f64::MAX] {
            for at in [0, layout.p() - 1] {
                let mut columns = random_columns::<f64>(&layout, 2, 9);
                columns.h[at] = bad;
                let mut next = Belief::zeros(layout);
                let growth = fuse(
                    &layout,
                    Some((&belief.u, &belief.d)),
                    &mut next.u,
                    &mut next.d,
                    &mut columns,
                    0..2,
                );
                assert_eq!(growth, f64::INFINITY, "{layout:?} {bad} at {at}");
            }
        }
    }
}
