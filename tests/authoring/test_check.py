"""What a pack must pass before it is shipped: every finding is provoked by a real pack, and goes once the pack is mended."""

from __future__ import annotations

import re
import tempfile
import textwrap
from pathlib import Path

import pytest
from helpers import creates, python_migration, write_pack

from homie_migrations_core import HomieMigrationsError, MigrationPack
from homie_migrations_core.authoring.check import (
    Checked,
    check_files,
    check_from_nothing,
    check_hazards,
    check_pack,
    check_round_trip,
)
from homie_migrations_core.authoring.findings import ACCEPTABLE, CODES
from homie_migrations_core.errors import RunStopped
from homie_migrations_core.stopping import StopRequest

HAZARDS_PAGE = (Path(__file__).parents[2] / "docs/reference/hazards.md").read_text(encoding="utf-8")

NOTES = python_migration(
    1,
    """
    conn.execute("CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    conn.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT)")
    conn.execute("CREATE INDEX notes_of_folder ON notes (folder)")
    """,
    rollback="""
    conn.execute("DROP TABLE notes")
    conn.execute("DROP TABLE folders")
    """,
)


@pytest.fixture
def checked(tmp_path: Path):
    """Check a pack that begins with NOTES and goes on with a second migration of these bodies."""

    def check(apply: str, rollback: str | None = None, *, first: str = NOTES, **more: str) -> Checked:
        files = {"001_notes.py": first, "002_second.py": python_migration(2, apply, rollback=rollback), **more}
        return check_pack(write_pack(tmp_path / "p", "p", files))

    return check


def codes(found) -> list[str]:
    return [each.code for each in (found.findings if isinstance(found, Checked) else found)]


def only(found: Checked):
    assert codes(found) == codes(found)[:1], found.findings
    return found.findings[0]


REBUILD = """
conn.execute("CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT)")
conn.execute("INSERT INTO rebuilt SELECT id, folder, text FROM notes")
conn.execute("DROP TABLE notes")
conn.execute("ALTER TABLE rebuilt RENAME TO notes")
"""
ADD = "conn.execute('ALTER TABLE notes ADD COLUMN colour TEXT')"
INDEX = 'conn.execute("CREATE INDEX notes_of_folder ON notes (folder)")\n'


# --- packs in order ----------------------------------------------------------------------------------------------------


def test_the_file_organizers_pack_passes():
    found = check_pack(MigrationPack("file_organizer", "file_organizer_migrations.migrations"))
    assert found.passed
    assert found.findings == found.notes == ()
    assert found.migrations == ("file_organizer:001_destination_memory",)


def test_a_pack_in_order_passes_every_part(tmp_path: Path):
    pack = write_pack(
        tmp_path / "p",
        "p",
        {
            "001_notes.py": NOTES,
            "002_colour.py": python_migration(2, ADD, rollback=REBUILD + INDEX),
            "003_tags.sql": "CREATE TABLE tags (note INTEGER NOT NULL REFERENCES notes (id), tag TEXT, PRIMARY KEY (note, tag));",
            "003_tags.rollback.sql": "DROP TABLE tags;",
        },
    )
    found = check_pack(pack)
    assert found == Checked("p", ("p:001_notes", "p:002_colour", "p:003_tags"), ())
    for part in (check_files, check_from_nothing, check_round_trip, check_hazards):
        assert part(pack) == []


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    check_pack(write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES}))
    assert list(place.iterdir()) == []


def test_a_check_stops_when_it_is_asked_to(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES, "002_more.py": creates(2, "more")})
    asked = []

    def stop_the_fifth_time() -> bool:
        asked.append(1)
        return len(asked) > 4

    with pytest.raises(RunStopped) as stopped:
        check_pack(pack, stop=StopRequest(stop_the_fifth_time))
    assert "Stopped on request in a scratch database" in str(stopped.value)
    assert issubclass(RunStopped, HomieMigrationsError)


# --- the files ---------------------------------------------------------------------------------------------------------


