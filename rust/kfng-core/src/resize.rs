//! A linear model of one output whose inputs become more, with a full belief: in the memory of the smaller filter, O(p) for each input.
//!
//! ```text
//! theta <- (theta, theta_new),   U D U' <- [U, 0; 0, I] [D, 0; 0, P_new] [U, 0; 0, I]'      in front of the intercept
//! ```
//!
//! Columns of U stay where they are but for that of the intercept. What is in front of them, theta and D, moves; and now and then all of
//! it, to a buffer half as long again. The other way takes inputs away that nothing was learned of since they came.

use crate::belief::{Belief, Uncertainty};
use crate::error::{Error, fault};
use crate::field::{Arrays, filled};
use crate::filter::{Filter, begin};
use crate::model::{Model, Output};
use crate::scalar::Scalar;
use crate::spec::{Dtype, Spec};

impl<T: Scalar> Filter<T> {
    /// A filter of `spec` with the state of `old`, of which nothing is left, and how many numbers moved to a larger buffer; or an error,
    /// and `old` as it was.
    ///
    /// All but the number of inputs is the same in both; the last inputs are independent of all others a priori.
    pub fn resized(spec: Spec, arrays: &Arrays, old: &mut Self) -> Result<(Self, usize), Error> {
        let same = (spec.dtype == Dtype::Float64) == (size_of::<T>() == size_of::<f64>());
        let theta_0 = spec.theta_0(arrays)?;
        let mut made = Self::made(spec, arrays, Some(old.sizes))?;
        let (Belief::Full(belief), Belief::Full(before), true) =
            (&made.belief, &old.belief, same && made.follows(old))
        else {
            let expected = "a linear model of one output with a full belief";
            return Err(Error::Unsupported(fault("model", expected, "another")));
        };
        let (d, p, p_0) = (made.sizes.d, made.sizes.p, old.sizes.p);
        let (place, n) = (d.min(old.sizes.d), d.saturating_sub(old.sizes.d));
        let (padded, size) = (made.sizes.padded, belief.size());
        let variances = belief.variances_of::<T>(place, n)?;
        let mut theta = filled(n)?;
        begin(&theta_0[place..place + n], &mut theta)?;
        let moved = old.next.reserve(padded, size)? + old.state.reserve(padded, size)?;
        // From here on nothing fails.
        if p < p_0 {
            before.remove(old.state.belief_mut(), place, p_0 - p);
            let theta = old.state.theta_mut();
            theta.copy_within(place + p_0 - p..p_0, place);
            theta[p..].fill(T::zero());
        }
        old.next.resize(padded, size);
        old.state.resize(padded, size);
        if p > p_0 {
            belief.insert(old.state.belief_mut(), place, &variances);
            let all = old.state.theta_mut();
            all.copy_within(place..p_0, place + n);
            all[place..place + n].copy_from_slice(&theta);
        }
        std::mem::swap(&mut made.state, &mut old.state);
        std::mem::swap(&mut made.next, &mut old.next);
        if made.columns.capacity() == 0 {
            std::mem::swap(&mut made.columns, &mut old.columns);
            made.journal = old.journal.take();
        }
        if let Some(journal) = &mut made.journal {
            journal.forget();
        }
        Ok((made, moved))
    }

    /// Whether it can have the state of `old`, as far as a filter knows.
    fn follows(&self, old: &Self) -> bool {
        let (Model::Linear(model), Model::Linear(small)) = (&self.model, &old.model) else {
            return false;
        };
        model.outputs() == 1
            && small.outputs() == 1
            && model.has_intercept() == small.has_intercept()
            && self.state.wide.len() == old.state.wide.len()
            && self.turns.is_none()
            && old.turns.is_none()
    }
}

#[cfg(test)]
mod tests {
    use crate::field::{Array, Arrays};
    use crate::filter::Filter;
    use crate::row::{Block, Input, Report};
    use crate::scalar::Scalar;
    use crate::spec::Spec;

