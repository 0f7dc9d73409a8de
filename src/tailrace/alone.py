"""Arrow without the packages that it imports where they are installed, and that a process of our own has no use for."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import get_ident
from typing import Any, ClassVar

UNUSED = frozenset({"cloudpickle", "numpy", "pandas"})
"""Together they take longer to import than Arrow itself."""

GARBAGE_AT = 100_000
"""New objects at which Python looks for garbage: at its own 700, that takes a fifth of a start, and finds none."""


class _Missing:
    """An import finder that reports those packages as missing, to one thread."""

    is_wanted: ClassVar[bool] = False

    def __init__(self, unused: Collection[str]) -> None:
        self._unused = unused
        self._thread = get_ident()

    def find_spec(self, name: str, *_: object) -> None:
        """None, so that the next finder is asked; raises for those packages."""
        if name in self._unused and get_ident() == self._thread:
            raise ModuleNotFoundError(name=name)


def import_arrow_alone() -> None:
    """Import Arrow so that it finds none of those packages, and other modules by `imported`; anybody else does."""
    _Missing.is_wanted = True
    with _missing(UNUSED):
        import_module("pyarrow").array([])  # it looks for pandas with the first array


def imported(name: str, unused: Collection[str] = UNUSED) -> Any:
    """A module, which is imported without those packages where Arrow was."""
    if name in sys.modules or not _Missing.is_wanted:
        return import_module(name)
    with _missing(unused):
        return import_module(name)


@contextmanager
def _missing(unused: Collection[str]) -> Iterator[None]:
    finder: Any = _Missing(unused)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
