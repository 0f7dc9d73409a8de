"""What goes wrong with AWS and object stores: as an error of ours, and whether it may pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError
from obstore.exceptions import BaseError, GenericError

from tailrace.errors import DestinationError
from tailrace.objects.answers import explained, is_aws_busy, is_lasting


def is_passing(error: BaseException) -> bool:
    """Whether an object store failed in a way that may pass: it, or the way to it, was to blame."""
    if isinstance(error, GenericError):
        return not is_lasting(str(error))
    if isinstance(error, ClientError):
        return is_aws_busy(error.response)
    return isinstance(error, HTTPClientError | AwsConnectionError)


@contextmanager
def translated_errors(place: str = "") -> Iterator[None]:
    """Raise AWS's and the object store's errors as ours, which name the place."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise DestinationError(f"{place or 'the object store'}: {explained(error)}") from error
    except (BotoCoreError, ClientError) as error:
        raise DestinationError(f"{place or 'AWS'}: {explained(error)}") from error
