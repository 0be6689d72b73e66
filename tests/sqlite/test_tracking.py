"""The record: its shapes, how an earlier one is brought up to date, and the SQL that others write to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from helpers import (
    EARLIER_TABLE,
    creates,
    fingerprint,
    python_migration,
    query,
    recorded,
    run_sql,
    tables,
    write_pack,
)

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    DatabaseIsAhead,
    ForeignTrackingTable,
    MigrationFailed,
    OwnerUnclear,
)
from homie_migrations_core.model import Migration, Record
from homie_migrations_core.sqlite.tracking import (
    ForeignTable,
    Tracking,
    create_sql,
    is_recorded,
    read_tracking,
)

CURRENT_TABLE = create_sql("p") + ";"
COLUMNS = ["version", "applied_at", "migration_name", "pack", "checksum", "duration_ms", "pack_version"]


@pytest.fixture
def database(tmp_path) -> Path:
    return tmp_path / "homie_p.db"


@pytest.fixture
def pack(tmp_path) -> MigrationPack:
    return write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b"), "003_c.py": creates(3, "c")})


def look(path: Path) -> Tracking:
    connection = sqlite3.connect(path)
    try:
        return read_tracking(connection)
    finally:
        connection.close()


def columns(path: Path) -> list[str]:
    return [name for (name,) in query(path, "SELECT name FROM pragma_table_info('schema_migrations')")]


# --- shapes -------------------------------------------------------------------------------------------------------


def test_an_empty_file_and_one_with_tables_have_no_record(database):
    run_sql(database, "")
    assert look(database) == Tracking("none", (), holds_tables=False)
    run_sql(database, "CREATE TABLE mine (x)")
    assert look(database) == Tracking("none", (), holds_tables=True)


def test_the_table_of_a_run_is_the_one_of_the_contract(database, pack):
    MigrationRunner(database, [pack]).apply()
    found = query(database, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('schema_migrations')")
    assert found == [
        ("version", "INTEGER", 1, None, 2),
        ("applied_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP", 0),
        ("migration_name", "TEXT", 1, None, 0),
        ("pack", "TEXT", 1, "'p'", 1),
        ("checksum", "TEXT", 0, None, 0),
        ("duration_ms", "INTEGER", 0, None, 0),
        ("pack_version", "TEXT", 0, None, 0),
    ]


def test_a_row_says_what_when_from_where_and_how_long(database, pack):
    before = query(database.with_name("clock.db"), "SELECT datetime('now')")[0][0]
    MigrationRunner(database, [pack]).apply()
    after = query(database.with_name("clock.db"), "SELECT datetime('now')")[0][0]
    records = look(database).records
    assert [(each.version, each.name, each.pack, each.pack_version) for each in records] == [
        (1, "001_a", "p", None),
        (2, "002_b", "p", None),
        (3, "003_c", "p", None),
    ]
    for each in records:
        assert before <= each.applied_at <= after
        assert len(each.checksum) == 64
        assert type(each.duration_ms) is int
        assert each.duration_ms >= 0


@pytest.mark.parametrize(
    ("sql", "shape"),
    [
        (CURRENT_TABLE, "current"),
        (CURRENT_TABLE.upper().replace("'P'", "'p'"), "current"),
        (CURRENT_TABLE.replace("schema_migrations", '"Schema_Migrations"'), "current"),
        (create_sql(None), "current"),
        (
            "CREATE TABLE schema_migrations (pack TEXT, checksum TEXT, pack_version, duration_ms INT, applied_at, migration_name, "
            "version INTEGER, PRIMARY KEY (pack, version)) WITHOUT ROWID",
            "current",
        ),
        (EARLIER_TABLE, "earlier"),
        (EARLIER_TABLE.upper(), "earlier"),
        (
            'CREATE TABLE "SCHEMA_MIGRATIONS" (applied_at, migration_name, version integer not null primary key autoincrement)',
            "earlier",
        ),
    ],
)
def test_our_own_shapes_are_known_whatever_their_letters_and_order(database, sql, shape):
    run_sql(database, sql)
    run_sql(database, "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_a')" if shape == "earlier" else "")
    run_sql(
        database,
        "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_a', 'p')" if shape == "current" else "",
    )
    found = look(database)
    assert (found.shape, found.holds_tables) == (shape, True)
    assert [(each.version, each.name, each.pack) for each in found.records] == [(1, "001_a", "p" if shape == "current" else None)]


FOREIGN = {
    "dbmate": (
        "CREATE TABLE schema_migrations (version varchar(128) primary key); INSERT INTO schema_migrations VALUES ('20240101');"
    ),
    "golang-migrate": (
        "CREATE TABLE schema_migrations (version uint64, dirty bool); CREATE UNIQUE INDEX version_unique ON "
        "schema_migrations (version);"
    ),
    "rails": 'CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);',
    "a view": "CREATE VIEW schema_migrations AS SELECT 1 AS version, 2 AS applied_at, '001_a' AS migration_name;",
    "a virtual table": "CREATE VIRTUAL TABLE schema_migrations USING fts5(version, applied_at, migration_name);",
    "an index": "CREATE TABLE mine (x); CREATE INDEX schema_migrations ON mine (x);",
    "earlier, a text as version": (
        "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY, applied_at TIMESTAMP, migration_name TEXT NOT NULL);"
    ),
    "earlier, no key": "CREATE TABLE schema_migrations (version INTEGER, applied_at TIMESTAMP, migration_name TEXT NOT NULL);",
    "earlier, one more column": EARLIER_TABLE + "ALTER TABLE schema_migrations ADD COLUMN dirty;",
    "earlier, one column less": "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, migration_name TEXT);",
    "current, one more column": CURRENT_TABLE + "ALTER TABLE schema_migrations ADD COLUMN dirty;",
    "current, another key": CURRENT_TABLE.replace("(pack, version)", "(version)"),
    "current, the key the other way round": CURRENT_TABLE.replace("(pack, version)", "(version, pack)"),
    "current, a text as version": CURRENT_TABLE.replace("version        INTEGER", "version        TEXT"),
    "current, a name of bytes": CURRENT_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, x'00');",
    "current, a pack of bytes": CURRENT_TABLE + "INSERT INTO schema_migrations VALUES (1, NULL, '001_a', x'00', NULL, NULL, NULL);",
    "current, a row of rubbish": CURRENT_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES ('one', '001_a');",
    "other letters": "CREATE TABLE Schema_Migrations (version varchar(128) primary key);",
}


@pytest.mark.parametrize("sql", FOREIGN.values(), ids=FOREIGN)
def test_a_table_of_another_tool_is_refused_and_left_as_it_is(database, pack, sql):
    run_sql(database, sql)
    with pytest.raises(ForeignTable):
        look(database)
    before = fingerprint(database.parent)
    runner = MigrationRunner(database, [pack])
    for call in (runner.apply, runner.plan, runner.history, runner.status, lambda: runner.rollback("p"), lambda: runner.redo("p")):
        with pytest.raises(ForeignTrackingTable, match="its table `schema_migrations` belongs to another tool"):
            call()
    assert fingerprint(database.parent) == before


def test_the_refusal_says_what_was_found(database):
    run_sql(database, FOREIGN["golang-migrate"])
    with pytest.raises(ForeignTable, match="its columns are version, dirty"):
        look(database)
    run_sql(database, "DROP TABLE schema_migrations; " + FOREIGN["a view"])
    with pytest.raises(ForeignTable, match="it is a view"):
        look(database)
    run_sql(database, "DROP VIEW schema_migrations; " + FOREIGN["a virtual table"])
    with pytest.raises(ForeignTable, match="it is a virtual table"):
        look(database)


def test_a_trigger_of_that_name_is_not_a_tracking_table(database, pack):
    run_sql(database, "CREATE TABLE mine (x); CREATE TRIGGER schema_migrations AFTER INSERT ON mine BEGIN SELECT 1; END;")
    assert look(database).shape == "none"
    assert len(MigrationRunner(database, [pack]).apply()) == 3
    assert look(database).shape == "current"


def test_a_table_with_a_similar_name_is_not_the_tracking_table(database, pack):
    run_sql(database, "CREATE TABLE schema_migrations_old (version); CREATE TABLE schemaxmigrations (version);")
    assert look(database).shape == "none"
    assert len(MigrationRunner(database, [pack]).apply()) == 3


# --- bringing an earlier table up to date ------------------------------------------------------------------------------

EARLIER_ROWS = """
INSERT INTO schema_migrations VALUES (1, '2023-01-02 03:04:05', '001_a');
INSERT INTO schema_migrations VALUES (2, '2023-02-03 04:05:06.789', 'migration_002_b');
"""


@pytest.fixture
def earlier(database) -> Path:
    """A database of an earlier time, at version 2, with the tables of its migrations."""
    run_sql(database, EARLIER_TABLE + EARLIER_ROWS + "CREATE TABLE a (id); CREATE TABLE b (id); INSERT INTO a VALUES (7);")
    return database


def test_reading_an_earlier_table_leaves_it_as_it_is(earlier, pack):
    before = fingerprint(earlier.parent)
    runner = MigrationRunner(earlier, [pack])
    status = runner.status().packs["p"]
    assert [(each.ref, each.state, each.applied_at) for each in status.migrations] == [
        ("p:001_a", "applied", "2023-01-02 03:04:05"),
        ("p:migration_002_b", "applied", "2023-02-03 04:05:06.789"),
        ("p:003_c", "pending", None),
    ]
    assert [step.ref for step in runner.plan().steps] == ["p:003_c"]
    assert [(each.ref, each.applied_at) for each in runner.history()][1] == ("p:migration_002_b", "2023-02-03 04:05:06.789")
    assert fingerprint(earlier.parent) == before


def test_the_first_change_brings_it_up_to_date_and_keeps_rows_and_times(earlier, pack):
    assert [each.ref for each in MigrationRunner(earlier, [pack]).apply()] == ["p:003_c"]
    assert columns(earlier) == COLUMNS
    rows = query(
        earlier, "SELECT version, applied_at, migration_name, pack, checksum IS NULL FROM schema_migrations ORDER BY version"
    )
    assert rows[:2] == [(1, "2023-01-02 03:04:05", "001_a", "p", 1), (2, "2023-02-03 04:05:06.789", "migration_002_b", "p", 1)]
    assert rows[2][0::2] == (3, "003_c", 0)
    assert query(earlier, "SELECT * FROM a") == [(7,)]


def test_times_are_kept_whatever_they_are(database, pack):
    run_sql(
        database,
        EARLIER_TABLE + "INSERT INTO schema_migrations VALUES (1, NULL, '001_a'), (2, 1700000000, '002_b');"
        "CREATE TABLE a (id); CREATE TABLE b (id);",
    )
    MigrationRunner(database, [pack]).apply()
    assert query(database, "SELECT applied_at FROM schema_migrations WHERE version < 3 ORDER BY version") == [
        (None,),
        (1700000000,),
    ]
    assert next(each.version for each in MigrationRunner(database, [pack]).history()) == 1


def test_a_database_that_is_up_to_date_keeps_its_earlier_table(earlier, tmp_path):
    pack = write_pack(tmp_path / "q", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
    before = fingerprint(tmp_path)
    assert MigrationRunner(earlier, [pack]).apply() == []
    assert fingerprint(tmp_path) == before


def test_indexes_and_triggers_on_it_are_kept_and_do_not_fire_for_rows_that_were_there(earlier, pack):
    run_sql(
        earlier,
        """
        CREATE TABLE log (what TEXT);
        CREATE INDEX by_name ON schema_migrations (migration_name);
        CREATE TRIGGER told AFTER INSERT ON schema_migrations BEGIN INSERT INTO log VALUES (new.migration_name); END;
        CREATE VIEW newest AS SELECT MAX(version) AS version FROM schema_migrations;
        """,
    )
    MigrationRunner(earlier, [pack]).apply()
    assert query(earlier, "SELECT * FROM log") == [("003_c",)]
    assert query(earlier, "SELECT version FROM newest") == [(3,)]
    kept = query(
        earlier, "SELECT type, name FROM sqlite_schema WHERE name IN ('by_name', 'told') AND lower(tbl_name) = 'schema_migrations'"
    )
    assert sorted(kept) == [("index", "by_name"), ("trigger", "told")]


def test_a_broken_view_elsewhere_does_not_keep_it_from_being_brought_up_to_date(earlier, pack):
    run_sql(earlier, "CREATE VIEW broken AS SELECT * FROM no_such_table;")
    assert len(MigrationRunner(earlier, [pack]).apply()) == 1
    assert columns(earlier) == COLUMNS


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_it_stays_as_it_was_when_the_first_step_fails(earlier, tmp_path, all_or_nothing):
    run_sql(earlier, "CREATE INDEX by_name ON schema_migrations (migration_name);")
    before = dump(earlier)
    files = {
        "001_a.py": creates(1, "a"),
        "002_b.py": creates(2, "b"),
        "003_c.py": python_migration(3, "conn.execute('CREATE TABLE c (x)')\n1 / 0"),
    }
    pack = write_pack(tmp_path / "p", "p", files)
    with pytest.raises(MigrationFailed):
        MigrationRunner(earlier, [pack]).apply(all_or_nothing=all_or_nothing)
    assert dump(earlier) == before
    assert columns(earlier) == COLUMNS[:3]
    assert not (tmp_path / "backups").exists()


def test_it_stays_up_to_date_when_a_later_step_fails(earlier, tmp_path, pack):
    (tmp_path / "p" / "004_d.py").write_text(python_migration(4, "1 / 0"))
    with pytest.raises(MigrationFailed):
        MigrationRunner(earlier, [pack]).apply()
    assert recorded(earlier) == ["p:001_a", "p:migration_002_b", "p:003_c"]


def test_a_rollback_brings_it_up_to_date_too(earlier, pack):
    assert [each.ref for each in MigrationRunner(earlier, [pack]).rollback("p")] == ["p:002_b"]
    assert query(earlier, "SELECT version, applied_at, pack FROM schema_migrations") == [(1, "2023-01-02 03:04:05", "p")]
    assert tables(earlier) == {"a"}


def test_a_table_under_other_letters_is_brought_up_to_date_too(database, pack):
    run_sql(
        database,
        EARLIER_TABLE.replace("schema_migrations", '"Schema_Migrations"')
        + EARLIER_ROWS
        + "CREATE TABLE a (id); CREATE TABLE b (id);",
    )
    MigrationRunner(database, [pack]).apply()
    assert recorded(database) == ["p:001_a", "p:migration_002_b", "p:003_c"]


# --- whose rows ----------------------------------------------------------------------------------------------------------


def test_an_earlier_table_without_a_clear_owner_is_refused_and_unchanged(tmp_path):
    database = tmp_path / "app.db"
    run_sql(database, EARLIER_TABLE + EARLIER_ROWS)
    packs = [write_pack(tmp_path / name, name, {"001_a.py": creates(1, name)}, database="app.db") for name in ("mail", "news")]
    before = fingerprint(tmp_path)
    runner = MigrationRunner(database, packs)
    for call in (runner.apply, runner.plan, lambda: runner.rollback("mail")):
        with pytest.raises(OwnerUnclear, match="more than one pack could have written it"):
            call()
    assert {name: pack.state for name, pack in runner.status().packs.items()} == {"mail": "pending", "news": "pending"}
    assert fingerprint(tmp_path) == before


def test_a_row_that_contradicts_the_owners_files_is_refused_and_nothing_is_converted(earlier, tmp_path):
    pack = write_pack(tmp_path / "q", "p", {"001_a.py": creates(1, "a"), "003_c.py": creates(3, "c")})
    before = fingerprint(tmp_path)
    with pytest.raises(OwnerUnclear, match="the pack p never shipped p:migration_002_b, which it records"):
        MigrationRunner(earlier, [pack]).apply()
    assert fingerprint(tmp_path) == before


def test_the_rows_belong_to_the_name_in_the_file_name_installed_or_not(earlier, tmp_path):
    other = write_pack(tmp_path / "other", "other", {"001_x.py": creates(1, "x")}, database="homie_p.db")
    runner = MigrationRunner(earlier, [other])
    assert [each.ref for each in runner.apply()] == ["other:001_x"]
    assert recorded(earlier) == ["other:001_x", "p:001_a", "p:migration_002_b"]
    assert runner.status().packs["p"].state == "orphaned"
    run_sql(earlier, "INSERT INTO schema_migrations (version, migration_name) VALUES (3, '003_c')")
    assert "p:003_c" in recorded(earlier)


def test_the_one_pack_of_another_file_name_owns_it_also_when_it_is_broken(tmp_path):
    database = tmp_path / "app.db"
    run_sql(database, EARLIER_TABLE + EARLIER_ROWS)
    mail = write_pack(tmp_path / "mail", "mail", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")}, database="app.db")
    assert MigrationRunner(database, [mail]).status().packs["mail"].state == "up_to_date"
    (tmp_path / "mail" / "helpers.py").touch()
    status = MigrationRunner(database, [mail]).status().packs["mail"]
    assert (status.state, status.current_version) == ("broken", 2)


def test_without_a_clear_owner_a_row_without_a_pack_is_refused_by_sqlite(tmp_path):
    database = tmp_path / "app.db"
    packs = [write_pack(tmp_path / name, name, {"001_a.py": creates(1, name)}, database="app.db") for name in ("mail", "news")]
    assert len(MigrationRunner(database, packs).apply()) == 2
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL constraint failed: schema_migrations.pack"):
        run_sql(database, "INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_b')")


def test_the_sql_of_earlier_times_keeps_working_on_a_database_of_one_pack(database, pack, tmp_path):
    MigrationRunner(database, [pack]).apply(to="p:2")
    run_sql(database, "INSERT INTO schema_migrations (version, migration_name) VALUES (3, '003_c'); CREATE TABLE c (id);")
    assert query(database, "SELECT MAX(version) FROM schema_migrations") == [(3,)]
    assert query(database, "SELECT version, migration_name FROM schema_migrations ORDER BY version")[-1] == (3, "003_c")
    assert query(database, "SELECT applied_at IS NOT NULL, pack FROM schema_migrations WHERE version = 3") == [(1, "p")]
    assert MigrationRunner(database, [pack]).apply() == []
    assert MigrationRunner(database, [pack]).status().state == "up_to_date"
    run_sql(database, "DELETE FROM schema_migrations WHERE version = 3; DROP TABLE c;")
    assert [each.ref for each in MigrationRunner(database, [pack]).apply()] == ["p:003_c"]
    run_sql(database, EARLIER_TABLE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
    assert columns(database) == COLUMNS
    with pytest.raises(sqlite3.IntegrityError):
        run_sql(database, "INSERT INTO schema_migrations (version, migration_name) VALUES (3, '003_c')")


# --- databases that real users have ------------------------------------------------------------------------------------------

HOMIE_AT_3 = (
    EARLIER_TABLE
    + """
    INSERT INTO schema_migrations VALUES (1, '2024-01-10 09:00:00', '001_destination_memory');
    INSERT INTO schema_migrations VALUES (2, '2024-02-11 10:00:00', '002_drive_client_mounts');
    INSERT INTO schema_migrations VALUES (3, '2024-03-12 11:00:00', 'migration_003_destination_colors');
    CREATE TABLE drives (id TEXT PRIMARY KEY); CREATE TABLE destinations (id TEXT PRIMARY KEY, color TEXT);
    INSERT INTO destinations VALUES ('d1', 'red');
    """
)
HOMIE_FILES = {
    "001_destination_memory.py": python_migration(1, "raise RuntimeError('must not run again')"),
    "002_drive_client_mounts.py": python_migration(2, "raise RuntimeError('must not run again')"),
    "003_destination_colors.py": python_migration(3, "raise RuntimeError('must not run again')"),
}


@pytest.fixture
def homie_at_3(tmp_path) -> Path:
    database = tmp_path / "homie_file_organizer.db"
    run_sql(database, HOMIE_AT_3)
    return database


def test_a_database_at_version_3_is_up_to_date_with_a_folder_of_three(homie_at_3, tmp_path):
    runner = MigrationRunner(homie_at_3, [write_pack(tmp_path / "migrations", "file_organizer", HOMIE_FILES)])
    status = runner.status()
    assert (status.state, status.packs["file_organizer"].current_version) == ("up_to_date", 3)
    assert {each.state for each in status.packs["file_organizer"].migrations} == {"applied"}
    assert runner.apply() == []


def test_it_continues_from_there_with_a_folder_of_four(homie_at_3, tmp_path):
    files = HOMIE_FILES | {"004_tags.py": python_migration(4, "conn.execute('ALTER TABLE destinations ADD COLUMN tags TEXT')")}
    runner = MigrationRunner(homie_at_3, [write_pack(tmp_path / "migrations", "file_organizer", files)])
    assert [each.ref for each in runner.apply()] == ["file_organizer:004_tags"]
    assert query(homie_at_3, "SELECT id, color, tags FROM destinations") == [("d1", "red", None)]
    assert [each.applied_at for each in runner.history()][:3] == [
        "2024-01-10 09:00:00",
        "2024-02-11 10:00:00",
        "2024-03-12 11:00:00",
    ]


def test_for_a_pack_that_ends_at_1_it_is_ahead_and_stays_untouched(homie_at_3, tmp_path):
    files = {"001_destination_memory.py": HOMIE_FILES["001_destination_memory.py"]}
    runner = MigrationRunner(homie_at_3, [write_pack(tmp_path / "migrations", "file_organizer", files)])
    before = fingerprint(tmp_path)
    status = runner.status().packs["file_organizer"]
    assert (status.state, status.current_version, status.latest_version) == ("ahead", 3, 1)
    assert [each.state for each in status.migrations] == ["applied", "ahead", "ahead"]
    with pytest.raises(DatabaseIsAhead) as refused:
        runner.apply()
    assert refused.value.unknown == ("file_organizer:002_drive_client_mounts", "file_organizer:migration_003_destination_colors")
    assert fingerprint(tmp_path) == before


def test_tables_that_were_there_before_any_record_are_taken_as_they_are(tmp_path):
    from file_organizer_migrations.migration_runner import (
        MigrationRunner as FileOrganizer,
    )

    database = tmp_path / "homie_file_organizer.db"
    FileOrganizer(database).apply_migrations()
    run_sql(
        database,
        (
            "DROP TABLE schema_migrations; INSERT INTO drives (id, user_id, unique_identifier, mount_point, drive_type) VALUES "
            "('d', 'u', 'x', '/', 'usb')"
        ),
    )
    assert FileOrganizer(database).apply_migrations() == 1
    assert query(database, "SELECT id FROM drives") == [("d",)]
    assert recorded(database) == ["file_organizer:001_destination_memory"]


# --- asking for one row -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", False),
        (CURRENT_TABLE, False),
        (CURRENT_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_a');", True),
        (CURRENT_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_was_renamed');", True),
        (CURRENT_TABLE + "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_a', 'q');", False),
        (CURRENT_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (2, '001_a');", False),
        (EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_a');", True),
        (EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_of_another_pack');", False),
    ],
)
def test_whether_a_row_is_there_can_be_asked_of_any_shape(database, sql, expected):
    """Also when it was the making of the table, or of its shape, that did not get committed."""
    run_sql(database, sql)
    connection = sqlite3.connect(database)
    try:
        assert is_recorded(connection, Migration("p", 1, "001_a", Path("001_a.py"))) is expected
    finally:
        connection.close()


def test_a_record_names_itself_by_its_ref():
    assert Record(1, "001_a", "p").ref == "p:001_a"
