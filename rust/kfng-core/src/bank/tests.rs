//! A bank is a set of filters, to the bit: whatever the family, the rule, the type, the order of keys, the threads, and rows that fail.

use super::{Bank, Key};
use crate::filter::Filter;
use crate::linalg::threads;
use crate::row::{Block, Input, Report};
use crate::scalar::Scalar;
use crate::small_tests::{FADING, GRADIENT, KALMAN, N, OTHERS, Rows, gaussian, spec};

const KEYS: usize = 19;

/// Components, and the rows of which key come when.
#[derive(Clone, Copy)]
struct Case<'a> {
    p: usize,
    d: usize,
    family: &'a str,
    rule: &'a str,
    /// Key of the i-th row.
    key: fn(usize) -> usize,
    /// A row that cannot be taken.
    fatal: Option<usize>,
}

/// In turn, many rows of one after another, and anyhow.
const ORDERS: [fn(usize) -> usize; 3] = [
    |i| i % KEYS,
    |i| i / 7 % KEYS,
    |i| (i * i + i / 3) % 11 + i % 9,
];

/// Rows of all keys: each key goes through the same ones from a place of its own.
fn rows<T: Scalar>(case: &Case<'_>, width: usize) -> Rows<T> {
    let counted = case.rule.contains("NaturalGradient");
    let some = Rows::<T>::new(case.d, case.family, counted);
    let mut all = Rows {
        u: vec![],
        y: vec![],
        weight: vec![],
        dt: vec![],
        offset: vec![],
        blank: vec![],
    };
    let mut seen = [0; KEYS];
    for i in 0..8 * N {
        let key = (case.key)(i);
        let j = (seen[key] + 13 * key) % N;
        seen[key] += 1;
        let fatal = case.fatal == Some(i);
        let huge = T::of(if T::MAX.to_f64() > 1e300 { 1e200 } else { 1e30 });
        let inputs = some.u[j * case.d..(j + 1) * case.d].iter();
        all.u.extend(inputs.map(|&x| if fatal { huge } else { x }));
        let y = some.y[j * width..(j + 1) * width].iter();
        all.y.extend(y.map(|&y| if fatal { 1.0 } else { y }));
        all.weight.push(if fatal { 1.0 } else { some.weight[j] });
        all.dt.push(some.dt[j]);
        all.offset.push(some.offset[j]);
        all.blank.push(!fatal && some.blank[j]);
    }
    all
}

/// What is reported, as bits, with the flags; and of each key its record.
#[derive(PartialEq)]
struct Outcome {
    done: usize,
    failed: bool,
    reported: Vec<(u64, u64)>,
    flags: Vec<u8>,
    records: Vec<Vec<u64>>,
}

