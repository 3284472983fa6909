"""Copies and pickles of what has a `copy`, and of what is whole in the bytes of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray


class Copied:
    """`copy` for the module copy: what is in an object is its own, however deep."""

    if TYPE_CHECKING:

        def copy(self) -> Self: ...

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()


class Pickled(Copied):
    """A pickle holds the bytes of the file, of an object of this kind."""

    _kind: ClassVar[str]

    if TYPE_CHECKING:

        def _to_bytes(self) -> bytes: ...
        @classmethod
        def _from_file(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self: ...

    @classmethod
    def _from_bytes(cls, data: bytes) -> Self:
        from . import checkpoint
        from ._load import require_kind

        header, arrays = checkpoint.decode(data)
        require_kind(header, cls._kind)
        return cls._from_file(header, arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_bytes, (self._to_bytes(),)
