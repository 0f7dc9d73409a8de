"""What a process of this machine does before its first task."""

from __future__ import annotations

from importlib import import_module

from tailrace.alone import import_arrow_alone


def get_ready() -> None:
    """Import what tasks need, and Arrow without what they don't."""
    import_arrow_alone()
    import_module("tailrace.parallel.task")
