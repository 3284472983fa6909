//! How time and learning enter a row: constants where they are, else what the rule says of it.

use crate::rule::{PLAIN, Rates, Rule, STILL, Time};

/// A rule whose time only lets D decay.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// The same for every row.
    Constant(Beat),
    /// A time step of dt = 1, and the rule for others.
    Fading(Beat, Rule),
    /// Rates that change from row to row.
    Scheduled(Rule),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    pub time: Time,
    pub rates: Rates,
    /// The posterior covariance as a multiple of that of the belief.
    pub scale: f64,
    /// The same, or 0 where none is reported.
    pub spread: f64,
}

impl Pace {
    pub(super) fn of(rule: &Rule, floor: f64) -> Option<Pace> {
        let still = Beat {
            time: STILL,
            rates: PLAIN,
            scale: 1.0,
            spread: 1.0,
        };
        match rule {
            Rule::Kalman(_) => Some(Pace::Constant(still)),
            Rule::Fading(_) => {
                let time = rule.time(1.0, 1.0, true, floor).ok()?;
                Some(Pace::Fading(Beat { time, ..still }, rule.clone()))
            }
            Rule::NaturalGradient(gradient) if gradient.is_constant() => {
                Some(Pace::Constant(scheduled(rule, 1.0, floor)?))
            }
            Rule::NaturalGradient(_) => Some(Pace::Scheduled(rule.clone())),
            _ => None,
        }
    }

    /// Row t of those that learn; `None`: the rule has an error for it.
    #[inline(always)]
    pub(super) fn beat<'a>(
        &'a self,
        dt: f64,
        t: f64,
        floor: f64,
        own: &'a mut Option<Beat>,
    ) -> Option<&'a Beat> {
        match self {
            Pace::Constant(beat) => return Some(beat),
            Pace::Fading(unit, _) if dt == 1.0 => return Some(unit),
            Pace::Fading(unit, rule) => {
                let time = rule.time(dt, t, true, floor).ok()?;
                *own = Some(Beat { time, ..*unit });
            }
            Pace::Scheduled(rule) => *own = scheduled(rule, t, floor),
        }
        own.as_ref()
    }
}

#[inline(never)]
fn scheduled(rule: &Rule, t: f64, floor: f64) -> Option<Beat> {
    let scale = rule.scale(t).ok()?;
    Some(Beat {
        time: rule.time(1.0, t, true, floor).ok()?,
        rates: rule.rates(t).ok()?,
        scale,
        spread: if rule.has_posterior() { scale } else { 0.0 },
    })
}
