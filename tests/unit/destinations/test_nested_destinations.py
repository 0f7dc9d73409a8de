"""`nested: native` on lakes: structs and lists in tables of Delta Lake and in files, read by deltalake and DuckDB."""

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from stopping import StoppedError, stop_at_the_entry

import tailrace
from tailrace.config import Settings
from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, RecordError, SchemaError
from tailrace.model import TableName
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import SchemaMessage
from tailrace.testing.parts import PIPELINE, batch, checkpoint

INT, TEXT, NUMBER = ({"type": ["null", name]} for name in ("integer", "string", "number"))


def obj(**fields):
    return {"type": ["null", "object"], "properties": fields}


def array(items):
    return {"type": ["null", "array"], "items": items}


ADDRESS = obj(city=TEXT, tags=array(TEXT), geo=obj(lat=NUMBER), note={})
ROWS = (
    {"id": 1, "at": {"city": "é\0😀", "tags": ["x", None, ""], "geo": {"lat": 0.1}, "note": {"n": [1]}}},
    {"id": 2, "at": {"tags": [], "geo": {}}},
    {"id": 3, "at": {}},
    {"id": 4, "at": None},
    {"id": 5},
)
NOTHING = {"city": None, "tags": None, "geo": None, "note": None}
KEPT = [
    {"id": 1, "at": {"city": "é\0😀", "tags": ["x", None, ""], "geo": {"lat": 0.1}, "note": '{"n":[1]}'}},
    {"id": 2, "at": NOTHING | {"tags": [], "geo": {"lat": None}}},
    {"id": 3, "at": NOTHING},
    {"id": 4, "at": None},
    {"id": 5, "at": None},
]


@dataclass(frozen=True)
class Lake:
    """A lake on this machine."""

    kind: str
    path: Path

    @property
    def url(self):
        return f"{self.kind}://{self.path}"

    def open(self):
        return open_destination(self.url, {})

    def load(self, *messages, **settings):
        return tailrace.load(messages, self.url, **{"nested": "native", **settings})

    def rows(self):
        """By deltalake, or by DuckDB where the files are nothing but files; sorted by id."""
        if self.kind == "delta":
            found = DeltaTable(self.path / "things").to_pyarrow_table()
        else:
            files = self.open().files(TableName("things"))
            found = duckdb.read_parquet([*files], union_by_name=True).to_arrow_table()
        return sorted(found.to_pylist(), key=lambda row: row["id"])

    def type_of(self, name):
        return str(DeltaTable(self.path / "things").to_pyarrow_table().schema.field(name).type)


@pytest.fixture(params=["delta", "files"])
def lake(request, tmp_path):
    return Lake(request.param, tmp_path / "lake")


@pytest.fixture
def delta(tmp_path):
    return Lake("delta", tmp_path / "lake")


@pytest.fixture
def files(tmp_path):
    return Lake("files", tmp_path / "lake")


def schema(key=("id",), **fields):
    properties = {"id": {"type": "integer"}, **fields}
    json_schema = {"type": "object", "properties": properties}
    return {"type": "SCHEMA", "stream": "things", "schema": json_schema, "key_properties": list(key)}


def records(*rows):
    return [{"type": "RECORD", "stream": "things", "record": row} for row in rows]


def stream_of(lake, message):
    """The stream that a SCHEMA message makes there."""
    streams = Streams(Settings(nested="native"), lake.open().traits)
    json_schema = json.dumps(message["schema"]).encode()
    return streams.accept(SchemaMessage(1, "things", json_schema, ("id",), (), None, None))


def test_objects_and_arrays_become_structs_and_lists(lake):
    lake.load(schema(at=ADDRESS), *records(*ROWS))
    assert lake.rows() == KEPT


def test_lists_of_lists_and_of_structs_are_columns(lake):
    lake.load(
        schema(a=array(array(INT)), b=array(obj(x=INT))), *records({"id": 1, "a": [[1], [], None], "b": [{}, None]})
    )
    assert lake.rows() == [{"id": 1, "a": [[1], [], None], "b": [{"x": None}, None]}]


