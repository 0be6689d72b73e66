"""`backup`, `backups` and `restore` on the command line: what they say, whom they ask, how they end."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest
from helpers import creates, fingerprint, one_line, problems, query, recorded, run_sql, snapshot_folder, tables

FILES = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "homie_tasks.db"
    path.parent.mkdir()
    return path


@pytest.fixture
def options(homie, tmp_path: Path, path: Path) -> tuple[object, ...]:
    """A database with one of two migrations applied, and a row."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    given = ("--dir", folder, "--database", path)
    assert homie("apply", *given, "--to", "tasks:1").code == 0
    run_sql(path, "INSERT INTO one VALUES (1, 'first')")
    return given


@pytest.fixture
def snapshot(homie, path: Path, options) -> Path:
    """Taken then; since, a row and a migration have been added."""
    found = Path(homie("backup", *options, "--json").json["databases"][0]["snapshot"])
    run_sql(path, "INSERT INTO one VALUES (2, 'second'), (3, 'third')")
    assert homie("apply", *options, "--no-backup").code == 0
    return found


def in_backups(path: Path) -> list[str]:
    folder = snapshot_folder(path)
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


# --- backup -------------------------------------------------------------------------------------------


def test_backup_says_where_the_snapshot_is_and_how_large(homie, path: Path, options) -> None:
    result = homie("backup", *options)
    (name,) = in_backups(path)
    assert name.endswith(".tasks-1.db")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == f"{path} (from --database): an existing database"
    assert result.out.splitlines()[1].startswith(f"  snapshot: {snapshot_folder(path) / name} (")
    assert len(result.out.splitlines()) == 2
    assert query(snapshot_folder(path) / name, "SELECT text FROM one") == [("first",)]


def test_backup_as_json_adds_the_path_to_what_status_says(homie, path: Path, options) -> None:
    result = homie("backup", *options, "--json")
    (database,) = result.json["databases"]
    assert database["snapshot"] == str(snapshot_folder(path) / in_backups(path)[0])
    assert (database["path"], database["exists"], database["state"]) == (str(path), True, "pending")
    assert result.json["error"] is None
    assert (result.code, result.err) == (0, "")


