"""One self-contained HTML page about a filter and how it did: pictures inline, no script, nothing from the network."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _report_pictures as pictures
from ._bank_base import BankBase
from ._coefficients import coefficients
from ._mixture_base import MixtureBase
from ._summary import Summary, summary_of
from .errors import ParameterError, UnsupportedError

Float = NDArray[np.float64]
ROWS = 200
"""Coefficients in the table."""

STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#222;font:16px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:16px}
h1{font-size:1.5rem;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:1.6em 0 .4em}
p{margin:.4em 0;max-width:46rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:8px;margin:12px 0}
.tile{border:1px solid #ccc;border-radius:6px;padding:8px 10px}
.tile b{display:block;font-size:1.25rem;overflow-wrap:anywhere}
.tile span{color:#555;font-size:.85rem}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:16px}
figure{margin:0;max-width:620px;border:1px solid #ccc;border-radius:6px;padding:8px}
figure svg{display:block;width:100%;height:auto}
figcaption{font-size:.9rem;color:#444;margin-top:4px}
.legend{list-style:none;margin:4px 0 0;padding:0;font-size:.85rem;display:flex;flex-wrap:wrap;gap:2px 14px}
.legend i{display:inline-block;width:14px;height:5px;margin-right:6px;vertical-align:middle}
.scroll{overflow-x:auto;border:1px solid #ccc;border-radius:6px;max-height:32rem;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{padding:4px 10px;border-bottom:1px solid #e5e5e5;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;min-width:7rem;overflow-wrap:anywhere}
table.text td:first-child{min-width:6rem}
table.text td{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}
thead th{position:sticky;top:0;background:#f3f3f3}
footer{margin:24px 0 8px;color:#555;font-size:.85rem}
"""


def report(flt: Any, trace: Any = None, y: Any = None, path: Any = None, *, title: str | None = None) -> str:
    """A page about a filter: what it is, how it predicted, its coefficients, calibration, residuals, and its health.

    The page is one file of some ten kilobytes for any number of rows: its pictures are in it, and it asks for nothing else. It
    reads at the width of a phone and of a desktop.

    Parameters
    ----------
    flt : Filter, Mixture, Bank, StateFilter or JointEkf
    trace : Trace, MixtureTrace or kfng.diagnostics.Summary, optional
        How it did: of one `update_many`, or a Summary to which the trace of each batch was added. Without one the page is
        about what the filter knows.
    y : (n,) or (n, k), optional
        With a trace: its y where that came later.
    path : path, optional
        Where to write the page, in UTF-8.
    title : str, optional

    Returns
    -------
    str
        The page.

    Raises
    ------
    ParameterError, ShapeError, DtypeError
    OSError
        The file cannot be written.
    """
    if not hasattr(flt, "health") or not hasattr(flt, "spec"):
        raise ParameterError(argument="flt", expected="a filter, mixture or bank", got=type(flt).__name__)
    if title is not None and not isinstance(title, str):
        raise ParameterError(argument="title", expected="a string", got=type(title).__name__)
    if trace is None and y is not None:
        raise ParameterError(argument="y", expected="a trace to judge by it", got="no trace")
    summary = None if trace is None else summary_of(trace, y)
    page = "".join(_page(flt, summary, title or f"kfng: {type(flt).__name__}"))
    if path is not None:
        Path(os.fsdecode(path)).write_text(page, encoding="utf-8")
    return page


def _page(flt: Any, summary: Summary | None, title: str) -> Iterator[str]:
    from . import __version__

    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
    yield f"<h1>{escape(title)}</h1>"
    yield from _tiles(flt, summary)
    if summary is not None and summary.n_known:
        yield "<h2>How it predicted</h2><p>Each row is judged by the prediction that was made before its y was used.</p>"
        yield from _figures(pictures.of_rows(summary))
    yield from _numbers(flt)
    yield "<h2>What it is</h2>"
    yield from _table(["setting", "value"], _settings(flt), text=True)
    yield "<h2>Health</h2><p>What the guards did, and how the stream looked; <code>health()</code> says what each means.</p>"
    yield from _table(["counter", "value"], _flat(flt.health()))
    yield f"<footer>kfng {escape(__version__)}. This page is complete in itself.</footer></main></body></html>\n"