def test_every_unusable_file_is_a_finding_and_nothing_is_run(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"Readme.py": "", "001_a.py": creates(1, "a"), "1_b.sql": "SELECT 1"})
    found = check_pack(pack)
    assert codes(found) == ["file_rules", "file_rules"]
    assert "001_a.py and 1_b.sql have the same version" in found.findings[0].message
    assert "Readme.py is not a valid migration file name" in found.findings[1].message
    assert not found.passed
    assert found.notes == ("no migration was run, because the files have to be corrected first",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("def get_migration_version(): return 2\ndef apply_migration(conn): pass", "returns 2 as its version"),
        ("def get_migration_version(): return 1", "has no apply_migration()"),
        ("def", "line 1"),
    ],
)
def test_an_unusable_migration_is_a_finding(tmp_path: Path, content: str, words: str):
    finding = only(check_pack(write_pack(tmp_path / "p", "p", {"001_a.py": content})))
    assert (finding.code, finding.subject) == ("file_rules", "p:001_a")
    assert words in finding.message


def test_an_empty_folder_is_a_finding(tmp_path: Path):
    assert codes(check_files(write_pack(tmp_path / "p", "p", {}))) == ["file_rules"]


# --- from nothing -------------------------------------------------------------------------------------------------------


def test_a_migration_that_fails_at_once_is_named_with_its_line(tmp_path: Path):
    body = "conn.execute('INSERT INTO nowhere VALUES (1)')"
    finding = only(
        check_pack(write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body), "002_b.py": creates(2, "b")}))
    )
    assert (finding.code, finding.subject) == ("does_not_apply", "p:001_a")
    assert "no such table: nowhere (001_a.py, line 8" in finding.message


def test_a_requirement_that_nobody_ships_is_a_finding(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a", requires=("q:1",))})
    finding = only(check_pack(pack))
    assert finding.code == "does_not_apply"
    assert "requires q:1, which no usable pack of this database ships" in finding.message


def test_a_requirement_that_is_used_and_not_declared_is_named(tmp_path: Path):
    other = write_pack(tmp_path / "a_q", "a_q", {"001_users.py": creates(1, "users")})
    bystander = write_pack(tmp_path / "r", "r", {"001_r.py": creates(1, "r")})
    body = "conn.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES users (id))')"
    files = {"001_notes.py": python_migration(1, body, rollback="conn.execute('DROP TABLE notes')")}
    finding = only(check_pack(write_pack(tmp_path / "p", "p", files), [other, bystander]))
    assert (finding.code, finding.subject) == ("undeclared_requirement", "p:001_notes")
    assert "works only where a_q is applied, which it does not require" in finding.message
    files = {"001_notes.py": python_migration(1, body, rollback="conn.execute('DROP TABLE notes')", requires=("a_q:1",))}
    assert check_pack(write_pack(tmp_path / "p", "p", files), [other, bystander]).passed


def test_what_a_later_migration_declares_does_not_help_an_earlier_one(tmp_path: Path):
    other = write_pack(tmp_path / "a", "a", {"001_users.py": creates(1, "users")})
    files = {
        "001_uses.py": python_migration(1, "conn.execute('INSERT INTO users (text) VALUES (1)')", rollback="pass"),
        "002_declares.py": creates(2, "notes", requires=("a:1",)),
    }
    found = check_from_nothing(write_pack(tmp_path / "p", "p", files), [other])
    assert codes(found) == ["undeclared_requirement"]


def test_rows_of_another_pack_are_not_to_be_changed_undeclared_even_if_only_where_it_is_there(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"001_users.py": creates(1, "users")})
    body = "if conn.execute(\"SELECT 1 FROM sqlite_master WHERE name = 'users'\").fetchone():\n    conn.execute('UPDATE users SET id = id')"
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body, rollback="pass")})
    finding = only(check_pack(pack, [other]))
    assert finding.code == "undeclared_requirement"
    assert "changes rows of users, a table of the pack u, which it does not require" in finding.message
    assert check_hazards(pack, [other]) == [finding]
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body, rollback="pass", requires=("u:1",))})
    assert check_pack(pack, [other]).passed


def test_one_jump_and_single_steps_make_the_same_schema(tmp_path: Path):
    counter = tmp_path / "runs"
    body = f"""
    from pathlib import Path
    runs = Path({str(counter)!r})
    before = int(runs.read_text()) if runs.exists() else 0
    runs.write_text(str(before + 1))
    conn.execute("CREATE TABLE run_%s (a)" % min(before, 1))
    """
    found = check_from_nothing(write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body)}))
    assert codes(found) == ["jump_differs"]
    assert "table run_1 added" in found[0].message


