"""Small pictures as SVG text: axes, lines, bands, bars, points. What `kfng.report` draws with, so that it needs NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 8, 38
NAMED = 112
"""Left margin where names stand in it."""
INK, GRID, BAND = "#333333", "#dddddd", "#cfe0f3"
COLOURS = ("#1f5f9e", "#c4511d", "#2b7a3d", "#7a4a9e", "#8a6d00", "#a03060", "#3b7d86", "#666666")


class Chart:
    """One picture, 360 wide: readable as it is on a phone, and it scales. Limits are of the data; labels are escaped."""

    def __init__(
        self,
        title: str,
        x_label: str,
        y_label: str,
        x: tuple[float, float],
        y: tuple[float, float],
        height: int = HEIGHT,
        names: Sequence[str] | None = None,
    ) -> None:
        """With `names` they stand at the left, one to each unit of y from the top down."""
        self._title, self._height, self._left = title, height, LEFT if names is None else NAMED
        self._x, self._y = _widened(*x), _widened(*y)
        self._parts: list[str] = []
        self._legend: list[tuple[str, str]] = []
        self._axes(x_label, y_label, names)

    # -- what is drawn
    def line(self, x: Any, y: Any, colour: str = COLOURS[0], dashed: bool = False, label: str = "") -> None:
        """Through the points whose y is finite."""
        if not (there := _finite(x, y)):
            return
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        points = " ".join(f"{self._h(a):.1f},{self._v(b):.1f}" for a, b in there)
        self._parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        if label:
            self._legend.append((colour, label))

    def band(self, x: Any, low: Any, high: Any, colour: str = BAND) -> None:
        """Between two curves."""
        if not (there := _finite(x, low) + _finite(x, high)[::-1]):
            return
        points = " ".join(f"{self._h(a):.1f},{self._v(b):.1f}" for a, b in there)
        self._parts.append(f'<polygon points="{points}" fill="{colour}" stroke="none"/>')

    def bars(self, left: Any, right: Any, top: Any, colour: str = COLOURS[0]) -> None:
        """From 0 to `top`."""
        for a, b, y in zip(left, right, top, strict=True):
            high, low = sorted((self._v(float(y)), self._v(0.0)))
            size = f'width="{max(self._h(b) - self._h(a) - 1, 0.5):.1f}" height="{low - high:.1f}"'
            self._parts.append(
                f'<rect x="{self._h(a):.1f}" y="{high:.1f}" {size} fill="{colour}" fill-opacity="0.75"/>'
            )

    def points(self, x: Any, y: Any, colour: str = COLOURS[0]) -> None:
        for a, b in _finite(x, y):
            self._parts.append(f'<circle cx="{self._h(a):.1f}" cy="{self._v(b):.1f}" r="3" fill="{colour}"/>')

    def svg(self) -> str:
        """The picture; its title is what a screen reader says."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {self._height}" role="img" aria-label="{escape(self._title, quote=True)}" '
            f'font-family="sans-serif" fill="{INK}">{"".join(self._parts)}</svg>'
        )

    def legend(self) -> str:
        """Its labelled lines as HTML, to stand below it."""
        shown = (f'<li><i style="background:{colour}"></i>{escape(label)}</li>' for colour, label in self._legend)
        return f'<ul class="legend">{"".join(shown)}</ul>' if self._legend else ""

    # -- axes
    def _axes(self, x_label: str, y_label: str, names: Sequence[str] | None) -> None:
        bottom, right = self._height - BOTTOM, WIDTH - RIGHT
        for i, name in enumerate(names or ()):
            v = self._v(len(names or ()) - i - 0.5) + 3.5
            self._parts.append(
                f'<text x="{NAMED - 6}" y="{v:.1f}" font-size="11" text-anchor="end">{escape(_short(name, 16))}</text>'
            )
        for value in ticks(*self._y) if names is None else ():
            v = self._v(value)
            self._parts.append(f'<line x1="{self._left}" x2="{right}" y1="{v:.1f}" y2="{v:.1f}" stroke="{GRID}"/>')
            self._parts.append(
                f'<text x="{LEFT - 4}" y="{v + 3.5:.1f}" font-size="11" text-anchor="end">{short_number(value)}</text>'
            )
        for value in ticks(*self._x, wanted=4):
            h = self._h(value)
            self._parts.append(f'<line x1="{h:.1f}" x2="{h:.1f}" y1="{bottom}" y2="{bottom + 3}" stroke="{INK}"/>')
            self._parts.append(
                f'<text x="{h:.1f}" y="{bottom + 14}" font-size="11" text-anchor="middle">{short_number(value)}</text>'
            )
        self._parts.append(f'<line x1="{self._left}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="{INK}"/>')
        middle = (self._left + right) / 2
        self._parts.append(
            f'<text x="{middle}" y="{self._height - 5}" font-size="12" text-anchor="middle">{escape(x_label)}</text>'
        )
        turned = f"rotate(-90 12 {(TOP + bottom) / 2})"
        self._parts.append(
            f'<text x="12" y="{(TOP + bottom) / 2}" font-size="12" text-anchor="middle" transform="{turned}">{escape(y_label)}</text>'
        )

    def _h(self, x: float) -> float:
        low, high = self._x
        return self._left + (min(max(float(x), low), high) - low) / (high - low) * (WIDTH - self._left - RIGHT)

    def _v(self, y: float) -> float:
        low, high = self._y
        return (
            self._height - BOTTOM - (min(max(float(y), low), high) - low) / (high - low) * (self._height - TOP - BOTTOM)
        )


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers within low to high, about so many."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((s * power for s in (1.0, 2.0, 2.5, 5.0, 10.0)), key=lambda s: abs(math.log(s / raw)))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def short_number(value: float) -> str:
    """A tick as it is read: 25k, 1.5M, 0.02."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}" if abs(value) < 1e12 else f"{value:.2g}"
    return f"{value:.4g}" if abs(value) > 1e-9 else "0"


def _widened(low: float, high: float) -> tuple[float, float]:
    """Limits that are finite and apart."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    if not low < high:
        away = abs(low) * 0.1 or 1.0
        return low - away, high + away
    return float(low), float(high)


def _finite(x: Any, y: Any) -> list[tuple[float, float]]:
    pairs = zip(np.asarray(x, dtype=np.float64).tolist(), np.asarray(y, dtype=np.float64).tolist(), strict=True)
    return [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]


def _short(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"