def _tiles(flt: Any, summary: Summary | None) -> Iterator[str]:
    found: list[tuple[str, str]] = []
    if isinstance(flt, BankBase):
        keys = flt.keys()
        found += [("keys", f"{len(keys):,}"), ("rows learned", f"{int(flt.n_updates(keys).sum()):,}")]
    else:
        found.append(("rows learned", f"{int(flt.n_updates):,}"))
    if summary is not None and summary.n_known:
        means = summary.means
        found += [("rows in the trace", f"{summary.n_rows:,}")]
        found += [("root mean squared error", number(means["rmse"])), ("mean absolute error", number(means["mae"]))]
        found += [("mean −log density, nats", number(means["nll"]))]
        places = summary.places
        if len(places):
            found += [("of y inside 90 % intervals", f"{100 * np.mean(np.abs(places - 0.5) <= 0.45):.1f} %")]
    try:
        mean, dof = getattr(flt, "noise_variance", (None, None))
    except UnsupportedError:  # a family whose noise follows from its mean
        mean, dof = None, None
    if isinstance(mean, float):
        learned = dof is not None and math.isfinite(dof)
        found.append((f"noise sd{', learned' if learned else ', given'}", number(math.sqrt(mean))))
    yield '<div class="tiles">'
    for name, value in found:
        yield f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
    yield "</div>"


def _figures(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield '<div class="pictures">'
    for svg, caption in found:
        yield f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
    yield "</div>"


def _numbers(flt: Any) -> Iterator[str]:
    known = coefficients(flt)
    if not len(known.estimate):
        return
    shown = known.largest(ROWS)
    whose = " of the best filter" if isinstance(flt, MixtureBase) else ""
    whose = ": mean and spread over the keys" if isinstance(flt, BankBase) else whose
    yield f"<h2>Coefficients{whose}</h2>"
    yield from _figures([pictures.coefficients(known)])
    if len(shown.names) < len(known.names):
        yield f"<p>{len(shown.names)} of {len(known.names):,}, those farthest from 0 in standard deviations first.</p>"
    with np.errstate(all="ignore"):
        z = shown.estimate / shown.sd
    rows = [
        (n, number(e), number(s), number(r))
        for n, e, s, r in zip(shown.names, shown.estimate, shown.sd, z, strict=True)
    ]
    head = ["mean", "spread", "ratio"] if isinstance(flt, BankBase) else ["estimate", "sd", "z"]
    yield from _table(["coefficient", *head], rows)


def _settings(flt: Any) -> list[tuple[str, str]]:
    if isinstance(flt, MixtureBase):
        weights = zip(flt.names, flt.weights, flt.filters, strict=True)
        found = [(name, f"weight {number(w)}: {one!r}") for name, w, one in weights]
        return [*found, ("forgetting", number(flt.spec()["forgetting"]))]
    spec = flt.spec()
    return [(name, _plain(value)) for name, value in spec.items()]


def _plain(value: Any) -> str:
    """A setting as it is written in Python, an array by its shape, a long list by its length."""
    if isinstance(value, dict) and "kind" in value:
        inside = ", ".join(f"{name}={_plain(item)}" for name, item in value.items() if name != "kind")
        return f"{value['kind']}({inside})"
    if isinstance(value, dict) and set(value) == {"shape"}:
        return f"array of shape {tuple(value['shape'])}"
    if isinstance(value, (list, tuple)) and len(value) > 12:
        return f"{', '.join(map(str, value[:12]))}, and {len(value) - 12} more"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _flat(health: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in health.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}: ")
        elif np.ndim(value) == 0:
            rows.append((prefix + str(name), number(value)))
        else:
            rows.append((prefix + str(name), ", ".join(number(item) for item in np.ravel(value)[:12])))
    return rows


def _table(head: list[str], rows: Iterable[tuple[str, ...]], text: bool = False) -> Iterator[str]:
    kind = ' class="text"' if text else ""
    yield f'<div class="scroll" tabindex="0"><table{kind}><thead><tr>'
    yield "".join(f"<th>{escape(name)}</th>" for name in head)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody></table></div>"


def number(value: Any) -> str:
    """A number as it is read; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, (bool, np.bool_, str)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    x = float(value)
    if not math.isfinite(x):
        return "–" if math.isnan(x) else ("∞" if x > 0 else "−∞")
    size = abs(x)
    return f"{x:,.4g}" if size == 0 or 1e-3 <= size < 1e6 else f"{x:.3e}"


__all__ = ["report"]
