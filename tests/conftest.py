"""Fixtures of all tests. `impl` runs a test on kfng and on kfng.reference."""

import importlib
import os

import pytest

IMPLEMENTATIONS = ("kfng", "kfng.reference")


def chosen():
    """All implementations; KFNG_IMPL=reference or KFNG_IMPL=kfng restricts them while one is being worked on."""
    only = os.environ.get("KFNG_IMPL")
    names = {None: IMPLEMENTATIONS, "kfng": IMPLEMENTATIONS[:1], "reference": IMPLEMENTATIONS[1:]}
    if only not in names:
        raise pytest.UsageError(f"KFNG_IMPL is kfng or reference, not {only!r}")
    return names[only]


@pytest.fixture(params=chosen())
def impl(request):
    """The module under test. A missing kfng._core fails the test, never skips it."""
    return implementation(request.param)


@pytest.fixture(params=chosen())
def recurrent_impl(request):
    """The module under test, for models with a hidden state."""
    return implementation(request.param)


@pytest.fixture
def both():
    """(kfng, kfng.reference), for tests of parity."""
    return implementation("kfng"), implementation("kfng.reference")


def implementation(name):
    try:
        if name == "kfng":
            importlib.import_module("kfng._core")
        return importlib.import_module(name)
    except ImportError as error:
        pytest.fail(f"{name} cannot be imported: {error}", pytrace=False)
