"""The settings of MySQL and MariaDB."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_MODES = {
    "disabled": "disable",
    "preferred": "prefer",
    "required": "require",
    "verify_ca": "verify-ca",
    "verify_identity": "verify-full",
}
"""MySQL's own words for how connections are encrypted."""


def _mode(value: object) -> object:
    """The mode in our words, where it is in MySQL's."""
    return _MODES.get(value.lower(), value.lower()) if isinstance(value, str) else value


Tls = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class Settings(BaseModel):
    """The settings of MySQL and MariaDB."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    host: str = Field("localhost", description="The server's name or address.")
    port: int = Field(3306, gt=0, description="The server's port.")
    user: str = Field(validation_alias=AliasChoices("user", "username"), description="The user to log in as.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    database: str = Field(
        validation_alias=AliasChoices("database", "dbname", "schema", "schema_name", "default_target_schema"),
        description="The database that tables and checkpoints stand in by default, made when it isn't there.",
    )
    tls: Annotated[Tls, BeforeValidator(_mode)] = Field(
        "prefer",
        validation_alias=AliasChoices("tls", "ssl_mode", "sslmode"),
        description="Whether it is encrypted, and the server's certificate and name are checked. MySQL's own words "
        "(`REQUIRED`, `VERIFY_IDENTITY`) mean the same.",
    )
    tls_ca: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_ca", "ssl_ca", "ssl_certificate_authority"),
        description="File of the certificates that are trusted; with it `require` checks the server's too.",
    )
    tls_cert: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_cert", "ssl_cert", "ssl_client_certificate"),
        description="File of the certificate that we show.",
    )
    tls_key: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_key", "ssl_key", "ssl_client_private_key"),
        description="File of its private key.",
    )
    connect_timeout_s: int = Field(30, gt=0, description="Seconds to wait for a connection.")
    lock_timeout_s: int = Field(
        60, gt=0, description="Seconds to wait for another session's lock before it is tried again."
    )

    @property
    def verifies(self) -> bool:
        """Whether the server has to show a certificate that is trusted."""
        return self.tls.startswith("verify") or (self.tls == "require" and self.tls_ca is not None)
