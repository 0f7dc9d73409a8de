"""Errors of AWS and object stores: translated into ours, and whether they may pass.

Those of AWS are known by the names of their classes: most runs have no use for botocore, which takes long to import.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, GenericError

from tailrace.errors import DestinationError
from tailrace.objects.answers import explained, is_aws_busy, is_lasting


def is_passing(error: BaseException) -> bool:
    """Whether an error of an object store may pass, because the store or the network failed."""
    if isinstance(error, GenericError):
        return not is_lasting(str(error))
    names = _names_in_botocore(error)
    if "ClientError" in names:
        return is_aws_busy(getattr(error, "response", {}))
    return bool(names & {"HTTPClientError", "ConnectionError"})


@contextmanager
def translated_errors(address: str = "") -> Iterator[None]:
    """Raise errors of AWS and the object store as DestinationError, which names the address."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise DestinationError(f"{address or 'the object store'}: {explained(error)}") from error
    except Exception as error:
        if not _names_in_botocore(error):
            raise
        raise DestinationError(f"{address or 'AWS'}: {explained(error)}") from error


def _names_in_botocore(error: BaseException) -> set[str]:
    """The names of botocore's classes that the error is of."""
    return {each.__name__ for each in type(error).__mro__ if each.__module__ == "botocore.exceptions"}
