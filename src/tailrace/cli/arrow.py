"""Arrow without the packages that it imports where they are installed, and that the command line has no use for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

UNUSED = frozenset({"cloudpickle", "numpy", "pandas"})
"""Together they take longer to import than Arrow itself."""


class _Missing:
    """An import finder that reports those packages as missing."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """None, so that the next finder is asked; raises for those packages."""
        if name in UNUSED:
            raise ModuleNotFoundError(name=name)


def import_arrow_alone() -> None:
    """Import Arrow so that it finds none of those packages; anybody else does, as ever."""
    finder: Any = _Missing()
    sys.meta_path.insert(0, finder)
    try:
        import_module("pyarrow").array([])  # it looks for pandas with the first array
    finally:
        sys.meta_path.remove(finder)
