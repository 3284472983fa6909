//! Tests of the columns of one row fused together.

use super::row::{LEAST_SHARED, SharedRow, fuse_shared};
use crate::linalg::testing::{Belief, Rng};
use crate::linalg::{Columns, Layout, Path, fuse, gram};
use crate::scalar::Scalar;

/// Against `fuse` of the columns written out, and `gram` of the rows, at sizes that fill no register.
fn equals_the_columns<T: Scalar>(tolerance: f64) {
    for (d, k) in [
        (16, 2),
        (17, 3),
        (19, 5),
        (31, 2),
        (33, 10),
        (64, 10),
        (16, 16),
    ] {
        assert!(d >= LEAST_SHARED);
        for (intercept, path) in Path::available().flat_map(|path| [(false, path), (true, path)]) {
            let p = k * (d + usize::from(intercept));
            let layout = Layout::with_path(p, path).unwrap();
            let mut rng = Rng((d * k) as u64);
            let mut row = SharedRow::<T>::zeros(&layout, d, k, intercept).unwrap();
            row.x.iter_mut().for_each(|x| *x = T::of(rng.next()));
            let mut columns = Columns::with_capacity(&layout, k).unwrap();
            let mut rows = vec![T::zero(); k * layout.padded()];
            for (a, h) in rows.chunks_exact_mut(layout.padded()).enumerate() {
                h[a * d..(a + 1) * d].copy_from_slice(&row.x);
                if intercept {
                    h[k * d + a] = T::one();
                }
            }
            for t in 0..k {
                let (weight, decay) = (
                    if t + 1 == k { 0.0 } else { 1.2 },
                    if t == 0 { 0.9 } else { 1.0 },
                );
                let h = columns.push(T::of(weight), T::of(decay), 0);
                for a in 0..k {
                    let c = T::of(rng.next());
                    row.coefficients[a][t] = c;
                    for (h, &x) in h.iter_mut().zip(&rows[a * layout.padded()..]) {
                        *h += c * x;
                    }
                }
            }
            let before = Belief::<T>::random(layout, 5);
            let (mut one, mut two) = (before.copy(), before.copy());
            fuse(&layout, None, &mut one.u, &mut one.d, &mut columns, 0..k);
            let seen: Vec<_> = (0..k)
                .map(|t| (columns.b(t).to_vec(), columns.q(t), columns.alpha(t)))
                .collect();
            let (mut exact, mut products) = (vec![0.0; k * k], vec![f64::NAN; k * k]);
            gram(&layout, &before.u, &before.d, &rows, &mut exact);
            two.u.fill(T::zero());
            let from = Some((&before.u[..], &before.d[..]));
            let growth = fuse_shared(
                &layout,
                from,
                &mut two.u,
                &mut two.d,
                &mut columns,
                &mut row,
                &mut products,
            );
            assert!(growth.is_finite());
            let close = |x: T, y: T| (x - y).to_f64().abs() <= tolerance * (1.0 + y.to_f64().abs());
            let all = |x: &[T], y: &[T]| x.iter().zip(y).all(|(&x, &y)| close(x, y));
            assert!(
                all(&two.u, &one.u) && all(&two.d, &one.d),
                "{layout:?} {d} {k}"
            );
            for (t, (b, q, alpha)) in seen.iter().enumerate() {
                assert!(
                    all(columns.b(t), b)
                        && close(columns.q(t), *q)
                        && close(columns.alpha(t), *alpha)
                );
            }
            assert!(
                products
                    .iter()
                    .zip(&exact)
                    .all(|(x, y)| (x - y).abs() <= tolerance * (1.0 + y.abs()))
            );
            let mut three = before.copy();
            fuse_shared(
                &layout,
                None,
                &mut three.u,
                &mut three.d,
                &mut columns,
                &mut row,
                &mut products,
            );
            assert!(three.u[..] == two.u[..] && three.d[..] == two.d[..]);
        }
    }
}

#[test]
fn equals_its_columns_one_by_one() {
    equals_the_columns::<f64>(1e-12);
    equals_the_columns::<f32>(1e-3);
}
