"""The pages of the adapters print what they say: `make test-extras`."""

import doctest
import importlib
import io

import pytest
from docs.documents import ADAPTERS, name, sessions


@pytest.mark.timeout(600)  # jax.md and torch.md train networks
@pytest.mark.parametrize("document", ADAPTERS, ids=name)
def test_sessions_print_what_they_say(document):
    try:
        importlib.import_module({"tables": "polars"}.get(document.stem, document.stem))
    except ImportError as error:
        pytest.fail(f"the extra {document.stem} is not installed: {error}", pytrace=False)
    source = sessions(document)
    assert source.count(">>>") > 10
    said = run(source, name(document))
    assert not said, said


def test_a_wrong_figure_fails():
    assert not run(">>> 1 + 1\n2\n", "right")
    assert "Expected:\n    3\nGot:\n    2" in run(">>> 1 + 1\n3\n", "wrong")


@pytest.mark.parametrize("package", ["kfng.river._regressor", "kfng.river._classifier", "kfng.torch._optimizer"])
def test_docstrings(package):
    assert doctest.testmod(importlib.import_module(package)).attempted > 2
    assert doctest.testmod(importlib.import_module(package)).failed == 0


def run(source, where):
    """What a session prints otherwise than it says."""
    test = doctest.DocTestParser().get_doctest(source, {}, where, where, 0)
    said = io.StringIO()
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False).run(test, out=said.write)
    return said.getvalue()
