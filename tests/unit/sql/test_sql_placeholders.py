"""SQL for drivers that write `%s`: only what stands outside of quotes is a placeholder."""

import pytest

from tailrace.sql.placeholders import percent


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT ? + ?", "SELECT %s + %s"),
        ("SELECT %s", "SELECT %s"),
        ('SELECT "a?""?" FROM "%s" WHERE x = ?', 'SELECT "a?""?" FROM "%%s" WHERE x = %s'),
        ("SELECT `a``?`, 'it''s ?' LIKE '%s%', ?", "SELECT `a``?`, 'it''s ?' LIKE '%%s%%', %s"),
        ("SELECT 5 % 2", "SELECT 5 %% 2"),
        ("SELECT 5 %some", "SELECT 5 %%some"),
    ],
)
def test_a_question_mark_outside_of_quotes_is_a_placeholder(sql, written):
    assert percent(sql) == written
