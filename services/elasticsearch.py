"""Elasticsearch: a server of one's own; `python -m services.elasticsearch` archives its classes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.search import SearchServer, archive_classes


class ElasticsearchServer(SearchServer):
    """See SearchServer; it has nothing of X-Pack, and neither scripts nor what ingests."""

    name = "Elasticsearch"
    program = "elasticsearch"


@contextmanager
def elasticsearch(settings: Mapping[str, str] | None = None) -> Iterator[ElasticsearchServer]:
    """A server of one's own with settings besides ours, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-elasticsearch-") as folder:
        server = ElasticsearchServer(Path(folder), settings)
        try:
            yield server
        finally:
            server.stop()


if __name__ == "__main__":
    archive_classes(ElasticsearchServer)
