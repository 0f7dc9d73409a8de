"""What a SCHEMA message and the settings make of a stream."""

import json

import pytest

from tailrace.config import ColumnSettings, Settings, StreamSettings
from tailrace.errors import ConfigError, SchemaError
from tailrace.model import Column, Fill, Kind, Method, TableName, Traits
from tailrace.schema.stream import METADATA, planned_stream, stream_of_columns

TRAITS = Traits("db", "none", max_name_length=63)
SCHEMA = {
    "type": "object",
    "properties": {
        "Order ID": {"type": ["null", "integer"]},
        "total": {"type": "number", "multipleOf": 0.01},
        "customer": {"type": "object", "properties": {"id": {"type": "integer"}}},
    },
}


def planned(schema=SCHEMA, key=(), settings=None, traits=TRAITS, versioned=False, **message):
    settings = settings or StreamSettings()
    return planned_stream(
        "shop-Orders",
        json.dumps(schema).encode(),
        key,
        settings,
        traits,
        revision=3,
        versioned=versioned,
        **message,
    )


def names(stream):
    return [c.name for c in stream.columns]


def test_a_schema_message_becomes_a_stream():
    stream = planned(key=["Order ID"])
    assert stream.name == "shop-Orders"
    assert stream.table == TableName("shop_orders")
    assert stream.columns == (
        Column("order_id", ("Order ID",), Kind.INT, nullable=False, required=True),
        Column("total", ("total",), Kind.DECIMAL, 38, 2, nullable=False),
        Column("customer", ("customer",), Kind.JSON, nullable=False),
    )
    assert stream.key == ("order_id",)
    assert stream.method is Method.UPSERT
    assert (stream.contract, stream.validation, stream.unknown_fields) == ("evolve", "types", "drop")
    assert stream.json_schema == json.dumps(SCHEMA).encode()
    assert stream.revision == 3
    assert not stream.versioned


def test_settings_are_carried_over():
    settings = StreamSettings(hard_delete=True, contract="freeze", validation="full", unknown_fields="fail")
    stream = planned(settings=settings)
    assert (stream.hard_delete, stream.contract, stream.validation, stream.unknown_fields) == (
        True,
        "freeze",
        "full",
        "fail",
    )


def test_a_schema_that_allows_anything_evolves():
    assert planned(True, settings=StreamSettings(unknown_fields="evolve")).columns == ()


def test_numbers_of_the_schema_stay_exact():
    schema = (
        b'{"properties": {"a": {"type": "number", "multipleOf": 1e-5}, "b": {"type": "integer", "maximum": 1e400}}}'
    )
    stream = planned_stream("s", schema, (), StreamSettings(), TRAITS, revision=1, versioned=False)
    assert [c.spelling for c in stream.columns] == ["DECIMAL(38,5)", "DECIMAL(38,0)"]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [(b"{", "isn't JSON"), (b'{"a": 1e99999999999999999999}', "isn't JSON"), (b"[]", "must be a JSON object")],
)
def test_a_schema_that_is_none_is_refused(schema, reason):
    with pytest.raises(SchemaError, match=reason):
        planned_stream("s", schema, (), StreamSettings(), TRAITS, revision=1, versioned=False)


def test_columns_are_named_by_the_settings():
    settings = StreamSettings(columns={"Order ID": ColumnSettings(name="OrderNo")})
    stream = planned(settings=settings, key=["Order ID"])
    assert names(stream) == ["OrderNo", "total", "customer"]
    assert stream.key == ("OrderNo",)


def test_fields_that_flatten_to_one_name_are_refused_with_both():
    schema = {
        "properties": {
            "a": {"type": "object", "properties": {"b": {"type": "string"}}},
            "a__b": {"type": "string"},
        }
    }
    with pytest.raises(SchemaError, match=r"the fields 'a\.b' and 'a__b' would both be the column 'a__b'"):
        planned(schema, settings=StreamSettings(nested="flatten"))


@pytest.mark.parametrize("field", ["customer.id", "customer__id"])
def test_a_key_may_be_inside_an_object_that_is_flattened(field):
    assert planned(key=[field], settings=StreamSettings(nested="flatten")).key == ("customer__id",)


def test_a_key_in_the_settings_is_the_key():
    assert planned(key=["Order ID"], settings=StreamSettings(key_properties=("total",))).key == ("total",)


def test_an_empty_key_in_the_settings_means_none():
    stream = planned(key=["Order ID"], settings=StreamSettings(key_properties=()))
    assert (stream.key, stream.method) == ((), Method.APPEND)


