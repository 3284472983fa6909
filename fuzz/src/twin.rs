//! Rows from bytes, and what must be true of a filter that has taken or refused them.

use kfng_core::error::Error;
use kfng_core::family::Likelihood;
use kfng_core::field::{Array, Arrays};
use kfng_core::filter::Sizes;
use kfng_core::scalar::Scalar;
use kfng_core::{Block, Filter, Input, Report};

use super::build::Recipe;
use super::bytes::Bytes;

/// Everything that is saved of a filter.
pub fn saved<T: Scalar>(filter: &Filter<T>) -> Arrays {
    let mut arrays = Arrays::new();
    filter
        .save(&mut |name, array, _| {
            assert!(arrays.insert(name.into(), array).is_none(), "{name} twice")
        })
        .expect("memory for a small state");
    arrays
}

/// The bits of these arrays.
pub fn bits(arrays: &Arrays) -> Vec<(&String, &Vec<usize>, Vec<u64>)> {
    let raw = |array: &Array| array.values.iter().map(|x| x.to_bits()).collect();
    arrays
        .iter()
        .map(|(name, array)| (name, &array.shape, raw(array)))
        .collect()
}

/// A state is finite and no variance negative; a filter that loads it has it to the bit.
pub fn sound<T: Scalar>(filter: &Filter<T>, recipe: &Recipe) {
    let arrays = saved(filter);
    possible(&arrays);
    let mut other = recipe
        .filter::<T>()
        .expect("a filter that could be made before");
    other.load(&arrays).expect("a state that a filter was in");
    let again = saved(&other);
    assert_eq!(
        bits(&again),
        bits(&arrays),
        "a state that changes when it is saved"
    );
}

/// A state is finite and no variance negative.
pub fn possible(arrays: &Arrays) {
    for (name, array) in arrays {
        assert!(
            array.values.iter().all(|x| x.is_finite()),
            "{name} is not finite"
        );
        if ["D", "V", "counters"].contains(&&name[..]) {
            assert!(array.values.iter().all(|&x| x >= 0.0), "{name} is negative");
        }
    }
}

/// m rows as the border lets them through: finite inputs, or a row that teaches nothing; y finite and in the family's range, or NaN;
/// weight and time finite, at least 0, the time 0 or 1 where the rule counts rows; offsets finite.
pub struct Rows<T> {
    pub u: Vec<T>,
    pub y: Vec<f64>,
    pub weight: Vec<f64>,
    pub dt: Vec<f64>,
    pub offset: Vec<f64>,
    pub blank: Vec<bool>,
    /// z and dz of a row whose model lives elsewhere; `u` is empty then.
    pub given: Option<(Vec<f64>, Vec<T>)>,
}

impl<T: Scalar> Rows<T> {
    pub fn read(bytes: &mut Bytes<'_>, filter: &Filter<T>, m: usize, given: bool) -> Self {
        let sizes = filter.sizes();
        let mut rows = Rows {
            u: vec![],
            y: vec![],
            weight: vec![],
            dt: vec![],
            offset: vec![],
            blank: vec![],
            given: None,
        };
        for _ in 0..m {
            // One byte for all inputs, or one and more for each.
            let (how, n) = (
                bytes.pick(4),
                if given { sizes.k * sizes.p } else { sizes.d },
            );
            let first = bytes.number();
            let mut u: Vec<T> = (0..n)
                .map(|j| match how {
                    0 => T::of(if j == 0 { first } else { bytes.number() }),
                    1 => T::of(if j % 2 == 0 { first } else { 0.0 }),
                    _ => T::of(first * (1.0 + j as f64).sin()),
                })
                .collect();
            let z: Vec<f64> = (0..if given { sizes.k } else { 0 })
                .map(|_| bytes.finite())
                .collect();
            let blank = !u.iter().all(T::is_finite);
            if blank {
                u.fill(T::zero());
            }
            let mut y: Vec<f64> = (0..sizes.width).map(|_| target(bytes.number())).collect();
            if filter.family().invalid(&y) {
                y.iter_mut().for_each(|y| *y = y.abs().floor().min(1.0));
            }
            if filter.family().invalid(&y) || blank {
                y.fill(f64::NAN);
            }
            rows.y.extend(y);
            let plain = bytes.pick(3) > 0;
            rows.weight
                .push(if plain { 1.0 } else { bytes.magnitude() });
            rows.dt.push(match (filter.counts_rows(), plain) {
                (true, _) => bytes.pick(2) as f64,
                (false, true) => 1.0,
                (false, false) => bytes.magnitude(),
            });
            rows.offset
                .extend((0..sizes.k).map(|_| if plain { 0.0 } else { bytes.finite() }));
            rows.blank.push(blank);
            if given {
                rows.given = Some((z, u));
            } else {
                rows.u.extend(u);
            }
        }
        rows
    }

