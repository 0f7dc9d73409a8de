"""BATCH messages: their records come in their places, as if the tap had sent them."""

import gzip
import json
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import tailrace
from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import ConfigError, MessageError, RecordError, RecordsWithoutSchemaError
from tailrace.inputs import rows as record_rows

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}, "n": {"type": ["null", "string"]}}},
    "key_properties": ["id"],
}


def record(number, text, **more):
    return {"type": "RECORD", "stream": "s", "record": {"id": number, "n": text} | more}


def state(value):
    return {"type": "STATE", "value": value}


def batch(*files, form="jsonl", compression=None, **more):
    encoding = {"format": form, "compression": compression}
    manifest = [f"file://{file}" for file in files]
    return {"type": "BATCH", "stream": "s", "encoding": encoding, "manifest": manifest} | more


@pytest.fixture
def memory():
    return MemoryDestination(uuid.uuid4().hex)


@pytest.fixture
def lines(tmp_path):
    """Writes a file of JSON lines."""

    def write(name, *records, compress=bytes):
        path = tmp_path / name
        path.write_bytes(compress(b"".join(json.dumps(each).encode() + b"\n" for each in records)))
        return path

    return write


@pytest.fixture
def columns(tmp_path):
    """Writes a table as a file of a format."""

    def write(name, table):
        path = tmp_path / name
        if name.endswith("parquet"):
            parquet.write_table(table, path)
        elif name.endswith("arrows"):
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
        return path

    return write


def load(messages, memory, tmp_path, **settings):
    return tailrace.load(messages, memory, batch_roots=[str(tmp_path)], **settings)


def rows(memory, table="s"):
    return sorted((tuple(row.values()) for row in memory.tables().get(table, [])), key=lambda row: row[0])


def test_of_a_key_the_last_line_wins_whether_it_came_by_a_file_or_by_itself(memory, lines, tmp_path):
    first = lines("a.jsonl", {"id": 1, "n": "a"}, {"id": 2, "n": "a"}, {"id": 3, "n": "a"})
    second = lines("b.jsonl", {"id": 3, "n": "b"}, {"id": 4, "n": "b"})
    messages = [SCHEMA, record(1, "-"), record(2, "-"), batch(first), record(2, "+"), batch(second), record(4, "+")]
    report = load(messages, memory, tmp_path)
    assert rows(memory) == [(1, "a"), (2, "+"), (3, "b"), (4, "+")]
    assert (report.total.read, report.total.loaded, report.total.deduplicated) == (9, 4, 5)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
def test_columns_come_in_their_place_too(memory, columns, tmp_path, name):
    file = columns(name, pa.table({"id": [1, 2, 3], "n": ["a", "a", None]}))
    messages = [SCHEMA, record(1, "-"), batch(file, form=name[2:9].rstrip("s")), record(2, "+"), state(1)]
    report = load(messages, memory, tmp_path)
    assert rows(memory) == [(1, "a"), (2, "+"), (3, None)]
    assert (report.total.read, report.total.loaded, report.total.deduplicated) == (5, 3, 2)


@pytest.mark.parametrize(
    ("compression", "compress"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("none", bytes), (None, gzip.compress)],
)
def test_lines_may_be_compressed(memory, lines, tmp_path, compression, compress):
    file = lines("a.jsonl", {"id": 1, "n": "é"}, compress=compress)
    load([SCHEMA, batch(file, compression=compression)], memory, tmp_path)
    assert rows(memory) == [(1, "é")]


def test_several_files_come_in_the_order_of_the_manifest(memory, lines, tmp_path):
    files = [lines(f"{n}.jsonl", {"id": 1, "n": str(n)}, {"id": 2, "n": str(n)}) for n in range(3)]
    load([SCHEMA, batch(files[2], files[0], files[1])], memory, tmp_path)
    assert rows(memory) == [(1, "1"), (2, "1")]


def test_a_state_is_told_once_the_rows_before_it_are_there(memory, lines, tmp_path):
    files = [lines(f"{n}.jsonl", {"id": n, "n": "x"}) for n in range(4)]
    seen = []
    messages = [SCHEMA, *(each for n in range(4) for each in (batch(files[n]), state(n)))]
    load(
        messages,
        memory,
        tmp_path,
        checkpoint_rows=1,
        tell=lambda told: seen.append((json.loads(told), len(rows(memory)))),
    )
    assert seen
    assert all(count > value for value, count in seen)
    assert seen[-1] == (3, 4)


