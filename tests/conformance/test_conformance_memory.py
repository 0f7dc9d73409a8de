"""The memory does what every destination does."""

import pytest

from tailrace.destinations.memory import MemoryDestination
from tailrace.testing import BEHAVIOURS, Subject


@pytest.fixture
def subject(tmp_path):
    def rows(table, schema=None):
        return MemoryDestination(str(tmp_path)).tables().get(f"{schema}.{table}" if schema else table, [])

    return Subject(open=lambda: MemoryDestination(str(tmp_path)), rows=rows)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_memory(behaviour, subject):
    behaviour(subject)
