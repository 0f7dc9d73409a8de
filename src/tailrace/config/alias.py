"""A name of other targets' settings, and what it means here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tailrace.config.meanings import Given, Meaning

MAGE, MELTANO, PIPELINEWISE, ADSWERVE, ADDRESS = "Mage", "Meltano", "PipelineWise", "Adswerve", "addresses"

BY_KEY = "streams with keys are upserted, others appended; `method: append` appends all"
"""What a way of loading comes to that isn't told apart here."""


class Alias(Struct, frozen=True):
    """A name of other targets: whose it is, and in words what it means here, why nothing is needed, or what to do.

    `settings` are what its value comes to, by their own names, where a value of None is the default; None when nothing
    is needed. The predicates say of which values the name is refused, and of which the reader of the log is warned;
    they and `settings` are given the value and everything that is set beside it, and raise ValueError for a value that
    can't be. `claimed`: of a name that is a setting's own too, the values that are theirs and not the setting's.
    """

    of: str
    text: str
    settings: Meaning | None = None
    refused: Callable[[Any, Given], bool] | None = None
    warned: Callable[[Any, Given], bool] | None = None
    claimed: Callable[[Any, Given], bool] | None = None
