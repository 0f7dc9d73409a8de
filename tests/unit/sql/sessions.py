"""A session over a real database that notes its statements, and fails at the one that it is told to."""

import re

from tailrace.destinations.sqlite import SQLiteFile
from tailrace.errors import DestinationError

_RENAMES = re.compile(r"`([^`]+)` TO `([^`]+)`")


class LostError(DestinationError):
    """The connection is lost."""


class Recorded:
    """A Session of SQLite, which reads MySQL's names in backticks, and understands its RENAME TABLE.

    `fails_at` is the number of the statement, from 1, that is lost: `after` it was done, or before.
    """

    def __init__(self, fails_at=0, *, after=False, path=":memory:"):
        self.session = SQLiteFile(str(path), 5).open()
        self.is_closed = False
        self.statements = []
        self.fails_at = fails_at
        self.after = after

    def execute(self, sql, parameters=()):
        self.statements.append(sql)
        is_lost = len(self.statements) == self.fails_at
        if is_lost and not self.after:
            raise LostError("lost")
        changed = self._done(sql, parameters)
        if is_lost:
            raise LostError("lost")
        return changed

    def query(self, sql, parameters=()):
        return self.session.query(sql, parameters)

    def load(self, table, columns, rows):
        self.session.load(table, columns, rows)

    def close(self):
        self.is_closed = True
        self.session.close()

    def tables(self):
        """The rows of every table."""
        names = [name for (name,) in self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: self.query(f'SELECT * FROM "{name}"') for name in names}

    def _done(self, sql, parameters):
        if not sql.startswith("RENAME TABLE"):
            return self.session.execute(sql, parameters)
        for old, new in _RENAMES.findall(sql):
            self.session.execute(f"ALTER TABLE `{old}` RENAME TO `{new}`")
        return 0
