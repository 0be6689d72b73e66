"""
Files that are broken, foreign, too new, locked away or on a full disk: what the command line says, and what it leaves.

Each refusal is one sentence with the exit code of its kind, and no byte of the folder is changed.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cli.conftest import homie  # noqa: F401
from helpers import creates, fingerprint, one_line, problems, python_migration, query, recorded, run_sql, tables
from json_documents import read_document
from sqlite.forks import becoming_somebody, command_line, in_a_child, load_every_module

COMMANDS = ["apply", "status"]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="these limits are Linux's")
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody with fewer rights"
)


class Place(NamedTuple):
    """A folder with a database at version 1 of 2, a folder of migrations, and the options that name both."""

    folder: Path
    database: Path
    migrations: Path

    @property
    def options(self) -> tuple[object, ...]:
        return "--dir", self.migrations, "--database", self.database


def make_place(folder: Path) -> Place:
    place = Place(folder / "data", folder / "data" / "homie_tasks.db", folder / "tasks")
    for each in (place.folder, place.migrations):
        each.mkdir()
    (place.migrations / "001_one.py").write_text(creates(1, "one"))
    (place.migrations / "002_two.py").write_text(creates(2, "two"))
    from homie_migrations_core import MigrationPack, MigrationRunner

    MigrationRunner(place.database, [MigrationPack("tasks", place.migrations)]).apply(to="tasks:1")
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def patch(path: Path, offset: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


# --- what is refused --------------------------------------------------------------------------------------


def rubbish(path: Path) -> None:
    path.write_bytes(b"12345")


def encrypted(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(8192))


def sqlite_2(path: Path) -> None:
    path.write_bytes(b"** This file contains an SQLite 2.1 database **".ljust(2048, b"\0"))


def file_format_3(path: Path) -> None:
    patch(path, 18, b"\3\3")  # write and read version, https://sqlite.org/fileformat2.html, section 1.3.3


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def schema_page_damaged(path: Path) -> None:
    patch(path, 100, b"\xff" * 900)


def schema_format_5(path: Path) -> None:
    patch(path, 44, (5).to_bytes(4, "big"))


def newer_syntax(path: Path) -> None:
    run_sql(path, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE one (id) FANCY' WHERE name = 'one';")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


NO_DATABASE = "it is not an SQLite database, or it is encrypted"
DAMAGED = "SQLite finds it damaged (database disk image is malformed)"
NEWER = f"its format or schema needs a newer SQLite than {sqlite3.sqlite_version}"
REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (rubbish, NO_DATABASE),
    (encrypted, NO_DATABASE),
    (sqlite_2, NO_DATABASE),
    (file_format_3, NO_DATABASE),
    (cut_short, DAMAGED),
    (schema_page_damaged, DAMAGED),
    (schema_format_5, NEWER),
    (newer_syntax, NEWER),
    (link_to_itself, "it is a link that leads nowhere"),
    (a_folder, "it is a folder"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_an_unusable_file_is_refused_with_the_reason_and_unchanged(homie, place: Place, command: str, make, words: str):
    make(place.database)
    before = fingerprint(place.folder)

    result, with_json = homie(command, *place.options), homie(command, *place.options, "--json")

    assert result.code == with_json.code == 2
    assert f"Nothing was changed in {place.database}: {words}" in one_line(result.err)
    assert len(problems(result.err)) == 1
    assert words in with_json.out
    assert fingerprint(place.folder) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "words"),
    [("a\0b.db", "does not name a file"), ("x" * 300 + ".db", "it can't be opened")],
    ids=["nul", "too long"],
)
def test_a_name_that_no_file_can_have_is_refused(homie, place: Place, command: str, name: str, words: str):
    before = fingerprint(place.folder)
    result = homie(command, "--dir", place.migrations, "--database", str(place.folder / name))
    assert result.code == 2
    assert words in result.err
    assert len(problems(result.err)) == 1
    assert fingerprint(place.folder) == before


def test_a_file_that_only_a_newer_sqlite_may_write_can_be_read(homie, place: Place):
    patch(place.database, 18, b"\3\1")
    before = fingerprint(place.folder)
    result = homie("status", *place.options)
    assert result.code == 0
    assert "version 1 of 2" in result.out
    assert fingerprint(place.folder) == before


def test_a_file_that_only_a_newer_sqlite_may_write_is_not_changed(homie, place: Place):
    patch(place.database, 18, b"\3\1")
    before = fingerprint(place.folder)
    result = homie("apply", *place.options)
    assert result.code == 2
    assert f"Nothing was changed in {place.database}: its format or schema needs a newer SQLite" in one_line(result.err)
    assert len(problems(result.err)) == 1
    assert fingerprint(place.folder) == before


def test_a_file_that_only_a_newer_sqlite_may_write_is_reported_as_such(homie, place: Place):
    patch(place.database, 18, b"\3\1")
    result = homie("apply", *place.options)
    assert "newer SQLite" in result.err
    assert "permissions" not in result.err


# the rows of another tool's tracking table → what the message says about it
FOREIGN = {
    "a view": ("CREATE VIEW schema_migrations AS SELECT 1 AS version, 2 AS applied_at, 'a' AS migration_name;", "it is a view"),
    "a virtual table": ("CREATE VIRTUAL TABLE schema_migrations USING fts5(version);", "it is a virtual table"),
    "other columns": ("CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, dirty);", "its columns are version, dirty"),
    "text as version": (
        "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY, applied_at, migration_name);",
        "its columns are version, applied_at, migration_name",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("sql", "words"), FOREIGN.values(), ids=FOREIGN)
def test_a_tracking_table_of_another_shape_is_refused_and_left(homie, place: Place, command: str, sql: str, words: str):
    place.database.unlink()
    run_sql(place.database, sql)
    before = fingerprint(place.folder)
    result = homie(command, *place.options)
    assert result.code == 1
    assert f"Nothing was changed in {place.database}: its table `schema_migrations` belongs to another tool ({words}" in one_line(
        result.err
    )
    assert len(problems(result.err)) == 1
    assert fingerprint(place.folder) == before


# --- what is no fault ---------------------------------------------------------------------------------------


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def schema_format_1(path: Path) -> None:
    patch(path, 44, (1).to_bytes(4, "big"))


def module_missing(path: Path) -> None:
    run_sql(
        path,
        """PRAGMA writable_schema=ON;
        INSERT INTO sqlite_schema VALUES ('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING nobody_knows(a)');""",
    )


def tracking_table_in_capitals(path: Path) -> None:
    run_sql(path, "ALTER TABLE schema_migrations RENAME TO t; ALTER TABLE t RENAME TO SCHEMA_MIGRATIONS;")


def stale_journal(path: Path) -> None:
    """The file was removed, and what lay beside it was not."""
    path.unlink()
    path.with_name(path.name + "-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))


def stale_wal(path: Path) -> None:
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(4000))


def data_page_damaged(path: Path) -> None:
    """A page that neither the schema nor the record needs."""
    run_sql(path, "CREATE TABLE large (a); INSERT INTO large VALUES (zeroblob(40000));")
    (root,) = query(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'large'")[0]
    patch(path, (root - 1) * 4096, b"\xff" * 100)


NO_FAULT = [
    (zero_bytes, "0 of 2"),
    (schema_format_1, "1 of 2"),
    (module_missing, "1 of 2"),
    (tracking_table_in_capitals, "1 of 2"),
    (stale_journal, "0 of 2"),
    (stale_wal, "0 of 2"),
    (data_page_damaged, "1 of 2"),
]


@pytest.mark.parametrize(("make", "version"), NO_FAULT, ids=[make.__name__ for make, _ in NO_FAULT])
def test_a_harmless_state_is_not_a_fault(homie, place: Place, make, version: str):
    make(place.database)
    before = fingerprint(place.folder)

    looked = homie("status", *place.options)
    assert (looked.code, looked.err) == (0, "")
    assert version in looked.out
    assert fingerprint(place.folder) == before

    applied = homie("apply", *place.options)
    assert applied.code == 0, applied.err
    assert recorded_in_any_case(place.database) == ["001_one", "002_two"]
    assert tables(place.database) >= {"one", "two"}


def recorded_in_any_case(path: Path) -> list[str]:
    return [name for (name,) in query(path, "SELECT migration_name FROM schema_migrations ORDER BY version")]


def test_a_damaged_page_stops_the_migration_that_reads_it_and_nothing_of_it_is_left(homie, place: Place):
    data_page_damaged(place.database)
    (place.migrations / "003_reads.sql").write_text("CREATE TABLE copied AS SELECT length(a) AS n FROM large;")
    before = fingerprint(place.folder)
    result = homie("apply", *place.options, "--to", "tasks:3")
    assert result.code == 1
    assert "Applying tasks:003_reads failed" in result.err
    assert "database disk image is malformed" in result.err
    assert recorded(place.database) == ["tasks:001_one", "tasks:002_two"]
    assert tables(place.database) == {"one", "two", "large"}
    assert set(before) < set(fingerprint(place.folder))  # the snapshot of what there was


# --- rights -------------------------------------------------------------------------------------------------


@pytest.fixture
def shared() -> Iterator[Place]:
    """A place that everybody may look at, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield make_place(Path(name))


