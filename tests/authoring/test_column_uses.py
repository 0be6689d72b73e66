"""What SQL statements read a column as, found in their text."""

from __future__ import annotations

import time

import pytest

from homie_migrations_core.authoring.column_uses import ColumnUse, ColumnUses


@pytest.mark.parametrize(
    ("statement", "use"),
    [
        ("CHECK (json_valid(a))", ColumnUse(is_json=True)),
        ('CHECK (JSON_VALID ( "a" ) OR a IS NULL)', ColumnUse(is_json=True)),
        ("json(t.a)", ColumnUse(is_json=True)),
        ("json_extract(a, '$.x')", ColumnUse(is_json=True, json_paths=["$.x"])),
        ("jsonb_extract([a], '$.x', '$.y.z')", ColumnUse(is_json=True, json_paths=["$.x", "$.y.z"])),
        ("a ->> 'x'", ColumnUse(is_json=True, json_paths=["$.x"])),
        ("new.a->'$.x'->>'y'", ColumnUse(is_json=True, json_paths=["$.x.y"])),
        ("a ->> 0", ColumnUse(is_json=True, json_paths=["$[0]"])),
        ("FROM t, json_each(t.a)", ColumnUse(is_json=True, is_json_array=True)),
        ("json_array_length(`a`) > 1", ColumnUse(is_json=True, is_json_array=True)),
        ("json_each(a, '$.tags')", ColumnUse(is_json=True, json_paths=["$.tags"])),
        ("json_object('a', a), json_array(a), json_quote(a)", ColumnUse()),
        ("date(a) IS NOT NULL", ColumnUse(time_functions={"date"})),
        ("julianday(a, 'start of day')", ColumnUse(time_functions={"julianday"})),
        ("datetime(a, 'unixepoch')", ColumnUse(time_functions={"datetime"}, is_unix_time=True)),
        ("strftime('%Y-%m', a)", ColumnUse(time_functions={"strftime"}, time_formats=["%Y-%m"])),
        ("strftime('%Y', a, 'unixepoch')", ColumnUse(time_functions={"strftime"}, time_formats=["%Y"], is_unix_time=True)),
        ("a LIKE '%_@_%.__%'", ColumnUse(is_mail=True)),
        ("lower(a) NOT GLOB '*@*@*'", ColumnUse(is_mail=True)),
        ("a REGEXP '^[^@]+@[^@]+$'", ColumnUse(is_mail=True)),
        ("instr(a, '@') > 1", ColumnUse(is_mail=True)),
        ("a LIKE 'x%'", ColumnUse()),
        ("SELECT a FROM t", ColumnUse()),
    ],
)
def test_a_column_is_read_as_what_its_functions_and_patterns_say(statement: str, use: ColumnUse):
    uses = ColumnUses([f"{statement} /* t */"])
    assert uses.of("T", "A") == use
    assert uses.of("t", "b") == uses.of("other", "a") == ColumnUse()


def test_what_several_statements_say_comes_together():
    uses = ColumnUses(["CREATE INDEX i ON t (a ->> 'x')", "CREATE VIEW v AS SELECT json_extract(a, '$.y') FROM t", "DROP TABLE t"])
    assert uses.of("t", "a") == ColumnUse(is_json=True, json_paths=["$.x", "$.y"])


def test_long_literals_do_not_take_long():
    """Tried from each of their characters, they would take hours; ten seconds are for a busy machine."""
    began = time.monotonic()
    ColumnUses([f"INSERT INTO t VALUES (X'{'ab' * 200_000}', '{'word ' * 50_000}', '{'[' * 1_000}', '{chr(34) * 1_000}')"])
    assert time.monotonic() - began < 10
