"""Serves fakesnow's Snowflake, by `python -P fakesnow_snowflake.py HOST PORT` with the Python that has fakesnow.

fakesnow's own program keeps everything in memory, puts staged files into a folder of the system that it never removes,
makes every database that a client names, and logs every request. This one keeps all in the folder it is started in,
finds it there when it is started again, and gives the databases alone that were created. It also mends that fakesnow

- says of what fails in DuckDB that the server is broken, whereupon clients try again: a COMMIT that failed succeeds
  the second time, without a transaction; and so does one after a statement that failed, which DuckDB rolls back;
- does a request again that a client sends again, since it has heard no answer, where Snowflake gives the first answer;
- leaves the transactions of closed sessions open, and has clients not tell that they close one;
- knows no REMOVE, and no FILES of a stage;
- makes of a clone a table without keys and NOT NULL, and of none that takes the place of another;
- has 64 bits for NUMBER(38, 0), takes no decimals as parameters, and answers with 1970 for a timestamp that is NULL;
- asks for the columns of its own sentences each time, which takes as long as most statements.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import zlib
from collections import deque
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

os.environ["TMPDIR"] = str(Path.cwd())  # fakesnow makes a folder when imported

import duckdb
import fakesnow.arrow
import fakesnow.copy_into
import fakesnow.server
import pyarrow as pa
import sqlglot
import uvicorn
from fakesnow import info_schema, transforms
from fakesnow.converter import from_binding
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.dialect import parse_one
from fakesnow.fakes import FakeSnowflakeConnection
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show, stage
from snowflake.connector.errors import Error, ProgrammingError
from sqlglot import exp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_STAGED = Path.cwd() / "staged"
_DATABASES = Path.cwd() / "databases"
_ABOUT_THEM = Path.cwd() / "stages.db"
"""What fakesnow keeps of all databases: their stages, comments and file formats."""
_ERRORS = {
    duckdb.TransactionException: (625, "57014"),
    duckdb.ConstraintException: (100072, "22000"),
    duckdb.ConversionException: (100038, "22018"),
    duckdb.OutOfRangeException: (100039, "22003"),
}
"""Snowflake's numbers and SQLSTATEs for what fakesnow has none for."""
_UNKNOWN = 603, "XX000"
_IDLE_S = 3600
"""How long a connection may be idle: longer than a test."""
_REMEMBERED = 1000
"""How many requests it still has answers of."""
_known: dict[str, list[Any]] = {}
_SENTENCE = re.compile(r"SELECT (?:'[^']*'|\d+) as (?P<columns>'?status'?|'number of rows .*)")
"""What fakesnow answers with where there are no rows; it would ask DuckDB for the columns each time."""
_answers: dict[object, asyncio.Future[Response]] = {}
_history: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)
"""The statements of clients, each with its QUERY_TAG."""
_CLONE = re.compile(r"(CREATE OR REPLACE TABLE .* CLONE .*) COPY GRANTS", re.DOTALL)
_REMOVE = re.compile(r"\s*(?:REMOVE|RM)\s+@(?P<stage>[^/\s]+)(?:/(?P<path>\S*))?\s*;?\s*", re.IGNORECASE)
_execute = FakeSnowflakeCursor.execute
_described = FakeSnowflakeCursor._describe_last_sql  # noqa: SLF001
_integers = transforms.integer_precision
_named = fakesnow.copy_into._source_urls  # noqa: SLF001
_timestamps = fakesnow.arrow.timestamp_to_sf_struct


class Sessions(dict[str, FakeSnowflakeConnection]):
    """Those of clients; one that a client closes is rolled back."""

    def __delitem__(self, token: str) -> None:
        self.pop(token).close()


async def login(request: Request) -> JSONResponse:
    """Open a session, with the token without which the driver doesn't close it."""
    answer = json.loads((await fakesnow.server.login_request(request)).body)
    answer["data"]["masterToken"] = answer["data"]["token"]
    return JSONResponse(answer)


