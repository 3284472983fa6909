//! Any text as a specification, any arrays as a state: an error that changes nothing, or a filter that can be used and saved again.

use kfng_core::field::{Array, Arrays};
use kfng_core::model::Output;
use kfng_core::scalar::Scalar;
use kfng_core::{Filter, Spec};

use super::build::Recipe;
use super::bytes::Bytes;
use super::twin::{Rows, bits, both, possible, saved, sound};

const NAMES: [&str; 14] = [
    "theta",
    "U",
    "D",
    "P",
    "V",
    "m",
    "v",
    "counters",
    "clock",
    "noise",
    "turn",
    "influence",
    "x",
    "",
];

/// One input of the fuzzer.
pub fn load(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.pick(4) {
        0 => text(&mut bytes),
        1 => state::<f32>(&mut bytes),
        _ => state::<f64>(&mut bytes),
    }
}

/// What a header says may be anything.
fn text(bytes: &mut Bytes<'_>) {
    let Ok(spec) = std::str::from_utf8(bytes.rest())
        .map_err(drop)
        .and_then(|text| Spec::parse(text).map_err(drop))
    else {
        return;
    };
    let Ok((n, free, p)) = spec.unknowns() else {
        return;
    };
    let (phi, k) = (free + p, spec.model.outputs());
    if phi > 300 || n > 300 || k > 20 || spec.model.inputs().unwrap_or(0) > 10_000 {
        return; // sizes that only cost time; tests/boundary/test_hostile_sizes.py has the rest
    }
    let filled = |shape: &[usize]| Array {
        shape: shape.to_vec(),
        values: vec![0.5; shape.iter().product()],
    };
    let arrays = Arrays::from(
        [
            ("theta", filled(&[p])),
            ("state", filled(&[n])),
            ("state_prior", filled(&[n, n])),
            ("rule.Q", filled(&[phi])),
            ("belief.prior_variance", filled(&[phi])),
            ("family.covariance", filled(&[k, k])),
        ]
        .map(|(name, array)| (name.to_owned(), array)),
    );
    let recipe = Recipe { spec, arrays };
    if let Ok(filter) = recipe.filter::<f64>() {
        sound(&filter, &recipe);
    }
}

/// The state of a filter that has taken rows, with numbers, shapes and names changed.
fn state<T: Scalar>(bytes: &mut Bytes<'_>) {
    let Some(recipe) = Recipe::read::<T>(bytes) else {
        return;
    };
    let Ok(mut filter) = recipe.filter::<T>() else {
        return;
    };
    let given = filter.sizes().d == 0;
    let m = if given { 1 } else { 4 };
    let mut twin = recipe.filter().expect("made before");
    let first = Rows::read(bytes, &filter, m, given);
    both(&mut filter, &mut twin, &first, recipe.robust());
    let mut arrays = saved(&filter);
    for _ in 0..1 + bytes.pick(4) {
        change(bytes, &mut arrays, filter.sizes().p);
    }
    let before = saved(&filter);
    if filter.load(&arrays).is_err() {
        assert_eq!(
            bits(&saved(&filter)),
            bits(&before),
            "a refused state changed the one there was"
        );
        return;
    }
    possible(&saved(&filter));
    use_it(bytes, filter, &recipe);
}

/// A filter in a state of unknown origin works, or refuses rows, as any.
fn use_it<T: Scalar>(bytes: &mut Bytes<'_>, mut filter: Filter<T>, recipe: &Recipe) {
    sound(&filter, recipe);
    let mut twin = recipe.filter().expect("made before");
    twin.load(&saved(&filter)).expect("a state that was taken");
    let given = filter.sizes().d == 0;
    for m in if given { [1, 1] } else { [3, 18] } {
        let rows = Rows::read(bytes, &filter, m, given);
        both(&mut filter, &mut twin, &rows, recipe.robust());
    }
    sound(&filter, recipe);
}

fn change(bytes: &mut Bytes<'_>, arrays: &mut Arrays, p: usize) {
    let names: Vec<String> = arrays.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = &names[bytes.pick(names.len())];
    let (what, factors) = (bytes.pick(12), arrays.contains_key("U"));
    let array = arrays.get_mut(name).expect("one of them");
    match what {
        0 => drop(arrays.remove(name)),
        1 => {
            let array = array.clone();
            arrays.insert(bytes.one_of(&NAMES).into(), array);
        }
        2 => array.shape.push(1),
        3 => drop(array.values.pop()),
        4 => {
            array.values.push(bytes.number());
            array.shape = vec![array.values.len()];
        }
        5 if factors => {
            // the form that the reference saves
            let x = bytes.number();
            let values = (0..p * p)
                .map(|ij| if ij % (p + 1) == 0 { 2.0 } else { x })
                .collect();
            arrays.remove("U");
            arrays.remove("D");
            arrays.insert(
                "P".into(),
                Array {
                    shape: vec![p, p],
                    values,
                },
            );
        }
        6 => array.values.fill(bytes.number()),
        _ => {
            let (at, x) = (usize::from(bytes.byte()), bytes.number());
            let length = array.values.len();
            if length > 0 {
                array.values[at % length] = x;
            }
        }
    }
}
