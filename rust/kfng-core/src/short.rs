//! The short way of one row: of a linear model of one output with a full belief, where time does nothing but let D decay, with more
//! parameters than small/ takes.
//!
//! The operations of `step`, in the same order and on the same functions, so with the same bits; what is left out is what a wave, several
//! outputs and another belief need.

use crate::belief::Uncertainty;
use crate::error::Error;
use crate::family::{Likelihood, Seen};
use crate::filter::{Filter, apart};
use crate::journal::Place;
use crate::linalg::{axpy, dot};
use crate::model::{Model, Output};
use crate::row::{Block, Input, Report, Row};
use crate::scalar::Scalar;
use crate::state::{BOUND, CLAMPED, ELAPSED, LOG_SINCE, N_SEEN, N_UPDATES, NOISE, finite};

impl<T: Scalar> Filter<T> {
    /// Whether rows in sequence are faster in waves than one by one the short way.
    pub(crate) fn gains_by_waves(&self) -> bool {
        apart(&self.model, &self.family, self.iterations) && !self.reweighs()
    }

    /// The row of a block of one row that fits, as does the report, where there is one output.
    #[inline]
    pub(crate) fn alone<'a>(
        &self,
        block: &Block<'a, T>,
        report: &Report<'_>,
    ) -> Option<Row<'a, T>> {
        let ([weight], [dt], [offset], [blank]) =
            (block.weight, block.dt, block.offset, block.blank)
        else {
            return None;
        };
        let Input::Features(u) = block.input else {
            return None;
        };
        let m = self.sizes.scales;
        let fits = u.len() == self.sizes.d && block.y.len() == self.sizes.width;
        let room = [report.z.len(), report.c.len(), report.flags.len()] == [1; 3]
            && [report.a.len(), report.b.len()] == [m; 2];
        (fits && room).then_some(Row {
            input: block.input,
            y: block.y,
            weight: *weight,
            dt: *dt,
            offset: std::slice::from_ref(offset),
            blank: *blank,
        })
    }

    /// Row `i` of a block. `false`: it has no short way, and nothing has changed, as on an error.
    #[inline]
    pub(crate) fn short_step(
        &mut self,
        row: &Row<'_, T>,
        i: usize,
        report: &mut Report<'_>,
    ) -> Result<bool, Error> {
        let Input::Features(u) = row.input else {
            return Ok(false);
        };
        let before = &self.state.wide;
        let (n_seen, since, t) = (before[N_SEEN], before[LOG_SINCE], before[N_UPDATES] + 1.0);
        if row.blank || row.weight == 0.0 || self.family.missing(row.y) {
            return Ok(false);
        }
        let time = self.rule.time(row.dt, t, true, self.limits.log_floor)?;
        if time.passes && self.limits.due(n_seen, since + time.log_decay) {
            return Ok(false);
        }
        let rates = self.rule.rates(t)?;
        let scale = if self.rule.has_posterior() {
            self.rule.scale(t)?
        } else {
            0.0
        };
        follow(&mut self.next.wide, &self.state.wide);
        let wide = &mut self.next.wide;
        wide[N_SEEN] += 1.0;
        wide[ELAPSED] += row.dt;
        wide[LOG_SINCE] += time.log_decay;
        if let Some(noise) = &self.scale {
            noise.fade(wide, time.decay);
        }
        self.note_noise();
        let Model::Linear(model) = &self.model else {
            return Ok(false);
        };
        self.columns.clear();
        let h = self.columns.push(T::zero(), T::of(time.decay), 0);
        model.forward(&[], u, &mut [], h, self.sizes.padded, &mut []);
        let mut z = [dot(self.columns.h(0), self.state.theta()).to_f64()];
        z[0] += row.offset[0];
        if !z[0].is_finite() {
            return Err(Error::Overflow);
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
        self.columns.set_weight(0, weight);
        let (place, growth) = self.fuse_columns(false);
        let met = Met {
            z: z[0],
            score,
            learning: rates.learning,
            scale,
        };
        match self.short_learn(row, &met, i, report, (place, growth)) {
            Ok(()) => self.commit_step(place),
            Err(error) => return Err(self.refuse_step(place, error)),
        }
        Ok(true)
    }

    /// What the row teaches, once its column has been fused, and whether that can be committed.
    #[inline(always)]
    fn short_learn(
        &mut self,
        row: &Row<'_, T>,
        met: &Met,
        i: usize,
        report: &mut Report<'_>,
        (place, growth): (Place, f64),
    ) -> Result<(), Error> {
        let c = met.scale * self.columns.q(0).to_f64();
        if !c.is_finite() {
            return Err(Error::Overflow);
        }
        (report.z[i], report.c[i]) = (met.z, c);
        if let m @ 1.. = self.sizes.scales {
            let (a, b) = self.work.noise.split_at(m);
            report.a[i * m..(i + 1) * m].copy_from_slice(a);
            report.b[i * m..(i + 1) * m].copy_from_slice(b);
        }
        let (gain, fit) = self.gain(0, met.learning, met.score, row.weight)?;
        let theta = self.next.theta_mut();
        theta.copy_from_slice(self.state.theta());
        axpy(T::of(gain), self.columns.b(0), theta);
        let fine = finite(theta);
        self.account(&fit, 1, row, i, report);
        let bound = self.next.wide[BOUND];
        self.next.wide[BOUND] = self.belief.settle(self.proposed(place), bound, growth)?;
        if fine && finite(&self.next.wide[ELAPSED..]) {
            Ok(())
        } else {
            Err(Error::Overflow)
        }
    }
}

