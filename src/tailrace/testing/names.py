"""Behaviours: any name can name a table or a column, and no two names become one."""

from __future__ import annotations

import re

from tailrace.errors import SchemaError
from tailrace.schema.names import fitted, snake
from tailrace.testing.messages import INT, TEXT, THINGS, Message, by, loaded, only, raises, record, records, schema
from tailrace.testing.subject import Subject

RESERVED = ("select", "from", "table", "order", "group", "user", "index", "default", "key", "values", "limit")
"""Reserved words of several SQL dialects."""

SYSTEM = ("oid", "_rowid_", "ctid", "xmin", "tableoid", "file_row_number", "rowid")
"""Names that a database's own columns have."""

HOSTILE = (
    'a"b',
    "a'b",
    "a`b",
    "a]b[c",
    "a.b",
    "a;b",
    "a--b",
    "a/*b*/",
    "a\\b",
    "a b",
    " a ",
    "1a",
    "42",
    "$1",
    "?",
    ":p",
    "%s",
    "{x}",
    "a,b",
    "a(b)",
    "é",
    "列",
    "😀",
    "'; DROP TABLE things; --",
    '"; DROP TABLE things; --',
    "x" * 200,
)
"""Names that break SQL in which they aren't quoted, or quoted wrongly."""


def reserved_words_are_columns(subject: Subject) -> None:
    """As keys too: through insert, update and a new column."""
    key = ["select", "order"]
    properties = dict.fromkeys(RESERVED[:-1], INT)
    loaded(subject, schema(properties, key), record(dict.fromkeys(properties, 1)))
    changed = {name: 1 if name in key else 2 for name in RESERVED}
    loaded(subject, schema(dict.fromkeys(RESERVED, INT), key), record(changed))
    assert only(subject.rows(THINGS)) == changed


def names_of_system_columns_are_columns(subject: Subject) -> None:
    """A stream may have columns named like a database's own. Its rows are still found by their key.

    Names that the destination declares to be reserved have a `_` behind them.
    """
    reserved = subject.open().traits.reserved
    for value in (1, 2, 3):
        properties = dict.fromkeys(("id", *SYSTEM[: len(SYSTEM) - 2 + value]), INT)
        sent = dict.fromkeys(properties, value) | {"id": 1}
        report = loaded(subject, schema(properties, ["id"]), record(sent))
    columns = [f"{name}_" if name in reserved else name for name in SYSTEM]
    assert only(subject.rows(THINGS)) == {"id": 1} | dict.fromkeys(columns, 3)
    assert report.total.updated == 1


def reserved_words_are_tables(subject: Subject) -> None:
    """Each table has a row that is inserted and then updated."""
    for n in (1, 2):
        sent = [m for name in RESERVED for m in (schema({"id": INT, "n": INT}, ["id"], name), _numbered(name, n))]
        loaded(subject, *sent)
    assert [subject.rows(name) for name in RESERVED] == [[{"id": 1, "n": 2}]] * len(RESERVED)


def hostile_names_are_columns_as_they_are(subject: Subject) -> None:
    """`naming: preserve`, through insert, update and a new column."""
    columns = _fitted(subject)
    for value in (1, 2):
        names = HOSTILE[: len(HOSTILE) - 2 + value]
        properties = dict.fromkeys(names, INT)
        sent = dict.fromkeys(names, value) | {"a;b": 7}
        loaded(subject, schema(properties, ["a;b"]), record(sent), naming="preserve")
    expected = {columns[name]: 7 if name == "a;b" else 2 for name in HOSTILE}
    assert only(subject.rows(THINGS)) == expected


def hostile_names_are_tables_as_they_are(subject: Subject) -> None:
    """`naming: preserve`. The table of things is still there afterwards."""
    loaded(subject, schema({"id": INT}), record({"id": 1}))
    tables = _fitted(subject)
    for n in (1, 2):
        sent = [m for name in HOSTILE for m in (schema({"id": INT, "n": INT}, ["id"], name), _numbered(name, n))]
        loaded(subject, *sent, naming="preserve")
    assert {name: subject.rows(tables[name]) for name in HOSTILE} == {name: [{"id": 1, "n": 2}] for name in HOSTILE}
    assert len(subject.rows(THINGS)) == 1


def hostile_names_are_replaced_and_deleted_from(subject: Subject) -> None:
    """The statements of all methods quote names."""
    names = HOSTILE[:4]
    streams = dict(zip(names, ("replace", "insert_ignore", "append", "upsert"), strict=True))
    for value in (1, 2):
        sent = [schema({name: INT, "_sdc_deleted_at": TEXT}, [name], name) for name in names]
        sent += [record({name: value}, name) for name in names]
        sent.append(record({names[3]: 1, "_sdc_deleted_at": "2024-01-31T12:00:00Z"}, names[3]))
        methods = {_escaped(name): {"method": method} for name, method in streams.items()}
        loaded(subject, *sent, naming="preserve", hard_delete=True, streams=methods)
    found = {name: sorted(str(row[name]) for row in subject.rows(name)) for name in names}
    assert list(found.values()) == [["2"], ["1", "2"], ["1", "2"], ["2"]]


def snake_names_are_lower_case_words(subject: Subject) -> None:
    """The default: other characters become `_`, and a digit isn't first."""
    fields = {"Order ID": 1, "total-Price ($)": 2, "2nd": 3, "列 A": 4}
    loaded(subject, schema(dict.fromkeys(fields, INT), (), "My Orders"), record(fields, "My Orders"))
    assert only(subject.rows("my_orders")) == {"order_id": 1, "total_price_": 2, "_2nd": 3, "列_a": 4}