def test_what_can_not_share_a_transaction_does_not_apply(tmp_path: Path):
    body = "conn.create_function('upper', 1, lambda text: 'x')"
    files = {"001_a.py": python_migration(1, body), "002_b.py": creates(2, "b")}
    found = check_from_nothing(write_pack(tmp_path / "p", "p", files))
    assert codes(found) == ["does_not_apply"]
    assert "in the same transaction as the migrations before it" in found[0].message


# --- the round trip -----------------------------------------------------------------------------------------------------


def test_a_not_null_column_without_a_default_fails_where_there_are_rows(checked):
    finding = only(checked("conn.execute('ALTER TABLE notes ADD COLUMN size INTEGER NOT NULL')", rollback=REBUILD + INDEX))
    assert (finding.code, finding.subject) == ("not_null_without_default", "p:002_second")
    assert "Cannot add a NOT NULL column" in finding.message


def test_a_rebuild_that_forgets_to_fill_a_not_null_column_is_the_same(checked):
    body = """
    conn.execute("CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT, size INTEGER NOT NULL)")
    conn.execute("INSERT INTO rebuilt (id, folder, text) SELECT id, folder, text FROM notes")
    conn.execute("DROP TABLE notes")
    conn.execute("ALTER TABLE rebuilt RENAME TO notes")
    """
    assert codes(checked(body + INDEX, rollback=REBUILD + INDEX)) == ["not_null_without_default"]


def test_a_migration_that_trips_over_nulls_fails_on_data(checked):
    finding = only(checked("for (text,) in conn.execute('SELECT text FROM notes'):\n    text.upper()", rollback="pass"))
    assert finding.code == "fails_on_data"
    assert "'NoneType' object has no attribute 'upper'" in finding.message


def test_a_unique_index_over_what_is_not_unique_fails_on_data(checked):
    finding = only(checked("conn.execute('CREATE UNIQUE INDEX one ON notes (folder > 0)')", "conn.execute('DROP INDEX one')"))
    assert finding.code == "fails_on_data"


def test_a_rollback_that_forgets_an_index_is_told(checked):
    finding = only(checked(ADD, rollback=REBUILD))
    assert finding.code == "rollback_changes_schema"
    assert "index notes_of_folder of notes removed" in finding.message


def test_a_rebuild_does_not_cascade_and_one_that_deletes_children_is_told_with_table_and_number(checked):
    """Keys are not enforced in a migration, so a textbook rebuild of a parent keeps the children."""
    rebuild = """
    conn.execute("CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    conn.execute("INSERT INTO rebuilt SELECT id, name FROM folders")
    conn.execute("DROP TABLE folders")
    conn.execute("ALTER TABLE rebuilt RENAME TO folders")
    """
    add = "conn.execute('ALTER TABLE folders ADD COLUMN colour TEXT')"
    assert checked(add, rollback=rebuild).passed
    finding = only(checked(add, rollback="conn.execute('DELETE FROM notes WHERE folder IS NOT NULL')\n" + textwrap.dedent(rebuild)))
    assert finding.code == "rollback_loses_rows"
    assert re.search(r"p:002_second loses \d+ of 24 rows of notes .*the rollback deletes them", finding.message)


def test_rows_that_apply_deletes_and_rollback_does_not_bring_back_are_told(checked):
    finding = only(checked("conn.execute('DELETE FROM notes WHERE id > 4')", rollback="pass"))
    assert finding.code == "rollback_loses_rows"
    assert "loses 20 of 24 rows of notes" in finding.message
    assert "does not restore them" in finding.message


def test_rows_of_a_table_that_the_migration_made_may_go(checked):
    body = "conn.execute('CREATE TABLE copies AS SELECT * FROM notes')"
    assert checked(body, rollback="conn.execute('DROP TABLE copies')").passed


def test_a_default_that_replaces_nulls_is_told_by_column(checked):
    rollback = REBUILD.replace("SELECT id, folder, text", "SELECT id, folder, coalesce(text, '')") + INDEX
    finding = only(checked(ADD, rollback=rollback))
    assert finding.code == "rollback_changes_rows"
    assert "changes 4 of 24 rows of notes" in finding.message
    assert finding.message.endswith("text (4).")


