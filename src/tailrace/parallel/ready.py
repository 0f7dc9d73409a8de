"""What a process of this machine does before its first task."""

from __future__ import annotations

import gc
from importlib import import_module

from tailrace.alone import import_arrow_alone, settle


def get_ready() -> None:
    """Import what tasks need, and Arrow without what they don't; none of it is garbage."""
    settle()
    import_arrow_alone()
    import_module("tailrace.parallel.task")
    gc.freeze()
