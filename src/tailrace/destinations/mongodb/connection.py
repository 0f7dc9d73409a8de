"""The connection to MongoDB, by the settings, and its driver's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from bson.errors import BSONError
from pymongo import errors
from pymongo.uri_parser import parse_uri

from tailrace.destinations.mongodb.settings import Settings
from tailrace.errors import ConfigError, DestinationError
from tailrace.sql.url import ESCAPING
from tailrace.tunnels import LOCAL, Tunnel

_LOGIN = frozenset({13, 18})
"""Unauthorized, AuthenticationFailed."""


PASSING = frozenset({6, 7, 24, 50, 63, 64, 89, 91, 112, 189, 251, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Codes of errors that may pass: a primary that steps down, a lost network, a conflict, a write not confirmed yet."""


def may_pass(error: BaseException) -> bool:
    """Whether the driver's error may pass."""
    if isinstance(error, errors.ConfigurationError):
        return False
    if isinstance(error, errors.BulkWriteError):
        several = [*error.details["writeConcernErrors"], *error.details["writeErrors"]]
        return any(each["code"] in PASSING for each in several)
    if isinstance(error, errors.OperationFailure):
        is_named = error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError")
        return is_named or error.code in PASSING or isinstance(error, errors.ExecutionTimeout)
    return isinstance(error, errors.ConnectionFailure)


def client_of(settings: Settings, tunnel: Tunnel | None = None) -> pymongo.MongoClient[dict[str, Any]]:
    """A client, which connects when it is first asked for something."""
    limit_ms = int(settings.timeout_s * 1000)
    options: dict[str, Any] = {"serverSelectionTimeoutMS": limit_ms, "connectTimeoutMS": limit_ms}
    options |= {"socketTimeoutMS": limit_ms, "appname": "tailrace", "maxPoolSize": settings.connections + 2}
    concern = settings.write_concern
    chosen: dict[str, Any] = {"w": int(concern) if concern.isdecimal() else concern, "journal": concern != "0"}
    with translated(), _read():
        if settings.connection_string is None:
            place = _place(settings)
            if tunnel is not None:
                place |= {"host": LOCAL, "port": tunnel.port(), "directConnection": True}
                place.pop("replicaSet", None)
        else:
            uri = settings.connection_string.get_secret_value()
            given = {name.lower() for name in parse_uri(uri, validate=False)["options"]}
            place = {"host": uri}
            chosen = {} if "w" in given else chosen
            options = {name: value for name, value in options.items() if name.lower() not in given}
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(**place, **options, **chosen)
        if not client.write_concern.acknowledged:
            client.close()
            raise ConfigError(
                "writes that no server acknowledges can't be counted on",
                key="write_concern",
                hint="let it be 1 or more",
            )
        return client


def _place(settings: Settings) -> dict[str, Any]:
    """Where the server is, and how to log in, by the settings."""
    options: dict[str, Any] = {"host": settings.host, "port": settings.port, "tls": settings.tls}
    if settings.user is not None:
        secret = settings.password.get_secret_value() if settings.password else None
        options |= {"username": settings.user, "password": secret, "authSource": settings.auth_source}
    if settings.replica_set is not None:
        options["replicaSet"] = settings.replica_set
    if settings.tls_ca is not None:
        options["tlsCAFile"] = str(settings.tls_ca)
    if settings.tls_certificate is not None:
        options["tlsCertificateKeyFile"] = str(settings.tls_certificate)
    return options


@contextmanager
def _read() -> Iterator[None]:
    """Raise as ours what the driver has against an address before it looks for a server."""
    try:
        yield
    except (ValueError, TypeError):  # in whose words there may be secrets
        raise ConfigError("the address or an option in it can't be read", key="to", hint=ESCAPING) from None


@contextmanager
def translated() -> Iterator[None]:
    """Raise the driver's errors as ours."""
    try:
        yield
    except errors.PyMongoError as error:
        raise DestinationError(_said(error)) from error
    except BSONError as error:
        raise DestinationError(f"MongoDB can't have a document: {error}") from error


def _said(error: errors.PyMongoError) -> str:
    """What the driver says, without what it has of a topology, and what to do."""
    if isinstance(error, errors.ServerSelectionTimeoutError):
        reason = str(error).partition(", Timeout:")[0]
        return f"MongoDB can't be reached ({reason}): look at the address, and at what is between it and this machine"
    if isinstance(error, errors.BulkWriteError):
        several = [each.get("errmsg", "") for each in error.details.get("writeErrors", ())]
        several += [each.get("errmsg", "") for each in error.details.get("writeConcernErrors", ())]
        return f"MongoDB: a bulk write failed: {'; '.join(dict.fromkeys(several[:3]))}"
    if isinstance(error, errors.OperationFailure) and error.code in _LOGIN:
        return f"MongoDB refuses the login or what is to be done: {error.details or error}".partition(", full error")[0]
    return f"MongoDB: {str(error).partition(', full error')[0]}"
