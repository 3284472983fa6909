//! The columns of one row of several outputs on one input, fused together: each is a multiple of x in every block.
//!
//! ```text
//! h_t = sum_a C_at (e_a (x) x)      s_a = u_j'(e_a (x) x)      f_t = u_j'h_t = sum_a C_at s_a
//! ```
//!
//! so U is read once for the dots of all columns. That the columns before have changed u_j when a column comes to it is made up for in
//! k numbers, not in p:
//!
//! ```text
//! for t:  v = D_j f_t;   lambda = -w f_t/alpha_t;   for i > t:  f_i <- f_i + lambda K_ti,   K_ti <- K_ti + v f_i (old f_i)
//! ```
//!
//! with K_ti = h_i'b_t. Then u_j and all b_t are swept once, a tile of rows after the other, in registers: Bierman's recursion as `fuse`
//! has it, with the dots summed in another order. Source: Bierman 1977, V.3.

use pulp::{Simd, WithSimd};

use super::columns::Tally;
use super::ud::{NC, PAD, block_len, block_start};
use super::{Aligned, AllocationError, Columns, Layout, Overflow};
use crate::scalar::Scalar;

/// Most outputs, and most columns, of such a row.
pub const MOST_SHARED: usize = 16;
/// From so many inputs on a block of x fills registers.
pub const LEAST_SHARED: usize = 16;

/// Numbers of the columns of a row.
type Numbers<T> = [T; MOST_SHARED];

/// One row: x and what its columns are multiples of.
#[derive(Debug)]
pub struct SharedRow<T> {
    /// (d,)
    pub x: Aligned<T>,
    /// Column t has C_at in `coefficients[a][t]`, (k,).
    pub coefficients: Vec<Numbers<T>>,
    /// Whether outputs have an intercept: 1 at k·d + a.
    pub intercept: bool,
    /// b of every column by tiles of rows.
    tiles: Aligned<T>,
}

impl<T: Scalar> SharedRow<T> {
    /// Room for k outputs of d inputs, sized once.
    pub fn zeros(
        layout: &Layout,
        d: usize,
        k: usize,
        intercept: bool,
    ) -> Result<Self, AllocationError> {
        let most = k.min(MOST_SHARED);
        let mut coefficients = Vec::new();
        coefficients.try_reserve_exact(most).map_err(|_| {
            let bytes = most * size_of::<[T; MOST_SHARED]>();
            AllocationError::OutOfMemory { bytes }
        })?;
        coefficients.resize(most, [T::zero(); MOST_SHARED]);
        let room = layout.padded().checked_mul(MOST_SHARED).ok_or(Overflow)?;
        Ok(SharedRow {
            x: Aligned::zeros(d)?,
            coefficients,
            intercept,
            tiles: Aligned::zeros(room)?,
        })
    }
}

/// Fuses all columns of the one row they come from, as [`super::fuse`] does, to rounding.
///
/// - from: (u0, d0), where the belief is read; `None`: in place; u, d: the belief after
/// - columns: weights, and the decay of the first, in; b, q, alpha out; their h is not read
/// - gram: (k, k), H P H' of the rows e_a (x) x, P before its decay
///
/// Returns the growth, as `fuse` does. Cost O(r p²) for r columns, one read and one write of U.
pub fn fuse_shared<T: Scalar>(
    layout: &Layout,
    from: Option<(&[T], &[T])>,
    u: &mut [T],
    d: &mut [T],
    columns: &mut Columns<T>,
    row: &mut SharedRow<T>,
    gram: &mut [f64],
) -> f64 {
    let (r, k) = (columns.len(), row.coefficients.len());
    assert!(r <= MOST_SHARED && columns.padded == layout.padded() && gram.len() == k * k);
    assert!(u.len() == layout.u_len() && d.len() == layout.d_len());
    assert!(from.is_none_or(|(u0, d0)| u0.len() == u.len() && d0.len() == d.len()));
    if let Some((_, d0)) = from {
        d.copy_from_slice(d0);
    }
    for tally in &mut columns.tallies[..r] {
        *tally = Tally {
            alpha: T::one(),
            ..Tally::default()
        };
    }
    gram.fill(0.0);
    let fused = Fused {
        layout,
        from: from.map(|(u0, _)| u0),
        u,
        d,
        columns,
        row,
        gram,
    };
    layout.path().run(fused);
    for a in 0..k {
        for b in 0..a {
            gram[b * k + a] = gram[a * k + b];
        }
    }
    columns.tallies[..r]
        .iter()
        .map(super::fuse::growth)
        .product()
}

