"""JSON arrays as literals of PostgreSQL's arrays."""

import pyarrow as pa
import pytest

from tailrace.destinations.postgres.arrays import literal, with_arrays


@pytest.mark.parametrize(
    ("text", "sql_type", "expected"),
    [
        ("[]", "text[]", "{}"),
        ('["a","NULL",null,""]', "text[]", '{"a","NULL",NULL,""}'),
        (r'["a\"b","c\\d","e,f","{g}"]', "text[]", r'{"a\"b","c\\d","e,f","{g}"}'),
        ("[1, -2,1.50,1e400]", "numeric[]", "{1,-2,1.50,1e400}"),
        ("[true,false]", "boolean[]", "{true,false}"),
        ("[[1,2],[3,4]]", "bigint[]", "{{1,2},{3,4}}"),
        ('[{"a": 1.50}]', "text[]", r'{"{\"a\": 1.50}"}'),
        ('[{"a":1},"b",null,[2]]', "jsonb[]", r'{"{\"a\":1}","\"b\"",NULL,"[2]"}'),
        ("[1", "bigint[]", "[1"),
        ('{"a":[1]}', "bigint[]", '{"a":[1]}'),
    ],
)
def test_an_array_of_json_is_written_as_postgresql_reads_arrays(text, sql_type, expected):
    assert literal(text, sql_type) == expected


def test_only_columns_of_arrays_change_and_the_server_is_asked_only_where_there_are_brackets():
    rows = pa.table({"a": ["[1]", None], "b": ["[1]", "x"], "n": [1, 2]})
    changed = with_arrays(rows, lambda: {"a": "bigint[]", "b": "text", "n": "bigint"})
    assert changed.to_pydict() == {"a": ["{1}", None], "b": ["[1]", "x"], "n": [1, 2]}

    def asked():
        raise AssertionError

    plain = pa.table({"b": ["x", "{}"]})
    assert with_arrays(plain, asked) is plain