    pub fn block(&self) -> Block<'_, T> {
        let input = match &self.given {
            Some((z, dz)) => Input::Given { z, dz },
            None => Input::Features(&self.u),
        };
        Block {
            input,
            y: &self.y,
            weight: &self.weight,
            dt: &self.dt,
            offset: &self.offset,
            blank: &self.blank,
        }
    }
}

/// Infinite outcomes are refused at the border.
fn target(y: f64) -> f64 {
    if y.is_infinite() { 1.0 } else { y }
}

/// Room for the reports of m rows; a robust filter says besides what each counted for.
pub struct Room([Vec<f64>; 5], Vec<u8>);

impl Room {
    pub fn new(m: usize, sizes: Sizes, robust: bool) -> Self {
        let (k, scales) = (sizes.k, sizes.scales);
        let room = [
            m * k,
            m * k * k,
            m * scales,
            m * scales,
            if robust { m } else { 0 },
        ];
        Room(room.map(|n| vec![0.0; n]), vec![0; m])
    }

    pub fn report(&mut self) -> Report<'_> {
        let [z, c, a, b, trust] = &mut self.0;
        Report {
            z,
            c,
            a,
            b,
            flags: &mut self.1,
            trust,
        }
    }

    /// The bits of the first `done` of m rows.
    pub fn bits(&self, done: usize, m: usize) -> Vec<u64> {
        let part = |x: &Vec<f64>| {
            x[..x.len() / m * done]
                .iter()
                .map(|x| x.to_bits())
                .collect::<Vec<_>>()
        };
        let flags = self.1[..done].iter().map(|&x| u64::from(x));
        self.0.iter().flat_map(part).chain(flags).collect()
    }
}

/// Rows all at once through one filter and one by one through another: the same bits, the same error, and what is refused changes nothing.
pub fn both<T: Scalar>(
    filter: &mut Filter<T>,
    twin: &mut Filter<T>,
    rows: &Rows<T>,
    robust: bool,
) -> (usize, Option<Error>) {
    let (sizes, m, block) = (filter.sizes(), rows.weight.len(), rows.block());
    let (mut together, mut alone) = (Room::new(m, sizes, robust), Room::new(m, sizes, robust));
    let (done, error) = filter.run(&block, &mut together.report());
    assert_eq!(done < m, error.is_some());
    for i in 0..m {
        let before = saved(twin);
        let own = block.rows(i..i + 1, sizes.d, sizes.k, sizes.width);
        let mut report = alone.report();
        let (one, why) = twin.run(&own, &mut report.rows(i..i + 1, sizes.k, sizes.scales));
        if one == 0 {
            assert_eq!((i, &why), (done, &error), "another row was refused");
            assert_eq!(
                bits(&saved(twin)),
                bits(&before),
                "a refused row changed the state"
            );
            break;
        }
        assert!(i < done, "a row was refused among others alone");
    }
    assert_eq!(bits(&saved(filter)), bits(&saved(twin)), "pieces matter");
    assert_eq!(
        together.bits(done, m),
        alone.bits(done, m),
        "pieces matter in what is reported"
    );
    (done, error)
}
