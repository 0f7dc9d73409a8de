"""The kit of destinations on object stores: the settings of AWS that they share, and a folder of a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import obstore
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as AwsConnectionError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError, GenericError
from obstore.store import S3Store
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from tailrace.errors import DestinationError

_SERVER_ERROR = 500


class AwsSettings(BaseModel):
    """The settings of a destination that keeps something on AWS."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    region: str | None = Field(
        None,
        validation_alias=AliasChoices("region", "aws_region", "s3_region"),
        description="The region of AWS; otherwise where AWS's own settings say.",
    )
    access_key_id: str | None = Field(
        None,
        validation_alias=AliasChoices("access_key_id", "aws_access_key_id"),
        description="A key of AWS; without it the environment, profiles and roles are asked, as AWS's tools do.",
    )
    secret_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("secret_access_key", "aws_secret_access_key"),
        description="The secret of the key.",
    )
    session_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("session_token", "aws_session_token"),
        description="The token of a key that is given for a while.",
    )
    endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("endpoint", "aws_endpoint", "aws_endpoint_url"),
        description="The address of an S3 server that isn't AWS's.",
    )

    def credentials(self) -> Mapping[str, str]:
        """Key, secret and, for a key that is given for a while, token; those of AWS's own settings where none are set.

        Their names are access_key_id, secret_access_key and session_token. Raises DestinationError without any.
        """
        if self.access_key_id and self.secret_access_key:
            token = self.session_token.get_secret_value() if self.session_token else None
            found = (self.access_key_id, self.secret_access_key.get_secret_value(), token)
        else:
            with told():
                chain = boto3.Session(region_name=self.region).get_credentials()
                if chain is None:
                    raise NoCredentialsError
                frozen = chain.get_frozen_credentials()
                found = (frozen.access_key, frozen.secret_key, frozen.token)
        names = ("access_key_id", "secret_access_key", "session_token")
        return {name: value for name, value in zip(names, found, strict=True) if value}


class S3Folder:
    """A folder of a bucket. Thread-safe; nothing is connected before the first call. Raises DestinationError."""

    def __init__(self, settings: AwsSettings, bucket: str, path: str) -> None:
        self.url = f"s3://{bucket}/{path}"
        self._settings = settings
        self._bucket = bucket
        self._path = path
        self._store: S3Store | None = None

    def put(self, name: str, content: bytes) -> None:
        """Write a file, in the place of one of that name; durable on return."""
        with told():
            obstore.put(self._opened(), name, content)

    def remove(self, folder: str) -> None:
        """Remove all files of a folder in it."""
        with told():
            for listed in obstore.list(self._opened(), folder):
                obstore.delete(self._opened(), [file["path"] for file in listed])

    def _opened(self) -> S3Store:
        if self._store is None:
            given, keys = self._settings, self._settings.credentials()
            session = boto3.Session(region_name=given.region)
            places = {"region": session.region_name, "endpoint": given.endpoint}
            options: dict[str, Any] = {name: place for name, place in places.items() if place}
            if given.access_key_id:
                options |= keys
            else:  # keys that are given for a while are asked for anew
                options["credential_provider"] = Boto3CredentialProvider(session)
            client: Any = {"allow_http": bool(given.endpoint and given.endpoint.startswith("http:"))}
            self._store = S3Store(self._bucket, prefix=self._path, client_options=client, **options)
        return self._store


def is_passing(error: BaseException) -> bool:
    """Whether an object store failed in a way that may pass: it, or the way to it, was to blame."""
    return isinstance(error, GenericError | HTTPClientError | AwsConnectionError) or (
        isinstance(error, ClientError) and error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= _SERVER_ERROR
    )


@contextmanager
def told() -> Iterator[None]:
    """Raise AWS's and the object store's errors as ours."""
    try:
        yield
    except (BaseError, ValueError) as error:
        raise DestinationError(f"S3: {str(error).strip().partition(chr(10))[0]}") from error
    except (BotoCoreError, ClientError) as error:
        raise DestinationError(f"AWS: {error}") from error
