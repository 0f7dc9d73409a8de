"""Redshift's destination does what every destination does, as far as PostgreSQL and an S3 server can tell."""

from dataclasses import replace

import pytest
from emptying import empty_postgres, reading_postgres
from psycopg import sql

from tailrace.destinations import open_destination, redshift
from tailrace.testing import Subject, behaviours

NO_NUL = "Redshift has no NUL in text; such a row is refused, or its NUL stripped, by the setting `nul`"
LONG = "texts of Redshift have 65,535 bytes; a longer one is refused"

LACKS = {
    "keeps_nul_in_text": NO_NUL,
    "keeps_nul_inside_json": "SUPER has no NUL in its strings; such a row is refused",
    "texts_with_nul_are_keys": NO_NUL,
    "keeps_a_megabyte_of_text": LONG,
    "a_state_is_kept_to_the_letter": LONG,
    "keeps_decimals_with_every_digit_after_the_point": "Redshift has at most 37 digits after the point",
}


VARIES = {
    "copy": None,
    # How values, nulls and names are sent, and rows wait: in tables that stay. They are merged by the same statements.
    "insert": frozenset({"kinds", "texts", "evolution", "names", "columns", "refusals", "checkpoints", "contract"}),
}
CASES = [(verb, behaviour) for verb, varies in VARIES.items() for behaviour in behaviours(varies)]


@pytest.fixture(scope="module")
def database(request, redshift_server):
    """By which verb rows are loaded, the address of a database that each test empties, and a session that reads it."""
    made = redshift_server.database(has_bucket=request.param == "copy")
    with reading_postgres(redshift_server.behind(made)) as connection:
        yield request.param, made, connection
    redshift_server.drop(made)


@pytest.fixture
def subject(database, monkeypatch):
    verb, url, connection = database
    # PostgreSQL stands in for Redshift, and its names have 63 bytes instead of 127.
    monkeypatch.setattr(redshift, "TRAITS", replace(redshift.TRAITS, max_name_length=63))

    def rows(table, schema=None):
        types = connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
            "AND attrelid = to_regclass(%s)",
            [sql.Identifier(schema or "public", table).as_string(connection)],
        ).fetchall()
        if not types:
            return []
        kinds = dict(types)
        cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema or "public", table)))
        names = [column.name for column in cursor.description]
        return [{n: plain(v, kinds[n]) for n, v in zip(names, row, strict=True)} for row in cursor]

    yield Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS, varies=VARIES[verb])
    empty_postgres(connection)


def plain(value, sql_type):
    return bytes.fromhex(value) if sql_type == "varbyte" and value is not None else value


@pytest.mark.parametrize(("database", "behaviour"), CASES, indirect=["database"])
def test_redshift(subject, behaviour):
    behaviour(subject)
