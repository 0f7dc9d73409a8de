"""SQLite does what every destination does."""

import re
import sqlite3
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal

import pytest

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject

ONE_WRITER = "while one run has rows staged SQLite lets no other write, so none can recover a pipeline"
LACKS = {
    "keeps_negative_zero": "SQLite stores -0.0 as 0.0",
    "tables_stand_in_a_schema_by_a_template": "SQLite has no schemas",
    "the_commit_of_rows_staged_before_the_run_was_overtaken_is_refused": ONE_WRITER,
    "recovering_a_pipeline_leaves_what_others_have_staged": ONE_WRITER,
}

READERS = {
    "BOOLEAN": {0: False, 1: True}.__getitem__,
    "DECIMAL_TEXT": Decimal,
    "DATE_TEXT": date.fromisoformat,
    "TIME_TEXT": time.fromisoformat,
    "TIMESTAMP_TEXT": datetime.fromisoformat,
    "TIMESTAMPTZ_TEXT": datetime.fromisoformat,
}


@pytest.fixture
def subject(tmp_path):
    path = str(tmp_path / "things.db")

    def rows(table, schema=None):
        assert schema is None
        with closing(sqlite3.connect(path)) as connection:
            columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", [table]).fetchall()
            if not columns:
                return []
            quoted = '"' + table.replace('"', '""') + '"'
            found = connection.execute(f"SELECT * FROM {quoted}").fetchall()
        return [{n: read(t, value) for (n, t), value in zip(columns, row, strict=True)} for row in found]

    return Subject(open=lambda: open_destination(f"sqlite:///{path}", {}), rows=rows, lacks=LACKS)


def read(sql_type, value):
    reader = READERS.get(re.sub(r"\(.*", "", sql_type))
    return reader(value) if reader and value is not None else value


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_sqlite(behaviour, subject):
    behaviour(subject)
