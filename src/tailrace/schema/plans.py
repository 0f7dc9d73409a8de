"""Values by plan: revisions of a stream that differ in nothing else have one plan, and several plans may take turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from tailrace.model import Stream

T = TypeVar("T")


class ByPlan(Generic[T]):
    """One value for each plan. Looking one up costs the same however many streams there are."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[Stream, T]]] = {}

    def get(self, stream: Stream) -> T | None:
        """The value of the stream's plan, if there is one."""
        return next((value for known, value in self._known.get(stream.name, ()) if is_same_plan(known, stream)), None)

    def put(self, stream: Stream, value: T) -> T:
        """Remember the value of a plan that has none yet."""
        self._known.setdefault(stream.name, []).append((stream, value))
        return value

    def drop(self, name: str, is_dropped: Callable[[T], bool] = lambda _: True) -> None:
        """Forget values of that stream's plans."""
        self._known[name] = [(known, value) for known, value in self._known.get(name, ()) if not is_dropped(value)]

    def clear(self) -> None:
        """Forget all values."""
        self._known.clear()


def is_same_plan(one: Stream, other: Stream) -> bool:
    """Whether the streams differ in their revision alone, if in anything."""
    return one is other or (one.name == other.name and replace(one, revision=other.revision) == other)
