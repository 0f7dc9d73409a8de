"""Elasticsearch's client as the kit asks for it: requests and answers as they are, nodes and TLS by the client."""

from __future__ import annotations

from typing import Any

import elastic_transport as errors
from elastic_transport import Serializer
from elasticsearch import Elasticsearch, UnsupportedProductError
from pydantic import Field, model_validator

from tailrace.documents.search.cluster import Answer, retry_after_s
from tailrace.documents.search.settings import SearchSettings
from tailrace.errors import DestinationError

_ALL = range(300, 600)
_KINDS = (
    "application/json",
    "application/vnd.elasticsearch+json",
    "application/vnd.elasticsearch+x-ndjson",
    "application/x-ndjson",
    "text/html",
    "text/plain",
    "application/xml",
    "text/xml",
)


class Settings(SearchSettings):
    """The settings of Elasticsearch."""

    cloud_id: str | None = Field(None, description="The id of a deployment in Elastic Cloud, in place of `host`.")

    @model_validator(mode="after")
    def _has_one_place(self) -> Settings:
        if self.cloud_id is not None and ({"host", "port", "hosts", "scheme"} & self.model_fields_set):
            raise ValueError("`cloud_id` says where the cluster is; leave `host`, `port`, `scheme` and `hosts` out")
        return self


class _AsItIs(Serializer):
    """Bodies are bytes already, and answers stay what they are."""

    mimetype = "application/json"

    def dumps(self, data: Any) -> bytes:
        return data  # type: ignore[no-any-return]

    def loads(self, data: bytes) -> Any:
        return data


class ElasticsearchConnection:
    """A Connection."""

    def __init__(self, settings: Settings) -> None:
        place: dict[str, Any] = {"cloud_id": settings.cloud_id} if settings.cloud_id else {}
        place = place or {"hosts": list(settings.addresses)}
        if settings.cloud_id or any(address.startswith("https") for address in settings.addresses):
            place |= {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
            files = {"client_cert": settings.client_cert, "client_key": settings.client_key}
            files |= {"ca_certs": settings.ca_certs} if settings.verify_certs else {}
            place |= {name: str(path) for name, path in files.items() if path is not None}
        client = Elasticsearch(
            **place,
            serializers={kind: _AsItIs() for kind in _KINDS},
            headers={"authorization": settings.login} if settings.login else {},
            http_compress=settings.compress,
            request_timeout=settings.timeout_s,
            connections_per_node=settings.connections + 2,
            max_retries=0 if settings.cloud_id else len(settings.addresses) - 1,
            retry_on_status=(),
        )
        self._client = client.options(ignore_status=_ALL)

    def perform(self, method: str, target: str, body: bytes | None, kind: str) -> Answer:
        """See Connection."""
        headers = {"accept": "application/json"} | ({} if body is None else {"content-type": kind})
        try:
            answer = self._client.perform_request(method, target, body=body, headers=headers)
        except UnsupportedProductError as error:
            raise DestinationError(
                "this isn't a cluster of Elasticsearch, or one before 7.14; if it is OpenSearch, write 'opensearch' in "
                "place of 'elasticsearch', as in `--to opensearch://...`"
            ) from error
        except errors.TransportError as error:
            raise DestinationError(
                f"Elasticsearch can't be reached, or doesn't answer ({_said(error)}): look at the address, and at what "
                "is between it and this machine"
            ) from error
        meta = answer.meta
        return Answer(meta.status, answer.body or b"", retry_after_s(meta.headers.get("retry-after")))

    def is_transient(self, error: BaseException) -> bool:
        """See Connection."""
        passing = (errors.ConnectionError, errors.ConnectionTimeout, errors.SerializationError)
        return isinstance(error, passing) and not isinstance(error, errors.TlsError)

    def close(self) -> None:
        """See Connection."""
        self._client.close()


def _said(error: errors.TransportError) -> str:
    """What was the matter, without the objects of whose it was."""
    return error.message.rpartition(">: ")[2] or type(error).__name__
