//! The lean way of a row: of a linear model of one output with variances alone, in place, one pass over theta and V a row.
//!
//! The operations of `step` with the same bits. What `step` proves by writing a second buffer and looking at it, that nothing
//! overflows, is here proved before anything is written:
//!
//! ```text
//! |theta_i + gain·V_i h_i| <= max|theta| + |gain| sqrt(max V · h'V h),   0 <= V_new <= V/decay <= max V/decay
//! ```
//!
//! A row for which that is no proof goes the ordinary way; so does one that teaches nothing, or with which variances are taken back.

use crate::belief::Belief;
use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, gain};
use crate::lean::after;
use crate::linalg::largest;
use crate::linalg::sweep::{Change, Incoming, Sums, learn, look};
use crate::row::{Block, Input, Report, Row};
use crate::scalar::Scalar;
use crate::state::{CLAMPED, ELAPSED, LOG_SINCE, N_SEEN, N_UPDATES, finite};

impl<T: Scalar> Filter<T> {
    /// Whether threads could share its passes.
    pub fn shares_out(&self) -> bool {
        matches!(self.belief, Belief::Full(_))
    }

    /// Whether rows are taken in place: such a filter itself sees whether the inputs are finite.
    pub fn is_lean(&self) -> bool {
        self.lean.is_some()
    }

    /// [`Filter::run`] where there is a lean way. Fewer rows than there are and no error: the row after them is not finite.
    pub(crate) fn run_lean(
        &mut self,
        block: &Block<'_, T>,
        report: &mut Report<'_>,
    ) -> (usize, Option<Error>) {
        self.settle();
        let (m, d, width) = (block.len(), self.sizes.d, self.sizes.width);
        let inputs = |i: usize| match block.input {
            Input::Features(u) if i < m => Some(&u[i * d..(i + 1) * d]),
            _ => None,
        };
        let mut sums = None;
        for i in 0..m {
            let (row, Some(u)) = (block.row(i, d, 1, width), inputs(i)) else {
                return (i, None);
            };
            match self.lean_step(&row, (u, inputs(i + 1)), i, report, &mut sums) {
                Ok(true) => continue,
                Ok(false) if !finite(u) => return (i, None),
                Ok(false) => {}
                Err(error) => return (i, Some(error)),
            }
            sums = None;
            if let Err(error) = self.step(block, i..i + 1, report) {
                return (i, Some(error));
            }
        }
        (m, None)
    }

    /// Row `i` of a block. `false`: it has no lean way, and nothing has changed, as on an error. `sums`: of this row where they are known
    /// from the one before, then of the next one.
    fn lean_step(
        &mut self,
        row: &Row<'_, T>,
        (u, next): (&[T], Option<&[T]>),
        i: usize,
        report: &mut Report<'_>,
        sums: &mut Option<Sums<T>>,
    ) -> Result<bool, Error> {
        let before = &self.state.wide;
        let (n_seen, since, t) = (before[N_SEEN], before[LOG_SINCE], before[N_UPDATES] + 1.0);
        if row.blank || row.weight == 0.0 || self.family.missing(row.y) {
            return Ok(false);
        }
        let time = self.rule.time(row.dt, t, true, self.limits.log_floor)?;
        let due = time.passes && self.limits.due(n_seen, since + time.log_decay);
        if due && self.winds_up(t, time.decay)? {
            return Ok(false);
        }
        let rates = self.rule.rates(t)?;
        let scale = if self.rule.has_posterior() {
            self.rule.scale(t)?
        } else {
            0.0
        };
        let Some(seen) = sums.take().or_else(|| self.first_look(u)) else {
            return Ok(false);
        };
        let wide = &mut self.next.wide;
        wide.copy_from_slice(&self.state.wide);
        wide[N_SEEN] += 1.0;
        wide[ELAPSED] += row.dt;
        wide[LOG_SINCE] = if due {
            0.0
        } else {
            wide[LOG_SINCE] + time.log_decay
        };
        if let Some(noise) = &self.scale {
            noise.fade(wide, time.decay);
        }
        self.note_noise();
        let mut z = [seen.z.to_f64() + row.offset[0]];
        let inverse_decay = T::one() / T::of(time.decay);
        let q = seen.q * inverse_decay;
        if !(z[0].is_finite() && q.to_f64().is_finite()) {
            return Ok(false);
        }
        let clamped = self.family.clamp(&mut z, self.limits.z_clamp);
        self.next.wide[CLAMPED] += f64::from(clamped);
        let (a, b) = self.work.noise.split_at(self.sizes.scales);
        let score = self.family.score(&Seen {
            z: &z,
            c: &[],
            y: row.y,
            a,
            b,
        });
        let weight = T::of(rates.metric * row.weight * score.1);
        let (alpha, c) = (T::one() + weight * q, scale * q.to_f64());
        let found = gain(
            (alpha.to_f64(), q.to_f64()),
            rates.learning,
            score,
            row.weight,
            self.limits.step_clip,
        );
        let (Ok((gain, fit)), true) = (found, c.is_finite()) else {
            return Ok(false);
        };
        let change = Change {
            inverse_decay,
            gain: T::of(gain),
            weight,
            alpha,
            keeps_precision: matches!(&self.belief, Belief::Diagonal(own) if own.keeps_precision()),
        };
        let Some(bounds) = self.bounds_after(&change, q) else {
            return Ok(false);
        };
        (report.z[i], report.c[i]) = (z[0], c);
        if let m @ 1.. = self.sizes.scales {
            report.a[i * m..(i + 1) * m].copy_from_slice(a);
            report.b[i * m..(i + 1) * m].copy_from_slice(b);
        }
        self.account(&fit, 1, row, i, report);
        if !finite(&self.next.wide) {
            return Ok(false);
        }
        *sums = self.commit(change, bounds, next);
        Ok(true)
    }

