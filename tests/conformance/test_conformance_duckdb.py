"""DuckDB does what every destination does."""

from datetime import UTC, datetime
from uuid import UUID

import duckdb
import pytest

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject


@pytest.fixture
def subject(tmp_path):
    path = str(tmp_path / "things.duckdb")

    def rows(table, schema=None):
        with duckdb.connect(path) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            where = "database_name = current_database() AND table_name = ? AND schema_name = ?"
            found = f"SELECT count(*) FROM duckdb_tables() WHERE {where}"
            if connection.execute(found, [table, schema or "main"]).fetchone() == (0,):
                return []
            name = f"{quoted(schema or 'main')}.{quoted(table)}"
            cursor = connection.execute(f"SELECT * FROM {name}")
            names = [column[0] for column in cursor.description]
            # An instant's year may be one that the time zone of this machine takes out of Python's range.
            instants = [column[1] == "TIMESTAMP WITH TIME ZONE" for column in cursor.description]
            spelled = [
                f"CAST({quoted(n)} AS TIMESTAMP)" if instant else quoted(n)
                for n, instant in zip(names, instants, strict=True)
            ]
            values = connection.execute(f"SELECT {', '.join(spelled)} FROM {name}").fetchall()
            return [dict(zip(names, map(plain, row, instants), strict=True)) for row in values]

    return Subject(open=lambda: open_destination(f"duckdb:///{path}", {}), rows=rows)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def plain(value, is_instant):
    if isinstance(value, UUID):
        return str(value)
    return value.replace(tzinfo=UTC) if is_instant and isinstance(value, datetime) else value


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_duckdb(behaviour, subject):
    behaviour(subject)
