//! Any use of a bank, beside a filter for each key: the same bits, whatever the order, the pieces and the threads.

use std::collections::BTreeMap;

use kfng_core::Filter;
use kfng_core::bank::{Bank, Key};
use kfng_core::field::{Array, Arrays};
use kfng_core::scalar::Scalar;

use super::build::Recipe;
use super::bytes::Bytes;
use super::twin::{Room, Rows, bits, possible, saved};

const TEXTS: [&str; 5] = ["", "a", "0", "a longer key, \u{e9}", "b"];

/// A key's filter, and the order of its appearance.
struct Twin<T> {
    filter: Filter<T>,
    serial: usize,
}

/// A bank and what it must be.
struct Pair<T> {
    bank: Bank<T>,
    twins: BTreeMap<usize, Twin<T>>,
    serial: usize,
}

/// One input of the fuzzer.
pub fn bank(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.pick(3) < 2 {
        drive::<f64>(&mut bytes);
    } else {
        drive::<f32>(&mut bytes);
    }
}

/// Ten keys: five integers, five texts.
fn key(i: usize) -> Key<'static> {
    if i < 5 {
        Key::Int(if i == 4 { i64::MIN } else { i as i64 })
    } else {
        Key::Text(TEXTS[i - 5])
    }
}

fn drive<T: Scalar>(bytes: &mut Bytes<'_>) {
    let Some(recipe) = Recipe::read::<T>(bytes) else {
        return;
    };
    let Ok(bank) = Bank::<T>::new(&recipe.spec, &recipe.arrays, 1 + bytes.pick(3)) else {
        return;
    };
    let mut pair = Pair {
        bank,
        twins: BTreeMap::new(),
        serial: 0,
    };
    for _ in 0..30 {
        if bytes.is_empty() {
            break;
        }
        match bytes.pick(8) {
            0 => pair.forget(bytes),
            1 => pair.predict(bytes),
            2 => pair.refuse(bytes),
            3 => pair.export(bytes, &recipe),
            _ => pair.update(bytes, &recipe),
        }
        pair.check();
    }
}

impl<T: Scalar> Pair<T> {
    fn slot(&mut self, i: usize, recipe: &Recipe) -> u32 {
        let hash = self.bank.ask(key(i));
        if let Some(slot) = self.bank.find(key(i), hash) {
            assert!(self.twins.contains_key(&i));
            return slot;
        }
        let filter = recipe.filter().expect("the bank has one");
        let (slot, serial) = (self.bank.make(key(i), hash).expect("memory"), self.serial);
        self.serial += 1;
        assert!(self.twins.insert(i, Twin { filter, serial }).is_none());
        slot
    }

    /// Keys of the bank, by choice.
    fn some(&mut self, bytes: &mut Bytes<'_>) -> Vec<(usize, u32)> {
        let mut found = vec![];
        for _ in 0..1 + bytes.pick(4) {
            let i = bytes.pick(10);
            if let Some(slot) = self.bank.find(key(i), self.bank.ask(key(i))) {
                found.push((i, slot));
            }
        }
        found
    }

    fn update(&mut self, bytes: &mut Bytes<'_>, recipe: &Recipe) {
        let m = bytes.one_of(&[1, 2, 4, 8, 9, 20]);
        let order = bytes.pick(3);
        let keys: Vec<usize> = (0..m)
            .map(|i| match order {
                0 => i % 10,
                1 => bytes.pick(10),
                _ => i / 3 % 10,
            })
            .collect();
        let slots: Vec<u32> = keys.iter().map(|&i| self.slot(i, recipe)).collect();
        let rows = Rows::read(bytes, self.bank.filter(), m, false);
        let (sizes, block) = (self.bank.sizes(), rows.block());
        let room = || Room::new(m, sizes, recipe.robust());
        let (mut together, mut alone) = (room(), room());
        let (done, error) = self.bank.run(&slots, &block, &mut together.report());
        assert_eq!(done < m, error.is_some());
        for (i, key) in keys.iter().enumerate().take(done + 1) {
            let own = block.rows(i..i + 1, sizes.d, sizes.k, sizes.width);
            let mut report = alone.report();
            let mut report = report.rows(i..i + 1, sizes.k, sizes.scales);
            let twin = self.twins.get_mut(key).expect("made");
            let (one, why) = twin.filter.run(&own, &mut report);
            assert_eq!(one == 1, i < done, "another row was refused");
            assert!(one == 1 || why == error);
        }
        assert_eq!(
            together.bits(done, m),
            alone.bits(done, m),
            "what is reported"
        );
    }

    fn forget(&mut self, bytes: &mut Bytes<'_>) {
        let (keys, slots): (Vec<_>, Vec<_>) = self.some(bytes).into_iter().unzip();
        self.bank.remove(&slots).unwrap();
        for i in keys {
            self.twins.remove(&i);
        }
    }

