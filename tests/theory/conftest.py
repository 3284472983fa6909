"""Every identity runs with all guards off, and with default guards on streams mild enough that none of them acts."""

import pytest


@pytest.fixture(params=["no_guards", "default_guards"])
def guards(request):
    return request.param
