"""Which files a pipeline has loaded, as it is kept in the state of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec

from tailrace.errors import ConfigError
from tailrace.inputs.places import InputFile, known_name

_FILES, _STATE = "tailrace_files", "state"


class LoadedFiles:
    """The files that are loaded, by name with size and tag, and the last STATE that was among their messages."""

    def __init__(self, files: Mapping[str, Sequence[Any]], state: Any = None) -> None:
        self._files = dict(files)
        self._state = state

    @classmethod
    def of(cls, state: bytes | None) -> Self:
        """What a pipeline's last state says; raises ConfigError where it is a tap's."""
        if state is None:
            return cls({})
        found = msgspec.json.decode(state)
        if not is_of_files(state):
            raise ConfigError(
                "the pipeline remembers the state of a tap, and no files",
                key="--new-only",
                hint="give files a pipeline of their own",
            )
        return cls(found[_FILES], found.get(_STATE))

    def has(self, file: InputFile) -> bool:
        """Whether the file is loaded as it is now."""
        return self._files.get(known_name(file)) == [file.size, file.tag]

    def add(self, file: InputFile, state: bytes | None) -> bytes:
        """Note that a file is loaded, with the last STATE in it; the pipeline's state from then on."""
        self._files[known_name(file)] = [file.size, file.tag]
        if state is not None:
            self._state = msgspec.json.decode(state)
        return msgspec.json.encode({_FILES: self._files, _STATE: self._state})


def loaded_files(state: bytes | None, *, new_only: bool) -> LoadedFiles | None:
    """The files that a pipeline's last state says are loaded, for a run that leaves these out; else None.

    Raises ConfigError where the state is another's.
    """
    if new_only:
        return LoadedFiles.of(state)
    require_no_files(state)
    return None


def require_no_files(state: bytes | None) -> None:
    """Raise ConfigError where a pipeline's state says which files it has loaded, which other states would replace."""
    if is_of_files(state):
        raise ConfigError(
            "the pipeline remembers which files it has loaded, and would forget them",
            key="--pipeline",
            hint="load files into it with --new-only, or give the run a pipeline of its own",
        )


def require_named(pipeline: str | None) -> None:
    """Raise ConfigError where no pipeline can remember files."""
    if pipeline is None:
        raise ConfigError(
            "no pipeline given", key="--new-only", hint="files are remembered under the name of a --pipeline"
        )


def is_of_files(state: bytes | None) -> bool:
    """Whether a pipeline's state says which files it has loaded."""
    found = msgspec.json.decode(state) if state else None
    return isinstance(found, dict) and isinstance(found.get(_FILES), dict)


def told_of(state: bytes) -> bytes | None:
    """What is told of a pipeline's state: the STATE of the messages, of which files may have none."""
    if not is_of_files(state):
        return state
    found = msgspec.json.decode(state).get(_STATE)
    return None if found is None else msgspec.json.encode(found)
