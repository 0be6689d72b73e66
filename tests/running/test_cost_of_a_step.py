"""What a step costs, counted rather than timed: statements, files parsed and compiled, and waits for the disk."""

from __future__ import annotations

import builtins
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import creates, run_sql, write_pack
from running.execution_helpers import runner

from homie_migrations_core import MigrationPack, Run, Step, hookimpl
from homie_migrations_core.packs import loading, reading
from homie_migrations_core.running import steps
from homie_migrations_core.sqlite.guard import GuardedConnection

BEFORE = ["BEGIN IMMEDIATE", "PRAGMA data_version", "INSERT INTO main.schema_migrations", "SAVEPOINT _homie_step"]
AFTER = ["RELEASE _homie_step", "UPDATE main.schema_migrations"]
LOOKS = ["PRAGMA database_list", "PRAGMA main.foreign_key_list"]


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the runner itself executes."""
    execute, spoken = GuardedConnection.execute_unguarded, []

    def noted(self: GuardedConnection, sql: str, parameters: Any = ()) -> Any:
        spoken.append(sql)
        return execute(self, sql, parameters)

    monkeypatch.setattr(GuardedConnection, "execute_unguarded", noted)
    return spoken


def of_one_step(spoken: list[str], number: int) -> list[str]:
    """The statements from one BEGIN to the next, without what they are about."""
    begins = [at for at, sql in enumerate(spoken) if sql == "BEGIN IMMEDIATE"]
    known = [*BEFORE, *AFTER, *LOOKS]
    return [next((each for each in known if sql.startswith(each)), sql) for sql in spoken[begins[number] : begins[number + 1]]]


@pytest.mark.parametrize(
    ("script", "looks"),
    [
        ("CREATE TABLE {0} (a);", []),
        ("CREATE INDEX {0} ON t (a);", ["SELECT type, name, tbl_name FROM main.sqlite_master"]),
        ("SAVEPOINT s; CREATE TABLE {0} (a); RELEASE s; COMMIT;", []),
    ],
)
def test_the_runner_executes_few_statements_of_its_own_for_a_script(
    path: Path, tmp_path: Path, spoken: list[str], script: str, looks: list[str]
) -> None:
    names = enumerate(("one", "two", "three"), start=1)
    files = {f"00{number}_{name}.sql": script.format(name) for number, name in names}
    runner(path, write_pack(tmp_path / "pack", "p", files)).apply()
    told = of_one_step(spoken, 1)
    assert told[: len(BEFORE + AFTER)] == BEFORE + AFTER
    assert [sql[: len(look)] for sql, look in zip(told[len(BEFORE + AFTER) :], [*looks, "COMMIT"], strict=True)] == [
        *looks,
        "COMMIT",
    ]


def test_the_keys_of_a_script_with_keys_are_checked(path: Path, tmp_path: Path, spoken: list[str]) -> None:
    files = {
        "001_one.sql": "CREATE TABLE one (id INTEGER PRIMARY KEY, above ReFeReNces one);",
        "002_two.sql": "CREATE TABLE two (a);",
    }
    runner(path, write_pack(tmp_path / "pack", "p", files)).apply()
    assert LOOKS[1] in of_one_step(spoken, 0)


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("conn.execute('CREATE TABLE {0} (a)')", []),
        ("conn.execute('CREATE TABLE {0} (a)'); conn.commit()", ["SAVEPOINT _homie_since_commit"]),
        ("conn.execute('CREATE TABLE {0} (a)').close(); conn.executescript('SELECT 1;')", ["SAVEPOINT _homie_since_commit"]),
    ],
)
def test_the_runner_executes_few_statements_of_its_own_for_a_python_file(
    path: Path, tmp_path: Path, spoken: list[str], code: str, more: list[str]
) -> None:
    names = enumerate(("one", "two", "three"), start=1)
    files = {f"00{number}_{name}.py": _migration(number, code.format(name)) for number, name in names}
    runner(path, write_pack(tmp_path / "pack", "p", files)).apply()
    told = of_one_step(spoken, 1)
    again = ["RELEASE _homie_since_commit", *more] if "executescript" in code else []  # before and after it, as sqlite3 does
    assert told == [*BEFORE, *more, *again, *AFTER, *LOOKS, "COMMIT"]


def _migration(number: int, code: str) -> str:
    return f"def get_migration_version():\n    return {number}\n\n\ndef apply_migration(conn):\n    {code}\n"


# --- Python files -----------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> dict[Any, list[str]]:
    """The names of the files that were parsed, and of those that were compiled."""
    names: dict[Any, list[str]] = {reading: [], loading: []}

    def noting(module: Any) -> Callable[..., Any]:
        def noted(content: bytes, path: Any, *more: Any, **options: Any) -> Any:
            names[module].append(Path(path).name)
            return builtins.compile(content, path, *more, **options)

        return noted

    for module in names:
        monkeypatch.setattr(module, "compile", noting(module), raising=False)
    loading._compiled.cache_clear()
    return names


class AfterEachStep:
    """Calls something after each step."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        self._call()


def test_a_file_is_parsed_once_and_compiled_once_some_time_before_its_turn(
    path: Path, tmp_path: Path, compiled: dict[Any, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "AHEAD", 2)
    files = {f"00{number}_m{number}.py": creates(number, f"m{number}") for number in (1, 2, 4, 5, 6)}
    pack = write_pack(tmp_path / "pack", "p", {**files, "003_script.sql": "CREATE TABLE m3 (a);"})
    counts: list[int] = []
    runner(path, pack, AfterEachStep(lambda: counts.append(len(compiled[loading])))).apply()
    assert compiled == {reading: sorted(files), loading: sorted(files)}
    assert counts == [2, 2, 3, 3, 5, 5]


def test_what_can_not_be_compiled_fails_when_its_turn_comes(path: Path, tmp_path: Path) -> None:
    fails = f"{creates(2, 'two')}\nreturn\n"  # the parser accepts it
    files = {"001_one.py": creates(1, "one"), "002_two.py": fails}
    with pytest.raises(Exception, match=r"'return' outside function.*\(002_two\.py, line \d+\)") as raised:
        runner(path, write_pack(tmp_path / "pack", "p", files)).apply()
    assert [each.ref for each in raised.value.applied] == ["p:001_one"]  # type: ignore[attr-defined]


# --- the disk ---------------------------------------------------------------------------------------------

_APPLY = """
import sys
from pathlib import Path
from homie_migrations_core import MigrationPack, run_migrations
run_migrations(sys.argv[1], [MigrationPack(name="p", migrations=Path(sys.argv[2]))], backup=False)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace counts the calls")
@pytest.mark.parametrize(("mode", "waits"), [("delete", 5), ("wal", 1)])
def test_a_step_waits_for_the_disk_no_more_often_than_its_commit_does(tmp_path: Path, mode: str, waits: int) -> None:
    assert _waits(tmp_path / "twenty", mode, 20) - _waits(tmp_path / "ten", mode, 10) == 10 * waits


def _waits(folder: Path, mode: str, migrations: int) -> int:
    folder.mkdir()
    path, trace = folder / "homie_p.db", folder / "trace"
    run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a);")
    files = {f"{number:03}_m{number}.sql": f"CREATE TABLE m{number} (a);" for number in range(1, migrations + 1)}
    pack: MigrationPack = write_pack(folder / "pack", "p", files)
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync", sys.executable, "-c", _APPLY]
    subprocess.run([*command, str(path), str(pack.migrations)], check=True)
    return sum(" fsync(" in line or " fdatasync(" in line for line in trace.read_text().splitlines())
