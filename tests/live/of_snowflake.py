"""Snowflake under the conformance suite: how its tables are read, what is lacking, and a schema of an account."""

import json
import secrets
from contextlib import closing, contextmanager, suppress
from decimal import Decimal

from snowflake.connector.errors import ProgrammingError

from tailrace.destinations import open_destination, snowflake
from tailrace.destinations.snowflake.account import Account
from tailrace.testing import Subject

VARIABLE = "TAILRACE_LIVE_SNOWFLAKE"
"""The address of an account with its database, or its settings by name as JSON; `schema` is made and dropped."""

NO_SUCH_TABLE = 2003, 2043
INT_DIGITS = 19
LACKS = {"keeps_decimals_with_every_digit_after_the_point": "Snowflake has at most 37 digits after the point"}
"""What Snowflake itself lacks."""
ELSEWHERE = {"tables_stand_in_a_schema_by_a_template": "it makes a schema of a name that the account may have"}


def read(connection, table, schema):
    """All rows of a table, as the suite wants them; none where it isn't there."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT * FROM {quoted(schema)}.{quoted(table)}")
        except ProgrammingError as error:
            if error.errno not in NO_SUCH_TABLE:
                raise
            return []
        columns = cursor.description
        return [{c.name: plain(v, c) for c, v in zip(columns, row, strict=True)} for row in cursor.fetchall()]


def quoted(name):
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def plain(value, column):
    """A value as the suite wants it: an integer that isn't INT's is a decimal, and bytes are bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and column.precision != INT_DIGITS:
        return Decimal(value)
    return bytes(value) if isinstance(value, bytearray) else value


def settings_of(given):
    """The settings in an address or in JSON."""
    return json.loads(given) if given.startswith("{") else snowflake.from_url(given)


@contextmanager
def empty_schema(given, name=""):
    """A schema of the account for one test, which drops it; nothing of it is there yet."""
    name = name or f"TAILRACE_LIVE_{secrets.token_hex(8).upper()}"
    settings = settings_of(given) | {"schema": name}
    account = Account(snowflake.Settings.model_validate(settings))
    with closing(account.open()) as session:
        try:
            yield Subject(
                open=lambda: open_destination("snowflake", settings),
                rows=lambda table, schema=None: read(session.connection, table, schema or name),
                lacks=LACKS | ELSEWHERE,
            )
        finally:
            with suppress(ProgrammingError):  # where nothing was made there is none
                session.execute(f"DROP SCHEMA IF EXISTS {quoted(name)} CASCADE")
