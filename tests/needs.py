"""What a test needs of services, which may not be had."""

import os
from contextlib import contextmanager

import pytest
from services.processes import MissingServiceError


@contextmanager
def had(service, *, always=True):
    """The service; where it can't be had the test is skipped, but not where all that can always be had are wanted."""
    try:
        with service() as server:
            yield server
    except MissingServiceError as missing:
        if always and os.environ.get("SERVICES_REQUIRED"):
            raise
        pytest.skip(str(missing))
