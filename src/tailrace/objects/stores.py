"""Object stores opened by their address, with keys that are renewed before they expire."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store, from_url

from tailrace.objects.settings import ATTEMPTS, ATTEMPTS_S, AwsSettings, StoreSettings

if TYPE_CHECKING:
    from obstore.store import S3Credential

_MEMORIES: dict[str, MemoryStore] = {}


def local_path(url: str) -> Path:
    """The folder of this machine at a `file:` address."""
    return Path(unquote(urlsplit(url).path))


def opened_store(settings: AwsSettings, url: str) -> ObjectStore:
    """The store at an address; a local folder is created."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(local_path(url), mkdir=True)
    if parts.scheme == "memory":
        return _MEMORIES.setdefault(url, MemoryStore())
    retry: Any = {"max_retries": ATTEMPTS, "retry_timeout": timedelta(seconds=ATTEMPTS_S)}
    options: dict[str, Any] = dict(settings.storage_options) if isinstance(settings, StoreSettings) else {}
    if parts.scheme not in {"s3", "s3a"}:
        return from_url(url, config=cast("Any", options), retry_config=retry)
    given = {"region": settings.found_region(), "endpoint": settings.endpoint}
    options |= {name: value for name, value in given.items() if value}
    if provider := _provider(settings):
        options["credential_provider"] = provider
    else:
        options |= settings.credentials()
    client: Any = {"allow_http": bool(settings.endpoint and settings.endpoint.startswith("http:"))}
    return S3Store(
        parts.netloc, prefix=unquote(parts.path).strip("/"), client_options=client, retry_config=retry, **options
    )


def _role_keys(settings: StoreSettings) -> S3Credential:
    """Keys of the role in the store's form; it asks again before they expire."""
    given = settings.role_keys()
    return {
        "access_key_id": given["AccessKeyId"],
        "secret_access_key": given["SecretAccessKey"],
        "token": given["SessionToken"],
        "expires_at": given["Expiration"].astimezone(UTC),
    }


def _provider(settings: AwsSettings) -> Any:
    """A provider of renewed keys; None if the settings have keys."""
    if isinstance(settings, StoreSettings) and settings.role_arn:
        return partial(_role_keys, settings)
    if settings.access_key_id:
        return None
    settings.credentials()  # without any keys, AWS's own error says what to do
    return import_module("obstore.auth.boto3").Boto3CredentialProvider(settings.found_session())
