"""One checkpoint or many: the same messages come to the same tables, wherever they are cut, and those of a plain model.

The examples are the same each time; TAILRACE_EXAMPLES is how many times as many others are tried instead.
"""

import os

import pytest
from changing_streams import expected, sent, shown
from hypothesis import HealthCheck, given, settings
from loads import a_place
from plain_model import DELETED_AT

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))
EXAMPLES = {"memory": 150, "sqlite": 60, "duckdb": 40, "postgres": 15, "mariadb": 8, "delta": 6, "iceberg": 3}
WIDENS_KEYS = {"memory", "duckdb", "postgres"}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_same_messages_come_to_the_same_tables_wherever_checkpoints_are_cut(kind, request):
    server = request.getfixturevalue(f"{kind}_server") if kind in {"postgres", "mariadb"} else None

    @settings(
        max_examples=EXAMPLES[kind] * max(1, MORE),
        derandomize=not MORE,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(messages=sent(widens_keys=kind in WIDENS_KEYS))
    def holds(messages):
        names = [plan.name for plan in messages.plans]
        tables = []
        for is_cut in (False, True):
            with a_place(kind, server) as place:
                place.load(messages, messages.lines(is_cut=is_cut))
                tables.append({name: place.rows(name) for name in names})
        whole, cut = tables
        assert {name: shown(rows) for name, rows in whole.items()} == expected(messages)
        assert {name: exact(rows) for name, rows in cut.items()} == {name: exact(rows) for name, rows in whole.items()}

    holds()


def exact(rows):
    """The rows column by column, to the letter; of when a row was deleted only whether it was."""
    return sorted(([*({**row, DELETED_AT: row[DELETED_AT] is not None}).items()] for row in rows), key=repr)