def test_a_value_that_comes_back_with_another_type_is_told(checked):
    apply = "conn.execute('ALTER TABLE folders ADD COLUMN size')\nconn.execute('CREATE TABLE kept AS SELECT id, folder FROM notes')"
    rollback = """
    conn.execute("DROP TABLE kept")
    conn.execute("ALTER TABLE folders DROP COLUMN size")
    conn.execute("UPDATE folders SET name = CAST(name AS BLOB)")
    """
    finding = only(checked(apply, rollback=rollback))
    assert (finding.code, "name (24)" in finding.message) == ("rollback_changes_rows", True)


def test_rows_of_tables_without_a_key_are_compared_too(checked):
    first = python_migration(1, "conn.execute('CREATE TABLE t (a, b)')", rollback="conn.execute('DROP TABLE t')")
    rollback = "conn.execute('UPDATE t SET b = 1 WHERE a IS NOT NULL')\nconn.execute('DELETE FROM t WHERE a IS NULL')"
    found = checked("pass", rollback=rollback, first=first)
    assert codes(found) == ["rollback_loses_rows", "rollback_changes_rows"]


def test_a_rollback_that_fails_is_a_finding(checked):
    finding = only(checked(ADD, rollback="conn.execute('DROP TABLE missing')"))
    assert finding.code == "rollback_fails"
    assert "no such table: missing" in finding.message


def test_a_rollback_that_works_on_empty_tables_only_is_a_finding(checked):
    rollback = "conn.execute('ALTER TABLE notes DROP COLUMN colour')\nassert not conn.execute('SELECT 1 FROM notes').fetchall()"
    assert codes(checked(ADD, rollback=rollback)) == ["rollback_fails"]


def test_what_a_rollback_leaves_behind_may_stop_the_second_apply(checked):
    found = checked("conn.execute('CREATE TABLE tags (a)')", rollback="pass")
    assert codes(found) == ["rollback_changes_schema", "apply_again_fails"]


def test_rows_that_a_second_apply_doubles_are_told(checked):
    apply = "conn.execute(\"INSERT INTO folders (name) VALUES ('inbox')\")"
    finding = only(checked(apply, rollback="pass"))
    assert finding.code == "apply_again_differs"
    assert "folders has 26 rows instead of 25" in finding.message
    assert checked(apply, rollback="conn.execute(\"DELETE FROM folders WHERE name = 'inbox'\")").passed


def test_a_migration_without_a_rollback_is_noted_and_no_finding(checked):
    found = checked(ADD)
    assert found.passed
    assert found.notes == ("p:002_second has no rollback, so only applying it was tested",)


def test_a_broken_migration_in_the_middle_does_not_hide_what_is_before_it(checked):
    found = checked(ADD, rollback=REBUILD, **{"003_c.py": python_migration(3, "raise RuntimeError('oops')")})
    assert codes(found) == ["rollback_changes_schema", "does_not_apply"]
    assert [each.subject for each in found.findings] == ["p:002_second", "p:003_c"]


def test_a_migration_that_fails_on_data_is_still_taken_back_on_empty_tables(checked):
    found = checked("conn.execute('ALTER TABLE notes ADD COLUMN size INTEGER NOT NULL')", rollback="pass")
    assert codes(found) == ["not_null_without_default", "rollback_changes_schema", "apply_again_fails"]


# --- rows that the author gives ----------------------------------------------------------------------------------------------

STUBBORN = python_migration(
    1,
    'conn.execute("CREATE TABLE t (a TEXT NOT NULL CHECK (instr(a, char(7)) = 3), b TEXT)")',
    rollback="conn.execute('DROP TABLE t')",
)


def test_a_table_that_can_not_be_filled_is_named(checked):
    finding = only(checked("pass", rollback="pass", first=STUBBORN))
    assert (finding.code, finding.subject) == ("table_not_filled", "p:001_notes")
    assert "No row could be made up for t (CHECK constraint failed" in finding.message