async def query(request: Request) -> Response:
    """Run a statement, once for all requests of one number."""
    number = request.query_params.get("requestId", object())
    if number not in _answers:
        body = await request.body()
        if request.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, wbits=31)
        said = json.loads(body)
        _history.append((said["sqlText"], (said.get("parameters") or {}).get("QUERY_TAG", "")))
        _answers[number] = asyncio.ensure_future(fakesnow.server.query_request(request))
        if len(_answers) > _REMEMBERED:
            del _answers[next(iter(_answers))]
    return await asyncio.shield(_answers[number])


async def history(_: Request) -> JSONResponse:
    """The statements of clients, the oldest first, and their tags."""
    return JSONResponse([*_history])


async def end(_: Request) -> JSONResponse:
    """Close all sessions, as Snowflake does some minutes after their clients are gone; how many are busy still."""
    for token in [*fakesnow.server.sessions]:
        with suppress(duckdb.Error):
            fakesnow.server.sessions[token].close()
            fakesnow.server.sessions.pop(token)
    return JSONResponse(len(fakesnow.server.sessions))


def execute(cursor: FakeSnowflakeCursor, command: str, *args: Any, **named: Any) -> FakeSnowflakeCursor:
    """Run a statement; whatever is wrong is an error of the statement."""
    try:
        if command.strip(" \n;").upper() == "COMMIT":
            _execute(cursor, "SELECT 1")  # fails in a transaction that COMMIT would roll back
        if removing := _REMOVE.fullmatch(command):
            _execute(cursor, f"LIST @{removing['stage']}")  # fails where there is no such stage
            command = removed(cursor._conn, removing["stage"], removing["path"] or "")  # noqa: SLF001
        if cloning := _CLONE.fullmatch(command):
            command = cloned(cursor, parse_one(cloning[1]))
        return _execute(cursor, command, *args, **named)
    except Error:
        raise
    except Exception as error:
        number, sqlstate = _ERRORS.get(type(error), _UNKNOWN)
        raise ProgrammingError(msg=f"{type(error).__name__}: {error}", errno=number, sqlstate=sqlstate) from error


def cloned(cursor: FakeSnowflakeCursor, create: exp.Create) -> str:
    """Put a copy of a table in the place of another, at once; a query that says so."""
    session, database = cursor._conn, cursor._duck_conn  # noqa: SLF001
    into, source = create.this, create.args["clone"].this
    places = [(table.catalog or session.database, table.db or session.schema, table.name) for table in (into, source)]
    known = "SELECT sql FROM duckdb_tables() WHERE (database_name, schema_name, table_name) = (?, ?, ?)"
    if not (found := database.execute(known, places[1]).fetchall()):
        raise ProgrammingError(msg=f"Object '{source.name}' does not exist", errno=2003, sqlstate="02000")
    copy = sqlglot.parse_one(found[0][0], read="duckdb")
    copy.this.set("this", into)
    to, rows = (table.sql("duckdb", identify=True) for table in (into, source))
    database.execute("BEGIN")
    try:
        for sql in (f"DROP TABLE IF EXISTS {to}", copy.sql("duckdb"), f"INSERT INTO {to} SELECT * FROM {rows}"):
            database.execute(sql)
    except duckdb.Error:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    comments = f"{GLOBAL_DATABASE_NAME}._fs_information_schema._fs_tables_ext"
    place = "(ext_table_catalog, ext_table_schema, ext_table_name) = (?, ?, ?)"
    its_own = f"SELECT ?, ?, ?, (SELECT comment FROM {comments} WHERE {place})"
    database.execute(f"INSERT OR REPLACE INTO {comments} {its_own}", [*places[0], *places[1]])
    return f"SELECT 'Table {into.name} successfully created.' AS status"


