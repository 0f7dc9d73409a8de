"""What suits a process that is tailrace's own: seldom looking for garbage, heaps that keep some, and Arrow alone."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import PathFinder
from threading import Thread, get_ident
from typing import Any, ClassVar

UNUSED = frozenset({"cloudpickle", "numpy", "pandas"})
"""Together they take longer to import than Arrow itself."""

_GARBAGE_AT = 100_000
"""New objects at which Python looks for garbage: at its own 700, that takes a fifth of a start, and finds none."""

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
"""Parameters of glibc's mallopt()."""

_HEAPS = {_TRIM_THRESHOLD: 16 * 2**20, _TOP_PAD: 4 * 2**20, _MMAP_THRESHOLD: 2 * 2**20, _ARENA_MAX: 2}
"""Few heaps, since each keeps what threads have freed; and some of it kept, where the system would clear it anew."""

_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
"""A variable of pydantic's, with which it doesn't read the metadata of every package for plugins."""

_OURS: set[str] = set()
"""The variables that settle() has set."""


def settle() -> None:
    """Have Python look for garbage seldom, and glibc's allocator, if that is the process's, keep heaps that suit us.

    Pydantic looks for no plugins. Before there are threads.
    """
    gc.set_threshold(_GARBAGE_AT)
    if _PLUGINS not in os.environ:
        os.environ[_PLUGINS] = "__all__"
        _OURS.add(_PLUGINS)
    with suppress(AttributeError, OSError, TypeError):  # another library of C
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _HEAPS.items():
            mallopt(parameter, value)


def link_ahead(names: Collection[str], small: Collection[str] = ()) -> None:
    """Have the system link extension modules in a thread: their imports are quick then, and would hold Python's lock.

    It links one at a time, so that those which are needed meanwhile, the `small` ones, are imported before. A module
    that isn't there is left to its import.
    """
    for name in small:
        with suppress(ImportError):
            import_module(name)
    Thread(target=_link, args=(names,), name="tailrace-link", daemon=True).start()


def _link(names: Collection[str]) -> None:
    """Call the system's own function, since that of ctypes holds Python's lock, too."""
    with suppress(AttributeError, OSError, TypeError):  # another system
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
        for name in names:
            parent = name.rpartition(".")[0]
            package = PathFinder.find_spec(parent) if parent else None
            spec = PathFinder.find_spec(name, package.submodule_search_locations if package else None)
            if spec and spec.origin:
                dlopen(os.fsencode(spec.origin), os.RTLD_NOW)


def environ_of_others() -> dict[str, str]:
    """The environment for other programs: without what settle() has set."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


def make_room_for_others() -> None:
    """Give this process the environment of others, for code in it that isn't tailrace's."""
    while _OURS:
        os.environ.pop(_OURS.pop(), None)


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