def test_the_author_may_fill_it(checked):
    samples = "def sample_rows(conn):\n    if conn.execute(\"SELECT 1 FROM sqlite_master WHERE name = 't'\").fetchone():\n"
    samples += "        conn.execute(\"INSERT INTO t VALUES ('ab' || char(7), 'kept')\")\n        conn.commit()\n"
    assert checked("pass", rollback="pass", first=STUBBORN, **{"_sample_rows.py": samples}).passed
    finding = only(checked("pass", rollback="conn.execute('DELETE FROM t')", first=STUBBORN, **{"_sample_rows.py": samples}))
    assert "loses 1 of 1 rows of t" in finding.message


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ("", "has no attribute 'sample_rows'"),
        ("def sample_rows(conn):\n    conn.execute('INSERT INTO nowhere VALUES (1)')", "no such table: nowhere"),
        ("def sample_rows(conn):\n    conn.execute('PRAGMA journal_mode=WAL')", "PRAGMA journal_mode can't be part"),
    ],
)
def test_sample_rows_that_fail_are_a_finding(tmp_path: Path, samples: str, words: str):
    pack = write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES, "_sample_rows.py": samples})
    finding = only(check_pack(pack))
    assert finding.code == "table_not_filled"
    assert words in finding.message


READS_JSON = {
    "001_people.sql": """
        CREATE TABLE people (
            id INTEGER PRIMARY KEY,
            mail TEXT NOT NULL UNIQUE CHECK (mail LIKE '%_@_%.__%'),
            born TEXT CHECK (born IS date(born)),
            settings TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
            theme TEXT NOT NULL GENERATED ALWAYS AS (json_extract(settings, '$.theme')) VIRTUAL,
            tags TEXT
        );
        CREATE INDEX people_theme ON people (theme);
    """,
    "001_people.rollback.sql": "DROP TABLE people;",
    "002_tags.sql": """
        CREATE TABLE tags (person INTEGER NOT NULL REFERENCES people (id), tag TEXT NOT NULL);
        INSERT INTO tags SELECT people.id, each.value FROM people, json_each(people.tags) AS each;
    """,
    "002_tags.rollback.sql": "DROP TABLE tags;",
    "003_domain.py": python_migration(
        3,
        """
        conn.execute("ALTER TABLE people ADD COLUMN domain TEXT")
        for id, mail, born in conn.execute("SELECT id, mail, born FROM people").fetchall():
            name, domain = mail.split("@")
            conn.execute("UPDATE people SET domain = ? WHERE id = ?", (domain, id))
        """,
        rollback="conn.execute('ALTER TABLE people DROP COLUMN domain')",
    ),
}


def test_columns_that_are_read_as_json_dates_or_addresses_are_no_false_alarm(tmp_path: Path):
    """The second migration is the first to show that `tags` holds JSON."""
    found = check_pack(write_pack(tmp_path / "p", "p", READS_JSON))
    assert (found.findings, found.notes) == ((), ())


# --- hazards -----------------------------------------------------------------------------------------------------------------


def test_a_rebuild_that_forgets_an_index_or_a_trigger_is_a_hazard(checked):
    trigger = "conn.execute('CREATE TRIGGER seen AFTER UPDATE ON notes BEGIN SELECT 1; END')\n"
    first = NOTES.replace("def rollback", f"    {trigger}\ndef rollback")
    found = checked(REBUILD, first=first)
    assert codes(found) == ["rebuild_loses_index", "rebuild_loses_index"]
    assert {"index notes_of_folder" in each.message for each in found.findings} == {True, False}
    assert checked(REBUILD + INDEX + trigger, first=first).passed


def test_a_dropped_column_that_held_data_is_a_hazard(checked):
    finding = only(checked("conn.execute('ALTER TABLE notes DROP COLUMN text')"))
    assert finding.code == "drops_data"
    assert "drops notes.text, which held 20 values" in finding.message


def test_a_dropped_column_is_told_once_although_no_rollback_brings_it_back(checked):
    rollback = "conn.execute('ALTER TABLE notes ADD COLUMN text TEXT')"
    assert codes(checked("conn.execute('ALTER TABLE notes DROP COLUMN text')", rollback)) == ["drops_data"]


def test_a_dropped_table_that_held_data_is_a_hazard(checked):
    finding = only(checked("conn.execute('DROP TABLE notes')"))
    assert (finding.code, "the table notes, which held 24 rows" in finding.message) == ("drops_data", True)


