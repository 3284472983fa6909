"""The checks of river for estimators, all of them, over seeds: `make test-extras`."""

import functools
import random

import numpy as np
import pytest

try:
    from river.checks import yield_checks
except ImportError as error:
    pytest.fail(f"the extra river is not installed: {error}", pytrace=False)

from kfng.river import Classifier, Regressor

SEEDS = range(20)
MODELS = {
    "regressor": Regressor,
    "forgetting": functools.partial(Regressor, half_life=50),
    "diagonal": functools.partial(Regressor, belief="diagonal"),
    "poisson": functools.partial(Regressor, family="poisson"),
    "classifier": Classifier,
    "classifier, diagonal": functools.partial(Classifier, belief="diagonal", forgetting=0.01),
}


def checks(make):
    return [(check, getattr(check, "__name__", str(check))) for check in yield_checks(make())]


CASES = [
    pytest.param(name, number, id=f"{name}-{title}-{number}")
    for name, make in MODELS.items()
    for number, (_, title) in enumerate(checks(make))
]


def test_nothing_is_left_out():
    for make in MODELS.values():
        assert not list(make()._unit_test_skips())
        assert len(checks(make)) > 25


@pytest.mark.parametrize(("name", "number"), CASES)
def test_checks(name, number):
    """Each over 20 seeds of what it shuffles and drops; the one that measures memory over a long stream, once."""
    make = MODELS[name]
    once = checks(make)[number][1] == "check_bounded_memory_growth"
    for seed in SEEDS[:1] if once else SEEDS:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (what river draws from)
        check, _ = checks(make)[number]  # some rows come from a generator
        check(make())
