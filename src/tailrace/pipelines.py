"""The names of pipelines: those that users give, and those of runs without a pipeline."""

from __future__ import annotations

import unicodedata

MAX_NAME_LENGTH = 255
"""The characters of a pipeline's name; databases have keys of so many."""

_UNNAMED = "~"
"""What the name of a run without a pipeline begins with. Destinations store such names, so it never changes."""


def unnamed(run: str) -> str:
    """The name under which a run without a pipeline keeps its checkpoints, until it has ended well."""
    return f"{_UNNAMED}{run}"


def is_unnamed(pipeline: str) -> bool:
    """Whether the name is that of a run without a pipeline."""
    return pipeline.startswith(_UNNAMED)


def wrong_with_name(pipeline: str) -> str | None:
    """What is wrong with a name that a user gives a pipeline, if anything."""
    if not pipeline.strip():
        return "a pipeline's name may not be empty"
    if is_unnamed(pipeline):
        return f"a pipeline's name may not begin with {_UNNAMED}: names of runs without a pipeline do"
    if pipeline != pipeline.strip():
        return "a pipeline's name may not begin or end with a blank"
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in pipeline):
        return "a pipeline's name may not have characters in it that can't be seen"
    if len(pipeline) > MAX_NAME_LENGTH:
        return f"a pipeline's name may have {MAX_NAME_LENGTH} characters, and this one has {len(pipeline)}"
    return None
