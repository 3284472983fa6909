//! One column each for beliefs side by side, p <= 16: a lane of each register is one belief's.
//!
//! The operations of in_place.rs in their order, one rounding each, so that every lane has the bits of a belief alone. U is kept without its
//! zeros and ones, which change no sum that begins at 0.
//!
//! A quantity of n = R registers of beliefs is n numbers; vectors of quantities lie one behind the other, U column by column: u_ij (i < j)
//! at place j(j-1)/2 + i.

use pulp::{Simd, WithSimd, bytemuck};

use super::Path;
use super::ud::{NC, PAD};
use crate::scalar::Scalar;

/// Beliefs side by side, at most.
pub(crate) const MOST: usize = 16;
/// Numbers of U of each.
pub(crate) const ABOVE: usize = PAD * (PAD - 1) / 2;

/// R registers. (Loops, no closures: what is no function of this crate is compiled without the instruction set.)
type Regs<T, S, const R: usize> = [<T as super::simd::Lanes>::Reg<S>; R];

/// How many beliefs one instruction set takes side by side: two registers of each quantity, or one that is as large. 0: none.
#[inline(always)]
pub(crate) fn abreast<T: Scalar, S: Simd>() -> usize {
    match T::reg_lanes::<S>() {
        lanes @ (2..=8) => 2 * lanes,
        MOST => MOST,
        _ => 0,
    }
}

/// Work on beliefs side by side.
pub(crate) trait SideBySide {
    /// N = R registers of beliefs at a time.
    fn take<S: Simd, const R: usize, const N: usize>(self, s: S) -> usize;
}

/// The work with as many side by side as `abreast` says; 0 where that is none.
#[inline(always)]
pub(crate) fn side_by_side<T: Scalar, S: Simd>(s: S, work: impl SideBySide) -> usize {
    match T::reg_lanes::<S>() {
        2 => work.take::<S, 2, 4>(s),
        4 => work.take::<S, 2, 8>(s),
        8 => work.take::<S, 2, 16>(s),
        MOST => work.take::<S, 1, 16>(s),
        _ => 0,
    }
}

/// What a column says of beliefs that have not been touched, (p, n) and (n,).
#[derive(Clone, Debug)]
pub(crate) struct Measured<T> {
    v: [T; PAD * MOST],
    lambda: [T; PAD * MOST],
    d: [T; PAD * MOST],
    /// 1 + weight·q.
    pub alpha: [T; MOST],
    /// h'P h.
    pub q: [T; MOST],
    /// Largest |lambda|; a NaN may be lost, but then alpha or v is not finite.
    pub peak: [T; MOST],
    /// Four parts of the sum of |v|; so too.
    spread: [T; NC * MOST],
    /// Largest -D, a NaN lost, and the sum of D.
    worst: [T; MOST],
    sum: [T; MOST],
}

impl<T: Scalar> Default for Measured<T> {
    /// Nothing yet.
    fn default() -> Self {
        let (long, short) = ([T::zero(); PAD * MOST], [T::zero(); MOST]);
        Measured {
            v: long,
            lambda: long,
            d: long,
            alpha: short,
            q: short,
            peak: short,
            spread: [T::zero(); NC * MOST],
            worst: short,
            sum: short,
        }
    }
}

impl<T: Scalar> Measured<T> {
    /// The sum of |v| of each of N beliefs.
    #[inline(always)]
    pub(crate) fn spread<const N: usize>(&self) -> [f64; MOST] {
        let mut sum = [0.0; MOST];
        for part in self.spread.as_chunks::<N>().0.iter().take(NC) {
            for l in 0..N {
                sum[l] += part[l].to_f64();
            }
        }
        sum
    }

    /// Whether D of belief l surely stays possible.
    #[inline(always)]
    #[expect(clippy::needless_bitwise_bool, reason = "branches are no lanes")]
    pub(crate) fn possible(&self, l: usize) -> bool {
        (self.worst[l] <= T::zero()) & (self.sum[l] <= T::MAX)
    }
}

/// The places of one belief each: h (p, n) the columns, weight and inverse_decay (n,), u (p(p-1)/2, n), d and theta (p, n).
pub(crate) struct Places<'a, T> {
    pub theta: &'a mut [T],
    pub d: &'a mut [T],
    pub u: &'a mut [T],
}

