"""The kit of destinations on object stores: the settings of AWS and of stores, and a folder of one."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

import boto3
import obstore
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as AwsConnectionError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store, from_url
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from tailrace.errors import DestinationError
from tailrace.refusals import is_aws_busy, is_lasting, is_missing_bucket, said

if TYPE_CHECKING:
    from obstore.store import S3Credential
_MEMORIES: dict[str, MemoryStore] = {}
_ATTEMPTS, _ATTEMPTS_S, _REMOVALS = 8, 60, 4
_KEYS_OF_ROLES = {
    "access_key_id": "AccessKeyId",
    "secret_access_key": "SecretAccessKey",
    "session_token": "SessionToken",
}
_READ_WHOLE_BYTES = 16 * 2**20


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

    def session(self) -> boto3.Session:
        """AWS with the keys that are set, or those of AWS's own settings."""
        token = self.session_token.get_secret_value() if self.session_token else None
        secret = self.secret_access_key.get_secret_value() if self.secret_access_key else None
        return boto3.Session(self.access_key_id, secret, token, self.region)

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


class StoreSettings(AwsSettings):
    """The settings of a destination whose files may be on any object store, or on this machine."""

    role_arn: str | None = Field(
        None,
        validation_alias=AliasChoices("role_arn", "aws_role_arn"),
        description="A role of AWS to take on; its keys are asked for anew when they end.",
    )
    role_session_name: str = Field("tailrace", description="The name of the role's session, as AWS logs it.")
    storage_options: dict[str, str] = Field(
        default_factory=dict,
        description="Options of the object store by object_store's names, as in `azure_storage_account_name`.",
    )

    def credentials(self) -> Mapping[str, str]:
        """As AwsSettings gives them, or those of the role, which end after a while."""
        if not self.role_arn:
            return super().credentials()
        given = self.role_keys()
        return {name: str(given[theirs]) for name, theirs in _KEYS_OF_ROLES.items()}

    def role_keys(self) -> Mapping[str, Any]:
        """Keys of the role, by AWS's names, with the time at which they end."""
        with told():
            sts = self.session().client("sts")
            asked = {"RoleArn": self.role_arn, "RoleSessionName": self.role_session_name}
            return cast("Mapping[str, Any]", sts.assume_role(**asked)["Credentials"])

    def delta_options(self, url: str) -> dict[str, str]:
        """The options of deltalake for tables at that address."""
        options = {"max_retries": str(_ATTEMPTS), "retry_timeout": f"{_ATTEMPTS_S}s", **self.storage_options}
        if urlsplit(url).scheme not in {"s3", "s3a"}:
            return options
        places = {"aws_region": self.region or boto3.Session().region_name, "aws_endpoint_url": self.endpoint}
        options |= {name: place for name, place in places.items() if place}
        options |= {f"aws_{name}": value for name, value in self.credentials().items()}
        is_open = self.endpoint is not None and self.endpoint.startswith("http:")
        return {"aws_conditional_put": "etag", "aws_allow_http": str(is_open).lower()} | options


