"""Settings as the command line reads them."""

import json

import pytest

from tailrace import destinations
from tailrace.cli.options import setup
from tailrace.destinations import scheme_of


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The run's settings, and the destination's as its module gets them, of a config.json and a `--to`."""

    def load(config, to=None, *sets):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        made = setup(to, [path], list(sets))
        module = destinations._module(scheme_of(made.to))
        monkeypatch.setattr(module, "build", lambda settings: settings)
        return made.settings, made.open()

    return load
