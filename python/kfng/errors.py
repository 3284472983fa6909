"""Every error kfng raises on purpose: one base class, each naming the argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "BadDigestError",
    "BadHeaderError",
    "BadMagicError",
    "BadValueError",
    "CheckpointError",
    "DtypeError",
    "FarOffWarning",
    "InternalError",
    "KfngError",
    "NonFiniteError",
    "NotPositiveDefiniteError",
    "ParameterError",
    "ShapeError",
    "TruncatedError",
    "UnknownKeyError",
    "UnknownNameError",
    "UnreadableError",
    "UnsupportedError",
    "VersionError",
]


def shown(value: Any, text: Callable[[Any], str] = repr) -> str:
    """The beginning of a value's repr, or its type where that raises: an error is told whatever came."""
    try:
        return text(value)[:80]
    except Exception:
        return f"<{type(value).__name__}>"


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return shown(value)


class KfngError(Exception):
    """Base of all errors of kfng.

    `argument` names what was wrong, `expected` and `got` say how; each is None where it does not apply. Errors of
    `update_many` also carry `row` (the index of the row that failed) and `trace` (the rows that were applied).
    """

    row: int | None = None
    trace: Any = None

    def __init__(
        self, message: str | None = None, *, argument: str | None = None, expected: Any = None, got: Any = None
    ) -> None:
        self.argument, self.expected, self.got, self._message = argument, expected, got, message
        super().__init__(message if message is not None else self._sentence())

    def _sentence(self) -> str:
        parts = [f"expected {self.expected}"] if self.expected is not None else []
        parts += [f"got {_text(self.got)}"] if self.got is not None else []
        return f"{self.argument}: {', '.join(parts)}" if self.argument else ", ".join(parts)

    def __str__(self) -> str:
        text = self._message if self._message is not None else self._sentence()
        return f"{text} (row {self.row})" if self.row is not None else text

    def _kept(self) -> dict[str, Any]:
        """Attributes that a pickle keeps besides the arguments."""
        return {"row": self.row}

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {"argument": self.argument, "expected": self.expected, "got": self.got}
        return _rebuild, (type(self), self._message, fields, self._kept())


def _rebuild(cls: type[KfngError], message: str | None, fields: dict[str, Any], kept: dict[str, Any]) -> KfngError:
    error = cls(message, **fields)
    for name, value in kept.items():
        setattr(error, name, value)
    return error


class ShapeError(KfngError, ValueError):
    """An array has the wrong shape, or two components do not fit together."""


class ParameterError(KfngError, ValueError):
    """A value lies outside its range."""


class UnknownNameError(KfngError, ValueError):
    """A name that is not on the list of known names."""


class UnknownKeyError(UnknownNameError, KeyError):
    """A key that a bank does not have; also a KeyError, as of a dict."""


class NonFiniteError(KfngError, ValueError):
    """NaN or infinity where a finite number is needed, or finite input that overflows (`got` is then 'overflow')."""


class DtypeError(KfngError, TypeError):
    """Values that are not real numbers (objects, strings, complex numbers)."""


class UnsupportedError(KfngError, NotImplementedError):
    """A combination that has no meaning, or that this filter does not offer."""


class NotPositiveDefiniteError(KfngError, ArithmeticError):
    """A covariance matrix that is not symmetric positive definite."""


class InternalError(KfngError, RuntimeError):
    """A fault inside kfng; the object it happened in refuses further use."""


class FarOffWarning(UserWarning):
    """A feature's mean is many times its spread, and the prior of the intercept speaks of u = 0: see `Filter.from_rows`."""


class CheckpointError(KfngError):
    """Base of the errors of reading a saved filter."""


class UnreadableError(CheckpointError, OSError):
    """The file cannot be opened or read (a missing file is also a FileNotFoundError)."""

    def _kept(self) -> dict[str, Any]:
        return super()._kept() | {name: getattr(self, name) for name in ("errno", "strerror", "filename")}


class TruncatedError(CheckpointError):
    """The file is shorter or longer than its own header says."""


class BadMagicError(CheckpointError):
    """The file is not a kfng checkpoint."""


class BadDigestError(CheckpointError):
    """The file was damaged: its SHA-256 differs."""


class BadHeaderError(CheckpointError):
    """The header is not what a checkpoint's header must be."""


class BadValueError(CheckpointError):
    """A stored value is impossible (not finite, a negative variance, a wrong size)."""


class VersionError(CheckpointError):
    """The file was written in a format that this version does not know."""
