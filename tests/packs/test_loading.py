"""Running a migration's file: when, as which module, from which bytes, and what only running it shows."""

from __future__ import annotations

import importlib
import sys

import pytest
from helpers import APPLY, VERSION, creates, python_migration, tables, write_pack

from homie_migrations_core import MigrationRunner, hookimpl
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.packs.loading import load
from homie_migrations_core.packs.reading import UnusablePack, read_pack


def test_requirements_that_turn_out_otherwise_when_the_file_runs_stop_it(read):
    migration = read(VERSION + APPLY + "globals()['REQUIRES'] = ('b:3',)\n")
    with pytest.raises(UnusablePack, match=r"001_a\.py computes its REQUIRES while it runs \(\('b:3',\)\); write it as a literal"):
        load(migration, None)


def test_relative_imports_work_in_a_package_pack(packages, tmp_path):
    files = {
        "_shared.py": "NAME = 'shared'\ndef create(conn, name): conn.execute(f'CREATE TABLE {name} (x)')\n",
        "001_a.py": python_migration(1, "create(conn, NAME)", head="from ._shared import NAME, create"),
        "002_b.py": python_migration(2, "from . import _shared\n_shared.create(conn, 'late')"),
    }
    database = tmp_path / "homie_p.db"
    MigrationRunner(database, [packages("acme.migrations", files)]).apply()
    assert tables(database) == {"shared", "late"}


def test_a_relative_import_in_a_folder_pack_fails_with_the_file_and_line(tmp_path):
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, head="from ._shared import x")})
    with pytest.raises(MigrationFailed, match=r"ImportError: attempted relative import .*\(001_a\.py, line 3"):
        MigrationRunner(tmp_path / "homie_p.db", [pack]).apply()


# --- nothing runs before its time ---------------------------------------------------------------------------------


def test_reading_runs_no_file_and_imports_none(tmp_path):
    trace = tmp_path / "trace"
    head = f"import pathlib\npathlib.Path({str(trace)!r}).touch()"
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a", head=head), "002_b.py": creates(2, "b", head=head)})
    runner = MigrationRunner(tmp_path / "homie_p.db", [pack])
    runner.apply(to="p:1")
    trace.unlink()
    before = set(sys.modules)
    runner.status()
    runner.plan()
    runner.history()
    runner.plan_rollback("p")
    assert not trace.exists()
    assert {name for name in sys.modules if not name.startswith("homie_migrations_core.")} <= before  # it loads rooms on demand
    runner.apply()
    assert trace.exists()


def test_a_migration_knows_where_its_file_is(tmp_path):
    head = "from pathlib import Path\nNAMES = (Path(__file__).parent / 'names.txt').read_text().split()"
    pack = write_pack(
        tmp_path / "p",
        "p",
        {
            "names.txt": "a b",
            "001_a.py": python_migration(1, "for name in NAMES: conn.execute(f'CREATE TABLE {name} (x)')", head=head),
        },
    )
    MigrationRunner(tmp_path / "homie_p.db", [pack]).apply()
    assert tables(tmp_path / "homie_p.db") == {"a", "b"}


def test_a_migration_is_run_as_it_would_be_imported_whatever_the_library_is_written_in(tmp_path):
    head = "def f(a: 1 + 1): pass\nassert f.__annotations__ == {'a': 2}"
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a", head=head)})
    assert len(MigrationRunner(tmp_path / "homie_p.db", [pack]).apply()) == 1


def test_a_migration_leaves_no_module_behind(tmp_path):
    head = "import dataclasses, sys\n@dataclasses.dataclass\nclass Row:\n    x: 'int'\nassert __name__ in sys.modules"
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a", head=head)})
    before = set(sys.modules)
    MigrationRunner(tmp_path / "homie_p.db", [pack]).apply()
    assert not [name for name in set(sys.modules) - before if "001_a" in name]
    assert not list((tmp_path / "p").rglob("__pycache__"))


def test_an_imported_module_of_the_same_name_stays_imported(packages, tmp_path, monkeypatch):
    pack = packages("acme.migrations", {"001_a.py": creates(1, "a")})
    theirs = importlib.import_module("acme.migrations.001_a")
    MigrationRunner(tmp_path / "homie_p.db", [pack]).apply()
    assert sys.modules["acme.migrations.001_a"] is theirs


def test_what_runs_is_what_was_checksummed(tmp_path):
    """A file that is exchanged after it was read must not run under the record of the other."""
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a"), "002_b.sql": "CREATE TABLE b (x);"})
    read = read_pack(pack)

    class Exchange:
        @hookimpl
        def homie_run_started(self, run):
            (tmp_path / "p" / "001_a.py").write_text(creates(1, "exchanged"))
            (tmp_path / "p" / "002_b.sql").write_text("CREATE TABLE exchanged_too (x);")

    database = tmp_path / "homie_p.db"
    MigrationRunner(database, [pack], observers=[Exchange()]).apply()
    assert tables(database) == {"a", "b"}
    now = MigrationRunner(database, [pack]).status().packs["p"]
    assert [each.state for each in now.migrations] == ["edited", "edited"]
    assert {record.checksum for record in MigrationRunner(database, [pack]).status().records} == {
        each.checksum for each in read.migrations
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "from elsewhere_001 import get_migration_version\n" + APPLY,
            "001_a.py returns 7 as its version, but its file name says 1",
        ),
        (
            "from elsewhere_001 import yes as get_migration_version\n" + APPLY,
            "001_a.py returns True as its version, but its file name says 1",
        ),
        ("from elsewhere_001 import *\n" + VERSION, "001_a.py has no apply_migration()"),
        (
            "from elsewhere_001 import text as apply_migration\n" + VERSION,
            "001_a.py binds apply_migration to something that can't be called",
        ),
    ],
)
def test_what_only_running_the_file_shows_fails_it_then(tmp_path, monkeypatch, body, reason):
    (tmp_path / "elsewhere_001.py").write_text("text = 'x'\ndef get_migration_version(): return 7\ndef yes(): return True\n")
    monkeypatch.syspath_prepend(tmp_path)
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": body})
    with pytest.raises(MigrationFailed) as failure:
        MigrationRunner(tmp_path / "homie_p.db", [pack]).apply()
    assert failure.value.found == reason
    monkeypatch.delitem(sys.modules, "elsewhere_001")
