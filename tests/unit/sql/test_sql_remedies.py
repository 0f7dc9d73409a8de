"""What to do about what a database says."""

import re
import string

import pytest

from tailrace.sql import remedies
from tailrace.sql.remedies import Remedy, advised

KNOWN = {"user": "loader", "database": "warehouse"}
LISTS = {name: found for name, found in vars(remedies).items() if isinstance(found, tuple) and name.isupper()}


def test_an_error_says_what_to_do_with_names_quoted():
    said = advised('permission denied for schema a"b', "42501", remedies.POSTGRES, **KNOWN)
    assert said == 'permission denied for schema a"b; run `GRANT USAGE, CREATE ON SCHEMA "a""b" TO "loader"`'
    said = advised("Access denied for user 'l'@'%' to database 'w`x'", 1044, remedies.MYSQL, "`", **KNOWN)
    assert said.endswith("; run `GRANT ALL ON `w``x`.* TO` that user")


def test_an_unknown_error_says_where_more_is_to_be_seen():
    assert advised("Odd.", "XX000", remedies.POSTGRES, **KNOWN) == "Odd; `--log-level debug` shows the statement"


def test_names_with_braces_are_names():
    assert "{user.__class__}" in advised(
        "permission denied for table {user.__class__}", "42501", remedies.POSTGRES, **KNOWN
    )


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
