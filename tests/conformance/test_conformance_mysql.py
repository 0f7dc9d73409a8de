"""MySQL's destination does what every destination does, over real connections to real servers of MariaDB and MySQL."""

from datetime import UTC, datetime, timedelta

import mysql.connector
import pytest
from emptying import empty_mysql

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject

NAMES = "MySQL has no names that end with a space, and none with characters beyond U+FFFF"

OF_BOTH = {
    "hostile_names_are_tables_as_they_are": NAMES,
    "hostile_names_are_columns_as_they_are": NAMES,
}
LACKS = {
    "mariadb": OF_BOTH | {"keeps_negative_zero": "MariaDB stores -0 as 0"},
    "mysql": OF_BOTH
    | {
        "keeps_decimals_with_every_digit_after_the_point": "MySQL has at most 30 digits after the point",
        "keeps_the_digits_of_numbers_inside_json": "MySQL's JSON has doubles; a row they would change is refused",
    },
}


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def database(request):
    """Which server it is, the address of a database that each test empties when it ends, and a connection to read it.

    Both servers run all behaviours: types, collations, DDL, locks, errors and how statements are understood differ.
    """
    server = request.getfixturevalue(f"{request.param}_server")
    made = server.database()
    login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    options = {"use_pure": True, "charset": "utf8mb4", "collation": "utf8mb4_bin", "autocommit": True}
    with mysql.connector.connect(**login, **options) as connection:
        yield request.param, made, connection
    server.drop(made)


@pytest.fixture
def subject(database):
    server, url, connection = database
    name = url.rpartition("/")[2]

    def rows(table, schema=None):
        where = (schema or name, table)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, column_type, column_comment FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                where,
            )
            columns = cursor.fetchall()
            if not columns:
                return []
            cursor.execute("SELECT * FROM {}.{}".format(*map(quoted, where)))
            return [{n: plain(v, t, c) for (n, t, c), v in zip(columns, row, strict=True)} for row in cursor.fetchall()]

    yield Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS[server])
    empty_mysql(connection, name)


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def plain(value, sql_type, comment):
    if sql_type == "tinyint(1)" and value is not None:
        return bool(value)
    if isinstance(value, datetime) and comment == "in UTC":
        return value.replace(tzinfo=UTC)
    if isinstance(value, timedelta):
        return (datetime.min + value).time()
    return value


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_mysql(behaviour, subject):
    behaviour(subject)
