"""Reading is reading: looking at a database changes no byte, makes no file and waits only for what passes."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import creates, fingerprint, run_sql, tables, write_pack
from sqlite.reader_helpers import (
    another_process,
    journal_delete,
    journal_persist,
    journal_truncate,
    leave_hot_journal,
    wal,
    wal_readable_only,
)

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    DatabaseDamaged,
    DatabaseInterrupted,
    DatabaseNotReachable,
    HomieMigrationsError,
    LockTimeout,
    NewerSQLiteNeeded,
    NotADatabase,
)
from homie_migrations_core.sqlite.database import uri
from homie_migrations_core.sqlite.reader import read

ODD_NAMES = [
    "a b#c?d%20é.db",
    "50%.db",
    "%41.db",
    "file:x.db",
    "quote'\".db",
    "line\nbreak.db",
    "-dash.db",
    "ünï ¿cödé?.db",
    "a&mode=rwc.db",
]


@pytest.fixture
def pack(tmp_path_factory) -> MigrationPack:
    files = {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")}
    return write_pack(tmp_path_factory.mktemp("pack"), "p", files)


@pytest.fixture
def half(tmp_path, pack) -> Path:
    """A database with one of two migrations applied, alone in its folder."""
    path = tmp_path / "homie_p.db"
    MigrationRunner(path, [pack]).apply(to="p:1")
    return path


def look(path: Path, pack: MigrationPack, **how) -> tuple[str, list[str], int]:
    """Everything that only looks: the state, the plan, the length of the history."""
    runner = MigrationRunner(path, [pack], **how)
    return runner.status().state, [step.ref for step in runner.plan().steps], len(runner.history())


# --- files that are not in use -----------------------------------------------------------------------------------------


def test_a_missing_file_is_new_and_stays_missing(tmp_path, pack):
    assert look(tmp_path / "homie_p.db", pack) == ("new", ["p:001_a", "p:002_b"], 0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_no_bytes_is_new_and_keeps_them(tmp_path, pack):
    (tmp_path / "homie_p.db").touch()
    status = MigrationRunner(tmp_path / "homie_p.db", [pack]).status()
    assert (status.state, status.exists) == ("new", True)
    assert look(tmp_path / "homie_p.db", pack)[0] == "new"
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("homie_p.db", 0)]


def readable_only(path: Path) -> None:
    path.chmod(0o444)


def a_little_old(path: Path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))


AT_REST = [journal_delete, journal_persist, journal_truncate, readable_only, wal, wal_readable_only, a_little_old]


@pytest.mark.parametrize("prepare", AT_REST, ids=lambda each: each.__name__)
def test_reading_changes_no_byte_and_makes_no_file(half, pack, prepare: Callable[[Path], None]):
    prepare(half)
    before, times = fingerprint(half.parent), half.stat()
    assert look(half, pack) == ("pending", ["p:002_b"], 1)
    assert fingerprint(half.parent) == before
    after = half.stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_ino) == (times.st_mtime_ns, times.st_mode, times.st_ino)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_may_hold_any_sign(tmp_path, pack, name, mode):
    path = tmp_path / name
    MigrationRunner(path, [pack]).apply(to="p:1")
    run_sql(path, f"PRAGMA journal_mode={mode}")
    before = fingerprint(tmp_path)
    assert list(before) == [name]
    assert look(path, pack) == ("pending", ["p:002_b"], 1)
    assert fingerprint(tmp_path) == before
    assert [each.ref for each in MigrationRunner(path, [pack]).apply()] == ["p:002_b"]
    assert {each.name for each in tmp_path.iterdir()} == {name, "backups"}


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_name_need_not_be_text(tmp_path, pack, mode):
    path = tmp_path / os.fsdecode(b"not utf-8 \xff.db")
    run_sql(path, f"PRAGMA journal_mode={mode}")
    problem = None
    try:
        MigrationRunner(path, [pack]).apply(to="p:1")
        before = fingerprint(tmp_path)
        assert look(path, pack) == ("pending", ["p:002_b"], 1)
        assert fingerprint(tmp_path) == before
        assert [each.ref for each in MigrationRunner(path, [pack]).apply()] == ["p:002_b"]
    except HomieMigrationsError as error:
        problem = ascii(str(error))  # what can't be encoded can't be reported either
    assert problem is None


def test_names_become_uris_that_mean_just_that_file():
    assert uri("/a b#c?d%20é.db", "mode=ro") == "file:/a b%23c%3fd%2520é.db?mode=ro"


def test_names_of_windows_become_uris_too(monkeypatch):
    monkeypatch.setattr(os, "sep", "\\")
    assert uri("C:\\a b\\50%.db", "mode=ro") == "file:/C:/a b/50%25.db?mode=ro"
    assert uri("\\\\server\\share\\x.db", "mode=ro") == "file:////server/share/x.db?mode=ro"


def test_a_path_may_begin_with_two_slashes(half, pack):
    path = Path(f"/{half}")
    assert str(path).startswith("//")
    assert look(path, pack) == ("pending", ["p:002_b"], 1)
    assert [each.ref for each in MigrationRunner(path, [pack]).apply()] == ["p:002_b"]
    assert look(half, pack)[0] == "up_to_date"


def test_a_relative_name_is_a_path_and_not_a_uri(tmp_path, pack, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert MigrationRunner("file:x.db?mode=memory", [pack]).status().state == "new"
    MigrationRunner("file:x.db", [pack]).apply()
    assert (tmp_path / "file:x.db").exists()


def test_a_link_is_followed(half, pack, tmp_path_factory):
    link = tmp_path_factory.mktemp("link") / "homie_p.db"
    link.symlink_to(half)
    wal(half)
    before = fingerprint(half.parent)
    assert look(link, pack) == ("pending", ["p:002_b"], 1)
    assert fingerprint(half.parent) == before
    assert [path.name for path in link.parent.iterdir()] == ["homie_p.db"]


def test_a_file_that_changes_while_it_is_read_is_read_again(half):
    """A WAL at rest is read without any lock, so another connection may begin to write to it meanwhile."""
    wal(half)
    seen = []

    def look_while_somebody_writes(connection: sqlite3.Connection) -> int:
        (count,) = connection.execute("SELECT COUNT(*) FROM schema_migrations").fetchone()
        if not seen:
            run_sql(half, "INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_b')")
        seen.append(count)
        return count

    assert read(str(half), look_while_somebody_writes, lock_timeout=0) == 2
    assert seen == [1, 2]


@pytest.mark.parametrize(("state", "longest"), [(journal_delete, 0.0), (wal, 0.04)])
def test_only_a_wal_that_was_just_written_is_given_the_rest_of_a_moment_to_settle(half, monkeypatch, state, longest):
    """Without locks, only the time stamp shows that it changes, and it need not show two changes that follow at once."""
    slept: list[float] = []
    monkeypatch.setattr("homie_migrations_core.sqlite.reader.time.sleep", slept.append)
    state(half)
    changed = time.time_ns() - 10_000_000
    os.utime(half, ns=(changed, changed))
    assert read(str(half), lambda connection: connection.execute("SELECT 1").fetchone(), lock_timeout=0) == (1,)
    assert len(slept) == (longest > 0)
    assert sum(slept) <= longest


# --- files that somebody uses -----------------------------------------------------------------------------------------


def test_a_wal_that_another_process_uses_is_read_with_what_it_has_written_there(half, pack):
    wal(half)
    with another_process(f"""
        connection = sqlite3.connect({str(half)!r}, isolation_level=None)
        connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_b')")
        connection.execute("CREATE TABLE b (x)")
    """):
        names = {path.name for path in half.parent.iterdir()}
        assert names == {"homie_p.db", "homie_p.db-wal", "homie_p.db-shm"}
        before = fingerprint(half.parent)
        assert look(half, pack) == ("up_to_date", [], 2)
        after = fingerprint(half.parent)
        for name in ("homie_p.db", "homie_p.db-wal"):  # readers leave their marks in the shared memory beside it
            assert after[name] == before[name]
        assert {path.name for path in half.parent.iterdir()} == names


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_writer_at_work_is_read_past_and_nothing_of_its_work_is_seen(half, pack, mode):
    run_sql(half, f"PRAGMA journal_mode={mode}")
    with another_process(f"""
        connection = sqlite3.connect({str(half)!r}, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_b')")
    """) as process:
        names = {path.name for path in half.parent.iterdir()}
        content = half.read_bytes()
        assert look(half, pack, lock_timeout=0) == ("pending", ["p:002_b"], 1)
        assert half.read_bytes() == content
        assert {path.name for path in half.parent.iterdir()} == names
        assert process.poll() is None


def test_reading_takes_no_lock_that_blocks_a_writer(half, pack):
    """While one process is in the middle of looking, another one begins to write, without any patience."""
    writer = f"""
        connection = sqlite3.connect({str(half)!r}, timeout=0, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
    """

    def look_while_somebody_begins_to_write(connection: sqlite3.Connection) -> int:
        cursor = connection.execute("SELECT version FROM schema_migrations")
        with another_process(writer):
            return len(cursor.fetchall())

    assert read(str(half), look_while_somebody_begins_to_write, lock_timeout=0) == 1


COUNT = "SELECT COUNT(*) FROM schema_migrations"
EXCLUSIVE = """
    connection = sqlite3.connect({path!r}, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
"""


def test_a_busy_file_is_given_up_after_the_lock_timeout_and_says_so(half, pack):
    with another_process(EXCLUSIVE.format(path=str(half))):
        before = half.stat()
        for call in ("status", "plan", "history"):
            with pytest.raises(LockTimeout, match="Gave up reading .* after 0.05 s"):
                getattr(MigrationRunner(half, [pack], lock_timeout=0.05), call)()
        assert half.stat().st_mtime_ns == before.st_mtime_ns


def test_a_busy_file_is_waited_for(half, pack):
    with another_process(EXCLUSIVE.format(path=str(half))) as process:
        asked = []

        def lets_go_after_a_while() -> bool:
            asked.append(1)
            if len(asked) == 3:
                process.communicate("\n")  # its end ends its lock
            return False

        reading = read(
            str(half), lambda connection: (lets_go_after_a_while(), connection.execute(COUNT).fetchone()), lock_timeout=30
        )
        assert reading == (False, (1,))
        assert len(asked) >= 3


# --- files that a killed process left -------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(half) -> Path:
    leave_hot_journal(half)
    return half


def test_an_interrupted_database_is_reported_and_left_for_the_next_change(interrupted, pack):
    before = fingerprint(interrupted.parent)
    runner = MigrationRunner(interrupted, [pack])
    status = runner.status()
    assert (status.state, status.exists, status.packs["p"].state) == ("interrupted", True, "interrupted")
    assert {each.state for each in status.packs["p"].migrations} == {"interrupted"}
    for call in (runner.plan, runner.history, lambda: runner.plan_rollback("p")):
        with pytest.raises(DatabaseInterrupted, match="was killed and left a journal"):
            call()
    assert fingerprint(interrupted.parent) == before


def test_the_next_change_rolls_it_back_and_continues(interrupted, pack):
    assert [each.ref for each in MigrationRunner(interrupted, [pack]).apply()] == ["p:002_b"]
    assert tables(interrupted) == {"a", "b"}
    assert not interrupted.with_name("homie_p.db-journal").exists()


def test_a_change_that_turns_out_to_be_none_repairs_it_too(interrupted, pack, caplog):
    assert MigrationRunner(interrupted, [pack]).apply(to="p:1") == []
    assert "a run that was interrupted has been rolled back" in caplog.text
    assert look(interrupted, pack) == ("pending", ["p:002_b"], 1)


@pytest.mark.parametrize("call", ["rollback", "redo"])
def test_a_rollback_and_a_redo_repair_it_too(interrupted, pack, call):
    assert [each.ref for each in getattr(MigrationRunner(interrupted, [pack]), call)("p")] == ["p:001_a"]
    assert tables(interrupted) == (set() if call == "rollback" else {"a"})


def test_a_wal_that_a_killed_process_left_is_read_with_all_it_had_committed(half, pack):
    wal(half)
    with another_process(
        f"""
        connection = sqlite3.connect({str(half)!r}, isolation_level=None)
        connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_b')")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM schema_migrations")
        """,
        kill=True,
    ):
        pass
    names = {path.name for path in half.parent.iterdir()}
    assert "homie_p.db-wal" in names
    before = fingerprint(half.parent)
    assert look(half, pack) == ("up_to_date", [], 2)
    after = fingerprint(half.parent)
    assert {name: after[name] for name in ("homie_p.db", "homie_p.db-wal")} == {
        name: before[name] for name in ("homie_p.db", "homie_p.db-wal")
    }
    assert {path.name for path in half.parent.iterdir()} == names


# --- files that are none, or not for us --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"hello, this is a text and no database at all\n" * 50, NotADatabase),
        (b"12345", NotADatabase),
        (os.urandom(16) + b"\0" * 4080, NotADatabase),
    ],
)
def test_a_file_that_is_not_a_database_is_reported_and_unchanged(tmp_path, pack, content, kind):
    path = tmp_path / "homie_p.db"
    path.write_bytes(content)
    runner = MigrationRunner(path, [pack])
    for call in (runner.status, runner.plan, runner.history, runner.apply, lambda: runner.rollback("p")):
        with pytest.raises(kind):
            call()
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["homie_p.db"]


def test_a_damaged_database_is_reported_and_unchanged(half, pack):
    content = bytearray(half.read_bytes())
    content[100:1000] = b"\xff" * 900
    half.write_bytes(content)
    for call in ("status", "apply"):
        with pytest.raises(DatabaseDamaged, match="Restore a snapshot"):
            getattr(MigrationRunner(half, [pack]), call)()
    assert half.read_bytes() == content


def test_a_truncated_database_is_reported_as_damaged_and_unchanged(half, pack):
    content = half.read_bytes()[:5000]
    half.write_bytes(content)
    for call in ("status", "apply"):
        with pytest.raises(DatabaseDamaged):
            getattr(MigrationRunner(half, [pack]), call)()
    assert half.read_bytes() == content


def test_a_schema_of_a_newer_sqlite_is_not_called_damage(half, pack):
    run_sql(half, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE a (id) FANCY' WHERE name = 'a';")
    before = half.read_bytes()
    for call in ("status", "apply"):
        with pytest.raises(NewerSQLiteNeeded, match="The file is not damaged"):
            getattr(MigrationRunner(half, [pack]), call)()
    assert half.read_bytes() == before


@pytest.mark.parametrize(
    ("make", "path", "reason"),
    [
        (lambda folder: None, "no/such/homie_p.db", "there is no folder"),
        (lambda folder: (folder / "file").touch(), "file/homie_p.db", "is not a folder"),
        (lambda folder: (folder / "homie_p.db").mkdir(), "homie_p.db", "it is a folder"),
        (lambda folder: (folder / "homie_p.db").symlink_to(folder / "nowhere.db"), "homie_p.db", "it is a link that leads nowhere"),
        (lambda folder: (folder / "homie_p.db").symlink_to(folder / "homie_p.db"), "homie_p.db", "it is a link that leads nowhere"),
    ],
)
def test_an_unreachable_path_is_named_with_the_reason_and_not_created(tmp_path, pack, make, path, reason):
    make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    runner = MigrationRunner(tmp_path / path, [pack])
    for call in (runner.status, runner.plan, runner.history, runner.apply, lambda: runner.rollback("p")):
        with pytest.raises(DatabaseNotReachable, match=reason):
            call()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_is_too_long_cannot_be_opened(tmp_path, pack):
    with pytest.raises(DatabaseNotReachable, match="it can't be opened"):
        MigrationRunner(tmp_path / ("x" * 300 + ".db"), [pack]).apply()


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_text_that_is_not_a_file_name_is_refused(path):
    with pytest.raises(DatabaseNotReachable, match="it is not the name of a file"):
        MigrationRunner(path, [])
