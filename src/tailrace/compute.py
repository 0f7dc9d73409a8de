"""pyarrow's compute functions, which are imported when the first one is used: that takes longer than pyarrow itself."""

from __future__ import annotations

from typing import Any

from tailrace.alone import imported


def __getattr__(name: str) -> Any:
    return getattr(imported("pyarrow.compute"), name)
