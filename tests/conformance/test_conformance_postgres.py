"""PostgreSQL does what every destination does, over real connections to a real server."""

from uuid import UUID

import pytest
from emptying import empty_postgres, reading_postgres
from psycopg import sql

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject

NO_NUL = "PostgreSQL has no NUL in text; such a row is refused, or its NUL stripped, by the setting `nul`"

LACKS = {
    "keeps_nul_in_text": NO_NUL,
    "keeps_nul_inside_json": "jsonb has no NUL in its strings; such a row is refused",
    "texts_with_nul_are_keys": NO_NUL,
}


@pytest.fixture(scope="module", params=["postgres", pytest.param("newest_postgres", marks=pytest.mark.newest)])
def url(request):
    """The address of a database that each test empties when it ends; both releases run all behaviours."""
    server = request.getfixturevalue(f"{request.param}_server")
    made = server.database()
    yield made
    server.drop(made)


@pytest.fixture(scope="module")
def connection(url):
    """A session that reads it."""
    with reading_postgres(url) as made:
        yield made


@pytest.fixture
def subject(url, connection):
    def rows(table, schema=None):
        name = sql.Identifier(schema or "public", table)
        there = connection.execute("SELECT to_regclass(%s)", [name.as_string(connection)]).fetchone()
        if there == (None,):
            return []
        cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(name))
        names = [column.name for column in cursor.description]
        return [dict(zip(names, map(plain, row), strict=True)) for row in cursor]

    yield Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS)
    empty_postgres(connection)


def plain(value):
    return str(value) if isinstance(value, UUID) else value


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_postgres(behaviour, subject):
    behaviour(subject)
