//! Rows of different small filters side by side: one lane of a register each.
//!
//! The step of row.rs, operation by operation, so with its bits; a row that is not taken leaves nothing behind and goes its own way.
//!
//! A record is a state without padding: the float64 section, then theta (p), D (p) and what lies above the diagonal of U, column by column.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::law::{Law, over};
use super::pace::{Beat, Pace};
use super::{PAD, Small};
use crate::error::Error;
use crate::family::coverage;
use crate::family::{Likelihood, Seen};
use crate::field::filled;
use crate::linalg::abreast::{
    ABOVE, MOST, Measured, Places, abreast, apply, diagonal, gather, measure, outputs, put_in,
    take_out,
};
use crate::row::{Block, FLAG_CLIPPED, Input, Report};
use crate::scalar::Scalar;
use crate::scale::not_less;
use crate::state::{
    BOUND, CLAMPED, CLIPPED, COVERED, ELAPSED, EVIDENCE, FLOORED, LOG_SINCE, N_SEEN, N_UPDATES,
    NIS_COUNT, NIS_SUM, NOISE, RHO_MAX,
};

/// One number of each.
type Each<const N: usize> = [f64; N];
/// Numbers of the float64 section, at most.
const WIDE: usize = NOISE + 5;
/// Numbers of theta, D and U, at most.
const NARROW: usize = 2 * PAD + ABOVE;

/// What is reported of rows side by side, as `Report` has it.
#[derive(Clone, Debug)]
pub struct Said {
    /// z.
    pub z: [f64; MOST],
    /// Its variance.
    pub c: [f64; MOST],
    /// Shape and scale of the learned noise variance.
    pub a: [f64; MOST],
    /// So too.
    pub b: [f64; MOST],
    /// Flags.
    pub flags: [u8; MOST],
    /// Which rows are taken.
    pub taken: [bool; MOST],
}

impl Said {
    /// The first rows to where they are reported, from row `start` on.
    #[inline(always)]
    pub fn report_all(&self, rows: Range<usize>, out: &mut Report<'_>) {
        let m = rows.len();
        out.z[rows.clone()].copy_from_slice(&self.z[..m]);
        out.c[rows.clone()].copy_from_slice(&self.c[..m]);
        out.flags[rows.clone()].copy_from_slice(&self.flags[..m]);
        if !out.a.is_empty() {
            out.a[rows.clone()].copy_from_slice(&self.a[..m]);
            out.b[rows].copy_from_slice(&self.b[..m]);
        }
    }

    /// Row l to where it is reported.
    #[inline(always)]
    pub fn report(&self, l: usize, out: &mut Report<'_>) {
        (out.z[0], out.c[0], out.flags[0]) = (self.z[l], self.c[l], self.flags[l]);
        if !out.a.is_empty() {
            (out.a[0], out.b[0]) = (self.a[l], self.b[l]);
        }
    }
}

/// Room for filters side by side, and what came of their last rows.
#[derive(Debug)]
pub struct Abreast<T> {
    n: usize,
    wide: Vec<f64>,
    narrow: Vec<T>,
    h: Vec<T>,
    /// One.
    measured: Vec<Measured<T>>,
    said: Said,
}

impl<T: Scalar> Abreast<T> {
    /// Filters side by side.
    pub fn n(&self) -> usize {
        self.n
    }

    /// What is reported of the last rows.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// The record that row l leaves behind: its float64 section and the rest.
    #[inline(always)]
    pub fn take_out(&self, l: usize, wide: &mut [f64], narrow: &mut [T]) {
        take_out(&self.wide, self.n, l, wide);
        take_out(&self.narrow, self.n, l, narrow);
    }

    /// The inverse of `take_out`.
    #[inline(always)]
    pub fn put_in(&mut self, l: usize, wide: &[f64], narrow: &[T]) {
        put_in(wide, self.n, l, &mut self.wide);
        put_in(narrow, self.n, l, &mut self.narrow);
    }

    /// What lane `from` holds goes to lane `to`, too.
    pub fn shift(&mut self, from: usize, to: usize) {
        for own in self.wide.chunks_exact_mut(self.n) {
            own[to] = own[from];
        }
        for own in self.narrow.chunks_exact_mut(self.n) {
            own[to] = own[from];
        }
    }
}

