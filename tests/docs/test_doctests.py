"""What the documents show is what kfng does, and what its reference does."""

import contextlib
import doctest
import io
import re

import numpy as np
import pytest
from docs.documents import ADAPTERS, DOCUMENTS, ROOT, blocks, name, of_implementation, sessions

WITH_SESSIONS = [document for document in DOCUMENTS if sessions(document).strip() and document not in ADAPTERS]


def failures(source, where):
    """What a session prints otherwise than it says."""
    test = doctest.DocTestParser().get_doctest(source, {}, where, where, 0)
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    with np.printoptions(precision=8, linewidth=75):
        runner.run(test, out=said.write)
    return said.getvalue()


@pytest.mark.parametrize("document", WITH_SESSIONS, ids=name)
def test_sessions_print_what_they_say(impl, document):
    said = failures(of_implementation(sessions(document), impl), name(document))
    assert not said, said


def test_a_wrong_figure_fails(impl):
    source = of_implementation(">>> import kfng\n>>> print(kfng.Linear(2).n_parameters)\n3\n", impl)
    assert not failures(source, "right")
    assert "Expected:\n    4\nGot:\n    3" in failures(source.replace("\n3\n", "\n4\n"), "wrong")


def test_every_family_model_belief_and_rule_has_its_example():
    from kfng._settings import AXES

    shown = "".join(sessions(document) for document in WITH_SESSIONS)
    entries = [entry for axis in ("family", "model", "belief", "rule") for entry in AXES[axis]]
    assert entries
    assert not [entry for entry in entries if f"kfng.{entry}(" not in shown]


@pytest.mark.parametrize("document", [*DOCUMENTS, *sorted(ROOT.glob("*.md"))], ids=name)
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    assert not [target for target in targets if not (document.parent / target).exists()]


def test_the_lines_of_the_readme_run(impl):
    first, *_ = (text for _, text in blocks(ROOT / "README.md"))
    assert len(first.splitlines()) <= 6
    space = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(of_implementation(first, impl), "README.md", "exec"), space)
    assert said.getvalue()
    flt = space["flt"]
    assert type(flt) is impl.Filter
    error = np.abs(flt.parameters["weight"][0] - [1.0, -0.2, 30.0])
    assert (error < 4 * flt.std()[:3]).all()