struct Fused<'a, T> {
    layout: &'a Layout,
    from: Option<&'a [T]>,
    u: &'a mut [T],
    d: &'a mut [T],
    columns: &'a mut Columns<T>,
    row: &'a mut SharedRow<T>,
    gram: &'a mut [f64],
}

impl<T: Scalar> WithSimd for Fused<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        // Tiles of two registers where they divide what columns are padded to.
        if 2 * T::reg_lanes::<S>() <= PAD {
            self.run::<S, 2>(s);
        } else {
            self.run::<S, 1>(s);
        }
    }
}

impl<T: Scalar> Fused<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, s: S) {
        let Fused {
            layout,
            from,
            u,
            d,
            columns,
            row,
            gram,
        } = self;
        let (padded, tile) = (layout.padded(), N * T::reg_lanes::<S>());
        // Columns of zeros, as one of several classes has them, teach nothing.
        let (mut active, mut r) = ([0; MOST_SHARED], 0);
        for t in 0..columns.len() {
            if columns.settings[t].start < layout.p() {
                (active[r], r) = (t, r + 1);
            }
        }
        r = r.max(1);
        let active = &active[..r];
        let tiles = &mut row.tiles[..padded * r];
        tiles.fill(T::zero());
        let mut inner = Inner::new(columns, active, &row.coefficients);
        let decay = columns
            .settings
            .first()
            .map_or(T::one(), |first| first.inverse_decay);
        for block in 0..layout.blocks() {
            let place = block_start(block)..block_start(block) + NC * block_len(block);
            let old = from.map(|u0| &u0[place.clone()]);
            let new = &mut u[place];
            let d = d[block * NC..]
                .first_chunk_mut::<NC>()
                .expect("D is padded");
            let sums = dots::<T, S>(
                s,
                old.unwrap_or(new),
                &row.x,
                row.coefficients.len(),
                row.intercept,
                (block + 1) * NC,
            );
            add_products(gram, &sums, d, row.coefficients.len());
            for d in d.iter_mut() {
                *d *= decay;
            }
            let (v, lambda) = inner.block(&sums, d);
            let len = ((block + 1) * NC).next_multiple_of(tile);
            sweep::<T, S, N>(
                s,
                old,
                new,
                &mut tiles[..len * r],
                (&v[..r], &lambda[..r]),
                len,
            );
        }
        let all = columns.len() * padded;
        columns.b[..all].fill(T::zero());
        for (t, &column) in active.iter().enumerate() {
            columns.tallies[column] = inner.tallies[t];
            let b = &mut columns.b[column * padded..(column + 1) * padded];
            for (b, tiles) in b.chunks_exact_mut(tile).zip(tiles.chunks_exact(tile * r)) {
                b.copy_from_slice(&tiles[t * tile..(t + 1) * tile]);
            }
        }
    }
}