@pytest.mark.parametrize(
    ("apply", "rollback"),
    [
        (
            "conn.execute('ALTER TABLE notes RENAME COLUMN text TO body')",
            "conn.execute('ALTER TABLE notes RENAME COLUMN body TO text')",
        ),
        ("conn.execute('ALTER TABLE notes RENAME TO memos')", "conn.execute('ALTER TABLE memos RENAME TO notes')"),
        (
            "conn.execute('CREATE TABLE texts AS SELECT id, text FROM notes')\nconn.execute('ALTER TABLE notes DROP COLUMN text')",
            """
            conn.execute('ALTER TABLE notes ADD COLUMN text TEXT')
            conn.execute('UPDATE notes SET text = t.text FROM texts t WHERE t.id = notes.id')
            conn.execute('DROP TABLE texts')
            """,
        ),
        (
            "conn.execute('ALTER TABLE notes ADD COLUMN code BLOB')\nconn.execute('UPDATE notes SET code = CAST(hex(text) AS BLOB) "
            "WHERE text IS NOT NULL')\nconn.execute('ALTER TABLE notes DROP COLUMN text')",
            """
            conn.execute('ALTER TABLE notes ADD COLUMN text TEXT')
            for id, code in conn.execute('SELECT id, code FROM notes WHERE code IS NOT NULL').fetchall():
                conn.execute('UPDATE notes SET text = ? WHERE id = ?', (bytes.fromhex(code.decode()).decode(), id))
            conn.execute('ALTER TABLE notes DROP COLUMN code')
            """,
        ),
    ],
    ids=["renamed column", "renamed table", "moved", "kept in another form"],
)
def test_data_that_moves_is_not_dropped(checked, apply: str, rollback: str):
    assert checked(apply, rollback).passed


def test_if_not_exists_that_hid_another_table_is_a_hazard(checked):
    body = "conn.execute('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)')"
    finding = only(checked(body, rollback="pass"))
    assert finding.code == "if_not_exists_hid"
    assert "the table notes existed already" in finding.message


def test_if_not_exists_that_hid_another_index_is_a_hazard(checked):
    finding = only(checked("conn.execute('CREATE INDEX IF NOT EXISTS notes_of_folder ON notes (text)')", rollback="pass"))
    assert finding.code == "if_not_exists_hid"


def test_if_not_exists_is_none_where_the_same_was_there_or_it_is_brought_to_the_same(checked):
    same = """
    conn.executescript('''
        /* the same */ CREATE TABLE IF NOT EXISTS "notes" (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders(id), text TEXT);
        create index if not exists notes_of_folder on notes(folder);
        CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY, name TEXT NOT NULL, colour TEXT);
        ALTER TABLE folders ADD COLUMN colour TEXT;
    ''')
    """
    assert checked(same, rollback="conn.execute('ALTER TABLE folders DROP COLUMN colour')").passed


def test_a_correlated_subquery_that_scans_is_a_hazard(checked):
    body = 'conn.execute("UPDATE folders SET name = (SELECT text FROM notes WHERE notes.text = folders.name) WHERE id < 0")'
    finding = only(checked(body, rollback="pass"))
    assert finding.code == "update_without_index"
    assert "scans all of notes for each row: UPDATE folders" in finding.message
    assert checked(body.replace("notes.text = folders.name", "notes.folder = folders.id"), rollback="pass").passed


def test_a_statement_for_each_row_that_scans_is_a_hazard(checked):
    body = 'for id, text in conn.execute("SELECT id, text FROM notes").fetchall():\n'
    slow = body + '    conn.execute("UPDATE notes SET text = ? WHERE text = ?", (text, text))'
    finding = only(checked(slow, rollback="pass"))
    assert "scans all of notes each of the 24 times: UPDATE notes SET text" in finding.message
    assert checked(body + '    conn.execute("UPDATE notes SET text = ? WHERE id = ?", (text, id))', rollback="pass").passed


def test_one_statement_for_a_whole_table_is_none_even_where_a_trigger_fires_for_each_row(checked):
    first = NOTES.replace(
        "def rollback", "    conn.execute('CREATE TRIGGER seen AFTER UPDATE ON notes BEGIN SELECT 1; END')\n\ndef rollback"
    )
    assert checked("conn.execute(\"UPDATE notes SET text = text WHERE text <> ''\")", rollback="pass", first=first).passed