/// One operation of each register with its own: written out, for through a closure its intrinsics are not inlined.
macro_rules! each {
    ($($(#[$doc:meta])* $name:ident: $operation:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[inline(always)]
        fn $name<T: Scalar, S: Simd, const R: usize>(
            s: S,
            mut a: Regs<T, S, R>,
            b: Regs<T, S, R>,
        ) -> Regs<T, S, R> {
            for r in 0..R {
                a[r] = T::$operation(s, a[r], b[r]);
            }
            a
        }
    )+};
}

each! {
    add: reg_add,
    mul: reg_mul,
    div: reg_div,
    /// The larger of a and b.
    max: reg_max,
    /// The larger of |a| and b.
    peak: reg_peak,
}

#[inline(always)]
fn splat<T: Scalar, S: Simd, const R: usize>(s: S, x: T) -> Regs<T, S, R> {
    [T::reg_splat(s, x); R]
}

/// Quantities of numbers.
#[inline(always)]
fn many<T: Scalar, S: Simd, const R: usize>(x: &[T]) -> &[Regs<T, S, R>] {
    T::regs::<S>(x).as_chunks::<R>().0
}

/// The same, to be written.
#[inline(always)]
fn many_mut<T: Scalar, S: Simd, const R: usize>(x: &mut [T]) -> &mut [Regs<T, S, R>] {
    T::regs_mut::<S>(x).as_chunks_mut::<R>().0
}

/// h'theta of each, in index order; theta, h: (p, n).
#[inline(always)]
pub(crate) fn outputs<T: Scalar, S: Simd, const R: usize, const N: usize>(
    s: S,
    p: usize,
    theta: &[T],
    h: &[T],
) -> [T; N] {
    let (mut sum, mut out) = (splat::<T, S, R>(s, T::zero()), [T::zero(); N]);
    let (theta, h) = (many::<T, S, R>(theta), many::<T, S, R>(h));
    for (&theta, &h) in theta[..p].iter().zip(&h[..p]) {
        sum = add::<T, S, R>(s, sum, mul::<T, S, R>(s, h, theta));
    }
    many_mut::<T, S, R>(&mut out)[0] = sum;
    out
}

/// The first half, see in_place.rs. `weight`: Fisher weights; minus: their negatives. Cost O(p²) each, one read of U.
#[inline(always)]
pub(crate) fn measure<T: Scalar, S: Simd, const R: usize>(
    s: S,
    p: usize,
    at: &Places<'_, T>,
    h: &[T],
    [weight, minus, inverse_decay]: [&[T]; 3],
    said: &mut Measured<T>,
) {
    let (u, h) = (many::<T, S, R>(at.u), &many::<T, S, R>(h)[..p]);
    let d = &many::<T, S, R>(at.d)[..p];
    let (times, minus) = (many::<T, S, R>(weight)[0], many::<T, S, R>(minus)[0]);
    let fresh = many::<T, S, R>(inverse_decay)[0];
    let v = &mut many_mut::<T, S, R>(&mut said.v)[..p];
    let lambdas = &mut many_mut::<T, S, R>(&mut said.lambda)[..p];
    let decayed = &mut many_mut::<T, S, R>(&mut said.d)[..p];
    let zero = splat::<T, S, R>(s, T::zero());
    let (mut alpha, mut q) = (splat::<T, S, R>(s, T::one()), zero);
    let (mut most, mut worst, mut sum) = (zero, splat::<T, S, R>(s, -T::MAX), zero);
    let negative = splat::<T, S, R>(s, -T::one());
    let mut spread = [zero; NC];
    let mut rest = u;
    for j in 0..p {
        let (column, behind) = rest.split_at(j);
        rest = behind;
        let mut f = zero;
        for (&u, &h) in column.iter().zip(h) {
            f = add::<T, S, R>(s, f, mul::<T, S, R>(s, u, h));
        }
        f = add::<T, S, R>(s, f, h[j]);
        let own = mul::<T, S, R>(s, d[j], fresh);
        v[j] = mul::<T, S, R>(s, own, f);
        let more = mul::<T, S, R>(s, mul::<T, S, R>(s, times, f), v[j]);
        let next = add::<T, S, R>(s, alpha, more);
        q = add::<T, S, R>(s, q, mul::<T, S, R>(s, f, v[j]));
        lambdas[j] = div::<T, S, R>(s, mul::<T, S, R>(s, minus, f), alpha);
        most = peak::<T, S, R>(s, lambdas[j], most);
        decayed[j] = mul::<T, S, R>(s, own, div::<T, S, R>(s, alpha, next));
        let size = peak::<T, S, R>(s, v[j], zero);
        spread[j % NC] = add::<T, S, R>(s, spread[j % NC], size);
        sum = add::<T, S, R>(s, sum, decayed[j]);
        let negated = mul::<T, S, R>(s, decayed[j], negative);
        worst = max::<T, S, R>(s, negated, worst);
        alpha = next;
    }
    many_mut::<T, S, R>(&mut said.alpha)[0] = alpha;
    many_mut::<T, S, R>(&mut said.q)[0] = q;
    many_mut::<T, S, R>(&mut said.peak)[0] = most;
    many_mut::<T, S, R>(&mut said.worst)[0] = worst;
    many_mut::<T, S, R>(&mut said.sum)[0] = sum;
    many_mut::<T, S, R>(&mut said.spread)[..NC].copy_from_slice(&spread);
}

/// The second half: U, D, and theta + gain·b. Cost O(p²) each, one read and one write of U.
#[inline(always)]
pub(crate) fn apply<T: Scalar, S: Simd, const R: usize>(
    s: S,
    p: usize,
    at: &mut Places<'_, T>,
    gain: &[T],
    said: &Measured<T>,
) {
    let zero = splat::<T, S, R>(s, T::zero());
    let mut b = [zero; PAD];
    let (vs, lambdas) = (
        &many::<T, S, R>(&said.v)[..p],
        &many::<T, S, R>(&said.lambda)[..p],
    );
    let mut rest = many_mut::<T, S, R>(at.u);
    for j in 0..p.min(PAD) {
        let (column, behind) = rest.split_at_mut(j);
        rest = behind;
        let (v, lambda) = (vs[j], lambdas[j]);
        for (u, b) in column.iter_mut().zip(&mut b) {
            let old = *u;
            *u = add::<T, S, R>(s, old, mul::<T, S, R>(s, lambda, *b));
            *b = add::<T, S, R>(s, *b, mul::<T, S, R>(s, v, old));
        }
        b[j] = add::<T, S, R>(s, zero, v);
    }
    let d = &mut many_mut::<T, S, R>(at.d)[..p];
    d.copy_from_slice(&many::<T, S, R>(&said.d)[..p]);
    let gain = many::<T, S, R>(gain)[0];
    for (theta, &b) in many_mut::<T, S, R>(at.theta)[..p].iter_mut().zip(&b) {
        *theta = add::<T, S, R>(s, *theta, mul::<T, S, R>(s, gain, b));
    }
}

/// diag(P), (p, n), with the bits of `diagonal`. Cost O(p²) each, one read of U.
#[inline(always)]
pub(crate) fn diagonal<T: Scalar, S: Simd, const R: usize>(
    s: S,
    p: usize,
    at: &Places<'_, T>,
    out: &mut [T],
) {
    let (d, out) = (
        &many::<T, S, R>(at.d)[..p],
        &mut many_mut::<T, S, R>(out)[..p],
    );
    out.fill(splat::<T, S, R>(s, T::zero()));
    let mut rest = many::<T, S, R>(at.u);
    for j in 0..p {
        let (column, behind) = rest.split_at(j);
        rest = behind;
        for (&u, out) in column.iter().zip(out.iter_mut()) {
            let part = mul::<T, S, R>(s, mul::<T, S, R>(s, d[j], u), u);
            *out = add::<T, S, R>(s, *out, part);
        }
        out[j] = add::<T, S, R>(s, out[j], d[j]);
    }
}

/// A tile of four numbers of each of four, transposed.
#[inline(always)]
fn turned<T: Scalar>(path: Path, tile: [[T; NC]; NC]) -> [[T; NC]; NC] {
    if size_of::<T>() == size_of::<f64>() {
        return bytemuck::cast(path.turned(bytemuck::cast(tile)));
    }
    let mut out = tile;
    for i in 0..NC {
        for j in 0..NC {
            out[i][j] = tile[j][i];
        }
    }
    out
}

/// to[w·n + l] <- from[l][w]: records side by side.
///
/// - from: (n,) slices of equal length, n a multiple of 4; to: (length, n), or longer
#[inline(always)]
pub(crate) fn gather<T: Scalar, const N: usize>(path: Path, from: &[&[T]; N], to: &mut [T]) {
    let words = from[0].len();
    let to = &mut to.as_chunks_mut::<N>().0[..words];
    for (group, from) in from.as_chunks::<NC>().0.iter().enumerate() {
        four(path, *from, group, to);
    }
}

/// to[j·n + l] <- from[l·d + j]: rows that follow one another, side by side.
///
/// - from: (n, d), n a multiple of 4; to: (d, n), or longer
#[inline(always)]
pub(crate) fn turn_rows<T: Scalar, const N: usize>(path: Path, from: &[T], d: usize, to: &mut [T]) {
    let to = &mut to.as_chunks_mut::<N>().0[..d];
    let mut rest = from;
    for group in 0..N / NC {
        let mut rows = [&[][..]; NC];
        for row in &mut rows {
            (*row, rest) = rest.split_at(d);
        }
        four(path, rows, group, to);
    }
}

/// Lanes 4·group and on of to (length, n) <- four slices of that length.
#[inline(always)]
fn four<T: Scalar, const N: usize>(
    path: Path,
    [a, b, c, d]: [&[T]; NC],
    group: usize,
    to: &mut [[T; N]],
) {
    let words = to.len();
    let (a, rest_a) = a.as_chunks::<NC>();
    let (b, rest_b) = b[..words].as_chunks::<NC>();
    let (c, rest_c) = c[..words].as_chunks::<NC>();
    let (d, rest_d) = d[..words].as_chunks::<NC>();
    let (rows, rest) = to.as_chunks_mut::<NC>();
    for ((rows, (a, b)), (c, d)) in rows.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
        let tile = turned(path, [*a, *b, *c, *d]);
        for (row, tile) in rows.iter_mut().zip(&tile) {
            row.as_chunks_mut::<NC>().0[group] = *tile;
        }
    }
    let rests = rest_a.iter().zip(rest_b).zip(rest_c.iter().zip(rest_d));
    for (row, ((&a, &b), (&c, &d))) in rest.iter_mut().zip(rests) {
        row.as_chunks_mut::<NC>().0[group] = [a, b, c, d];
    }
}

