//! Where a step writes the belief, and what becomes of that: committed, or taken back.

use crate::belief::{Belief, Uncertainty};
use crate::error::Error;
use crate::filter::{Filter, Spread};
use crate::journal::{Journal, Place};
use crate::scalar::Scalar;

impl<T: Scalar> Filter<T> {
    /// Fuses the columns of a step, and says where; `moved`: the belief of `next` is what they meet. Returns the growth of the bound.
    #[inline]
    pub(crate) fn fuse_columns(&mut self, moved: bool) -> (Place, f64) {
        if self.work.slots[0].spread == Spread::Pass {
            return (Place::Within, self.fuse_shared(moved));
        }
        let columns = self.columns.len();
        let takes = |journal: &Journal<T>| {
            let (from, to) = (self.next.stamp(), self.state.stamp());
            journal.takes(columns, from, to)
        };
        let place = if moved {
            Place::Within
        } else if self.journal.as_ref().is_some_and(takes) {
            Place::Here
        } else {
            Place::Across
        };
        let (from, to) = match place {
            Place::Here => (None, self.state.belief_mut()),
            Place::Across => (Some(self.state.belief()), self.next.belief_mut()),
            Place::Within => (None, self.next.belief_mut()),
        };
        let growth = self.belief.fuse(from, to, &mut self.columns, 0..columns);
        (place, growth)
    }

    /// Columns of several outputs of one row of inputs, into `next`: another arithmetic, which no journal repeats.
    fn fuse_shared(&mut self, moved: bool) -> f64 {
        let from = (!moved).then(|| self.state.belief());
        let to = self.next.belief_mut();
        let (Belief::Full(belief), Some(row)) = (&self.belief, &mut self.work.shared) else {
            return f64::INFINITY;
        };
        let gram = &mut self.work.gram;
        let growth = belief.fuse_shared(from, to, &mut self.columns, row, gram);
        let decay = self.columns.decay(0).to_f64();
        for x in gram.iter_mut() {
            *x /= decay;
        }
        growth
    }

    /// The belief that a step proposes.
    #[inline]
    pub(crate) fn proposed(&self, place: Place) -> &[T] {
        match place {
            Place::Here => self.state.belief(),
            Place::Across | Place::Within => self.next.belief(),
        }
    }

    /// Commits a step whose columns went there.
    #[inline]
    pub(crate) fn commit_step(&mut self, place: Place) {
        std::mem::swap(&mut self.state, &mut self.next);
        if let Some(lean) = &mut self.lean {
            lean.forget();
        }
        let Some(journal) = &mut self.journal else {
            return;
        };
        if place == Place::Here {
            self.state.swap_belief(&mut self.next);
        }
        let (from, to) = (self.next.stamp(), self.state.stamp());
        match place {
            Place::Here => journal.note(&self.columns, from, to),
            Place::Across => journal.begin(&self.columns, from, to),
            Place::Within => {}
        }
    }

    /// Leaves everything as it was before a step whose columns went there.
    #[cold]
    pub(crate) fn refuse_step(&mut self, place: Place, error: Error) -> Error {
        if place == Place::Here {
            self.take_back();
        }
        // What overflowed may be left in its padding, which the next step reads and does not fill.
        let state = &self.state;
        self.next.belief_mut().copy_from_slice(state.belief());
        error
    }

    /// Of a bank's workspace, after a row that was refused: its beliefs may have kept numbers that are none in their padding, which a record
    /// does not fill. Both become priors; a belief comes with the next record.
    #[cold]
    pub(crate) fn cleanse(&mut self) {
        for state in [&mut self.state, &mut self.next] {
            state.theta_mut().fill(T::zero());
            let at = state.belief_mut();
            at.fill(T::zero());
            let _ = self.belief.start(at); // as it did when the filter was made
        }
    }

    /// The belief before the step at hand, from the one of `next` and what the journal has noted since.
    fn take_back(&mut self) {
        let Some(journal) = &self.journal else { return };
        let mut first = 0;
        while journal.has(first) {
            first = journal.recall(first, &mut self.columns);
            let (to, columns) = (self.next.belief_mut(), 0..self.columns.len());
            self.belief.fuse(None, to, &mut self.columns, columns);
        }
        self.state.swap_belief(&mut self.next);
    }
}

#[cfg(test)]
mod tests {
    use crate::field::{Array, Arrays};
    use crate::filter::Filter;
    use crate::row::{Block, Input, Report};
    use crate::scalar::Scalar;
    use crate::spec::Spec;

