//! The filter and its step.
//!
//! ```text
//! theta, u ─▶ model ─▶ z, dz        z + offset, y ─▶ family ─▶ e, L        dt ─▶ rule ─▶ decay, rates
//!   columns of dz and dz'L ─▶ belief.fuse ─▶ b, q ─▶ dtheta, noise scale, report
//! ```
//!
//! With the NEW covariance in dtheta this is the natural gradient with the Fisher matrix J = P^-1, and the extended Kalman filter, at
//! once. Source: Ollivier 2018, arXiv 1703.00209.

use std::ops::Range;

use crate::belief::{Belief, Uncertainty};
use crate::error::{Error, fault};
use crate::family::{Family, Likelihood, Link};
use crate::field::{Arrays, filled, product};
use crate::guard::Limits;
use crate::iterate::Iterate;
use crate::journal::{Journal, Place};
use crate::lean::Lean;
use crate::linalg::{Aligned, Columns, INDEX_ORDER_MAX, MOST, SharedRow, dot, threads};
use crate::model::{Model, Output};
use crate::recurrence::Recurrence;
use crate::robust::{Distance, Robust};
use crate::row::{Block, Report};
use crate::rule::{PLAIN, Rates, Rule, STILL, Time};
use crate::scalar::Scalar;
use crate::scale::Scale;
use crate::small::{Parts, Small};
use crate::spec::{Iterations, Spec};
use crate::state::{BOUND, State, finite};
use crate::turns::{LOG_D, Turns};

/// Columns that a wave aims at: the gain of sharing a pass is had by then.
const WAVE: usize = 16;
/// Threads that have a wave's columns each: what they hand on to one another is then paid for once in so many rows.
const MOST_THREADS: usize = 4;

/// A filter: what never changes, the state, and the workspace that a step writes to before it is committed.
#[derive(Debug)]
pub struct Filter<T> {
    pub(crate) model: Model,
    pub(crate) family: Family,
    pub(crate) belief: Belief,
    pub(crate) rule: Rule,
    pub(crate) limits: Limits,
    pub(crate) scale: Option<Scale>,
    pub(crate) turns: Option<Turns<T>>,
    /// Scale of the posterior covariance before the first row.
    pub(crate) scale_0: f64,
    pub(crate) evidence: bool,
    pub(crate) robust: Option<Robust>,
    /// What such a filter of several outputs works with.
    pub(crate) distance: Distance,
    pub(crate) iterations: Iterations,
    pub(crate) iterate: Option<Iterate<T>>,
    pub(crate) recurrence: Option<Recurrence<T>>,
    /// The way of most rows of few parameters.
    pub(crate) small: Option<Small<T>>,
    /// Whether most rows can go the short way.
    pub(crate) short: bool,
    pub(crate) together: Together,
    /// What most rows of a diagonal belief need, where they are taken in place.
    pub(crate) lean: Option<Lean<T>>,
    /// Whether the covariance of several outputs is taken from products, not from columns that are fused with weight 0.
    pub(crate) spreads: bool,
    pub(crate) sizes: Sizes,
    // Boxed, for they change places in every step.
    pub(crate) state: Box<State<T>>,
    pub(crate) next: Box<State<T>>,
    pub(crate) columns: Columns<T>,
    /// How to take a row back, where rows write the belief in place.
    pub(crate) journal: Option<Journal<T>>,
    pub(crate) work: Work<T>,
}

/// Blocks of rows whose weights depend on theta: whether they gain, whether they may be taken now, how many were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Together {
    pub gains: bool,
    pub now: bool,
    pub taken: u64,
}

/// Sizes used everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// What the belief is about: parameters, behind s_0 where that is unknown.
    pub p: usize,
    /// Components of s_0 among them.
    pub free: usize,
    /// Components of the state of a recurrent model.
    pub n: usize,
    /// Inputs, 0 where rows bring their outputs.
    pub d: usize,
    /// Outputs.
    pub k: usize,
    /// Numbers in one observation.
    pub width: usize,
    /// Learned noise variances.
    pub scales: usize,
    /// Length of theta and of every column.
    pub padded: usize,
    /// Rows that can share a pass on one thread.
    pub wave: usize,
    /// Rows that can share a pass on all threads.
    pub room: usize,
}

