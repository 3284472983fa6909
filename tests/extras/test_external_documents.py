"""The documents that need an extra run as they stand: `make test-extras`, never a part of `make test`.

A missing extra is a failure: these tests are asked for by name, in an environment made for them.
"""

import importlib

import numpy as np
import pytest
from docs.documents import ROOT, blocks

import kfng

TOLERANCE = 1e-8
EXTERNAL = {"jax": "external_jax.md", "torch": "external_torch.md"}


@pytest.fixture(scope="module", params=EXTERNAL)
def space(request):
    """What a document's code leaves behind; its own assertions have held."""
    try:
        importlib.import_module(request.param)
    except ImportError as error:
        pytest.fail(f"the extra {request.param} is not installed: {error}", pytrace=False)
    document = ROOT / "docs" / EXTERNAL[request.param]
    names = {"__name__": "document"}
    assert blocks(document)
    for start, block in blocks(document):
        exec(compile("\n" * start + block, str(document), "exec"), names)
    return names


def test_the_network_was_trained_through_external(space):
    flt = space["flt"]
    assert type(flt) is kfng.Filter
    assert isinstance(flt.settings.model, kfng.External)
    assert flt.n_updates == len(space["y"])
    assert np.abs(flt.theta - np.asarray(space["theta_0"])).max() > 0.1


def test_it_equals_kfngs_own_network(space):
    flt, own = space["flt"], space["own"]
    assert isinstance(own.settings.model, kfng.MLP)
    assert np.abs(own.theta - flt.theta).max() < TOLERANCE
    assert np.abs(own.std() - flt.std()).max() < TOLERANCE


def test_a_jacobian_off_by_a_thousandth_would_show(space):
    """The control: the same stream with one derivative wrong ends elsewhere."""
    flt, settings = space["flt"], space["flt"].settings
    wrong = kfng.Filter(settings.model, settings.family, belief=settings.belief, theta=np.asarray(space["theta_0"]))
    for u, y in zip(space["U"], space["y"], strict=True):
        dz, z = space["linearise"](_given(space, wrong.theta), _given(space, u))
        scale = np.ones(len(wrong.theta))
        scale[0] = 1.001
        wrong.condition(y, z, dz * _given(space, scale))
    assert np.abs(wrong.theta - flt.theta).max() > 1000 * TOLERANCE


def _given(space, array):
    """The array as the document's framework takes it."""
    return space["torch"].from_numpy(np.array(array)) if "torch" in space else array