def as_somebody(place: Place, *lines: tuple[object, ...]) -> list[tuple[int, str, str]]:
    """Return how each `homie migrations …` ends for a user who owns nothing here, and what it prints."""
    load_every_module()
    ended = in_a_child(becoming_somebody(lambda: [command_line(*line) for line in lines]))
    assert not any("Traceback" in err for _, _, err in ended)
    return ended


def of_mode(folder: int, file: int, journal_mode: str = "delete") -> Callable[[Place], None]:
    def prepare(place: Place) -> None:
        run_sql(place.database, f"PRAGMA journal_mode={journal_mode}")
        place.database.chmod(file)
        place.folder.chmod(folder)

    return prepare


def without_a_file(place: Place) -> None:
    place.database.unlink()
    place.folder.chmod(0o755)


def folder_locked(place: Place) -> None:
    place.folder.chmod(0o700)


# prepare; how apply ends with a snapshot and without; what it says; how status ends, and what it says
RIGHTS = {
    "file read-only": (of_mode(0o777, 0o444), (2, 2), "it can't be written", 0, "version 1 of 2"),
    "file read-only, wal": (of_mode(0o777, 0o444, "wal"), (2, 2), "it can't be written", 0, "version 1 of 2"),
    "folder read-only": (of_mode(0o755, 0o666), (1, 2), "{folder}", 0, "version 1 of 2"),
    "folder read-only, wal": (of_mode(0o755, 0o666, "wal"), (2, 2), "{folder}", 0, "version 1 of 2"),
    "file unreadable": (of_mode(0o777, 0o600), (2, 2), "this user may not read it", 2, "this user may not read it"),
    "new in a read-only folder": (without_a_file, (2, 2), "this user may not create files in {folder}", 0, "version 0 of 2"),
    "folder that may not be entered": (folder_locked, (2, 2), "this user may not enter {folder}", 2, "this user may not enter"),
}