impl<T: Scalar> Small<T> {
    /// Room for such filters side by side; `None` on an instruction set that has no lanes.
    pub fn side_by_side(&self) -> Result<Option<Abreast<T>>, Error> {
        let n = self
            .path
            .run_uncounted(Count::<T>(std::marker::PhantomData));
        let n = if self.width == 1 { n } else { 0 };
        if n == 0 {
            return Ok(None);
        }
        Ok(Some(Abreast {
            n,
            wide: filled(WIDE * n)?,
            narrow: filled(NARROW * n)?,
            h: filled(PAD * n)?,
            measured: filled(1)?,
            said: Said {
                z: [0.0; MOST],
                c: [0.0; MOST],
                a: [0.0; MOST],
                b: [0.0; MOST],
                flags: [0; MOST],
                taken: [false; MOST],
            },
        }))
    }

    /// Takes row `rows[l]` of the block by the filter of record l, side by side; what came of them is in `room`. Nothing else changes.
    ///
    /// - records: (m,) float64 sections and the rest, 0 < m <= n; rows: (m,)
    pub fn together(
        &self,
        room: &mut Abreast<T>,
        records: &[(&[f64], &[T])],
        rows: &[usize],
        block: &Block<'_, T>,
    ) {
        self.take(room, None, records, Rows::Each(rows), block);
    }

    /// Takes row `rows[l]` of the block by the filter that lane l holds, see `put_in`, where it lies; `false`: one of them, not `taken`, asks for
    /// more, and nothing has changed. What came of them is in `room`.
    ///
    /// - rows: (m,), 0 < m <= n; lanes from m on hold nothing
    pub fn in_lanes(&self, room: &mut Abreast<T>, rows: &[usize], block: &Block<'_, T>) -> bool {
        self.take(room, None, &[], Rows::Each(rows), block)
    }

    /// Takes rows of the block, one each by the filters of a tile that lies turned (see bank/store.rs), from its first on; `false`: one of them
    /// cannot be taken so, and nothing has changed. What came of them is in `room`.
    ///
    /// - tile: its float64 sections and the rest, n filters; rows: 0 < m <= n
    pub fn turned(
        &self,
        room: &mut Abreast<T>,
        tile: (&mut [f64], &mut [T]),
        rows: Range<usize>,
        block: &Block<'_, T>,
    ) -> bool {
        self.take(room, Some(tile), &[], Rows::Run(rows), block)
    }

    /// Rows by the filters of a tile, or of the lanes of the room, into which records are brought first where there are some.
    #[inline(always)]
    fn take(
        &self,
        room: &mut Abreast<T>,
        tile: Option<(&mut [f64], &mut [T])>,
        records: &[(&[f64], &[T])],
        rows: Rows<'_>,
        block: &Block<'_, T>,
    ) -> bool {
        let Abreast {
            wide,
            narrow,
            h,
            measured,
            said,
            ..
        } = room;
        let Input::Features(u) = block.input else {
            said.taken = [false; MOST];
            return false;
        };
        self.path.run_index_order(Step {
            small: self,
            state: tile.unwrap_or((wide, narrow)),
            records,
            rows,
            block,
            u,
            h,
            said: (&mut measured[0], said),
        })
    }
}

/// Which rows of a block.
enum Rows<'a> {
    Each(&'a [usize]),
    Run(Range<usize>),
}

impl Rows<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        match self {
            Rows::Each(rows) => rows.len(),
            Rows::Run(rows) => rows.len(),
        }
    }

    #[inline(always)]
    fn at(&self, l: usize) -> usize {
        match self {
            Rows::Each(rows) => rows[l],
            Rows::Run(rows) => rows.start + l,
        }
    }
}

struct Count<T>(std::marker::PhantomData<T>);

impl<T: Scalar> WithSimd for Count<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        abreast::<T, S>()
    }
}

struct Step<'a, 'b, T> {
    small: &'a Small<T>,
    state: (&'a mut [f64], &'a mut [T]),
    records: &'a [(&'a [f64], &'a [T])],
    rows: Rows<'a>,
    block: &'a Block<'b, T>,
    u: &'a [T],
    h: &'a mut [T],
    said: (&'a mut Measured<T>, &'a mut Said),
}

