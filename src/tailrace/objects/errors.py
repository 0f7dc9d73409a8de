"""Errors of AWS and object stores: translated into ours, and whether they may pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError
from obstore.exceptions import BaseError, GenericError

from tailrace.errors import DestinationError
from tailrace.objects.answers import explained, is_aws_busy, is_lasting

RAISED = (BaseError, BotoCoreError, ClientError)
"""The classes of all of them."""


def is_passing(error: BaseException) -> bool:
    """Whether an error of an object store may pass, because the store or the network failed."""
    if isinstance(error, GenericError):
        return not is_lasting(str(error))
    if isinstance(error, ClientError):
        return is_aws_busy(error.response)
    return isinstance(error, HTTPClientError | AwsConnectionError)


@contextmanager
def translated_errors(address: str = "") -> Iterator[None]:
    """Raise errors of AWS and the object store as DestinationError, which names the address."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise DestinationError(f"{address or 'the object store'}: {explained(error)}") from error
    except (BotoCoreError, ClientError) as error:
        raise DestinationError(f"{address or 'AWS'}: {explained(error)}") from error
