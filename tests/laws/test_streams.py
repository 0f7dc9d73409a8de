"""Whatever a tap sends and however it is cut up, the tables are those of a plain model, and so is the report.

TAILRACE_EXAMPLES multiplies the number of examples, which are the same each time unless it is set.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pytest
from crashing import Database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from message_streams import Case, cases, line_of
from plain_model import Model, comparable

from tailrace import load

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))
EXAMPLES = {"duckdb": 60, "sqlite": 120}


class CrashError(Exception):
    """What a run is ended with in the middle of its input."""


def law(kind, strategy):
    """Hold a test for random cases, on a destination of that kind."""

    def held(test):
        examples = settings(
            max_examples=EXAMPLES[kind] * max(1, MORE),
            derandomize=not MORE,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        return examples(given(strategy)(test))

    return held


@dataclass
class Place:
    """Where a case is loaded to, what was told on the way, and what the tables held at each of these moments."""

    database: Database
    folder: Path
    told: list = field(default_factory=list)
    seen: list = field(default_factory=list)

    def load(self, case, lines, look=None, **more):
        """The report of a run over the lines; `look` is called whenever a state is told, and what it gives is kept."""

        def tell(state):
            self.told.append(json.loads(state))
            if look:
                self.seen.append(look())

        return load(lines, self.database.url, tell=tell, quarantine=self.folder / "q", **case.settings, **more)

    def tables(self, case, columns):
        """The visible rows of the case's tables."""
        names = [plan.name for plan in case.plans if plan.is_selected]
        return {name: comparable(self.database.rows(name), columns[name]) for name in names}

    def quarantined(self):
        """The records in the quarantine: line, and text as sent."""
        if not (self.folder / "q").exists():
            return []
        entries = map(json.loads, (self.folder / "q").read_text().splitlines())
        return [(entry["line"], entry["record"]) for entry in entries if "record" in entry]
