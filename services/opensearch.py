"""OpenSearch: a server of one's own; `python -m services.opensearch` archives its classes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.search import SearchServer, archive_classes


class OpenSearchServer(SearchServer):
    """See SearchServer; it has what ingests, and no scripts."""

    name = "OpenSearch"
    program = "opensearch"


@contextmanager
def opensearch(settings: Mapping[str, str] | None = None) -> Iterator[OpenSearchServer]:
    """A server of one's own with settings besides ours, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-opensearch-") as folder:
        server = OpenSearchServer(Path(folder), settings)
        try:
            yield server
        finally:
            server.stop()


if __name__ == "__main__":
    archive_classes(OpenSearchServer)
