"""Components: frozen, stateless value objects with ==, a repr that can be pasted back, and a JSON form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from .errors import BadHeaderError, UnknownNameError, shown

Spec = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, np.dtype[np.float64]]]


class Component:
    """Base of every component; a subclass is a frozen dataclass whose `__post_init__` validates its fields."""

    axis: ClassVar[str]

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def _set(self, name: str, value: Any) -> None:
        """Store the canonical form of a field (the dataclass is frozen for everybody else)."""
        object.__setattr__(self, name, value)

    def spec(self) -> Spec:
        """The settings as plain JSON values; an array stands as {"shape": [...]}."""
        return self._split()[0]

    def core_spec(self) -> Spec:
        """The JSON form for the core, which need not be one that a file can hold."""
        return self.spec()

    def core_arrays(self) -> Arrays:
        """The arrays that it names."""
        return self._split()[1]

    def _split(self) -> tuple[Spec, Arrays]:
        """The JSON form, and the arrays that it names by shape."""
        spec: Spec = {"kind": type(self).__name__}
        arrays: Arrays = {}
        for name, value in self._fields().items():
            if isinstance(value, np.ndarray):
                arrays[name] = value
                value = {"shape": list(value.shape)}
            elif isinstance(value, Component):
                value = value.spec()  # schedules hold numbers alone
            elif isinstance(value, tuple):
                value = list(value)
            spec[name] = value
        return spec, arrays

    def _key(self) -> tuple[Any, ...]:
        values = []
        for value in self._fields().values():
            values.append((value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value)
        return (type(self), *values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if (
                not isinstance(value, np.ndarray)
                and field.default is not dataclasses.MISSING
                and value == field.default
            ):
                continue
            if isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, tuple):
                value = list(value)
            shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def _from_spec(cls, spec: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given = {name: value for name, value in spec.items() if name != "kind"}
        if set(given) != names:
            raise BadHeaderError(argument=cls.__name__, expected=sorted(names), got=sorted(given))
        for name, value in given.items():
            if isinstance(value, dict) and "shape" in value:
                if name not in arrays:
                    raise BadHeaderError(
                        argument=f"{cls.__name__}.{name}", expected="an array in the payload", got="none"
                    )
                given[name] = arrays[name]
        return cls(**given)


def component_from_spec(
    axis: str, known: Mapping[str, type[Component]], spec: Any, arrays: Mapping[str, Any]
) -> Component:
    """Build a component of one axis from its JSON form and its arrays."""
    if not isinstance(spec, dict) or not isinstance(spec.get("kind"), str):
        raise BadHeaderError(argument=axis, expected="an object with a kind", got=type(spec).__name__)
    if spec["kind"] not in known:
        raise UnknownNameError(argument=axis, expected=f"one of {sorted(known)}", got=shown(spec["kind"]))
    return known[spec["kind"]]._from_spec(spec, arrays)
