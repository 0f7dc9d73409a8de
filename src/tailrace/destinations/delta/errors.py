"""Delta Lake's errors as ours: which may pass, and what is to be done about those that don't."""

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
    """A commit that Delta Lake refuses though no other writer was quicker, and will refuse again."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise Delta's errors as ours, but those that say how it stands."""
    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError) as error:
        raise DestinationError(f"Delta Lake: {explained(error)}") from error


def may_pass(error: BaseException) -> bool:
    """Whether the store, or the way to it, was to blame, or another writer was quicker."""
    if isinstance(error, DeltaError | OSError) and is_lasting(str(error)):
        return False
    return isinstance(error, CommitFailedError) or is_stores(error) or is_passing(error)


def is_stores(error: BaseException) -> bool:
    """Whether Delta Lake was refused, or not answered, by the store, in a way that may pass."""
    text = str(error)
    is_passing_one = any(said_so in text for said_so in _PASSING) and not is_lasting(text)
    return isinstance(error, DeltaError | OSError) and is_passing_one


def have_ended(error: BaseException | None) -> bool:
    """Whether keys that are given for a while have ended."""
    while error is not None:
        if is_of_ended_keys(str(error)):
            return True
        error = error.__cause__
    return False
