//! C = dz P dz' of a row whose dz did not go through the belief, from what its columns A = dz'L have left.
//!
//! Column s takes W/alpha_s b_s b_s' off P, so P A_r = b_r + sum over s < r of W/alpha_s b_s (b_s'A_r), and with G = A'P A = L'C L:
//!
//! ```text
//! G_qr = A_q'b_r + sum over s < r of W/alpha_s (A_q'b_s)(A_r'b_s),  q >= r;     C = L'^-1 G L^-1
//! ```
//!
//! L is upper triangular. k columns through the belief in the place of 2k; the products are those that C takes anyway. Cost O(k² p + k³).

use crate::filter::Filter;
use crate::linalg::dot;
use crate::scalar::Scalar;

impl<T: Scalar> Filter<T> {
    /// C (k, k), times `scale`.
    pub(crate) fn covariance_by_factor(&self, index: usize, scale: f64, c: &mut [f64]) {
        let (k, first) = (self.sizes.k, self.work.slots[index].first);
        let l = &self.work.l[index * k * k..(index + 1) * k * k];
        // The lower triangle holds A_q'b_r, then from its last column to its first G.
        for r in 0..k {
            c[r * k + r] = self.columns.q(first + r).to_f64();
            for q in r + 1..k {
                let (a, b) = (self.columns.h(first + q), self.columns.b(first + r));
                c[q * k + r] = dot(a, b).to_f64();
            }
        }
        for r in (0..k).rev() {
            for q in r..k {
                for s in 0..r {
                    let alpha = self.columns.alpha(first + s).to_f64();
                    let weight = self.columns.weight(first + s).to_f64();
                    c[q * k + r] += weight / alpha * c[q * k + s] * c[r * k + s];
                }
            }
        }
        for q in 0..k {
            for r in 0..q {
                c[r * k + q] = c[q * k + r];
            }
        }
        // L' X = G by rows, then C L = X by columns, with L upper triangular.
        for j in 0..k {
            for i in 0..k {
                let mut sum = c[i * k + j];
                for s in 0..i {
                    sum -= l[s * k + i] * c[s * k + j];
                }
                c[i * k + j] = sum / l[i * k + i];
            }
        }
        for i in 0..k {
            for j in 0..k {
                let mut sum = c[i * k + j];
                for s in 0..j {
                    sum -= c[i * k + s] * l[s * k + j];
                }
                c[i * k + j] = sum / l[j * k + j];
            }
        }
        for i in 0..k {
            for j in 0..i {
                let mean = 0.5 * (c[i * k + j] + c[j * k + i]) * scale;
                (c[i * k + j], c[j * k + i]) = (mean, mean);
            }
            c[i * k + i] *= scale;
        }
    }
}
