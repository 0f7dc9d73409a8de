"""Types that don't come from kinds: a tap's are parsed and written anew, an operator's are looked at."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from tailrace.errors import ConfigError, SchemaError
from tailrace.model import Column, Stream
from tailrace.sql.dialect import Dialect
from tailrace.sql.glot import exp, sqlglot

_MAX_LENGTH = 1000
_WORDS = r"[A-Za-z][A-Za-z0-9_]*(?: +[A-Za-z][A-Za-z0-9_]*){0,5}"
_ARGUMENT = r"\d{1,9}|[A-Za-z]{1,30}|'[^'\\\x00-\x1f\x7f]*'"
_PLAIN = re.compile(rf" *({_WORDS}) *(?:\( *((?:{_ARGUMENT})(?: *, *(?:{_ARGUMENT}))*) *\) *({_WORDS})? *)?")
_ARGUMENTS = re.compile(_ARGUMENT)
_NO_TYPES = frozenset({"NULL", "UNKNOWN", "USERDEFINED", "SERIAL", "SMALLSERIAL", "BIGSERIAL"})
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\\]")
_STATEMENTS = frozenset({"SEMICOLON", "SELECT"})
_QUOTED = frozenset({"STRING", "IDENTIFIER"})


def with_plain_types(dialect: Dialect, stream: Stream) -> Stream:
    """The stream, with the types that the tap has sent as this database writes them.

    Raises SchemaError for what the tap has sent and isn't one plain type, ConfigError for a type of the settings that
    may be more than a type.
    """
    return replace(stream, columns=tuple(_with_plain_type(dialect, column, stream.name) for column in stream.columns))


def _with_plain_type(dialect: Dialect, column: Column, stream: str) -> Column:
    if column.sql_type is None:
        return column
    field = ".".join(column.path) or column.name
    if column.is_sql_type_sent:
        plain = plain_type(dialect, column.sql_type)
        if plain is None:
            raise SchemaError(
                f"the tap sends {column.sql_type[:80]!r} as its `x-sql-datatype`, which isn't one plain type of "
                f"this database (`columns: {{{field}: {{sql_type: ...}}}}` says which to take)",
                stream=stream,
                column=field,
            )
        return replace(column, sql_type=plain)
    if problem := type_problem(dialect, column.sql_type):
        raise ConfigError(
            f"stream {stream!r}: {column.sql_type[:80]!r} {problem}",
            key=f"columns.{field}.sql_type",
            hint="a type and what belongs to it can stand here, as in VARCHAR(10) COLLATE x",
        )
    return column


def plain_type(dialect: Dialect, text: str) -> str | None:
    """The type as the database writes it; None for what isn't exactly one type without any more to it."""
    return _plain_type(dialect.sqlglot, frozenset(dialect.kinds), text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _plain_type(dialect: str, own: frozenset[str], text: str) -> str | None:
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    first, inside, last = (match[1].split(), match[2], (match[3] or "").split())
    arguments = f"({','.join(_ARGUMENTS.findall(inside))})" if inside else ""
    written = f"{' '.join(first)}{arguments}{''.join(f' {word}' for word in last)}"
    if " ".join((*first, *last)).upper() in own and "'" not in arguments:
        return written
    try:
        parsed = sqlglot.parse_one(written, into=exp.DataType, dialect=dialect)
    except (sqlglot.errors.SqlglotError, AttributeError):  # the latter is how its parser fails at some intervals
        return None
    if not isinstance(parsed, exp.DataType) or parsed.this in exp.DataType.NESTED_TYPES:
        return None
    if parsed.this.name in _NO_TYPES:
        return None
    spelled = parsed.sql(dialect=dialect)
    is_own_spelling = spelled.split("(")[0].strip().upper() == " ".join(first).upper()
    return written if is_own_spelling else spelled if "'" in spelled else spelled.replace(", ", ",")


def type_problem(dialect: Dialect, text: str) -> str | None:
    """Why a text of the settings can't stand where a type does; None where it can.

    What follows a type, as COLLATE or CHECK, is the operator's affair. What would end the column's definition isn't.
    """
    if len(text) > _MAX_LENGTH or not text.strip():
        return "isn't a type"
    if _CONTROLS.search(text):
        return "has a backslash or a control character in it"
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect.sqlglot)
    except sqlglot.errors.SqlglotError:
        return "can't be read: a quotation mark or a bracket has no other one"
    return _token_problem(text, tokens)


def _token_problem(text: str, tokens: list[sqlglot.Token]) -> str | None:
    rest = " ".join(token.text for token in tokens if token.token_type.name not in _QUOTED)
    if any(token.comments for token in tokens) or any(mark in text for mark in ("--", "/*", "*/")) or "#" in rest:
        return "has a comment in it"
    if "$" in rest or any(token.token_type is sqlglot.TokenType.HEREDOC_STRING for token in tokens):
        return "has a $ in it"
    if any(token.token_type.name in _STATEMENTS for token in tokens):
        return "is more than a type"
    return _bracket_problem(tokens) if tokens else "isn't a type"


def _bracket_problem(tokens: list[sqlglot.Token]) -> str | None:
    depth = 0
    for token in tokens:
        kind = token.token_type.name
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if depth < 0 or (depth == 0 and kind == "COMMA"):
            return "goes beyond the column's definition"
    return "has a bracket that isn't closed" if depth else None
