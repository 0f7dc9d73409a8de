"""Keys of accounts, as the texts of their files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from google.auth import aws, identity_pool
from google.auth.credentials import Credentials
from google.oauth2 import credentials, service_account

from tailrace.errors import ConfigError

SCOPES = ("https://www.googleapis.com/auth/bigquery",)


def _external(told: dict[str, Any], scopes: tuple[str, ...]) -> Any:
    """What another provider of identities vouches for: AWS, or whoever gives a token in a file or at an address."""
    source = told.get("credential_source")
    is_aws = isinstance(source, dict) and str(source.get("environment_id", "")).startswith("aws")
    return (aws if is_aws else identity_pool).Credentials.from_info(told, scopes=scopes)


_READ: Mapping[str, Callable[..., Any]] = {
    "service_account": service_account.Credentials.from_service_account_info,
    "authorized_user": credentials.Credentials.from_authorized_user_info,
    "external_account": _external,
}
"""What reads each type of them."""


def of_key(text: str, setting: str) -> Credentials:
    """The credentials of a key; `setting` is where it is from. What is in it is never shown."""
    told = None
    with suppress(ValueError):
        told = json.loads(text)
    if not isinstance(told, dict):
        raise ConfigError("it isn't the JSON of a key", key=setting)
    read = _READ.get(str(told.get("type")))
    if read is None:
        raise ConfigError(
            "its `type` is none that is known here",
            key=setting,
            hint=f"there are {', '.join(_READ)}; others are found as Application Default Credentials",
        )
    try:
        found: Credentials = read(told, scopes=SCOPES)
    except ValueError:
        raise ConfigError(f"it isn't a whole key of the type {told['type']!r}", key=setting) from None
    return found
