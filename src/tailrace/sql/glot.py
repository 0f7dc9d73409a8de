"""sqlglot, imported when the first statement is built: until then, no start waits for it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlglot
    from sqlglot import exp
else:

    class _Late:
        """A module whose names are looked up when they are used, and kept."""

        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> Any:
            value = getattr(import_module(self._module), name)
            setattr(self, name, value)
            return value

    sqlglot, exp = _Late("sqlglot"), _Late("sqlglot.expressions")

__all__ = ["exp", "sqlglot"]
