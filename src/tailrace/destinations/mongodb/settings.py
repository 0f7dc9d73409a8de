"""The settings of MongoDB."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, model_validator

from tailrace.errors import ConfigError
from tailrace.sql.settings import USER
from tailrace.sql.url import ESCAPING
from tailrace.tunnels import ABOUT_SSH, SshSettings

_OWN = ("database", "timestamps", "connections", "rows_at_once", "timeout_s", "write_concern")
"""The settings that an address may have beside what the driver reads."""


class Settings(BaseModel):
    """The settings of MongoDB."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    connection_string: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("connection_string", "mongo_uri", "mongodb_connection_string"),
        description="The address of the server, `mongodb://...` or `mongodb+srv://...`, with the driver's options.",
    )
    host: str = Field("localhost", description="The server's name, where there is no `connection_string`.")
    port: int = Field(27017, gt=0, description="Its port.")
    user: str | None = Field(None, validation_alias=USER, description="The user to log in as, if any.")
    password: SecretStr | None = Field(None, description="Its password.")
    auth_source: str = Field("admin", description="The database that the user is of.")
    replica_set: str | None = Field(None, description="The name of the replica set, if it is one.")
    tls: bool = Field(default=False, description="Whether to talk to the server by TLS.")
    tls_ca: Path | None = Field(None, description="File of the authorities to trust; the system's otherwise.")
    tls_certificate: Path | None = Field(
        None, description="File of the client's certificate with its private key, in PEM format."
    )
    ssh: SshSettings | None = Field(None, description=f"{ABOUT_SSH} A member of a replica set is then asked alone.")
    database: str = Field(
        validation_alias=AliasChoices("database", "db_name", "dbname", "db"),
        description="The database. Made when it isn't there.",
    )
    timestamps: Literal["date", "text"] = Field(
        "date",
        description="`date`: dates of BSON, which have milliseconds; what is beyond is cut off, which is said once for "
        "each field, and refused within a key. `text`: texts that keep microseconds.",
    )
    write_concern: str = Field(
        "majority", description="`w`, how many servers have to have a document: a number, `majority`, or a tag."
    )
    connections: int = Field(4, gt=0, description="How many bulk writes run at once.")
    rows_at_once: int = Field(1000, gt=0, description="How many documents one bulk write has.")
    timeout_s: float = Field(30, gt=0, description="Seconds to wait for a server, and for an answer.")

    @model_validator(mode="after")
    def _logs_in_once(self) -> Settings:
        if self.connection_string and (self.user or self.password):
            raise ValueError("write the user and the password into `connection_string`, or leave that out")
        if self.ssh and self.connection_string:
            raise ValueError("with `ssh` set `host` and `port`, and not an address with both or `connection_string`")
        if self.ssh and self.tls:
            raise ValueError(
                "through `ssh` the driver can't check the server's name: set no `tls`, the tunnel encrypts"
            )
        return self


def from_url(url: str) -> dict[str, object]:
    """The database in `mongodb://user:password@host:27017/database?...`, and the address as the driver takes it."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise ConfigError("the address can't be read", key="to", hint=ESCAPING) from None
    given: dict[str, object] = {name: value for name, value in query if name in _OWN}
    database = parts.path.removeprefix("/")
    if database:
        given["database"] = database
    if not parts.netloc:
        return given
    rest = "&".join(f"{name}={value}" for name, value in query if name not in _OWN)
    place = parts._replace(path=f"/{database}" if database and "@" in parts.netloc else "/", query=rest)
    return {"connection_string": place.geturl()} | given
