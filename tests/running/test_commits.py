"""Commits that fail, take effect all the same, or can not be confirmed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from helpers import creates, recorded, snapshot_folder, tables, write_pack
from running.execution_helpers import ALL, FAILS, FILES, Listener, refs, runner

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    CommitUnconfirmed,
    HomieMigrationsError,
    LockTimeout,
    MigrationFailed,
    RunStopped,
)
from homie_migrations_core.running.commit_checks import CommitChecks
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.writer import CommitFailed, Writer


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": creates(3, "three")})


@pytest.fixture
def failing(tmp_path: Path) -> MigrationPack:
    """The third of four fails."""
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": FAILS, "004_four.py": creates(4, "four")})


# --- commits that fail ----------------------------------------------------------------------------------


def commit_fails(monkeypatch: pytest.MonkeyPatch, at: int, *, takes_effect: bool) -> None:
    """The `at`th commit raises, before or after it took effect."""
    commit, commits = Writer.commit, []

    def faulty(writer: Writer) -> None:
        commits.append(True)
        if len(commits) != at or takes_effect:
            commit(writer)
        if len(commits) == at:
            raise CommitFailed("disk I/O error")

    monkeypatch.setattr(Writer, "commit", faulty)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_commit_that_failed_is_a_failed_migration(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    listener = Listener(path)
    commit_fails(monkeypatch, at, takes_effect=False)
    with pytest.raises(MigrationFailed, match=r"the commit failed \(disk I/O error\)") as failed:
        runner(path, pack, listener).apply()
    assert failed.value.ref == ALL[at - 1]
    assert refs(failed.value.applied) == ALL[: at - 1]
    assert recorded(path) == ALL[: at - 1]
    assert listener.heard[-2:] == [f"failed {at}", "run finished"]
    assert refs(runner(path, pack).apply()) == ALL[at - 1 :]


@pytest.mark.parametrize("all_or_nothing", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_commit_that_raised_but_took_effect_is_looked_up_in_the_file(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, at: int, all_or_nothing: bool
) -> None:
    listener = Listener(path)
    commit_fails(monkeypatch, at, takes_effect=True)
    assert refs(runner(path, pack, listener).apply(all_or_nothing=all_or_nothing)) == ALL
    assert recorded(path) == ALL
    assert [heard for heard in listener.heard if heard.startswith("fail")] == []


@pytest.mark.parametrize("takes_effect", [False, True])
def test_the_same_holds_for_a_rollback(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    runner(path, pack).apply()
    commit_fails(monkeypatch, 1, takes_effect=takes_effect)
    if takes_effect:
        assert refs(runner(path, pack).rollback("p", steps=2)) == ["p:003_three", "p:002_two"]
        assert recorded(path) == ALL[:1]
    else:
        with pytest.raises(MigrationFailed, match="Rolling back p:003_three failed"):
            runner(path, pack).rollback("p", steps=2)
        assert recorded(path) == ALL


@pytest.mark.parametrize("takes_effect", [False, True])
def test_of_a_redo_whose_commit_failed_nothing_is_claimed(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    """Its record is there before and after it, so the file can't tell."""
    runner(path, pack).apply()
    commit_fails(monkeypatch, 1, takes_effect=takes_effect)
    with pytest.raises(CommitUnconfirmed):
        runner(path, pack).redo("p")
    assert recorded(path) == ALL


@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_commit_that_nobody_can_look_up_is_said_to_be_unknown(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    def unreadable(*_: object, **__: object) -> object:
        raise LockTimeout(str(path), 1.0, "reading", "Later.")

    commit_fails(monkeypatch, 1, takes_effect=takes_effect)
    monkeypatch.setattr("homie_migrations_core.running.lost_transactions.read", unreadable)
    listener = Listener(path)
    with pytest.raises(CommitUnconfirmed, match="It is not known whether p:001_one was committed"):
        runner(path, pack, listener).apply()
    assert not [heard for heard in listener.heard if heard.startswith(("finished", "failed"))]
    assert recorded(path) == (ALL[:1] if takes_effect else [])


@pytest.mark.parametrize("at", [1, 2, 3])
def test_observers_hear_of_the_step_that_a_stop_right_before_its_commit_undoes(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    checked, commits = CommitChecks.committed, []

    def counted(checks: CommitChecks) -> None:
        checked(checks)
        commits.append(True)

    monkeypatch.setattr(CommitChecks, "committed", counted)
    listener = Listener(path)
    with pytest.raises(RunStopped) as stopped:
        runner(path, pack, listener, should_stop=lambda: len(commits) == at).apply()
    assert listener.heard[-2:] == [f"failed {at}", "run finished"]
    assert refs(stopped.value.applied) == recorded(path) == ALL[: at - 1]


def test_a_ctrl_c_right_after_a_commit_loses_neither_the_step_nor_its_snapshot(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Writer.commit

    def pressed(writer: Writer) -> None:
        commit(writer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "commit", pressed)
    with pytest.raises(KeyboardInterrupt):
        MigrationRunner(path, [pack]).apply()
    assert recorded(path) == ALL[:1]
    assert len(list(snapshot_folder(path).iterdir())) == 1


def count_of_statements(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, fail_at: int = 0) -> int:
    """How many statements the runner itself executes; the one at `fail_at` raises."""
    execute, spoken = GuardedConnection.execute_unguarded, []

    def faulty(self: GuardedConnection, sql: str, parameters: object = ()) -> sqlite3.Cursor:
        spoken.append(sql)
        if len(spoken) == fail_at:
            raise sqlite3.OperationalError("disk I/O error")
        return execute(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(GuardedConnection, "execute_unguarded", faulty)
        try:
            runner(path, pack).apply()
        except HomieMigrationsError:
            assert fail_at
    return len(spoken)


def test_whichever_statement_of_the_runner_fails_the_database_is_at_a_boundary(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = path.read_bytes()
    statements = count_of_statements(path, pack, monkeypatch)
    assert statements > 20
    made = ["one", "two", "three"]
    for fail_at in range(1, statements + 1):
        path.write_bytes(content)
        os.utime(path, (0, 0))  # a file that was just written is given a moment to settle before it is read
        count_of_statements(path, pack, monkeypatch, fail_at)
        assert tables(path) == {"t", *made[: len(recorded(path))]}
        runner(path, pack).apply()
        assert recorded(path) == ALL
