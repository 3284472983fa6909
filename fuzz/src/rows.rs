//! Any numbers as rows of any filter, in any pieces, with saving, loading, predicting and sparse rows between.

use kfng_core::scalar::Scalar;
use kfng_core::{Filter, SparseRows};

use super::build::Recipe;
use super::bytes::Bytes;
use super::twin::{Room, Rows, bits, both, saved, sound};

/// One input of the fuzzer.
pub fn rows(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.pick(3) < 2 {
        drive::<f64>(&mut bytes);
    } else {
        drive::<f32>(&mut bytes);
    }
}

fn drive<T: Scalar>(bytes: &mut Bytes<'_>) {
    let Some(recipe) = Recipe::read::<T>(bytes) else {
        return;
    };
    let (Ok(mut filter), Ok(mut twin)) = (recipe.filter::<T>(), recipe.filter::<T>()) else {
        return;
    };
    let given = filter.sizes().d == 0;
    for _ in 0..40 {
        if bytes.is_empty() {
            break;
        }
        match bytes.pick(8) {
            0 => {
                let arrays = saved(&filter);
                filter = recipe.filter().expect("made before");
                filter.load(&arrays).expect("a state of its own");
            }
            1 if !given => predict(bytes, &mut filter, &twin),
            2 if filter.takes_sparse() => sparse(bytes, &mut filter, &mut twin),
            _ => {
                let m = if given {
                    1
                } else {
                    bytes.one_of(&[1, 2, 3, 5, 17, 24])
                };
                let rows = Rows::read(bytes, &twin, m, given);
                both(&mut filter, &mut twin, &rows, recipe.robust());
            }
        }
    }
    sound(&filter, &recipe);
}

/// What is read changes nothing.
fn predict<T: Scalar>(bytes: &mut Bytes<'_>, filter: &mut Filter<T>, twin: &Filter<T>) {
    let sizes = filter.sizes();
    let rows = Rows::<T>::read(bytes, filter, 2, false);
    let (mut z, mut c) = (vec![0.0; 2 * sizes.k], vec![0.0; 2 * sizes.k * sizes.k]);
    let _ = filter.predict(&rows.u, &rows.offset, &mut z, &mut c);
    let mut dense = vec![0.0; sizes.p * sizes.p];
    let _ = filter.covariance(&mut dense);
    assert_eq!(
        bits(&saved(filter)),
        bits(&saved(twin)),
        "reading changed the state"
    );
}

/// The same sparse rows to both; what is refused changes nothing.
fn sparse<T: Scalar>(bytes: &mut Bytes<'_>, filter: &mut Filter<T>, twin: &mut Filter<T>) {
    let d = filter.sizes().d;
    let m = 1 + bytes.pick(3);
    let mut rows = Rows::<T>::read(bytes, filter, m, false);
    let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
    for u in rows.u.chunks_exact(d) {
        for (j, &u) in u.iter().enumerate() {
            if u != T::zero() {
                indices.push(j as i64);
                values.push(u);
            }
        }
        starts.push(indices.len() as i64);
    }
    rows.u.clear();
    let sparse = SparseRows {
        starts: &starts,
        indices: &indices,
        values: &values,
    };
    let sizes = filter.sizes();
    let mut rooms = [Room::new(m, sizes, false), Room::new(m, sizes, false)];
    let ends = [&mut *filter, &mut *twin]
        .into_iter()
        .zip(&mut rooms)
        .map(|(filter, room)| {
            let end = filter.run_sparse(&sparse, &rows.block(), &mut room.report());
            filter.settle();
            end
        })
        .collect::<Vec<_>>();
    assert_eq!(ends[0], ends[1]);
    assert_eq!(bits(&saved(filter)), bits(&saved(twin)));
}
