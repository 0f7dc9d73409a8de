"""The conformance suite: what every destination does, as one function for each behaviour.

For the author of a destination: make a `Subject` (how to open your destination on a place of its own, and how to read a
table without your own code; `Rows` says how the values are to look) and run each of `BEHAVIOURS` on a fresh one:
`behaviour(subject)`, parametrised by pytest. What your destination can't have goes into `Subject.lacks`, the
behaviour's name with the reason; it is then skipped with that reason.

`LAWS` are what holds when processes are killed, and when two run at once. They too take a subject, which says a little
more for them, and fork processes to load into it: the destination is pickled, as every one can be before use.
"""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any
from unittest import SkipTest

from tailrace.testing import (
    checkpoints,
    columns,
    contract,
    crashes,
    deletions,
    evolution,
    fencing,
    keys,
    kinds,
    methods,
    names,
    refusals,
    texts,
    versions,
)
from tailrace.testing.seams import Seam
from tailrace.testing.subject import Behaviour, Rows, Subject

__all__ = ["BEHAVIOURS", "LAWS", "Behaviour", "Rows", "Seam", "Subject"]

_THEMES = (kinds, texts, keys, methods, versions, deletions, evolution, names, columns, refusals, checkpoints, contract)


def _behaviours(theme: ModuleType) -> list[Behaviour]:
    """The theme's public functions, in the order they are written."""
    functions = inspect.getmembers_static(theme, inspect.isfunction)
    own = [f for name, f in functions if f.__module__ == theme.__name__ and not name.startswith("_")]
    return sorted(own, key=lambda f: f.__code__.co_firstlineno)


def _unless_lacked(behaviour: Behaviour) -> Behaviour:
    """The behaviour, skipped for a subject that says it lacks it."""

    @functools.wraps(behaviour)
    def checked(subject: Subject) -> Any:
        unknown = subject.lacks.keys() - NAMES
        assert not unknown, f"`lacks` names behaviours that there aren't: {', '.join(sorted(unknown))}"
        if behaviour.__name__ in subject.lacks:
            raise SkipTest(subject.lacks[behaviour.__name__])
        return behaviour(subject)

    return checked


BEHAVIOURS: tuple[Behaviour, ...] = tuple(_unless_lacked(b) for theme in _THEMES for b in _behaviours(theme))
"""Every behaviour. One that the subject lacks raises unittest.SkipTest, which pytest takes for a skip."""

LAWS: tuple[Behaviour, ...] = tuple(
    map(
        _unless_lacked,
        (crashes.a_crash_at_any_call_loses_no_row_and_loads_none_twice, fencing.the_older_of_two_runs_is_fenced),
    )
)
"""What holds when processes are killed, and when two run at once; skipped, or lacked, as behaviours are."""

NAMES = frozenset(behaviour.__name__ for behaviour in (*BEHAVIOURS, *LAWS))
"""The names that `Subject.lacks` may have."""
