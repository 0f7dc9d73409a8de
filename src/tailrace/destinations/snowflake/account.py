"""Connections to an account of Snowflake, and what the errors of the driver mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, ClassVar

import snowflake.connector
from snowflake.connector.errors import Error
from snowflake.connector.vendored.requests.exceptions import RequestException
from snowflake.connector.vendored.urllib3.exceptions import HTTPError

from tailrace.destinations.snowflake.private_key import key_of
from tailrace.destinations.snowflake.settings import Settings
from tailrace.errors import DestinationError
from tailrace.sql.dbapi import DbapiSession
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.label import Label
from tailrace.sql.remedies import Remedy, quoted

_REMEDIES = (
    Remedy(
        "251005|251006|251001",
        "",
        "set `account`, `user`, and one of `password`, `private_key_file`, `private_key` and `token`",
    ),
    Remedy("250001|39\\d{4}", "(?i)password|authenti|JWT|token|user", "set `user`, and what it logs in with, anew"),
    Remedy("250001|250003", "", "check `account` and `host`"),
    Remedy("90105", "", "set `database` to one that is there, and that the role may use"),
    Remedy("90106", "", "set `schema` to one that is there, or let the role make it"),
    Remedy("3001|3540", "", "grant the role the right to do that"),
    Remedy("2003|2043|904", "", "another program has changed or dropped it, or the role may not see it: run again"),
    Remedy("2002", "", "set another `table:`, or drop what is there"),
    Remedy("1003|2040", "", "set another `sql_type` under `columns:`, or none"),
    Remedy("606|57014", "(?i)warehouse", "set `warehouse` to one that is there, and that the role may use"),
    Remedy("625|290401|580500|250002|300005", "", "run again"),
    Remedy("100\\d{3}", "", "remove the rows that break it, or drop the constraint"),
)


_LOST = "250003"
"""The driver's number for a connection that is lost; it lets some errors of the libraries below it through."""


def _state_of(error: BaseException) -> str:
    """The number, and the SQLSTATE."""
    number = getattr(error, "errno", None) if isinstance(error, Error) else _LOST
    return f"{number or ''} {getattr(error, 'sqlstate', None) or ''}"


def _words_of(error: BaseException) -> str:
    """What it says in a line, without what the driver puts around it, nor values behind a colon."""
    words = str(getattr(error, "raw_msg", None) or getattr(error, "msg", None) or error).strip()
    first = words.partition("\n")[0].rstrip(":")
    if str(getattr(error, "errno", "")).startswith("100"):
        first = first.partition('"')[0].partition("'")[0].rstrip()
    return first


RULES = ErrorRules(
    name="Snowflake",
    raised=(Error, RequestException, HTTPError),
    state_of=_state_of,
    words_of=_words_of,
    remedies=_REMEDIES,
    # Connections, sessions that have ended, servers that are busy, locks and conflicts.
    transient=r"(250001|250002|250003|290\d\d\d|580\d\d\d|390111|390112|390114|390195|625|604|300005|300010) "
    r"(?!.*(?i:incorrect username|password|failed to authenticate|JWT token|certificate))",
    about_rows=r"100\d\d\d ",
    about_tables=r"(1003|2040|2023|1059) ",
)


@dataclass(frozen=True, slots=True)
class Account:
    """An account, how to log in, and what statements are tagged with."""

    settings: Settings = field(repr=False)
    label: Label = field(default_factory=Label, compare=False)
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> DbapiSession:
        """A new session."""
        given = self.settings
        known = {"user": given.user, "database": given.database}
        try:
            with RULES.translated(**known):
                connection = snowflake.connector.connect(**self._login())
        except DestinationError as error:
            words = str(error).removeprefix("Snowflake: ")
            raise DestinationError(f"the account {given.account!r} can't be reached: {words}") from error.__cause__
        return DbapiSession(connection, RULES, None, self.execute, known)

    def exists(self) -> bool:
        """Whether there is a database: none is made by opening one."""
        return True

    def check(self) -> Sequence[str]:
        """Where the account is, and what is there."""
        given = self.settings
        with closing(self.open()) as session:
            asked = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?"
            found = session.query(asked, (given.schema_there,))
        there = "is there" if found else "isn't there yet and will be made"
        return [
            f"Snowflake, the account {given.account!r}, the database {given.database!r}; rows wait on a stage.",
            f"The schema {given.schema_name!r} {there}.",
        ]

    def execute(self, cursor: Any, sql: str, parameters: Sequence[object] = (), **more: object) -> None:
        """Run a statement, as the driver wants it. Its QUERY_TAG is sent with it: it is no text of the statement's."""
        cursor.execute(sql, tuple(parameters) or None, _statement_params={"QUERY_TAG": self._tag()}, **more)

    def _tag(self) -> str:
        """What the account's history of queries shows beside a statement."""
        about = {"app": "tailrace", "pipeline": self.label.pipeline or None, "checkpoint": self.label.checkpoint}
        return json.dumps(about, ensure_ascii=False)

    def _login(self) -> dict[str, Any]:
        given = self.settings
        login: dict[str, Any] = {
            "account": given.account,
            "user": given.user,
            "database": given.database,
            "schema": quoted(given.schema_there),
            "role": given.role,
            "warehouse": given.warehouse,
            "host": given.host,
            "port": given.port if given.host else None,
            "protocol": given.protocol if given.host else None,
            "network_timeout": given.network_timeout_s,
        }
        if given.password:
            login["password"] = given.password.get_secret_value()
        if given.private_key_file:
            login["private_key_file"] = str(given.private_key_file)
            if given.private_key_file_pwd:
                login["private_key_file_pwd"] = given.private_key_file_pwd.get_secret_value()
        if given.private_key:
            login["private_key"] = key_of(given.private_key, given.private_key_file_pwd)
        if given.token:
            login |= {"authenticator": "oauth", "token": given.token.get_secret_value()}
        parameters = {
            "TIMEZONE": "UTC",
            "LOCK_TIMEOUT": given.lock_timeout_s,
            "ABORT_DETACHED_QUERY": True,
            "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
        }
        return {name: value for name, value in login.items() if value is not None} | {
            "application": "tailrace",
            "autocommit": True,
            "paramstyle": "qmark",
            "login_timeout": given.connect_timeout_s,
            "platform_detection_timeout_seconds": 0.0,  # else each login asks six services which cloud this is
            "session_parameters": parameters,
        }