def test_what_the_schema_says_too_little_of_stays_text(lake):
    fields = {"a": {"type": "object"}, "b": {"type": "array"}, "c": {}, "d": {"type": ["integer", "string"]}}
    lake.load(
        schema(**fields),
        '{"type":"RECORD","stream":"things","record":{"id":1,"a":{"x": 1.50},"b":[1],"c":2.0,"d":"e"}}',
    )
    assert lake.rows() == [{"id": 1, "a": '{"x": 1.50}', "b": "[1]", "c": "2.0", "d": '"e"'}]


def test_a_field_that_the_struct_lacks_is_refused_by_its_path(lake):
    with pytest.raises(RecordError, match=r"line 2: .*\$\.at\.geo\.lon: expected a field of the schema, got 7"):
        lake.load(schema(at=ADDRESS), *records({"id": 1, "at": {"geo": {"lat": 1, "lon": 7}}}))


def test_refused_rows_are_quarantined_and_the_others_loaded(lake, tmp_path):
    quarantine = tmp_path / "refused.jsonl"
    rows = ({"id": 1, "at": {"tags": [5]}}, {"id": 2, "at": {"tags": ["x"]}}, {"id": 3, "at": []})
    report = lake.load(schema(at=ADDRESS), *records(*rows), on_invalid="quarantine", quarantine=quarantine)
    assert (report.total.read, report.total.loaded, report.total.quarantined) == (3, 1, 2)
    assert [row["id"] for row in lake.rows()] == [2]
    refused = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert sorted(entry["line"] for entry in refused if "reasons" in entry) == [2, 4]


def test_an_upsert_replaces_structs_and_leaves_other_rows_as_they_are(delta):
    delta.load(schema(at=ADDRESS, b=array(obj(x=INT))), *records(*ROWS, {"id": 6, "b": [{"x": 1}, None]}))
    again = records({"id": 2, "at": {"tags": ["new", None]}}, {"id": 7, "at": {}}, {"id": 2, "at": {"city": "last"}})
    assert delta.load(schema(at=ADDRESS, b=array(obj(x=INT))), *again).total.updated == 1
    others = [row | {"b": None} for row in KEPT]
    assert delta.rows() == [
        others[0],
        {"id": 2, "at": NOTHING | {"city": "last"}, "b": None},
        *others[2:],
        {"id": 6, "at": None, "b": [{"x": 1}, None]},
        {"id": 7, "at": NOTHING, "b": None},
    ]


def test_a_replaced_table_has_structs_and_lists(lake):
    lake.load(schema((), at=ADDRESS), *records(*ROWS, *ROWS), method="replace")
    lake.load(schema((), at=ADDRESS), *records(*ROWS), method="replace")
    assert lake.rows() == KEPT


def test_every_kind_and_any_name_goes_through_an_upsert(delta):
    odd = ("a b", 'c"d', "e.f", "g'h", "ü😀", "x\ny", "GROUP", "_tailrace_line", "element", "id")
    kinds = {
        "decimal": {"type": "number", "multipleOf": 1e-9},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "bytes": {"type": "string", "contentEncoding": "base64"},
        "yes": {"type": "boolean"},
    }
    texts = {
        "decimal": Decimal("12345678901234567890123456789.000000001"),
        "at": "0001-01-01T00:00:00.000001Z",
        "day": "9999-12-31",
        "bytes": "AP8=",
        "yes": False,
    }
    sent = dict.fromkeys(odd, 2**63 - 1) | texts
    message = schema(s=obj(**dict.fromkeys(odd, INT), **kinds), l=array(obj(**kinds)))
    lines = [
        msgspec.json.Encoder(decimal_format="number").encode({"type": "RECORD", "stream": "things", "record": row})
        for row in ({"id": 1, "s": sent, "l": [texts]}, {"id": 2})
    ]
    delta.load(message, *lines)
    delta.load(message, *records({"id": 2, "s": {"id": 7}}))
    kept = {
        "decimal": texts["decimal"],
        "at": dt.datetime(1, 1, 1, 0, 0, 0, 1, dt.UTC),
        "day": dt.date(9999, 12, 31),
        "bytes": b"\0\xff",
        "yes": False,
    }
    nothing = dict.fromkeys((*odd, *kinds))
    assert delta.rows() == [
        {"id": 1, "s": dict.fromkeys(odd, 2**63 - 1) | kept, "l": [kept]},
        {"id": 2, "s": nothing | {"id": 7}, "l": None},
    ]


