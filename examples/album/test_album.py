"""An album does what every destination does, but for changing rows, and wherever its process is killed."""

import sqlite3
from contextlib import closing
from functools import partial

import msgspec
import pyarrow as pa
import pytest
from tailrace_album import TABLES

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, DELETIONS, LAWS, REPLACEMENTS, UPSERTS, Subject

LACKS = dict.fromkeys((*UPSERTS, *DELETIONS, *REPLACEMENTS), "batches are added to an album, and stay as they are")


@pytest.fixture
def subject(tmp_path):
    def query(sql, *values):
        with closing(sqlite3.connect(tmp_path / "album")) as connection:
            connection.executescript(TABLES)
            return connection.execute(sql, values).fetchall()

    def rows(table, schema=None):
        name = f"{schema}.{table}" if schema else table
        columns = [msgspec.json.decode(found) for (found,) in query("SELECT columns FROM tables WHERE name = ?", name)]
        empty = {column["name"]: None for found in columns for column in found}
        batches = query("SELECT rows FROM batches WHERE name = ? AND checkpoint IS NOT NULL", name)
        return [empty | row for (batch,) in batches for row in pa.ipc.open_stream(batch).read_all().to_pylist()]

    def remembered(pipeline):
        return [state for (state,) in query("SELECT state FROM pipelines WHERE name = ?", pipeline)]

    def leftovers(_):
        return query("SELECT * FROM batches WHERE checkpoint IS NULL")

    open_album = partial(open_destination, f"album://{tmp_path}/album", {})
    return Subject(open=open_album, rows=rows, lacks=LACKS, remembered=remembered, leftovers=leftovers)


@pytest.mark.parametrize("check", [*BEHAVIOURS, *LAWS], ids=lambda check: check.__name__)
def test_album(check, subject):
    check(subject)
