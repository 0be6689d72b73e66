"""Reading a pack's files without running them: versions, requirements, scripts, and what is unusable and why."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers import APPLY, VERSION, creates, recorded, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import PackBroken, RollbackRefused
from homie_migrations_core.packs.reading import read_pack

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


def test_aliases_in_a_circle_end(read):
    assert read("get_migration_version = a\na = b\nb = a\n" + APPLY).problem is None  # running it tells


@pytest.mark.parametrize(
    "content", [b"x = '\xff'\n", b"\0", b"# coding: klingon\n", b"(" * 100_000, b"x = " + b"-" * 100_000 + b"1"]
)
def test_bytes_that_python_cannot_parse_are_a_reason_and_not_a_crash(read, content):
    migration = read(content)
    assert migration.problem.startswith("001_a.py")
    assert migration.checksum is None


def test_a_rollback_that_is_not_a_function_does_not_count(read):
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
        ("REQUIRES = ('c:1', 'b:3', 'c:1')", ("c:1", "b:3")),
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


# --- unusable files: a stop while pending, a finding once applied -----------------------------------------------------

SPOILED = {
    "syntax": "def apply_migration(conn)\n",
    "no function": VERSION,
    "other version": "def get_migration_version(): return 5\n" + APPLY,
    "no text": b"\xff\xfe\0",
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_an_applied_file_that_became_unreadable_is_a_finding_and_stops_nothing(tmp_path, spoiled):
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
