"""`kfng inspect model.kfng` prints what a saved filter of any kind knows, and how it is set."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

import kfng
from kfng._coefficients import coefficients
from kfng._health import warnings

from .trouble import tabulator


def inspect(path: str | os.PathLike[str], key: str | None = None) -> dict[str, Any]:
    """Load a saved filter and return what it holds as plain JSON values; a number that is not finite becomes None.

    Of a bank: its sums, and mean and spread of the keys' parameters; with `key` the filter of that key.
    """
    flt = kfng.load(path)
    file = {"path": os.fspath(path), "kfng": kfng.__version__, "bytes": os.stat(path).st_size}
    if isinstance(flt, kfng.Bank) and key is not None:
        flt = flt[int(key) if key not in flt and key.lstrip("-").isdecimal() else key]
    elif key is not None:
        raise kfng.ParameterError(argument="key", expected="a file of a bank", got=type(flt).__name__)
    return file | about(flt)


def about(flt: Any) -> dict[str, Any]:
    """What `inspect` says but for the file."""
    if isinstance(flt, kfng.Bank):
        return _bank(flt)
    if isinstance(flt, kfng.Mixture):
        return _mixture(flt)
    try:
        mean, dof = getattr(flt, "noise_variance", (None, None))
    except kfng.UnsupportedError:  # a family whose noise follows from its mean
        mean, dof = None, None
    return {
        "parameters": int(np.size(getattr(flt, "theta", ()))),
        "n_updates": int(flt.n_updates),
        "noise_variance": {"mean": _plain(mean), "dof": _plain(dof)},
        "settings": _plain(flt.spec()),
        "health": _plain(flt.health()),
        "warnings": list(warnings(flt.settings, flt.health())) if isinstance(flt, kfng.Filter) else [],
        "coefficients": _coefficients(flt),
    }


def _bank(bank: kfng.Bank) -> dict[str, Any]:
    keys = bank.keys()
    found = coefficients(bank)
    rows = zip(found.names, found.estimate, found.sd, strict=True)
    return {
        "keys": len(keys),
        "parameters": bank.settings.p,
        "n_updates": int(bank.n_updates(keys).sum()),
        "noise_variance": {"mean": None, "dof": None},
        "settings": _plain(bank.spec()),
        "health": _plain(bank.health()),
        "coefficients": [{"name": name, "estimate": _plain(t), "sd": _plain(s), "z": None} for name, t, s in rows],
    }


def _mixture(mixture: kfng.Mixture) -> dict[str, Any]:
    """Its weights, and what is said of its best filter alone."""
    weights = dict(zip(mixture.names, mixture.weights.tolist(), strict=True))
    best = about(mixture.best)
    own = {
        "best of the mixture": max(weights, key=weights.__getitem__),
        "forgetting of its evidence": mixture.spec()["forgetting"],
    }
    shown = {f"weight of {name}": weight for name, weight in weights.items()}
    effective = {"effective": mixture.health()["effective"]}
    return best | {"settings": own | shown | best["settings"], "health": best["health"] | effective}


def _coefficients(flt: Any) -> list[dict[str, Any]]:
    """Name, estimate, sd and z of every parameter, in the order of theta; of a joint filter, of the state before them."""
    found = coefficients(flt)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = found.estimate / found.sd
    rows = zip(found.names, found.estimate, found.sd, z, strict=True)
    return [{"name": name, "estimate": _plain(t), "sd": _plain(s), "z": _plain(r)} for name, t, s, r in rows]


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# -- text


def _lines(report: dict[str, Any], top: int) -> Iterator[str]:
    tabulate = tabulator(" (or use --json)")
    parameters, rows = report["parameters"], report["coefficients"]
    keys = f"{report['keys']:,} keys, " if "keys" in report else ""
    yield f"{report['path']}: {report['bytes']:,} bytes, {keys}{parameters:,} parameters, {report['n_updates']:,} rows learned"
    noise = report["noise_variance"]
    yield from _noise_line(noise)
    yield ""
    yield tabulate([(name, _setting(value)) for name, value in report["settings"].items()], tablefmt="plain")
    yield ""
    yield from _coefficient_lines(rows, top, keys=bool(keys))
    yield ""
    health = [(name, _setting(value)) for name, value in report["health"].items()]
    yield tabulate(health, headers=["health", ""], disable_numparse=True, colalign=("left", "right"))
    yield from (f"⚠ {line}" for line in report.get("warnings", ()))


def coefficients_table(flt: Any, top: int) -> Iterator[str]:
    """A line about its size, one about its noise, and the coefficients of a filter or a bank."""
    report = about(flt)
    keys = f"{report['keys']:,} keys, " if "keys" in report else ""
    yield f"{keys}{report['parameters']:,} parameters, {report['n_updates']:,} rows learned"
    yield from _noise_line(report["noise_variance"])
    yield ""
    yield from _coefficient_lines(report["coefficients"], top, keys=bool(keys))


def _coefficient_lines(rows: list[dict[str, Any]], top: int, *, keys: bool) -> Iterator[str]:
    tabulate = tabulator(" (or use --json)")
    shown = sorted(rows, key=lambda row: -abs(row["z"] or 0.0))[: top or None]
    cells = [[_printable(row["name"]), *(_number(row[key]) for key in ("estimate", "sd", "z"))] for row in shown]
    headers = ["coefficient", "mean over keys", "spread", ""] if keys else ["coefficient", "estimate", "sd", "z"]
    align = ("left", "decimal", "decimal", "decimal")
    yield tabulate(cells, headers=headers, colalign=align, disable_numparse=True)
    if len(shown) < len(rows):
        yield f"({len(shown)} of {len(rows)}, largest |z| first; --top 0 shows all)"


def _noise_line(noise: dict[str, Any]) -> Iterator[str]:
    """One line about the noise variance: learned (it has degrees of freedom), given, or none at all."""
    mean, dof = noise["mean"], noise["dof"]
    if isinstance(mean, float) and dof:
        yield f"noise: variance {mean:.6g}, sd {math.sqrt(mean):.4g}, learned with {dof:,.0f} degrees of freedom"
    elif mean is not None:
        yield f"noise: variance {mean}"


def _printable(text: str) -> str:
    """A name from a file of unknown origin, without what a terminal would act on."""
    return text if text.isprintable() else ascii(text)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.3e}"


def _setting(value: Any) -> str:
    """A setting on one line: a component as it is written in Python, a long list by its length."""
    if isinstance(value, dict) and "kind" in value:
        inside = ", ".join(f"{name}={_setting(item)}" for name, item in value.items() if name != "kind")
        return f"{value['kind']}({inside})"
    if isinstance(value, dict) and set(value) == {"shape"}:
        return f"array of shape ({', '.join(map(str, value['shape']))})"
    if isinstance(value, list) and len(value) > 6:
        return f"{len(value)} entries"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _printable(str(value))


def add(commands: Any) -> None:
    """The command's arguments."""
    show = commands.add_parser("inspect", help="print a saved filter: coefficients, settings, health, size")
    show.add_argument("path", help="a file written by a filter's save")
    show.add_argument("--top", type=count, default=40, metavar="N", help="coefficients shown, 0 for all (default: 40)")
    show.add_argument("--key", help="of a bank: the filter of this key alone")
    show.add_argument("--json", action="store_true", help="everything, as JSON")
    show.set_defaults(run=run, about=lambda options: options.path)


def run(options: Any) -> None:
    report = inspect(options.path, options.key)
    print(json.dumps(report, indent=2) if options.json else "\n".join(_lines(report, options.top)))


def count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value
