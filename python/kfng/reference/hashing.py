"""Feature hashing in plain Python.

MurmurHash3_x86_32 is A. Appleby's, in the public domain: words of four bytes are scrambled and mixed into 32 bits, which are
mixed once more with the length. Bytes that are left over count as a word that ends with zeros, mixed in without the rotation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._hashing import Arrays, FeatureHasherBase, plain

MASK = 0xFFFFFFFF


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_32, from 0 to 2**32 - 1."""
    h, whole = seed, len(data) // 4 * 4
    for at in range(0, whole, 4):
        h ^= _scrambled(int.from_bytes(data[at : at + 4], "little"))
        h = (_rotated(h, 13) * 5 + 0xE6546B64) & MASK
    h ^= _scrambled(int.from_bytes(data[whole:], "little"))  # 0 where nothing is left over
    h ^= len(data) & MASK
    h = ((h ^ h >> 16) * 0x85EBCA6B) & MASK
    h = ((h ^ h >> 13) * 0xC2B2AE35) & MASK
    return h ^ h >> 16


def _scrambled(k: int) -> int:
    return (_rotated((k * 0xCC9E2D51) & MASK, 15) * 0x1B873593) & MASK


def _rotated(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (32 - bits))) & MASK


class FeatureHasher(FeatureHasherBase):
    __doc__ = FeatureHasherBase.__doc__

    def _hashed(self, rows: list[Any]) -> Arrays:
        starts, indices, values = [0], [], []
        for row in plain(rows):
            found: dict[int, float] = {}
            for name, value in row:
                if value == 0:
                    continue
                h = murmur3(name)
                h -= (h >> 31) << 32  # as a signed number
                column, sign = abs(h) % self.n_features, -1 if h < 0 and self.alternate_sign else 1
                found[column] = found[column] + sign * value if column in found else sign * value
            indices += sorted(found)
            values += [found[column] for column in sorted(found)]
            starts.append(len(indices))
        return np.array(starts, dtype=np.int64), np.array(indices, dtype=np.int64), np.array(values, dtype=np.float64)