    fn refuse(&mut self, bytes: &mut Bytes<'_>) {
        let (_, mut slots): (Vec<_>, Vec<u32>) = self.some(bytes).into_iter().unzip();
        slots.push(u32::MAX);
        assert!(self.bank.refuse(&slots).is_err());
    }

    fn predict(&mut self, bytes: &mut Bytes<'_>) {
        let keys = self.some(bytes);
        let n = keys.len();
        let slots: Vec<_> = keys.iter().map(|&(_, slot)| Some(slot)).collect();
        let (rows, sizes) = (
            Rows::read(bytes, self.bank.filter(), n, false),
            self.bank.sizes(),
        );
        let (k, m) = (sizes.k, sizes.scales);
        let mut out = [n * k, n * k * k, n * m, n * m].map(|n| vec![0.0; n]);
        let parts = out.each_mut().map(|x| &mut x[..]);
        let end = self.bank.predict(&slots, &rows.u, &rows.offset, parts);
        for (i, (key, _)) in keys.iter().enumerate() {
            let filter = &mut self.twins.get_mut(key).expect("made").filter;
            let (mut z, mut c) = (vec![0.0; k], vec![0.0; k * k]);
            let (u, offset) = (
                &rows.u[i * sizes.d..][..sizes.d],
                &rows.offset[i * k..][..k],
            );
            let one = filter.predict(u, offset, &mut z, &mut c);
            assert!(one.is_ok() || end.is_err());
            if end.is_ok() {
                let same =
                    |x: &[f64], y: &[f64]| x.iter().zip(y).all(|(x, y)| x.to_bits() == y.to_bits());
                assert!(same(&out[0][i * k..], &z) && same(&out[1][i * k * k..], &c));
            }
        }
    }

    /// The keys into another bank, one of them with a number changed; an array of no key is refused.
    fn export(&mut self, bytes: &mut Bytes<'_>, recipe: &Recipe) {
        let mut other = Bank::<T>::new(&recipe.spec, &recipe.arrays, 1).expect("made before");
        let (mut spare, changed) = (None, bytes.pick(20));
        for (at, slot) in self.bank.live().unwrap().into_iter().enumerate() {
            let mut arrays = state(&mut self.bank, slot);
            let key = self.bank.key(slot).expect("a living key");
            if at == changed {
                let x = bytes.number();
                let names: Vec<_> = arrays.keys().cloned().collect();
                let array = arrays
                    .get_mut(&names[bytes.pick(names.len())])
                    .expect("one of them");
                let place = usize::from(bytes.byte());
                let length = array.values.len();
                if length > 0 {
                    array.values[place % length] = x;
                }
            }
            let count = other.len();
            match other.append(key, 0, &arrays, &mut spare) {
                Ok(new) => possible(&state(&mut other, new)),
                Err(error) => assert!(at == changed && other.len() == count, "{error}"),
            }
            if at != changed {
                let new = other.find(key, other.ask(key)).expect("appended");
                assert_eq!(bits(&state(&mut other, new)), bits(&arrays));
                assert!(
                    other.append(key, 0, &arrays, &mut spare).is_err(),
                    "a key twice"
                );
            }
        }
    }

    /// Keys in the order of their appearance, each with its filter's bits.
    fn check(&mut self) {
        let mut order: Vec<_> = self.twins.iter().collect();
        order.sort_by_key(|(_, twin)| twin.serial);
        let live = self.bank.live().unwrap();
        assert_eq!(live.len(), order.len());
        assert_eq!(self.bank.len(), order.len());
        for (&slot, (&i, twin)) in live.iter().zip(order) {
            assert_eq!(self.bank.key(slot), Some(key(i)));
            let (arrays, own) = (state(&mut self.bank, slot), saved(&twin.filter));
            possible(&arrays);
            assert_eq!(bits(&arrays), bits(&own), "a key is not its filter");
        }
    }
}

/// What is saved of one key.
fn state<T: Scalar>(bank: &mut Bank<T>, slot: u32) -> Arrays {
    let mut arrays = Arrays::new();
    for section in bank.sections().expect("sections") {
        let mut values = vec![0.0; section.len()];
        if section.own {
            let mut own = vec![T::zero(); section.len()];
            bank.own_section(&section, &[slot], &mut own)
                .expect("a living key");
            values
                .iter_mut()
                .zip(own)
                .for_each(|(to, x)| *to = x.to_f64());
        } else {
            bank.wide_section(&section, &[slot], &mut values)
                .expect("a living key");
        }
        let shape = section.shape.clone();
        arrays.insert(section.name.into(), Array { shape, values });
    }
    arrays
}
