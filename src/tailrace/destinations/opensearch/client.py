"""OpenSearch's client as the kit asks for it: requests and answers as they are, nodes and TLS by the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy import exceptions as errors
from opensearchpy.serializer import Serializer

from tailrace.documents.search.cluster import Answer, retry_after_s
from tailrace.documents.search.settings import SearchSettings
from tailrace.errors import DestinationError

_ALL = range(300, 600)


class _Node(Urllib3HttpConnection):
    """A node, whose answers of every status are answers."""

    def perform_request(self, *args: Any, **kwargs: Any) -> tuple[int, Mapping[str, str], Answer]:
        """The answer, where the client has the text of one."""
        status, headers, text = super().perform_request(*args, **{**kwargs, "ignore": _ALL})
        named = {name.lower(): value for name, value in headers.items()}
        return status, {}, Answer(status, text, retry_after_s(named.get("retry-after")))


class _AsItIs(Serializer):
    """Bodies are bytes already, and answers stay what they are."""

    mimetype = "application/json"

    def dumps(self, data: Any) -> Any:
        return data

    def loads(self, s: Any) -> Any:
        return s


class OpenSearchConnection:
    """A Connection."""

    def __init__(self, settings: SearchSettings) -> None:
        headers = {"authorization": settings.login} if settings.login else {}
        options: dict[str, Any] = {}
        if any(address.startswith("https") for address in settings.addresses):
            options = {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
            options |= {"ca_certs": _text(settings.ca_certs)} if settings.verify_certs else {}
            options |= {"client_cert": _text(settings.client_cert), "client_key": _text(settings.client_key)}
        self._client = OpenSearch(
            list(settings.addresses),
            connection_class=_Node,
            serializer=_AsItIs(),
            headers=headers,
            http_compress=settings.compress,
            timeout=settings.timeout_s,
            pool_maxsize=settings.connections + 2,
            max_retries=len(settings.addresses) - 1,
            retry_on_status=(),
            **{name: value for name, value in options.items() if value is not None},
        )

    def perform(self, method: str, target: str, body: bytes | None, kind: str) -> Answer:
        """See Connection."""
        headers = {} if body is None else {"content-type": kind}
        try:
            answer: Answer = self._client.transport.perform_request(method, target, body=body, headers=headers)
        except errors.OpenSearchException as error:
            raise DestinationError(
                f"OpenSearch can't be reached, or doesn't answer ({_said(error)}): look at the address, and at what is "
                "between it and this machine"
            ) from error
        return answer

    def is_transient(self, error: BaseException) -> bool:
        """See Connection."""
        return isinstance(error, errors.ConnectionError) and not isinstance(error, errors.SSLError)

    def close(self) -> None:
        """See Connection."""
        self._client.close()


def _text(path: object) -> str | None:
    return None if path is None else str(path)


def _said(error: errors.OpenSearchException) -> str:
    """What was the matter, without the objects of whose it was."""
    cause = error.info if isinstance(error, errors.TransportError) else None
    return type(error).__name__ if cause is None else str(cause).rpartition(">: ")[2] or type(cause).__name__
