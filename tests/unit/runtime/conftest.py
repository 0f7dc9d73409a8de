"""Drains that are begun by tests, and ended afterwards."""

import pytest
from drains import Going


@pytest.fixture
def going():
    """Begins drains."""
    begun = []

    def begin(*arguments, **options):
        begun.append(Going(*arguments, **options))
        return begun[-1]

    yield begin
    for each in begun:
        each.drain.abandon()
