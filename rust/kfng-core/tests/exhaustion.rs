//! Memory that runs out at any request is an error, and leaves everything as it was: each request in turn is refused.
//!
//! Requests below `SMALL` bytes are never refused: error messages, names and shapes, what a thread needs, which do not grow with a filter. Not
//! tried are the text of a specification, read before memory is asked for, and a dense Q, whose eigenvectors nalgebra finds in memory of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

use kfng_core::bank::{Bank, Key};
use kfng_core::error::Error;
use kfng_core::field::{Array, Arrays};
use kfng_core::joint::{self, Joint};
use kfng_core::scalar::Scalar;
use kfng_core::{Block, Filter, Input, Report, SparseRows, Spec};

const SMALL: usize = 1024;

struct Refusing;

thread_local! {
    /// Requests that are still served, where some are refused; and how many were refused.
    static SERVED: Cell<Option<usize>> = const { Cell::new(None) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// Whether this request is the one that is refused.
fn refuses(bytes: usize) -> bool {
    if bytes < SMALL {
        return false;
    }
    match SERVED.get() {
        Some(0) => {
            SERVED.set(None);
            REFUSED.set(REFUSED.get() + 1);
            true
        }
        Some(n) => {
            SERVED.set(Some(n - 1));
            false
        }
        None => false,
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on to the system's allocator unchanged, or refused, as an allocator may.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return null_mut();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return null_mut();
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuses(size) {
            return null_mut();
        }
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// Runs with request `k` refused; and whether there was one.
fn refused<R>(k: usize, run: impl FnOnce() -> R) -> (R, bool) {
    let before = REFUSED.get();
    SERVED.set(Some(k));
    let result = run();
    SERVED.set(None);
    (result, REFUSED.get() > before)
}

/// Makes something with each of its requests refused in turn, and at last with none; returns it, and how many there were.
fn made<R>(what: &str, mut run: impl FnMut() -> Result<R, Error>) -> (R, usize) {
    for k in 0.. {
        match refused(k, &mut run) {
            (Ok(made), false) => return (made, k),
            (Err(Error::Memory(_)) | Ok(_), true) => {} // refused, or it could do without
            (Err(error), _) => panic!("{what}, request {k}: {error}"),
        }
    }
    unreachable!()
}

/// The same of a change of something, which must be as it was where the change fails.
fn changed<S, B: PartialEq>(
    what: &str,
    one: &mut S,
    bits: impl Fn(&mut S) -> B,
    mut change: impl FnMut(&mut S) -> Result<(), Error>,
) -> usize {
    let mut before = bits(one);
    for k in 0.. {
        match refused(k, || change(one)) {
            (Err(Error::Memory(_)), true) => assert!(bits(one) == before, "{what}, request {k}"),
            (Ok(()), false) => return k,
            (Ok(()), true) => before = bits(one), // it could do without
            (Err(error), _) => panic!("{what}, request {k}: {error}"),
        }
    }
    unreachable!()
}

#[test]
fn the_allocator_refuses() {
    let ask = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    let asked = |k| refused(k, || [ask(SMALL), ask(SMALL - 1), ask(SMALL)]);
    assert_eq!(asked(0), ([false, true, true], true));
    assert_eq!(asked(1), ([true, true, false], true));
    assert_eq!(asked(2), ([true; 3], false));
    let grow = |x: &mut Vec<u64>| x.try_reserve(100).map_err(|_| Error::Memory(800));
    let (grown, asked) = made("a list", || {
        let mut x = Vec::new();
        grow(&mut x)?;
        x.resize(100, 0u64);
        x.try_reserve_exact(100).map_err(|_| Error::Memory(1600))?;
        Ok(x)
    });
    assert_eq!((grown.len(), asked), (100, 1)); // 800 bytes, then 1600 by growing
}

/// An array of numbers that depend on their places; `diagonal`: a covariance.
fn array(shape: &[usize], diagonal: bool) -> Array {
    let stride = shape.last().unwrap() + 1;
    let value = |i: usize| match diagonal {
        true if i.is_multiple_of(stride) => 2.0,
        true => 0.0,
        false => 0.01 * (i as f64).sin(),
    };
    Array {
        shape: shape.to_vec(),
        values: (0..shape.iter().product()).map(value).collect(),
    }
}

struct Case {
    model: String,
    family: &'static str,
    belief: String,
    rule: String,
    more: String,
    /// Parameters and outputs, and whether it is recurrent.
    p: usize,
    k: usize,
    state: Option<usize>,
}

impl Case {
    fn spec<T: Scalar>(&self) -> (Spec, Arrays) {
        let Case {
            model,
            family,
            belief,
            rule,
            more,
            p,
            ..
        } = self;
        let influence = if self.state.is_some() {
            r#","influence":1e8"#
        } else {
            ""
        };
        let json = format!(
            r#"{{"model":{model},"family":{family},"belief":{belief},"rule":{rule},
            "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9{influence}}},
            "theta":{{"shape":[{p}]}},"evidence":true,"dtype":"{}","num_threads":null,"feature_names":null,"seed":0{more}}}"#,
            T::NAME
        );
        let mut arrays = Arrays::from([("theta".into(), array(&[*p], false))]);
        for (name, n) in [("family.covariance", self.k), ("belief.prior_variance", *p)] {
            arrays.insert(name.into(), array(&[n, n], true));
        }
        if let Some(n) = self.state {
            arrays.insert("state".into(), array(&[n], false));
            arrays.insert("state_prior".into(), array(&[n], true));
        }
        let spec = Spec::parse(&json).unwrap();
        (spec, arrays)
    }
}

const NORMAL: &str =
    r#"{"kind":"Gaussian","variance":0.5,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}"#;
const LEARNED: &str =
    r#"{"kind":"Gaussian","variance":null,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}"#;
const KALMAN: &str = r#"{"kind":"Kalman"}"#;
const FULL: &str = r#"{"kind":"Full","prior_variance":0.5}"#;

/// One of every way of a row, with parameters enough that vectors of them are not small.
fn cases() -> Vec<Case> {
    let linear = |d: usize, k: usize| {
        format!(r#"{{"kind":"Linear","n_features":{d},"n_outputs":{k},"intercept":true}}"#)
    };
    let case = |model: String, family, belief: &str, rule: &str, more: &str, p, k| Case {
        model,
        family,
        belief: belief.into(),
        rule: rule.into(),
        more: more.into(),
        p,
        k,
        state: None,
    };
    let towards = r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":"prior"}"#;
    let fading = r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}"#;
    let matrix = r#"{"kind":"Full","prior_variance":{"shape":[151,151]}}"#;
    let noise = r#"{"kind":"ProcessNoise","Q":0.1,"every":3}"#;
    let diagonal = r#"{"kind":"Diagonal","prior_variance":1.0,"projection":"precision"}"#;
    let projected = r#"{"kind":"Diagonal","prior_variance":1.0,"projection":"covariance"}"#;
    let adam = r#"{"kind":"Adam","learning_rate":0.001,"beta1":0.9,"beta2":0.999,"eps":1e-8}"#;
    let natural = r#"{"kind":"NaturalGradient","learning_rate":0.1,"metric_rate":null}"#;
    let (logits, bernoulli) = (
        r#"{"kind":"Categorical","n_classes":4}"#,
        r#"{"kind":"Bernoulli"}"#,
    );
    let network = |k: usize| format!(r#"{{"kind":"MLP","layers":[8,20,{k}],"activation":"tanh"}}"#);
    let known = r#"{"kind":"Gaussian","variance":1.0,"covariance":{"shape":[20,20]},"prior_dof":3.0,"prior_scale":1.0}"#;
    let student = r#","robust":{"kind":"Student","dof":4.0}"#;
    let mut all = vec![
        case(linear(3, 1), LEARNED, FULL, KALMAN, "", 4, 1),
        case(linear(150, 1), LEARNED, FULL, towards, "", 151, 1),
        case(linear(150, 1), NORMAL, matrix, noise, "", 151, 1),
        case(linear(150, 1), bernoulli, FULL, fading, "", 151, 1),
        case(
            linear(150, 1),
            bernoulli,
            FULL,
            KALMAN,
            r#","iterations":3"#,
            151,
            1,
        ),
        case(linear(150, 1), LEARNED, FULL, KALMAN, student, 151, 1),
        case(linear(150, 1), NORMAL, diagonal, fading, "", 151, 1),
        case(linear(150, 1), NORMAL, projected, KALMAN, "", 151, 1),
        case(linear(150, 1), bernoulli, FULL, natural, "", 151, 1),
        case(
            linear(150, 1),
            NORMAL,
            r#"{"kind":"Point"}"#,
            adam,
            "",
            151,
            1,
        ),
        case(linear(19, 20), known, FULL, KALMAN, "", 400, 20),
        case(linear(40, 4), logits, FULL, KALMAN, "", 164, 4),
        case(network(1), LEARNED, FULL, KALMAN, "", 201, 1),
        case(network(4), logits, diagonal, fading, "", 264, 4),
    ];
    let cell = |kind: &str, h: usize, more: &str| {
        format!(
            r#"{{"kind":"{kind}","n_inputs":5,"n_units":{h},"n_outputs":2,"input_center":null,"input_scale":null{more}}}"#
        )
    };
    let rnn = || cell("RNN", 20, r#","activation":"tanh","mask":null"#);
    let keeps =
        |kind: &str, more: &str| format!(r#"{{"kind":"{kind}"{more},"state_correction":true}}"#);
    for (model, p, sensitivity, belief, rule, prior) in [
        (rnn(), 562, keeps("RTRL", ""), FULL, KALMAN, "null"),
        (
            rnn(),
            562,
            keeps("RTRL", ""),
            FULL,
            KALMAN,
            r#"{"shape":[20]}"#,
        ),
        (
            cell("LSTM", 10, ""),
            662,
            keeps("DiagonalRTRL", ""),
            FULL,
            towards,
            "null",
        ),
        (
            cell("LinearStateSpace", 20, ""),
            562,
            keeps("SnAp", r#","n":1"#),
            FULL,
            fading,
            "null",
        ),
        (
            rnn(),
            562,
            r#"{"kind":"UORO","seed":1}"#.into(),
            r#"{"kind":"Point"}"#,
            adam,
            "null",
        ),
    ] {
        let more = format!(
            r#","sensitivity":{sensitivity},"state":{{"shape":[20]}},"state_prior":{prior}"#
        );
        let own = case(model, NORMAL, belief, rule, &more, p, 2);
        all.push(Case {
            state: Some(20),
            ..own
        });
    }
    all
}

fn state<T: Scalar>(filter: &mut Filter<T>) -> Vec<(&'static str, Vec<u64>)> {
    let mut all = Vec::new();
    filter
        .save(&mut |name, array, _| {
            all.push((name, array.values.iter().map(|x| x.to_bits()).collect()));
        })
        .unwrap();
    all
}

fn saved<T: Scalar>(filter: &Filter<T>) -> Result<Arrays, Error> {
    let mut arrays = Arrays::new();
    filter.save(&mut |name, array, _| {
        arrays.insert(name.to_owned(), array);
    })?;
    Ok(arrays)
}

/// The arrays of rows and of their report, made before anything is refused.
struct Rows<T> {
    u: Vec<T>,
    y: Vec<f64>,
    one: Vec<f64>,
    zero: Vec<f64>,
    blank: Vec<bool>,
    out: [Vec<f64>; 5],
    flags: Vec<u8>,
}

impl<T: Scalar> Rows<T> {
    fn new(m: usize, (d, k, width): (usize, usize, usize)) -> Self {
        let zeros = |n: usize| vec![0.0; m * n];
        Rows {
            u: (0..m * d).map(|i| T::of((0.7 * i as f64).sin())).collect(),
            y: (0..m * width)
                .map(|i| f64::from(u8::from(i % 3 == 0)))
                .collect(),
            one: vec![1.0; m],
            zero: zeros(k),
            blank: vec![false; m],
            out: [zeros(k), zeros(k * k), zeros(k), zeros(k), zeros(1)],
            flags: vec![0; m],
        }
    }

    fn parts(&mut self, scales: usize, trusts: bool) -> (Block<'_, T>, Report<'_>) {
        let m = self.one.len();
        let [z, c, a, b, trust] = &mut self.out;
        let block = Block {
            input: Input::Features(&self.u),
            y: &self.y,
            weight: &self.one,
            dt: &self.one,
            offset: &self.zero,
            blank: &self.blank,
        };
        let report = Report {
            z,
            c,
            a: &mut a[..m * scales],
            b: &mut b[..m * scales],
            flags: &mut self.flags,
            trust: &mut trust[..if trusts { m } else { 0 }],
        };
        (block, report)
    }
}

/// A filter's life: it is made, learns, predicts, is saved and loaded.
fn live<T: Scalar>(case: &Case) -> usize {
    let (spec, arrays) = case.spec::<T>();
    let what = &format!("{} {} {}", case.model, case.belief, case.rule)[..];
    let (mut filter, mut asked) = made(what, || Filter::<T>::new(spec.clone(), &arrays));
    let sizes = filter.sizes();
    let mut rows = Rows::<T>::new(40, (sizes.d, sizes.k, sizes.width));
    let trusts = case.more.contains("robust");
    for _ in 0..2 {
        asked += changed(what, &mut filter, state, |filter| {
            let (block, mut report) = rows.parts(sizes.scales, trusts);
            match filter.run(&block, &mut report) {
                (_, None) => Ok(()),
                (0, Some(error)) => Err(error),
                (done, Some(error)) => panic!("{error} after {done} rows"),
            }
        });
    }
    let (old, more) = made(what, || saved(&filter));
    asked += more;
    asked += changed(what, &mut filter, state, |filter| {
        if sizes.n > 0 {
            return Ok(()); // forecasts are not the core's
        }
        let [z, c, ..] = &mut rows.out;
        filter.predict(&rows.u, &rows.zero, z, c)
    });
    let (mut twin, _) = made(what, || Filter::<T>::new(spec.clone(), &arrays));
    asked += changed(what, &mut twin, state, |twin| twin.load(&old));
    assert!(state(&mut twin) == state(&mut filter), "{what}");
    asked
}

#[test]
fn a_filter_survives() {
    for case in cases() {
        let asked = live::<f64>(&case) + live::<f32>(&case);
        assert!(asked >= 10 || case.p < 10, "{asked}");
    }
}

/// It grows in its own memory, and where that must be made anew it is as it was until it is.
#[test]
fn a_growing_filter_survives() {
    fn grow<T: Scalar>() -> usize {
        let cases = [150, 170].map(|d| Case {
            model: format!(
                r#"{{"kind":"Linear","n_features":{d},"n_outputs":1,"intercept":true}}"#
            ),
            family: LEARNED,
            belief: FULL.into(),
            rule: KALMAN.into(),
            more: String::new(),
            p: d + 1,
            k: 1,
            state: None,
        });
        let [(spec, arrays), (larger, more)] = [&cases[0], &cases[1]].map(Case::spec::<T>);
        let mut filter = Filter::<T>::new(spec, &arrays).unwrap();
        let mut rows = Rows::<T>::new(40, (150, 1, 1));
        let (block, mut report) = rows.parts(1, false);
        assert!(filter.run(&block, &mut report).1.is_none());
        let asked = changed("growth", &mut filter, state, |filter| {
            *filter = Filter::resized(larger.clone(), &more, filter)?.0;
            Ok(())
        });
        assert!(filter.sizes().d == 170);
        asked
    }
    let asked = grow::<f64>() + grow::<f32>();
    assert!(asked > 15, "{asked} requests");
}

#[test]
fn sparse_rows_survive() {
    let all = cases();
    let case = all
        .iter()
        .find(|case| case.belief.contains("Diagonal"))
        .unwrap();
    let (spec, arrays) = case.spec::<f64>();
    let mut filter = Filter::<f64>::new(spec, &arrays).unwrap();
    assert!(filter.takes_sparse());
    let mut rows = Rows::<f64>::new(400, (0, 1, 1));
    let starts: Vec<i64> = (0..=400).map(|i| 3 * i).collect();
    let indices: Vec<i64> = (0..1200).map(|i| i % 3 * 40 + i / 3 % 40).collect();
    let values = vec![0.5; 1200];
    let sparse = SparseRows {
        starts: &starts,
        indices: &indices,
        values: &values,
    };
    let asked = changed("sparse rows", &mut filter, state, |filter| {
        let (block, mut report) = rows.parts(0, false);
        match filter.run_sparse(&sparse, &block, &mut report) {
            (_, None) => Ok(()),
            (0, Some(error)) => Err(error),
            (done, Some(error)) => panic!("{error} after {done} rows"),
        }
    });
    assert!(asked > 0);
}

/// The keys of a bank, and the states of a few.
fn contents<T: Scalar>(bank: &mut Bank<T>) -> Vec<(String, Vec<u64>)> {
    let live = bank.live().unwrap();
    let mut all: Vec<_> = live
        .iter()
        .map(|&slot| (format!("{:?}", bank.key(slot)), vec![slot.into()]))
        .collect();
    let live: Vec<u32> = live.iter().copied().step_by(1 + live.len() / 6).collect();
    for section in bank.sections().unwrap() {
        let n = live.len() * section.len();
        let (mut wide, mut own) = (vec![0.0; n], vec![T::zero(); n]);
        if section.own {
            bank.own_section(&section, &live, &mut own).unwrap();
        } else {
            bank.wide_section(&section, &live, &mut wide).unwrap();
        }
        let numbers = own.iter().map(|x| x.to_f64()).chain(wide);
        all.push((section.name.into(), numbers.map(f64::to_bits).collect()));
    }
    all
}

/// A bank's life: keys come, learn, go and come again, from rows and from files.
fn keep<T: Scalar>(case: &Case, threads: usize) -> usize {
    let (spec, arrays) = case.spec::<T>();
    let what = &format!("a bank of {}, {threads} threads", case.model)[..];
    let (mut bank, mut asked) = made(what, || Bank::<T>::new(&spec, &arrays, threads));
    let texts: Vec<String> = (0..600).map(|i| format!("a key with a name {i}")).collect();
    let key = |i: usize| match i % 2 {
        0 => Key::Int(i64::try_from(i).unwrap()),
        _ => Key::Text(&texts[i]),
    };
    let slot_of = |bank: &mut Bank<T>, key: Key<'_>| {
        let hash = bank.ask(key);
        bank.find(key, hash)
            .map_or_else(|| bank.make(key, hash), Ok)
    };
    for i in 0..400 {
        asked += changed(what, &mut bank, contents, |bank| {
            slot_of(bank, key(i)).map(|_| ())
        });
    }
    asked += changed(what, &mut bank, contents, |bank| bank.reserve(5000));
    let live = bank.live().unwrap();
    let sizes = bank.sizes();
    let slots: Vec<u32> = (0..800).map(|i| live[i * 7 % 400]).collect();
    let mut rows = Rows::<T>::new(slots.len(), (sizes.d, sizes.k, sizes.width));
    for _ in 0..2 {
        asked += changed(what, &mut bank, contents, |bank| {
            let (block, mut report) = rows.parts(sizes.scales, false);
            match bank.run(&slots, &block, &mut report) {
                (_, None) => Ok(()),
                (0, Some(error)) => Err(error),
                (done, Some(error)) => panic!("{error} after {done} rows"),
            }
        });
    }
    if bank.abreast().is_some() {
        let mut rows = Rows::<T>::new(400, (sizes.d, sizes.k, sizes.width));
        asked += changed(what, &mut bank, contents, |bank| {
            let (block, mut report) = rows.parts(sizes.scales, false);
            let (done, error) = bank.run_panel(0, &block, &mut report);
            error.map_or(Ok(()), |error| {
                if done > 0 {
                    panic!("{error}")
                } else {
                    Err(error)
                }
            })
        });
    }
    bank.mark();
    asked += changed(what, &mut bank, contents, |bank| bank.remove(&live[..390]));
    assert_eq!((bank.len(), bank.gone().count()), (10, 390));
    for i in 400..600 {
        asked += changed(what, &mut bank, contents, |bank| {
            slot_of(bank, key(i)).map(|_| ())
        });
    }
    let (filter, mut spare) = (Filter::<T>::new(spec.clone(), &arrays).unwrap(), None);
    let (file, _) = made(what, || saved(&filter));
    for i in 0..50 {
        asked += changed(what, &mut bank, contents, |bank| {
            bank.append(key(i), 0, &file, &mut spare).map(|_| ())
        });
    }
    let slot = bank.live().unwrap()[0];
    asked += changed(what, &mut bank, contents, |bank| {
        bank.replace(slot, &file, &mut None)
    });
    asked += changed(what, &mut bank, contents, |bank| {
        bank.add_prior(&spec, &arrays)
    });
    for i in 50..100 {
        asked += changed(what, &mut bank, contents, |bank| {
            slot_of(bank, key(i)).map(|_| ())
        });
    }
    let (_, more) = made(what, || Ok((bank.live()?, bank.changed()?)));
    assert_eq!(bank.len(), 310);
    asked + more
}

#[test]
fn a_bank_survives() {
    let all = cases();
    let families = |case: &&Case| case.state.is_none() && !case.belief.contains("151,151");
    for (i, case) in all.iter().filter(families).enumerate() {
        if i < 4 || case.belief.contains("Diagonal") {
            for threads in [1, 2] {
                assert!(keep::<f64>(case, threads) > 100);
            }
            assert!(keep::<f32>(case, 1) > 100);
        }
    }
}

#[test]
fn a_joint_filter_survives() {
    let (n, p) = (20, 150);
    let json = format!(
        r#"{{"family":{NORMAL},"guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
        "dtype":"float64","n":{n},"parameters":{p},"k":1}}"#
    );
    let parts = [
        ("state", array(&[n], false)),
        ("theta", array(&[p], false)),
        ("state_prior", array(&[n, n], true)),
        ("state_noise", array(&[n, n], true)),
        ("prior_variance", array(&[p, p], true)),
        ("parameter_noise", array(&[2, p], false)),
    ];
    let arrays = Arrays::from(parts.map(|(name, part)| (name.to_owned(), part)));
    let spec = joint::Spec::parse(&json).unwrap();
    let (mut filter, mut asked) = made("a joint filter", || Joint::<f64>::new(&spec, &arrays));
    let (m, packed) = (n + p, filter.packed());
    let bits = |filter: &mut Joint<f64>| {
        let (mut x, mut u, mut d) = (vec![0.0; m], vec![0.0; packed], vec![0.0; m]);
        filter.save(&mut x, &mut u, &mut d);
        [x, u, d].map(|part| part.iter().map(|x: &f64| x.to_bits()).collect::<Vec<_>>())
    };
    let (f, h) = (array(&[n, m], false).values, array(&[1, m], false).values);
    let (s, output, y, noise) = (vec![0.2; n], [0.3], [1.0], vec![0.1; n * n]);
    let row = joint::Row {
        state: &s,
        transition: &f,
        output: &output,
        jacobian: &h,
        y: &y,
        weight: 0.5,
        decay: 0.9,
        dt: 0.5,
        owed: 0.5,
        noise: Some(&noise),
        blank: false,
        learns: true,
    };
    let (mut z, mut c, mut dense) = ([0.0], [0.0], vec![0.0; m * m]);
    asked += changed("a row", &mut filter, bits, |filter| {
        filter.step(&row, true, &mut z, &mut c).map(|_| ())
    });
    asked += changed("a read", &mut filter, bits, |filter| {
        filter.covariance(&mut dense)
    });
    let [x, u, d] = bits(&mut filter).map(|part| Array {
        shape: vec![part.len()],
        values: part.into_iter().map(f64::from_bits).collect(),
    });
    let file = Arrays::from([("x".into(), x), ("U".into(), u), ("D".into(), d)]);
    let mut twin = Joint::<f64>::new(&spec, &arrays).unwrap();
    asked += changed("a file", &mut twin, bits, |twin| twin.load(&file));
    assert!(bits(&mut twin) == bits(&mut filter) && asked > 20);
}
