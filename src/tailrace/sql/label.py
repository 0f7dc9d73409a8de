"""What a destination works on, for databases that show it beside each of their statements or jobs."""

from __future__ import annotations

from msgspec import Struct


class Label(Struct):
    """The pipeline that is loaded, and the number of its next checkpoint, None as long as it isn't known.

    A destination has one, which changes as it goes on; whoever makes statements of it shares the object.
    """

    pipeline: str = ""
    checkpoint: int | None = None
