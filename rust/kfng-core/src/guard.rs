//! The guards that can be switched. That nothing non-finite is ever written is not among them.

use serde::Deserialize;

use crate::belief::{Belief, Uncertainty};
use crate::error::{Error, fault};
use crate::family::Link;
use crate::field::positive;
use crate::linalg::Columns;
use crate::scalar::Scalar;

/// A wind-up check is due every so many rows,
pub const EVERY: u64 = 16;
/// and where the decay since the last one is below 1/2.
pub const LOG_HALF: f64 = -std::f64::consts::LN_2;
/// With the wind-up guard on, no single time step decays by more.
const SMALLEST_DECAY: f64 = 1e-12;

/// The settings as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
pub enum Guards {
    /// The one kind.
    Guards(Settings),
}

/// Fields of `Guards`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    step_clip: Option<Choice>,
    z_clamp: Option<Choice>,
    windup: Option<f64>,
    r_floor: Option<f64>,
    #[serde(default)]
    influence: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Choice {
    Auto(Auto),
    Number(f64),
}

#[derive(Clone, Debug, Deserialize)]
enum Auto {
    #[serde(rename = "auto")]
    Auto,
}

/// The guards of one filter, resolved.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest change of an output in one row (inf: off).
    pub step_clip: f64,
    /// Largest |z| (inf: off).
    pub z_clamp: f64,
    /// Multiple of the prior that no variance passes under forgetting.
    pub windup: Option<f64>,
    /// Smallest reported noise variance, relative to that of y.
    pub r_floor: f64,
    /// Floor of one time step's log decay (-inf: off).
    pub log_floor: f64,
    /// Largest entry of ds/dtheta of a recurrent model.
    pub influence: Option<f64>,
}

impl Guards {
    /// What the settings mean for a family's link, a number type and a rule.
    pub fn limits<T: Scalar>(&self, link: Link, forgets: bool) -> Result<Limits, Error> {
        let Guards::Guards(settings) = self;
        let bad = |name, expected, got: f64| Err(Error::Parameter(fault(name, expected, got)));
        match (settings.windup, settings.r_floor) {
            (Some(x), _) if !(x > 2.0 && x.is_finite()) => {
                return bad("windup", "a finite number > 2", x);
            }
            (_, Some(x)) if !(0.0..1.0).contains(&x) => {
                return bad("r_floor", "a number in [0, 1)", x);
            }
            _ => {}
        }
        if let Some(x) = settings.influence {
            positive("influence", x)?;
        }
        let narrow = T::MAX.to_f64() < 1e300;
        let (step_clip, z_clamp) = match link {
            Link::Identity => (f64::INFINITY, f64::INFINITY),
            Link::Logit => (4.0, 30.0),
            Link::Log => (1.0, if narrow { 40.0 } else { 300.0 }),
        };
        let z_clamp = choose("z_clamp", settings.z_clamp.as_ref(), z_clamp)?;
        let windup = settings.windup.filter(|_| forgets);
        Ok(Limits {
            step_clip: choose("step_clip", settings.step_clip.as_ref(), step_clip)?,
            z_clamp: if link == Link::Identity {
                f64::INFINITY
            } else {
                z_clamp
            },
            windup,
            r_floor: settings.r_floor.unwrap_or(0.0),
            log_floor: if windup.is_some() {
                SMALLEST_DECAY.ln()
            } else {
                f64::NEG_INFINITY
            },
            influence: settings.influence,
        })
    }
}

fn choose(name: &str, choice: Option<&Choice>, auto: f64) -> Result<f64, Error> {
    match choice {
        None => Ok(f64::INFINITY),
        Some(Choice::Auto(Auto::Auto)) => Ok(auto),
        Some(Choice::Number(x)) => positive(name, *x),
    }
}

impl Limits {
    /// Whether the time step of a row ends with a wind-up check: from the count of rows before it and the clock alone.
    #[inline]
    pub fn due(&self, n_seen: f64, log_since: f64) -> bool {
        self.windup.is_some() && ((n_seen as u64).is_multiple_of(EVERY) || log_since < LOG_HALF)
    }
}

/// The wind-up check: each P_ii above `windup`/2 times its prior c goes back to c.
///
/// ```text
/// zero-innovation pseudo-observation of coordinate i with Fisher weight (P_ii - c)/(P_ii c); theta does not move
/// ```
///
/// - scale: what the prior variances are times, where it is not P itself that is the covariance
/// - from: the belief before the time step of this `decay`; to: after it, written only where a pull acts
/// - diagonal: (padded,), work
///
/// Returns how many pulls acted and how the bound on the belief grew. Cost O(p²) and O(p²) a pull.
pub fn pull<T: Scalar>(
    belief: &Belief,
    (windup, scale): (f64, f64),
    decay: f64,
    from: &[T],
    to: &mut [T],
    columns: &mut Columns<T>,
    diagonal: &mut [T],
) -> Result<(usize, f64), Error> {
    if let Belief::Diagonal(belief) = belief {
        return Ok((belief.bound(windup / 2.0, scale, decay, from, to), 1.0));
    }
    belief.diagonal(from, diagonal);
    let (mut pulls, mut growth) = (0, 1.0);
    for (i, &prior) in belief.prior_variances().iter().enumerate() {
        let c = prior * scale;
        // Pulls before this one only lower P_ii, so nothing else needs reading again.
        let mut variance = diagonal[i].to_f64() / decay;
        if variance > windup / 2.0 * c && pulls > 0 {
            variance = belief.diagonal_at(to, i).to_f64();
        }
        if variance <= windup / 2.0 * c {
            continue;
        }
        let first = pulls == 0;
        columns.clear();
        columns.push(
            T::of((1.0 - c / variance) / c),
            T::of(if first { decay } else { 1.0 }),
            i,
        )[i] = T::one();
        growth *= belief.fuse(first.then_some(from), to, columns, 0..1);
        if !columns.alpha(0).is_finite() {
            return Err(Error::Overflow);
        }
        pulls += 1;
    }
    columns.clear();
    Ok((pulls, growth))
}