def test_backup_is_quiet_on_request(homie, options) -> None:
    result = homie("backup", *options, "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_backup_of_a_named_database_that_is_not_there_ends_with_2_and_makes_nothing(homie, path: Path, options) -> None:
    gone = path.with_name("gone.db")
    result = homie("backup", *options[:2], "--database", gone, "--json")
    assert result.code == 2
    assert result.json["error"]["code"] == "database_not_reachable"
    assert not gone.exists()
    assert not (path.parent / "backups").exists()


def test_backup_of_all_databases_takes_those_that_are_there(homie, installed, tmp_path: Path) -> None:
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    installed.pack("zebra", {"001_z.py": creates(1, "z")})
    assert homie("apply", "--data-dir", tmp_path, "--pack", "alpha").code == 0
    result = homie("backup", "--data-dir", tmp_path)
    assert (result.code, result.err) == (0, "")
    (name,) = in_backups(tmp_path / "modules" / "homie_alpha.db")
    assert name.startswith("homie_alpha.")
    assert not (tmp_path / "modules" / "homie_zebra.db").exists()


def test_backup_of_all_databases_skips_an_empty_one(homie, installed, tmp_path: Path) -> None:
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    empty = tmp_path / "modules" / "homie_alpha.db"
    empty.parent.mkdir()
    empty.touch()
    result = homie("backup", "--data-dir", tmp_path)
    assert (result.code, result.err) == (0, "")
    assert f"{empty}: the database is empty" in result.out.splitlines()
    assert in_backups(empty) == []


def test_backup_of_a_named_empty_database_is_refused(homie, path: Path, options) -> None:
    empty = path.with_name("empty.db")
    empty.touch()
    result = homie("backup", *options[:2], "--database", empty)
    assert result.code == 2
    expected = f"Error: Nothing was changed in {empty}: the database is empty. There is nothing to back up yet."
    assert one_line(result.err) == expected
    assert empty.read_bytes() == b""
    assert in_backups(path) == []


def test_backup_of_a_database_that_can_not_be_read_does_not_stop_another(homie, tmp_path: Path, path: Path, options) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    result = homie("backup", "--dir", options[1], "--database", tmp_path / "text.db", "--database", path)
    assert result.code == 2
    assert len(in_backups(path)) == 1


def test_backup_behind_a_writer_ends_with_1_and_names_it(homie_process, path: Path, options) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        result = homie_process("backup", *options, "--lock-timeout", "0.5")
    finally:
        writer.close()
    assert result.code == 1
    assert "keeps it locked" in result.err
    if Path("/proc/locks").exists():
        assert f"process {os.getpid()} " in result.err
        assert f"waiting for process {os.getpid()} " in result.err
    assert in_backups(path) == []


# --- backups --------------------------------------------------------------------------------------------


def test_backups_lists_them_newest_first_with_what_was_applied(homie, path: Path, options, snapshot: Path) -> None:
    assert homie("rollback", "tasks", *options, "--yes").code == 0
    begun = snapshot_folder(path) / "homie_tasks.20200102T030405.000000Z.untracked.begun.db"
    begun.write_bytes(b"x" * 10)
    before = fingerprint(path.parent)

    result = homie("backups", *options)

    assert fingerprint(path.parent) == before
    assert (result.code, result.err) == (0, "")
    head, *rows = result.out.splitlines()
    assert head == f"{path}: 3 snapshots in {snapshot_folder(path)}"
    assert [row.split()[-1] for row in rows] == sorted(in_backups(path), reverse=True)
    assert ("tasks-2" in rows[0], " automatic " in rows[0]) == (True, True)
    assert ("tasks-1" in rows[1], " by hand " in rows[1]) == (True, True)
    assert rows[2].startswith("  2020-01-02 03:04:05 UTC  10 bytes")
    assert "by a run that was killed before it changed anything" in rows[2]


def test_backups_as_json(homie, path: Path, options, snapshot: Path) -> None:
    result = homie("backups", *options, "--json")
    (database,) = result.json["databases"]
    (found,) = database["snapshots"]
    assert found == {
        "path": str(snapshot),
        "taken_at": found["taken_at"],
        "size": snapshot.stat().st_size,
        "applied": "tasks-1",
        "kind": "by_hand",
    }
    assert found["taken_at"].endswith("+00:00")
    assert result.code == 0


def test_backups_where_there_are_none(homie, path: Path, options) -> None:
    result = homie("backups", *options)
    assert (result.code, result.out, result.err) == (0, f"{path}: 0 snapshots\n", "")
    assert not (path.parent / "backups").exists()


# --- restore: the question ------------------------------------------------------------------------------


def test_restore_asks_with_what_would_change_counted(on_a_terminal, path: Path, options, snapshot: Path) -> None:
    terminal = on_a_terminal("restore", snapshot, *options, width=600)
    terminal.until("Go on?")
    assert f"{path} (from --database): an existing database" in terminal.seen
    assert f"Restoring {snapshot} into {path}. It changes one: 3 to 1 row, " in terminal.seen
    assert "two: gone, with 0 rows; pending again: tasks:002_two; changes made since it was taken are lost" in terminal.seen
    assert "; a snapshot is taken first. Go on? [y/N]:" in terminal.seen
    assert in_backups(path) == [snapshot.name]
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert f"restored {snapshot}" in terminal.seen
    assert "pending again: tasks:002_two" in terminal.seen
    assert query(path, "SELECT text FROM one") == [("first",)]
    assert recorded(path) == ["tasks:001_one"]
    assert len(in_backups(path)) == 2


@pytest.mark.parametrize("keys", ["n\n", "\n", "\x04"], ids=["no", "enter", "end of input"])
def test_anything_but_yes_ends_with_1_and_nothing_changed(on_a_terminal, path: Path, options, snapshot: Path, keys: str) -> None:
    before = fingerprint(path.parent)
    terminal = on_a_terminal("restore", snapshot, *options, "--no-backup", width=600)
    terminal.until("Go on?")
    assert "; no snapshot is taken. Go on?" in terminal.seen
    terminal.type(keys)
    assert terminal.ended() == 1
    assert "was not confirmed" in terminal.seen
    assert fingerprint(path.parent) == before


def test_ctrl_c_at_the_question_ends_with_130_and_nothing_changed(on_a_terminal, path: Path, options, snapshot: Path) -> None:
    before = fingerprint(path.parent)
    terminal = on_a_terminal("restore", snapshot, *options, width=600)
    terminal.until("Go on?")
    terminal.type("\x03")
    assert terminal.ended() == 130
    assert fingerprint(path.parent) == before


def test_without_a_terminal_and_without_yes_it_ends_with_2_and_nothing_changed(
    homie, homie_process, path: Path, options, snapshot: Path
) -> None:
    before = fingerprint(path.parent)
    result, alone = homie("restore", snapshot, *options, "--json"), homie_process("restore", snapshot, *options)
    assert result.code == alone.code == 2
    assert result.json["error"]["code"] == "nobody_to_ask"
    assert "--yes" in alone.err
    assert len(problems(alone.err)) == 1
    assert fingerprint(path.parent) == before


# --- restore: what it says and does -------------------------------------------------------------------------


def test_restore_says_what_it_did_and_where_the_state_before_is(homie, path: Path, options, snapshot: Path) -> None:
    result = homie("restore", snapshot, *options, "--yes")
    (before,) = set(in_backups(path)) - {snapshot.name}
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{path} (from --database): an existing database",
        f"  restored {snapshot}",
        "  pending again: tasks:002_two",
        f"  snapshot of the state before: {snapshot_folder(path) / before}",
    ]
    assert before.endswith(".tasks-2.auto.db")
    assert query(path, "SELECT text FROM one") == [("first",)]


