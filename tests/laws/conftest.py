"""Every destination is imported before processes are forked, so that none of them has to import its driver anew."""

import pytest
from places import KEPT

from tailrace import cli, destinations

for _name in destinations.NAMES:
    destinations.traits_of(_name)
assert cli


@pytest.fixture(autouse=True)
def _connections_end_with_their_test():
    yield
    KEPT.close()