def test_a_table_that_was_replaced_is_merged_into(delta):
    delta.load(schema(at=ADDRESS), *records(*ROWS), method="replace")
    delta.load(schema(at=ADDRESS), *records({"id": 3, "at": {"city": "three"}}), method="upsert")
    delta.load(schema(at=ADDRESS), *records({"id": 3, "at": {"city": "no"}}, {"id": 6}), method="insert_ignore")
    three = {"id": 3, "at": NOTHING | {"city": "three"}}
    assert delta.rows() == [*KEPT[:2], three, *KEPT[3:], {"id": 6, "at": None}]


def test_structs_of_other_writers_are_filled_as_they_are(delta):
    arrow = pa.struct([pa.field("x", pa.int16()), pa.field("s", pa.string()), pa.field("l", pa.list_(pa.int32()))])
    write_deltalake(delta.path / "things", pa.table([pa.array([1]), pa.array([None], arrow)], names=["id", "at"]))
    sent = schema((), at=obj(l=array(INT), x=INT, n=INT))
    delta.load(sent, *records({"id": 2, "at": {"x": 5, "l": [7], "n": 2**40}}))
    with pytest.raises(RecordError, match=r"\$\.at\.l\[1\]: expected what the table's int32 holds, got 2147483648"):
        delta.load(sent, *records({"id": 3, "at": {"l": [0, 2**31]}}))
    assert delta.rows() == [{"id": 1, "at": None}, {"id": 2, "at": {"x": 5, "s": None, "l": [7], "n": 2**40}}]


def test_maps_of_other_writers_are_told_not_to_be_filled(delta):
    arrow = pa.map_(pa.string(), pa.int64())
    write_deltalake(delta.path / "things", pa.table([pa.array([1]), pa.array([None], arrow)], names=["id", "at"]))
    with pytest.raises(SchemaError, match=r"has 'at' as map<.*>, which tailrace doesn't fill"):
        delta.load(schema((), at=obj(x=INT)), *records({"id": 2}))


def test_versions_are_activated_in_tables_with_structs(delta):
    versioned = [record | {"version": 1} for record in records(*ROWS)]
    newer = [record | {"version": 2} for record in records({"id": 2, "at": {"city": "two"}})]
    activate = {"type": "ACTIVATE_VERSION", "stream": "things", "version": 2}
    delta.load(schema(at=ADDRESS), *versioned)
    delta.load(schema(at=ADDRESS), *newer, activate)
    rows = delta.rows()
    assert [row["at"] for row in rows] == [KEPT[0]["at"], NOTHING | {"city": "two"}, *(row["at"] for row in KEPT[2:])]
    assert [row["_sdc_deleted_at"] is None for row in rows] == [False, True, False, False, False]


def test_structs_gain_fields_and_older_rows_have_null_there(delta):
    delta.load(schema(at=obj(x=INT), l=array(obj(a=INT))), *records({"id": 1, "at": {"x": 1}, "l": [{"a": 1}]}))
    grown = {"at": obj(y=obj(z=TEXT), x=INT), "l": array(obj(b=array(INT), a=INT))}
    sent = {"id": 2, "at": {"x": 2, "y": {"z": "é"}}, "l": [{"a": 2, "b": [3]}]}
    delta.load(schema(**grown), *records(sent))
    assert delta.rows() == [
        {"id": 1, "at": {"x": 1, "y": None}, "l": [{"a": 1, "b": None}]},
        {"id": 2, "at": {"x": 2, "y": {"z": "é"}}, "l": [{"a": 2, "b": [3]}]},
    ]