def test_a_refused_record_is_named_with_its_file_and_what_a_state_covers_is_loaded(memory, lines, tmp_path):
    good, bad = lines("a.jsonl", {"id": 1, "n": "a"}), lines("b.jsonl", {"id": 2, "n": "b"}, {"id": "x"})
    told = []
    with pytest.raises(RecordError, match=r"line 8: \$.id: expected") as raised:
        load([SCHEMA, batch(good), state(1), record(5, "+"), batch(bad)], memory, tmp_path, tell=told.append)
    assert raised.value.__notes__ == [f"line 8 is record 2 of {bad}"]
    assert rows(memory) == [(1, "a")]
    assert told == [b"1"]


def test_what_a_state_covers_is_loaded_and_no_more_where_records_and_columns_take_turns(memory, columns, tmp_path):
    files = [columns(f"{n}.parquet", pa.table({"id": [n, n + 1], "n": ["a", "b"]})) for n in (10, 20)]
    first, second = (batch(file, form="parquet") for file in files)
    with pytest.raises(RecordError, match="line 11: "):
        load([SCHEMA, record(1, "-"), first, state(1), record(2, "-"), second, record("x", "-")], memory, tmp_path)
    assert rows(memory) == [(1, "-"), (10, "a"), (11, "b")]


def test_a_later_line_is_named_by_its_true_number(memory, lines, tmp_path):
    file = lines("a.jsonl", *({"id": n, "n": "a"} for n in range(100)))
    with pytest.raises(RecordError, match="line 103") as raised:
        load([SCHEMA, batch(file), record("x", "a")], memory, tmp_path)
    assert raised.value.__notes__ == ["line 103 is line 3 of the input"]


def test_a_line_that_is_no_message_has_its_true_number(memory, lines, tmp_path):
    file = lines("a.jsonl", *({"id": n, "n": "a"} for n in range(100)))
    told = []
    with pytest.raises(MessageError, match=r"^line 4: ") as raised:
        load([SCHEMA, batch(file), state(1), b"hello\n", state(2)], memory, tmp_path, tell=told.append)
    assert not hasattr(raised.value, "__notes__")
    assert told == [b"1"]
    assert len(rows(memory)) == 100


def test_refused_records_are_set_aside(memory, lines, columns, tmp_path):
    files = lines("a.jsonl", {"id": 1, "n": "a"}, {"id": "x"}, [3], "text", {"id": 2, "n": "b"})
    (tmp_path / "b.jsonl").write_bytes(b'{"id":3,"n":"c"}\nno json\n\n{"id":4,"n":"d"}')
    nulls = columns("c.parquet", pa.table({"id": [None, 5], "n": ["e", "f"]}))
    messages = [SCHEMA, batch(files, tmp_path / "b.jsonl"), batch(nulls, form="parquet"), record(6, "g")]
    aside = tmp_path / "aside.jsonl"
    report = load(messages, memory, tmp_path, on_invalid="quarantine", quarantine=str(aside))
    assert rows(memory) == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "f"), (6, "g")]
    assert report.total.quarantined == 5
    entries = [json.loads(line) for line in aside.read_text().splitlines()]
    assert [entry["line"] for entry in entries if "line" in entry] == [4, 5, 6, 9, 13]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_streams_grow_by_what_files_have(memory, lines, columns, tmp_path, form):
    found = [{"id": 1, "n": "a", "more": 7}, {"id": 2, "n": "b", "more": None}]
    file = lines("a.jsonl", *found) if form == "jsonl" else columns("a.parquet", pa.Table.from_pylist(found))
    load([SCHEMA, record(0, "-"), batch(file, form=form), record(3, "+")], memory, tmp_path, unknown_fields="evolve")
    assert rows(memory) == [(0, "-", None), (1, "a", 7), (2, "b", None), (3, "+", None)]


def test_unknown_columns_are_dropped_and_counted(memory, columns, tmp_path):
    file = columns("a.parquet", pa.table({"id": [1], "n": ["a"], "more": [7]}))
    report = load([SCHEMA, batch(file, form="parquet")], memory, tmp_path)
    assert report.streams["s"].unknown_fields == {"more": 1}
    assert rows(memory) == [(1, "a")]


