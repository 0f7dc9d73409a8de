"""MongoDB does what every destination does, over real connections; documents are read by its own client alone."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from bson.binary import Binary
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from pymongo import MongoClient

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject

MILLISECONDS = "dates of BSON have milliseconds; what is beyond is cut off, and said"
DIGITS = "decimals of BSON have 34 digits; a row with more is refused"
LACKS = {}


@pytest.fixture(scope="module")
def client(mongodb_server):
    with MongoClient(mongodb_server.url) as client:
        yield client


@pytest.fixture
def subject(mongodb_server, client):
    url = mongodb_server.database()
    name = urlsplit(url).path.removeprefix("/")
    options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    database = client.get_database(name, options)

    def rows(table, schema=None):
        collection = f"{schema}.{table}" if schema else table
        described = database["_tailrace_collections"].find_one({"_id": collection})
        kinds = {c["name"]: c["kind"] for c in json.loads(described["columns"])["columns"]} if described else {}
        found = database[collection].find({}, {"_tailrace": 0})
        return [
            {name: plain(document.get(name), kind) for name, kind in kinds.items()}
            for document in found
        ]

    yield Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS)
    client.drop_database(name)


def plain(value, kind):
    if value is None:
        return None
    if kind == "JSON":
        return json.dumps(value, default=str, ensure_ascii=False)
    if kind == "TIMESTAMPTZ":
        return value.replace(tzinfo=dt.UTC)
    if kind == "DATE":
        return value.date()
    if kind == "TIME":
        return dt.time.fromisoformat(value)
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if kind == "DECIMAL":
        return Decimal(value)
    if isinstance(value, Binary):
        return str(value.as_uuid())
    return int(value) if kind == "INT" else value


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_mongodb(behaviour, subject):
    behaviour(subject)