def hostile_names_are_columns_in_snake(subject: Subject) -> None:
    """Each becomes a column. Names that become the same column are in different streams."""
    limit = subject.open().traits.max_name_length
    streams: list[dict[str, str]] = []
    for name in HOSTILE:
        column = fitted(snake(name), limit)
        stream = next((columns for columns in streams if column not in columns), None)
        if stream is None:
            streams.append(stream := {})
        stream[column] = name
    sent = [dict.fromkeys(columns.values(), 1) for columns in streams]
    schemas = [schema(dict.fromkeys(fields, INT), (), f"t{n}") for n, fields in enumerate(sent)]
    loaded(subject, *schemas, *(record(fields, f"t{n}") for n, fields in enumerate(sent)))
    for n, columns in enumerate(streams):
        assert only(subject.rows(f"t{n}")) == dict.fromkeys(columns, 1)


def preserved_names_keep_their_case(subject: Subject) -> None:
    """As the tap writes them."""
    loaded(subject, schema({"OrderId": INT, "naïveName": TEXT}), record({"OrderId": 1}), naming="preserve")
    assert list(only(subject.rows(THINGS))) == ["OrderId", "naïveName"]


def a_table_is_found_again_under_a_preserved_name(subject: Subject) -> None:
    """A second run inserts into the same table."""
    for number in (1, 2):
        loaded(
            subject, schema({"Id": INT}, ["Id"], "My Things"), record({"Id": number}, "My Things"), naming="preserve"
        )
    assert by(subject.rows("My Things"), "Id") == [{"Id": 1}, {"Id": 2}]


def two_fields_that_meet_in_one_column_are_refused(subject: Subject) -> None:
    """The error names both, and nothing is loaded."""
    with raises(SchemaError, "'Order ID'", "'order_id'"):
        loaded(subject, schema({"Order ID": INT, "order_id": INT}), record({"order_id": 1}))
    assert subject.rows(THINGS) == []


def two_streams_that_meet_in_one_table_are_refused(subject: Subject) -> None:
    """The error names both."""
    sent = [schema({"id": INT}, (), "My Things"), schema({"id": INT}, (), "my things")]
    with raises(SchemaError, "'My Things'", "'my things'"):
        loaded(subject, *sent)


def names_that_differ_in_case_alone_are_two_or_refused(subject: Subject) -> None:
    """As the destination's traits say. Two columns are never merged."""
    sent = [schema({"name": INT, "Name": INT}), record({"name": 1, "Name": 2})]
    if subject.open().traits.case_sensitive:
        loaded(subject, *sent, naming="preserve")
        assert only(subject.rows(THINGS)) == {"name": 1, "Name": 2}
    else:
        with raises(SchemaError, "'name'", "'Name'"):
            loaded(subject, *sent, naming="preserve")


def tables_that_differ_in_case_alone_are_two_or_refused(subject: Subject) -> None:
    """As the destination's traits say. Two streams are never merged."""
    sent = [m for n, name in enumerate(("orders", "Orders")) for m in (schema({"id": INT}, (), name), _id(name, n))]
    if subject.open().traits.case_sensitive:
        for _ in range(2):
            loaded(subject, *sent, naming="preserve")
        assert subject.rows("orders") == [{"id": 0}] * 2
        assert subject.rows("Orders") == [{"id": 1}] * 2
    else:
        with raises(SchemaError, "'orders'", "'Orders'"):
            loaded(subject, *sent, naming="preserve")


def long_columns_that_begin_alike_stay_apart(subject: Subject) -> None:
    """Names of 300 characters that share the first 299. They are cut to the destination's limit."""
    names = ["x" * 299 + end for end in "ab"] + ["é" * 299 + end for end in "ab"]
    properties = {"id": INT} | dict.fromkeys(names, INT)
    for value in (0, 10):
        sent = {name: place + value for place, name in enumerate(names)}
        loaded(subject, schema(properties, ["id"]), record({"id": 99, **sent}))
    row = only(subject.rows(THINGS))
    assert sorted(map(str, row.values())) == ["10", "11", "12", "13", "99"]
    limit = subject.open().traits.max_name_length
    assert max(len(name.encode()) for name in row) <= limit


def long_tables_that_begin_alike_stay_apart(subject: Subject) -> None:
    """Streams whose names share their first 200 characters, and more."""
    limit = subject.open().traits.max_name_length
    names = ["t" * 200 + "a", "t" * 200 + "b", "t" * 400 + "a", "t" * 400 + "b"]
    sent = [m for n, name in enumerate(names) for m in (schema({"id": INT}, (), name), record({"id": n}, name))]
    loaded(subject, *sent, *records({"id": 9}, stream=names[0]))
    assert [sorted(str(row["id"]) for row in subject.rows(fitted(name, limit))) for name in names] == [
        ["0", "9"],
        ["1"],
        ["2"],
        ["3"],
    ]


def _id(stream: str, key: int) -> Message:
    return record({"id": key}, stream)


def _numbered(name: str, n: int) -> Message:
    return record({"id": 1, "n": n}, name)


def _fitted(subject: Subject) -> dict[str, str]:
    """The destination's name of each hostile one, with a `_` for what it declares to be unusable."""
    traits = subject.open().traits
    usable = {name: re.sub(traits.unusable, "_", name) if traits.unusable else name for name in HOSTILE}
    return {name: fitted(text, traits.max_name_length) for name, text in usable.items()}


def _escaped(name: str) -> str:
    """The name as a glob that matches it alone."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)
