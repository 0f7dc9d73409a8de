"""Sends requests: logged in, paced, tried again while a failure may pass, and bounded in size and time."""

from __future__ import annotations

import email.utils
import random
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec

from tailrace.destinations.http.answers import Answer, PassingError, is_passing
from tailrace.destinations.http.parts import Request
from tailrace.destinations.http.settings import Settings
from tailrace.destinations.http.wire import Deadline, Transport
from tailrace.errors import ConfigError, DestinationError
from tailrace.log import get_logger, printable

_log = get_logger("http")
_SHOWN = 200
_LONG = 4
_UNAUTHORISED = 401
_EARLY_S = 30.0
_TOKEN_BYTES = 2**16
_PASSING = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError, httpcore.ProxyError)


class Pace:
    """Lets requests go at most so many a second, and none before a time that the server has asked for."""

    def __init__(self, requests_per_s: float | None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._between_s = 1 / requests_per_s if requests_per_s else 0.0
        self._sleep = sleep
        self._next_s = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now_s = time.monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._between_s
        if turn_s > now_s:
            self._sleep(turn_s - now_s)

    def hold(self, seconds: float) -> None:
        """Let no request go for that time."""
        with self._lock:
            self._next_s = max(self._next_s, time.monotonic() + seconds)


class Client:
    """Sends requests to one endpoint, from several threads."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._pace = Pace(settings.requests_per_s, sleep)
        self._deadline = Deadline()
        try:
            self._transport = Transport(settings, self._deadline)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"a certificate's file can't be used: {getattr(error, 'strerror', None) or 'it is no certificate'}",
                key="ca_file",
                hint="see `ca_file`, `client_cert`, `client_key` and `proxy`",
            ) from None
        self._login = Login(settings, self._once)

    def send(self, request: Request) -> Answer:
        """The answer to the request, which is made again while that may help.

        Raises PassingError where it still may, DestinationError where it won't.
        """
        for attempt in range(1, self._settings.attempts + 1):
            self._pace.wait()
            try:
                answer, wait_s = self._logged_in(request)
                if not is_passing(answer.status, self._settings):
                    return answer
                error = PassingError(f"{origin(request.url)}: the endpoint answered {answer.status}")
            except PassingError as passing:
                error, wait_s = passing, None
            if wait_s is not None:
                self._pace.hold(min(wait_s, self._settings.max_wait_s))
            if attempt < self._settings.attempts:
                _log.debug("a request is made again", attempt=attempt, error=str(error))
                self.back_off(attempt)
            last = error
        raise last

    def back_off(self, attempt: int) -> None:
        """Wait before the attempt that follows this one."""
        longest_s = min(0.25 * 2**attempt, self._settings.max_wait_s)
        self._sleep(random.uniform(longest_s / 2, longest_s))  # noqa: S311 it spreads requests

    def said(self, text: str) -> str:
        """A text of the server's for people: short, on one line, without secrets."""
        for secret in (*self._settings.secrets, *self._login.secrets):
            text = text.replace(secret, "***") if len(secret) >= _LONG else text  # shorter ones are words of others too
        text = printable(" ".join(text.split()))
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

    def log_in(self) -> None:
        """Get a token, where that is how it logs in."""
        self._login.headers()

    def close(self) -> None:
        """Close the connections; repeatable."""
        self._transport.close()

    def _logged_in(self, request: Request) -> tuple[Answer, float | None]:
        """The answer, and the wait that it asks for; a token that isn't taken is renewed once."""
        login = self._login.headers()
        answer, wait_s = self._once(request, login)
        if answer.status == _UNAUTHORISED and self._login.renew(login):
            answer, wait_s = self._once(request, self._login.headers())
        return answer, wait_s

    def _once(
        self, request: Request, login: Mapping[str, str], most_bytes: int | None = None
    ) -> tuple[Answer, float | None]:
        fields = httpx.Headers({"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tailrace"})
        fields.update({name: value.get_secret_value() for name, value in self._settings.headers.items()})
        fields.update(request.headers)
        fields.update(login)
        with translated(request.url), self._deadline.within(self._settings.timeout_s):
            url = wire_url(request.url)
            sent = httpx.Request(request.method, url, headers=fields, content=request.body)
            answer = self._transport.handle_request(sent)  # a client of httpx would log the URL, and keep cookies
            try:
                body, is_cut = _bounded(_plain_body(answer), most_bytes or self._settings.max_answer_bytes)
            finally:
                answer.close()
        location = origin(str(answer.headers.get("Location", "/")), request.url) if answer.is_redirect else ""
        return Answer(answer.status_code, body, is_cut, location), retry_after_s(answer.headers.get("Retry-After"))


class Login:
    """The headers that log in; a token is kept until it is about to expire."""

    def __init__(
        self,
        settings: Settings,
        once: Callable[[Request, Mapping[str, str], int | None], tuple[Answer, float | None]],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._once = once
        self._monotonic_s = monotonic_s
        self._token = ""
        self._expires_s = 0.0
        self._lock = threading.Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is made of the settings' secrets, and what was got for them."""
        given = self._settings
        basic = _basic(given.username, given.password.get_secret_value()) if given.auth == "basic" else ""
        return (self._token, basic.removeprefix("Basic "))

    def headers(self) -> Mapping[str, str]:
        """What logs a request in."""
        given = self._settings
        match given.auth:
            case "basic":
                return {"Authorization": _basic(given.username, given.password.get_secret_value())}
            case "bearer":
                return {"Authorization": f"Bearer {given.token.get_secret_value()}"}
            case "api_key":
                return {given.api_key_header: given.api_key.get_secret_value()}
            case "oauth2":
                with self._lock:
                    if self._monotonic_s() >= self._expires_s:
                        self._fetch()
                    return {"Authorization": f"Bearer {self._token}"}
        return {}

    def renew(self, used: Mapping[str, str]) -> bool:
        """Whether there may be another token than the one that was used, which the server doesn't take."""
        if self._settings.auth != "oauth2":
            return False
        with self._lock:
            if used.get("Authorization") == f"Bearer {self._token}":
                self._expires_s = 0.0
        return True

    def _fetch(self) -> None:
        given = self._settings
        fields = {"grant_type": "client_credentials", "scope": given.scope, "audience": given.audience}
        secret, headers = given.client_secret.get_secret_value(), {}
        if given.credentials_in == "header":
            headers["Authorization"] = _basic(_form(given.client_id), _form(secret))
        else:
            fields |= {"client_id": given.client_id, "client_secret": secret}
        body = "&".join(f"{name}={_form(value)}" for name, value in fields.items() if value)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer, _ = self._once(Request("POST", given.token_url or "", kind, body.encode()), headers, _TOKEN_BYTES)
        where = origin(given.token_url or "")
        if is_passing(answer.status, given):
            raise PassingError(f"{where}: no token was given: the server answered {answer.status}")
        try:
            granted = msgspec.json.decode(answer.body, type=_Granted)
        except (ValueError, RecursionError):
            granted = _Granted("")
        if answer.status != 200 or not _is_token(granted.access_token):  # noqa: PLR2004 RFC 6749, 5.1
            raise DestinationError(
                f"{where}: no token was given: the server answered {answer.status}; "
                "mend `client_id` and `client_secret`"
            )
        lasts_s = float(granted.expires_in)
        self._token = granted.access_token
        self._expires_s = self._monotonic_s() + max(lasts_s - _EARLY_S, lasts_s / 2)


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | str = 3600


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _basic(user: str, password: str) -> str:
    value = httpx.BasicAuth(user, password)
    return str(next(value.auth_flow(httpx.Request("GET", "http://x/"))).headers["Authorization"])


def _form(text: str) -> str:
    from urllib.parse import quote_plus  # noqa: PLC0415 of OAuth alone

    return quote_plus(text)


def wire_url(url: str) -> httpx.URL:
    """The URL with its path and query as they are, however odd they look."""
    parts = urlsplit(url)
    bare = httpx.URL(f"{parts.scheme}://{parts.netloc}/")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return bare.copy_with(raw_path=target.encode())


def origin(url: str, base: str = "") -> str:
    """Scheme, host and port of a URL, the one part of it that is shown."""
    parts = urlsplit(url)
    if base and not parts.netloc:
        return origin(base)
    return f"{parts.scheme or urlsplit(base).scheme}://{parts.netloc.rpartition('@')[2]}"


def retry_after_s(value: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """The seconds that a Retry-After asks for, which are given as such or as a date; None for no such thing."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - now()).total_seconds(), 0.0)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise errors of httpx and httpcore as ours, which name the endpoint's origin alone."""
    where = origin(url)
    try:
        yield
    except _PASSING as error:
        if isinstance(error.__context__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
            raise DestinationError(f"{where}: its certificate isn't trusted; set `ca_file`") from error
        raise PassingError(f"{where}: {_words(error)}") from error
    except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, httpx.HTTPError, httpx.InvalidURL) as error:
        raise DestinationError(f"{where}: the request can't be made ({type(error).__name__})") from None
    except zlib.error as error:
        raise PassingError(f"{where}: its answer can't be unpacked") from error


def _words(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "the request takes longer than `timeout_s`"
    return printable(str(error))[:_SHOWN] or type(error).__name__


def _plain_body(answer: httpx.Response) -> Iterable[bytes]:
    """The body as it was before the server packed it, piece by piece, none of them large."""
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return answer.iter_raw()
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise PassingError(f"its answer is packed by {printable(coding)[:20]!r}, which wasn't asked for")
    return _unpacked(answer.iter_raw())


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    for piece in pieces:
        rest = piece
        while rest and not unpacker.eof:
            yield unpacker.decompress(rest, 2**16)
            rest = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise zlib.error("the answer ends too early")


def _bounded(pieces: Iterable[bytes], most: int) -> tuple[bytes, bool]:
    """The bytes up to so many, and whether there are more."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most:
            return bytes(body[:most]), True
    return bytes(body), False
