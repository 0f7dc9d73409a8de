"""pyarrow's compute functions, which are imported when the first one is used: that takes longer than pyarrow itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(import_module("pyarrow.compute"), name)
