"""The statements of the checkpoint table as sqlglot writes them: so a start needs no sqlglot before a table is made."""

from __future__ import annotations

CHECKPOINTS = {
    "create": (
        'CREATE TABLE IF NOT EXISTS {table} ("pipeline" VARCHAR NOT NULL, "number" BIGINT NOT NULL, '
        '"fence" VARCHAR NOT NULL, "state" VARCHAR, "committed_at" TIMESTAMP WITH TIME ZONE, PRIMARY KEY ("pipeline"))'
    ),
    "read": (
        'SELECT "number", "fence", "state", CAST("committed_at" AS TEXT) AS "committed_at" FROM {table} '
        'WHERE "pipeline" = ?'
    ),
    "insert": 'INSERT INTO {table} ("pipeline", "number", "fence") VALUES (?, ?, ?)',
    "take": 'UPDATE {table} SET "fence" = ? WHERE "pipeline" = ?',
    "advance": (
        'UPDATE {table} SET "number" = ?, "state" = ?, "committed_at" = ?, "fence" = "fence" '
        'WHERE "pipeline" = ? AND "number" = ? AND "fence" = ?'
    ),
    "forget": 'DELETE FROM {table} WHERE "pipeline" = ? AND "number" = ? AND "fence" = ?',
}
"""By their names in Checkpoints; `{table}` stands for the table's name."""
