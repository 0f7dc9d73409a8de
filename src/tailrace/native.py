"""The package tailrace-native, which does in Rust what Python does more slowly where it isn't installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

_NAME = "tailrace_native"


def is_installed() -> bool:
    """Whether the package is there; it isn't imported for that."""
    return find_spec(_NAME) is not None


def native(name: str) -> Any:
    """What the package has by that name; None where it isn't installed."""
    return getattr(import_module(_NAME), name) if is_installed() else None
