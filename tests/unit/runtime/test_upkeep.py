"""Upkeep: what is maintained, and what that asks for."""

from datetime import timedelta

import pytest

from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import ConfigError
from tailrace.model import TableName
from tailrace.runtime.upkeep import maintained


class Lake(MemoryDestination):
    """A destination that has something to maintain."""

    def maintain(self, tables, keep):
        yield f"{tables} kept {keep}"


HOUR = timedelta(hours=1)


def test_a_lake_is_maintained_by_the_tables_names():
    done = [*maintained(Lake(), ["things", "own.others"], HOUR)]
    assert done == [f"{[TableName('things'), TableName('others', 'own')]} kept 1:00:00"]


@pytest.mark.parametrize("destination", [Lake(), MemoryDestination()])
def test_less_than_an_hour_is_too_short(destination):
    with pytest.raises(ConfigError, match="keep: 0:59:59 is too short"):
        next(maintained(destination, [], HOUR - timedelta(seconds=1)))


def test_a_destination_that_is_no_lake_looks_after_itself():
    with pytest.raises(ConfigError, match="looks after its tables itself"):
        next(maintained(MemoryDestination(), [], HOUR))
