"""What the errors of MySQL, of MariaDB and of the driver mean."""

from __future__ import annotations

import re

import mysql.connector

from tailrace.destinations.mysql.remedies import MYSQL
from tailrace.sql.error_rules import ErrorRules

_VALUE = re.compile(
    r"^(?:(Duplicate entry) '.*'(?= for)|(Table has no partition for value) .*|(Truncated incorrect \w+ value): .*)",
    re.DOTALL,
)
"""What is told without the value."""
_TOO_WIDE = re.compile(r"^(Row size too large(?: \([^)]*\))?).*", re.DOTALL)
"""What is told without the server's advice, which is about tables that are made by hand."""


def words_of(error: BaseException) -> str:
    """What the server says, without values."""
    said = getattr(error, "msg", None) or ""
    return _TOO_WIDE.sub(r"\1", _VALUE.sub(lambda found: found[found.lastindex or 0], said))


def _state_of(error: BaseException) -> str:
    """The number, and the SQLSTATE."""
    return f"{getattr(error, 'errno', '')} {getattr(error, 'sqlstate', None) or ''}"


_PASSING = (
    "1020|1040|1047|1053|1077|1079|1152|1158|1159|1160|1161|1203|1205|1213|1290|1317|1836|1927|1050|1060|3101|4031"
)
"""Errors of the server that may pass: too many sessions, shutdown, broken connections, locks, conflicts, read-only,
and what two sessions make at once."""
_LOST = "2002|2003|2006|2012|2013|2055"
"""Errors of the driver: nobody listens, or the connection is gone."""
_LASTING = (
    r"certificate|Name or service not known|nodename nor|No address associated|GENERATED"
    r"|\[SSL: (?!UNEXPECTED_EOF|SYSCALL|BAD_LENGTH)"
)
"""What connections fail by for good."""

RULES = ErrorRules(
    name="MySQL",
    raised=(mysql.connector.Error,),
    state_of=_state_of,
    words_of=words_of,
    remedies=MYSQL,
    transient=rf"({_PASSING}|{_LOST}) (?!.*(?i:{_LASTING}))",
    # Data exceptions and constraints; and those of no class, or of another, that are about rows: too long, not
    # convertible, and refused by a CHECK, a partition or a trigger.
    about_rows=r"\d+ (21|22|23|45)"
    r"|(1118|1265|1292|1300|1301|1364|1366|1411|1526|1644|1713|3819|3988|6136) ",
    # Tables that can't be made so: their types, their columns and how wide these are together, their key.
    about_tables="(1063|1064|1070|1071|1074|1075|1103|1117|1118|1166|1170|1173|1425|1426|1427|1439|3750|4161) ",
    quote="`",
)
