"""One profile for every property: the same examples on each run, and the seed of a failure in its report."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "kfng",
    derandomize=True,
    deadline=None,
    max_examples=25,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("kfng")
