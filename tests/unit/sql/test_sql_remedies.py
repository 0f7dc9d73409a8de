"""What to do about what a database says."""

import re
import string
from importlib import import_module

import pytest

from tailrace.destinations.mysql.remedies import MYSQL
from tailrace.sql import sqlstates
from tailrace.sql.remedies import Remedy, advised
from tailrace.sql.sqlstates import OBJECTS

KNOWN = {"user": "loader", "database": "warehouse"}
PLACES = ("destinations.duckdb", "destinations.mysql", "destinations.redshift", "destinations.sqlite")
MODULES = [sqlstates, *(import_module(f"tailrace.{place}.remedies") for place in PLACES)]
LISTS = {
    f"{module.__name__}.{name}": found
    for module in MODULES
    for name, found in vars(module).items()
    if isinstance(found, tuple) and name.isupper()
}


def test_an_error_says_what_to_do_with_names_quoted():
    said = advised('permission denied for schema a"b', "42501", OBJECTS, **KNOWN)
    assert said == 'permission denied for schema a"b; run `GRANT USAGE, CREATE ON SCHEMA "a""b" TO "loader"`'
    said = advised("Access denied for user 'l'@'%' to database 'w`x'", 1044, MYSQL, "`", **KNOWN)
    assert said.endswith("; run `GRANT ALL ON `w``x`.* TO` that user")


def test_an_unknown_error_says_where_more_is_to_be_seen():
    assert advised("Odd.", "XX000", OBJECTS, **KNOWN) == "Odd; `--log-level debug` shows the statement"


def test_names_with_braces_are_names():
    assert "{user.__class__}" in advised("permission denied for table {user.__class__}", "42501", OBJECTS, **KNOWN)


@pytest.mark.parametrize("name", LISTS)
def test_every_remedy_can_be_written_with_what_is_known(name):
    for remedy in LISTS[name]:
        assert isinstance(remedy, Remedy)
        groups = dict.fromkeys(("user", "database", "name", "right"), "x")
        assert remedy.do.format_map(groups)
        assert not set(_fields(remedy.do)) - {"user", "database"} - set(_groups(remedy.said))


def _fields(template):

    return [field for _, field, _, _ in string.Formatter().parse(template) if field]


def _groups(pattern):

    return re.compile(pattern).groupindex