impl<T: Scalar> WithSimd for Step<'_, '_, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> bool {
        match T::reg_lanes::<S>() {
            2 => self.take::<S, 2, 4>(s),
            4 => self.take::<S, 2, 8>(s),
            8 => self.take::<S, 2, 16>(s),
            MOST => self.take::<S, 1, 16>(s),
            _ => {
                self.said.1.taken = [false; MOST];
                false
            }
        }
    }
}

/// Rates and clocks of rows side by side.
struct Beats<const N: usize> {
    decay: Each<N>,
    log_decay: Each<N>,
    metric: Each<N>,
    learning: Each<N>,
    spread: Each<N>,
    scale: Each<N>,
    passes: [bool; N],
    /// Whether none decays, and none passes.
    still: bool,
}

impl<const N: usize> Beats<N> {
    #[inline(always)]
    fn all(beat: &Beat) -> Self {
        Beats {
            decay: [beat.time.decay; N],
            log_decay: [beat.time.log_decay; N],
            metric: [beat.rates.metric; N],
            learning: [beat.rates.learning; N],
            spread: [beat.spread; N],
            scale: [beat.scale; N],
            passes: [beat.time.passes; N],
            still: beat.time.decay == 1.0 && beat.time.log_decay == 0.0 && !beat.time.passes,
        }
    }

    fn set(&mut self, l: usize, beat: &Beat) {
        self.decay[l] = beat.time.decay;
        self.log_decay[l] = beat.time.log_decay;
        self.metric[l] = beat.rates.metric;
        self.learning[l] = beat.rates.learning;
        self.spread[l] = beat.spread;
        self.scale[l] = beat.scale;
        self.passes[l] = beat.time.passes;
        self.still = false;
    }
}

/// Learned noise, as `Noise` in row.rs: a, b and the moments of y after the time step, and as reported.
struct Noises<const N: usize> {
    own: [Each<N>; 5],
    a: Each<N>,
    b: Each<N>,
    floored: [bool; N],
}

/// Rows side by side: what comes with them.
struct Given<const N: usize> {
    y: Each<N>,
    weight: Each<N>,
    dt: Each<N>,
    offset: Each<N>,
    /// Whether they are ordinary so far.
    ok: [bool; N],
}

impl<const N: usize> Given<N> {
    #[inline(always)]
    fn nothing() -> Self {
        Given {
            y: [0.0; N],
            weight: [1.0; N],
            dt: [1.0; N],
            offset: [0.0; N],
            ok: [true; N],
        }
    }

    /// N rows of the block, of one number in y.
    #[inline(always)]
    #[expect(clippy::needless_bitwise_bool, reason = "branches are no lanes")]
    fn all<T>(block: &Block<'_, T>, first: usize) -> Self {
        let mut given = Given::nothing();
        let rows = first..first + N;
        given.y[..N].copy_from_slice(&block.y[rows.clone()]);
        given.weight[..N].copy_from_slice(&block.weight[rows.clone()]);
        given.dt[..N].copy_from_slice(&block.dt[rows.clone()]);
        given.offset[..N].copy_from_slice(&block.offset[rows.clone()]);
        let blank = &block.blank[rows];
        for l in 0..N {
            given.ok[l] = !(blank[l] | (given.weight[l] == 0.0) | given.y[l].is_nan());
        }
        given
    }

    /// A row of the block, of `width` numbers in y.
    #[inline(always)]
    fn read<T>(&mut self, l: usize, block: &Block<'_, T>, row: usize, width: usize) {
        self.y[l] = block.y[row * width];
        (self.weight[l], self.dt[l]) = (block.weight[row], block.dt[row]);
        self.offset[l] = block.offset[row];
        self.ok[l] = !(block.blank[row] || self.weight[l] == 0.0 || self.y[l].is_nan());
    }
}

/// Quantity w of those in (w, n).
#[inline(always)]
fn read<const N: usize>(x: &[f64], w: usize) -> &[f64; N] {
    x[w * N..].first_chunk().expect("w quantities of N")
}

#[inline(always)]
fn write<const N: usize>(x: &mut [f64], w: usize, value: &Each<N>) {
    x[w * N..][..N].copy_from_slice(&value[..N]);
}

#[inline(always)]
fn narrow<T: Scalar, const N: usize>(x: &Each<N>) -> [T; N] {
    let mut out = [T::zero(); N];
    for l in 0..N {
        out[l] = T::of(x[l]);
    }
    out
}

