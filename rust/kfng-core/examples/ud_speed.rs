//! Rows per second of the UD pass: `cargo run --release --example ud_speed [portable|avx2|avx512] [p ...]`.
//!
//! One thread, decay 0.9999. `from`: the first row of a wave reads one buffer and writes another, as a transactional step does.

use std::time::Instant;

use kfng_core::linalg::{Aligned, Columns, Layout, Path, diagonal_prior, fuse};
use kfng_core::scalar::Scalar;

fn rows_per_second<T: Scalar>(layout: Layout, wave: usize, from: bool) -> f64 {
    let (u_len, d_len) = (layout.u_len(), layout.d_len());
    let mut u = [
        Aligned::<T>::zeros(u_len).unwrap(),
        Aligned::<T>::zeros(u_len).unwrap(),
    ];
    let mut d = [
        Aligned::<T>::zeros(d_len).unwrap(),
        Aligned::<T>::zeros(d_len).unwrap(),
    ];
    diagonal_prior(&layout, &vec![T::one(); layout.p()], &mut u[0], &mut d[0]);
    let mut columns = Columns::<T>::with_capacity(&layout, 64).unwrap();
    let mut seed = 7u64;
    for _ in 0..64 {
        let h = columns.push(T::one(), T::of(0.9999), 0);
        for x in &mut h[..layout.p()] {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *x = T::of((seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
        }
    }
    let (mut t, mut speeds) = (0, vec![]);
    for _ in 0..41 {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed().as_millis() < 5 {
            let waves = 1 + 200_000 / (layout.p() * layout.p() * wave);
            for _ in 0..waves {
                let ([u0, u1], [d0, d1]) = (&mut u, &mut d);
                if from {
                    fuse(&layout, Some((u0, d0)), u1, d1, &mut columns, t..t + wave);
                    std::mem::swap(u0, u1);
                    std::mem::swap(d0, d1);
                } else {
                    fuse(&layout, None, u0, d0, &mut columns, t..t + wave);
                }
                t = (t + wave) % 64;
            }
            count += waves * wave;
        }
        speeds.push(count as f64 / start.elapsed().as_secs_f64());
    }
    // The machine may be shared: the second best of short windows is what the kernel does when left alone.
    speeds.sort_by(f64::total_cmp);
    speeds[39]
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let path = arguments.next_if(|a| a.parse::<usize>().is_err());
    let path = path.map_or(Path::best(), |name| {
        Path::named(&name).expect("a path of this machine")
    });
    let mut sizes: Vec<usize> = arguments.filter_map(|a| a.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![4, 10, 32, 100, 500, 1000];
    }
    println!("path {}", path.name());
    println!(
        "{:>5} {:>5} {:>12} {:>12} {:>12} {:>12}",
        "p", "wave", "f64", "f64 from", "f32", "f32 from"
    );
    for p in sizes {
        for wave in [1, 2, 4, 16] {
            let layout = Layout::with_path(p, path).unwrap();
            let speeds = [
                rows_per_second::<f64>(layout, wave, false),
                rows_per_second::<f64>(layout, wave, true),
                rows_per_second::<f32>(layout, wave, false),
                rows_per_second::<f32>(layout, wave, true),
            ];
            println!(
                "{p:5} {wave:5} {:12.0} {:12.0} {:12.0} {:12.0}",
                speeds[0], speeds[1], speeds[2], speeds[3]
            );
        }
    }
}