def described(cursor: FakeSnowflakeCursor) -> list[Any]:
    """The columns of the last result, which are known where it is one of fakesnow's own sentences."""
    if not (said := _SENTENCE.fullmatch(str(cursor._last_sql))):  # noqa: SLF001
        return _described(cursor)
    if said["columns"] not in _known:
        _known[said["columns"]] = _described(cursor)
    return _known[said["columns"]]


def removed(session: FakeSnowflakeConnection, name: str, path: str) -> str:
    """Remove files of a stage whose names begin with a path; a query that says which."""
    home = stage.internal_dir(".".join(stage.parts_from_var(name, session.database, session.schema)))
    files = [file for file in Path(home).rglob("*") if file.is_file() and str(file).startswith(home + path)]
    for file in files:
        file.unlink()
    names = ", ".join(f"('{stage.internal_file_name(str(file))}', 'removed')" for file in files)
    return f'SELECT column1 AS "name", column2 AS "result" FROM VALUES {names}' if files else "SELECT 1 WHERE FALSE"


def named(source: str, files: list[str]) -> list[str]:
    """The files that COPY names."""
    return [f"{source.rstrip('/')}/{file}" for file in files] if stage.is_internal(source) else _named(source, files)


def integers(expression: exp.Expression) -> exp.Expression:
    """A type of integers of 38 digits for one of 64 bits."""
    changed = _integers(expression)
    return expression if changed is expression else exp.DataType.build("DECIMAL(38, 0)")


def parameter(binding: dict[str, Any]) -> Any:
    """What a client has sent for a question mark."""
    value = binding["value"]
    if value is None:
        return None
    return Decimal(value) if binding["type"] == "FIXED" and not value.lstrip("-").isdigit() else from_binding(binding)


def timestamps(column: pa.ChunkedArray) -> pa.Array:
    """Timestamps as Snowflake sends them."""
    there = _timestamps(column.fill_null(0))
    return pa.StructArray.from_arrays(there.flatten(), fields=list(there.type), mask=column.combine_chunks().is_null())


def kept() -> FakeSnow:
    """All databases, as they were when the process before this one ended."""
    _DATABASES.mkdir(exist_ok=True)
    snow = FakeSnow(create_database_on_connect=False, create_schema_on_connect=False, db_path=_DATABASES)
    database = snow.duck_conn
    database.execute("SET threads = 1")  # statements are small, and tests run beside each other
    database.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
    database.execute(f"ATTACH '{_ABOUT_THEM}' AS {GLOBAL_DATABASE_NAME}")
    database.execute(info_schema.fs_global_creation_sql())
    database.execute(show.fs_global_creation_sql())
    for file in _DATABASES.glob("*.db"):
        database.execute(f"ATTACH '{file}' AS \"{file.stem}\"")
    return snow


def main(host: str, port: str) -> None:
    """Serve until the process ends."""
    stage.LOCAL_BUCKET_PATH = str(_STAGED)
    fakesnow.server.shared_fs = kept()
    fakesnow.server.sessions = Sessions()
    fakesnow.server.from_binding = parameter
    fakesnow.arrow.timestamp_to_sf_struct = timestamps
    FakeSnowflakeCursor.execute = execute
    FakeSnowflakeCursor._describe_last_sql = described  # noqa: SLF001
    fakesnow.copy_into._source_urls = named  # noqa: SLF001
    transforms.integer_precision = integers
    for talkative in ("fakesnow", "fakesnow.server", "sqlglot"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    ours = {
        "/session/v1/login-request": login,
        "/queries/v1/query-request": query,
        "/end-sessions": end,
        "/history": history,
    }
    routes = [Route(path, answer, methods=["POST"]) for path, answer in ours.items()]
    uvicorn.run(
        Starlette(routes=[*routes, *fakesnow.server.routes]),
        host=host,
        port=int(port),
        log_level="warning",
        lifespan="off",
        timeout_keep_alive=_IDLE_S,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