@as_root
@pytest.mark.parametrize(
    ("prepare", "codes", "refused", "code", "shown"),
    [pytest.param(*row, id=what) for what, row in RIGHTS.items()],
)
def test_without_a_right_apply_names_what_is_in_the_way_and_status_shows_what_can_be_read(
    shared: Place, prepare, codes: tuple[int, int], refused: str, code: int, shown: str
):
    prepare(shared)
    before = fingerprint(shared.folder)
    *applied, status = as_somebody(
        shared, ("apply", *shared.options), ("apply", *shared.options, "--no-backup"), ("status", *shared.options)
    )
    for (ended, _, err), expected in zip(applied, codes, strict=True):
        assert ended == expected, err
        assert refused.format(folder=shared.folder) in err
        assert len(problems(err)) == 1
    ended, out, err = status
    assert ended == code, err
    assert shown in (err if code else out)
    assert len(problems(err)) <= 1
    assert fingerprint(shared.folder) == before


# --- room -----------------------------------------------------------------------------------------------------

LARGE = python_migration(2, "conn.execute('CREATE TABLE two (a)')\nconn.execute('INSERT INTO two VALUES (zeroblob(900000))')")


def but_an_empty_journal(folder: Path) -> dict[str, str]:
    """The fingerprint without a journal of no bytes, which means nothing to SQLite."""
    empty = {each.name for each in folder.glob("*-journal") if each.stat().st_size == 0}
    return {name: content for name, content in fingerprint(folder).items() if name not in empty}