#[inline(always)]
fn wide<T: Scalar, const N: usize>(x: &[T]) -> Each<N> {
    let mut out = [0.0; N];
    for l in 0..N {
        out[l] = x[l].to_f64();
    }
    out
}

impl<T: Scalar> Step<'_, '_, T> {
    /// N = R registers of filters. Lanes without a row repeat the last.
    #[inline(always)]
    fn take<S: Simd, const R: usize, const N: usize>(self, s: S) -> bool {
        let Step {
            small,
            state: (clock, belief),
            records,
            rows,
            block,
            u,
            h,
            said,
        } = self;
        let (d, last) = (small.d, rows.len() - 1);
        if !records.is_empty() {
            let (mut wides, mut narrows) = ([&[][..]; N], [&[][..]; N]);
            for l in 0..N {
                (wides[l], narrows[l]) = records[l.min(last)];
            }
            gather(small.path, &wides, clock);
            gather(small.path, &narrows, belief);
        }
        let mut inputs = [&[][..]; N];
        for l in 0..N {
            inputs[l] = &u[rows.at(l.min(last)) * d..][..d];
        }
        gather(small.path, &inputs, h);
        if small.intercept {
            h[d * N..(d + 1) * N].fill(T::one());
        }
        let given = match &rows {
            Rows::Run(run) if run.len() == N && small.width == 1 => Given::all(block, run.start),
            _ => {
                let mut given = Given::nothing();
                for l in 0..N {
                    given.read(l, block, rows.at(l.min(last)), small.width);
                }
                given
            }
        };
        // Of records, which are copied, those that are not taken are taken alone; where filters lie, all or none are.
        let needed = if records.is_empty() { last + 1 } else { 0 };
        small.rows_of::<S, R, N>(s, (clock, belief), h, given, needed, said)
    }
}

/// What the rows make of sums and clocks.
struct Changed<'a, T, const N: usize> {
    small: &'a Small<T>,
    z: Each<N>,
    c: Each<N>,
    alpha: Each<N>,
    distance: Each<N>,
    since: Each<N>,
}

struct Sums<const N: usize> {
    nis: Each<N>,
    evidence: Each<N>,
    elapsed: Each<N>,
    rho: Each<N>,
    learned: [Each<N>; 5],
    /// Of all that is written or reported: not finite where one of them is not.
    all: Each<N>,
}