def test_structs_that_grow_are_updated_in_old_files(delta):
    delta.load(schema(at=obj(x=INT)), *records(*({"id": at, "at": {"x": at}} for at in range(3))))
    delta.load(schema(at=obj(x=INT, y=INT)), *records({"id": 1, "at": {"y": 7}}))
    assert [row["at"] for row in delta.rows()] == [{"x": 0, "y": None}, {"x": None, "y": 7}, {"x": 2, "y": None}]


@pytest.mark.parametrize(
    ("kind", "method"),
    [("delta", "upsert"), ("delta", "append"), ("delta", "replace"), ("files", "append"), ("files", "replace")],
)
def test_structs_grow_in_the_middle_of_a_run(tmp_path, kind, method):
    lake = Lake(kind, tmp_path / "lake")
    first, second = schema(at=array(obj(x=INT))), schema(at=array(obj(y=TEXT, x=INT)))
    sent = [first, *records({"id": 1, "at": [{"x": 1}]}), second, *records({"id": 2, "at": [{"y": "a"}]}, {"id": 3})]
    lake.load(*sent, method=method)
    assert lake.rows() == [
        {"id": 1, "at": [{"x": 1, "y": None}]},
        {"id": 2, "at": [{"x": None, "y": "a"}]},
        {"id": 3, "at": None},
    ]


def test_fields_that_are_gone_are_null(lake):
    lake.load(schema(at=obj(x=INT, y=INT)), *records({"id": 1, "at": {"x": 1, "y": 2}}))
    lake.load(schema(at=obj(y=INT)), *records({"id": 2, "at": {"y": 3}}))
    assert [row["at"] for row in lake.rows()] == [{"x": 1, "y": 2}, {"x": None, "y": 3}]


