//! Bytes as choices and numbers.

/// Numbers that arithmetic trips over.
const TRAPS: [f64; 30] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    1e308,
    1e300,
    -1e300,
    1e200,
    1e154,
    -1e154,
    1e100,
    1e39,
    3.4e38,
    -3.4e38,
    1e19,
    1e16,
    9_007_199_254_740_992.0,
    1e8,
    1e-8,
    1e-16,
    1e-39,
    1e-45,
    1e-154,
    1e-300,
];

/// What is left of the input; when nothing is, all that follows is 0.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// Below n.
    pub fn pick(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub fn one_of<X: Copy>(&mut self, of: &[X]) -> X {
        of[self.pick(of.len())]
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Any number: mostly a small one, sometimes a trap, sometimes the bits of four or eight bytes.
    pub fn number(&mut self) -> f64 {
        match self.byte() {
            b @ 0..200 => f64::from(b) / 16.0 - 4.0,
            b @ 200..230 => TRAPS[usize::from(b) - 200],
            230..240 => f64::from(f32::from_le_bytes(std::array::from_fn(|_| self.byte()))),
            _ => f64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// A finite one.
    pub fn finite(&mut self) -> f64 {
        let x = self.number();
        if x.is_finite() { x } else { 1.0 }
    }

    /// A finite one >= 0.
    pub fn magnitude(&mut self) -> f64 {
        self.finite().abs()
    }

    /// A setting as JSON, 1 more often than not; what is not finite has no form and becomes null.
    pub fn setting(&mut self) -> String {
        if self.byte() < 150 {
            return "1.0".into();
        }
        let x = self.number();
        if x.is_finite() {
            format!("{x:?}")
        } else {
            "null".into()
        }
    }
}