/// Sized once, so that no step allocates.
#[derive(Debug)]
pub(crate) struct Work<T> {
    /// dz of one row (k, padded) where k > 1, else one column.
    pub dz: Aligned<T>,
    /// (padded,)
    pub dtheta: Aligned<T>,
    /// What the model works with.
    pub model: Vec<T>,
    /// Outputs that the row at hand informs about, (k,).
    pub chosen: Vec<usize>,
    /// diag(P) (padded,), or P h of a prediction.
    pub diagonal: Aligned<T>,
    /// z of each row of the wave, (room, k).
    pub z: Vec<f64>,
    /// Fisher factor of each row of the wave, (room, k, k), where k > 1.
    pub l: Vec<f64>,
    /// Observed outputs of each row of the wave, (room, k).
    pub seen: Vec<usize>,
    /// (k² + k,)
    pub small: Vec<f64>,
    /// Products and outputs of a block of rows, (wave² + wave,) where such blocks gain; dz P dz' of a row, (k, k), where it is taken so.
    pub gram: Vec<f64>,
    /// The inputs of a row of several outputs and what its columns are of them, where all are fused together.
    pub shared: Option<SharedRow<T>>,
    /// a (m,) and b (m,) of the learned noise variances as the row reports them.
    pub noise: Vec<f64>,
    /// (room,)
    pub slots: Vec<Slot>,
}

/// Where the covariance C = dz P dz' of a row comes from: rows of dz that went through the belief, products with it, the columns dz'L, or
/// the pass itself, where all columns of the row are fused together as multiples of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    Rows,
    Products,
    Factor,
    Pass,
}

/// What is known of a row of the wave before the pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub time: Time,
    /// Its number among the rows that learn, if it does.
    pub t: f64,
    /// How it enters.
    pub rates: Rates,
    /// Its predictive covariance as a multiple of that of the belief.
    pub scale: f64,
    /// Whether its time step ends with a wind-up check.
    pub due: bool,
    pub missing: bool,
    /// Whether it teaches anything.
    pub learns: bool,
    /// Its first column.
    pub first: usize,
    /// Observed outputs.
    pub seen: usize,
    /// Columns before those of dz'L: the rows of dz, unless C comes from dz'L itself or from products.
    pub ahead: usize,
    pub spread: Spread,
    /// One output: score and Fisher information at z.
    pub score: (f64, f64),
    /// What multiplies its weight.
    pub trust: f64,
    /// Its squared distance at full weight, where that had to be known before its columns.
    pub distance: f64,
}

/// What correcting theta has shown: w·e'S^-1 e (NaN where L has no inverse), what of it was learned, and max(alpha) - 1.
pub(crate) struct Fit {
    pub(crate) distance: f64,
    pub(crate) learned: f64,
    /// What the row counted for.
    pub(crate) trust: f64,
    pub(crate) rho: f64,
    pub(crate) clipped: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Slot {
            time: STILL,
            t: 1.0,
            rates: PLAIN,
            scale: 1.0,
            due: false,
            missing: false,
            learns: false,
            first: 0,
            seen: 0,
            ahead: 0,
            spread: Spread::Rows,
            score: (0.0, 0.0),
            trust: 1.0,
            distance: 0.0,
        }
    }
}

impl<T: Scalar> Filter<T> {
    /// A filter at its prior. Every size is checked before memory is asked for, and memory that cannot be had is an error.
    pub fn new(spec: Spec, arrays: &Arrays) -> Result<Self, Error> {
        Self::made(spec, arrays, None)
    }

