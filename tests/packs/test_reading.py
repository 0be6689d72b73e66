"""A folder of files becomes a pack, and nothing in it is run before its time."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers import creates, python_migration, recorded, tables, write_pack
from homie_migrations_core import MigrationPack, MigrationRunner, hookimpl
from homie_migrations_core.errors import MigrationFailed, PackBroken, PackInvalid, RollbackRefused
from homie_migrations_core.model import Migration
from homie_migrations_core.packs.loading import load
from homie_migrations_core.packs.reading import UnusablePack, read_pack

APPLY = "def apply_migration(conn): pass\n"
VERSION = "def get_migration_version(): return 1\n"


@pytest.fixture
def read(tmp_path):
    """Read one Python migration, 001_a.py, from its source."""

    def read_one(source: str | bytes) -> Migration:
        folder = tmp_path / "pack"
        folder.mkdir(exist_ok=True)
        (folder / "001_a.py").write_bytes(source.encode() if isinstance(source, str) else source)
        return read_pack(MigrationPack("p", folder)).migrations[0]

    return read_one


# --- what an author hands over ---------------------------------------------------------------------------------


def test_a_pack_is_a_name_a_place_and_the_name_of_a_database():
    assert MigrationPack("mail", "mail.migrations").database == "homie_mail.db"
    assert MigrationPack("mail", Path("migrations"), "app.db").database == "app.db"
    assert MigrationPack("mail", "x") == MigrationPack(name="mail", migrations="x", database="homie_mail.db")
    assert MigrationPack("mail", Path("no/such/folder")).migrations == Path("no/such/folder")  # nothing is read


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("Mail", "x"), "its name is 'Mail'. A name has lower-case letters, digits and _, and begins with a letter."),
        (("", "x"), "its name is ''."),
        ((None, "x"), "its name is None."),
        (("mail", ""), "the migrations of mail are ''. Give the dotted name of a package, or a pathlib.Path to a folder."),
        (("mail", None), "the migrations of mail are None."),
        (("mail", ["x"]), "the migrations of mail are ['x']."),
        (("mail", "x", "data/app.db"), "the database of mail is 'data/app.db'. Give a bare file name;"),
        (("mail", "x", "..\\app.db"), "the database of mail is '..\\\\app.db'."),
        (("mail", "x", ".."), "the database of mail is '..'."),
        (("mail", "x", "."), "the database of mail is '.'."),
        (("mail", "x", ":memory:"), "the database of mail is ':memory:'."),
        (("mail", "x", "a\0b"), "the database of mail is 'a\\x00b'."),
        (("mail", "x", None), "the database of mail is None."),
        (("mail", "x", Path("app.db")), "the database of mail is "),
    ],
)
def test_what_cannot_be_a_pack_is_refused_when_it_is_made(arguments, reason):
    with pytest.raises(PackInvalid) as refused:
        MigrationPack(*arguments)
    assert str(refused.value).startswith(f"This is not a valid migration pack: {reason}")


# --- what a file may look like ----------------------------------------------------------------------------

GOOD_VERSIONS = {
    "a literal": "def get_migration_version() -> int:\n    '''One.'''\n    return 1",
    "a name bound to a literal": "VERSION = 1\ndef get_migration_version(): return VERSION",
    "a name bound further down": "def get_migration_version(): return VERSION\nVERSION = 1",
    "an annotated name": "VERSION: int = 1\ndef get_migration_version(): return VERSION",
    "a name annotated later": "VERSION = 1\nVERSION: int\ndef get_migration_version(): return VERSION",
    "a name of a name": "V = 1\nVERSION = V\ndef get_migration_version(): return VERSION",
    "the last binding counts": "VERSION = 2\nVERSION = 1\ndef get_migration_version(): return VERSION",
    "names bound together": "VERSION, OTHER = 1, 2\ndef get_migration_version(): return VERSION",
    "one value, two names": "A = VERSION = 1\ndef get_migration_version(): return VERSION",
    "a lambda": "get_migration_version = lambda: 1",
    "an annotated lambda": "from typing import Any\nget_migration_version: Any = lambda: 1",
    "an alias": "def _version(): return 1\nget_migration_version = _version",
    "an alias of an alias": "a = lambda: 1\nb = a\nget_migration_version = b",
    "an imported function": "from elsewhere import get_migration_version",
    "an imported function under another name": "from elsewhere import one as get_migration_version",
    "a star import": "from elsewhere import *",
    "inside if": "import sys\nif sys.version_info > (3,):\n    def get_migration_version(): return 1",
    "inside else": "import sys\nif sys.version_info < (3,):\n    pass\nelse:\n    def get_migration_version(): return 1",
    "inside try": "try:\n    from elsewhere import x\nexcept ImportError:\n    def get_migration_version(): return 1",
    "inside try, else": "try:\n    import json\nexcept ImportError:\n    pass\nelse:\n    get_migration_version = lambda: 1",
    "inside finally": "try:\n    pass\nfinally:\n    get_migration_version = lambda: 1",
    "inside with": "import contextlib\nwith contextlib.suppress(Exception):\n    get_migration_version = lambda: 1",
    "inside match": "match 1:\n    case 1:\n        get_migration_version = lambda: 1",
    "beside what binds no name": "A, B = divmod(7, 3)\nx.y = 1\nx.y += 1\nx.y: int = 1\nx[0] = 2\ndef get_migration_version(): return 1",
    "decorated": "import functools\n@functools.cache\ndef get_migration_version(): return 1",
}


@pytest.mark.parametrize("source", GOOD_VERSIONS.values(), ids=GOOD_VERSIONS)
def test_a_version_is_read_without_running_the_file(read, source):
    migration = read("raise SystemExit('was run')\n" + source + "\n" + APPLY)
    assert migration.problem is None
    assert (migration.ref, migration.version, migration.reversible) == ("p:001_a", 1, "elsewhere import *" in source)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (APPLY, "001_a.py has no get_migration_version()"),
        (VERSION, "001_a.py has no apply_migration()"),
        ("", "001_a.py has no get_migration_version()"),
        ("REQUIRES = 3\n" + VERSION, "001_a.py has no apply_migration()"),
        ("def get_migration_version(): return 2\nREQUIRES = 3\n", "001_a.py has no apply_migration()"),
        (
            "def get_migration_version(): return 2\nREQUIRES = 3\n" + APPLY,
            "001_a.py returns 2 as its version, but its file name says 1",
        ),
        ("get_migration_version = None\n" + APPLY, "001_a.py has no get_migration_version()"),
        ("apply_migration = None\n" + VERSION, "001_a.py has no apply_migration()"),
        ("from elsewhere import *\napply_migration = 3\n" + VERSION, "001_a.py has no apply_migration()"),
        ("def get_migration_version(): return 2\n" + APPLY, "001_a.py returns 2 as its version, but its file name says 1"),
        ("V = 2\nget_migration_version = lambda: V\n" + APPLY, "001_a.py returns 2 as its version, but its file name says 1"),
        ("def get_migration_version(): return '1'\n" + APPLY, "001_a.py returns '1' as its version, but its file name says 1"),
        ("def get_migration_version(): return True\n" + APPLY, "001_a.py returns True as its version, but its file name says 1"),
        ("def get_migration_version(): return None\n" + APPLY, "001_a.py returns None as its version, but its file name says 1"),
        ("def get_migration_version(): return -1\n" + APPLY, "001_a.py returns -1 as its version, but its file name says 1"),
        ("def get_migration_version(): return 1.0\n" + APPLY, "001_a.py returns 1.0 as its version, but its file name says 1"),
        (
            "async def apply_migration(conn): pass\n" + VERSION,
            "001_a.py defines apply_migration with async def, which would never be awaited",
        ),
        (
            "async def a(conn): pass\napply_migration = a\n" + VERSION,
            "001_a.py defines apply_migration with async def, which would never be awaited",
        ),
        (
            "async def get_migration_version(): return 1\n" + APPLY,
            "001_a.py defines get_migration_version with async def, which would never be awaited",
        ),
        (
            VERSION + APPLY + "async def rollback_migration(conn): pass\n",
            "001_a.py defines rollback_migration with async def, which would never be awaited",
        ),
        (
            VERSION + APPLY + "async def verify_migration(conn): pass\n",
            "001_a.py defines verify_migration with async def, which would never be awaited",
        ),
        (VERSION + "def apply_migration(conn)\n    pass\n", "001_a.py, line 2: expected ':'"),
    ],
)
def test_a_file_that_cannot_be_a_migration_is_named_with_its_reason(read, source, problem):
    assert read(source).problem == problem


UNREADABLE_VERSIONS = {
    "computed": "def get_migration_version(): return 0 + 1",
    "called": "def get_migration_version(): return int('1')",
    "an argument's default": "def get_migration_version(v=1): return v",
    "nothing": "def get_migration_version(): pass",
    "a bare return": "def get_migration_version(): return",
    "two returns": "def get_migration_version():\n    if x: return 1\n    return 2",
    "a local name": "def get_migration_version():\n    v = 1\n    return v",
    "counted up": "V = 0\nV += 1\ndef get_migration_version(): return V",
    "made by a call": "get_migration_version = make(1)",
    "a class": "class get_migration_version: pass",
    "a class with a method": "class get_migration_version:\n    def __new__(cls): return 1",
}


@pytest.mark.parametrize("source", UNREADABLE_VERSIONS.values(), ids=UNREADABLE_VERSIONS)
def test_a_version_that_only_running_could_tell_makes_the_file_unusable(read, source):
    problem = read(source + "\n" + APPLY).problem
    assert problem.startswith("001_a.py, line ")
    assert problem.endswith(": what get_migration_version() returns can't be read without running it; write it as a literal")


def test_aliases_in_a_ring_end(read):
    assert read("get_migration_version = a\na = b\nb = a\n" + APPLY).problem is None  # running it tells


@pytest.mark.parametrize(
    "content", [b"x = '\xff'\n", b"\0", b"# coding: klingon\n", b"(" * 100_000, b"x = " + b"-" * 100_000 + b"1"]
)
def test_bytes_that_python_cannot_parse_are_a_reason_and_no_crash(read, content):
    migration = read(content)
    assert migration.problem.startswith("001_a.py")
    assert migration.checksum is None


def test_a_rollback_that_is_none_is_none(read):
    assert not read(VERSION + APPLY + "rollback_migration = None\n").reversible
    assert not read(VERSION + APPLY + "from elsewhere import *\nrollback_migration = None\n").reversible
    assert read(VERSION + APPLY + "from elsewhere import *\n").reversible  # as far as can be told without running it
    assert read(VERSION + APPLY + "def rollback_migration(conn): pass\n").reversible
    assert read(VERSION + APPLY + "from elsewhere import rollback_migration\n").reversible


# --- requirements -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "requires"),
    [
        ("", ()),
        ("REQUIRES = ()", ()),
        ("REQUIRES = ('b:3',)", ("b:3",)),
        ("REQUIRES = ('b:3', 'c:001_x')", ("b:3", "c:001_x")),
        ("REQUIRES = ['b:3']", ("b:3",)),
        ("REQUIRES = 'b:3'", ("b:3",)),
        ("REQUIRES = ('c:1', 'b:3')", ("c:1", "b:3")),
        ("REQUIRES = {'f:1', 'e:1', 'd:1', 'c:1', 'b:3'}", ("b:3", "c:1", "d:1", "e:1", "f:1")),
        ("REQUIRES: tuple[str, ...] = ('b:3',)", ("b:3",)),
        ("NEEDS = ('b:3',)\nREQUIRES = NEEDS", ("b:3",)),
        ("REQUIRES, X = ('b:3',), 1", ("b:3",)),
        ("if True:\n    REQUIRES = ('b:3',)", ("b:3",)),
        ("# REQUIRES = ('b:3',)\n'''REQUIRES = ('b:3',)'''", ()),
        ("def f():\n    REQUIRES = ('b:3',)", ()),
    ],
)
def test_requirements_are_read_without_running_the_file(read, declared, requires):
    migration = read(f"raise SystemExit\n{declared}\n{VERSION}{APPLY}")
    assert (migration.problem, migration.requires) == (None, requires)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ("REQUIRES = ('b',)", "001_a.py requires 'b', which is not a valid reference (expected e.g. 'pack:3')"),
        ("REQUIRES = ('b:3', 4)", "001_a.py requires 4, which is not a valid reference (expected e.g. 'pack:3')"),
        ("REQUIRES = 'b:3, c:4'", "001_a.py requires 'b:3, c:4', which is not a valid reference (expected e.g. 'pack:3')"),
        ("REQUIRES = None", "001_a.py has REQUIRES = None, which is not a tuple of references"),
        ("REQUIRES = {'b': 3}", "001_a.py has REQUIRES = {'b': 3}, which is not a tuple of references"),
        ("REQUIRES = tuple(x)", "001_a.py, line 1: REQUIRES can't be read without running it; write it as a literal"),
        ("REQUIRES = ('b:3',) + X", "001_a.py, line 1: REQUIRES can't be read without running it; write it as a literal"),
        (
            "REQUIRES = ()\nREQUIRES += ('b:3',)",
            "001_a.py, line 2: REQUIRES can't be read without running it; write it as a literal",
        ),
        ("REQUIRES = {['b:3']}", "001_a.py, line 1: REQUIRES can't be read without running it; write it as a literal"),
        ("from elsewhere import REQUIRES", "001_a.py, line 1: REQUIRES can't be read without running it; write it as a literal"),
        ("REQUIRES = NEEDS", "001_a.py, line 1: REQUIRES can't be read without running it; write it as a literal"),
    ],
)
def test_requirements_that_cannot_be_read_make_the_file_unusable(read, declared, problem):
    assert read(f"{declared}\n{VERSION}{APPLY}").problem == problem


def test_requirements_that_turn_out_otherwise_when_the_file_runs_stop_it(read):
    migration = read(VERSION + APPLY + "globals()['REQUIRES'] = ('b:3',)\n")
    with pytest.raises(UnusablePack, match=r"001_a\.py computes its REQUIRES while it runs \(\('b:3',\)\); write it as a literal"):
        load(migration, None)


# --- SQL files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "requires", "problem"),
    [
        ("CREATE TABLE a (x);", (), None),
        ("", (), None),
        ("-- requires: b:3\nSELECT 1;", ("b:3",), None),
        (
            "\ufeff-- what it does\n\n--requires:b:3, c:001_x  d:4\n-- Requires: e:5\r\nSELECT 1;",
            ("b:3", "c:001_x", "d:4", "e:5"),
            None,
        ),
        ("SELECT 1;\n-- requires: b:3", (), None),
        ("-- it requires: patience\nSELECT 1;", (), None),
        (
            "-- requires: patience\nSELECT 1;",
            (),
            "001_a.sql requires 'patience', which is not a valid reference (expected e.g. 'pack:3')",
        ),
    ],
)
def test_the_leading_comments_of_a_script_name_its_requirements(tmp_path, script, requires, problem):
    migration = read_pack(write_pack(tmp_path / "p", "p", {"001_a.sql": script})).migrations[0]
    assert (migration.requires, migration.problem, migration.reversible) == (requires, problem, False)


def test_a_script_and_its_rollback_beside_it(tmp_path):
    files = {"001_a.sql": "CREATE TABLE a (x);", "001_a.rollback.sql": "DROP TABLE a;", "002_b.sql": "SELECT 1;"}
    one, two = read_pack(write_pack(tmp_path / "p", "p", files)).migrations
    assert (one.reversible, one.rollback_path.name, one.rollback_content) == (True, "001_a.rollback.sql", b"DROP TABLE a;")
    assert (two.reversible, two.rollback_path) == (False, None)


def test_a_script_that_is_not_utf_8_is_named_also_when_it_is_the_rollback(tmp_path):
    pack = write_pack(tmp_path / "p", "p", {"001_a.sql": "SELECT 1;", "001_a.rollback.sql": "", "002_b.sql": ""})
    (tmp_path / "p" / "001_a.rollback.sql").write_bytes(b"SELECT '\xff'")
    (tmp_path / "p" / "002_b.sql").write_bytes("SELECT 'ä'".encode("utf-16"))
    one, two = read_pack(pack).migrations
    assert one.problem == "001_a.rollback.sql is not UTF-8 (invalid start byte at byte 8)"
    assert two.problem == "002_b.sql is not UTF-8 (invalid start byte at byte 0)"


# --- the place ------------------------------------------------------------------------------------------------


def test_a_folder_that_is_none_or_empty_or_full_of_strange_files_is_no_pack(tmp_path):
    (tmp_path / "file").touch()
    for place in ("nowhere", "file"):
        with pytest.raises(UnusablePack, match="does not exist or is not a folder"):
            read_pack(MigrationPack("p", tmp_path / place))
    with pytest.raises(UnusablePack, match="it holds no migration"):
        read_pack(write_pack(tmp_path / "empty", "p", {"__init__.py": ""}))
    with pytest.raises(UnusablePack, match=r"1_a\.sql have the same version 1; helpers\.py is not a valid migration file name"):
        read_pack(write_pack(tmp_path / "bad", "p", {"001_a.py": creates(1, "a"), "1_a.sql": "", "helpers.py": ""}))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Make packages that can be imported, for this test only."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    before = set(sys.modules)

    def make(name: str, files: dict[str, str], *, init: str | None = "") -> MigrationPack:
        folder = tmp_path / "site" / name.replace(".", "/")
        write_pack(folder, "p", files)
        if init is not None:
            for parent in [folder, *folder.parents][: name.count(".") + 1]:
                (parent / "__init__.py").write_text(init if parent == folder else "")
        return MigrationPack("p", name)

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_package_is_found_without_importing_it(packages):
    pack = packages("acme.migrations", {"001_a.py": creates(1, "a")}, init="raise SystemExit('was imported')")
    assert [each.ref for each in read_pack(pack).migrations] == ["p:001_a"]
    assert "acme.migrations" not in sys.modules


@pytest.mark.parametrize(
    "name", ["no_such_package_of_ours", "no_such.package", "json.decoder", "..relative", "a..b", "sqlite3.dbapi2"]
)
def test_a_package_that_is_none_is_a_reason(name):
    with pytest.raises(UnusablePack, match="its package .* (can't be found|is not installed as a folder of files)"):
        read_pack(MigrationPack("p", name))


@pytest.mark.parametrize("parent", ["raise SystemExit(3)", "1 / 0", "def x(:", "import no_such_package_of_ours"])
def test_a_parent_package_that_fails_is_a_reason_whatever_it_raises(packages, tmp_path, parent):
    pack = packages("acme.migrations", {"001_a.py": creates(1, "a")})
    (tmp_path / "site" / "acme" / "__init__.py").write_text(parent)
    with pytest.raises(UnusablePack, match="its package acme.migrations can't be found"):
        read_pack(pack)


def test_a_namespace_package_in_two_places_is_not_guessed_at(packages, tmp_path, monkeypatch):
    pack = packages("acme_migrations", {"001_a.py": creates(1, "a")}, init=None)
    assert len(read_pack(pack).migrations) == 1
    write_pack(tmp_path / "other" / "acme_migrations", "p", {"002_b.py": creates(2, "b")})
    monkeypatch.syspath_prepend(tmp_path / "other")
    with pytest.raises(UnusablePack, match="is in more than one folder .*give it an __init__.py"):
        read_pack(pack)


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


def test_looking_runs_no_file_and_imports_none(tmp_path):
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
    assert set(sys.modules) == before
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


def test_a_module_that_somebody_has_imported_by_the_same_name_stays_theirs(packages, tmp_path, monkeypatch):
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


# --- unusable files: a stop while pending, a finding once applied -----------------------------------------------------

SPOILED = {
    "syntax": "def apply_migration(conn)\n",
    "no function": VERSION,
    "other version": "def get_migration_version(): return 5\n" + APPLY,
    "no text": b"\xff\xfe\0",
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_an_applied_file_that_became_unreadable_is_a_finding_and_no_stop(tmp_path, spoiled):
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
    database = tmp_path / "homie_p.db"
    runner = MigrationRunner(database, [pack])
    runner.apply(to="p:1")
    (tmp_path / "p" / "001_a.py").write_bytes(spoiled if isinstance(spoiled, bytes) else spoiled.encode())
    assert [each.ref for each in runner.apply()] == ["p:002_b"]
    first = runner.status().packs["p"].migrations[0]
    assert first.state in ("applied", "edited")
    assert first.problem.startswith("001_a.py")
    with pytest.raises(RollbackRefused) as refused:
        runner.rollback("p", to=0)
    assert refused.value.found == (first.problem,)
    assert recorded(database) == ["p:001_a", "p:002_b"]


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_a_pending_file_that_cannot_be_used_makes_the_pack_broken(tmp_path, spoiled):
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a"), "002_b.py": "", "003_c.py": creates(3, "c")})
    (tmp_path / "p" / "002_b.py").write_bytes(spoiled if isinstance(spoiled, bytes) else spoiled.encode())
    database = tmp_path / "homie_p.db"
    runner = MigrationRunner(database, [pack])
    status = runner.status().packs["p"]
    assert status.state == "broken"
    assert status.reason.startswith("002_b.py")
    assert [each.state for each in status.migrations] == ["pending", "pending", "pending"]
    with pytest.raises(PackBroken, match="002_b.py"):
        runner.apply()
    assert not database.exists()


def test_every_pending_file_that_cannot_be_used_is_named_at_once(tmp_path):
    pack = write_pack(
        tmp_path / "p", "p", {"001_a.py": VERSION, "002_b.py": "x", "003_c.py": creates(3, "c"), "004_d.sql": "-- requires: x"}
    )
    reason = (
        "001_a.py has no apply_migration(); 002_b.py has no get_migration_version(); 004_d.sql requires 'x', which is not "
        "a valid reference (expected e.g. 'pack:3')"
    )
    runner = MigrationRunner(tmp_path / "homie_p.db", [pack])
    assert runner.status().packs["p"].reason == reason
    with pytest.raises(PackBroken) as broken:
        runner.apply()
    assert [each.reason for each in broken.value.broken] == [reason]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody who may not read a file")
def test_a_file_that_this_user_may_not_read_is_named():
    code = """
