"""
The pages docs/how-to/come-from-*.md, on databases that the other tools really made.

A page's files are written, its `sh` blocks are run with the tool, and its `console` blocks must print what the page
shows. The script on each page that makes "the same database" without the tool is compared with what the tool makes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from end_to_end.other_tools import CARIBOU, DBMATE, HOW_TO, TOOLS, Commands, Projects, Tool, rows_of, schema_of, write
from helpers import fingerprint, query, recorded, run_sql, write_pack
from pages.reading import commands as commands_in

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import ForeignTrackingTable, VersionUnclear

each_tool = pytest.mark.parametrize("tool", TOOLS, ids=str)


def normal(output: str, place: Path) -> str:
    """Return an output without what differs from run to run, and without how it is spaced."""
    output = output.replace(str(place), "/home/you")
    output = re.sub(r"\b20\d{6}T\d{6}\.\d{6}Z\b", "20260105T093000.000000Z", output)
    return " ".join(output.split())


# --- the pages ----------------------------------------------------------------------------------------------


def test_there_is_a_page_for_each_tool_and_a_tool_for_each_page():
    assert {tool.page.name for tool in TOOLS} == {page.name for page in HOW_TO.glob("come-from-*.md")}


@each_tool
def test_the_commands_of_the_page_work_on_a_database_that_the_tool_made(tool: Tool, commands: Commands, tmp_path: Path):
    tool.skip_if_missing()
    place = tmp_path.resolve()
    commands.start_project(tool, place)
    used, code = False, 0
    for kind, file, body in tool.blocks():
        if file:
            write(place, file, body)
        elif kind == "sh":
            commands.run_all(body, place)
            if not used:
                run_sql(place / "notes.db", tool.row())
            used = True
        elif kind == "console":
            shown = commands_in(body)
            following = [line for line, _ in shown[1:]] + [""]
            for (line, expected), then in zip(shown, following, strict=True):
                if line == f"python {tool.stand_in}":
                    continue  # the tool has made the database
                code, output = (0, str(code)) if line == "echo $?" else commands.run(line, place)
                assert normal(output, place) == normal(expected, place), f"after: {line}"
                assert code == 0 or then == "echo $?", f"{line} ended with {code}"
    assert used
    database = place / "notes.db"
    assert recorded(database) == ["notes:001_notes", "notes:002_pinned", "notes:003_index", "notes:004_archive"]
    assert query(database, "SELECT id, title, pinned, archived_at FROM notes") == [(1, "milk", 1, None)]


@each_tool
def test_the_script_of_the_page_makes_what_the_tool_makes(tool: Tool, projects: Projects, tmp_path: Path):
    real = projects.copy(tool, 3, tmp_path / "real")
    run_sql(real, tool.row())
    (tmp_path / "imitated").mkdir()
    tool.run_script(tool.stand_in, tmp_path / "imitated")
    imitated = tmp_path / "imitated" / "notes.db"

    assert schema_of(imitated) == schema_of(real)
    assert query(imitated, "SELECT * FROM notes") == query(real, "SELECT * FROM notes")
    columns = {
        "alembic": "version_num FROM alembic_version",
        "yoyo": "migration_hash, migration_id FROM _yoyo_migration",
        "sqlite-utils": "id, migration_set, name FROM _sqlite_migrations",
        "fastmigrate": "id, version FROM _meta",
        "caribou": "version FROM migration_version",
        "dbmate": "version FROM schema_migrations",
    }
    record = f"SELECT {columns[tool.slug]}"
    assert query(imitated, record) == query(real, record) != []


@each_tool
def test_an_application_continues_from_the_version_where_the_tool_stopped(
    tool: Tool, projects: Projects, commands: Commands, tmp_path: Path
):
    older = projects.copy(tool, 2, tmp_path / "older")
    projects.copy(tool, 3, tmp_path)
    older.rename(tmp_path / "another.db")
    for name in ("notes.db", "another.db"):
        run_sql(tmp_path / name, tool.row())
    pack = tool.pack(tmp_path)
    for _, file, body in tool.blocks():
        if file in ("start.py", "rename.py"):
            write(tmp_path, file, body)

    printed = commands.run_all("python start.py", tmp_path)

    assert printed.splitlines() == ["['notes:004_archive']", "['notes:003_index', 'notes:004_archive']"]
    for name in ("notes.db", "another.db"):
        assert len(recorded(tmp_path / name)) == 4
        assert query(tmp_path / name, "SELECT id, title, pinned FROM notes") == [(1, "milk", 1)]
        assert MigrationRunner(tmp_path / name, packs=[pack]).validate() == []


# --- what is detected -----------------------------------------------------------------------------------------


@each_tool
@pytest.mark.parametrize("version", [1, 2, 3])
def test_detection_finds_the_version_that_the_tool_has_applied(tool: Tool, version: int, projects: Projects, tmp_path: Path):
    database = projects.copy(tool, version, tmp_path)
    run_sql(database, "INSERT INTO notes (title) VALUES ('milk'), ('bread')")
    tool.make_way(tmp_path)
    runner = MigrationRunner(database, packs=[tool.pack(tmp_path)])
    rows, schema = query(database, "SELECT * FROM notes ORDER BY id"), schema_of(database)

    before = fingerprint(tmp_path)
    detected = runner.detect("notes")
    assert (detected.version, detected.nearest) == (version, None)
    assert fingerprint(tmp_path) == before

    assert [migration.version for migration in runner.baseline("notes")] == [*range(1, version + 1)]
    assert query(database, "SELECT * FROM notes ORDER BY id") == rows
    assert [each for each in schema_of(database) if each[1] != "schema_migrations"] == schema
    assert runner.snapshot is not None

    assert [migration.version for migration in runner.apply()] == [*range(version + 1, 5)]
    assert query(database, "SELECT id, title, archived_at FROM notes ORDER BY id") == [(1, "milk", None), (2, "bread", None)]
    assert runner.validate() == []


@each_tool
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE notes ADD COLUMN colour TEXT", "`colour`"),
        ("CREATE TRIGGER shout AFTER INSERT ON notes BEGIN SELECT 1; END", "`shout`"),
        ("CREATE UNIQUE INDEX by_pinned ON notes (pinned, title)", "`by_pinned`"),
    ],
    ids=["column", "trigger", "index"],
)
def test_detection_names_what_was_changed_by_hand_and_baseline_refuses(
    tool: Tool, change: str, named: str, projects: Projects, tmp_path: Path
):
    database = projects.copy(tool, 3, tmp_path)
    tool.make_way(tmp_path)
    run_sql(database, change)
    runner = MigrationRunner(database, packs=[tool.pack(tmp_path)])
    before = fingerprint(tmp_path)

    detected = runner.detect("notes")
    assert detected.version is None
    assert (detected.nearest.ref, len(detected.nearest.differences)) == ("notes:003_index", 1)
    assert named in detected.nearest.differences[0]
    with pytest.raises(VersionUnclear, match=named):
        runner.baseline("notes")
    assert fingerprint(tmp_path) == before


@each_tool
def test_a_pack_may_begin_with_one_file_that_holds_the_whole_schema(tool: Tool, projects: Projects, tmp_path: Path):
    database = projects.copy(tool, 3, tmp_path)
    tool.make_way(tmp_path)
    found = query(database, "SELECT sql FROM sqlite_schema WHERE tbl_name = 'notes' AND sql IS NOT NULL ORDER BY type DESC")
    whole = write_pack(tmp_path / "whole", "notes", {"001_notes.sql": "".join(f"{sql};\n" for (sql,) in found)})
    assert [migration.ref for migration in MigrationRunner(database, packs=[whole]).baseline("notes")] == ["notes:001_notes"]

    older = projects.copy(tool, 2, tmp_path / "older")
    tool.make_way(tmp_path / "older")
    with pytest.raises(VersionUnclear, match="notes_title"):
        MigrationRunner(older, packs=[whole]).baseline("notes")


def test_the_time_stamps_of_dbmate_work_as_versions(projects: Projects, tmp_path: Path):
    database = projects.copy(DBMATE, 2, tmp_path)
    DBMATE.make_way(tmp_path)
    parts = {
        name.rpartition("/")[2]: body.partition("-- migrate:down")[0] for each in DBMATE.history() for name, body in each.items()
    }
    runner = MigrationRunner(database, packs=[write_pack(tmp_path / "migrations", "notes", parts)])
    assert runner.detect("notes").version == 20240601100000
    runner.baseline("notes")
    assert [migration.ref for migration in runner.apply()] == ["notes:20240901100000_index"]


def test_a_database_with_many_changes_is_still_compared_with_the_nearest_version(projects: Projects, tmp_path: Path):
    database = projects.copy(CARIBOU, 3, tmp_path)
    run_sql(database, "".join(f"ALTER TABLE notes ADD COLUMN c{number} TEXT;" for number in range(4)))
    nearest = MigrationRunner(database, packs=[CARIBOU.pack(tmp_path)]).detect("notes").nearest
    assert not [each for each in nearest.differences if "took it away" in each]
    assert nearest.version == 3


# --- what becomes of the tool's own tables ---------------------------------------------------------------------


@each_tool
def test_the_tables_of_the_tool_stay_as_they_are_and_are_no_drift(
    tool: Tool, projects: Projects, commands: Commands, tmp_path: Path
):
    database = projects.copy(tool, 3, tmp_path)
    tool.make_way(tmp_path)
    says = commands.run_all(tool.current, tmp_path)
    schema, rows = schema_of(database), rows_of(database, *tool.tables)
    runner = MigrationRunner(database, packs=[tool.pack(tmp_path)])
    runner.baseline("notes")
    runner.apply()

    own = [each for each in schema if each[1] in tool.tables]
    assert len(own) == len(tool.tables)
    assert set(own) <= set(schema_of(database))
    assert rows_of(database, *tool.tables) == rows
    assert runner.validate() == []
    assert commands.run_all(tool.current, tmp_path) == says
    run_sql(database, "".join(f'DROP TABLE "{name}";' for name in tool.tables))
    assert runner.validate() == []


def test_a_database_of_dbmate_is_refused_untouched_until_its_table_has_another_name(projects: Projects, tmp_path: Path):
    database = projects.copy(DBMATE, 3, tmp_path)
    runner = MigrationRunner(database, packs=[DBMATE.pack(tmp_path)])
    before = fingerprint(tmp_path)
    for refused in (runner.status, runner.plan, runner.apply, lambda: runner.detect("notes"), lambda: runner.baseline("notes")):
        with pytest.raises(ForeignTrackingTable, match="dbmate"):
            refused()
    assert fingerprint(tmp_path) == before

    DBMATE.make_way(tmp_path)
    assert runner.detect("notes").version == 3


def test_dbmate_finds_its_renamed_table_only_with_the_option_that_the_page_shows(
    projects: Projects, commands: Commands, tmp_path: Path
):
    """Without `--migrations-table`, dbmate takes the database for an empty one."""
    database = projects.copy(DBMATE, 3, tmp_path)
    DBMATE.make_way(tmp_path)
    told = commands.run_all(DBMATE.current, tmp_path)
    assert "Applied: 3" in told
    assert "Pending: 0" in told
    assert "Pending: 3" in commands.run_all("dbmate --url sqlite:notes.db --no-dump-schema status", tmp_path)
    assert "Pending: 0" in commands.run_all(DBMATE.current, tmp_path)
    assert "dbmate_migrations" in {name for _, name, _ in schema_of(database)}
