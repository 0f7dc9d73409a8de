"""Serves BigQuery, by `python bqemulator_bigquery.py HOST PORT GRPC_PORT FOLDER` with the Python that has bqemulator.

bqemulator's own program gets from the network what geography and Avro need, and keeps it in the user's home. Here it is
closer to BigQuery in what laws of crashes and of two runs are about: a session has a transaction of its own, in which
no tables are made; transactions that change rows of one table exclude each other; a job's id is its own, once; and what
is told of a table is what it is: see bqemulator_tables.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import warnings
from collections import defaultdict
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import bqemulator_tables
import sqlglot
from bqemulator import server
from bqemulator.api import app
from bqemulator.api.routes import jobs, tables, upload
from bqemulator.catalog.models import JobMeta
from bqemulator.cli import main as bqemulator
from bqemulator.domain.errors import (
    InvalidQueryError,
    ResourceRef,
    resource_already_exists,
)
from bqemulator.domain.result import Err
from bqemulator.grpc_api.write_servicer import BigQueryWriteHandler
from bqemulator.jobs import executor
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.versioning.snapshots import SnapshotManager
from google.cloud.bigquery_storage_v1.types import BatchCommitWriteStreamsResponse, StorageError
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

_session: ContextVar[str | None] = ContextVar("session", default=None)
"""The session that the request being answered belongs to."""
_job: ContextVar[str] = ContextVar("job")
"""The id of the load job that the request being answered asks for."""
_start = DuckDBEngine.start
_shared = DuckDBEngine.connection.fget
_validate, _mint = jobs._validate_session_id, jobs._maybe_mint_session  # noqa: SLF001 nothing else hears of sessions
_query, _execute = jobs._handle_query_job, jobs.execute_query_job  # noqa: SLF001 as above
_configuration, _load = upload._load_configuration_from_envelope, upload._run_load  # noqa: SLF001 as above
_generators: dict[tuple[type, str], list[Any]] = defaultdict(list)
_commit = BigQueryWriteHandler._handle_batch_commit_write_streams  # noqa: SLF001 as above
_translations: dict[tuple[str, str | None], str] = {}
"""What DuckDB takes for statements, by their texts and by who asks."""
_connections: dict[str, Any] = {}
_of_thread = threading.local()
_open: set[str] = set()
"""The sessions in a transaction."""
_changed: dict[tuple[str, ...], str] = {}
"""The session whose open transaction has changed rows of a table."""
_ABORT = re.compile(r"\s*CALL\s+BQ\.ABORT_SESSION\s*\(\s*(?:'([^']*)'|\?)?\s*\)\s*;?\s*", re.IGNORECASE)


def _connection(engine: DuckDBEngine) -> Any:
    """The session's connection, with its transaction and its temporary tables; outside of sessions the thread's."""
    session = _session.get()
    if session is None:
        if not hasattr(_of_thread, "connection"):
            _of_thread.connection = _opened(engine)
        return _of_thread.connection
    if session not in _connections:
        _connections[session] = _opened(engine)
    return _connections[session]


def _opened(engine: DuckDBEngine) -> Any:
    """A connection of its own: DuckDB refuses one that is busy with another call."""
    connection = _shared(engine).cursor()
    connection.execute("SET TimeZone = 'UTC'")  # as the server has it for everybody's
    return connection


def _validated(config: dict[str, Any]) -> None:
    _validate(config)
    for known in config.get("connectionProperties") or []:
        if known["key"] == "session_id":
            _session.set(known["value"])


def _minted(config: dict[str, Any]) -> str | None:
    session = _mint(config)
    if session:
        _session.set(session)
    return session


def _end_session(session: str) -> None:
    """End a session, whose open transaction is undone."""
    if session not in jobs._SESSION_CATALOG:  # noqa: SLF001 nothing else hears of sessions
        raise InvalidQueryError(f"Session {session} not found")
    jobs._SESSION_CATALOG.discard(session)  # noqa: SLF001 as above
    _end_transaction(session)
    connection = _connections.pop(session, None)
    if connection is not None:
        connection.close()


def _end_transaction(session: str) -> None:
    _open.discard(session)
    for table in [table for table, by in _changed.items() if by == session]:
        del _changed[table]


async def _queried(project: str, job: str, config: dict[str, Any], **more: Any) -> Any:
    """A query job; 409 where there is one of that id."""
    _require_new(more["ctx"], project, job)
    return await _query(project, job, config, **more)


def _require_new(ctx: Any, project: str, job: str) -> None:
    if ctx.catalog.get_job(project, job) is not None:
        raise resource_already_exists(ResourceRef("job", project, resource_id=job))


async def _executed(project: str, job: str, sql: str, values: Any, ctx: Any, **more: Any) -> JobMeta:
    """A statement, as BigQuery takes it, where bqemulator takes another, or too much."""
    if match := _ABORT.fullmatch(sql):
        _end_session(match[1] or (values[0]["parameterValue"]["value"] if values else _session.get()))
        return await _execute(project, job, "SELECT 1", None, ctx, **more)
    statement, session = sqlglot.parse_one(sql, read="bigquery"), _session.get()
    _refuse(statement, session, project)
    if isinstance(statement, exp.Create) and isinstance(statement.args.get("clone"), exp.Clone):
        bqemulator_tables.copy(statement, project, ctx)
        return await _execute(project, job, "SELECT 1", None, ctx, **more)
    for part in _parts(statement, sql):
        done = await _execute(project, job, part, values, ctx, **more)
    if isinstance(statement, exp.Transaction):
        _open.add(session)
    elif isinstance(statement, exp.Commit | exp.Rollback):
        _end_transaction(session)
    elif isinstance(statement, exp.Create) and statement.kind == "TABLE" and statement.find(exp.Table).db:
        bqemulator_tables.note_layout(statement, project, ctx)
    return done


def _refuse(statement: exp.Expression, session: str | None, project: str) -> None:
    """Raise for what BigQuery refuses."""
    if isinstance(statement, exp.Transaction | exp.Commit | exp.Rollback) and session is None:
        raise InvalidQueryError("Transaction control statements are supported only in scripts or sessions")
    if isinstance(statement, exp.Update | exp.Delete) and not statement.args.get("where"):
        raise InvalidQueryError(f"{statement.key.upper()} must have a WHERE clause")
    is_ddl = isinstance(statement, exp.Create | exp.Drop | exp.Alter)
    if is_ddl and session in _open and statement.find(exp.Table).db:
        raise InvalidQueryError("DDL statements that aren't of temporary tables are not supported in a transaction")
    if isinstance(statement, exp.Update | exp.Delete | exp.Merge):
        for table in executor._dml_target_tables(statement, project):  # noqa: SLF001 as it parses them
            by = _changed.get(table)
            if by not in {None, session}:
                _end_transaction(session or "")
                raise InvalidQueryError(f"Transaction is aborted due to concurrent update against table {table}")
            if session in _open:
                _changed[table] = session


def _parts(statement: exp.Expression, sql: str) -> list[str]:
    """The statements that a statement is; several where it alters a table in several ways."""
    if not isinstance(statement, exp.Alter) or len(statement.args["actions"]) == 1:
        return [sql]
    actions = statement.args["actions"]
    table = statement.this
    return [exp.Alter(this=table.copy(), kind="TABLE", actions=[a.copy()]).sql("bigquery") for a in actions]


class _OutsideOfSessions:
    """The engine for what the server keeps for itself, which is part of no transaction."""

    def __init__(self, engine: DuckDBEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def execute(self, *query: Any) -> Any:
        """Run a query outside of whatever session asks."""
        asking = _session.set(None)
        try:
            return self._engine.execute(*query)
        finally:
            _session.reset(asking)


class _Catalog(bqemulator_tables.Catalog):
    def __init__(self, engine: DuckDBEngine) -> None:
        super().__init__(_OutsideOfSessions(engine))


def _configured(envelope: dict[str, Any]) -> dict[str, Any]:
    """What an upload asks for; with the id of its job, which bqemulator makes anew."""
    configuration = _configuration(envelope)
    return configuration | {"jobId": (envelope.get("jobReference") or {}).get("jobId")}


async def _loaded(*, project_id: str, configuration: dict[str, Any], media_path: str, ctx: Any) -> Any:
    """A load job under its id; 409 where there is one of that id."""
    if job := configuration.pop("jobId"):
        _require_new(ctx, project_id, job)
        _job.set(job)
    return await _load(project_id=project_id, configuration=configuration, media_path=media_path, ctx=ctx)


async def _initiated(*, project_id: str, request: Any, manager: Any) -> Any:
    """The beginning of an upload; 409 where there is a job of that id."""
    from bqemulator.api.dependencies import get_context  # noqa: PLC0415 it is ready only once the server is

    job = ((await request.json()).get("jobReference") or {}).get("jobId")
    if job:
        _require_new(get_context(request), project_id, job)
    return await _initiate(project_id=project_id, request=request, manager=manager)


_initiate = upload._handle_resumable_initiate  # noqa: SLF001 as above


async def _translated(sql: str, *, translator: Any, caller: Any, **_: Any) -> str:
    """The statement as DuckDB takes it; nobody asks here for what rows were before, policies or many tables at once."""
    who = getattr(caller, "principal", None)
    if (sql, who) not in _translations:
        _of_thread.is_translating = True
        try:
            translated = translator.translate(sql, caller=caller)
        finally:
            _of_thread.is_translating = False
        if isinstance(translated, Err):
            raise translated.error
        _translations[sql, who] = translated.value
    return _translations[sql, who]


_parse = sqlglot.parse_one
_parsed = lru_cache(maxsize=1024)(_parse)


def _parse_once(*what: Any, **how: Any) -> exp.Expression:
    """The tree of a statement, which bqemulator parses some twenty times to look at it; to translate it changes it."""
    is_changed = how.get("read") != "bigquery" or getattr(_of_thread, "is_translating", False)
    return (_parse if is_changed else _parsed)(*what, **how)


class _Nothing:
    """What stands in for a layer of the server that counts and logs requests, and takes longer than many of these."""

    def __init__(self, app: Any, **_: Any) -> None:
        self._app = app

    async def __call__(self, *request: Any) -> None:
        await self._app(*request)


def _generated(dialect: Dialect, expression: exp.Expression, copy: bool = True, **how: Any) -> str:  # noqa: FBT001, FBT002 as it is called
    """The text of a tree, by a generator that is kept: to make one of DuckDB takes longer than to parse most texts."""
    kept = _generators[type(dialect), repr(how)]
    generator = kept.pop() if kept else dialect.generator(**how)
    try:
        return generator.generate(expression, copy=copy)
    finally:
        kept.append(generator)


def _committed(servicer: Any, request: bytes, context: Any) -> bytes:
    """A commit of streams; one that is committed already is said to be so."""
    answer = BatchCommitWriteStreamsResponse.deserialize(_commit(servicer, request, context))
    for error in answer.stream_errors:
        if error.error_message.endswith("state=COMMITTED"):
            error.code = StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
    return BatchCommitWriteStreamsResponse.serialize(answer)


def _parquet(path: str, table: str, ctx: Any) -> None:
    """Load a file of Parquet, whose columns are known by their names."""
    ctx.engine.execute(f"INSERT INTO {table} BY NAME SELECT * FROM read_parquet(?)", [path])


async def _started(engine: DuckDBEngine) -> None:
    await _start(engine)
    bqemulator_tables.look_through(_shared(engine).cursor())


def _mend() -> None:
    """Put in place what is closer to BigQuery."""

    async def no_snapshots(*_: Any) -> None:
        """What rows were before costs as much as what they are, and nobody asks."""

    DuckDBEngine._load_spatial = lambda _: None  # noqa: SLF001 no setting leaves it out
    DuckDBEngine.connection, DuckDBEngine.start = property(_connection), _started
    SnapshotManager.record_change = lambda *_: None
    jobs._validate_session_id, jobs._maybe_mint_session = _validated, _minted  # noqa: SLF001 as above
    jobs._handle_query_job, jobs.execute_query_job = _queried, _executed  # noqa: SLF001 as above
    upload._load_configuration_from_envelope, upload._run_load = _configured, _loaded  # noqa: SLF001 as above
    upload._handle_resumable_initiate = _initiated  # noqa: SLF001 as above
    upload._new_job_id = lambda: _job.get()  # noqa: SLF001, PLW0108 as above
    executor._capture_dml_snapshots = no_snapshots  # noqa: SLF001 as above
    executor.rewrite_and_translate_statement = _translated
    BigQueryWriteHandler._handle_batch_commit_write_streams = _committed  # noqa: SLF001 as above
    executor.rewrite_table_refs = lru_cache(maxsize=1024)(executor.rewrite_table_refs)
    sqlglot.parse_one, Dialect.generate = _parse_once, _generated
    app.MetricsMiddleware = app.AccessLogMiddleware = app.CorrelationIdMiddleware = _Nothing
    app.health_router, app.jobs_router = app.jobs_router, app.health_router  # looked through in this order
    executor.sync_created_table = lambda *_: None
    executor._LOAD_FORMAT_HANDLERS["PARQUET"] = _parquet  # noqa: SLF001 as above
    server.DuckDBCatalogRepository = _Catalog
    tables._field_to_rest, tables._parse_schema_fields = bqemulator_tables.told, bqemulator_tables.asked  # noqa: SLF001 as above
    tables.bq_schema_to_duckdb_columns = bqemulator_tables.made_of


def main(host: str, port: str, grpc_port: str, folder: str) -> None:
    """Serve until the process ends; all that is kept is in the folder."""
    os.environ |= {
        "HOME": folder,
        "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",
        "BQEMU_UPLOAD_STAGING_DIR": str(Path(folder) / "uploads"),
    }
    warnings.filterwarnings("ignore", "Arrow output on a DB-API result")  # DuckDB's advice to bqemulator
    _mend()
    listening = ["--rest-host", host, "--rest-port", port, "--grpc-host", host, "--grpc-port", grpc_port]
    bqemulator(["start", *listening, "--data-dir", folder, "--log-level", "warning", "--no-admin"])


if __name__ == "__main__":
    main(*sys.argv[1:])