    /// The same, or with the state of another filter still to come (resize.rs): without one, and with columns only where those of `donor`
    /// have another length.
    pub(crate) fn made(spec: Spec, arrays: &Arrays, donor: Option<Sizes>) -> Result<Self, Error> {
        let (n, free, own) = spec.unknowns()?;
        let p = free.checked_add(own).ok_or(Error::Memory(usize::MAX))?;
        let state_0 = if n > 0 { spec.state_0(n, arrays)? } else { &[] };
        let theta_0 = spec.theta_0(arrays)?;
        let mut phi_0: Vec<f64> = filled(p)?;
        for (to, x) in phi_0.iter_mut().zip(state_0[..free].iter().chain(theta_0)) {
            *to = *x;
        }
        let Spec {
            mut model,
            mut family,
            mut belief,
            mut rule,
            guards,
            evidence,
            robust,
            iterations,
            sensitivity,
            ..
        } = spec;
        let k = model.outputs();
        model.prepare(arrays)?;
        if let (Belief::Point(point), Some(_)) = (&mut belief, rule.moments()) {
            point.keep_moments();
        }
        belief.prepare(p, arrays)?;
        family.prepare(k, arrays)?;
        rule.prepare(p, arrays)?;
        let mut limits = guards.limits::<T>(family.link(), rule.forgets())?;
        if iterations != Iterations::default() {
            limits.step_clip = f64::INFINITY;
        }
        let scales = family.noise_scales(k);
        let (a_0, b_0) = family.prior_noise();
        let scale = (scales > 0).then(|| Scale {
            a_0,
            b_0: b_0.into(),
            m: scales,
            k,
        });
        let reweighs = robust.is_some_and(|robust| !robust.cuts());
        let ordinary = apart(&model, &family, iterations) && !reweighs;
        let shared = ordinary && belief.shares_passes();
        let shared = shared && !rule.is_called();
        let spreads = k > 1
            && k <= MOST
            && !shared
            && !rule.descends()
            && belief.has_gram()
            && iterations == Iterations::default();
        let iterates = matches!(iterations, Iterations::Number(n) if n > 1) && !ordinary;
        let most = if k == 1 {
            1 + usize::from(iterates)
        } else {
            product(&[2, k])? + usize::from(family.singular())
        };
        let blocks_gain = blocks_gain::<T>(&model, &family, iterations, p)
            && belief.has_gram()
            && !rule.is_called();
        let wave = if blocks_gain {
            WAVE
        } else if shared {
            (WAVE * if k == 1 { 1 } else { 2 } / most).max(1)
        } else {
            1
        };
        let sizes = Sizes {
            p,
            free,
            n,
            d: model.inputs().unwrap_or(0),
            k,
            width: family.y_width(k),
            scales,
            padded: belief.padded(),
            wave,
            room: if shared && !blocks_gain && threads::pay(p) {
                wave * MOST_THREADS
            } else {
                wave
            },
        };
        let mut work = Work::new(&sizes, model.work())?;
        if blocks_gain {
            work.gram = filled(WAVE * (WAVE + 1))?;
        } else if spreads {
            work.gram = filled(k * k)?;
        }
        if let (true, Model::Linear(model), Belief::Full(belief)) =
            (spreads && !reweighs, &model, &belief)
        {
            work.shared = belief.shared_row((sizes.d, k), model.has_intercept())?;
        }
        let iterate = if iterates {
            Some(Iterate::new(k, sizes.padded)?)
        } else {
            None
        };
        let starts = donor.is_none();
        let own_columns =
            donor.is_none_or(|old| (old.padded, old.room) != (sizes.padded, sizes.room));
        let columns = product(&[sizes.room, most])?;
        let columns = belief.columns(if own_columns { columns } else { 0 })?;
        let noise = scale.as_ref().map_or(Ok(0), Scale::size)? + usize::from(robust.is_some());
        let turns = if rule.towards_prior() { LOG_D + p } else { 0 };
        let room = if starts {
            (sizes.padded, belief.size())
        } else {
            (0, 0)
        };
        let zeros = || State::zeros(noise, room.0, room.1, turns).map(Box::new);
        let (mut state, mut next) = (zeros()?, zeros()?);
        if starts {
            belief.start(state.belief_mut())?;
            begin(&phi_0, state.theta_mut())?;
        }
        if let Some(scale) = &scale {
            scale.start(&mut state.wide);
        }
        let recurrence = match &sensitivity {
            Some(sensitivity) => Some(Recurrence::new(
                &model,
                sensitivity,
                (n, free, own),
                state_0,
                (free > 0).then(|| state.belief()),
                sizes.padded,
                sizes.width == k,
            )?),
            None => None,
        };
        if let Some(at) = &recurrence {
            for state in [&mut state, &mut next] {
                state.recur(at.memory.len(), n, at.influence_len(sizes.padded)?)?;
            }
            state.state.copy_from_slice(&at.state_0);
            at.start(&mut state.influence, sizes.padded);
        }
        let turns = if rule.towards_prior() {
            Some(Turns::new(&belief, state.theta(), state.belief())?)
        } else {
            None
        };
        let scale_0 = if rule.is_called() {
            f64::NAN // comes with the first row
        } else {
            rule.scale(0.0)?
        };
        let in_place = matches!(belief, Belief::Full(_)) && p > INDEX_ORDER_MAX;
        let journal = if in_place && turns.is_none() && own_columns {
            Some(Journal::new(sizes.padded)?)
        } else {
            None
        };
        let plain =
            iterations == Iterations::default() && rule.noise().is_none() && robust.is_none();
        let parts = Parts {
            model: &model,
            family: &family,
            belief: &belief,
            rule: &rule,
            limits: &limits,
            scale: scale.as_ref(),
            scale_0,
            evidence,
        };
        let small = plain.then(|| Small::new(&parts)).flatten();
        let many = p > INDEX_ORDER_MAX;
        let plain = plain && turns.is_none();
        let short = many && plain && goes_short(&model, &belief);
        let lean = if plain {
            Lean::new(&model, &belief, (p, sizes.padded))?
        } else {
            None
        };
        Ok(Filter {
            model,
            family,
            belief,
            rule,
            limits,
            scale,
            turns,
            scale_0,
            evidence,
            robust,
            distance: Distance::new(if reweighs && k > 1 { k } else { 0 })?,
            iterations,
            iterate,
            recurrence,
            small,
            short,
            lean,
            together: Together {
                gains: blocks_gain,
                now: false,
                taken: 0,
            },
            spreads,
            sizes,
            state,
            next,
            columns,
            journal,
            work,
        })
    }

