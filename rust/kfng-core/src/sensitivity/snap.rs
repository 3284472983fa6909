//! Sparse n-step approximation: ds only where a parameter reaches a component within n steps, and 0 elsewhere.
//!
//! ```text
//! pattern = M + S M + ... + S^(n-1) M      (boolean; M of f_theta, S of f_s)
//! ```
//!
//! It is RTRL once the pattern has stopped growing; a dense cell gets there with n = 2. Source: Menick et al. 2021, "A practical sparse
//! approximation for real time recurrent learning".

use serde::Deserialize;

use super::{Influence, Plan, Sizes, known};
use crate::error::{Error, fault};
use crate::field::{filled, listed, product, push};
use crate::model::Structure;
use crate::model::cell::Of;

/// n, and whether s is corrected.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnAp {
    n: usize,
    state_correction: bool,
}

/// A boolean matrix (n, width), a bit an entry.
struct Bits {
    words: Vec<u64>,
    each: usize,
}

impl Bits {
    fn row(&self, i: usize) -> &[u64] {
        &self.words[i * self.each..(i + 1) * self.each]
    }

    fn set(&mut self, i: usize, c: usize) {
        self.words[i * self.each + c / 64] |= 1 << (c % 64);
    }

    fn has(&self, i: usize, c: usize) -> bool {
        self.words[i * self.each + c / 64] >> (c % 64) & 1 == 1
    }

    /// Maximal runs of row i.
    fn segments(&self, i: usize, width: usize) -> Result<Vec<(usize, usize)>, Error> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for c in (0..width).filter(|&c| self.has(i, c)) {
            match found.last_mut() {
                Some((_, end)) if *end == c => *end += 1,
                _ => push(&mut found, (c, c + 1))?,
            }
        }
        Ok(found)
    }
}

/// M, with the identity in front where s_0 is unknown.
fn pattern(structure: &Structure, Sizes { n, free, p }: Sizes) -> Result<Bits, Error> {
    let each = (free + p).div_ceil(64);
    let mut bits = Bits {
        words: filled(product(&[n, each])?)?,
        each,
    };
    (0..free).for_each(|i| bits.set(i, i));
    let h = structure.lengths[Of::State as usize];
    for term in &structure.terms {
        let masked = term.of == Of::State && !structure.mask.is_empty();
        for c in 0..structure.lengths[term.of as usize] {
            if !masked || structure.mask[term.row * h + c] != 0.0 {
                bits.set(term.row, free + term.start + c);
            }
        }
    }
    Ok(bits)
}

impl Influence for SnAp {
    fn check(&self) -> Result<(), Error> {
        if self.n == 0 {
            return Err(Error::Parameter(fault("n", "an integer >= 1", 0)));
        }
        Ok(())
    }

    fn plan(&self, structure: Option<&Structure>, sizes: Sizes) -> Result<Plan, Error> {
        let structure = known("SnAp", structure)?;
        let (n, width) = (sizes.n, sizes.free + sizes.p);
        let mut bits = pattern(structure, sizes)?;
        let mut latest = listed(bits.words.iter().copied())?;
        for _ in 1..self.n {
            // latest <- S latest, bits <- bits + latest
            let before = Bits {
                words: std::mem::replace(&mut latest, filled(bits.words.len())?),
                each: bits.each,
            };
            for i in 0..n {
                for j in (0..n).filter(|&j| structure.couples[i * n + j]) {
                    let row = &mut latest[i * bits.each..(i + 1) * bits.each];
                    row.iter_mut()
                        .zip(before.row(j))
                        .for_each(|(to, x)| *to |= x);
                }
            }
            let mut grew = false;
            for (to, &x) in bits.words.iter_mut().zip(&latest) {
                grew |= x & !*to != 0;
                *to |= x;
            }
            if !grew {
                break;
            }
        }
        let (mut sources, mut segments) = (Vec::new(), Vec::new());
        for i in 0..n {
            let coupled = (0..n).filter(|&j| structure.couples[i * n + j]);
            push(&mut sources, listed(coupled)?)?;
            push(&mut segments, bits.segments(i, width)?)?;
        }
        Ok(Plan::Sparse { sources, segments })
    }

    fn corrects(&self) -> bool {
        self.state_correction
    }
}