fn outcome(
    m: usize,
    scales: usize,
    run: impl FnOnce(&mut Report<'_>) -> (usize, bool, Vec<Vec<f64>>),
) -> Outcome {
    let [mut z, mut c] = [vec![0.0; m], vec![0.0; m]];
    let [mut a, mut b] = [vec![0.0; m * scales], vec![0.0; m * scales]];
    let mut flags = vec![0; m];
    let (done, failed, records) = run(&mut Report {
        z: &mut z,
        c: &mut c,
        a: &mut a,
        b: &mut b,
        flags: &mut flags,
        trust: &mut [],
    });
    let pairs = |x: &[f64], y: &[f64], n: usize| -> Vec<(u64, u64)> {
        let pairs = x[..n].iter().zip(&y[..n]);
        pairs.map(|(x, y)| (x.to_bits(), y.to_bits())).collect()
    };
    flags.truncate(done);
    let bits = |record: Vec<f64>| record.iter().map(|x| x.to_bits()).collect();
    Outcome {
        done,
        failed,
        reported: [pairs(&z, &c, done), pairs(&a, &b, done * scales)].concat(),
        flags,
        records: records.into_iter().map(bits).collect(),
    }
}

/// A filter for each key, fed row by row.
fn apart<T: Scalar>(case: &Case<'_>, rows: &Rows<T>) -> Outcome {
    let (spec, arrays) = spec::<T>(case.p, case.d, case.family, case.rule, false);
    let new = || Filter::<T>::new(spec.clone(), &arrays).unwrap();
    let mut filters: Vec<_> = (0..KEYS).map(|_| new()).collect();
    let (m, sizes) = (rows.weight.len(), filters[0].sizes());
    let block = rows.block(case.d, sizes.width, 0, m);
    let plan = super::record::Plan::new(&filters[0]).unwrap();
    outcome(m, sizes.scales, |report| {
        let (mut done, mut failed) = (0, false);
        while done < m && !failed {
            let own = block.rows(done..done + 1, case.d, 1, sizes.width);
            let mut place = report.row(done, 1, sizes.scales);
            let (taken, error) = filters[(case.key)(done)].run(&own, &mut place);
            (done, failed) = (done + taken, error.is_some());
        }
        let records = filters.iter().map(|filter| {
            let mut record = vec![0.0; plan.words];
            plan.pack(&filter.state, &mut record);
            record
        });
        (done, failed, records.collect())
    })
}

/// `piece` rows in a call: so many that each key keeps a lane, or fewer.
fn together<T: Scalar>(
    case: &Case<'_>,
    rows: &Rows<T>,
    (number, piece): (usize, usize),
) -> Outcome {
    let (spec, arrays) = spec::<T>(case.p, case.d, case.family, case.rule, false);
    let mut bank = Bank::<T>::new(&spec, &arrays, number).unwrap();
    let (m, sizes) = (rows.weight.len(), bank.sizes());
    let keys = (0..).take(KEYS).map(Key::Int);
    let slots: Vec<u32> = keys
        .map(|key| {
            let hash = bank.ask(key);
            bank.make(key, hash).unwrap()
        })
        .collect();
    let order: Vec<u32> = (0..m).map(|i| slots[(case.key)(i)]).collect();
    let lanes = bank.work[0].room.is_some() && bank.filter().small.is_some();
    assert_eq!(bank.often(piece), lanes && piece == 8 * N);
    let block = rows.block(case.d, sizes.width, 0, m);
    outcome(m, sizes.scales, |report| {
        let (mut done, mut error) = (0, None);
        while done < m && error.is_none() {
            let part = done..m.min(done + piece);
            let own = block.rows(part.clone(), case.d, 1, sizes.width);
            let mut place = report.rows(part.clone(), 1, sizes.scales);
            let run = || bank.run(&order[part.clone()], &own, &mut place);
            let (taken, failed) = threads::enter(number, usize::MAX, run);
            (done, error) = (done + taken, failed);
        }
        let records = slots.iter().map(|&slot| bank.store.record(slot).to_vec());
        (done, error.is_some(), records.collect())
    })
}

/// Rows of all keys in turn, a few at a time: as panels, and between them as rows of any keys.
fn in_panels<T: Scalar>(case: &Case<'_>, rows: &Rows<T>) -> Outcome {
    let (spec, arrays) = spec::<T>(case.p, case.d, case.family, case.rule, false);
    let mut bank = Bank::<T>::new(&spec, &arrays, 1).unwrap();
    let (m, sizes) = (rows.weight.len(), bank.sizes());
    let slots: Vec<u32> = (0..)
        .take(KEYS)
        .map(|key| {
            let hash = bank.ask(Key::Int(key));
            bank.make(Key::Int(key), hash).unwrap()
        })
        .collect();
    assert_eq!(bank.in_order_of_slots(), Some(KEYS));
    let block = rows.block(case.d, sizes.width, 0, m);
    outcome(m, sizes.scales, |report| {
        let (mut done, mut failed) = (0, false);
        while done < m && !failed {
            let (turn, first) = (done / KEYS, done % KEYS);
            let end = m.min(turn * KEYS + if first < 16 { 16 } else { KEYS });
            let own = block.rows(done..end, case.d, 1, sizes.width);
            let mut place = report.rows(done..end, 1, sizes.scales);
            let (taken, error) = if bank.abreast().is_some() && turn % 4 < 3 {
                bank.run_panel(first, &own, &mut place)
            } else {
                bank.run(&slots[first..first + own.len()], &own, &mut place)
            };
            assert!(error.is_some() || taken == own.len());
            (done, failed) = (done + taken, error.is_some());
        }
        let store = &mut bank.store;
        let records = slots.iter().map(|&slot| store.record(slot).to_vec());
        (done, failed, records.collect())
    })
}

fn same<T: Scalar>(case: &Case<'_>) {
    let width = if case.family.contains(r#""trials":null"#) {
        2
    } else {
        1
    };
    let rows = rows::<T>(case, width);
    let expected = apart(case, &rows);
    assert_eq!(expected.failed.then_some(expected.done), case.fatal);
    let in_turn = (0..8 * N).all(|i| (case.key)(i) == i % KEYS);
    let ways = [
        (1, 8 * N),
        (2, 8 * N),
        (5, 8 * N),
        (1, 190),
        (2, 300),
        (0, 0),
    ];
    for way in &ways[..if in_turn { 6 } else { 5 }] {
        let found = match *way {
            (0, _) => in_panels(case, &rows),
            way => together(case, &rows, way),
        };
        let name = format!("{} {} {} p = {}", T::NAME, case.family, case.rule, case.p);
        assert_eq!((found.done, found.failed), (expected.done, expected.failed));
        assert!(found.flags == expected.flags, "{name}: flags");
        assert!(found.reported == expected.reported, "{name}: reports");
        assert!(found.records == expected.records, "{name}: records");
    }
}

fn each(family: &str, rule: &str, sizes: &[(usize, usize)]) {
    for (i, &(p, d)) in sizes.iter().enumerate() {
        let case = Case {
            p,
            d,
            family,
            rule,
            key: ORDERS[i % 3],
            fatal: None,
        };
        same::<f64>(&case);
        same::<f32>(&case);
    }
}

const SIZES: [(usize, usize); 9] = [
    (1, 1),
    (4, 3),
    (5, 5),
    (8, 8),
    (9, 8),
    (12, 12),
    (15, 14),
    (16, 16),
    (17, 17),
];

#[test]
fn gaussian_rows_are_those_of_filters() {
    for variance in ["0.5", "null", r#""each""#] {
        for rule in [&[KALMAN][..], &FADING].concat() {
            each(&gaussian(variance), rule, &SIZES);
        }
    }
}

#[test]
fn other_rows_are_those_of_filters() {
    for family in OTHERS {
        each(family, FADING[0], &SIZES[3..6]);
    }
    for rule in GRADIENT {
        each(&gaussian("0.5"), rule, &SIZES[2..5]);
    }
}

#[test]
fn a_row_that_fails_leaves_the_rows_before_it_and_none_behind() {
    for key in ORDERS {
        for fatal in [0, 1, 6, 100, 777, 8 * N - 1] {
            let case = Case {
                p: 4,
                d: 3,
                family: &gaussian("0.5"),
                rule: KALMAN,
                key,
                fatal: Some(fatal),
            };
            same::<f64>(&case);
            same::<f32>(&case);
        }
    }
}

#[test]
fn another_row_is_seen_in_its_key_alone() {
    let family = gaussian("null");
    let (p, d, key) = (9, 8, ORDERS[2]);
    let case = Case {
        p,
        d,
        family: &family,
        rule: FADING[0],
        key,
        fatal: None,
    };
    let mut rows = rows::<f64>(&case, 1);
    let before = together(&case, &rows, (1, 8 * N));
    rows.y[600] += 1e-9;
    let after = together(&case, &rows, (1, 8 * N));
    let other = |&i: &usize| before.records[i] != after.records[i];
    assert_eq!((0..KEYS).filter(other).collect::<Vec<_>>(), [key(600)]);
}

#[test]
fn input_that_is_no_rows_of_features_is_refused() {
    let (spec, arrays) = spec::<f64>(4, 3, &gaussian("0.5"), KALMAN, false);
    let mut bank = Bank::<f64>::new(&spec, &arrays, 1).unwrap();
    let hash = bank.ask(Key::Text("a"));
    let slot = bank.make(Key::Text("a"), hash).unwrap();
    let block = Block {
        input: Input::Features(&[0.0; 2]),
        y: &[0.0],
        weight: &[1.0],
        dt: &[1.0],
        offset: &[0.0],
        blank: &[false],
    };
    let refused = outcome(1, 0, |report| {
        let (done, error) = bank.run(&[slot], &block, report);
        (done, error.is_some(), vec![])
    });
    assert!(refused.failed && refused.done == 0);
}