    /// Rows that share one pass: propose, validate, commit. On an error nothing has changed.
    pub(crate) fn step(
        &mut self,
        block: &Block<'_, T>,
        rows: Range<usize>,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let Sizes { d, k, width, .. } = self.sizes;
        self.next.follow(&self.state);
        self.columns.clear();
        self.meet(0, &block.row(rows.start, d, k, width))?;
        let (moved, mut growth) = self.pass_first(block.dt[rows.start])?;
        for (slot, i) in rows.clone().enumerate() {
            self.prepare(slot, &block.row(i, d, k, width), moved && slot == 0)?;
        }
        let (place, fused) = self.fuse_columns(moved);
        growth *= fused;
        match self.learn_rows(block, rows, report, place, growth) {
            Ok(()) => self.commit_step(place),
            Err(error) => return Err(self.refuse_step(place, error)),
        }
        Ok(())
    }

    /// What the rows of a wave teach, once their columns have been fused, and whether that can be committed.
    fn learn_rows(
        &mut self,
        block: &Block<'_, T>,
        rows: Range<usize>,
        report: &mut Report<'_>,
        place: Place,
        growth: f64,
    ) -> Result<(), Error> {
        let Sizes { d, k, width, .. } = self.sizes;
        for (slot, i) in rows.enumerate() {
            self.learn(slot, &block.row(i, d, k, width), i, report)?;
            self.finish_recurrent(&block.row(i, d, k, width), i, report);
        }
        let bound = self.next.wide[BOUND];
        self.next.wide[BOUND] = self.belief.settle(self.proposed(place), bound, growth)?;
        if self.next.is_finite() {
            Ok(())
        } else {
            Err(Error::Overflow)
        }
    }

    /// z of a row of the wave at the theta of `next`: z = dz·theta of a linear model, else moved by what turns pulled; then offset and clamp. Returns whether it is clamped.
    pub(crate) fn place(
        &mut self,
        slot: usize,
        offset: &[f64],
        linear: bool,
    ) -> Result<bool, Error> {
        let (k, first) = (self.sizes.k, self.work.slots[slot].first);
        let theta = self.next.theta();
        let pulled = !linear && self.turns.is_some();
        if pulled {
            let (to, moves) = (&mut self.work.dtheta, theta.iter().zip(self.state.theta()));
            to.iter_mut()
                .zip(moves)
                .for_each(|(to, (&x, &x_0))| *to = x - x_0);
        }
        let (z, padded) = (
            &mut self.work.z[slot * k..(slot + 1) * k],
            self.sizes.padded,
        );
        let apart = k > 1 && self.work.slots[slot].ahead == 0;
        let dz = |j: usize| {
            if apart {
                &self.work.dz[j * padded..(j + 1) * padded]
            } else {
                self.columns.h(first + j)
            }
        };
        for (j, z) in z.iter_mut().enumerate() {
            if linear {
                *z = dot(dz(j), theta).to_f64();
            } else if pulled {
                *z += dot(dz(j), &self.work.dtheta).to_f64();
            }
            *z += offset[j];
            if !z.is_finite() {
                return Err(Error::Overflow);
            }
        }
        Ok(self.family.clamp(z, self.limits.z_clamp))
    }
}