    /// Whether the wind-up check of this row takes a variance back.
    fn winds_up(&self, t: f64, decay: f64) -> Result<bool, Error> {
        let (Some(windup), Belief::Diagonal(belief)) = (self.limits.windup, &self.belief) else {
            return Ok(false);
        };
        if self.scale_0 == 0.0 {
            return Ok(false);
        }
        let scale = self.scale_0 / self.rule.scale(t)?;
        Ok(belief.over(windup / 2.0, scale, decay, self.state.belief()) > 0)
    }

    /// The sums of a row of which nothing is known yet.
    fn first_look(&mut self, u: &[T]) -> Option<Sums<T>> {
        let lean = self.lean.as_mut()?;
        let row = Incoming {
            from: u,
            to: &mut lean.rows[lean.at],
        };
        Some(look(self.state.theta(), self.state.belief(), row))
    }

    /// The bounds after a change, unless something could overflow. They are looked up anew where those at hand are no proof, so that the
    /// answer does not depend on how old they are.
    fn bounds_after(&self, change: &Change<T>, q: T) -> Option<[f64; 2]> {
        let old = self.lean.as_ref()?.bounds;
        if let Some(after) = old.and_then(|bounds| after(bounds, change, q)) {
            return Some(after);
        }
        let exact = [self.state.theta(), self.state.belief()].map(|x| largest(x).to_f64());
        after(exact, change, q)
    }

