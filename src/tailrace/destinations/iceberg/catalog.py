"""A catalog of Iceberg tables: connected when it is first asked, tables looked at, made and dropped, errors told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import pyarrow as pa
import pyarrow.fs
from pyiceberg import exceptions
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.io import S3_RETRY_STRATEGY_IMPL, OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableUpdate, update_table_metadata
from requests import RequestException
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from tailrace.errors import DestinationError
from tailrace.lake.filesystem import LocalDisk, Location
from tailrace.lake.tables import ConflictError
from tailrace.objects.answers import explained
from tailrace.objects.errors import is_passing

Identifier = tuple[str, ...]
"""The namespace's parts, and the table's name."""

_TRIES = 5
_STATES = (CommitFailedException, NoSuchTableError, NoSuchNamespaceError, TableAlreadyExistsError)
_ERRORS: tuple[type[Exception], ...] = (
    *(found for found in vars(exceptions).values() if isinstance(found, type) and issubclass(found, Exception)),
    SQLAlchemyError,
    RequestException,
    pa.ArrowException,
    OSError,
    ValueError,
    NotImplementedError,
)
"""What the catalog and its files fail with."""

_PASSING_ERRORS = (
    exceptions.CommitFailedException,
    exceptions.CommitStateUnknownException,
    exceptions.ServerError,
    exceptions.ServiceUnavailableError,
    exceptions.TooManyRequestsError,
    exceptions.AuthorizationExpiredError,
    exceptions.WaitingForLockException,
)
_PASSING_TEXTS = (
    "NETWORK_CONNECTION",
    "SLOW_DOWN",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_FAILURE",
    "REQUEST_TIMEOUT",
    "THROTTLING",
    "HTTP status 5",
    "curlCode",
    "timed out",
    "UNAVAILABLE",
    "Connection re",
)
"""What the messages of Arrow's file systems have when a store, or the way to it, was to blame."""

_LASTING = re.compile(
    r"authentication|does not exist|access denied|resolve host|translate host|name or service not known"
)
"""What a catalog's database says that it will say again."""

_BUSY = ("database is locked", "timeout", "timed out", "connect", "server closed", "deadlock")


class NewFile(PyArrowFile):
    """A file that is written without a look whether it is there: its name is that of no other."""

    def create(self, overwrite: bool = True) -> OutputStream:  # noqa: FBT001, FBT002, ARG002 as pyiceberg's
        """A file that is written anew."""
        return super().create(overwrite=True)


class FileIO(PyArrowFileIO):
    """Files by Arrow's file systems; those of this machine are on the disk once they are closed."""

    def new_output(self, location: str) -> NewFile:
        """A file that is to be written."""
        found = super().new_output(location)
        return NewFile(location, found._path, found._filesystem, found._buffer_size)  # noqa: SLF001 it is one of pyiceberg's

    def _initialize_s3_fs(self, netloc: str | None) -> pyarrow.fs.FileSystem:
        """S3 to which a small file is put by one request instead of three."""
        made = super()._initialize_s3_fs(netloc)
        if S3_RETRY_STRATEGY_IMPL in self.properties:  # which a file system made anew would lack
            return made
        _, (options,) = made.__reduce__()
        return pyarrow.fs.S3FileSystem(**options | {"allow_delayed_open": True})

    def _initialize_local_fs(self) -> pyarrow.fs.FileSystem:
        return LocalDisk()


class TableChange(Transaction):
    """A transaction that describes the table anew when that changes, and not each time that it is asked.

    A description has all snapshots in it, and pyiceberg asks for it some twenty times in each commit.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._described: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table as the changes so far make it."""
        known, base, updates = self._described, self._table.metadata, self._updates
        if known is None or known[0] is not base or known[1] is not updates:
            known = self._described = (base, updates, update_table_metadata(base, updates))
        return known[2]


