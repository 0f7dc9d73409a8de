"""What a session of MySQL or MariaDB is set to, whatever the server's own settings are."""

from __future__ import annotations

from tailrace.errors import DestinationError
from tailrace.sql.session import Session

_ALL = (
    # What is sent and told: the server may ignore what a client says of its characters when it connects.
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO,ERROR_FOR_DIVISION_BY_ZERO'",
    # A value that is cut is told by a note, a NULL in a TIMESTAMP may mean now, `IS NULL` the row that came last, and
    # texts that differ behind so many bytes the same text.
    (
        "SET SESSION time_zone = '+00:00', lc_messages = 'en_US', sql_notes = 1, explicit_defaults_for_timestamp = 1, "
        "sql_auto_is_null = 0, max_sort_length = 65536"
    ),
    (
        "SET SESSION default_storage_engine = InnoDB, default_tmp_storage_engine = InnoDB, foreign_key_checks = 1, "
        "unique_checks = 1 /*M!100600 , check_constraint_checks = 1, join_cache_level = 8, alter_algorithm = DEFAULT */"
    ),
    # A tap may be slow, and a merge may be long.
    (
        "SET SESSION wait_timeout = 28800, net_read_timeout = 600, net_write_timeout = 600, sql_safe_updates = 0, "
        "sql_big_selects = 1, sql_select_limit = 18446744073709551615, completion_type = NO_CHAIN "
        "/*!80000 , max_execution_time = 0 */ /*M!100600 , max_statement_time = 0, idle_transaction_timeout = 0, "
        "idle_write_transaction_timeout = 0, idle_readonly_transaction_timeout = 0 */"
    ),
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
)
"""At level 8 MariaDB joins by hashing where there is no index."""

_WHERE_ALLOWED = (
    "SET SESSION max_error_count = 65535",
    "SET SESSION innodb_strict_mode = 1",
)
"""Which MySQL lets only some users set: how many of the rows that are refused are told at once, and that a table is
refused that can't take its rows."""

_NOT_OURS = frozenset({1193, 1227, 1238})
"""Errors of variables that the server doesn't have, or doesn't let this user set."""


def prepare(session: Session, lock_timeout_s: int) -> None:
    """Set a new session's variables."""
    timeouts = f"innodb_lock_wait_timeout = {lock_timeout_s:d}, lock_wait_timeout = {lock_timeout_s:d}"
    for sql in (*_ALL, f"SET SESSION {timeouts}"):
        session.execute(sql)
    for sql in _WHERE_ALLOWED:
        try:
            session.execute(sql)
        except DestinationError as error:
            if getattr(error.__cause__, "errno", None) not in _NOT_OURS:
                raise
