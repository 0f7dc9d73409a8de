"""A place for runs in the place of Mage's destinations."""

import logging

import pytest
from mage_runs import Mage

from tailrace.compat import mage_run


@pytest.fixture
def mage(tmp_path, monkeypatch):
    """Runs into a DuckDB as Mage's runner does."""
    logger = logging.getLogger("tailrace")
    kept = logger.handlers, logger.level, logger.propagate
    for name in ("open_streams", "close_stdout"):
        monkeypatch.setattr(mage_run, name, lambda: None)
    yield Mage(tmp_path)
    logger.handlers, logger.level, logger.propagate = kept
