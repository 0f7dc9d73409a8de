"""What a test needs of services: they may not be had, and they may die by themselves."""

import os
from contextlib import contextmanager, suppress

import pytest
from services.processes import MissingServiceError

_servers = []


@contextmanager
def had(service, *, always=True):
    """The service; where it can't be had the test is skipped, but not where all that can always be had are wanted."""
    try:
        with service() as server:
            _servers.append(server)
            yield server
    except MissingServiceError as missing:
        if always and os.environ.get("SERVICES_REQUIRED"):
            raise
        pytest.skip(str(missing))


def revive_servers():
    """Start again what has died by itself; what did so before stays as it is, and is an error to who asks for it."""
    for server in _servers:
        with suppress(RuntimeError):
            server.revive()


def deaths():
    """How servers have died by themselves, in this process."""
    return [death for server in _servers for death in server.deaths]
