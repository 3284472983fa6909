"""A filter in a file, in a pickle, and copied: settings and state, once for all three."""

from __future__ import annotations

from typing import Any, Self

from numpy.typing import NDArray

from ._copied import Pickled
from ._filter_parts import FilterParts
from ._settings import Settings
from .errors import BadHeaderError, CheckpointError, KfngError


class Saving(FilterParts, Pickled):
    """`spec`, `save` and `copy`."""

    _kind = "Filter"

    @classmethod
    def _from_settings(cls, settings: Settings) -> Self:
        raise NotImplementedError

    def spec(self) -> dict[str, Any]:
        """The settings as plain JSON values (arrays by shape)."""
        return self.settings.spec()

    def _to_bytes(self) -> bytes:
        from . import __version__, checkpoint

        arrays = {f"spec.{name}": array for name, array in self.settings.arrays().items()}
        arrays |= {f"state.{name}": array for name, array in self._state().items()}
        when = {} if self._when is None else {"time": list(self._when)}
        return checkpoint.encode({"library": __version__, "object": self._kind, "spec": self.spec()} | when, arrays)

    @classmethod
    def _from_file(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        from ._load import under

        own, state = under(arrays, "spec."), under(arrays, "state.")
        if len(own) + len(state) != len(arrays):
            raise BadHeaderError(argument="layout", expected="arrays of spec and state", got=sorted(arrays))
        try:
            settings = Settings.from_spec(header.get("spec"), own)
        except CheckpointError:
            raise
        except (KfngError, TypeError) as error:
            raise BadHeaderError(argument="spec", expected="settings of a filter", got=str(error)) from error
        flt = cls._from_settings(settings)
        flt._set_state(state)
        if "time" in header:
            from ._clock import Moment

            flt._when = Moment.read(header["time"])
        return flt

    def save(self, path: Any) -> None:
        """Write the filter to a file: atomically, with a digest, the file before it kept as `<path>.prev`.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        OSError
            The file cannot be written; what was there is as before.
        UnsupportedError
            The settings hold something that a file cannot (a callable).
        """
        from . import checkpoint

        checkpoint.write(path, self._to_bytes())

    def copy(self) -> Self:
        """An independent filter in the same state."""
        twin = self._from_settings(self.settings)
        twin._set_state(self._state())
        twin._when = self._when
        return twin
