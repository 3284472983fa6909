//! Against values of mpmath to 20 digits.

use super::student_quantile;
use super::{
    beta_tails, gamma_quantile, gamma_tails, log_normal_cdf, normal_quantile, normal_tails,
};

fn near(got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got / expected - 1.0).abs() < tolerance,
        "got {got:e}, expected {expected:e}"
    );
}

#[test]
fn gamma() {
    for (a, x, lower, upper) in [
        (0.3, 1e-5, 0.035_235_360_615_562_58, 0.964_764_639_384_437_4),
        (0.3, 7.0, 0.999_928_335_806_150_4, 7.166_419_384_958_389e-5),
        (
            10.0,
            3.0,
            0.001_102_488_130_115_479_7,
            0.998_897_511_869_884_5,
        ),
        (
            300.0,
            200.0,
            2.711_468_443_343_111_4e-11,
            0.999_999_999_972_885_3,
        ),
        (
            1e4,
            10_600.0,
            0.999_999_998_037_807_5,
            1.962_192_482_133_047e-9,
        ),
    ] {
        let (p, q) = gamma_tails(a, x);
        near(p, lower, 1e-12);
        near(q, upper, 1e-12);
    }
    for (a, q, x) in [
        (0.05, 1e-12, 5.844_632_057_286_677e-241),
        (0.4, 0.77, 0.556_325_097_312_506_2),
        (1e4, 1e-6, 9_531.835_117_189_81),
        (3.0, 0.99, 8.405_946_914_885_464),
    ] {
        near(gamma_quantile(a, q), x, 1e-12);
    }
}

#[test]
fn beta() {
    for (a, b, x, lower, upper) in [
        (0.5, 0.5, 0.25, 1.0 / 3.0, 2.0 / 3.0),
        (
            3.0,
            0.5,
            0.0625,
            7.815_219_376_382_908e-5,
            0.999_921_847_806_236_2,
        ),
        (
            30.0,
            50.0,
            0.125,
            8.297_201_170_202_156e-9,
            0.999_999_991_702_798_8,
        ),
        (
            30.0,
            50.0,
            0.625,
            0.999_996_981_930_609_8,
            3.018_069_390_179_553_6e-6,
        ),
        (
            1e3,
            2e3,
            0.3125,
            0.007_282_614_925_509_494,
            0.992_717_385_074_490_5,
        ),
    ] {
        let (p, q) = beta_tails(a, b, x, 1.0 - x);
        near(p, lower, 1e-12);
        near(q, upper, 1e-12);
    }
}

#[test]
fn normal() {
    for (q, x) in [
        (1e-300, -37.047_096_299_361_2),
        (1e-12, -7.034_483_825_301_132),
        (0.125, -1.150_349_380_376_008),
        (0.375, -0.318_639_363_964_375_16),
        (0.75, 0.674_489_750_196_081_7),
    ] {
        near(normal_quantile(q), x, 1e-14);
        near(normal_tails(x).0, q, 1e-12);
        near(normal_tails(-x).1, q, 1e-12);
    }
    for (x, log_below, ratio) in [
        (-60.0, -1_805.013_560_680_567, 60.016_657_420_241_125),
        (-29.5, -439.429_474_609_150_23, 29.533_820_844_167_983),
        (-2.0, -3.783_184_333_682_032, 2.373_215_532_822_841),
        (2.0, -0.023_012_909_328_963_488, 0.055_247_862_678_989_959),
    ] {
        near(log_normal_cdf(x).0, log_below, 1e-14);
        near(log_normal_cdf(x).1, ratio, 1e-12);
    }
    assert!(normal_quantile(5e-324).is_finite());
    assert_eq!(
        [0.0, 0.5, 1.0].map(normal_quantile),
        [f64::NEG_INFINITY, 0.0, f64::INFINITY]
    );
}

#[test]
fn student() {
    for (q, dof, x) in [
        (1e-300, 3.0, -1.033_110_836_044_653e100),
        (1e-6, 3.0, -103.299_467_780_419_34),
        (0.125, 3.0, -1.422_625_281_461_809_3),
        (0.375, 3.0, -0.349_218_088_741_738_5),
        (1e-12, 200.0, -7.503_247_657_072_684),
    ] {
        near(student_quantile(q, dof), x, 1e-12);
        near(
            student_quantile(1.0 - 0.125, 3.0),
            1.422_625_281_461_809_3,
            1e-12,
        );
    }
}

/// Whatever comes, an answer: NaN or a number, no panic.
#[test]
fn nonsense_ends() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        0.0,
        5e-324,
        1e-300,
        0.5,
        1.0,
        1e300,
    ];
    for a in odd {
        for b in odd {
            let _ = (
                gamma_tails(a, b),
                gamma_quantile(a, b),
                student_quantile(b, a),
            );
            for x in odd {
                let _ = beta_tails(a, b, x, 1.0 - x);
            }
        }
        let _ = normal_quantile(a);
        assert!(normal_quantile(-1.0).is_nan());
    }
}