/// One output, its column fused: dtheta = gain·b with gain = learning_rate·w·e/alpha, shortened by the step clip; P is not. `score`: (e, L²).
#[inline]
pub(crate) fn gain(
    (alpha, q): (f64, f64),
    learning: f64,
    (e, information): (f64, f64),
    weight: f64,
    step_clip: f64,
) -> Result<(f64, Fit), Error> {
    let mut gain = learning * weight * e / alpha;
    if !(gain.is_finite() && alpha.is_finite()) {
        return Err(Error::Overflow);
    }
    let clipped = gain.abs() * q > step_clip;
    if clipped {
        gain = gain.signum() * (step_clip / q);
    }
    let distance = if information > 0.0 {
        weight * (e * e / information) / alpha
    } else {
        f64::NAN
    };
    let rho = alpha - 1.0;
    let fit = Fit {
        distance,
        learned: distance,
        trust: 1.0,
        rho,
        clipped,
    };
    Ok((gain, fit))
}

/// Whether a row's columns are known before its z: neither dz nor L depends on theta, and one look at the row is enough.
#[inline]
pub(crate) fn apart(model: &Model, family: &Family, iterations: Iterations) -> bool {
    let one_look = iterations == Iterations::default() || family.link() == Link::Identity;
    model.linear() && family.fixed_factor() && one_look
}

/// theta_0, rounded.
pub(crate) fn begin<T: Scalar>(from: &[f64], to: &mut [T]) -> Result<(), Error> {
    for (to, &x) in to.iter_mut().zip(from) {
        *to = T::of(x);
    }
    if finite(to) {
        return Ok(());
    }
    Err(Error::NonFinite(fault(
        "theta",
        format!("numbers that fit {}", T::NAME),
        "larger ones",
    )))
}

/// Whether these components have a short way.
fn goes_short(model: &Model, belief: &Belief) -> bool {
    matches!((model, belief), (Model::Linear(linear), Belief::Full(_)) if linear.outputs() == 1)
}

/// From columns of so many bytes on a block of rows whose weights depend on theta gains over its rows one by one.
const LEAST: usize = 12288;

/// Whether blocks of such rows are worth having: one look at each row, its weight a function of its z alone.
fn blocks_gain<T>(model: &Model, family: &Family, iterations: Iterations, p: usize) -> bool {
    let plain = iterations == Iterations::default() && family.noise_scales(1) == 0;
    p * size_of::<T>() >= LEAST
        && plain
        && model.linear()
        && model.outputs() == 1
        && !family.fixed_factor()
}

impl<T: Scalar> Work<T> {
    fn new(sizes: &Sizes, model: usize) -> Result<Self, Error> {
        let Sizes {
            k,
            scales,
            padded,
            room,
            ..
        } = *sizes;
        let many = if k > 1 { room } else { 0 };
        let square = product(&[k, k])?;
        Ok(Work {
            dz: Aligned::zeros(product(&[k, padded])?)?,
            model: filled(model)?,
            chosen: filled(k)?,
            dtheta: Aligned::zeros(padded)?,
            diagonal: Aligned::zeros(padded)?,
            z: filled(product(&[room, k])?)?,
            l: filled(product(&[many, square])?)?,
            seen: filled(product(&[many, k])?)?,
            noise: filled(product(&[2, scales])?)?,
            small: filled(square.checked_add(k).ok_or(Error::Memory(usize::MAX))?)?,
            gram: Vec::new(),
            shared: None,
            slots: filled(room)?,
        })
    }
}
