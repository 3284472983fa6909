//! Against the obvious loop, on every path of the machine.

use super::{Both, Change, Incoming, Learn, Look, quadratic};
use crate::linalg::testing::Rng;
use crate::linalg::{Path, dot};
use crate::scalar::Scalar;

/// Against the obvious loop in float64, on every path of this machine, with a row that ends anywhere in a register.
fn equals_the_loop<T: Scalar>(tolerance: f64) {
    for d in [
        1usize, 15, 16, 17, 31, 33, 63, 64, 65, 127, 130, 257, 1000, 1531,
    ] {
        let (mut rng, padded) = (Rng(d as u64 + 1), (d + 1).next_multiple_of(16));
        let mut draw = |n: usize| -> Vec<T> { (0..n).map(|_| T::of(rng.next())).collect() };
        let (from, mut h, theta) = (draw(d), draw(padded), draw(padded));
        let v: Vec<T> = draw(padded).iter().map(|&x| x * x + T::of(0.1)).collect();
        h[d + 1..].fill(T::zero());
        for keeps_precision in [true, false] {
            let [inverse, gain, weight] = [1.25, -0.7, 3.0];
            let sum = |f: &dyn Fn(usize) -> f64| (0..padded).map(f).sum::<f64>();
            let q = inverse * sum(&|i| (h[i] * h[i] * v[i]).to_f64());
            let alpha = 1.0 + weight * q;
            let change = Change {
                inverse_decay: T::of(inverse),
                gain: T::of(gain),
                weight: T::of(weight),
                alpha: T::of(alpha),
                keeps_precision,
            };
            let after = |i: usize| {
                let (h, v) = (h[i].to_f64(), v[i].to_f64() * inverse);
                let b = v * h;
                let less = weight / alpha * b * b;
                let shrunk = if keeps_precision {
                    v / (1.0 + weight * h * b)
                } else {
                    (v - less).max(v * T::EPSILON.to_f64() / 2.0)
                };
                (theta[i].to_f64() + gain * b, shrunk)
            };
            let next = |i: usize| match i {
                _ if i < d => from[i].to_f64(),
                _ if i == d => 1.0,
                _ => 0.0,
            };
            let close = |x: f64, y: f64| (x - y).abs() <= tolerance * (1.0 + y.abs());
            for path in Path::available() {
                let blank = || -> Vec<T> {
                    (0..padded)
                        .map(|i| T::of(f64::from(u8::from(i == d))))
                        .collect()
                };
                let (mut theta_1, mut v_1, mut to) = (theta.clone(), v.clone(), blank());
                let learn = Learn {
                    theta: &mut theta_1,
                    v: &mut v_1,
                    h: &h,
                    change,
                };
                let row = Incoming {
                    from: &from,
                    to: &mut to,
                };
                let sums = path.run(Both { learn, row });
                assert!((0..padded).all(|i| to[i].to_f64() == next(i)));
                for i in 0..padded {
                    let (x, y) = after(i);
                    assert!(close(theta_1[i].to_f64(), x) && close(v_1[i].to_f64(), y));
                }
                assert!(close(sums.z.to_f64(), sum(&|i| next(i) * after(i).0)));
                assert!(close(
                    sums.q.to_f64(),
                    sum(&|i| next(i) * next(i) * after(i).1)
                ));
                // In two passes: the same bits.
                let (mut theta_2, mut v_2, mut to) = (theta.clone(), v.clone(), blank());
                path.run(Learn {
                    theta: &mut theta_2,
                    v: &mut v_2,
                    h: &h,
                    change,
                });
                assert!(theta_1 == theta_2 && v_1 == v_2);
                let row = Incoming {
                    from: &from,
                    to: &mut to,
                };
                let (theta, v) = (&theta_2[..], &v_2[..]);
                assert!(path.run(Look { theta, v, row }) == sums);
                if path.name() == Path::best().name() && padded > 16 {
                    assert!(sums.z == dot(&to, theta) && sums.q == quadratic(v, &to));
                }
            }
        }
    }
}

#[test]
fn every_path_equals_the_loop() {
    equals_the_loop::<f64>(1e-13);
    equals_the_loop::<f32>(2e-5);
}