def test_each_file_has_the_structs_of_its_time(files):
    files.load(schema(at=obj(x=INT)), *records({"id": 1, "at": {"x": 1}}))
    files.load(schema(at=obj(x=INT, y=TEXT)), *records({"id": 2, "at": {"y": "a"}}))
    paths = sorted(files.path.glob("things/*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    found = [str(duckdb.read_parquet(str(path)).types[1]) for path in paths]
    assert found == ["STRUCT(x BIGINT)", "STRUCT(x BIGINT, y VARCHAR)"]


def test_a_conflict_within_a_struct_is_told_by_its_path(lake):
    lake.load(schema(at=obj(x=array(obj(y=INT)))), *records({"id": 1, "at": {"x": [{"y": 1}]}}))
    with pytest.raises(SchemaError, match=r"has 'at\.x\[\]\.y' as INT, the stream wants TEXT.*`nested: json`"):
        lake.load(schema(at=obj(x=array(obj(y=TEXT)))), *records({"id": 1}))
    assert lake.rows() == [{"id": 1, "at": {"x": [{"y": 1}]}}]


def test_a_kind_that_is_set_for_a_field_or_the_column_resolves_a_conflict(lake):
    lake.load(schema(at=obj(x=INT)), *records({"id": 1, "at": {"x": 1}}))
    wanted = schema(at=obj(x={"type": ["integer", "string"]}))
    lake.load(wanted, *records({"id": 2, "at": {"x": 2}}), columns={"at.x": {"kind": "INT"}})
    lake.load(wanted, *records({"id": 3, "at": {"x": "3"}}), columns={"at": {"kind": "JSON"}})
    rows = [{"id": 1, "at": {"x": 1}}, {"id": 2, "at": {"x": 2}}, {"id": 3, "at": None}]
    beside = [None, None, '{"x":"3"}']
    assert [row | {"at__json": row.get("at__json")} for row in lake.rows()] == [
        row | {"at__json": text} for row, text in zip(rows, beside, strict=True)
    ]


def test_a_table_whose_column_is_text_keeps_it(lake):
    lake.load(schema(at=ADDRESS), *records({"id": 1, "at": {"city": "a"}}), nested="json")
    lake.load(schema(at=ADDRESS), *records({"id": 2, "at": {"city": "b", "unknown": 1}}))
    assert [row["at"] for row in lake.rows()] == ['{"city":"a"}', '{"city":"b","unknown":1}']


def test_a_frozen_table_lets_no_struct_grow(delta):
    delta.load(schema(at=obj(x=INT)), *records({"id": 1, "at": {"x": 1}}))
    with pytest.raises(SchemaError, match=r'has struct<"x" INT>, the stream wants struct<"x" INT, "y" INT>'):
        delta.load(schema(at=obj(y=INT)), *records({"id": 2, "at": {"y": 2}}), contract="freeze")
    delta.load(schema(at=obj(x=INT)), *records({"id": 2, "at": {"x": 2}}), contract="freeze")
    delta.load(schema(at=obj(y=INT)), *records({"id": 3, "at": {"y": 2}}), contract="discard_columns")
    assert [row["at"] for row in delta.rows()] == [{"x": 1}, {"x": 2}, None]


def test_a_table_without_rows_has_its_structs(delta):
    delta.load(schema(at=ADDRESS))
    assert delta.rows() == []
    assert delta.type_of("at").startswith("struct<city: string")


def test_an_object_of_the_key_stays_text(delta):
    delta.load(schema(["id", "at"], at=obj(x=INT)), *records({"id": 1, "at": {"x": 1}}, {"id": 1, "at": {"x": 1}}))
    assert delta.rows() == [{"id": 1, "at": '{"x":1}'}]


def test_structs_partition_nothing(lake):
    with pytest.raises(ConfigError, match=r'^partition_keys: the column \'at\' is struct<"x" INT>'):
        lake.load(schema(at=obj(x=INT)), *records({"id": 1}), partition_keys=["at"])


def test_a_decided_checkpoint_is_brought_to_the_table_by_the_next_run(delta):
    """Its entry in the journal, which is JSON, carries what columns are made of."""
    things = stream_of(delta, schema(at=ADDRESS))
    stopped = delta.open()
    objects = [row.get("at") for row in ROWS]
    texts = [None if value is None else json.dumps(value, separators=(",", ":")) for value in objects]
    sent = list(zip(range(1, 6), texts, strict=True))
    stopped.recover(PIPELINE)
    stopped.prepare(things)
    receipt = stopped.stage(batch(things, *sent))
    stop_at_the_entry(stopped, "after")
    with pytest.raises(StoppedError):
        stopped.commit(checkpoint(receipt))
    assert delta.rows() == []
    delta.open().recover("pipeline")
    assert delta.rows() == KEPT


@pytest.mark.parametrize(
    "to", ["files://{}?format=csv", "files://{}?format=jsonl", "memory://", "duckdb:///{}", "sqlite:///{}"]
)
def test_a_destination_without_structs_says_what_to_use_instead(tmp_path, to):
    sent = [schema(at=obj(x=INT)), *records({"id": 1, "at": {"x": 1}})]
    with pytest.raises(
        ConfigError, match=r"^nested: stream 'things': .* can't keep structs and lists \(use json or flatten"
    ):
        tailrace.load(sent, to.format(tmp_path / "there"), nested="native")


def test_a_plan_says_which_structs_are_made_and_grow(delta):
    def planned(message):
        return delta.open().plan(stream_of(delta, message))

    made, more = schema(at=obj(x=INT)), schema(at=obj(x=INT, y=array(TEXT)))
    assert planned(made) == ['create the table things (id INT, at struct<"x" INT>)']
    delta.load(made)
    assert planned(made) == []
    assert planned(more) == ['add fields to at of things: struct<"x" INT, "y" list<TEXT>>']