impl<T: Scalar, const N: usize> Changed<'_, T, N> {
    #[inline(always)]
    fn sums(&self, clock: &[f64], given: &Given<N>, noise: &Noises<N>) -> Sums<N> {
        let small = self.small;
        let mut sums = Sums {
            nis: [0.0; N],
            evidence: [0.0; N],
            elapsed: [0.0; N],
            rho: [0.0; N],
            learned: noise.own,
            all: [0.0; N],
        };
        let (nis, elapsed) = (read::<N>(clock, NIS_SUM), read::<N>(clock, ELAPSED));
        let rho = read::<N>(clock, RHO_MAX);
        if small.evidence {
            sums.evidence = *read::<N>(clock, EVIDENCE);
        }
        for l in 0..N {
            let distance = if small.relative {
                self.distance[l] / (noise.own[1][l] / noise.own[0][l])
            } else {
                self.distance[l]
            };
            sums.nis[l] = nis[l] + distance;
            sums.elapsed[l] = elapsed[l] + given.dt[l];
            sums.rho[l] = rho[l].max(self.alpha[l] - 1.0);
        }
        if small.learned.is_some() {
            self.learn(given, noise, &mut sums.learned);
        }
        if small.evidence {
            for l in 0..N {
                sums.evidence[l] -= given.weight[l] * self.nll(l, given, noise);
            }
        }
        for l in 0..N {
            let sum = self.z[l] + self.c[l] + self.alpha[l] + sums.nis[l] + sums.evidence[l];
            sums.all[l] = sum + sums.elapsed[l] + self.since[l] + sums.rho[l];
        }
        if small.learned.is_some() {
            for x in &sums.learned {
                for l in 0..N {
                    sums.all[l] += x[l];
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn learn(&self, given: &Given<N>, noise: &Noises<N>, own: &mut [Each<N>; 5]) {
        for l in 0..N {
            let (y, weight) = (given.y[l], given.weight[l]);
            let gain = if self.small.relative {
                self.distance[l]
            } else {
                let r = y - self.z[l];
                weight * (r * r / (1.0 + weight * self.c[l] * (noise.a[l] / noise.b[l])))
            };
            own[0][l] += weight / 2.0;
            own[2][l] += weight;
            let delta = y - own[3][l];
            own[3][l] += weight / own[2][l] * delta;
            own[4][l] += not_less(weight * delta * (y - own[3][l]));
            own[1][l] += gain / 2.0;
        }
    }

    fn nll(&self, l: usize, given: &Given<N>, noise: &Noises<N>) -> f64 {
        let m = usize::from(self.small.learned.is_some());
        let seen = Seen {
            z: &[self.z[l]],
            c: &[self.c[l]],
            y: &[given.y[l]],
            a: &[noise.a[l]][..m],
            b: &[noise.b[l]][..m],
        };
        self.small.family.nll(&seen, &mut [])
    }
}

impl<const N: usize> Sums<N> {
    #[inline(always)]
    fn write(&self, clock: &mut [f64], learned: bool, evidence: bool) {
        write::<N>(clock, NIS_SUM, &self.nis);
        if evidence {
            write::<N>(clock, EVIDENCE, &self.evidence);
        }
        write::<N>(clock, ELAPSED, &self.elapsed);
        write::<N>(clock, RHO_MAX, &self.rho);
        if learned {
            for (i, x) in self.learned.iter().enumerate() {
                write::<N>(clock, NOISE + i, x);
            }
        }
    }
}

impl<T: Scalar> Small<T> {
    /// The rows of N = R registers of filters; `false`: one of the first `needed` is not taken, and nothing has changed.
    #[inline(always)]
    #[expect(clippy::needless_bitwise_bool, reason = "branches are no lanes")]
    fn rows_of<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        (clock, belief): (&mut [f64], &mut [T]),
        h: &[T],
        mut given: Given<N>,
        needed: usize,
        (measured, said): (&mut Measured<T>, &mut Said),
    ) -> bool {
        let (small, p) = (self, self.p);
        let (theta, rest) = belief.split_at_mut(p * N);
        let (d, u) = rest.split_at_mut(p * N);
        let mut at = Places { theta, d, u };
        let beats = small.beats::<N>(clock, &mut given);
        let since = small.since::<S, R, N>(s, &at, clock, &beats, &mut given.ok);
        let noise = small.noises::<N>(clock, &beats.decay);

        let mut inverse = [T::one(); N];
        if !beats.still {
            for l in 0..N {
                inverse[l] = T::one() / T::of(beats.decay[l]);
            }
        }
        let z = wide::<T, N>(&outputs::<T, S, R, N>(s, p, at.theta, h));
        let (mut z, mut clamped) = (z, [false; N]);
        for l in 0..N {
            z[l] += given.offset[l];
        }
        if let Law::Own = small.law {
            for l in 0..N {
                given.ok[l] &= z[l].is_finite();
                clamped[l] = z[l].abs() > small.limits.z_clamp;
                z[l] = z[l].clamp(-small.limits.z_clamp, small.limits.z_clamp);
            }
        }
        let (e, information) = small.scores::<N>(&z, &given, &noise);
        let (mut fisher, mut minus) = ([0.0; N], [T::zero(); N]);
        for l in 0..N {
            fisher[l] = beats.metric[l] * given.weight[l] * information[l];
        }
        let fisher = narrow::<T, N>(&fisher);
        for l in 0..N {
            minus[l] = -fisher[l];
        }
        measure::<T, S, R>(s, p, &at, h, [&fisher, &minus, &inverse], measured);

        let (alpha, q) = (wide::<T, N>(&measured.alpha), wide::<T, N>(&measured.q));
        let peak = wide::<T, N>(&measured.peak);
        let limit = if T::MAX.to_f64() > 1e300 { 1e200 } else { 1e30 };
        let (mut c, mut gain, mut clipped) = ([0.0; N], [0.0; N], [false; N]);
        let (mut distance, mut next_bound) = ([0.0; N], [0.0; N]);
        let bound = read::<N>(clock, BOUND);
        for l in 0..N {
            c[l] = beats.spread[l] * q[l];
            gain[l] = beats.learning[l] * given.weight[l] * e[l] / alpha[l];
            distance[l] = e[l] * e[l];
        }
        if !small.law.plain() {
            for l in 0..N {
                distance[l] /= information[l];
            }
        }
        for l in 0..N {
            distance[l] = given.weight[l] * distance[l] / alpha[l];
        }
        if small.limits.step_clip < f64::INFINITY {
            for l in 0..N {
                clipped[l] = gain[l].abs() * q[l] > small.limits.step_clip;
                if clipped[l] {
                    gain[l] = gain[l].signum() * (small.limits.step_clip / q[l]);
                }
            }
        }
        let spread = measured.spread::<N>();
        for l in 0..N {
            next_bound[l] = bound[l] * (1.0 + peak[l] * spread[l]);
        }
        let after_row = Changed::<T, N> {
            small,
            z,
            c,
            alpha,
            distance,
            since,
        };
        let sums = after_row.sums(clock, &given, &noise);
        for l in 0..N {
            let reach = spread[l] * bound[l];
            let fine = (next_bound[l] < limit) & (reach < limit) & (gain[l].abs() < limit);
            let fine = fine & (reach * gain[l].abs() < limit) & measured.possible(l);
            // Without information there is no distance; such rows go alone. A z that is not finite makes its sum so.
            given.ok[l] &= fine & (information[l] > 0.0) & (sums.all[l].abs() < f64::INFINITY);
        }
        said.taken[..N].copy_from_slice(&given.ok);
        if given.ok[..needed].contains(&false) {
            return false;
        }
        apply::<T, S, R>(s, p, &mut at, &narrow::<T, N>(&gain), measured);
        sums.write(clock, small.learned.is_some(), small.evidence);
        small.cover::<N>(clock, &given, (&z, &c), &noise);
        for l in 0..N {
            let change = |place: usize| place * N + l;
            clock[change(N_SEEN)] += 1.0;
            clock[change(N_UPDATES)] += 1.0;
            clock[change(NIS_COUNT)] += 1.0;
        }
        for (which, place) in [
            (&clipped, CLIPPED),
            (&clamped, CLAMPED),
            (&noise.floored, FLOORED),
        ] {
            if which[..N].contains(&true) {
                for l in 0..N {
                    clock[place * N + l] += f64::from(which[l]);
                }
            }
        }
        if !beats.still {
            write::<N>(clock, LOG_SINCE, &since);
        }
        write::<N>(clock, BOUND, &next_bound);
        said.z[..N].copy_from_slice(&z);
        said.c[..N].copy_from_slice(&c);
        if small.learned.is_some() {
            said.a[..N].copy_from_slice(&noise.a);
            said.b[..N].copy_from_slice(&noise.b);
        }
        for l in 0..N {
            said.flags[l] = if clipped[l] { FLAG_CLIPPED } else { 0 };
        }
        true
    }

    #[inline(always)]
    fn beats<const N: usize>(&self, clock: &[f64], given: &mut Given<N>) -> Beats<N> {
        match &self.pace {
            Pace::Constant(beat) => return Beats::all(beat),
            Pace::Fading(unit, _) if given.dt[..N].iter().all(|&dt| dt == 1.0) => {
                return Beats::all(unit);
            }
            _ => {}
        }
        let still = Beat {
            time: crate::rule::STILL,
            rates: crate::rule::PLAIN,
            scale: 1.0,
            spread: 1.0,
        };
        let (updates, mut beats) = (read::<N>(clock, N_UPDATES), Beats::all(&still));
        for l in 0..N {
            let (t, mut own) = (updates[l] + 1.0, None);
            let floor = self.limits.log_floor;
            match self.pace.beat(given.dt[l], t, floor, &mut own) {
                Some(beat) => beats.set(l, beat),
                None => given.ok[l] = false,
            }
        }
        beats
    }

    /// The clock of the wind-up check, and the check where it is due: a row on which it would act goes alone.
    #[inline(always)]
    fn since<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        at: &Places<'_, T>,
        clock: &[f64],
        beats: &Beats<N>,
        ok: &mut [bool; N],
    ) -> Each<N> {
        let (before, seen) = (read::<N>(clock, LOG_SINCE), read::<N>(clock, N_SEEN));
        let (mut since, mut due) = ([0.0; N], [false; N]);
        for l in 0..N {
            since[l] = before[l] + beats.log_decay[l];
        }
        if self.limits.windup.is_none() || beats.still {
            return since;
        }
        for l in 0..N {
            due[l] = beats.passes[l] && self.limits.due(seen[l], since[l]);
        }
        if !due[..N].contains(&true) {
            return since;
        }
        let (prior, scale_0) = (&self.prior.0, self.prior.1);
        let windup = self.limits.windup.filter(|_| scale_0 != 0.0);
        let mut variances = [T::zero(); PAD * MOST];
        diagonal::<T, S, R>(s, self.p, at, &mut variances);
        for l in (0..N).filter(|&l| due[l]) {
            since[l] = 0.0;
            ok[l] &= windup.is_none_or(|windup| {
                (0..self.p).all(|i| {
                    let c = prior[i] * (scale_0 / beats.scale[l]);
                    variances[i * N + l].to_f64() / beats.decay[l] <= windup / 2.0 * c
                })
            });
        }
        since
    }

    /// Whether each y lies in its interval.
    #[inline(always)]
    fn cover<const N: usize>(
        &self,
        clock: &mut [f64],
        given: &Given<N>,
        (z, c): (&Each<N>, &Each<N>),
        noise: &Noises<N>,
    ) {
        let (mut limit, mut variance) = ([coverage::NORMAL; N], [0.0; N]);
        match self.law {
            Law::Fixed { r, .. } => {
                for l in 0..N {
                    variance[l] = c[l] + r;
                }
                if self.relative {
                    for l in 0..N {
                        limit[l] = noise.b[l] / noise.a[l] * coverage::student(noise.a[l]);
                    }
                }
            }
            Law::Each => {
                for l in 0..N {
                    variance[l] = c[l] + noise.b[l] / noise.a[l];
                }
            }
            Law::Own => return,
        }
        let mut covered = [0.0; N];
        covered[..N].copy_from_slice(read::<N>(clock, COVERED));
        for l in 0..N {
            let r = given.y[l] - z[l];
            let inside = if r * r <= limit[l] * variance[l] {
                1.0
            } else {
                0.0
            };
            covered[l] = coverage::after(covered[l], inside);
        }
        write::<N>(clock, COVERED, &covered);
    }

    #[inline(always)]
    fn noises<const N: usize>(&self, clock: &[f64], decay: &Each<N>) -> Noises<N> {
        let zeros = [0.0; N];
        let mut noise = Noises {
            own: [zeros; 5],
            a: zeros,
            b: zeros,
            floored: [false; N],
        };
        let Some(a_0) = self.learned else {
            return noise;
        };
        for (i, own) in noise.own.iter_mut().enumerate() {
            own[..N].copy_from_slice(read::<N>(clock, NOISE + i));
        }
        let own = &mut noise.own;
        for l in 0..N {
            if decay[l] != 1.0 {
                let faded = (decay[l] * own[0][l]).max(a_0);
                own[1][l] *= faded / own[0][l];
                own[0][l] = faded;
                own[2][l] *= decay[l];
                own[4][l] *= decay[l];
            }
            (noise.a[l], noise.b[l]) = (own[0][l], own[1][l]);
        }
        if self.limits.r_floor != 0.0 {
            for l in 0..N {
                let (w, squares) = (own[2][l], own[4][l]);
                let variance = if w > 0.0 { squares / w } else { 0.0 };
                let floor = noise.a[l] * self.limits.r_floor * variance;
                noise.floored[l] = floor > noise.b[l];
                noise.b[l] = noise.b[l].max(floor);
            }
        }
        noise
    }

    /// (e, L²) of each.
    #[inline(always)]
    fn scores<const N: usize>(
        &self,
        z: &Each<N>,
        given: &Given<N>,
        noise: &Noises<N>,
    ) -> (Each<N>, Each<N>) {
        let (mut e, mut information) = ([0.0; N], [0.0; N]);
        match self.law {
            Law::Fixed { r, information: x } => {
                for l in 0..N {
                    e[l] = over(given.y[l] - z[l], r);
                }
                information = [x; N];
            }
            Law::Each => {
                for l in 0..N {
                    let r = noise.b[l] / noise.a[l];
                    (e[l], information[l]) = ((given.y[l] - z[l]) / r, 1.0 / r);
                }
            }
            Law::Own => {
                let m = usize::from(self.learned.is_some());
                for l in (0..N).filter(|&l| given.ok[l]) {
                    let seen = (z[l], &[given.y[l]][..]);
                    let noise = (m, noise.a[l], noise.b[l]);
                    (e[l], information[l]) = self.law.score(&self.family, seen, noise);
                }
            }
        }
        (e, information)
    }
}
