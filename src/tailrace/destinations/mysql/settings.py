"""The settings of MySQL and MariaDB."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr

from tailrace.sql.design import Designs
from tailrace.sql.settings import TLS, TLS_CA, USER, PassedOn, ServerSettings

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


_PASSED_ON = (
    "compress force_ipv6 kerberos_auth_mode krb_service_principal read_timeout ssl_cipher tls_ciphersuites "
    "tls_versions unix_socket write_timeout"
)

Tls = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class Settings(ServerSettings):
    """The settings of MySQL and MariaDB."""

    port: int = Field(3306, gt=0, description="The server's port.")
    user: str = Field(validation_alias=USER, description="The user to log in as.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    database: str = Field(
        validation_alias=AliasChoices("database", "dbname", "schema", "schema_name", "default_target_schema"),
        description="The database that tables and checkpoints stand in by default, made when it isn't there.",
    )
    tls: Annotated[Tls, BeforeValidator(_mode)] = Field(
        "prefer",
        validation_alias=TLS,
        description="Whether it is encrypted, and the server's certificate and name are checked. MySQL's own words "
        "(`REQUIRED`, `VERIFY_IDENTITY`) mean the same.",
    )
    tls_ca: str | None = Field(
        None,
        validation_alias=TLS_CA,
        description="File of the certificates that are trusted; with it `require` checks the server's too.",
    )
    lock_timeout_s: int = Field(
        60, gt=0, description="Seconds to wait for another session's lock before it is tried again."
    )
    append_through: Literal["transaction", "staging"] = Field(
        "transaction",
        description="transaction: append-only rows go straight into their table, invisible until the commit; whoever "
        "alters that table meanwhile waits for it. staging: they wait in a staging table, which takes longer.",
    )
    driver_options: Annotated[dict[str, Any], PassedOn(_PASSED_ON)] = Field(
        default_factory=dict, description=f"Options of the driver's that are passed on to it: {_PASSED_ON}."
    )
    design: Designs

    @property
    def verifies(self) -> bool:
        """Whether the server has to show a certificate that is trusted."""
        return self.tls.startswith("verify") or (self.tls == "require" and self.tls_ca is not None)