def test_a_key_that_is_no_column_is_refused_with_the_nearest():
    with pytest.raises(
        SchemaError, match="the key field 'order_id' isn't among the columns; the nearest is 'Order ID'"
    ):
        planned({"properties": {"Order ID": {"type": "integer"}}}, ["order_id"], StreamSettings(naming="preserve"))


def test_a_key_that_is_left_out_is_refused():
    settings = StreamSettings(columns={"Order ID": ColumnSettings(select=False)})
    with pytest.raises(SchemaError, match="the key field 'Order ID' isn't among the columns"):
        planned(key=["Order ID"], settings=settings)


def test_a_field_named_twice_in_the_key_counts_once():
    assert planned(key=["total", "total"]).key == ("total",)


@pytest.mark.parametrize(
    ("message", "key", "method"),
    [
        ({"unique_constraints": ["total"], "unique_conflict_method": "UPDATE"}, ("total",), Method.UPSERT),
        ({"unique_constraints": ["total"], "unique_conflict_method": "ignore"}, ("total",), Method.INSERT_IGNORE),
        ({"unique_constraints": ["total"]}, ("total",), Method.UPSERT),
        ({"unique_conflict_method": "IGNORE"}, ("order_id",), Method.INSERT_IGNORE),
        ({"unique_constraints": []}, ("order_id",), Method.UPSERT),
    ],
)
def test_unique_constraints_of_the_message_are_key_and_method(message, key, method):
    stream = planned(key=["Order ID"], **message)
    assert (stream.key, stream.method) == (key, method)


def test_a_conflict_method_without_any_key_appends():
    assert planned(unique_conflict_method="UPDATE").method is Method.APPEND


def test_an_unknown_conflict_method_is_refused():
    with pytest.raises(ConfigError, match=r"unique_conflict_method: .* 'MERGE' .*UPDATE or IGNORE"):
        planned(key=["total"], unique_conflict_method="MERGE")


def test_the_method_of_the_settings_overrides_the_messages():
    settings = StreamSettings(method="append")
    assert planned(key=["total"], settings=settings, unique_conflict_method="IGNORE").method is Method.APPEND


@pytest.mark.parametrize("method", ["upsert", "insert_ignore"])
def test_methods_that_need_a_key_are_refused_without(method):
    with pytest.raises(ConfigError, match=f"method: stream 'shop-Orders': {method} needs a key"):
        planned(settings=StreamSettings(method=method))


APPENDING = Traits("files", "none", methods=frozenset({Method.APPEND, Method.REPLACE}))


def test_a_method_that_the_destination_lacks_is_refused_with_those_it_has():
    with pytest.raises(ConfigError, match=r"files can't load with upsert \(it has append, replace\)"):
        planned(key=["total"], settings=StreamSettings(method="upsert"), traits=APPENDING)


def test_a_stream_with_a_key_is_appended_where_nothing_else_can_be_done_and_nothing_is_asked():
    assert planned(key=["total"], traits=APPENDING).method is Method.APPEND


def test_singer_metadata_is_seven_columns():
    stream = planned(settings=StreamSettings(metadata="singer"))
    assert [(c.name, c.kind, c.fill, c.path) for c in stream.columns[3:]] == [
        ("_sdc_extracted_at", Kind.TIMESTAMPTZ, Fill.EXTRACTED_AT, ()),
        ("_sdc_received_at", Kind.TIMESTAMPTZ, Fill.RECEIVED_AT, ()),
        ("_sdc_batched_at", Kind.TIMESTAMPTZ, Fill.BATCHED_AT, ()),
        ("_sdc_deleted_at", Kind.TIMESTAMPTZ, Fill.DELETED_AT, ()),
        ("_sdc_sequence", Kind.INT, Fill.SEQUENCE, ()),
        ("_sdc_table_version", Kind.INT, Fill.TABLE_VERSION, ()),
        ("_sdc_sync_started_at", Kind.INT, Fill.SYNC_STARTED_AT, ()),
    ]
    assert stream.versioned


def test_mage_metadata_keeps_when_a_row_was_created():
    stream = planned(settings=StreamSettings(metadata="mage"))
    assert [(c.name, c.fill, c.keep) for c in stream.columns[3:]] == [
        ("_mage_created_at", Fill.CREATED_AT, True),
        ("_mage_updated_at", Fill.UPDATED_AT, False),
    ]


def test_versions_add_the_columns_that_activation_needs():
    assert names(planned(versioned=True))[3:] == ["_sdc_table_version", "_sdc_deleted_at"]
    hard = StreamSettings(hard_delete=True)
    assert names(planned(versioned=True, settings=hard))[3:] == ["_sdc_table_version"]
    singer = StreamSettings(metadata="singer")
    assert names(planned(versioned=True, settings=singer)) == names(planned(settings=singer))