def test_records_have_the_version_of_their_message(memory, lines, columns, tmp_path):
    old, new = lines("a.jsonl", {"id": 1, "n": "a"}), columns("b.parquet", pa.table({"id": [2], "n": ["b"]}))
    messages = [SCHEMA, batch(old, version=1), batch(new, form="parquet", version=2)]
    messages.append({"type": "ACTIVATE_VERSION", "stream": "s", "version": 2})
    load(messages, memory, tmp_path, hard_delete=True)
    assert [row[:2] for row in rows(memory)] == [(2, "b")]


def test_metadata_is_given_as_to_any_record(memory, lines, columns, tmp_path):
    files = lines("a.jsonl", {"id": 1, "n": "a"}), columns("b.parquet", pa.table({"id": [2], "n": ["b"]}))
    messages = [SCHEMA, batch(files[0]), batch(files[1], form="parquet"), record(3, "c")]
    load(messages, memory, tmp_path, metadata="singer", constants={"from": "tap"})
    found = memory.tables()["s"]
    assert {row["from"] for row in found} == {"tap"}
    assert all(row["_sdc_batched_at"] is not None for row in found)
    assert len({tuple(row) for row in found}) == 1


def test_a_stream_that_is_not_selected_is_counted(memory, lines, tmp_path):
    file = lines("a.jsonl", {"id": 1, "n": "a"})
    report = load([SCHEMA, batch(file)], memory, tmp_path, streams={"s": {"select": False}})
    assert (report.total.read, report.total.filtered) == (1, 1)


def test_records_without_a_schema_are_an_error(memory, lines, tmp_path):
    with pytest.raises(RecordsWithoutSchemaError):
        load([batch(lines("a.jsonl", {"id": 1}))], memory, tmp_path)


def test_without_roots_a_batch_is_refused_and_what_a_state_covers_is_loaded(memory, lines):
    file, told = lines("a.jsonl", {"id": 1, "n": "a"}), []
    messages = [SCHEMA, record(1, "a"), state(1), batch(file)]
    with pytest.raises(ConfigError, match="batch_roots: line 4 is a BATCH message"):
        tailrace.load(messages, memory, tell=told.append)
    assert told == [b"1"]
    assert rows(memory) == [(1, "a")]


DAMAGED = {
    "a missing file": ("jsonl", None, "there is no file"),
    "half a gzip file": ("jsonl", gzip.compress(b'{"id": 1}\n' * 1000)[:-9], "cut off"),
    "lines called Parquet": ("parquet", b'{"id": 1}\n', "isn't a sound Parquet file"),
    "lines called Arrow": ("arrow", b'{"id": 1}\n', "isn't a sound Arrow file"),
}


