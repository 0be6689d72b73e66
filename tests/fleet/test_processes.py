"""Real worker processes: they die, their parent dies, they can't begin. Each pool takes a second, so the tests are few."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from fleet.fleet_helpers import REFS, applied_times, tenant_pack, tenants
from helpers import recorded

from homie_migrations_core.errors import ExecutorBroken
from homie_migrations_core.fleet import migrate_fleet

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

DIES = """
import os, signal
from pathlib import Path
path = conn.execute("SELECT file FROM pragma_database_list").fetchone()[0]
folder, name = os.path.split(path)
flag = Path(folder, name + ".died")
if name == "00007.db" or (name == "00021.db" and not flag.exists()):
    flag.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_is_killed_costs_no_other_database_anything(tmp_path: Path):
    """One database kills its worker each time, and one only the first time; both in the middle of their second migration."""
    paths = tenants(tmp_path / "db", 40)
    outcomes = {Path(each.path).name: each for each in migrate_fleet(paths, [tenant_pack(tmp_path, DIES)], jobs=2)}
    assert outcomes.keys() == {path.name for path in paths}
    assert {name: each.error_code for name, each in outcomes.items() if each.error_code} == {"00007.db": "worker_died"}
    for path in paths:
        expected = REFS[:1] if path.name == "00007.db" else REFS
        assert applied_times(path) == [(ref, 1) for ref in expected]


TERMINATES = """
import os, signal
from pathlib import Path
flag = Path(conn.execute("SELECT file FROM pragma_database_list").fetchone()[0]).parent.with_name("terminated")
if not flag.exists():
    flag.touch()
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_worker_that_is_told_to_end_gives_back_what_it_has(tmp_path: Path):
    """It is in the middle of a migration, with others to follow, and nobody stops the fleet."""
    paths = tenants(tmp_path / "db", 40)
    outcomes = list(migrate_fleet(paths, [tenant_pack(tmp_path, TERMINATES)], jobs=2))
    assert sorted(each.path for each in outcomes) == [str(path) for path in paths]
    assert {each.error_code for each in outcomes} == {None}
    assert (tmp_path / "terminated").exists()
    assert all(applied_times(path) == [(ref, 1) for ref in REFS] for path in paths)


def test_a_borrowed_pool_that_breaks_is_an_error_and_every_outcome_before_holds(tmp_path: Path):
    paths = tenants(tmp_path / "db", 200)
    pack = tenant_pack(tmp_path, DIES)
    outcomes = []
    with ProcessPoolExecutor(1, get_context("spawn")) as pool, pytest.raises(ExecutorBroken, match="its executor broke"):
        for each in migrate_fleet(paths, [pack], pool):
            outcomes.append(each)  # noqa: PERF402  (what came before the error counts)
    done = {each.path for each in outcomes if each.state != "failed"}
    assert all(recorded(Path(path)) == list(REFS) for path in done)
    assert {each.error_code for each in outcomes if each.path not in done} == {"worker_died"}
    begun = {str(path) for path in paths if recorded(path)}
    assert begun <= {each.path for each in outcomes}


def test_a_script_without_a_guard_is_told_what_it_needs(tmp_path: Path):
    paths = tenants(tmp_path / "db", 3)
    pack = tenant_pack(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom homie_migrations_core import MigrationPack\n"
        "from homie_migrations_core.fleet import migrate_fleet\n"
        f"print(list(migrate_fleet({[str(path) for path in paths]}, [MigrationPack('tenant', Path({str(pack.migrations)!r}))], jobs=1)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("homie_migrations_core.errors.failures.ExecutorBroken: The fleet was not finished: its worker processes")
    assert 'if __name__ == "__main__":' in last
    assert not [path for path in paths if recorded(path)]


SLEEPS = """
import os, time
from pathlib import Path
path = conn.execute("SELECT file FROM pragma_database_list").fetchone()[0]
Path(path + ".running").write_text(str(os.getpid()))
time.sleep(1000)
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_worker_processes_end_when_their_parent_is_killed_and_undo_what_runs(tmp_path: Path):
    (path,) = tenants(tmp_path / "db", 1)
    pack = tenant_pack(tmp_path, SLEEPS)
    command = [
        sys.executable,
        "-m",
        "homie_migrations_core",
        "migrations",
        "fleet",
        "apply",
        str(path),
        "--dir",
        str(pack.migrations),
    ]
    process = subprocess.Popen([*command, "--no-backup"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = Path(f"{path}.running")
    try:
        wait_until(lambda: running.exists() and running.read_text())
    finally:
        process.kill()
        process.wait()
    worker = int(running.read_text())
    wait_until(lambda: not alive(worker))
    assert recorded(path) == list(REFS[:1])
    assert not Path(f"{path}-journal").exists()


def unchanged_for(file: Path, *, seconds: float) -> bool:
    return time.time() - file.stat().st_mtime > seconds


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "whole_group"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, False), (signal.SIGTERM, 143, True), (signal.SIGHUP, 129, True)]
    if os.name != "nt"
    else [],
    ids=str,
)
def test_a_signal_undoes_what_runs_and_leaves_a_report_that_a_second_run_continues(
    tmp_path: Path, number: int, code: int, whole_group: bool
):
    """A terminal and systemd send a signal to the worker processes too."""
    paths = tenants(tmp_path / "db", 30)
    only_third = f"import os\nif conn.execute('SELECT file FROM pragma_database_list').fetchone()[0].endswith('00003.db') and not os.path.exists({str(tmp_path / 'go')!r}):\n"
    pack = tenant_pack(tmp_path, only_third + "\n".join(f"    {each}" for each in SLEEPS.strip().splitlines()))
    report = tmp_path / "report.jsonl"
    command = [sys.executable, "-m", "homie_migrations_core", "migrations", "fleet", "apply", "--dir", str(pack.migrations)]
    command += ["--report", str(report), "--no-backup", "--jobs", "2"]
    process = subprocess.Popen(
        [*command, *map(str, paths)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(Path(f"{paths[3]}.running").exists)
    wait_until(lambda: report.exists() and report.read_text().count("\n") >= 20)
    wait_until(lambda: unchanged_for(report, seconds=1))  # so that the other worker has nothing left that would be undone
    (os.killpg if whole_group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=15)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert ", 1 failed" in out
    assert "of 30 databases" in out
    assert "Stopped on request" in err
    assert recorded(paths[3]) == list(REFS[:1])
    (tmp_path / "go").touch()
    again = subprocess.run([*command, "--only-failed", str(report)], capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0
    assert recorded(paths[3]) == list(REFS)
    second = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 0
    assert all(applied_times(path) == [(ref, 1) for ref in REFS] for path in paths)
