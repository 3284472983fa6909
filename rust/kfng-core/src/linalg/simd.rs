//! Instruction sets: which one runs, and registers of either number type.
//!
//! pulp compiles a kernel once per instruction set and chooses at run time. A [`Path`] is that choice, made once per layout.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};

use pulp::{Simd, WithSimd, bytemuck};

/// Registers of a number type on an instruction set `S`.
pub trait Lanes: Copy {
    /// One register.
    type Reg<S: Simd>: Copy;

    /// Whole registers of a slice; a remainder that fills none is left out.
    fn regs<S: Simd>(x: &[Self]) -> &[Self::Reg<S>];
    /// Whole registers of a mutable slice.
    fn regs_mut<S: Simd>(x: &mut [Self]) -> &mut [Self::Reg<S>];
    /// Every lane `x`.
    fn reg_splat<S: Simd>(s: S, x: Self) -> Self::Reg<S>;
    /// a·b.
    fn reg_mul<S: Simd>(s: S, a: Self::Reg<S>, b: Self::Reg<S>) -> Self::Reg<S>;
    /// a/b.
    fn reg_div<S: Simd>(s: S, a: Self::Reg<S>, b: Self::Reg<S>) -> Self::Reg<S>;
    /// The larger of a and b, neither of them NaN.
    fn reg_max<S: Simd>(s: S, a: Self::Reg<S>, b: Self::Reg<S>) -> Self::Reg<S>;
    /// The larger of |a| and b; a NaN may be lost.
    fn reg_peak<S: Simd>(s: S, a: Self::Reg<S>, b: Self::Reg<S>) -> Self::Reg<S>;
    /// a + b.
    fn reg_add<S: Simd>(s: S, a: Self::Reg<S>, b: Self::Reg<S>) -> Self::Reg<S>;
    /// a·b + c, fused where the instruction set does so in one instruction, never in software.
    fn reg_fma<S: Simd>(s: S, a: Self::Reg<S>, b: Self::Reg<S>, c: Self::Reg<S>) -> Self::Reg<S>;
    /// Sum of the lanes, in the one order of `S`.
    fn reg_sum<S: Simd>(s: S, a: Self::Reg<S>) -> Self;
    /// Numbers in one register.
    #[inline(always)]
    fn reg_lanes<S: Simd>() -> usize {
        size_of::<Self::Reg<S>>() / size_of::<Self>()
    }
}

macro_rules! lanes {
    ($t:ty, $reg:ident, $as:ident, $as_mut:ident, $splat:ident, $mul:ident, $div:ident, $abs:ident, $max:ident, $add:ident, $mul_add:ident, $sum:ident) => {
        impl Lanes for $t {
            type Reg<S: Simd> = S::$reg;

            #[inline(always)]
            fn regs<S: Simd>(x: &[Self]) -> &[S::$reg] {
                S::$as(x).0
            }

            #[inline(always)]
            fn regs_mut<S: Simd>(x: &mut [Self]) -> &mut [S::$reg] {
                S::$as_mut(x).0
            }

            #[inline(always)]
            fn reg_splat<S: Simd>(s: S, x: Self) -> S::$reg {
                s.$splat(x)
            }

            #[inline(always)]
            fn reg_mul<S: Simd>(s: S, a: S::$reg, b: S::$reg) -> S::$reg {
                s.$mul(a, b)
            }

            #[inline(always)]
            fn reg_div<S: Simd>(s: S, a: S::$reg, b: S::$reg) -> S::$reg {
                s.$div(a, b)
            }

            #[inline(always)]
            fn reg_max<S: Simd>(s: S, a: S::$reg, b: S::$reg) -> S::$reg {
                s.$max(a, b)
            }

            #[inline(always)]
            fn reg_add<S: Simd>(s: S, a: S::$reg, b: S::$reg) -> S::$reg {
                s.$add(a, b)
            }

            #[inline(always)]
            fn reg_peak<S: Simd>(s: S, a: S::$reg, b: S::$reg) -> S::$reg {
                s.$max(s.$abs(a), b)
            }

            #[inline(always)]
            fn reg_fma<S: Simd>(s: S, a: S::$reg, b: S::$reg, c: S::$reg) -> S::$reg {
                s.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn reg_sum<S: Simd>(s: S, a: S::$reg) -> Self {
                s.$sum(a)
            }
        }
    };
}

lanes!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    mul_f32s,
    div_f32s,
    abs_f32s,
    max_f32s,
    add_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s
);
lanes!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    mul_f64s,
    div_f64s,
    abs_f64s,
    max_f64s,
    add_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s
);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(not(target_arch = "x86_64"))]
    Native(pulp::Arch),
}

/// One instruction set of this machine. Holding one proves that the machine has it.
#[derive(Clone, Copy, Debug)]
pub struct Path(Kind);

/// Names of the paths; the first is the scalar one of small p, which no machine lacks and nothing replaces.
const NAMES: [&str; 5] = ["index-order", "portable", "avx2", "avx512", "native"];
/// Index in `NAMES` of the path that `force` asked for; 0: none.
static FORCED: AtomicU8 = AtomicU8::new(0);

thread_local! {
    // Per thread, so that counting never shares a cache line and a test sees its own runs only.
    static RUNS: [Cell<u64>; NAMES.len()] = const { [const { Cell::new(0) }; NAMES.len()] };
}

