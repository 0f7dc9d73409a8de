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
- parses and translates each statement anew, runs it a second time to know its columns, and drops no database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import sys
import threading
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
from sqlglot.dialects.dialect import Dialect
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
_kinds: dict[str, exp.Expression] = {}
"""What statements are, by their texts: the server asks for no more than that."""
_parsed: dict[str, exp.Expression] = {}
"""The trees of statements that are about to be run."""
_translated: dict[tuple[str | None, ...], exp.Expression] = {}
"""Statements as DuckDB takes them, by database, schema and text; each as often as it is run."""
_texts: dict[int, str] = {}
"""The texts of these."""
_TOLD_BY_TEXT = (exp.Select, exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Show)
_TOLD_BY_TEXT += (exp.Transaction, exp.Commit, exp.Rollback)
_OF_THE_MOMENT = (exp.Rand, exp.Anonymous, exp.DynamicIdentifier)
"""What is in statements that are something else each time."""
_running = threading.local()
"""What is run by a thread."""
_answers: dict[object, asyncio.Future[Response]] = {}
_history: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)
"""The statements of clients, each with its QUERY_TAG."""
_CLONE = re.compile(r"(CREATE OR REPLACE TABLE .* CLONE .*) COPY GRANTS", re.DOTALL)
_REMOVE = re.compile(r"\s*(?:REMOVE|RM)\s+@(?P<stage>[^/\s]+)(?:/(?P<path>\S*))?\s*;?\s*", re.IGNORECASE)
_execute = FakeSnowflakeCursor.execute
_translate, _explode = FakeSnowflakeCursor._transform, FakeSnowflakeCursor._transform_explode  # noqa: SLF001
_text_of = Dialect.generate
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


async def drop(request: Request) -> JSONResponse:
    """Drop a database with all that is known of it, and close the sessions that use it; whether that was possible."""
    name = request.query_params["database"]
    about = f"{GLOBAL_DATABASE_NAME}._fs_information_schema"
    places = {
        "_fs_tables_ext": "ext_table_catalog",
        "_fs_columns_ext": "ext_table_catalog",
        "_fs_stages": "database_name",
    }
    try:
        for token in [token for token, session in fakesnow.server.sessions.items() if session.database == name]:
            del fakesnow.server.sessions[token]
        fakesnow.server.shared_fs.duck_conn.execute(f"DETACH {name}")
        for table, place in places.items():
            fakesnow.server.shared_fs.duck_conn.execute(f"DELETE FROM {about}.{table} WHERE {place} = ?", [name])
    except duckdb.Error:
        return JSONResponse({"dropped": False})
    for file in _DATABASES.glob(f"{name}.db*"):
        file.unlink()
    shutil.rmtree(_STAGED / name, ignore_errors=True)
    return JSONResponse({"dropped": True})


def execute(cursor: FakeSnowflakeCursor, command: str, *args: Any, **named: Any) -> FakeSnowflakeCursor:
    """Run a statement; whatever is wrong is an error of the statement."""
    try:
        if command.strip(" \n;").upper() == "COMMIT":
            cursor._duck_conn.execute("SELECT 1")  # noqa: SLF001 fails in a transaction that COMMIT would roll back
        if removing := _REMOVE.fullmatch(command):
            command = removed(cursor._conn, removing["stage"], removing["path"] or "")  # noqa: SLF001
        if cloning := _CLONE.fullmatch(command):
            command = cloned(cursor, parse_one(cloning[1]))
        _running.place = cursor._conn.database, cursor._conn.schema, command  # noqa: SLF001
        if (tree := _translated.get(_running.place)) is not None:
            given = named.get("binding_params")
            cursor._execute(tree, [*given] if given and tree.find(exp.Placeholder) else None)  # noqa: SLF001
        else:
            _execute(cursor, command, *args, **named)
    except Error:
        raise
    except Exception as error:
        number, sqlstate = _ERRORS.get(type(error), _UNKNOWN)
        raise ProgrammingError(msg=f"{type(error).__name__}: {error}", errno=number, sqlstate=sqlstate) from error
    return cursor


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


def kind_of(command: str) -> exp.Expression:
    """A tree of that statement's class. It is parsed once, and whoever runs it first has the tree."""
    if command not in _kinds:
        _kinds[command] = _parsed[command] = parse_one(command)
    return _kinds[command]


def parsed(command: str) -> exp.Expression:
    """The statement's tree, which is the caller's own."""
    return _parsed.pop(command, None) or parse_one(command)


def exploded(cursor: FakeSnowflakeCursor, expression: exp.Expression) -> list[exp.Expression]:
    """The statements that a statement is; one that is several isn't kept."""
    several = _explode(cursor, expression)
    _running.is_one = len(several) == 1
    return several


def translated(cursor: FakeSnowflakeCursor, expression: exp.Expression, parameters: Any) -> exp.Expression:
    """The statement as DuckDB takes it, kept where no more than its text, database and schema says what that is."""
    is_made = not isinstance(expression, exp.Create) or (expression.kind == "TABLE" and not expression.expression)
    is_kept = _running.is_one and is_made and isinstance(expression, _TOLD_BY_TEXT)
    tree = _translate(cursor, expression, parameters)
    if is_kept and not expression.find(*_OF_THE_MOMENT):
        _translated[_running.place] = tree
        _texts[id(tree)] = tree.sql("duckdb")
    return tree


def text_of(dialect: Dialect, expression: exp.Expression, **how: Any) -> str:
    """The text of a tree, which is kept with the tree where that is."""
    return _texts.get(id(expression)) or _text_of(dialect, expression, **how)


def described(cursor: FakeSnowflakeCursor) -> list[Any]:
    """The columns of the last result, which DuckDB has told with it."""
    return [(name, str(kind), "YES", None, None, None) for name, kind, *_ in cursor._duck_conn.description]  # noqa: SLF001


def removed(session: FakeSnowflakeConnection, name: str, path: str) -> str:
    """Remove files of a stage whose names begin with a path; a query that says which."""
    place = stage.parts_from_var(name, session.database, session.schema)
    if not session._duck_conn.execute(stage.stage_lookup_sql(*place, session.table_stages)).fetchone():  # noqa: SLF001
        raise stage.not_found_error(".".join(place))
    home = stage.internal_dir(".".join(place))
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
    FakeSnowflakeCursor._transform, FakeSnowflakeCursor._transform_explode = translated, exploded  # noqa: SLF001
    fakesnow.server.parse_one, fakesnow.cursor.parse_one = kind_of, parsed
    Dialect.generate = text_of
    fakesnow.copy_into._source_urls = named  # noqa: SLF001
    transforms.integer_precision = integers
    for talkative in ("fakesnow", "fakesnow.server", "sqlglot"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    ours = {
        "/session/v1/login-request": login,
        "/queries/v1/query-request": query,
        "/drop": drop,
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
