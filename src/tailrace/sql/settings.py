"""The settings that SQL destinations have in common, each with the names that other targets give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Struct, field
from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from tailrace.sql.design import Design
from tailrace.tunnels import ABOUT_SSH, SshSettings

USER = AliasChoices("user", "username")
DATABASE = AliasChoices("database", "dbname")
TLS = AliasChoices("tls", "sslmode", "ssl_mode")
TLS_CA = AliasChoices("tls_ca", "sslrootcert", "ssl_ca", "ssl_certificate_authority")

SchemaName = Annotated[
    str,
    Field(
        validation_alias=AliasChoices("schema", "schema_name", "default_target_schema"),
        serialization_alias="schema",
        description="The schema that tables and checkpoints stand in by default, made when it isn't there.",
    ),
]
StagingSchema = Annotated[
    str | None,
    Field(description="The schema in which rows wait for their commit, made when it isn't there. Default: `schema`."),
]
CheckpointSchema = Annotated[
    str | None,
    Field(description="The schema of the table of checkpoints, made when it isn't there. Default: `schema`."),
]
Sql = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
BeforeSql = Annotated[
    Sql, Field(description="Statements that run in the transaction of each checkpoint, before its rows are merged.")
]
AfterSql = Annotated[
    Sql, Field(description="Statements that run in the transaction of each checkpoint, after its rows are merged.")
]

WithLoads = Annotated[
    bool,
    Field(
        description="Whether each checkpoint, in its own transaction, writes into the table _tailrace_loads what it "
        "did to each stream's table."
    ),
]


class PassedOn(AfterValidator):
    """Options that go to the driver as they are, each of which must be one of these, written one after the other."""

    def __init__(self, names: str) -> None:
        allowed = names.split()

        def known(options: dict[str, Any]) -> dict[str, Any]:
            if others := sorted(options.keys() - {*allowed}):
                raise ValueError(f"{others[0]!r} isn't passed on; these are: {', '.join(allowed)}")
            return options

        super().__init__(known)


class Options(Struct, frozen=True):
    """What a destination's settings say of where its tables stand, how they are laid out, and what runs beside them."""

    schema: str | None = None
    staging_schema: str | None = None
    checkpoint_schema: str | None = None
    before_sql: tuple[str, ...] = ()
    after_sql: tuple[str, ...] = ()
    loads: bool = False
    design: Mapping[str, Design] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: BaseModel, schema: str | None = None) -> Options:
        """Those of a model that may have some of them; `schema` is where tables stand by default."""
        names = ("staging_schema", "checkpoint_schema", "before_sql", "after_sql", "loads", "design")
        return cls(schema, **{name: getattr(settings, name) for name in names if hasattr(settings, name)})


DEFAULT = Options()
"""Nothing is said."""


class TlsSettings(BaseModel):
    """Settings of a server to which connections are encrypted by files of certificates."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)

    tls_ca: str | None = Field(None, validation_alias=TLS_CA, description="File of the certificates that are trusted.")
    tls_cert: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_cert", "sslcert", "ssl_cert", "ssl_client_certificate"),
        description="File of the certificate that we show.",
    )
    tls_key: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_key", "sslkey", "ssl_key", "ssl_client_private_key"),
        description="File of its private key.",
    )


class ServerSettings(TlsSettings):
    """Settings of a server that is reached by its name and port."""

    host: str = Field("localhost", description="The server's name or address.")
    connect_timeout_s: int = Field(30, gt=0, description="Seconds to wait for a connection.")
    ssh: SshSettings | None = Field(None, description=ABOUT_SSH)
    staging_schema: StagingSchema = None
    checkpoint_schema: CheckpointSchema = None
    before_sql: BeforeSql = ()
    after_sql: AfterSql = ()
    loads: WithLoads = False
