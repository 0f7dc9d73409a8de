"""The conformance suite: what every destination does, as one function for each behaviour.

For the author of a destination: make a `Subject` (how to open your destination on an empty database, and how to read a
table without your own code; `Rows` says which Python types the values have). Run each of `BEHAVIOURS` on a fresh one:
`behaviour(subject)`, parametrised by pytest. A behaviour that your destination can't have goes into `Subject.lacks`,
by its name and with the reason; it is then skipped with that reason.

Behaviours belong to themes, the keys of `THEMES`. A second subject of the same destination, say one that writes another
format, needs only the themes that it varies: parametrise it by `behaviours(varies)`, and say the same in
`Subject.varies`.

`LAWS` are what holds when processes are killed, and when two run at once. They take a subject too, with a few more
fields. They fork processes that load into it, to which the destination is given as a pickle.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection, Mapping
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
from tailrace.testing.lacking import DELETIONS, REPLACEMENTS, UPSERTS
from tailrace.testing.seams import Seam
from tailrace.testing.subject import Behaviour, Rows, Subject

__all__ = [
    "BEHAVIOURS",
    "DELETIONS",
    "LAWS",
    "REPLACEMENTS",
    "THEMES",
    "UPSERTS",
    "Behaviour",
    "Rows",
    "Seam",
    "Subject",
    "behaviours",
]


def behaviours(varies: Collection[str] | None = None) -> tuple[Behaviour, ...]:
    """The behaviours of these themes, for pytest.parametrize; those of all themes for None."""
    _require_themes(varies)
    return tuple(b for theme, several in THEMES.items() if varies is None or theme in varies for b in several)


def _require_themes(varies: Collection[str] | None) -> None:
    unknown = set(varies or ()) - THEMES.keys()
    assert not unknown, f"`varies` names unknown themes: {', '.join(sorted(unknown))}; there are {', '.join(THEMES)}"


def _behaviours(theme: ModuleType) -> tuple[Behaviour, ...]:
    """The theme's public functions, in the order they are written, each skipped where it doesn't apply."""
    functions = inspect.getmembers_static(theme, inspect.isfunction)
    own = [f for name, f in functions if f.__module__ == theme.__name__ and not name.startswith("_")]
    return tuple(_where_it_applies(f, _name(theme)) for f in sorted(own, key=lambda f: f.__code__.co_firstlineno))


def _where_it_applies(behaviour: Behaviour, theme: str | None = None) -> Behaviour:
    """The behaviour, skipped for a subject that lacks it or doesn't vary its theme."""

    @functools.wraps(behaviour)
    def checked(subject: Subject) -> Any:
        unknown = subject.lacks.keys() - NAMES
        assert not unknown, f"`lacks` names unknown behaviours: {', '.join(sorted(unknown))}"
        _require_themes(subject.varies)
        if behaviour.__name__ in subject.lacks:
            raise SkipTest(subject.lacks[behaviour.__name__])
        if theme and subject.varies is not None and theme not in subject.varies:
            raise SkipTest(f"this subject doesn't vary {theme}")
        return behaviour(subject)

    return checked


def _name(theme: ModuleType) -> str:
    return theme.__name__.rpartition(".")[2]


THEMES: Mapping[str, tuple[Behaviour, ...]] = {
    _name(theme): _behaviours(theme)
    for theme in (
        kinds,
        texts,
        keys,
        methods,
        versions,
        deletions,
        evolution,
        names,
        columns,
        refusals,
        checkpoints,
        contract,
    )
}
"""The behaviours by the name of their theme."""

BEHAVIOURS: tuple[Behaviour, ...] = behaviours()
"""Every behaviour. One that the subject lacks raises unittest.SkipTest, which pytest takes for a skip."""

LAWS: tuple[Behaviour, ...] = (
    _where_it_applies(crashes.a_crash_at_any_call_loses_no_row_and_loads_none_twice),
    _where_it_applies(fencing.the_older_of_two_runs_is_fenced),
)
"""What holds when processes are killed, and when two run at once; skipped, or lacked, as behaviours are."""

NAMES = frozenset(behaviour.__name__ for behaviour in (*BEHAVIOURS, *LAWS))
"""The names that `Subject.lacks` may have."""
