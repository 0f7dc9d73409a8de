"""Iceberg tables that another program changes by pyiceberg, between our runs and in the middle of a commit."""

import json
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import StringType
from stopping import when_applied, when_committed, when_entered

import tailrace
from tailrace.destinations.iceberg import Settings, build, from_url
from tailrace.testing.messages import INT, TEXT, record, records, schema, state

THINGS = schema({"id": INT, "name": TEXT}, ["id"])
LOG = schema({"id": INT, "name": TEXT}, stream="log")


class Lake:
    """A catalog in a file; `things` is upserted, `log` appended to."""

    def __init__(self, folder):
        self.folder = folder
        self.catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/lake")

    def open(self):
        url = f"iceberg+sqlite:///{self.folder}/c.db?warehouse={self.folder}/lake&namespace=main"
        return build(Settings.model_validate(from_url(url)))

    def load(self, name, *ids, to=None):
        rows = [{"id": number, "name": name} for number in ids]
        both = [*records(*rows), *(record(row, stream="log") for row in rows)]
        messages = [THINGS, LOG, *both, state({"n": name})]
        return tailrace.load((json.dumps(m).encode() for m in messages), to or self.open(), pipeline="p")

    def table(self, name="things"):
        return self.catalog.load_table(("main", name))

    def ids(self, name="things"):
        rows = self.table(name).scan().to_arrow().to_pylist()
        return sorted((row["id"], row["name"]) for row in rows)


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    with closing(lake.catalog):
        yield lake


def append(table):
    table.append(pa.table({"id": pa.array([50], pa.int64()), "name": ["theirs"]}, schema=table.schema().as_arrow()))


def delete(table):
    table.delete("id == 2")


def overwrite(table):
    table.overwrite(table.scan().to_arrow())


def expire(table):
    table.maintenance.expire_snapshots().older_than(datetime.now(UTC)).commit()


def add_a_column(table):
    with table.update_schema() as update:
        update.add_column("more", StringType())


def move_a_column(table):
    with table.update_schema() as update:
        update.move_first("name")


def set_a_property(table):
    with table.transaction() as transaction:
        transaction.set_properties(mine="1")


def merge_manifests(table):
    with table.transaction() as transaction:
        transaction.set_properties(
            **{"commit.manifest.min-count-to-merge": "1", "commit.manifest-merge.enabled": "true"}
        )
    append(table)
    table.refresh().delete("id == 50")


ACTIONS = [append, delete, overwrite, expire, add_a_column, move_a_column, set_a_property, merge_manifests]


def expected(action, rows):
    rows = [row for row in rows if not (action is delete and row == (2, "a"))]
    return sorted([*rows, (50, "theirs")] if action is append else rows)


class KilledError(Exception):
    """The end of a run, as far as a destination can tell."""


@pytest.mark.parametrize("action", ACTIONS)
def test_what_another_writer_does_between_runs_stays_and_rows_come_once(lake, action):
    lake.load("a", 1, 2, 3)
    lake.load("b", 3, 4)
    for name in ("things", "log"):
        action(lake.table(name))
    lake.load("c", 4, 5)
    assert lake.ids() == expected(action, [(1, "a"), (2, "a"), (3, "b"), (4, "c"), (5, "c")])
    logged = [(1, "a"), (2, "a"), (3, "a"), (3, "b"), (4, "b"), (4, "c"), (5, "c")]
    assert lake.ids("log") == expected(action, logged)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_another_writer_does_between_decision_and_commit_stays_and_rows_come_once(lake, action):
    lake.load("a", 1, 2, 3)
    killed = lake.open()

    def kill():
        for name in ("things", "log"):
            action(lake.table(name))
        raise KilledError

    when_entered(killed, kill)
    with pytest.raises(KilledError):
        lake.load("b", 3, 4, to=killed)
    lake.load("c", 5)
    assert lake.ids() == expected(action, [(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c")])
    assert lake.ids("log") == expected(action, [(1, "a"), (2, "a"), (3, "a"), (3, "b"), (4, "b"), (5, "c")])


@pytest.mark.parametrize("when", [when_applied, when_committed])
def test_snapshots_that_expire_before_a_commit_is_known_bring_nothing_twice(lake, when):
    """The table's property says what it was brought to, when no snapshot does any more."""
    lake.load("a", 1)
    killed = lake.open()

    def kill():
        append(lake.table("log"))
        expire(lake.table("log"))
        raise KilledError

    when(killed, kill)
    with pytest.raises(KilledError):
        lake.load("b", 2, to=killed)
    lake.load("c", 3)
    assert lake.ids("log") == [(1, "a"), (2, "b"), (3, "c"), (50, "theirs")]


def test_rows_that_a_rollback_has_taken_away_stay_away(lake):
    lake.load("a", 1)
    before = lake.table().current_snapshot().snapshot_id
    lake.load("b", 2)
    with lake.table().manage_snapshots() as snapshots:
        snapshots.rollback_to_snapshot(before)
    assert lake.ids() == [(1, "a")]
    lake.load("c", 3)
    assert lake.ids() == [(1, "a"), (3, "c")]
    assert lake.ids("log") == [(1, "a"), (2, "b"), (3, "c")]


def test_a_column_that_another_program_renames_or_drops_is_another_column(lake):
    lake.load("a", 1, 2)
    with lake.table().update_schema() as update:
        update.rename_column("name", "label")
    lake.load("b", 2)
    rows = sorted(lake.table().scan().to_arrow().to_pylist(), key=lambda row: row["id"])
    assert rows == [{"id": 1, "label": "a", "name": None}, {"id": 2, "label": "a", "name": "b"}]
    with lake.table().update_schema() as update:
        update.delete_column("name")
    lake.load("c", 3)
    rows = sorted(lake.table().scan().to_arrow().to_pylist(), key=lambda row: row["id"])
    assert [row["name"] for row in rows] == [None, None, "c"]
