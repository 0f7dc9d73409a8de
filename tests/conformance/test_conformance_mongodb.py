"""MongoDB does what every destination does, over real connections; documents are read by its own client alone."""

import datetime as dt
import json
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from pymongo import MongoClient

from tailrace.destinations import open_destination
from tailrace.testing import Subject, behaviours

MILLISECONDS = "dates of BSON have milliseconds; what is beyond is cut off, and said"
DIGITS = "decimals of BSON have 34 digits; a row with more is refused"
APPENDED = "documents are told apart by their ids, and those that are appended have ids of their own"
OF_BOTH = {
    "keeps_integers_beyond_int64": DIGITS,
    "keeps_decimals_of_38_digits": DIGITS,
    "keeps_decimals_with_every_digit_after_the_point": DIGITS,
    "integers_beyond_int64_are_keys": DIGITS,
    "upsert_goes_into_a_table_that_was_appended_to": APPENDED,
    "tables_stand_in_a_schema_by_a_template": APPENDED,
}
CUT = {
    "keeps_timestamps_to_the_microsecond": MILLISECONDS,
    "keeps_timestamps_from_year_1_to_9999": MILLISECONDS,
    "keeps_naive_timestamps_without_offset": MILLISECONDS,
    "timestamps_are_keys_by_their_instant": MILLISECONDS,
    "a_date_column_takes_timestamps": MILLISECONDS,
}
LACKS = {"date": OF_BOTH | CUT, "text": OF_BOTH}
VARIES = {"date": None, "text": frozenset({"kinds", "keys", "evolution"})}
CASES = [(subject, behaviour) for subject, varies in VARIES.items() for behaviour in behaviours(varies)]


@pytest.fixture(scope="module")
def client(mongodb_server):
    with MongoClient(mongodb_server.url) as client:
        yield client


@pytest.fixture
def subject(request, mongodb_server, client):
    url = mongodb_server.database()
    name = urlsplit(url).path.removeprefix("/")
    options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    database = client.get_database(name, options)

    def rows(table, schema=None):
        collection = f"{schema}.{table}" if schema else table
        described = database["_tailrace_collections"].find_one({"_id": collection})
        kinds = {c["name"]: c["kind"] for c in json.loads(described["columns"])["columns"]} if described else {}
        found = database[collection].find({}, {"_tailrace": 0})
        return [{name: plain(document.get(name), kind) for name, kind in kinds.items()} for document in found]

    yield Subject(
        open=lambda: open_destination(url, {"timestamps": request.param}), rows=rows, lacks=LACKS[request.param]
    )
    client.drop_database(name)


def plain(value, kind):
    """A value as the suite compares it."""
    if value is None:
        return None
    if isinstance(value, Decimal128):
        return value.to_decimal() if kind == "DECIMAL" else text_of(value)
    read = TEXTS if isinstance(value, str) else VALUES
    return read.get(kind, lambda same: same)(value)


def text_of(value):
    """A value of BSON as JSON, with all digits of its numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{text_of(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return str(value) if isinstance(value, Decimal128) else json.dumps(value)


TEXTS = {
    "JSON": text_of,
    "TIME": dt.time.fromisoformat,
    "TIMESTAMP": dt.datetime.fromisoformat,
    "TIMESTAMPTZ": dt.datetime.fromisoformat,
}
VALUES = {
    "JSON": text_of,
    "DATE": dt.datetime.date,
    "DECIMAL": Decimal,
    "INT": int,
    "TIMESTAMPTZ": lambda value: value.replace(tzinfo=dt.UTC),
    "UUID": lambda value: str(value.as_uuid()),
}


@pytest.mark.parametrize(("subject", "behaviour"), CASES, indirect=["subject"])
def test_mongodb(subject, behaviour):
    behaviour(subject)
