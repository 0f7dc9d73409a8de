"""Memory, the reference, does what every destination does."""

import uuid

import pytest

from tailrace.destinations.memory import MemoryDestination
from tailrace.testing import BEHAVIOURS, Subject


@pytest.fixture
def subject():
    name = uuid.uuid4().hex

    def rows(table, schema=None):
        try:
            return MemoryDestination(name).rows(f"{schema}.{table}" if schema else table)
        except KeyError:
            return []

    return Subject(open=lambda: MemoryDestination(name), rows=rows)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_memory(behaviour, subject):
    behaviour(subject)