    /// d inputs, the prior variance of each 1 + its place/8, that of the intercept 3.
    fn parts(d: usize, name: &str) -> (Spec, Arrays) {
        let p = d + 1;
        let json = format!(
            r#"{{"model":{{"kind":"Linear","n_features":{d},"n_outputs":1,"intercept":true}},
            "family":{{"kind":"Gaussian","variance":null,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}},
            "belief":{{"kind":"Full","prior_variance":{{"shape":[{p}]}}}},
            "rule":{{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}},
            "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
            "theta":{{"shape":[{p}]}},"evidence":true,"dtype":"{name}","num_threads":null,"feature_names":null,"seed":0}}"#,
        );
        let mut prior: Vec<f64> = (0..d).map(|i| 1.0 + i as f64 / 8.0).collect();
        prior.push(3.0);
        let (shape, values) = (vec![p], vec![0.0; p]);
        let array = |values| Array {
            shape: shape.clone(),
            values,
        };
        let arrays = [
            ("theta", array(values)),
            ("belief.prior_variance", array(prior)),
        ];
        let named = arrays.map(|(name, array)| (name.into(), array));
        (Spec::parse(&json).unwrap(), Arrays::from(named))
    }

    fn filter<T: Scalar>(d: usize) -> Filter<T> {
        let (spec, arrays) = parts(d, T::NAME);
        Filter::new(spec, &arrays).unwrap()
    }

    fn resized<T: Scalar>(mut old: Filter<T>, d: usize) -> (Filter<T>, usize) {
        let (spec, arrays) = parts(d, T::NAME);
        Filter::resized(spec, &arrays, &mut old).unwrap()
    }

    /// Row t.
    fn feed<T: Scalar>(filter: &mut Filter<T>, t: usize) {
        let d = filter.sizes().d;
        let value = |j: usize| (1.0 + t as f64 * (j + 1) as f64 * 0.7).sin();
        let u: Vec<T> = (0..d).map(|j| T::of(value(j))).collect();
        let block = Block {
            input: Input::Features(&u),
            y: &[(t % 5) as f64],
            weight: &[1.0],
            dt: &[1.0],
            offset: &[0.0],
            blank: &[false],
        };
        let mut report = Report {
            z: &mut [0.0],
            c: &mut [0.0],
            a: &mut [0.0],
            b: &mut [0.0],
            flags: &mut [0],
            trust: &mut [],
        };
        assert!(filter.run(&block, &mut report).1.is_none());
    }

    fn bits<T: Scalar>(filter: &Filter<T>) -> Vec<u64> {
        let state = &filter.state;
        let numbers = state.theta().iter().chain(state.belief());
        let numbers = numbers.map(|x| x.to_f64().to_bits());
        state
            .wide
            .iter()
            .map(|x| x.to_bits())
            .chain(numbers)
            .collect()
    }

    /// Grown before its first row a filter is the one that had all inputs from the start, and grown back it is what it was.
    #[test]
    fn it_is_the_filter_of_all_inputs_and_back() {
        fn check<T: Scalar>() {
            for d in [1, 14, 15, 16, 30, 47] {
                for n in [1, 2, 16, 35] {
                    let mut whole = filter::<T>(d + n);
                    let (mut grown, _) = resized(filter::<T>(d), d + n);
                    assert!(bits(&grown) == bits(&whole), "{d} {n}");
                    for t in 0..30 {
                        feed(&mut grown, t);
                        feed(&mut whole, t);
                        assert!(bits(&grown) == bits(&whole), "{d} {n}, row {t}");
                    }
                    let before = bits(&grown);
                    let (larger, _) = resized(grown, d + n + 20);
                    assert!(bits(&larger) != before);
                    let (mut back, _) = resized(larger, d + n);
                    assert!(bits(&back) == before, "{d} {n}");
                    for t in 30..60 {
                        feed(&mut back, t);
                        feed(&mut whole, t);
                        assert!(bits(&back) == bits(&whole), "{d} {n}, row {t}");
                    }
                }
            }
        }
        check::<f64>();
        check::<f32>();
    }

    /// All numbers that move while it grows one by one are a few times those of the end; where each growth began with a buffer that fits
    /// they would be a hundred times as many.
    #[test]
    fn little_moves_in_all() {
        let (mut growing, mut moved, mut control) = (filter::<f64>(20), 0, 0);
        for d in 21..400 {
            let (grown, numbers) = resized(growing, d);
            (growing, moved) = (grown, moved + numbers);
            feed(&mut growing, d);
            if d % 4 == 0 {
                control += 4 * resized(filter::<f64>(d - 1), d).1; // (a column in four needs another block)
            }
        }
        let end = 2 * growing.state.belief().len();
        assert!(
            moved > end / 2 && moved < 4 * end,
            "{moved} numbers of {end}"
        );
        assert!(control > 20 * end, "{control} numbers of {end}");
    }

    #[test]
    fn another_filter_is_refused_and_both_stay() {
        let mut old = filter::<f32>(20);
        feed(&mut old, 1);
        let before = bits(&old);
        let (spec, arrays) = parts(21, "float64");
        assert!(Filter::resized(spec, &arrays, &mut old).is_err());
        let (spec, mut arrays) = parts(21, "float32");
        arrays.get_mut("belief.prior_variance").unwrap().values[20] = 1e300;
        assert!(Filter::resized(spec, &arrays, &mut old).is_err());
        assert!(bits(&old) == before);
    }
}
