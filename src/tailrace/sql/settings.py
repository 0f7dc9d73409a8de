"""The settings that destinations on database servers have in common, each with the names that other targets give it."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

USER = AliasChoices("user", "username")
DATABASE = AliasChoices("database", "dbname")
SCHEMA = AliasChoices("schema", "schema_name", "default_target_schema")
TLS_CA = AliasChoices("tls_ca", "sslrootcert", "ssl_ca", "ssl_certificate_authority")
TLS = AliasChoices("tls", "sslmode", "ssl_mode")


def schema_field(default: str) -> Any:
    """The setting of the schema that tables stand in by default."""
    return Field(
        default,
        validation_alias=SCHEMA,
        serialization_alias="schema",
        description="The schema that tables and checkpoints stand in by default, made when it isn't there.",
    )


class TlsSettings(BaseModel):
    """Settings of a server to which connections are encrypted by files of certificates."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    tls_ca: str | None = Field(
        None,
        validation_alias=TLS_CA,
        description="File of the certificates that are trusted.",
    )
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
