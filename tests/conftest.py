"""Fixtures of all tests. `impl` runs a test on kfng and on kfng.reference; a census of panics and fatal signals."""

import importlib
import os
import signal
import subprocess

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


FATAL = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}
PANIC = "panicked at"


def pytest_configure(config):
    config.addinivalue_line("markers", "panics: this test makes the core panic, on purpose")


@pytest.fixture(autouse=True)
def children(monkeypatch):
    """The processes that a test starts, for the census below."""
    started, real = [], subprocess.Popen.__init__

    def begin(self, *args, **options):
        started.append(self)
        real(self, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", begin)
    return started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A panic of the core, caught or not and in whatever process, or a child that a fatal signal ended, fails the test."""
    report = yield
    if item.get_closest_marker("panics"):
        return report
    seen = []
    if PANIC in report.capstderr or (call.excinfo and call.excinfo.typename == "PanicException"):
        seen.append("the core panicked")
    for child in item.funcargs.get("children", ()) if call.when == "call" and hasattr(item, "funcargs") else ():
        if child.returncode in FATAL:
            seen.append(f"a child was ended by signal {-child.returncode}")
    if seen and report.outcome != "failed":
        report.outcome, report.longrepr = "failed", f"{item.nodeid}: {', '.join(seen)}"
    return report