/// s_a of the columns of a block, (k, NC): x against each part of U that it meets, `end` rows of which are not zero.
#[inline(always)]
fn dots<T: Scalar, S: Simd>(
    s: S,
    block: &[T],
    x: &[T],
    k: usize,
    intercept: bool,
    end: usize,
) -> [[T; NC]; MOST_SHARED] {
    let (d, stride, lanes) = (x.len(), block.len() / NC, T::reg_lanes::<S>());
    let mut sums = [[T::zero(); NC]; MOST_SHARED];
    for (a, sums) in sums[..k].iter_mut().enumerate() {
        let start = a * d;
        if start >= end {
            break;
        }
        let n = d.min(end - start);
        let whole = n - n % lanes;
        let column = |c: usize| &block[c * stride + start..c * stride + start + n];
        let regs: [&[T::Reg<S>]; NC] =
            std::array::from_fn(|c| &T::regs::<S>(&column(c)[..whole])[..whole / lanes]);
        let x_regs = &T::regs::<S>(&x[..whole])[..whole / lanes];
        let mut partial = [[T::reg_splat(s, T::zero()); NC]; 2];
        for i in 0..x_regs.len() / 2 {
            for odd in 0..2 {
                for c in 0..NC {
                    partial[odd][c] = T::reg_fma(
                        s,
                        regs[c][2 * i + odd],
                        x_regs[2 * i + odd],
                        partial[odd][c],
                    );
                }
            }
        }
        if x_regs.len() % 2 == 1 {
            let i = x_regs.len() - 1;
            for c in 0..NC {
                partial[0][c] = T::reg_fma(s, regs[c][i], x_regs[i], partial[0][c]);
            }
        }
        for c in 0..NC {
            sums[c] = T::reg_sum(s, T::reg_add(s, partial[0][c], partial[1][c]));
            for (&u, &x) in column(c)[whole..].iter().zip(&x[whole..]) {
                sums[c] += u * x;
            }
        }
    }
    if intercept {
        for (a, sums) in sums[..k].iter_mut().enumerate() {
            let i = k * d + a;
            if i < end {
                for c in 0..NC {
                    sums[c] += block[c * stride + i];
                }
            }
        }
    }
    sums
}

/// G <- G + sum_c D_c s_c s_c' over the columns of a block, the lower half.
#[inline(always)]
fn add_products<T: Scalar>(gram: &mut [f64], sums: &[[T; NC]; MOST_SHARED], d: &[T; NC], k: usize) {
    for a in 0..k {
        let v: [f64; NC] = std::array::from_fn(|c| d[c].to_f64() * sums[a][c].to_f64());
        for (out, sums) in gram[a * k..=a * k + a].iter_mut().zip(sums) {
            for c in 0..NC {
                *out += v[c] * sums[c].to_f64();
            }
        }
    }
}

/// What the columns of a row are to one another, so far: K_ti = h_i'b_t, and 1/alpha_t.
struct Inner<T> {
    /// C_at of the active columns.
    coefficients: [Numbers<T>; MOST_SHARED],
    tallies: [Tally<T>; MOST_SHARED],
    active: usize,
    products: [Numbers<T>; MOST_SHARED],
    inverse_alpha: Numbers<T>,
    weight: Numbers<T>,
}

impl<T: Scalar> Inner<T> {
    #[inline(always)]
    fn new(columns: &Columns<T>, active: &[usize], all: &[Numbers<T>]) -> Self {
        let zeros = [T::zero(); MOST_SHARED];
        let (mut weight, mut coefficients) = (zeros, [zeros; MOST_SHARED]);
        for (t, &column) in active.iter().enumerate() {
            weight[t] = columns.settings[column].weight;
            for (to, from) in coefficients.iter_mut().zip(all) {
                to[t] = from[column];
            }
        }
        let tally = Tally {
            alpha: T::one(),
            ..Tally::default()
        };
        Inner {
            coefficients,
            tallies: [tally; MOST_SHARED],
            active: active.len(),
            products: [zeros; MOST_SHARED],
            inverse_alpha: [T::one(); MOST_SHARED],
            weight,
        }
    }

