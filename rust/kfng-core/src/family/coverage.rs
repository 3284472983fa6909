//! How often y lies in the central 90 % interval of its prediction, over the last rows.
//!
//! ```text
//! n <- min(n + 1, 16384),   s <- s + (share - s)/1000      share: of a row's observed outputs, those inside
//! ```
//!
//! n and s start at 0; after n rows the weights of s sum to w = 1 - (1 - 1/1000)^n, and s/w is the weighted share. Both are kept in one
//! number n + s: s stays below 1, and 2^-38 is the smallest change of it, a hundred times a rounding of which is 4e-10. The interval is
//! that of a normal, or of Student's t whose quantile comes from the Cornish-Fisher expansion in 1/dof (Abramowitz and Stegun 26.7.5): to
//! 3e-3 of itself at 2 degrees of freedom, 5e-4 at 3, 4e-5 at 5, 1e-7 at 20.

/// The part of s that one row is.
const RATE: f64 = 1e-3;
/// n no longer grows when the weights sum to 1 but for 8e-8.
pub const MOST_ROWS: f64 = 16384.0;
/// The 95 % quantile of the standard normal.
const Z: f64 = 1.644_853_626_951_472_2;
/// Its square.
pub const NORMAL: f64 = Z * Z;
const Z_2: f64 = Z * Z;
const TERMS: [f64; 4] = [
    Z * (Z_2 + 1.0) / 4.0,
    Z * ((5.0 * Z_2 + 16.0) * Z_2 + 3.0) / 96.0,
    Z * (((3.0 * Z_2 + 19.0) * Z_2 + 17.0) * Z_2 - 15.0) / 384.0,
    Z * ((((79.0 * Z_2 + 776.0) * Z_2 + 1482.0) * Z_2 - 1920.0) * Z_2 - 945.0) / 92160.0,
];

/// The square of the 95 % quantile of Student's t with 2a degrees of freedom, a > 1.
#[inline(always)]
pub fn student(a: f64) -> f64 {
    let x = 0.5 / a;
    let [first, second, third, fourth] = TERMS;
    let t = Z + x * (first + x * (second + x * (third + x * fourth)));
    t * t
}

/// n + s after a row.
#[inline(always)]
pub fn after(kept: f64, share: f64) -> f64 {
    let n = kept.trunc();
    let s = kept - n;
    (n + 1.0).min(MOST_ROWS) + (s + RATE * (share - s))
}

#[cfg(test)]
mod tests {
    use super::super::special::{normal_quantile, student_quantile};
    use super::{MOST_ROWS, NORMAL, after, student};

    #[test]
    fn the_quantiles_are_right() {
        assert!((NORMAL.sqrt() / normal_quantile(0.95) - 1.0).abs() < 1e-15);
        for (dof, tolerance) in [
            (2.0, 3e-3),
            (3.0, 5e-4),
            (5.0, 4e-5),
            (20.0, 1e-7),
            (1e3, 1e-14),
        ] {
            let exact = student_quantile(0.95, dof);
            assert!((student(dof / 2.0).sqrt() / exact - 1.0).abs() < tolerance);
        }
    }

    #[test]
    fn the_share_can_be_read() {
        for rows in [700, 100_000] {
            let (mut kept, mut exact, mut left) = (0.0f64, 0.0, 1.0);
            for i in 0..rows {
                let share = if i % 4 == 0 { 0.0 } else { 1.0 };
                kept = after(kept, share);
                exact += 1e-3 * (share - exact);
                left *= 0.999;
            }
            assert_eq!(kept.trunc(), f64::from(rows).min(MOST_ROWS));
            assert!((kept.fract() - exact).abs() < 1e-9);
            assert!((kept.fract() / (1.0 - left) - 0.75).abs() < 1e-3);
        }
    }

    #[test]
    fn it_never_spills_over() {
        for share in [0.0, 1.0] {
            let mut kept = 0.0f64;
            for _ in 0..100_000 {
                kept = after(kept, share);
            }
            assert_eq!(kept.trunc(), MOST_ROWS);
            assert!((kept.fract() - share).abs() < 1e-7);
        }
    }
}
