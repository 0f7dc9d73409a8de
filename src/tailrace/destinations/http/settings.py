"""The settings of REST endpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, SecretStr, model_validator

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAMES = frozenset({"stream", "table", "key"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "content-type"})


def _template(url: str) -> str:
    """The URL, once its scheme and host are plain and its placeholders are known."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "{" in parts.netloc:
        raise ValueError("it must begin as in https://host/, and its host has no placeholders")
    if parts.username is not None or parts.password is not None:
        raise ValueError("what logs in stands in settings of its own, not in a URL")
    if _CONTROL.search(url) or " " in url or parts.fragment:
        raise ValueError("it has a blank, a control character or a fragment in it")
    _ = parts.port  # ValueError where it is no number
    unknown = {*PLACEHOLDER.findall(url)} - _NAMES
    if unknown or re.search(r"[{}]", PLACEHOLDER.sub("", url)):
        raise ValueError("its placeholders can be {stream}, {table} and {key}")
    return url


def _pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("it isn't a JSON pointer, as in `/results`; the whole document is an empty text")
    return text


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            raise ValueError("a header's name isn't one, or is set by tailrace itself")
        if not _VALUE.fullmatch(value.get_secret_value()):
            raise ValueError("a header's value has a control character in it, or isn't in ASCII")
    return headers


Url = Annotated[str, AfterValidator(_template)]
Pointer = Annotated[str, AfterValidator(_pointer)]
Verb = Annotated[str, Field(pattern=r"^[A-Z]{3,16}$")]


class Results(BaseModel):
    """How an answer says what became of each row; all are JSON pointers (RFC 6901)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    list: Pointer = Field(description="The list of results in the answer; an empty text is the answer itself.")
    index: Pointer | None = Field(
        None, description="A result's row, counted from 0 within the request; by default results are in rows' order."
    )
    ok: Pointer | None = Field(None, description="A result's flag, which is true for a row that was taken.")
    status: Pointer | None = Field(
        None, description="A result's status: below 400 the row was taken, 429 and from 500 on it is sent again."
    )
    message: Pointer = Field("", description="Why a row was refused; an empty text is the whole result.")


class Settings(BaseModel):
    """The settings of a REST endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Url = Field(repr=False, description="Where requests go; knows `{stream}`, `{table}` and, per record, `{key}`.")
    http_method: Verb = Field(
        "POST", validation_alias=AliasChoices("http_method", "verb"), description="The method by which rows are sent."
    )
    format: Literal["json", "jsonl", "form"] = Field(
        "json", description="What a request's body is: JSON, JSON Lines, or a form, which is of one record."
    )
    per_record: bool = Field(default=False, description="Whether each record is a request of its own.")
    content_type: str | None = Field(
        None, pattern=_VALUE.pattern + "$", description="What the body is called, if not what `format` says."
    )
    records_at: Pointer = Field(
        "", description="JSON pointer to where the records stand in the body, as `/records`; else they are the body."
    )
    body_fields: dict[str, object] = Field({}, description="More members of the body's object, where it is one.")
    decimals: Literal["number", "string"] = Field("number", description="How decimals are written, in all digits.")
    max_rows: int = Field(500, gt=0, description="The most rows of a request.")
    max_bytes: int = Field(2**20, gt=0, description="The most bytes of the records of a request of several.")
    delete_url: Url | None = Field(
        None, repr=False, description="Where rows are deleted under `hard_delete`; knows `{key}` too."
    )
    delete_method: Verb = Field("DELETE", description="How rows are deleted.")
    headers: Annotated[dict[str, SecretStr], AfterValidator(_headers)] = Field({}, description="Headers of requests.")
    auth: Literal["none", "basic", "bearer", "api_key", "oauth2"] = Field(
        "none", description="How it logs in; oauth2 is the grant of client credentials."
    )
    username: str = Field("", description="The user of `basic`.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    token: SecretStr = Field(SecretStr(""), description="The token of `bearer`.")
    api_key: SecretStr = Field(SecretStr(""), description="The key of `api_key`.")
    api_key_header: str = Field("X-API-Key", description="The header that it goes into.")
    token_url: Url | None = Field(None, repr=False, description="Where `oauth2` gets its tokens.")
    client_id: str = Field("", description="The client of `oauth2`.")
    client_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    scope: str = Field("", description="The scopes that it asks for.")
    audience: str = Field("", description="The audience that it asks for, where the server wants one.")
    credentials_in: Literal["header", "body"] = Field("header", description="Where client and secret are sent.")
    idempotency_header: str = Field("Idempotency-Key", description="The header of a request's key; empty for none.")
    concurrency: int = Field(4, gt=0, le=64, description="The most requests at once; 1 keeps the order of rows.")
    requests_per_s: float | None = Field(None, gt=0, description="The most requests a second.")
    timeout_s: float = Field(60, gt=0, description="The time of a request, up to the last byte of its answer.")
    attempts: int = Field(3, gt=0, description="How often a request is made before `retry_s` counts.")
    max_wait_s: float = Field(120, gt=0, description="The longest wait for another attempt, whatever Retry-After says.")
    retry_statuses: tuple[int, ...] = Field((408, 409, 425, 429), description="What is tried again, beside 500 and up.")
    success_statuses: tuple[int, ...] = Field((), description="What a request was taken by; by default 200 to 299.")
    refused_statuses: tuple[int, ...] = Field(
        (400, 413, 422), description="What is the rows' fault: the row of a request of one row is refused."
    )
    is_atomic: bool = Field(
        default=False, description="Whether the endpoint takes all of a refused request or nothing; it is then halved."
    )
    created_status: int | None = Field(
        None, description="The status of a row that is new; other rows of a stream with a key then count as updated."
    )
    results: Results | None = Field(None, description="How an answer says what became of each row.")
    max_answer_bytes: int = Field(2**24, gt=0, description="The most bytes of an answer, unpacked.")
    verify_certs: bool = Field(default=True, description="Whether the server's certificate is checked.")
    ca_file: Path | None = Field(None, description="File of the authorities that are trusted; else the system's.")
    client_cert: Path | None = Field(None, description="File of the client's certificate.")
    client_key: Path | None = Field(None, description="File of its key, where it isn't in the same.")
    proxy: SecretStr | None = Field(None, description="A proxy's address; the environment's isn't used.")
    checkpoints: SecretStr | None = Field(
        None,
        description="A folder for checkpoints, or the address of another destination; a named pipeline needs it.",
    )
    outbox: Path | None = Field(
        None, description="A folder for requests under way; by default in `checkpoints`, where that is a folder."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Settings:
        needed = {
            "basic": ("username",),
            "bearer": ("token",),
            "api_key": ("api_key",),
            "oauth2": ("token_url", "client_id", "client_secret"),
        }
        missing = [name for name in needed.get(self.auth, ()) if not _text(getattr(self, name))]
        if missing:
            raise ValueError(f"`auth: {self.auth}` needs {', '.join(missing)}")
        if not all(_VALUE.fullmatch(_text(value)) for value in (self.token, self.api_key)):
            raise ValueError("`token` or `api_key` has a control character in it, or isn't in ASCII")
        for name in (self.api_key_header, self.idempotency_header or "x"):
            if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
                raise ValueError("`api_key_header` and `idempotency_header` are names of headers")
        if "{key}" in self.url and not self.per_record:
            raise ValueError("`{key}` in `url` needs `per_record: true`")
        if "{" in (self.token_url or ""):
            raise ValueError("`token_url` has no placeholders")
        if self.format == "form" and not self.per_record:
            raise ValueError("`format: form` needs `per_record: true`")
        if self.format != "json" and (self.records_at or self.body_fields):
            raise ValueError("`records_at` and `body_fields` are for `format: json`")
        if self.body_fields and not (self.records_at or self.per_record):
            raise ValueError("`body_fields` needs `records_at`, since a list has no fields")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that no log and no error may have."""
        values = (self.password, self.token, self.api_key, self.client_secret, *self.headers.values())
        return tuple(text for value in values if (text := value.get_secret_value()))


SETTINGS = Settings


def from_url(url: str) -> dict[str, object]:
    """The address itself, which is where requests go; a user and password in it are those of `auth: basic`."""
    parts = urlsplit(url)
    settings: dict[str, object] = {"url": url}
    if parts.username is not None or parts.password is not None:
        host = parts.netloc.rpartition("@")[2]
        login = {"username": unquote(parts.username or ""), "password": unquote(parts.password or "")}
        settings = {"url": parts._replace(netloc=host).geturl(), "auth": "basic", **login}
    return settings


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
