"""Delta Lake's errors translated: which may pass, and what to do about the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tailrace.errors import DestinationError
from tailrace.objects.answers import explained, is_lasting, is_of_ended_keys
from tailrace.objects.errors import is_passing

_PASSING = (
    "error sending request",
    "after",
    "timed out",
    "connection",
    "Generic S3",
    "Generic GCS",
    "Generic Microsoft",
)


class RefusedError(Exception):
    """A commit that Delta Lake refuses for good, not because another writer was quicker."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise Delta's errors as DestinationError, but for those that callers handle."""
    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError) as error:
        raise DestinationError(f"Delta Lake: {explained(error)}") from error


def may_pass(error: BaseException) -> bool:
    """Whether the error may pass: the store or the network failed, or another writer was quicker."""
    if isinstance(error, DeltaError | OSError) and is_lasting(str(error)):
        return False
    return isinstance(error, CommitFailedError) or is_stores(error) or is_passing(error)


def is_stores(error: BaseException) -> bool:
    """Whether the store refused Delta Lake, or didn't answer, in a way that may pass."""
    text = str(error)
    is_passing_one = any(said_so in text for said_so in _PASSING) and not is_lasting(text)
    return isinstance(error, DeltaError | OSError) and is_passing_one


def have_ended(error: BaseException | None) -> bool:
    """Whether temporary keys have expired."""
    while error is not None:
        if is_of_ended_keys(str(error)):
            return True
        error = error.__cause__
    return False
