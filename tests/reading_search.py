"""What search engines have, read by their own clients: documents, and the values of their fields by the mapping."""

import base64
import json
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal

from tailrace.api import load
from tailrace.destinations import open_destination
from tailrace.testing.messages import INT, TEXT, record, schema

SERIALIZED = "application/json"
SIZE = 10_000


class Exact:
    """Numbers with a point as decimals, so that no digit is lost while reading."""

    mimetype = SERIALIZED

    def dumps(self, data):
        return data if isinstance(data, str | bytes) else json.dumps(data).encode()

    def loads(self, data):
        return json.loads(data, parse_float=Written)


class Written(str):
    """A number with a point, as it is written."""

    __slots__ = ()


def client_of(engine, url):
    """The engine's own client; it gives numbers with a point as they are written."""
    if engine == "opensearch":
        from opensearchpy import OpenSearch  # noqa: PLC0415 one of two
        from opensearchpy.serializer import JSONSerializer  # noqa: PLC0415 as above

        serializer = type("Serializer", (Exact, JSONSerializer), {})()
        return OpenSearch([url], serializer=serializer, timeout=60)
    from elastic_transport import JsonSerializer  # noqa: PLC0415 one of two
    from elasticsearch import Elasticsearch  # noqa: PLC0415 as above

    made = type("Serializer", (Exact, JsonSerializer), {})
    several = {kind: made() for kind in (SERIALIZED, "application/vnd.elasticsearch+json")}
    return Elasticsearch(url, serializers=several, request_timeout=60)


def documents(client, index):
    """The sources of an index's documents by their ids; none where there is no index."""
    if not client.indices.exists(index=index):
        return {}
    client.indices.refresh(index=index)
    body = {"size": SIZE, "sort": ["_doc"], "query": {"match_all": {}}}
    page = client.search(index=index, body=body, scroll="1m")
    found = {}
    while page["hits"]["hits"]:
        found |= {hit["_id"]: hit["_source"] for hit in page["hits"]["hits"]}
        page = client.scroll(body={"scroll_id": page["_scroll_id"], "scroll": "1m"})
    client.clear_scroll(body={"scroll_id": page["_scroll_id"]})
    return found


def index_of(table, schema=None):
    """What the index of a table is called, after its prefix."""
    return re.sub(r'[\\/*?"<>|\s,#:]', "_", (f"{schema}.{table}" if schema else table).lower())


def rows(client, index):
    """The rows of an index, their values by the mapping's types and what its `_meta` says of its columns."""
    if not client.indices.exists(index=index):
        return []
    mappings = client.indices.get_mapping(index=index)
    mapping = mappings[max(mappings)]["mappings"]  # of a data stream's last index
    columns = mapping.get("_meta", {}).get("tailrace", {}).get("columns", [])
    kinds = {column["name"]: column["kind"] for column in columns}
    return [
        {name: None if fields.get(name) is None else value(fields[name], kind) for name, kind in kinds.items()}
        for fields in documents(client, index).values()
    ]


def value(found, kind):
    """A field's value as Python has it."""
    reader = READERS.get(kind)
    return reader(found) if reader else found


def exact_json(found):
    """JSON text with numbers as they were written."""
    if isinstance(found, Written):
        return str(found)
    if isinstance(found, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{exact_json(inner)}" for name, inner in found.items()) + "}"
    if isinstance(found, list):
        return "[" + ",".join(map(exact_json, found)) + "]"
    return json.dumps(found)


READERS = {
    "FLOAT": float,
    "DECIMAL": lambda found: Decimal(str(found)),
    "JSON": exact_json,
    "BINARY": base64.b64decode,
    "DATE": lambda text: date.fromisoformat(text[:10]),
    "TIME": time.fromisoformat,
    "TIMESTAMP": datetime.fromisoformat,
    "TIMESTAMPTZ": lambda text: datetime.fromisoformat(text).astimezone(UTC) if len(text) > 10 else midnight(text),
}


def midnight(text):
    """A date, in a field that takes times by now."""
    return datetime.combine(date.fromisoformat(text), time(), UTC)


class Place:
    """Where indices are, and what is in them."""

    def __init__(self, engine, port, prefix, client):
        self.engine, self.port, self.prefix, self.client = engine, port, prefix, client

    def settings(self, **more):
        return {"host": "127.0.0.1", "port": self.port, "prefix": self.prefix} | more

    def open(self, **more):
        return open_destination(self.engine, self.settings(**more))

    def database(self, **more):
        """The database that is made of these settings."""
        found = self.open(**more)._database
        found.open()
        return found

    def load(self, *messages, settings=None, **run):
        return load(messages, to=self.open(**(settings or {})), **run)

    def rows(self, table):
        return sorted(rows(self.client, f"{self.prefix}{table}"), key=str)

    def documents(self, table):
        return documents(self.client, f"{self.prefix}{table}")

    def mapping(self, table):
        (found,) = self.client.indices.get(index=f"{self.prefix}{table}").values()
        return found["mappings"]["properties"]

    def create(self, table, **body):
        self.client.indices.create(index=f"{self.prefix}{table}", body=body)

    def put(self, table, at, fields, **more):
        self.client.index(index=f"{self.prefix}{table}", id=at, body=fields, refresh=True, **more)


def things(*several, key=("id",), kinds=None):
    return schema(kinds or {"id": INT, "n": TEXT}, key), *(record(fields) for fields in several)