    const GAUSSIAN: &str = r#"{"kind":"Gaussian","variance":null,"covariance":null,"prior_dof":3.0,"prior_scale":1.0}"#;
    const POISSON: &str = r#"{"kind":"Poisson"}"#;
    const LINEAR: &str = r#"{"kind":"Linear","n_features":39,"n_outputs":1,"intercept":true}"#;
    const MLP: &str = r#"{"kind":"MLP","layers":[3,9,1],"activation":"tanh"}"#;
    const MLP_2: &str = r#"{"kind":"MLP","layers":[3,8,2],"activation":"tanh"}"#;
    const KALMAN: &str = r#"{"kind":"Kalman"}"#;
    const FADING: &str = r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}"#;

    fn filter<T: Scalar>(model: &str, family: &str, rule: &str, p: usize) -> Filter<T> {
        let json = format!(
            r#"{{"model":{model},"family":{family},"belief":{{"kind":"Full","prior_variance":2.0}},"rule":{rule},
            "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
            "theta":{{"shape":[{p}]}},"evidence":true,"dtype":"{}","num_threads":null,"feature_names":null,"seed":0}}"#,
            T::NAME
        );
        let values = (0..p).map(|i| 0.3 * (1.7 * i as f64).sin()).collect();
        let theta = Array {
            shape: vec![p],
            values,
        };
        let arrays = Arrays::from([("theta".into(), theta)]);
        Filter::new(Spec::parse(&json).unwrap(), &arrays).unwrap()
    }

    /// Row t, every seventh with a y whose square is no number; whether it was taken.
    fn feed<T: Scalar>(filter: &mut Filter<T>, t: usize) -> bool {
        let (d, k, m) = {
            let sizes = filter.sizes();
            (sizes.d, sizes.k, sizes.scales)
        };
        let u: Vec<T> = (0..d)
            .map(|j| T::of(((t * d + j) as f64 * 0.7).sin()))
            .collect();
        let bad = t % 7 == 5 || (40..43).contains(&t);
        let value = if bad { 1e200 } else { (t % 3) as f64 };
        let (y, offset) = (vec![value; k], vec![0.1; k]);
        let block = Block {
            input: Input::Features(&u),
            y: &y,
            weight: &[1.0],
            dt: &[1.0],
            offset: &offset,
            blank: &[false],
        };
        let (mut z, mut c, mut a, mut b) =
            (vec![0.0; k], vec![0.0; k * k], vec![0.0; m], vec![0.0; m]);
        let mut report = Report {
            z: &mut z,
            c: &mut c,
            a: &mut a,
            b: &mut b,
            flags: &mut [0],
            trust: &mut [],
        };
        let (taken, error) = filter.run(&block, &mut report);
        assert!(
            (taken == 0) == error.is_some() && error.is_some() == bad,
            "{t}: {error:?}"
        );
        taken == 1
    }

    fn bits<T: Scalar>(filter: &Filter<T>) -> Vec<u64> {
        let state = &filter.state;
        let numbers = state.theta().iter().chain(state.belief());
        let numbers = numbers.map(|x| x.to_f64().to_bits());
        let wide = state.wide.iter().map(|x| x.to_bits());
        wide.chain(numbers).collect()
    }

    fn check<T: Scalar>(model: &str, family: &str, rule: &str, p: usize) {
        let name = format!("{model} {family} {rule} {}", T::NAME);
        let mut one = filter::<T>(model, family, rule, p);
        let mut other = filter::<T>(model, family, rule, p);
        other.journal = None;
        let (mut stayed, mut refused) = (0, 0);
        for t in 0..120 {
            let (before, at) = (bits(&one), one.state.belief().as_ptr());
            let (taken, same) = (feed(&mut one, t), feed(&mut other, t));
            assert!(
                taken == same && bits(&one) == bits(&other),
                "{name}, row {t}"
            );
            if !taken {
                assert!(bits(&one) == before, "{name}, row {t}");
                refused += usize::from(at != one.state.belief().as_ptr());
            }
            stayed += usize::from(taken && at == one.state.belief().as_ptr());
        }
        assert!(stayed > 40, "{name}: {stayed} rows in place");
        assert!(refused > 10, "{name}: {refused} rows taken back");
    }

    #[test]
    fn a_row_in_place_leaves_the_same_bits_and_can_be_taken_back() {
        for rule in [KALMAN, FADING] {
            for (model, family, p) in [
                (LINEAR, GAUSSIAN, 40),
                (LINEAR, POISSON, 40),
                (MLP, GAUSSIAN, 46),
                (MLP_2, GAUSSIAN, 50),
            ] {
                check::<f64>(model, family, rule, p);
                check::<f32>(model, family, rule, p);
            }
        }
    }

    /// The control of the test above: a journal with one number changed does not lead back.
    #[test]
    fn what_is_taken_back_comes_from_the_journal() {
        let mut one = filter::<f64>(MLP, GAUSSIAN, KALMAN, 46);
        assert!((0..5).all(|t| feed(&mut one, t)));
        let before = bits(&one);
        one.journal.as_mut().unwrap().disturb();
        assert!(!feed(&mut one, 5) && bits(&one) != before);
    }
}
