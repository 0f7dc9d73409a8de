"""Arrow without pandas, which it otherwise imports, where that is installed, as soon as it makes an array."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa


class _NoPandas:
    """Says of pandas that it isn't installed."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Nothing, so that others are asked, but for pandas."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def without_pandas() -> None:
    """Have Arrow look for pandas now and find none: importing it takes a while, and nothing here is a frame."""
    finder: Any = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(finder)
