"""The settings of Iceberg, and the addresses of catalogs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import Field, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tailrace.config.checking import names_of
from tailrace.config.settings import Names
from tailrace.destinations.iceberg.catalog import OpenCatalog
from tailrace.errors import ConfigError
from tailrace.objects import AwsSettings

_REST = frozenset({"http", "https"})
_BUSY_S = "60"


class Settings(AwsSettings):
    """The settings of Iceberg."""

    uri: SecretStr | None = Field(
        None,
        description="The catalog: SQLAlchemy's address of a database, or that of a REST catalog; otherwise where "
        "pyiceberg's own configuration says.",
    )
    catalog: str | None = Field(
        None, description="The catalog's type as pyiceberg calls it: `sql`, `rest`, `glue`...; otherwise by `uri`."
    )
    catalog_name: str = Field(
        "default",
        description="The catalog's name: a SQL catalog keeps its tables under it, and pyiceberg's own configuration "
        "has settings for it.",
    )
    warehouse: str | None = Field(
        None,
        description="Where new tables are: `s3://bucket/path`, `gs:`, `abfs:`, `file:`, a path of this machine, or "
        "what a REST catalog calls it.",
    )
    namespace: str = Field(
        "default", description="The namespace of tables that have no schema, and of journals; dots go a level down."
    )
    properties: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Further properties of the catalog and its files by pyiceberg's names, as in `token`, `credential` "
        "and `adls.account-key`.",
    )
    role_arn: str | None = Field(None, description="A role of AWS to take on.")
    role_session_name: str = Field("tailrace", description="The name of the role's session, as AWS logs it.")
    file_bytes: int = Field(128 * 2**20, gt=0, description="The size at which a file is full.")
    partition_keys: Names | dict[str, Names] = Field(
        (),
        description="Columns that new tables are partitioned by, for all streams that have them, or by stream name or "
        "glob.",
    )

    @property
    def folder(self) -> str | None:
        """The address of the warehouse, None where it isn't one: then the catalog knows."""
        if not self.warehouse or self.kind == "rest":
            return None
        is_address = bool(urlsplit(self.warehouse).scheme)
        return self.warehouse.rstrip("/") if is_address else f"file://{quote(str(Path(self.warehouse).absolute()))}"

    @property
    def kind(self) -> str | None:
        """The catalog's type."""
        if self.catalog or not self.uri:
            return self.catalog
        return "rest" if urlsplit(self.uri.get_secret_value()).scheme in _REST else "sql"

    def opened(self) -> OpenCatalog:
        """The catalog, not connected yet; raises ConfigError for an address that can't be read."""
        uri = self.uri.get_secret_value() if self.uri else None
        given = {
            "type": self.kind,
            "uri": _patient(uri) if uri and self.kind == "sql" else uri,
            "warehouse": self.folder or self.warehouse,
            "pool_pre_ping": "true" if self.kind == "sql" else None,
            "s3.endpoint": self.endpoint,
            "client.region": self.region or (self.session().region_name if self.endpoint else None),
            "client.access-key-id": self.access_key_id,
            "client.secret-access-key": self.secret_access_key and self.secret_access_key.get_secret_value(),
            "client.session-token": self.session_token and self.session_token.get_secret_value(),
            "client.role-arn": self.role_arn,
            "client.role-session-name": self.role_session_name if self.role_arn else None,
        }
        own = {name: value.get_secret_value() for name, value in self.properties.items()}
        return OpenCatalog(self.catalog_name, {name: value for name, value in given.items() if value} | own)


def catalog_settings(url: str) -> dict[str, object]:
    """The settings in an address's query, and the catalog's own address in `uri`, with what else is in the query."""
    parts = urlsplit(url, allow_fragments=False)
    _, _, scheme = parts.scheme.partition("+")
    query = parse_qsl(parts.query, keep_blank_values=True)
    settings: dict[str, object] = dict(query)
    if not scheme:
        if parts.netloc or parts.path:
            raise ConfigError("the address doesn't say what the catalog is", key="to", hint="as in iceberg+sqlite:///")
        return settings
    drivers = [] if scheme in _REST else [each for each in query if each[0] not in names_of(Settings)]
    uri = f"{scheme}://{parts.netloc}{parts.path}{'?' if drivers else ''}{urlencode(drivers, quote_via=quote)}"
    return {name: value for name, value in settings.items() if name not in dict(drivers)} | {"uri": uri}


def _patient(uri: str) -> str:
    """The address of a catalog, with time to wait where it is a file that others may write to."""
    try:
        url = make_url(uri)
    except ArgumentError as error:
        raise ConfigError(str(error), key="uri", hint="as in sqlite:////path/catalog.db") from None
    if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        url = url.update_query_dict({"timeout": _BUSY_S})
    return url.render_as_string(hide_password=False)
