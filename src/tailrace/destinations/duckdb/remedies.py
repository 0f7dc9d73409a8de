"""What to do about what DuckDB says, by its words."""

from __future__ import annotations

from tailrace.sql.remedies import Remedy

DUCKDB = (
    Remedy(".*", "lock on file", "end the process that has the file open"),
    Remedy(".*", "no space left|disk.*full|write.*fail", "free some space on the disk"),
    Remedy(".*", "permission|cannot open file|read-only|read only", "let the file and its folder be written to"),
    Remedy(".*", "not a valid DuckDB|newer version|storage version", "set `path` to a file of this version's"),
    Remedy(".*", "out of memory|failed to allocate|failed to pin", "raise `memory_limit`, or lower `threads`"),
    Remedy(
        ".*",
        "depends? on|depend on it|key table|constraint specified|generated column",
        "drop that and make it anew afterwards, or set `contract: freeze`",
    ),
    Remedy(".*", "already exists|system catalog", "set another `table:` or `schema:` under `streams:`"),
    Remedy(
        ".*",
        "type with name|Parser Error|syntax error|DECIMAL type|type parameters|precision for type",
        "set another `sql_type` under `columns:`, or none",
    ),
    Remedy(".*", "constraint", "remove the rows that break it, or drop the constraint"),
    Remedy(".*", "conflict", "run again"),
    Remedy(".*", "does not exist", "another program has changed or dropped it: run again"),
    Remedy(".*", "unrecognized configuration|configuration parameter", "set options under `config` by DuckDB's names"),
)
