"""What a table lacks for a stream, by the stream's contract."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tailrace.errors import SchemaError
from tailrace.model import Column, Fill, Kind, Method, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn, Widening, changes
from tailrace.schema.kinds import FITS, WIDENINGS

TRAITS = Traits("db", "none", max_name_length=30)
EVERYTHING = frozenset((have, want) for have, wants in WIDENINGS.items() for want in wants)
NOTHING = frozenset()


def column(name, kind="INT", precision=0, scale=0, path=None, **more):
    return Column(name, (path or name,), Kind[kind], precision, scale, **more)


def has(name, kind="INT", precision=0, scale=0, **more):
    return TableColumn(name, Kind[kind] if kind else None, precision, scale, **more)


def stream(*columns, **more):
    return Stream("orders", TableName("orders", "shop"), columns, **more)


def fit(have, want, alterable=EVERYTHING, **more):
    return changes([have], stream(want, **more), TRAITS, alterable)


def test_a_table_that_fits_is_left_alone():
    found = fit(has("a", nullable=False), column("a", nullable=False, required=True))
    assert found == Fit(targets={"a": has("a", nullable=False)})
    assert not found.is_change


def test_a_new_column_is_added_and_may_be_null():
    found = changes(
        [has("a")], stream(column("a"), column("b", "TEXT", nullable=False, required=True)), TRAITS, NOTHING
    )
    assert found.add == (column("b", "TEXT"),)
    assert found.targets["b"] == has("b", "TEXT")
    assert found.is_change


@pytest.mark.parametrize(
    ("have", "want", "after"),
    [
        (has("a", "INT"), column("a", "DECIMAL", 38, 9), has("a", "DECIMAL", 38, 9)),
        (has("a", "INT"), column("a", "DECIMAL", 10, 2), has("a", "DECIMAL", 21, 2)),
        (has("a", "INT"), column("a", "TEXT"), has("a", "TEXT")),
        (has("a", "DECIMAL", 10, 2), column("a", "DECIMAL", 10, 4), has("a", "DECIMAL", 12, 4)),
        (has("a", "DATE"), column("a", "TIMESTAMPTZ"), has("a", "TIMESTAMPTZ")),
        (has("a", "BOOL"), column("a", "TEXT"), has("a", "TEXT")),
        (has("a", "UUID"), column("a", "TEXT"), has("a", "TEXT")),
        (has("a", "INT", sql_type="BIGINT"), column("a", "JSON"), has("a", "JSON")),
    ],
)
def test_a_wider_type_is_altered_in_place_where_the_destination_can(have, want, after):
    assert fit(have, want) == Fit(widen=(Widening(have, after),), targets={"a": after})


@pytest.mark.parametrize(
    ("have", "want", "beside"),
    [
        (has("a", "INT"), column("a", "FLOAT"), column("a__float", "FLOAT", path="a")),
        (has("a", "FLOAT"), column("a", "DECIMAL", 38, 9), column("a__decimal", "DECIMAL", 38, 9, path="a")),
        (has("a", "INT"), column("a", "DECIMAL", 38, 20), column("a__decimal", "DECIMAL", 38, 20, path="a")),
        (has("a", "DECIMAL", 38, 0), column("a", "DECIMAL", 38, 9), column("a__decimal", "DECIMAL", 38, 9, path="a")),
        (has("a", "TIMESTAMPTZ"), column("a", "TIME"), column("a__time", "TIME", path="a")),
        (has("a", "BINARY"), column("a", "TEXT"), column("a__text", "TEXT", path="a")),
    ],
)
def test_what_cannot_be_altered_without_loss_goes_into_a_column_beside(have, want, beside):
    found = fit(have, want)
    assert (found.add, found.widen) == ((beside,), ())
    assert found.targets["a"].name == beside.name


def test_what_the_destination_cannot_alter_goes_into_a_column_beside():
    assert fit(has("a"), column("a", "TEXT"), NOTHING).add == (column("a__text", "TEXT", path="a"),)


def test_a_column_beside_is_used_again():
    have = [has("a"), has("a__text", "TEXT")]
    assert changes(have, stream(column("a", "TEXT")), TRAITS, NOTHING) == Fit(targets={"a": have[1]}, cleared=("a",))


def test_a_column_beside_that_does_not_fit_is_widened_or_refused():
    have = [has("a", "FLOAT"), has("a__decimal", "DECIMAL", 10, 2)]
    wanted = stream(column("a", "DECIMAL", 20, 2))
    widened = changes(have, wanted, TRAITS, EVERYTHING)
    assert widened.targets["a"] == has("a__decimal", "DECIMAL", 20, 2)
    with pytest.raises(SchemaError, match=r"has 'a__decimal' as DECIMAL\(10,2\), the stream wants DECIMAL\(20,2\)"):
        changes(have, wanted, TRAITS, NOTHING)


def test_the_name_of_a_column_beside_is_within_the_limit():
    have = has("a" * 30)
    (added,) = fit(have, column("a" * 30, "FLOAT")).add
    assert len(added.name) == 30


@pytest.mark.parametrize(
    ("have", "want"),
    [
        (has("a", "TEXT"), column("a", "INT")),
        (has("a", "TEXT"), column("a", "JSON")),
        (has("a", "DECIMAL", 5, 0), column("a", "INT")),
        (has("a", "DECIMAL", 10, 2), column("a", "FLOAT")),
        (has("a", "DECIMAL", 10, 2), column("a", "DECIMAL", 8, 2)),
        (has("a", "DECIMAL"), column("a", "DECIMAL", 38, 30)),
        (has("a", "TIMESTAMPTZ"), column("a", "DATE")),
        (has("a", "TIMESTAMP"), column("a", "TIMESTAMPTZ")),
        (has("a", None, sql_type="inet"), column("a", "TEXT")),
        (has("a", "INT"), column("a", "TEXT", sql_type="INTEGER")),
    ],
)
def test_a_narrower_stream_keeps_the_tables_type(have, want):
    assert fit(have, want) == Fit(targets={"a": have})


def test_columns_that_are_gone_stay_and_take_null():
    have = [has("a"), has("old", "TEXT"), has("id", nullable=False), has("at", nullable=False, has_default=True)]
    found = changes(have, stream(column("a")), TRAITS, NOTHING, key=["id"])
    assert found == Fit(targets={"a": have[0]})
    assert changes(have, stream(column("a")), TRAITS, NOTHING).relax == ("id",)


@pytest.mark.parametrize("want", [column("a"), column("a", nullable=False), column("a", required=True)])
def test_a_column_that_the_stream_may_leave_empty_loses_not_null(want):
    found = fit(has("a", nullable=False), want)
    assert found.relax == ("a",)
    assert found.targets["a"].nullable


def test_a_column_that_is_left_for_one_beside_loses_not_null():
    want = column("a", "FLOAT", nullable=False, required=True)
    assert fit(has("a", nullable=False), want).relax == ("a",)


def test_names_that_differ_in_case_alone_are_one_unless_the_destination_tells_them_apart():
    assert fit(has("A"), column("a")).targets == {"a": has("A")}
    apart = replace(TRAITS, case_sensitive=True)
    assert changes([has("A")], stream(column("a")), apart, NOTHING).add == (column("a"),)


def test_two_columns_never_go_into_one():
    wanted = stream(column("a", "FLOAT"), column("a__float", "FLOAT"))
    with pytest.raises(SchemaError, match="'a' and 'a__float' would both go into 'a__float'"):
        changes([has("a")], wanted, TRAITS, NOTHING)


KEYED = stream(column("id", nullable=False, required=True), column("b", "TEXT"), key=("id",), method=Method.UPSERT)


@pytest.mark.parametrize(("key", "shown"), [((), "none"), (("b",), "(b)"), (("id", "b"), "(id, b)")])
def test_another_key_is_refused_with_both(key, shown):
    with pytest.raises(SchemaError) as caught:
        changes([has("id"), has("b", "TEXT")], KEYED, TRAITS, EVERYTHING, key=key)
    assert f"its key changes: {shown} -> (id) (the table shop.orders has the former)" in str(caught.value)
    assert (caught.value.have, caught.value.want) == (shown, "(id)")


def test_a_key_that_the_table_has_no_column_for_is_refused():
    with pytest.raises(SchemaError, match=r"has no column 'id', which is in the stream's key \(id\)"):
        changes([has("b", "TEXT")], KEYED, TRAITS, EVERYTHING)


def test_a_keys_order_and_case_do_not_matter():
    assert not changes([has("ID", nullable=False), has("b", "TEXT")], KEYED, TRAITS, NOTHING, key=["ID"]).is_change


def test_appended_rows_have_the_key_of_their_table_too():
    have, appended = [has("id"), has("b", "TEXT")], replace(KEYED, method=Method.APPEND)
    for key in (None, ["id"]):
        assert not changes(have, appended, TRAITS, NOTHING, key=key).is_change
    for stream_key, key, shown in ((("id",), (), "none -> (id)"), ((), ("id",), "(id) -> none")):
        with pytest.raises(SchemaError) as caught:
            changes(have, replace(appended, key=stream_key), TRAITS, NOTHING, key=key)
        assert f"its key changes: {shown}" in str(caught.value)


def test_appended_rows_leave_a_key_to_the_database_that_they_have_no_column_for():
    have = [has("number", nullable=False, has_default=True), has("a")]
    assert not changes(have, stream(column("a")), TRAITS, NOTHING, key=["number"]).is_change


def test_a_key_column_is_widened_in_place_but_never_moved():
    wanted = replace(KEYED, columns=(column("id", "TEXT", nullable=False, required=True), KEYED.columns[1]))
    have = [has("id", nullable=False), has("b", "TEXT")]
    assert changes(have, wanted, TRAITS, EVERYTHING, key=["id"]).targets["id"].kind is Kind.TEXT
    with pytest.raises(SchemaError, match="rows are told apart by it; alter it to TEXT yourself") as caught:
        changes(have, wanted, TRAITS, NOTHING, key=["id"])
    assert (caught.value.column, caught.value.have, caught.value.want) == ("id", "INT", "TEXT")


@pytest.mark.parametrize("kind", ["FLOAT", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "UUID"])
def test_a_key_whose_values_have_several_spellings_does_not_become_text(kind):
    wanted = replace(KEYED, columns=(column("id", "TEXT", nullable=False, required=True), KEYED.columns[1]))
    with pytest.raises(SchemaError, match="whose values have no one spelling as text"):
        changes([has("id", kind, nullable=False), has("b", "TEXT")], wanted, TRAITS, EVERYTHING, key=["id"])


@pytest.mark.parametrize(
    ("have", "want", "found"),
    [
        (has("b"), column("a"), "no such column"),
        (has("a"), column("a", "TEXT"), "INT"),
        (has("a"), column("a", "FLOAT"), "INT"),
    ],
)
def test_a_frozen_table_is_not_changed(have, want, found):
    with pytest.raises(SchemaError, match="`contract: freeze` leaves the table as it is") as caught:
        fit(have, want, contract="freeze")
    assert (caught.value.column, caught.value.have, caught.value.want) == ("a", found, want.spelling)


def test_a_frozen_table_that_fits_is_loaded():
    assert fit(has("a", "TEXT", nullable=False), column("a"), contract="freeze").targets["a"].kind is Kind.TEXT


def test_a_table_that_is_to_stay_as_it_is_must_take_null_where_the_stream_has_nothing():
    have = [has("a"), has("old", nullable=False)]
    with pytest.raises(SchemaError, match="'old', which is NOT NULL and which the stream doesn't have"):
        changes(have, stream(column("a"), contract="freeze"), TRAITS, NOTHING)


def test_discard_columns_leaves_out_what_does_not_fit():
    have = [has("a"), has("b"), has("c")]
    wanted = stream(column("a"), column("b", "TEXT"), column("c", "FLOAT"), column("d"), contract="discard_columns")
    assert changes(have, wanted, TRAITS, EVERYTHING) == Fit(targets={"a": have[0]}, dropped=("b", "c", "d"))
    beside = [*have, has("c__float", "BOOL")]
    assert changes(beside, wanted, TRAITS, EVERYTHING).dropped == ("b", "c", "d")


@pytest.mark.parametrize(
    "told",
    [
        Column("_sdc_table_version", (), Kind.INT, fill=Fill.TABLE_VERSION),
        Column("_sdc_deleted_at", ("_sdc_deleted_at",), Kind.TIMESTAMPTZ),
    ],
)
def test_discard_columns_keeps_what_loading_stands_on(told):
    with pytest.raises(SchemaError, match="rows are told apart by this column"):
        changes([has("a")], stream(column("a"), told, contract="discard_columns"), TRAITS, EVERYTHING)


def test_every_kind_says_what_it_fits_into_and_what_it_can_become():
    assert set(FITS) == set(WIDENINGS) == set(Kind)


DIGITS = st.tuples(st.integers(0, 38), st.integers(0, 38)).filter(lambda d: 1 <= d[0] + d[1] <= 38)
NAMES = st.sampled_from(["a", "b", "c", "a__text"])


@st.composite
def shaped(draw, make):
    kind = draw(st.sampled_from(Kind))
    before, scale = draw(DIGITS) if kind is Kind.DECIMAL else (0, 0)
    return make(draw(NAMES), kind.name, before + scale, scale, nullable=draw(st.booleans()))


def columns_of(make):
    return st.lists(shaped(make), unique_by=lambda c: c.name, min_size=1, max_size=4)


def applied(have, fit):
    widened = {w.have.name: w.want for w in fit.widen}
    added = [TableColumn(c.name, c.kind, c.precision, c.scale) for c in fit.add]
    kept = [widened.get(c.name, c) for c in have]
    return [structs.replace(c, nullable=True) if c.name in fit.relax else c for c in kept] + added


@given(columns_of(has), columns_of(column), st.sampled_from([NOTHING, EVERYTHING]))
def test_after_its_changes_a_table_fits(have, wanted, alterable):
    try:
        first = changes(have, stream(*wanted), TRAITS, alterable)
    except SchemaError:
        return
    again = changes(applied(have, first), stream(*wanted), TRAITS, alterable)
    assert not again.is_change
    assert again.targets.keys() == {c.name for c in wanted}
    assert {name: t.name for name, t in again.targets.items()} == {name: t.name for name, t in first.targets.items()}


@given(columns_of(has), columns_of(column), st.sampled_from(["freeze", "discard_columns"]))
def test_a_table_that_is_to_stay_as_it_is_never_changes(have, wanted, contract):
    try:
        found = changes(have, stream(*wanted, contract=contract), TRAITS, EVERYTHING)
    except SchemaError:
        return
    assert not found.is_change
    assert found.targets.keys() | set(found.dropped) == {c.name for c in wanted}