def test_restore_as_json(homie, path: Path, options, snapshot: Path) -> None:
    result = homie("restore", snapshot, *options, "--yes", "--json")
    (database,) = result.json["databases"]
    rows = {each["table"]: (each["before"], each["after"]) for each in database["restored"]["rows"]}
    assert (rows["one"], rows["two"]) == ((3, 1), (0, None))
    assert database["restored"]["source"] == str(snapshot)
    assert (database["restored"]["pending_again"], database["restored"]["applied_again"]) == (["tasks:002_two"], [])
    assert Path(database["snapshot"]).exists()
    assert (database["state"], database["packs"][0]["current_version"]) == ("pending", 1)
    assert result.code == 0

    undone = homie("restore", database["snapshot"], *options, "--yes", "--json").json["databases"][0]["restored"]
    assert (undone["pending_again"], undone["applied_again"]) == ([], ["tasks:002_two"])
    assert len(query(path, "SELECT * FROM one")) == 3


def test_restore_without_a_backup_leaves_none(homie, path: Path, options, snapshot: Path) -> None:
    result = homie("restore", snapshot, *options, "--yes", "--no-backup", "--json")
    assert result.code == 0
    assert result.json["databases"][0]["snapshot"] is None
    assert in_backups(path) == [snapshot.name]


def test_restore_finds_a_bare_name_in_the_folder_of_snapshots(homie, path: Path, options, snapshot: Path) -> None:
    assert homie("restore", snapshot.name, *options, "--yes").code == 0
    assert recorded(path) == ["tasks:001_one"]