    /// Writes the row into the state, in place; nothing can fail any more. Returns the sums of the next row.
    fn commit(
        &mut self,
        change: Change<T>,
        bounds: [f64; 2],
        next: Option<&[T]>,
    ) -> Option<Sums<T>> {
        let lean = self.lean.as_mut()?;
        let [even, odd] = &mut lean.rows;
        let (h, to) = if lean.at == 0 {
            (even, odd)
        } else {
            (odd, even)
        };
        let (theta, v) = self.state.narrow.split_at_mut(self.sizes.padded);
        let next = next.map(|from| Incoming { from, to });
        lean.at = if next.is_some() { 1 - lean.at } else { lean.at };
        let sums = learn(theta, v, h, change, next);
        lean.bounds = Some(bounds);
        std::mem::swap(&mut self.state.wide, &mut self.next.wide);
        sums
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::field::{Array, Arrays};
    use crate::filter::Filter;
    use crate::linalg::testing::Rng;
    use crate::row::{Block, Input, Report};
    use crate::scalar::Scalar;
    use crate::spec::Spec;

    const KALMAN: &str = r#"{"kind":"Kalman"}"#;
    const FADING: &str = r#"{"kind":"Fading","forgetting":0.05,"half_life":null,"towards":null}"#;

    fn gaussian(variance: &str) -> String {
        format!(
            r#"{{"kind":"Gaussian","variance":{variance},"covariance":null,"prior_dof":3.0,"prior_scale":1.0}}"#
        )
    }

    fn filter<T: Scalar>(d: usize, family: &str, rule: &str, belief: (&str, f64)) -> Filter<T> {
        let (p, (projection, prior)) = (d + 1, belief);
        let json = format!(
            r#"{{"model":{{"kind":"Linear","n_features":{d},"n_outputs":1,"intercept":true}},"family":{family},
            "belief":{{"kind":"Diagonal","prior_variance":{prior:?},"projection":"{projection}"}},"rule":{rule},
            "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
            "theta":{{"shape":[{p}]}},"evidence":true,"dtype":"{}","num_threads":null,"feature_names":null,"seed":0}}"#,
            T::NAME
        );
        let (shape, values) = (vec![p], (0..p).map(|i| 0.01 * i as f64).collect());
        let arrays = Arrays::from([("theta".into(), Array { shape, values })]);
        Filter::new(Spec::parse(&json).unwrap(), &arrays).unwrap()
    }

    /// What a filter reports of rows in blocks of these lengths, and its state afterwards; the error that ended it.
    fn fed<T: Scalar>(
        filter: &mut Filter<T>,
        u: &[T],
        y: &[f64],
        lengths: &[usize],
    ) -> (Vec<u64>, Option<Error>) {
        let (d, m) = (filter.sizes.d, filter.sizes.scales);
        let (mut seen, mut ended, mut i) = (Vec::new(), None, 0);
        for &n in lengths.iter().cycle() {
            let n = n.min(y.len() - i);
            let weight: Vec<f64> = (i..i + n)
                .map(|i| if i % 11 == 5 { 0.0 } else { 1.5 })
                .collect();
            let dt: Vec<f64> = (i..i + n).map(|i| 0.5 * (i % 4) as f64).collect();
            let (mut z, mut c) = (vec![0.0; n], vec![0.0; n]);
            let (mut a, mut b, mut flags) = (vec![0.0; n * m], vec![0.0; n * m], vec![0; n]);
            let mut report = Report {
                z: &mut z,
                c: &mut c,
                a: &mut a,
                b: &mut b,
                flags: &mut flags,
                trust: &mut [],
            };
            let block = Block {
                input: Input::Features(&u[i * d..(i + n) * d]),
                y: &y[i..i + n],
                weight: &weight,
                dt: &dt,
                offset: &vec![0.1; n],
                blank: &vec![false; n],
            };
            let (done, error) = filter.run(&block, &mut report);
            for x in [&z, &c].into_iter().chain([&a, &b]) {
                let per = x.len() / n.max(1);
                seen.extend(x[..done * per].iter().map(|x| x.to_bits()));
            }
            seen.extend(flags[..done].iter().map(|&flag| u64::from(flag)));
            i += done;
            if error.is_some() || done < n || i == y.len() {
                ended = error;
                break;
            }
        }
        seen.push(i as u64);
        let (wide, narrow) = (&filter.state.wide, &filter.state.narrow);
        seen.extend(wide.iter().map(|x| x.to_bits()));
        seen.extend(narrow.iter().map(|x| x.to_f64().to_bits()));
        (seen, ended)
    }

    /// Both ways over the same rows; how many rows were taken in place.
    fn both<T: Scalar>(
        make: impl Fn() -> Filter<T>,
        u: &[T],
        y: &[f64],
        lengths: &[usize],
    ) -> Option<Error> {
        let (mut ordinary, mut lean) = (make(), make());
        ordinary.lean = None;
        assert!(lean.is_lean());
        // Reports come in the order of blocks, so that both are cut alike.
        let (one, error) = fed(&mut ordinary, u, y, lengths);
        let (two, same) = fed(&mut lean, u, y, lengths);
        assert!(
            one == two && error == same,
            "{lengths:?} {error:?} {same:?}"
        );
        error
    }

    fn every_way<T: Scalar>() {
        let families = [
            gaussian("0.5"),
            gaussian("null"),
            gaussian(r#""each""#),
            r#"{"kind":"Bernoulli"}"#.into(),
            r#"{"kind":"Poisson"}"#.into(),
        ];
        for d in [16, 17, 31, 33, 64, 100, 257, 1031] {
            let (mut rng, n) = (Rng(d as u64 + 5), 40);
            let u: Vec<T> = (0..n * d).map(|_| T::of(rng.next())).collect();
            let mut y: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
            (y[7], y[8]) = (f64::NAN, f64::NAN);
            for family in &families {
                for (rule, projection) in [
                    (KALMAN, "precision"),
                    (FADING, "precision"),
                    (FADING, "covariance"),
                ] {
                    let make = || filter::<T>(d, family, rule, (projection, 0.3));
                    assert!(both(make, &u, &y, &[1]).is_none());
                    assert!(both(make, &u, &y, &[n]).is_none());
                    assert!(both(make, &u, &y, &[3, 1, 5]).is_none());
                    let (mut one, mut all) = (make(), make());
                    fed(&mut one, &u, &y, &[1]);
                    fed(&mut all, &u, &y, &[n]);
                    let bits = |filter: &Filter<T>| -> Vec<u64> {
                        let narrow = filter.state.narrow.iter().map(|x| x.to_f64().to_bits());
                        let wide = filter.state.wide.iter().map(|x| x.to_bits());
                        wide.chain(narrow).collect()
                    };
                    assert!(bits(&one) == bits(&all));
                }
            }
        }
    }

    #[test]
    fn the_lean_way_has_the_same_bits() {
        every_way::<f64>();
        every_way::<f32>();
    }

    /// Near the largest number the bound is no proof: rows are refused, or taken, exactly as the ordinary way does it.
    fn near_the_limit<T: Scalar>() {
        let (d, most) = (40, T::MAX.to_f64());
        let (mut refused, mut taken) = (0, 0);
        let mut rng = Rng(3);
        let root = most.sqrt();
        for reach in [most * 0.9, most * 1e-3, root * 0.3, most.powf(0.25), 1.0] {
            for size in [
                most * 0.2,
                root * 0.2,
                most.powf(0.25),
                1.0,
                most.powf(-0.25),
                1.0 / root,
                0.1 / root,
            ] {
                let u: Vec<T> = (0..8 * d).map(|_| T::of(size * rng.next())).collect();
                let y: Vec<f64> = (0..8).map(|i| reach * f64::from(1 - i % 2 * 2)).collect();
                for projection in ["precision", "covariance"] {
                    for prior in [1.0, most * 0.4, most * 0.2, most.sqrt()] {
                        for variance in ["1.0", "1e-30", "1e30"] {
                            let family = gaussian(variance);
                            let make = || filter::<T>(d, &family, FADING, (projection, prior));
                            match both(make, &u, &y, &[8]) {
                                Some(_) => refused += 1,
                                None => taken += 1,
                            }
                        }
                    }
                }
            }
        }
        assert!(
            refused > 20 && taken > 20,
            "{refused} refused, {taken} taken"
        );
    }

    #[test]
    fn the_bound_refuses_what_the_look_refuses() {
        near_the_limit::<f64>();
        near_the_limit::<f32>();
    }

    #[test]
    fn a_row_that_is_not_finite_is_left_to_the_caller() {
        let make = || filter::<f64>(40, &gaussian("1.0"), KALMAN, ("precision", 1.0));
        let (mut whole, mut part) = (make(), make());
        for bad in [f64::NAN, f64::INFINITY] {
            let mut u: Vec<f64> = (0..5 * 40).map(|i| f64::from(i).sin()).collect();
            let y = [1.0, f64::NAN, 0.5, 1.0, 2.0];
            u[3 * 40 + 39] = bad;
            let (seen, error) = fed(&mut whole, &u, &y, &[5]);
            let (same, none) = fed(&mut part, &u[..3 * 40], &y[..3], &[3]);
            assert!(seen == same && error.is_none() && none.is_none());
        }
    }
}
