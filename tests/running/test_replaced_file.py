"""A database file that is removed or replaced while it is in use: an error, never "applied"."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import creates, python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner, Run, Step, hookimpl
from homie_migrations_core.errors import DatabaseReplaced
from homie_migrations_core.sqlite.writer import Writer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps files that are open")

REMOVE = "os.unlink({path!r})"
REPLACE = "shutil.copyfile({path!r}, {path!r} + '.new')\nos.replace({path!r} + '.new', {path!r})"
CASES = {"removed": (REMOVE, "the file was removed"), "replaced": (REPLACE, "another file took its place")}


@pytest.fixture(params=["delete", "wal"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    return path


def pack(tmp_path: Path, body: str) -> MigrationPack:
    files = {
        "001_one.py": creates(1, "one"),
        "002_two.py": python_migration(2, body, head="import os, shutil"),
        "003_three.py": creates(3, "three"),
    }
    return write_pack(tmp_path / "pack", "p", files)


class Interferes:
    """Acts when a step has finished, and keeps what observers heard."""

    def __init__(self, act: Callable[[], object], at: str = "") -> None:
        self._act, self._at, self.finished, self.failed = act, at, [], []

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        self.finished.append(step.ref)
        if step.ref == self._at:
            self._act()

    @hookimpl
    def homie_step_failed(self, run: Run, step: Step, error: BaseException) -> None:
        self.failed.append(type(error))


@pytest.mark.parametrize(("act", "found"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("then", ["pass", "raise ValueError('no')"], ids=["it returns", "it raises"])
def test_a_migration_that_removes_or_replaces_the_file(path: Path, tmp_path: Path, act: str, found: str, then: str) -> None:
    observer = Interferes(lambda: None)
    body = f"conn.execute('CREATE TABLE two (a)')\n{act.format(path=str(path))}\n{then}"
    with pytest.raises(DatabaseReplaced) as failed:
        MigrationRunner(path, [pack(tmp_path, body)], observers=[observer]).apply()
    error = failed.value
    assert (error.code, error.exit_code, error.path) == ("database_replaced", 1, str(path))
    assert found in str(error)
    assert error.committed == ("p:001_one",)
    assert observer.finished == ["p:001_one"]
    assert len(observer.failed) == 1
    assert error.snapshot is not None
    assert str(error.snapshot) in str(error)
    assert tables(Path(str(error.snapshot))) == {"t"}


@pytest.mark.parametrize(("act", "found"), CASES.values(), ids=CASES)
def test_somebody_removes_or_replaces_it_between_two_steps(path: Path, tmp_path: Path, act: str, found: str) -> None:
    observer = Interferes(lambda: exec(act.format(path=str(path)), {"os": os, "shutil": shutil}), at="p:001_one")
    with pytest.raises(DatabaseReplaced, match=found):
        MigrationRunner(path, [pack(tmp_path, "conn.execute('CREATE TABLE two (a)')")], observers=[observer]).apply()
    assert observer.finished == ["p:001_one"]
    if path.exists():
        assert recorded(path) in ([], ["p:001_one"])  # in WAL mode the copy is without what was in the log
        assert "two" not in tables(path)


@pytest.mark.parametrize(("act", "found"), CASES.values(), ids=CASES)
def test_it_is_noticed_after_the_commit_too(
    path: Path, tmp_path: Path, act: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, observer = Writer.commit, Interferes(lambda: None)

    def then_replaced(writer: Writer) -> None:
        commit(writer)
        exec(act.format(path=str(path)), {"os": os, "shutil": shutil})

    monkeypatch.setattr(Writer, "commit", then_replaced)
    with pytest.raises(DatabaseReplaced, match=found) as failed:
        MigrationRunner(path, [pack(tmp_path, "pass")], observers=[observer]).apply()
    assert observer.finished == []
    assert failed.value.committed == ()
    assert failed.value.snapshot is not None


def test_a_new_database_that_is_removed_while_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "homie_p.db"
    with pytest.raises(DatabaseReplaced, match="the file was removed"):
        MigrationRunner(path, [pack(tmp_path, f"os.unlink({str(path)!r})")]).apply()


def test_all_or_nothing_is_no_exception(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseReplaced):
        MigrationRunner(path, [pack(tmp_path, REPLACE.format(path=str(path)))]).apply(all_or_nothing=True)
    assert recorded(path) == []


@pytest.mark.parametrize("change", ["baseline", "repair"])
@pytest.mark.parametrize("before", [True, False], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(("act", "found"), CASES.values(), ids=CASES)
def test_records_that_went_into_another_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, before: bool, act: str, found: str
) -> None:
    from homie_migrations_core.running import records

    known = write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})
    if change == "repair":
        MigrationRunner(path, [known], backup=False).apply(to="p:1")
        write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "other")})

    def replaced() -> None:
        exec(act.format(path=str(path)), {"os": os, "shutil": shutil})

    if before:
        write = records._write
        monkeypatch.setattr(records, "_write", lambda *args: (write(*args), replaced()))
    else:
        commit = Writer.commit
        monkeypatch.setattr(Writer, "commit", lambda writer: (commit(writer), replaced()))
    runner = MigrationRunner(path, [known])
    with pytest.raises(DatabaseReplaced, match=found) as failed:
        runner.baseline("p", 1) if change == "baseline" else runner.repair("p:1")
    assert tables(Path(str(failed.value.snapshot))) >= {"t"}


def test_a_link_that_leads_to_another_file_is_noticed(tmp_path: Path) -> None:
    real, other, link = tmp_path / "real.db", tmp_path / "other.db", tmp_path / "homie_p.db"
    for each in (real, other):
        run_sql(each, "CREATE TABLE t (a)")
    link.symlink_to(real)
    body = f"os.unlink({str(link)!r})\nos.symlink({str(other)!r}, {str(link)!r})"
    with pytest.raises(DatabaseReplaced, match="another file"):
        MigrationRunner(link, [pack(tmp_path, body)]).apply()
    assert query(other, "SELECT count(*) FROM sqlite_schema") == [(1,)]


def test_a_file_that_stays_is_no_problem(path: Path, tmp_path: Path) -> None:
    body = f"os.rename({str(path)!r}, {str(path)!r} + '.away')\nos.rename({str(path)!r} + '.away', {str(path)!r})"
    assert len(MigrationRunner(path, [pack(tmp_path, body)]).apply()) == 3
