"""Bulk-load ready documents by a client's own helper: `ready_documents.py KIND URL INPUT STREAM [KEY]`.

Its seconds on the clock and on the processor are printed on stderr: those of the load alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Documents = list[dict[str, Any]]


def documents_of(path: Path) -> Documents:
    """The records of a Singer file."""
    with path.open("rb") as file:
        return [message["record"] for line in file if (message := json.loads(line))["type"] == "RECORD"]


def with_dates(documents: Documents, path: Path) -> Documents:
    """The documents with dates in place of texts that are date-times by the schema."""
    with path.open("rb") as file:
        properties = json.loads(file.readline())["schema"]["properties"]
    names = [name for name, kind in properties.items() if kind.get("format") == "date-time"]
    for document in documents:
        for name in names:
            if document.get(name):
                document[name] = datetime.fromisoformat(document[name])
    return documents


def mongodb(url: str, documents: Documents, stream: str, key: str | None) -> Callable[[], None]:
    """The driver's insert_many, or its bulk_write of replacements where there is a key."""
    from pymongo import MongoClient, ReplaceOne  # noqa: PLC0415 one client is measured

    collection = MongoClient[dict[str, Any]](url, w="majority").get_default_database()[stream]
    if key is None:
        return lambda: collection.insert_many(documents, ordered=False) and None

    def replace() -> None:
        for start in range(0, len(documents), 1000):
            part = documents[start : start + 1000]
            requests = [ReplaceOne({"_id": d[key]}, d | {"_id": d[key]}, upsert=True) for d in part]
            collection.bulk_write(requests, ordered=False)

    return replace


def search(client: Any, bulk: Callable[..., Any], documents: Documents, stream: str, key: str | None) -> None:
    """helpers.bulk of a search engine's client."""
    actions = ({"_index": stream, "_source": d} | ({"_id": str(d[key])} if key else {}) for d in documents)
    bulk(client, actions)
    client.indices.refresh(index=stream)


def main() -> None:
    """Make the documents ready, then load them."""
    kind, url, path, stream, *keys = sys.argv[1:]
    documents, key = documents_of(Path(path)), keys[0] if keys else None
    if kind == "mongodb":
        load = mongodb(url, with_dates(documents, Path(path)), stream, key)
    elif kind == "opensearch":
        from opensearchpy import OpenSearch, helpers  # noqa: PLC0415 one client is measured

        client = OpenSearch(f"http://{urlsplit(url).netloc}", timeout=300)
        load = lambda: search(client, helpers.bulk, documents, stream, key)  # noqa: E731 as the others
    else:
        from elasticsearch import Elasticsearch, helpers  # noqa: PLC0415 one client is measured

        client = Elasticsearch(f"http://{urlsplit(url).netloc}", request_timeout=300)
        load = lambda: search(client, helpers.bulk, documents, stream, key)  # noqa: E731 as the others
    started_s, on_processor_s = time.perf_counter(), time.process_time()
    load()
    sys.stderr.write(f"{time.perf_counter() - started_s} {time.process_time() - on_processor_s}\n")


if __name__ == "__main__":
    main()
