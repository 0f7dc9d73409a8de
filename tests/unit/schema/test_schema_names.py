"""Names of tables and columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import StreamSettings
from tailrace.destinations import traits_of
from tailrace.errors import ConfigError, SchemaError
from tailrace.model import TableName, Traits
from tailrace.schema.names import destination_names, fitted, given_name, snake, table_name

TRAITS = Traits("db", "none", max_name_length=30)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Order ID", "order_id"),
        ("orderID", "orderid"),
        ("a--b..c", "a_b_c"),
        ("a_ b__c", "a__b__c"),
        ("total (€)", "total_"),
        ("2nd", "_2nd"),
        ("名前", "名前"),
        ("一月", "一月"),
        ("Größe", "größe"),
        ("नाम", "नाम"),
        ("e\u0301te\u0301", "été"),
        ("", "_"),
        ("$$", "_"),
        ("a\x00b", "a_b"),
        ("_sdc_deleted_at", "_sdc_deleted_at"),
    ],
)
def test_snake_names(name, expected):
    assert snake(name) == expected


@pytest.mark.parametrize(
    ("name", "naming", "expected"),
    [
        ("Order ID", "mage", "order_id"),
        ("a--b..c", "mage", "a__b__c"),
        ("2nd", "mage", "2nd"),
        ("User", "mage", "_user"),
        ("Größe", "mage", "größe"),
        ("", "mage", "_"),
        ("type", "mage", "type"),
        ("Order ID", "mage_preserve", "Order_ID"),
        ("User", "mage_preserve", "_User"),
        ("User", "mage_words", "user"),
        ("Order-By", "mage_preserve_words", "Order_By"),
    ],
)
def test_names_of_columns_as_mage_spells_them(name, naming, expected):
    assert destination_names([name], naming, TRAITS, "orders") == {name: expected}


def test_mage_puts_an_underscore_before_more_words_in_mysql():
    fields = ["id", "Type", "name", "status", "user", "total"]
    names = ["id", "_type", "_name", "_status", "_user", "total"]
    assert [*destination_names(fields, "mage", traits_of("mysql"), "orders").values()] == names


@given(TEXT)
def test_a_snake_name_is_its_own(name):
    assert snake(snake(name)) == snake(name) != ""


def test_a_name_that_is_too_long_is_cut_on_a_character_and_given_a_hash():
    assert fitted("a" * 30, 30) == "a" * 30
    assert fitted("a" * 31, 30) == "aaaaaaaaaaaaaaaaaaaaa_eea04b3c"
    assert fitted("é" * 20, 30).startswith("é" * 10 + "_")


@given(TEXT, st.integers(12, 64))
def test_fitted_names_are_within_the_limit_and_stay_so(name, limit):
    once = fitted(name, limit)
    assert len(once.encode()) <= limit
    assert fitted(once, limit) == once


@given(st.lists(TEXT, unique=True, max_size=8), st.sampled_from(["snake", "preserve", "mage"]), st.booleans())
def test_names_are_within_the_limit_and_unique_or_the_meeting_is_refused(sources, naming, case_sensitive):
    traits = Traits("db", "none", max_name_length=30, case_sensitive=case_sensitive)
    try:
        names = destination_names(sources, naming, traits, "orders")
    except SchemaError as error:
        reasons = ("would both be the column", "control character", "keeps for itself")
        assert any(reason in str(error) for reason in reasons)  # noqa: PT017 one of them
        return
    assert list(names) == sources
    assert all(0 < len(name.encode()) <= 30 for name in names.values())
    folded = list(names.values()) if case_sensitive else [name.lower() for name in names.values()]
    assert len(set(folded)) == len(sources)


def test_two_fields_that_meet_are_both_named():
    with pytest.raises(SchemaError, match="the fields 'Order ID' and 'order-id' would both be the column 'order_id'"):
        destination_names(["Order ID", "order-id"], "snake", TRAITS, "orders")


def test_names_that_differ_in_case_alone_meet_unless_the_destination_tells_them_apart():
    with pytest.raises(SchemaError, match="'a' and 'A'"):
        destination_names(["a", "A"], "preserve", TRAITS, "orders")
    apart = Traits("db", "none", case_sensitive=True)
    assert destination_names(["a", "A"], "preserve", apart, "orders") == {"a": "a", "A": "A"}


def test_names_chosen_by_hand_are_taken_as_they_are_and_can_meet_too():
    assert destination_names(["a"], "snake", TRAITS, "orders", {"a": "My A"}) == {"a": "My A"}
    with pytest.raises(SchemaError, match="'a' and 'b'"):
        destination_names(["a", "b"], "snake", TRAITS, "orders", {"b": "A"})


def test_the_column_of_the_line_is_tailraces_own():
    with pytest.raises(SchemaError, match="keeps for itself"):
        destination_names(["_tailrace_line"], "snake", TRAITS, "orders")


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "\x7f"])
def test_control_characters_are_refused_where_names_are_preserved(name):
    with pytest.raises(SchemaError, match="control character"):
        destination_names([name], "preserve", TRAITS, "orders")


@pytest.mark.parametrize(("name", "reason"), [("", "can't be a name"), ("a\0", "can't be"), ("a" * 31, "30 bytes")])
def test_a_chosen_name_that_cannot_be_is_refused(name, reason):
    with pytest.raises(ConfigError, match=reason):
        given_name(name, "columns.a.name", TRAITS)


@pytest.mark.parametrize(
    ("stream", "settings", "expected"),
    [
        ("Users", {}, TableName("users")),
        ("public-Users", {}, TableName("public_users")),
        ("public-users", {"table": "{table}", "schema": "{schema}"}, TableName("users", "public")),
        ("a-b-c", {"table": "{table}", "schema": "{schema}"}, TableName("b_c", "a")),
        ("users", {"table": "{table}", "schema": "{schema}"}, TableName("users")),
        ("users", {"table": "Raw_{stream}", "schema": "LANDING"}, TableName("Raw_users", "LANDING")),
        ("Users", {"naming": "preserve"}, TableName("Users")),
        ("My Users", {"naming": "mage"}, TableName("My Users")),
        ("", {}, TableName("_")),
        ("x", {"table": "{{x}}"}, TableName("{x}")),
    ],
)
def test_tables_are_named_by_templates(stream, settings, expected):
    assert table_name(stream, StreamSettings(**settings), TRAITS) == expected


def test_a_long_table_name_is_cut():
    assert len(table_name("t" * 99, StreamSettings(), TRAITS).name) == 30


@pytest.mark.parametrize("template", ["{strean}", "{stream!r}", "{stream:>9}", "{", "{}", "{stream.__class__}"])
def test_a_template_with_anything_else_is_refused(template):
    with pytest.raises(ConfigError, match=r"\{stream\}, \{schema\}, \{table\}"):
        table_name("users", StreamSettings(table=template), TRAITS)


def test_a_stream_name_with_a_control_character_is_refused_where_names_are_preserved():
    with pytest.raises(SchemaError, match="control character"):
        table_name("a\0", StreamSettings(naming="preserve"), TRAITS)


@pytest.mark.parametrize(
    ("stream", "settings"),
    [
        ("_tailrace_checkpoints", {}),
        ("-Tailrace Checkpoints", {}),
        ("_TAILRACE_new", {"naming": "preserve"}),
        ("_ta\u0301ilrace_checkpoints", {"naming": "preserve"}),
        ("_\uff54ailrace\u200b_x", {"naming": "preserve"}),
        ("x", {"table": "_tailrace_{stream}"}),
        ("tailrace_x", {"table": "_{stream}"}),
        ("_tailrace-x", {"table": "{table}", "schema": "{schema}"}),
        ("_tailrace_" + "x" * 99, {}),
    ],
)
def test_no_stream_has_a_table_or_schema_of_tailraces_own(stream, settings):
    with pytest.raises(SchemaError, match="a name that tailrace keeps for itself"):
        table_name(stream, StreamSettings(**settings), TRAITS)


def test_no_stream_has_a_table_or_schema_of_the_destinations_own():
    traits = Traits("db", "none", own_tables="_delta_log", own_schemas="pg_.*")
    for stream in ("_delta_log", "pg_catalog-pg_class", "PG_catalog-x"):
        with pytest.raises(SchemaError, match="a name that db keeps"):
            table_name(stream, StreamSettings(table="{table}", schema="{schema}", naming="preserve"), traits)
    assert table_name("pg_x", StreamSettings(table="{table}", schema="{schema}"), traits) == TableName("pg_x")


@pytest.mark.parametrize("field", ["_tailrace_match", "_Tailrace_Line", "_tailrace"])
def test_no_field_is_a_column_of_tailraces_own(field):
    for naming in ("snake", "preserve"):
        with pytest.raises(SchemaError, match="keeps for itself"):
            destination_names([field], naming, TRAITS, "orders")
    with pytest.raises(ConfigError, match="begins with '_tailrace'"):
        given_name(field, "columns.a.name", TRAITS)


def test_what_a_destination_has_in_no_name_becomes_an_underscore_unless_it_is_chosen():
    traits = Traits("db", "none", unusable=r"[^\u0001-\uffff]| +$")
    preserved = destination_names(["a😀", "b  "], "preserve", traits, "orders")
    assert preserved == {"a😀": "a_", "b  ": "b_"}
    assert destination_names(["𝒜"], "snake", traits, "orders") == {"𝒜": "_"}
    assert table_name(
        "😀-😀", StreamSettings(table="{table}", schema="{schema}", naming="preserve"), traits
    ) == TableName("_", "_")
    with pytest.raises(ConfigError, match=r"can't be a name in db.*'a_' can be one"):
        given_name("a😀", "columns.a.name", traits)
