"""`banks` runs a test on each implementation that has a bank."""

from __future__ import annotations

import pytest
from conftest import chosen, implementation
from hypothesis import HealthCheck, settings

settings.register_profile(
    "bank",
    derandomize=True,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(params=[name for name in chosen() if hasattr(__import__("importlib").import_module(name), "Bank")])
def impl(request):
    """The module under test."""
    return implementation(request.param)