/// to[j·to_step + i] <- from[i·step + j], for i below rows and j below columns.
pub(crate) fn turn<T: Scalar>(
    path: Path,
    from: &[T],
    step: usize,
    to: &mut [T],
    to_step: usize,
    size: (usize, usize),
) {
    path.run_uncounted(Turn {
        path,
        from: (from, step),
        to: (to, to_step),
        size,
    });
}

/// The arguments of `turn`: shuffles of registers are no more than that only in a function that is compiled for them.
struct Turn<'a, T> {
    path: Path,
    from: (&'a [T], usize),
    to: (&'a mut [T], usize),
    size: (usize, usize),
}

impl<T: Scalar> WithSimd for Turn<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Turn {
            path,
            from: (from, step),
            to: (to, to_step),
            size: (rows, columns),
        } = self;
        let whole = columns - columns % NC;
        for i in (0..rows - rows % NC).step_by(NC) {
            for j in (0..whole).step_by(NC) {
                let mut tile = [[T::zero(); NC]; NC];
                for (r, row) in tile.iter_mut().enumerate() {
                    row.copy_from_slice(&from[(i + r) * step + j..][..NC]);
                }
                for (c, column) in turned(path, tile).iter().enumerate() {
                    to[(j + c) * to_step + i..][..NC].copy_from_slice(column);
                }
            }
        }
        let done = rows - rows % NC;
        for i in 0..rows {
            for j in (if i < done { whole } else { 0 })..columns {
                to[j * to_step + i] = from[i * step + j];
            }
        }
    }
}

/// to[w] <- from[w·n + l], of record l alone.
///
/// - from: (length, n), or longer; to: (length,)
#[inline(always)]
pub(crate) fn take_out<T: Scalar>(from: &[T], n: usize, l: usize, to: &mut [T]) {
    for (to, &x) in to.iter_mut().zip(from[l..].iter().step_by(n)) {
        *to = x;
    }
}

/// to[w·n + l] <- from[w]: the inverse of `take_out`.
#[inline(always)]
pub(crate) fn put_in<T: Scalar>(from: &[T], n: usize, l: usize, to: &mut [T]) {
    for (to, &x) in to[l..].iter_mut().step_by(n).zip(from) {
        *to = x;
    }
}
