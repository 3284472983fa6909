//! Feature hashing: names to columns and signs, as scikit-learn's `FeatureHasher` has them.
//!
//! The hash is MurmurHash3_x86_32 (A. Appleby, public domain) with seed 0, read as signed: its magnitude modulo d is the column, its sign
//! that of the value (Weinberger et al. 2009, Feature hashing for large scale multitask learning).

use crate::error::Error;

/// MurmurHash3_x86_32.
#[must_use]
pub fn murmur3(data: &[u8], seed: u32) -> u32 {
    let (blocks, tail) = data.as_chunks::<4>();
    let mut h = seed;
    for &block in blocks {
        h ^= scrambled(u32::from_le_bytes(block));
        h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        h ^= scrambled(u32::from_le_bytes(last));
    }
    h ^= data.len() as u32;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

fn scrambled(k: u32) -> u32 {
    k.wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

/// Rows as they are hashed, of which each has its columns in ascending order, each once.
#[derive(Debug)]
pub struct Hashed {
    d: u32,
    signed: bool,
    /// (m + 1,)
    pub starts: Vec<i64>,
    /// (n,)
    pub indices: Vec<i64>,
    /// (n,)
    pub values: Vec<f64>,
    row: Vec<(i64, f64)>,
}

impl Hashed {
    /// No rows yet, of d columns; `signed`: half of the names have their values negated.
    #[must_use]
    pub fn new(d: u32, signed: bool) -> Self {
        Hashed {
            d,
            signed,
            starts: vec![0],
            indices: Vec::new(),
            values: Vec::new(),
            row: Vec::new(),
        }
    }

    /// A name of the row at hand, and its value; 0 is as if it were not there.
    pub fn push(&mut self, name: &[u8], value: f64) -> Result<(), Error> {
        if value == 0.0 {
            return Ok(());
        }
        let h = murmur3(name, 0).cast_signed();
        let value = if self.signed && h < 0 { -value } else { value };
        let column = h.unsigned_abs() % self.d;
        room(&mut self.row)?;
        self.row.push((i64::from(column), value));
        Ok(())
    }

    /// The row is complete: values of one column are added, in the order in which they came.
    pub fn end_row(&mut self) -> Result<(), Error> {
        self.row.sort_by_key(|&(column, _)| column);
        let start = self.indices.len();
        for &(column, value) in &self.row {
            match self.values.last_mut() {
                Some(last) if self.indices[start..].last() == Some(&column) => *last += value,
                _ => {
                    room(&mut self.indices)?;
                    room(&mut self.values)?;
                    self.indices.push(column);
                    self.values.push(value);
                }
            }
        }
        self.row.clear();
        room(&mut self.starts)?;
        self.starts.push(self.indices.len().cast_signed() as i64);
        Ok(())
    }
}

/// Room for one more.
fn room<X>(list: &mut Vec<X>) -> Result<(), Error> {
    let bytes = list.len().saturating_mul(size_of::<X>());
    list.try_reserve(1).map_err(|_| Error::Memory(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published vectors: data, seed, hash.
    const VECTORS: [(&[u8], u32, u32); 14] = [
        (b"", 0, 0),
        (b"", 1, 0x514e_28b7),
        (b"", 0xffff_ffff, 0x81f1_6f39),
        (b"\xff\xff\xff\xff", 0, 0x7629_3b50),
        (b"\x21\x43\x65\x87", 0, 0xf55b_516b),
        (b"\x21\x43\x65\x87", 0x5082_edee, 0x2362_f9de),
        (b"\x21\x43\x65", 0, 0x7e4a_8634),
        (b"\x21\x43", 0, 0xa0f7_b07a),
        (b"\x21", 0, 0x7266_1cf4),
        (b"\0\0\0\0", 0, 0x2362_f9de),
        (b"\0\0\0", 0, 0x85f0_b427),
        (b"\0\0", 0, 0x30f4_c306),
        (b"\0", 0, 0x514e_28b7),
        (b"Hello, world!", 0x9747_b28c, 0x2488_4cba),
    ];

    #[test]
    fn published_vectors() {
        for (data, seed, hash) in VECTORS {
            assert_eq!(murmur3(data, seed), hash, "{data:?}, seed {seed:#x}");
        }
    }

    #[test]
    fn a_row_has_each_column_once_in_order() {
        let mut hashed = Hashed::new(3, false);
        for (name, value) in [("a", 1.0), ("b", 2.0), ("c", 0.0), ("d", 4.0), ("e", 8.0)] {
            hashed.push(name.as_bytes(), value).unwrap();
        }
        hashed.end_row().unwrap();
        hashed.end_row().unwrap();
        let ends = hashed.indices.len().cast_signed() as i64;
        assert_eq!(hashed.starts, [0, ends, ends]);
        assert!(hashed.indices.is_sorted_by(|a, b| a < b));
        assert!(hashed.indices.iter().all(|&column| column < 3));
        assert_eq!(hashed.values.iter().sum::<f64>(), 15.0);
        let mut one = Hashed::new(1, false);
        for name in ["a", "b", "c"] {
            one.push(name.as_bytes(), 2.0).unwrap();
        }
        one.end_row().unwrap();
        assert_eq!((one.indices, one.values), (vec![0], vec![6.0]));
    }
}