class OpenCatalog:
    """A catalog by pyiceberg's properties. Thread-safe; raises DestinationError."""

    def __init__(self, name: str, properties: Mapping[str, str]) -> None:
        self._name = name
        self._properties = {**properties, "py-io-impl": f"{FileIO.__module__}.{FileIO.__qualname__}"}
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None

    def connected(self) -> Catalog:
        """The catalog itself."""
        with self._lock:
            if self._catalog is None:
                self._catalog = self._opened()
            return self._catalog

    def look(self, identifier: Identifier) -> Table | None:
        """The table as it is now, None where there is none. What commits to it is tried once."""
        catalog = self.connected()
        with translated_errors(), suppress(NoSuchTableError, NoSuchNamespaceError):
            for _ in range(_TRIES - 1):
                with suppress(FileNotFoundError):  # its description was removed, since there are newer ones
                    return tried_once(catalog.load_table(identifier))
            return tried_once(catalog.load_table(identifier))
        return None

    def has_view(self, identifier: Identifier) -> bool:
        """Whether there is a view of that name; False where the catalog knows no views, or doesn't say."""
        catalog = self.connected()
        with suppress(*_ERRORS):
            return catalog.view_exists(identifier)
        return False

    def create(
        self,
        identifier: Identifier,
        schema: Schema,
        spec: PartitionSpec,
        properties: Mapping[str, str],
        location: str | None,
    ) -> Table | None:
        """Make a table, and its namespace, unless they are there; the table as it is then."""
        catalog, namespace = self.connected(), identifier[:-1]
        with translated_errors():
            if not catalog.namespace_exists(namespace):
                for depth in range(1, len(namespace) + 1):
                    with suppress(NamespaceAlreadyExistsError, IntegrityError):
                        catalog.create_namespace(namespace[:depth])
            with suppress(TableAlreadyExistsError):
                return tried_once(catalog.create_table(identifier, schema, location, spec, properties=dict(properties)))
        return self.look(identifier)

    def names(self, namespace: Identifier, start: str) -> Sequence[Identifier]:
        """The tables of a namespace whose names begin so."""
        catalog = self.connected()
        with translated_errors(), suppress(NoSuchNamespaceError):
            return [found for found in catalog.list_tables(namespace) if found[-1].startswith(start)]
        return []

    def drop(self, identifier: Identifier) -> None:
        """Let go of a table, whose files stay; it may be gone already."""
        catalog = self.connected()
        with translated_errors(), suppress(NoSuchTableError):
            catalog.drop_table(identifier)

    def close(self) -> None:
        """Let go of connections; repeatable, and asked again it connects anew."""
        with self._lock:
            catalog, self._catalog = self._catalog, None
        if catalog:
            catalog.close()

    def _opened(self) -> Catalog:
        """A connection. SQL catalogs make their tables then, and others may be doing so."""
        with translated_errors():
            for _ in range(_TRIES - 1):
                try:
                    return load_catalog(self._name, **self._properties)
                except DBAPIError as error:
                    if "exist" not in str(error.orig):
                        raise
            return load_catalog(self._name, **self._properties)


def tried_once(table: Table) -> Table:
    """The table, whose next commit isn't repeated on a newer state by pyiceberg: what it does hangs on this one."""
    properties = {**table.metadata.properties, TableProperties.COMMIT_NUM_RETRIES: "0"}
    table.metadata = table.metadata.model_copy(update={"properties": properties})
    return table


def location_of(table: Table, location: str) -> Location:
    """A folder as the table's own files are reached."""
    files = table.io if isinstance(table.io, PyArrowFileIO) else FileIO(table.io.properties)
    with translated_errors():
        scheme, host, path = files.parse_location(location, files.properties)
        return files.fs_by_scheme(scheme, host), path


@contextmanager
def refused() -> Iterator[None]:
    """Raise a commit that came too late as ConflictError."""
    try:
        yield
    except (CommitFailedException, ValidationException) as error:
        raise ConflictError(f"Iceberg: {_first_line(error)}") from error


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise the catalog's and the files' errors as ours, but those that say how it stands."""
    try:
        yield
    except _STATES:
        raise
    except (exceptions.UnauthorizedError, exceptions.OAuthError) as error:
        how = "set `token` or `credential` in `properties`"
        raise DestinationError(f"Iceberg: the catalog doesn't know who asks: {how} ({_first_line(error)})") from error
    except exceptions.ForbiddenError as error:
        how = "give who asks the rights to its namespaces and tables"
        raise DestinationError(f"Iceberg: the catalog doesn't allow it: {how} ({_first_line(error)})") from error
    except _ERRORS as error:
        is_elsewhere = str(error).startswith("RESTError 404")
        what = "no catalog is at the address: mend `uri`" if is_elsewhere else explained(error)
        raise DestinationError(f"Iceberg: {what}") from error


def may_pass(error: BaseException) -> bool:
    """Whether the catalog or the store, or the way to it, was to blame."""
    if isinstance(error, DBAPIError):
        text = str(error.orig).lower()
        return error.connection_invalidated or (not _LASTING.search(text) and any(busy in text for busy in _BUSY))
    if isinstance(error, _PASSING_ERRORS):
        return True
    if isinstance(error, RequestException):
        return error.response is None
    return (isinstance(error, OSError) and any(text in str(error) for text in _PASSING_TEXTS)) or is_passing(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].partition("<?xml")[0].strip()
