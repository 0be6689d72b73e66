"""Which processes keep a database locked, as far as the system shows it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import creates, query, run_sql, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import LockTimeout
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import holders
from homie_migrations_core.sqlite.holders import who_holds

pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not tell")
MODES = ("delete", "wal")

HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
cursor = connection.execute(sys.argv[2])
cursor.fetchone()
for statement in sys.argv[3:]:
    connection.execute(statement)
print("ready", flush=True)
for line in sys.stdin:
    cursor.close()
    if connection.in_transaction:
        connection.execute("COMMIT")
    print("let go", flush=True)
connection.close()
"""
WRITES = ("SELECT 1", "BEGIN IMMEDIATE", "INSERT INTO t VALUES (9)")
READS = ("SELECT a FROM t",)
IDLES = ("SELECT count(*) FROM t",)


class Holder:
    """Another process that has done something to a database, and still has it open."""

    def __init__(self, path: Path, *statements: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(path), *statements], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def let_go(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        print("now", file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "let go\n"

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3);")
    return path


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one")})


@pytest.fixture
def held(path: Path) -> Iterator:
    """Let another process do something; it is closed in the end."""
    made: list[Holder] = []

    def hold(*statements: str) -> Holder:
        made.append(Holder(path, *statements))
        return made[-1]

    yield hold
    for each in made:
        each.close()


def in_wal(path: Path) -> bool:
    return path.with_name(path.name + "-wal").exists()


def numbers(found: list[str] | tuple[str, ...]) -> list[int]:
    """The process ids in what was found."""
    return [int(each.split()[1]) for each in found]


def test_a_writer_is_named_with_its_process_and_its_command(path: Path, held) -> None:
    writer = held(*WRITES)
    (found,) = who_holds(str(path))
    assert found.startswith(f"process {writer.pid} ({sys.executable} -c ")
    assert len(found) < 130
    writer.let_go()
    assert who_holds(str(path)) == []


def test_the_command_is_one_line_however_it_was_called(path: Path, held) -> None:
    """It is part of a sentence, and an error has only a few lines."""
    held(*WRITES)
    (found,) = who_holds(str(path))
    assert "\n" not in found


def test_a_reader_is_named_among_the_readers_while_its_select_is_open(path: Path, held) -> None:
    reader = held(*READS)
    assert numbers(who_holds(str(path), reading=True)) == [reader.pid]
    assert who_holds(str(path)) == []


def test_an_idle_connection_is_not_a_reader(path: Path, held) -> None:
    """In WAL mode each connection holds a lock on the file for as long as it is open; it blocks no other connection."""
    idle = held(*IDLES)
    idle.let_go()
    assert who_holds(str(path), reading=True) == []
    assert who_holds(str(path)) == []


def test_several_are_named_each_once_and_this_process_is_not(path: Path, held) -> None:
    writer, readers = held(*WRITES), [held(*READS) for _ in range(2)]
    here = sqlite3.connect(path, isolation_level=None)
    try:
        rows = here.execute("SELECT a FROM t")
        rows.fetchone()
        assert numbers(who_holds(str(path))) == [writer.pid]
        found = numbers(who_holds(str(path), reading=True))
        assert len(found) == len(set(found))
        assert set(found) - {writer.pid} == {each.pid for each in readers}
        rows.close()
    finally:
        here.close()


def test_a_process_that_uses_another_database_is_not_named(path: Path, held) -> None:
    held(*WRITES)
    run_sql(path.with_name("other.db"), "CREATE TABLE t (a)")
    assert who_holds(str(path.with_name("other.db"))) == []
    assert who_holds(str(path.with_name("nowhere.db"))) == []


def test_a_database_behind_a_link_is_the_same(path: Path, held, tmp_path: Path) -> None:
    writer = held(*WRITES)
    if in_wal(path):
        pytest.skip("what lies beside a link is not what lies beside the file")
    (tmp_path / "link.db").symlink_to(path)
    assert numbers(who_holds(str(tmp_path / "link.db"))) == [writer.pid]


def test_a_run_that_gives_up_names_the_writer(path: Path, pack: MigrationPack, held) -> None:
    writer = held(*WRITES)
    with pytest.raises(LockTimeout) as given_up:
        MigrationRunner(path, [pack], lock_timeout=0.1).apply()
    assert numbers(given_up.value.holders) == [writer.pid]
    assert f"process {writer.pid} " in str(given_up.value)


def test_a_run_that_can_not_commit_names_the_reader(path: Path, pack: MigrationPack, held) -> None:
    reader = held(*READS)
    if query(path, "PRAGMA journal_mode") == [("wal",)]:
        pytest.skip("there a reader stands in nobody's way")
    with pytest.raises(LockTimeout) as given_up:
        MigrationRunner(path, [pack], lock_timeout=0.1).apply()
    assert numbers(given_up.value.holders) == [reader.pid]
    assert not (path.parent / "backups").exists()


@pytest.mark.parametrize("call", ["apply", "backup", "restore"])
def test_a_waiting_call_names_the_process_that_it_waits_for(path: Path, pack: MigrationPack, held, call: str) -> None:
    runner = MigrationRunner(path, [pack], lock_timeout=10)
    snapshot = runner.backup()
    writer, heard = held(*WRITES), []

    def listener(what: str, *_: object) -> None:
        if what.startswith("waiting"):
            heard.append(what)
            writer.let_go()

    with hearing_phases(listener):
        runner.restore(snapshot) if call == "restore" else getattr(runner, call)()
    assert len(heard) == 1
    assert heard[0].startswith(f"waiting for process {writer.pid} (")
    assert heard[0].count(str(writer.pid)) == 1


def test_without_a_list_of_locks_no_process_is_named(
    path: Path, pack: MigrationPack, held, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    writer, heard = held(*WRITES), []
    monkeypatch.setattr(holders, "_LIST", str(tmp_path / "no such list"))

    def listener(what: str, *_: object) -> None:
        heard.append(what)

    with pytest.raises(LockTimeout) as given_up, hearing_phases(listener):
        MigrationRunner(path, [pack], lock_timeout=0.5).apply()
    assert given_up.value.holders == ()
    assert "another connection keeps it locked" in str(given_up.value)
    assert heard == ["waiting for another process"]
    writer.let_go()
    assert who_holds(str(path)) == []


OPENED: list[str] = []
_watching: list[str] = []


def _watch(event: str, facts: tuple) -> None:
    if _watching and event in ("open", "sqlite3.connect", "os.open") and isinstance(facts[0], str | bytes | os.PathLike):
        OPENED.append(os.fsdecode(facts[0]))


def test_neither_the_file_nor_those_beside_it_are_opened(path: Path, held) -> None:
    """Closing it again would drop the locks that this process has on it."""
    held(*WRITES)
    sys.addaudithook(_watch)  # for good, but it sleeps
    OPENED.clear()
    _watching.append("now")
    try:
        assert who_holds(str(path))
        who_holds(str(path), reading=True)
    finally:
        _watching.clear()
    assert "/proc/locks" in OPENED
    assert not [each for each in OPENED if not each.startswith("/proc/")]


def test_asking_drops_no_lock_of_this_process(path: Path, held) -> None:
    here = sqlite3.connect(path, isolation_level=None)
    try:
        here.execute("BEGIN IMMEDIATE")
        who_holds(str(path))
        with pytest.raises(LockTimeout):
            MigrationRunner(path, [], lock_timeout=0.0).restore(_a_snapshot_of(path))
    finally:
        here.close()


def _a_snapshot_of(path: Path) -> Path:
    other = path.with_name("other.db")
    run_sql(other, "CREATE TABLE o (a)")
    return other