@pytest.mark.parametrize(
    ("apply", "rollback", "words"),
    [
        ("ALTER TABLE users ADD COLUMN seen TEXT", "ALTER TABLE users DROP COLUMN seen", "column seen of users added"),
        ("CREATE INDEX mine ON users (text)", "DROP INDEX mine", "index mine of users added"),
        ("DROP INDEX users_text", "CREATE INDEX users_text ON users (text, id)", "index users_text of users removed"),
    ],
)
@pytest.mark.parametrize("declared", [(), ("u:1",)], ids=["not declared", "declared"])
def test_what_another_pack_owns_is_not_to_be_changed(tmp_path: Path, apply: str, rollback: str, words: str, declared):
    base = "conn.execute('CREATE TABLE users (id INTEGER PRIMARY KEY, text TEXT)')\nconn.execute('CREATE INDEX users_text ON users (text, id)')"
    other = write_pack(tmp_path / "u", "u", {"001_users.py": python_migration(1, base, rollback="pass")})
    guarded = "if conn.execute(\"SELECT 1 FROM sqlite_master WHERE name = 'users'\").fetchone():\n    conn.execute({!r})"
    files = {"001_a.py": python_migration(1, guarded.format(apply), rollback=guarded.format(rollback), requires=declared)}
    finding = only(check_pack(write_pack(tmp_path / "p", "p", files), [other]))
    assert finding.code == "foreign_object"
    assert f"changes what the pack u made: {words}" in finding.message


def test_tables_that_refer_to_another_packs_are_fine_where_it_is_declared(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"001_users.py": creates(1, "users")})
    body = "conn.execute('CREATE TABLE mine (id INTEGER PRIMARY KEY, u INTEGER NOT NULL REFERENCES users (id))')"
    files = {
        "001_a.py": python_migration(1, body, rollback="conn.execute('DROP TABLE mine')", requires=("u:1",)),
        "002_b.py": python_migration(
            2, "conn.execute('ALTER TABLE mine ADD COLUMN b')", rollback="conn.execute('ALTER TABLE mine DROP COLUMN b')"
        ),
    }
    assert check_pack(write_pack(tmp_path / "p", "p", files), [other]).passed


def test_two_packs_that_make_the_same_table_do_not_go_together(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"001_users.py": creates(1, "settings")})
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "settings")})
    finding = only(check_pack(pack, [other]))
    assert check_from_nothing(pack, [other]) == [finding]
    assert finding.code == "does_not_apply"
    assert (
        "fails where the other packs of the database are applied: OperationalError: table settings already exists"
        in finding.message
    )


def test_a_broken_pack_beside_it_is_noted(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"wrong.py": ""})
    found = check_pack(write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a")}), [other])
    assert found.passed
    assert "the other pack u can't be used" in found.notes[0]


def test_imports_of_application_code_are_a_hazard_wherever_they_happen(installed, checked):
    installed.distribution("an-app", {"an_app_plugin": "VALUE = 1"}, {})
    inside = checked("import json\nfrom an_app_plugin import VALUE\nconn.execute('SELECT 1')", rollback="pass")
    assert (only(inside).code, "imports an_app_plugin" in only(inside).message) == ("imports_application_code", True)
    files = {"003_c.py": python_migration(3, "pass", rollback="pass", head="import an_app_plugin, homie_migrations_core")}
    assert codes(checked("pass", rollback="pass", **files)) == ["imports_application_code"]


def test_helpers_beside_the_migrations_may_be_imported(installed):
    head = "from typing import TYPE_CHECKING\nfrom ._helpers import VALUE\nfrom . import _helpers\nif TYPE_CHECKING:\n    import p_plugin"
    files = {"001_a.py": creates(1, "a", head=head), "_helpers.py": "VALUE = 1"}
    installed.pack("p", files)
    assert check_pack(MigrationPack("p", "p_plugin.migrations")).passed
    (installed.site / "p_plugin" / "models.py").write_text("VALUE = 1")
    (installed.site / "p_plugin" / "migrations" / "002_b.py").write_text(creates(2, "b", head="from .. import models"))
    assert codes(check_pack(MigrationPack("p", "p_plugin.migrations"))) == ["imports_application_code"]


# --- accepting ---------------------------------------------------------------------------------------------------------------

DROPS = python_migration(2, "conn.execute('ALTER TABLE notes DROP COLUMN text')")


@pytest.mark.parametrize(
    "comment",
    [
        "# accepts drops_data: the column was never filled\n",
        "#accepts drops_data:the column was never filled\n",
        "    #   accepts  drops_data :  the column was never filled  \n",
    ],
)
def test_a_finding_is_accepted_in_the_file_with_a_reason(checked, tmp_path: Path, comment: str):
    found = checked("", **{"002_second.py": comment + DROPS})
    assert [(each.code, each.accepted) for each in found.findings] == [("drops_data", "the column was never filled")]
    assert found.passed
    assert check_hazards(MigrationPack("p", tmp_path / "p")) == list(found.findings)


@pytest.mark.parametrize(
    ("sql", "accepted"),
    [
        ("-- accepts drops_data: meant\nALTER TABLE notes DROP COLUMN text;", "meant"),
        ("ALTER TABLE notes DROP COLUMN text; -- accepts drops_data: meant", "meant"),
        ("ALTER TABLE notes DROP COLUMN text; SELECT '-- accepts drops_data: meant';", None),
        ("ALTER TABLE notes DROP COLUMN text; /* -- accepts drops_data: meant */", None),
    ],
)
def test_in_sql_too(tmp_path: Path, sql: str, accepted: str | None):
    finding = only(check_pack(write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES, "002_drop.sql": sql})))
    assert (finding.code, finding.accepted) == ("drops_data", accepted)


