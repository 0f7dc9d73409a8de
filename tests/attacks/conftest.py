"""Scenes of attacks: a destination of every kind, with a victim beside, and somebody else's client to look at both."""

import pytest
from scenes import SCENES


@pytest.fixture(params=list(SCENES))
def scene(request, tmp_path):
    """A destination with its victim."""
    made = SCENES[request.param](request, tmp_path)
    made.begin()
    yield made
    made.close()