def test_restore_prefers_a_file_that_is_there_to_one_of_that_name_in_the_folder(
    homie, path: Path, options, snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_sql(tmp_path / snapshot.name, "CREATE TABLE another (a)")
    assert homie("restore", snapshot.name, *options, "--yes").code == 0
    assert tables(path) == {"another"}


def test_restore_makes_a_database_that_is_gone(homie, path: Path, options, snapshot: Path) -> None:
    path.unlink()
    result = homie("restore", snapshot, *options, "--yes")
    assert result.code == 0
    assert result.out.startswith(f"{path} (from --database): a new database\n")
    assert query(path, "SELECT text FROM one") == [("first",)]


@pytest.mark.parametrize("what", ["nothing", "text", "empty", "itself", ""])
def test_a_file_that_can_not_be_restored_ends_with_2_and_changes_nothing(
    homie, path: Path, options, snapshot: Path, tmp_path: Path, what: str
) -> None:
    file = path if what == "itself" else tmp_path / what
    if what == "text":
        file.write_text("no database " * 100)
    elif what == "empty":
        file.touch()
    before = fingerprint(path.parent)
    result = homie("restore", file if what else "", *options, "--yes", "--json")
    assert result.code == 2
    assert result.json["error"]["code"] == ("snapshot_unusable" if what else "usage")
    assert result.json["error"]["message"].startswith(("Nothing was put back", "Nothing was restored"))
    assert fingerprint(path.parent) == before


def test_restore_behind_a_writer_ends_with_1_names_it_and_changes_nothing(
    homie_process, path: Path, options, snapshot: Path
) -> None:
    before, writer = fingerprint(path.parent), sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        result = homie_process("restore", snapshot, *options, "--yes", "--lock-timeout", "0.5")
    finally:
        writer.close()
    assert result.code == 1
    if Path("/proc/locks").exists():
        assert f"process {os.getpid()} " in result.err
    assert "Traceback" not in result.err
    assert fingerprint(path.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_waits_ends_it_and_nothing_changed(
    started, path: Path, options, snapshot: Path, number: int, code: int
) -> None:
    before, writer = fingerprint(path.parent), sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        process = started("restore", snapshot, *options, "--yes")
        assert process.stderr.readline().startswith("  waiting for ")
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    finally:
        writer.close()
    assert process.returncode == code
    assert "Traceback" not in err
    assert fingerprint(path.parent) == before


# --- which database -------------------------------------------------------------------------------------------


@pytest.fixture
def several(homie, installed, tmp_path: Path) -> Path:
    """The folder of three databases whose names begin alike; each has a snapshot."""
    for name in ("alpha", "alpha_b", "zebra"):
        installed.pack(name, {"001_x.py": creates(1, f"of_{name}")}, database={"alpha_b": "homie_alpha.b.db"}.get(name, ""))
        assert homie("apply", "--data-dir", tmp_path, "--pack", name).code == 0
        assert homie("backup", "--data-dir", tmp_path, "--pack", name).code == 0
    return tmp_path / "modules"


@pytest.mark.parametrize("file", ["homie_alpha.db", "homie_alpha.b.db", "homie_zebra.db"])
@pytest.mark.parametrize("bare", [True, False], ids=["bare name", "path"])
def test_a_snapshot_is_restored_into_the_database_that_its_name_begins_with(
    homie, several: Path, tmp_path: Path, file: str, bare: bool
) -> None:
    listed = {
        Path(each["path"]).name: [Path(one["path"]) for one in each["snapshots"]]
        for each in homie("backups", "--data-dir", tmp_path, "--json").json["databases"]
    }
    (snapshot,) = listed[file]
    run_sql(several / file, "CREATE TABLE later (a)")
    others = {name: digest for name, digest in fingerprint(several).items() if name.startswith("homie_") and name != file}
    result = homie("restore", snapshot.name if bare else snapshot, "--data-dir", tmp_path, "--yes")
    assert result.code == 0, result.err
    assert "later" not in tables(several / file)
    assert {name: fingerprint(several)[name] for name in others} == others


def test_a_snapshot_with_another_name_needs_a_database(homie, several: Path, tmp_path: Path) -> None:
    run_sql(tmp_path / "mine.db", "CREATE TABLE mine (a)")
    before = fingerprint(several)
    result = homie("restore", tmp_path / "mine.db", "--data-dir", tmp_path, "--yes", "--json")
    assert result.code == 2
    assert result.json["error"]["code"] == "usage"
    assert "--database PATH" in result.json["error"]["message"]
    assert fingerprint(several) == before
    assert homie("restore", tmp_path / "mine.db", "--data-dir", tmp_path, "--pack", "zebra", "--yes").code == 0
    assert tables(several / "homie_zebra.db") == {"mine"}


def test_several_databases_can_not_take_one_snapshot(homie, options, path: Path, snapshot: Path, tmp_path: Path) -> None:
    run_sql(tmp_path / "copy.db", "CREATE TABLE mine (a)")
    before = fingerprint(path.parent)
    given = ("--dir", options[1], "--database", path, "--database", path.with_name("other.db"))
    assert homie("restore", tmp_path / "copy.db", *given, "--yes").code == 2
    assert fingerprint(path.parent) == before


def test_snapshots_in_the_folder_that_all_databases_shared_are_listed_and_restored_by_name(
    homie, path: Path, options, snapshot: Path
) -> None:
    shared = path.parent / "backups" / "homie_tasks.20200102T030405.000000Z.untracked.auto.db"
    run_sql(shared, "CREATE TABLE old (a)")
    result = homie("backups", *options)
    head, *rows = result.out.splitlines()
    assert head == f"{path}: 2 snapshots in {snapshot.parent} and {shared.parent}"
    assert [row.split()[-1] for row in rows] == [snapshot.name, shared.name]
    assert homie("restore", shared.name, *options, "--yes").code == 0
    assert tables(path) == {"old"}