def test_a_rollback_script_may_accept_what_it_does(tmp_path: Path):
    files = {
        "001_notes.py": NOTES,
        "002_a.sql": "DELETE FROM notes WHERE id > 4;",
        "002_a.rollback.sql": "-- accepts rollback_loses_rows: they were spam\nSELECT 1;",
    }
    found = check_pack(write_pack(tmp_path / "p", "p", files))
    assert found.findings[0].accepted == "they were spam"
    assert found.passed


def test_what_stands_in_a_string_is_no_acceptance(checked):
    found = checked("", **{"002_second.py": DROPS + 'TEXT = """\n# accepts drops_data: no\n"""\n'})
    assert not found.passed


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("accepts drops_data", "accepts drops_data without a reason"),
        ("accepts drops_data:  ", "accepts drops_data without a reason"),
        ("accepts drop_data: meant", "accepts drop_data, but no finding with that code can be accepted"),
        ("accepts does_not_apply: meant", "accepts does_not_apply, but no finding with that code can be accepted"),
    ],
)
def test_an_acceptance_that_is_none_is_a_finding(checked, comment: str, words: str):
    found = checked("", **{"002_second.py": f"# {comment}\n{creates(2, 'more')}"})
    assert (only(found).code, words in only(found).message) == ("acceptance_unusable", True)
    assert "002_second.py, line 1," in only(found).message


def test_a_sentence_in_a_comment_is_no_acceptance(checked):
    assert checked(
        "", **{"002_second.py": f"# accepts strings\n# accepts anything that drops_data has\n{creates(2, 'more')}"}
    ).passed


def test_an_acceptance_that_nothing_needs_is_noted(checked):
    found = checked("", **{"002_second.py": f"# accepts drops_data: meant\n{creates(2, 'more')}"})
    assert found.passed
    assert found.notes == ("p:002_second accepts drops_data, which was not found",)


def test_an_acceptance_is_for_its_own_migration_only(checked):
    files = {"002_second.py": f"# accepts drops_data: meant\n{DROPS}"}
    files["003_third.py"] = python_migration(3, "conn.execute('DROP TABLE notes')")
    found = checked("", **files)
    assert [each.accepted for each in found.findings] == ["meant", None]


# --- the page ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_every_finding_has_its_heading(code: str):
    section = HAZARDS_PAGE.partition(f"\n## {code}\n")[2].partition("\n## ")[0]
    assert section, f"docs/reference/hazards.md has no heading {code}"
    assert ("can't be accepted" in section.lower()) == (code not in ACCEPTABLE)


def test_the_page_has_no_other_heading():
    assert re.findall(r"^## (\w+)$", HAZARDS_PAGE, re.MULTILINE) == list(CODES)