    /// (v, lambda) of every column of the row against the columns of a block, and D after.
    #[inline(always)]
    fn block(
        &mut self,
        sums: &[[T; NC]; MOST_SHARED],
        d: &mut [T; NC],
    ) -> ([[T; NC]; MOST_SHARED], [[T; NC]; MOST_SHARED]) {
        let zeros = [[T::zero(); NC]; MOST_SHARED];
        let (mut vs, mut lambdas) = (zeros, zeros);
        for c in 0..NC {
            let mut f = [T::zero(); MOST_SHARED];
            for (of, sums) in self.coefficients.iter().zip(sums) {
                for t in 0..MOST_SHARED {
                    f[t] += of[t] * sums[c];
                }
            }
            for (t, tally) in self.tallies[..self.active].iter_mut().enumerate() {
                let (v, wf) = (d[c] * f[t], self.weight[t] * f[t]);
                let lambda = -(wf * self.inverse_alpha[t]);
                let alpha = tally.alpha + wf * v;
                let inverse = T::one() / alpha;
                tally.q += f[t] * v;
                tally.spread[c] += v.abs();
                let size = lambda.abs();
                // A NaN is not larger, but then alpha or v is not finite, which the bound sees.
                tally.peak[c] = if size > tally.peak[c] {
                    size
                } else {
                    tally.peak[c]
                };
                d[c] *= tally.alpha * inverse;
                (tally.alpha, self.inverse_alpha[t]) = (alpha, inverse);
                (vs[t][c], lambdas[t][c]) = (v, lambda);
                // Those of the columns before are not looked at again.
                let products = &mut self.products[t];
                for i in 0..MOST_SHARED {
                    let old = f[i];
                    f[i] += lambda * products[i];
                    products[i] += v * old;
                }
            }
        }
        (vs, lambdas)
    }
}

/// u_c <- u_c + lambda_tc b_t, then b_t <- b_t + v_tc (old u_c), for each column c of the block and each t, a tile of rows at a time.
#[inline(always)]
fn sweep<T: Scalar, S: Simd, const N: usize>(
    s: S,
    source: Option<&[T]>,
    block: &mut [T],
    tiles: &mut [T],
    (v, lambda): (&[[T; NC]], &[[T; NC]]),
    len: usize,
) {
    let (stride, r) = (block.len() / NC, v.len());
    let (c0, rest) = block.split_at_mut(stride);
    let (c1, rest) = rest.split_at_mut(stride);
    let (c2, c3) = rest.split_at_mut(stride);
    let [c0, c1, c2, c3] =
        [c0, c1, c2, c3].map(|c| T::regs_mut::<S>(&mut c[..len]).as_chunks_mut::<N>().0);
    let olds = source.map(|old| -> [&[[T::Reg<S>; N]]; NC] {
        std::array::from_fn(|c| {
            T::regs::<S>(&old[c * stride..c * stride + len])
                .as_chunks::<N>()
                .0
        })
    });
    let tiles = T::regs_mut::<S>(tiles).as_chunks_mut::<N>().0;
    let columns = c0.iter_mut().zip(c1).zip(c2).zip(c3);
    for (i, (tile, (((c0, c1), c2), c3))) in tiles.chunks_exact_mut(r).zip(columns).enumerate() {
        let mut u = match &olds {
            Some(olds) => [olds[0][i], olds[1][i], olds[2][i], olds[3][i]],
            None => [*c0, *c1, *c2, *c3],
        };
        for ((b, v), lambda) in tile.iter_mut().zip(v).zip(lambda) {
            for c in 0..NC {
                let (v, lambda) = (T::reg_splat(s, v[c]), T::reg_splat(s, lambda[c]));
                for n in 0..N {
                    let new = T::reg_fma(s, lambda, b[n], u[c][n]);
                    b[n] = T::reg_fma(s, u[c][n], v, b[n]);
                    u[c][n] = new;
                }
            }
        }
        [*c0, *c1, *c2, *c3] = u;
    }
}