import os, sys
from pathlib import Path
from homie_migrations_core import MigrationPack
from homie_migrations_core.packs.reading import UnusablePack, read_pack
os.setuid(65534)
place = Path(sys.argv[1])
for each in read_pack(MigrationPack("p", place / "p")).migrations:
    print(each.problem)
for folder in ("sealed", "sealed/inner"):
    try:
        read_pack(MigrationPack("p", place / folder))
    except UnusablePack as error:
        print(error)
"""
    with tempfile.TemporaryDirectory() as name:  # the folders of pytest are for one user only
        place = Path(name)
        place.chmod(0o755)
        write_pack(place / "p", "p", {"001_a.py": creates(1, "a"), "002_b.sql": "", "002_b.rollback.sql": ""})
        (place / "p" / "001_a.py").chmod(0)
        (place / "p" / "002_b.rollback.sql").chmod(0)
        (place / "sealed").mkdir(0o700)
        done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "001_a.py can't be read (Permission denied)",
        "002_b.rollback.sql can't be read (Permission denied)",
        f"its folder {place / 'sealed'} can't be read (Permission denied)",
        f"its folder {place / 'sealed' / 'inner'} does not exist or is not a folder",
    ]


def test_a_folder_with_the_name_of_a_migration_is_named(tmp_path):
    (tmp_path / "p" / "001_a.py").mkdir(parents=True)
    assert read_pack(MigrationPack("p", tmp_path / "p")).migrations[0].problem == "001_a.py can't be read (Is a directory)"
