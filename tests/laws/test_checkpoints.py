"""One checkpoint or many: the same messages come to the same tables, wherever they are cut, and those of a plain model.

The messages are the same each time; with TAILRACE_EXAMPLES so many times as many others are tried instead.
"""

import os
import time

import pytest
from changing_streams import expected, random_messages, shown
from loads import a_place

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))
EXAMPLES = {
    "memory": 120,
    "sqlite": 50,
    "duckdb": 25,
    "postgres": 12,
    "mariadb": 6,
    "mysql": 6,
    "delta": 6,
    "iceberg": 2,
}
SERVERS = {"postgres", "newest_postgres", "mariadb", "mysql"}
WIDENS_KEYS = {"memory", "duckdb", "postgres"}


@pytest.mark.parametrize("kind", [*EXAMPLES, pytest.param("newest_postgres", marks=pytest.mark.newest)])
def test_the_same_messages_come_to_the_same_tables_wherever_checkpoints_are_cut(kind, request):
    server = request.getfixturevalue(f"{kind}_server") if kind in SERVERS else None
    kind = kind.removeprefix("newest_")
    first = time.time_ns() if MORE else 0
    for seed in range(first, first + EXAMPLES[kind] * max(1, MORE)):
        messages = random_messages(seed, widens_keys=kind in WIDENS_KEYS)
        told = "\n".join([f"seed {seed}", *messages.lines(is_cut=True)])
        for is_cut in (False, True):
            tables = loaded(kind, server, messages, is_cut=is_cut)
            assert {name: shown(rows) for name, rows in tables.items()} == expected(messages), told


def loaded(kind, server, messages, *, is_cut):
    """The rows of each stream's table in a place of its own."""
    with a_place(kind, server) as place:
        place.load(messages, messages.lines(is_cut=is_cut))
        return {plan.name: place.rows(plan.name) for plan in messages.plans}
