"""Delta Lake's errors as ours: which may pass, and what is to be done about those that don't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tailrace.errors import DestinationError
from tailrace.objects import is_passing

_PASSING = (
    "error sending request",
    "after",
    "timed out",
    "connection",
    "Generic S3",
    "Generic GCS",
    "Generic Microsoft",
)
_LASTING = re.compile(r"\b4(?!08|09|12|29)\d\d [A-Z]|configured region|operation lacked")
"""What a store will say again: statuses from 400, but those of slow clients, conflicts and too many requests."""

_ENDED = re.compile(r"ExpiredToken|token.{0,20}expired|TokenRefreshRequired", re.IGNORECASE)
_WAYS = (
    (_ENDED, "the keys have ended: give new ones"),
    (
        re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist"),
        "there is no such bucket: make it, or mend `url`",
    ),
    (
        re.compile(r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|AuthenticationFailed|\b401 "),
        "the store doesn't know the keys: mend them",
    ),
    (re.compile(r"\b403 |operation lacked"), "the store doesn't allow it: give the keys the permissions that it takes"),
    (re.compile(r"configured region"), "the bucket is in another region: set `region`"),
)


class RefusedError(Exception):
    """A commit that Delta Lake refuses though no other writer was quicker, and will refuse again."""


@contextmanager
def told() -> Iterator[None]:
    """Raise Delta's errors as ours, but those that say how it stands."""
    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError) as error:
        raise DestinationError(f"Delta Lake: {said(error)}") from error


def said(error: BaseException) -> str:
    """What an error says, on one line, with what is to be done about it where that is known."""
    text = str(error)
    way = next((way for pattern, way in _WAYS if pattern.search(text)), None)
    first = text.strip().partition("\n")[0].removeprefix("Kernel error -> ")
    status = re.search(r"\b[45]\d\d [A-Z][A-Za-z ]+", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    what = ", ".join(found for found in (first, status and status.group().strip(), code and code.group(1)) if found)
    return f"{way} ({what})" if way else what


def may_pass(error: BaseException) -> bool:
    """Whether the store, or the way to it, was to blame, or another writer was quicker."""
    if isinstance(error, DeltaError | OSError) and _LASTING.search(str(error)):
        return False
    return isinstance(error, CommitFailedError) or is_stores(error) or is_passing(error)


def is_stores(error: BaseException) -> bool:
    """Whether Delta Lake was refused, or not answered, by the store, in a way that may pass."""
    text = str(error)
    is_passing_one = any(said_so in text for said_so in _PASSING) and not _LASTING.search(text)
    return isinstance(error, DeltaError | OSError) and is_passing_one


def have_ended(error: BaseException | None) -> bool:
    """Whether keys that are given for a while have ended."""
    while error is not None:
        if _ENDED.search(str(error)):
            return True
        error = error.__cause__
    return False