def with_small_files(*arguments: object) -> tuple[int, str, str]:
    """How `homie migrations …` ends, and what it says, in a process whose files may not grow beyond 400,000 bytes."""

    def limited() -> tuple[int, str, str]:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return command_line(*arguments)

    return in_a_child(limited)


SMALL_DISK = """
import os, shutil, subprocess, sys
disk, kept = sys.argv[1:3]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", disk], check=True)
shutil.copytree(kept, disk + "/data")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
ended = subprocess.run([sys.executable, "-m", "homie_migrations_core", *sys.argv[3:]])
shutil.rmtree(kept)
shutil.copytree(disk + "/data", kept)
sys.exit(ended.returncode)
"""


@linux_only
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("backup", [True, False], ids=["backup", "no backup"])
def test_a_file_that_may_not_grow_undoes_the_migration(place: Place, mode: str, backup: bool):
    (place.migrations / "002_two.py").write_text(LARGE)
    run_sql(place.database, f"PRAGMA journal_mode={mode}")
    before = fingerprint(place.folder)
    code, _, err = with_small_files("apply", *place.options, *([] if backup else ["--no-backup"]))
    assert code == 1
    assert "Applying tasks:002_two failed, and nothing of it is left" in err
    assert "disk I/O error" in err
    assert "Traceback" not in err
    assert but_an_empty_journal(place.folder) == before


@linux_only
def test_a_commit_that_fails_leaves_no_journal(place: Place):
    """It would be empty, but keep the next start from being a fast one."""
    (place.migrations / "002_two.py").write_text(LARGE)
    _, _, err = with_small_files("apply", *place.options)
    assert "the commit failed" in err
    assert [each.name for each in place.folder.iterdir()] == [place.database.name]


@linux_only
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("what", ["migration", "snapshot"])
def test_a_full_disk_is_named_and_leaves_things_as_they_were(place: Place, tmp_path: Path, mode: str, what: str):
    if what == "migration":
        (place.migrations / "002_two.py").write_text(LARGE)
    else:
        run_sql(place.database, "INSERT INTO one VALUES (1, zeroblob(250000));")
    run_sql(place.database, f"PRAGMA journal_mode={mode}")
    disk, before = tmp_path / "disk", fingerprint(place.folder)
    disk.mkdir()
    try:
        allowed = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(disk)], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no unshare: {error}")
    if allowed.returncode:
        pytest.skip("nothing can be mounted here")
    arguments = ["migrations", "apply", "--dir", str(place.migrations), "--database", f"{disk}/data/homie_tasks.db", "--json"]
    command = ["unshare", "-rm", sys.executable, "-c", SMALL_DISK, str(disk), str(place.folder), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    if what == "migration":
        assert "Applying tasks:002_two failed, and nothing of it is left" in ended.stderr
        assert "database or disk is full" in ended.stderr
    else:
        assert "the snapshot before the first change could not be taken" in ended.stderr
    assert read_document(arguments[1:], ended.stdout)["databases"][0]["path"] == f"{disk}/data/homie_tasks.db"
    assert but_an_empty_journal(place.folder) == before