def test_the_records_own_field_wins_over_a_metadata_column_but_not_over_the_versions():
    own = {"type": ["null", "string"], "format": "date-time"}
    schema = {"properties": {"_sdc_deleted_at": own, "_sdc_table_version": {"type": "integer"}}}
    stream = planned(schema, versioned=True)
    assert [(c.name, c.path, c.fill) for c in stream.columns] == [
        ("_sdc_deleted_at", ("_sdc_deleted_at",), None),
        ("_sdc_table_version", (), Fill.TABLE_VERSION),
    ]
    assert stream.deletion == stream.columns[0]
    assert planned(schema).filled_with(Fill.TABLE_VERSION) is None


def test_every_metadata_column_is_filled_and_may_be_null():
    columns = [c for some in METADATA.values() for c in some]
    assert all(c.fill and not c.path and c.nullable for c in columns)


def test_constants_are_columns_of_their_types_kind():
    constants = {"tenant": "eu", "shard": 7, "rate": 0.5, "live": True, "big": 2**64}
    stream = planned(settings=StreamSettings(constants=constants))
    assert [(c.name, c.spelling, c.constant, c.fill) for c in stream.columns[3:]] == [
        ("tenant", "TEXT", "eu", Fill.CONSTANT),
        ("shard", "INT", "7", Fill.CONSTANT),
        ("rate", "FLOAT", "0.5", Fill.CONSTANT),
        ("live", "BOOL", "true", Fill.CONSTANT),
        ("big", "DECIMAL(38,0)", "18446744073709551616", Fill.CONSTANT),
    ]


def test_a_constant_may_be_part_of_the_key():
    settings = StreamSettings(constants={"tenant": "eu"}, key_properties=("tenant", "Order ID"))
    stream = planned(settings=settings)
    assert stream.key == ("tenant", "order_id")
    assert not stream.column("tenant").nullable


@pytest.mark.parametrize("name", ["total", "TOTAL", "_sdc_sequence"])
def test_a_constant_with_the_name_of_another_column_is_refused(name):
    with pytest.raises(ConfigError, match=f"constants.{name}: the table has a column of that name already"):
        planned(settings=StreamSettings(constants={name: 1}, metadata="singer"))


def test_a_stream_without_columns_is_refused_unless_it_is_to_evolve():
    with pytest.raises(SchemaError, match="there are no columns"):
        planned({"type": "object"})
    assert planned({"type": "object"}, settings=StreamSettings(unknown_fields="evolve")).columns == ()


def test_settings_for_a_stream_plan_it():
    settings = Settings(streams={"shop-*": {"metadata": "mage", "table": "{table}", "schema": "{schema}"}})
    stream = planned(settings=settings.for_stream("shop-Orders"))
    assert stream.table == TableName("orders", "shop")
    assert names(stream)[3:] == ["_mage_created_at", "_mage_updated_at"]


def test_columns_that_are_known_make_a_stream_without_a_schema():
    columns = (Column("ID", ("ID",), Kind.INT), Column("Name", ("Name",), Kind.TEXT))
    stream = stream_of_columns("people", columns, ["ID"], StreamSettings(), TRAITS)
    assert names(stream) == ["id", "name"]
    assert (stream.key, stream.method, stream.revision) == (("id",), Method.UPSERT, 1)


@pytest.mark.parametrize(
    ("validation", "coerce", "expected"),
    [
        ("types", None, "none"),
        ("types", "exact", "exact"),
        ("off", None, "exact"),
        ("off", "none", "none"),
        ("full", None, "none"),
        ("full", "none", "none"),
    ],
)
def test_without_validation_values_are_coerced_unless_that_is_set(validation, coerce, expected):
    assert planned(SCHEMA, settings=StreamSettings(validation=validation, coerce=coerce)).coerce == expected


def test_full_validation_and_coercion_are_refused_together():
    with pytest.raises(ConfigError, match="coerce"):
        planned(SCHEMA, settings=StreamSettings(validation="full", coerce="exact"))


def test_a_deletion_column_comes_only_where_records_ask_for_deletions():
    hard = StreamSettings(hard_delete=True)
    assert planned(SCHEMA, settings=hard).deletions == ()
    assert [c.name for c in planned(SCHEMA, settings=hard, deletable=True).deletions] == ["_sdc_deleted_at"]
    own = {"type": "object", "properties": {"_sdc_deleted_at": {"type": ["null", "string"]}}}
    assert [c.name for c in planned(own, settings=hard, deletable=True).deletions] == [
        "_sdc_deleted_at",
        "_mage_deleted_at",
    ]
