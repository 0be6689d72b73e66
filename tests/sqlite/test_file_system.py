"""Whether a path still names the same database file, and why one can't be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import query, run_sql

from homie_migrations_core.errors import DatabaseNotReachable
from homie_migrations_core.sqlite.file_system import file_identity, is_missing
from homie_migrations_core.sqlite.writer import Writer
from homie_migrations_core.stopping import StopRequest


def a_writer(path: Path, *, create: bool = False) -> Writer:
    return Writer(str(path), lock_timeout=1.0, stop=StopRequest(), waiting=lambda: None, create=create)


def test_a_file_keeps_its_identity_when_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    run_sql(path, "CREATE TABLE t (a);")
    before = file_identity(str(path))
    run_sql(path, "INSERT INTO t VALUES (zeroblob(100000)); VACUUM;")
    assert before is not None
    assert file_identity(str(path)) == before


def test_a_link_has_the_identity_of_its_file_and_a_link_to_nowhere_has_none(tmp_path: Path) -> None:
    path, link = tmp_path / "a.db", tmp_path / "link.db"
    link.symlink_to(path)
    assert file_identity(str(link)) is None
    assert is_missing(str(link))
    run_sql(path, "CREATE TABLE t (a);")
    assert file_identity(str(link)) == file_identity(str(path)) is not None
    assert not is_missing(str(link))


@pytest.mark.parametrize("name", ["nothing.db", "no_folder/a.db", "a_file/a.db"])
def test_a_missing_file_has_no_identity(tmp_path: Path, name: str) -> None:
    (tmp_path / "a_file").touch()
    assert file_identity(str(tmp_path / name)) is None


def test_an_identity_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop.db"
    loop.symlink_to(loop)
    with pytest.raises(DatabaseNotReachable):
        file_identity(str(loop))


@pytest.mark.skipif(os.name == "nt", reason="POSIX locks")
def test_asking_for_the_identity_keeps_the_locks_of_this_process(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    run_sql(path, "CREATE TABLE t (a);")
    writer = a_writer(path)
    writer.begin()
    assert not writer.is_replaced()
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('INSERT INTO t VALUES (1)')"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    writer.close()
    assert "database is locked" in other.stderr


# --- a writer whose file is replaced --------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("new", [False, True])
def test_a_writer_whose_file_stays_in_place_is_not_replaced(tmp_path: Path, mode: str, new: bool) -> None:
    path = tmp_path / "a.db"
    if not new:
        run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a);")
    writer = a_writer(path, create=new)
    assert not writer.is_replaced()  # nothing was opened yet
    writer.begin()
    writer.connection.execute_unguarded("CREATE TABLE u (a)")
    writer.commit()
    assert not writer.is_replaced()
    writer.renew()
    writer.begin()
    assert not writer.is_replaced()
    writer.close()
    assert query(path, "SELECT count(*) FROM u") == [(0,)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_writer_sees_that_its_file_was_removed_or_replaced_by_another(tmp_path: Path, mode: str, how: str, new: bool) -> None:
    path, other = tmp_path / "a.db", tmp_path / "other.db"
    if not new:
        run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a);")
    run_sql(other, "CREATE TABLE strange (a);")
    writer = a_writer(path, create=new)
    writer.begin()
    writer.connection.execute_unguarded("CREATE TABLE u (a)")
    if how == "removed":
        path.unlink()
    else:
        other.replace(path)
    assert writer.is_replaced()
    writer.commit()
    assert writer.is_replaced()
    writer.close()


def test_a_writer_that_opens_the_file_again_still_sees_that_it_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "a.db", tmp_path / "other.db"
    run_sql(path, "CREATE TABLE t (a);")
    run_sql(other, "CREATE TABLE strange (a);")
    writer = a_writer(path)
    writer.begin()
    writer.commit()
    writer.renew()
    other.replace(path)
    assert writer.begin(), "the file may differ from what this writer last saw"
    assert writer.is_replaced()
    writer.close()
