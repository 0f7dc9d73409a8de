"""What to do about what SQLite says, by its words."""

from __future__ import annotations

from tailrace.sql.remedies import Remedy

SQLITE = (
    Remedy(".*", "database or disk is full", "free some space on the disk"),
    Remedy(".*", "readonly|read-only|unable to open|permission", "let the file and its folder be written to"),
    Remedy(".*", "is locked|is busy", "end the program that writes, or raise `lock_timeout_s`"),
    Remedy(".*", "not a database|malformed|encrypted", "set `path` to a file of SQLite"),
    Remedy(".*", "is a view|no such function", "set another `table:` under `streams:`"),
    Remedy(".*", "too many columns|string or blob too big", "leave columns out (`select: false` under `columns:`)"),
    Remedy(".*", "already (exists|another)|there is already|reserved", "set another `table:` under `streams:`"),
    Remedy(".*", "constraint failed", "remove the rows that break it, or drop the constraint"),
    Remedy(".*", "syntax error|unrecognized token|near ", "set another `sql_type` under `columns:`, or none"),
    Remedy(".*", "no such (table|column)", "another program has changed or dropped it: run again"),
)