@pytest.mark.parametrize(("form", "content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_can_not_be_read_is_an_error_of_the_messages_line(memory, tmp_path, form, content, said):
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    told = []
    messages = [SCHEMA, record(1, "a"), state(1), batch(tmp_path / "a", form=form), state(2)]
    with pytest.raises(MessageError, match=f"line 4: a file of the BATCH message can't be loaded: .*{said}"):
        load(messages, memory, tmp_path, tell=told.append)
    assert told == [b"1"]
    assert rows(memory) == [(1, "a")]


def test_a_line_without_end_is_an_error_before_memory_is_full(memory, tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(b'{"id": 1, "n": "' + b"x" * 2**24))
    with pytest.raises(MessageError, match="longer than 1000 bytes"):
        load([SCHEMA, batch(tmp_path / "a")], memory, tmp_path, max_line_bytes=1000)


def test_text_that_is_no_utf8_is_not_taken_from_columns(memory, columns, tmp_path):
    text = pa.array([b"\xff"]).view(pa.string())
    file = columns("a.arrow", pa.Table.from_arrays([pa.array([1]), text], ["id", "n"]))
    with pytest.raises(MessageError, match="Invalid UTF8"):
        load([SCHEMA, batch(file, form="arrow")], memory, tmp_path)


def test_bytes_are_not_taken_for_text(memory, columns, tmp_path):
    file = columns("a.parquet", pa.table({"id": [1], "n": pa.array([b"a"], pa.binary())}))
    with pytest.raises(MessageError, match="column 'n' holds bytes, and the stream's is TEXT"):
        load([SCHEMA, batch(file, form="parquet")], memory, tmp_path)


PROPERTIES = {
    "id": {"type": "integer"},
    "f": {"type": ["null", "number"]},
    "d": {"type": ["null", "number"], "multipleOf": 0.01},
    "t": {"type": ["null", "string"]},
    "b": {"type": ["null", "boolean"]},
    "day": {"type": ["null", "string"], "format": "date"},
    "clock": {"type": ["null", "string"], "format": "time"},
    "at": {"type": ["null", "string"], "format": "date-time"},
    "raw": {"type": ["null", "string"], "contentEncoding": "base16"},
    "any": {},
}
TYPED = dict(SCHEMA, schema={"properties": PROPERTIES})
ODD = {
    "id": 2**60,
    "f": 0.1,
    "d": Decimal("517.60"),
    "t": '漢字 "quoted"\0\n',
    "b": False,
    "day": date(1, 1, 1),
    "clock": time(23, 59, 59, 999999),
    "at": datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
    "raw": b"\0\xff",
    "any": {"a": [1, {"b": None}]},
}
TYPES = {
    "id": pa.int64(),
    "f": pa.float64(),
    "d": pa.decimal128(18, 2),
    "t": pa.string(),
    "b": pa.bool_(),
    "day": pa.date32(),
    "clock": pa.time64("us"),
    "at": pa.timestamp("us", "UTC"),
    "raw": pa.binary(),
    "any": pa.struct([("a", pa.list_(pa.int64()))]),
}


def test_values_of_every_kind_are_exact(memory, columns, tmp_path):
    odd = ODD | {"any": {"a": [1, None]}}
    table = pa.table({name: pa.array([odd[name], None if name != "id" else 1], of) for name, of in TYPES.items()})
    load([TYPED, batch(columns("a.parquet", table), form="parquet")], memory, tmp_path)
    first, second = sorted(memory.tables()["s"], key=lambda row: -row["id"])
    assert json.loads(first.pop("any")) == {"a": [1, None]}
    assert first == {name: value for name, value in odd.items() if name != "any"}
    assert second == dict.fromkeys(TYPES) | {"id": 1}


IS_SURE, IS_PLAIN = record_rows.is_sure, record_rows._is_plain


def never(*_):
    return False


VALUES = {
    "f": st.floats(allow_nan=False, allow_infinity=False),
    "t": st.text(max_size=5),
    "b": st.booleans(),
    "day": st.dates(),
    "clock": st.times(),
    "at": st.datetimes(timezones=st.just(UTC)),
    "raw": st.binary(max_size=5),
}


@given(data=st.data())
def test_rows_taken_as_they_stand_are_those_that_records_come_to(data):
    names = data.draw(st.lists(st.sampled_from([*VALUES]), unique=True))
    count = data.draw(st.integers(0, 5))
    found = {name: data.draw(st.lists(st.none() | VALUES[name], min_size=count, max_size=count)) for name in names}
    table = pa.table({"id": pa.array(range(count), pa.int64())} | {n: pa.array(v, TYPES[n]) for n, v in found.items()})
    sure, joined, written = (loaded(table, *way) for way in ((IS_SURE, IS_PLAIN), (never, IS_PLAIN), (never, never)))
    assert sure == joined == written


def loaded(table, is_sure, is_plain):
    memory = MemoryDestination(uuid.uuid4().hex)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        taken = []
        patch.setattr(record_rows, "is_sure", lambda *given: taken.append(is_sure(*given)) or taken[-1])
        patch.setattr(record_rows, "_is_plain", is_plain)
        parquet.write_table(table, f"{folder}/a.parquet")
        load([TYPED, batch(f"{folder}/a.parquet", form="parquet")], memory, folder)
        assert all(taken) is (is_sure is IS_SURE or not taken)
    return sorted(memory.tables().get("s", []), key=lambda row: row["id"])


def test_a_fraction_in_an_integer_field_is_judged_alike_however_it_is_written(columns, tmp_path):
    table = pa.table({"id": [1.0, 2.5, -0.0, 1e15], "n": ["a", "b", "c", "d"]})
    found = []
    for way in (IS_PLAIN, never):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(record_rows, "_is_plain", way)
            aside = tmp_path / f"{len(found)}.jsonl"
            settings = {"on_invalid": "quarantine", "quarantine": str(aside)}
            kept = MemoryDestination(uuid.uuid4().hex)
            load([SCHEMA, batch(columns("a.parquet", table), form="parquet")], kept, tmp_path, **settings)
            found.append((rows(kept), [json.loads(line).get("record") for line in aside.read_text().splitlines()]))
    assert found[0] == found[1]