class Folder:
    """A folder of an object store, or of this machine: `s3://bucket/path`, `gs:`, `az:`, `file:` or `memory:`.

    Picklable before use and thread-safe; nothing is connected before the first call. What is written is durable on
    return. Raises DestinationError.
    """

    def __init__(self, settings: AwsSettings, url: str) -> None:
        self.url = url.rstrip("/")
        self._settings = settings
        self._store: ObjectStore | None = None
        self._synced: frozenset[Path] = frozenset()

    def __reduce__(self) -> tuple[object, ...]:
        return Folder, (self._settings, self.url)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, in the place of one of that name."""
        with told(self.url):
            obstore.put(self._opened(), name, content)
        self.sync(name)

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a file, unless there is one of that name that has other content; whether it is there now."""
        with told(self.url):
            try:
                obstore.put(self._opened(), name, content, mode="create")
            except AlreadyExistsError:
                return bytes(obstore.get(self._opened(), name).bytes()) == content
        self.sync(name)
        return True

    def put_file(self, name: str, file: IO[bytes]) -> None:
        """Upload what an open file has from where it stands, in the place of one of that name."""
        with told(self.url):
            obstore.put(self._opened(), name, file)
        self.sync(name)

    def get(self, name: str) -> bytes:
        """What a file holds."""
        with told(self.url):
            return bytes(obstore.get(self._opened(), name).bytes())

    def open(self, name: str) -> BinaryIO:
        """A file, to be read and sought in."""
        with told(self.url):
            got = obstore.get(self._opened(), name)
            if got.meta["size"] <= _READ_WHOLE_BYTES:
                return io.BytesIO(bytes(got.bytes()))
            return python_file(obstore.open_reader(self._opened(), name))

    def names(self, folder: str = "") -> Iterator[str]:
        """The names of all files in a folder, and those within it, with their folders."""
        with told(self.url):
            for listed in obstore.list(self._opened(), folder or None):
                for file in listed:
                    yield str(file["path"])

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that aren't there are no error."""
        with told(self.url):
            for name in names:
                self._removed(name)

    def _removed(self, name: str) -> None:
        """Remove a file; the store's own way to do so isn't repeated when the connection breaks."""
        for tries in range(_REMOVALS, -1, -1):
            try:
                obstore.delete(self._opened(), name)
                break
            except FileNotFoundError as error:
                if is_missing_bucket(str(error)):
                    raise
                break
            except GenericError as error:
                if not tries or not is_passing(error):
                    raise

    def clear(self, folder: str) -> None:
        """Remove all files of a folder, and on this machine the folder itself."""
        self.remove([*self.names(folder)])
        if isinstance(self._opened(), LocalStore):
            shutil.rmtree(local_path(self.url) / folder, ignore_errors=True)

    def address(self, name: str) -> str:
        """Where a file is: a path of this machine, or the address in the store."""
        return str(local_path(self.url) / name) if urlsplit(self.url).scheme == "file" else f"{self.url}/{name}"

    def within(self, folder: str) -> Folder:
        """A folder in it."""
        return Folder(self._settings, f"{self.url}/{folder}") if folder else self

    def _opened(self) -> ObjectStore:
        if self._store is None:
            self._store = _store(self._settings, self.url)
        return self._store

    def sync(self, name: str) -> None:
        """On this machine: have the disk take in a file and its name; object stores do so by themselves."""
        if isinstance(self._opened(), LocalStore):
            root = local_path(self.url)
            path = root / name
            folders = path.parents[: len(path.parts) - len(root.parts)]
            new = [folder for folder in folders[1:] if folder not in self._synced]
            for each in (path, path.parent, *new):
                handle = os.open(each, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            if path.parent not in self._synced:
                self._synced = self._synced | {*folders}


class _Seekable(Protocol):
    """What a store, or a file system of Arrow's, opens."""

    def read(self, size: int, /) -> Any: ...
    def seek(self, offset: int, whence: int, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...


class _Readable(io.RawIOBase):
    """A file of a store, as Python's files are, whose errors are ours."""

    def __init__(self, file: _Seekable) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with told():
            read = bytes(self._file.read(len(buffer)))
        buffer[: len(read)] = read
        return len(read)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with told():
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def python_file(file: _Seekable) -> BinaryIO:
    """What a store, or a file system of Arrow's, opens as one of Python's files; it raises DestinationError."""
    return cast("BinaryIO", io.BufferedReader(_Readable(file)))


def local_path(url: str) -> Path:
    """The folder of this machine at a `file:` address."""
    return Path(unquote(urlsplit(url).path))


def _store(settings: AwsSettings, url: str) -> ObjectStore:
    """The store at an address; a folder of this machine is made."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(local_path(url), mkdir=True)
    if parts.scheme == "memory":
        return _MEMORIES.setdefault(url, MemoryStore())
    retry: Any = {"max_retries": _ATTEMPTS, "retry_timeout": timedelta(seconds=_ATTEMPTS_S)}
    options: dict[str, Any] = dict(settings.storage_options) if isinstance(settings, StoreSettings) else {}
    if parts.scheme not in {"s3", "s3a"}:
        return from_url(url, config=cast("Any", options), retry_config=retry)
    session = boto3.Session(region_name=settings.region)
    places = {"region": session.region_name, "endpoint": settings.endpoint}
    options |= {name: place for name, place in places.items() if place}
    if provider := _provider(settings, session):
        options["credential_provider"] = provider
    else:
        options |= settings.credentials()
    client: Any = {"allow_http": bool(settings.endpoint and settings.endpoint.startswith("http:"))}
    return S3Store(
        parts.netloc, prefix=unquote(parts.path).strip("/"), client_options=client, retry_config=retry, **options
    )


def _role_keys(settings: StoreSettings) -> S3Credential:
    """Keys of the role as the store takes them, which asks again before they end."""
    given = settings.role_keys()
    return {
        "access_key_id": given["AccessKeyId"],
        "secret_access_key": given["SecretAccessKey"],
        "token": given["SessionToken"],
        "expires_at": given["Expiration"].astimezone(UTC),
    }


def _provider(settings: AwsSettings, session: boto3.Session) -> Any:
    """What gives keys anew when they end; None where the settings have keys."""
    if isinstance(settings, StoreSettings) and settings.role_arn:
        return partial(_role_keys, settings)
    if settings.access_key_id:
        return None
    settings.credentials()  # where there are none AWS's own error says what to do
    return Boto3CredentialProvider(session)


def is_passing(error: BaseException) -> bool:
    """Whether an object store failed in a way that may pass: it, or the way to it, was to blame."""
    if isinstance(error, GenericError):
        return not is_lasting(str(error))
    if isinstance(error, ClientError):
        return is_aws_busy(error.response)
    return isinstance(error, HTTPClientError | AwsConnectionError)


@contextmanager
def told(place: str = "") -> Iterator[None]:
    """Raise AWS's and the object store's errors as ours, which name the place."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise DestinationError(f"{place or 'the object store'}: {said(error)}") from error
    except (BotoCoreError, ClientError) as error:
        raise DestinationError(f"{place or 'AWS'}: {said(error)}") from error