/// What is known of a row before its column is fused.
struct Met {
    z: f64,
    score: (f64, f64),
    learning: f64,
    scale: f64,
}

/// Copies without a call where there are few numbers.
#[inline(always)]
fn follow(to: &mut [f64], from: &[f64]) {
    if let (Some((to, rest)), Some((from, more))) = (
        to.split_first_chunk_mut::<NOISE>(),
        from.split_first_chunk::<NOISE>(),
    ) {
        *to = *from;
        for (to, from) in rest.iter_mut().zip(more) {
            *to = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::field::{Array, Arrays};
    use crate::filter::Filter;
    use crate::row::{Block, FLAG_SKIPPED, Input, Report, Row};
    use crate::scalar::Scalar;
    use crate::spec::Spec;

    fn filter<T: Scalar>(d: usize, family: &str, rule: &str) -> Filter<T> {
        let p = d + 1;
        let json = format!(
            r#"{{"model":{{"kind":"Linear","n_features":{d},"n_outputs":1,"intercept":true}},"family":{family},
            "belief":{{"kind":"Full","prior_variance":2.0}},"rule":{rule},
            "guards":{{"kind":"Guards","step_clip":"auto","z_clamp":"auto","windup":4.0,"r_floor":1e-9}},
            "theta":{{"shape":[{p}]}},"evidence":true,"dtype":"{}","num_threads":null,"feature_names":null,"seed":0}}"#,
            T::NAME
        );
        let (shape, values) = (vec![p], (0..p).map(|i| 0.1 * i as f64).collect());
        let arrays = Arrays::from([("theta".into(), Array { shape, values })]);
        Filter::new(Spec::parse(&json).unwrap(), &arrays).unwrap()
    }

    /// Feeds rows one at a time; returns all that was reported, and how many rows went the short way.
    fn feed<T: Scalar>(filter: &mut Filter<T>, d: usize, short: bool) -> (Vec<u64>, usize) {
        let (mut seen, mut taken, m) = (Vec::new(), 0, filter.sizes().scales);
        for i in 0..60usize {
            let u: Vec<T> = (0..d)
                .map(|j| T::of(((i * d + j) as f64 * 0.7).sin()))
                .collect();
            let y = if i % 7 == 3 {
                f64::NAN
            } else {
                f64::from(u8::from(i % 3 == 0))
            };
            let (weight, dt) = (if i % 11 == 5 { 0.0 } else { 1.5 }, 0.5 * (i % 4) as f64);
            let (mut z, mut c, mut a, mut b) = ([0.0], [0.0], vec![0.0; m], vec![0.0; m]);
            let mut flags = [0];
            let mut report = Report {
                z: &mut z,
                c: &mut c,
                a: &mut a,
                b: &mut b,
                flags: &mut flags,
                trust: &mut [],
            };
            let (input, blank) = (Input::Features(&u[..]), i % 7 == 3 && i % 2 == 0);
            let row = Row {
                input,
                y: &[y],
                weight,
                dt,
                offset: &[0.1],
                blank,
            };
            if short && filter.short_step(&row, 0, &mut report).unwrap() {
                taken += 1;
            } else {
                let block = Block {
                    input,
                    y: &[y],
                    weight: &[weight],
                    dt: &[dt],
                    offset: &[0.1],
                    blank: &[blank],
                };
                filter.short = false;
                assert_eq!(filter.run(&block, &mut report), (1, None));
            }
            let flag = flags[0] & FLAG_SKIPPED;
            seen.extend([z[0].to_bits(), c[0].to_bits(), flag.into()]);
            seen.extend(a.iter().chain(&b).map(|x| x.to_bits()));
        }
        (seen, taken)
    }

    fn same<T: Scalar>(d: usize, family: &str, rule: &str) {
        let (mut one, mut two) = (filter::<T>(d, family, rule), filter::<T>(d, family, rule));
        assert!(one.short);
        let (long, none) = feed(&mut one, d, false);
        let (short, taken) = feed(&mut two, d, true);
        assert!(none == 0 && taken >= 40, "{taken} rows went the short way");
        assert!(long == short, "{family} {rule} d = {d}");
        let bits = |filter: &Filter<T>| -> Vec<u64> {
            let state = &filter.state;
            let narrow = state
                .theta()
                .iter()
                .chain(state.belief())
                .map(|x| x.to_f64().to_bits());
            state
                .wide
                .iter()
                .map(|x| x.to_bits())
                .chain(narrow)
                .collect()
        };
        assert!(bits(&one) == bits(&two), "{family} {rule} d = {d}");
    }

    #[test]
    fn the_short_way_has_the_same_bits() {
        let gaussian = |variance: &str| {
            format!(
                r#"{{"kind":"Gaussian","variance":{variance},"covariance":null,"prior_dof":3.0,"prior_scale":1.0}}"#
            )
        };
        let families = [
            gaussian("0.5"),
            gaussian("null"),
            gaussian(r#""each""#),
            r#"{"kind":"Bernoulli"}"#.into(),
            r#"{"kind":"Poisson"}"#.into(),
        ];
        for rule in [
            r#"{"kind":"Kalman"}"#,
            r#"{"kind":"Fading","forgetting":0.02,"half_life":null,"towards":null}"#,
        ] {
            for family in &families {
                for d in [16, 40, 64] {
                    same::<f64>(d, family, rule);
                    same::<f32>(d, family, rule);
                }
            }
        }
    }
}
