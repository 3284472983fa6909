"""kfng.FeatureHasher on the compiled hash."""

from __future__ import annotations

from typing import Any

from . import _core
from ._hashing import Arrays, FeatureHasherBase, plain


class FeatureHasher(FeatureHasherBase):
    __doc__ = FeatureHasherBase.__doc__

    def _hashed(self, rows: list[Any]) -> Arrays:
        found = _core.hashed(rows, *self._key())
        if found is None:  # something is unusual
            found = _core.hashed(plain(rows), *self._key())
        assert found is not None
        return found
