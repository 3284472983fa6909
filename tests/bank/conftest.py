"""One profile for what hypothesis does with banks."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "bank",
    derandomize=True,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