impl Path {
    /// The fastest path of this machine, or the forced one.
    pub fn best() -> Path {
        Path::named(NAMES[usize::from(FORCED.load(Ordering::Relaxed))]).unwrap_or_else(Path::detect)
    }

    fn detect() -> Path {
        ["native", "avx512", "avx2"]
            .into_iter()
            .find_map(Path::named)
            .unwrap_or(Path(Kind::Portable))
    }

    /// The path called `portable`, `avx2`, `avx512` or `native`, where the machine has it.
    pub fn named(name: &str) -> Option<Path> {
        match name {
            "portable" => Some(Path(Kind::Portable)),
            #[cfg(target_arch = "x86_64")]
            "avx2" => pulp::x86::V3::try_new().map(|v3| Path(Kind::Avx2(v3))),
            #[cfg(target_arch = "x86_64")]
            "avx512" => pulp::x86::V4::try_new().map(|v4| Path(Kind::Avx512(v4))),
            #[cfg(not(target_arch = "x86_64"))]
            "native" => Some(Path(Kind::Native(pulp::Arch::new()))),
            _ => None,
        }
    }

    /// Every path this machine has.
    pub fn available() -> impl Iterator<Item = Path> {
        NAMES.into_iter().filter_map(Path::named)
    }

    /// Makes every later `Path::best()`, and so every later layout, use this path (`None`: the fastest again). For tests.
    pub fn force(path: Option<Path>) {
        FORCED.store(path.map_or(0, |path| path.index() as u8), Ordering::Relaxed);
    }

    /// How many kernels this thread ran on the path of that name (`index-order` included).
    pub fn runs(name: &str) -> u64 {
        NAMES
            .iter()
            .position(|&n| n == name)
            .map_or(0, |i| RUNS.with(|runs| runs[i].get()))
    }

    /// Name of the path.
    pub fn name(self) -> &'static str {
        NAMES[self.index()]
    }

    fn index(self) -> usize {
        match self.0 {
            Kind::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => 2,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => 3,
            #[cfg(not(target_arch = "x86_64"))]
            Kind::Native(_) => 4,
        }
    }

    /// The transposed tile: shuffles of registers where the path has them, in a kernel that is compiled for it.
    #[inline(always)]
    pub(crate) fn turned(self, tile: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
        #[cfg(target_arch = "x86_64")]
        {
            let avx = match self.0 {
                Kind::Portable => None,
                Kind::Avx2(v3) => Some(v3.avx),
                Kind::Avx512(v4) => Some(v4.avx),
            };
            if let Some(avx) = avx {
                let [a, b, c, d]: [std::arch::x86_64::__m256d; 4] = bytemuck::cast(tile);
                let even = [avx._mm256_unpacklo_pd(a, b), avx._mm256_unpacklo_pd(c, d)];
                let odd = [avx._mm256_unpackhi_pd(a, b), avx._mm256_unpackhi_pd(c, d)];
                return bytemuck::cast([
                    avx._mm256_permute2f128_pd::<0x20>(even[0], even[1]),
                    avx._mm256_permute2f128_pd::<0x20>(odd[0], odd[1]),
                    avx._mm256_permute2f128_pd::<0x31>(even[0], even[1]),
                    avx._mm256_permute2f128_pd::<0x31>(odd[0], odd[1]),
                ]);
            }
        }
        let mut out = tile;
        for i in 0..4 {
            for j in 0..4 {
                out[i][j] = tile[j][i];
            }
        }
        out
    }

    /// Runs a kernel compiled for this path.
    #[inline(always)]
    pub(crate) fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        count(self.index());
        self.run_uncounted(op)
    }

    /// Runs a kernel of the index-order arithmetic: its bits are the same on every path, only its speed differs.
    #[inline(always)]
    pub(crate) fn run_index_order<Op: WithSimd>(self, op: Op) -> Op::Output {
        count(0);
        self.run_uncounted(op)
    }

    #[inline(always)]
    pub(crate) fn run_uncounted<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self.0 {
            Kind::Portable => portable(op),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(v3) => Simd::vectorize(v3, op),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(v4) => Simd::vectorize(v4, op),
            #[cfg(not(target_arch = "x86_64"))]
            Kind::Native(arch) => arch.dispatch(op),
        }
    }
}

/// Not inlined, as the other paths cannot be: one copy of a kernel for all who run it.
#[inline(never)]
fn portable<Op: WithSimd>(op: Op) -> Op::Output {
    pulp::Scalar.vectorize(op)
}

#[inline(always)]
fn count(index: usize) {
    RUNS.with(|runs| runs[index].set(runs[index].get().wrapping_add(1)));
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn a_tile_is_transposed() {
        let tile = [0, 1, 2, 3].map(|i| [0, 1, 2, 3].map(|j| f64::from(4 * i + j)));
        for path in Path::available() {
            let turned = path.turned(tile);
            assert!((0..16).all(|k| turned[k % 4][k / 4] == k as f64));
        }
    }

    #[test]
    fn a_name_gives_its_path() {
        assert!(Path::available().any(|path| path.name() == "portable"));
        for path in Path::available() {
            assert_eq!(Path::named(path.name()).unwrap().name(), path.name());
        }
        assert!(Path::named("index-order").is_none() && Path::named("nonsense").is_none());
        assert_eq!(Path::runs("nonsense"), 0);
    }
}
