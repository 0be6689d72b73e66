"""A real Dask scheduler and worker processes on this machine, and workers that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet.fleet_helpers import REFS, applied_times, tenant_pack, tenants
from helpers import recorded

from homie_migrations_core.errors import ExecutorBroken
from homie_migrations_core.fleet import migrate_fleet
from homie_migrations_core.fleet.dask_cluster import DaskWorkers
from homie_migrations_core.fleet.fleets import job_for, run_fleet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
    pytest.mark.filterwarnings("ignore"),  # Dask's own, about sockets and event loops
]


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Cluster:
    """A scheduler and two workers, each a process. Workers have no nanny, which would start them again."""

    def __init__(self, folder: Path) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder = folder
        self._log = (folder / "dask.log").open("wb")
        self.processes = [
            self._started("scheduler", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2], "--no-dashboard")
        ]
        self.workers = [self.start_worker() for _ in range(2)]

    def _started(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "30s"},
        )

    def start_worker(self) -> subprocess.Popen[bytes]:
        worker = self._started("worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", ".")
        self.processes.append(worker)
        return worker

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    with contextlib.closing(Cluster(tmp_path_factory.mktemp("dask"))) as found:
        yield found


def test_workers_that_are_killed_cost_no_database_anything(tmp_path: Path, cluster: Cluster):
    """One is killed in the middle of a migration, by itself, and the other in the middle of the run; a third one ends the work."""
    paths = tenants(tmp_path / "db", 400)
    flag = tmp_path / "killed"
    second = (
        "import os, signal\nfrom pathlib import Path\n"
        f"flag = Path({str(flag)!r})\n"
        "if not flag.exists() and conn.execute('SELECT file FROM pragma_database_list').fetchone()[0].endswith('00060.db'):\n"
        "    flag.write_text(str(os.getpid()))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    pack = tenant_pack(tmp_path, second)
    outcomes = []
    with DaskWorkers(cluster.address) as workers:
        for outcome in run_fleet(job_for("apply", [pack], backup=False), paths, workers):
            outcomes.append(outcome)
            if flag.exists() and len(cluster.workers) == 2:
                cluster.workers.append(cluster.start_worker())
                killed = int(flag.read_text())
                (other,) = [each for each in cluster.workers[:2] if each.pid != killed]
                other.send_signal(signal.SIGKILL)
    assert flag.exists()
    assert [each.wait(10) for each in cluster.workers[:2]] == [-signal.SIGKILL] * 2
    assert sorted(each.path for each in outcomes) == [str(path) for path in paths]
    assert not [each.message for each in outcomes if each.state == "failed"]
    assert all(applied_times(path) == [(ref, 1) for ref in REFS] for path in paths)


def test_the_command_stops_what_runs_on_a_cluster(tmp_path: Path, cluster: Cluster):
    paths = tenants(tmp_path / "db", 5)
    running = tmp_path / "running"
    endless = f"import time\nfrom pathlib import Path\nPath({str(running)!r}).touch()\nwhile True:\n    conn.execute('SELECT 1')\n    time.sleep(0.01)"
    pack = tenant_pack(tmp_path, endless)
    command = [sys.executable, "-m", "homie_migrations_core", "migrations", "fleet", "apply", "--dir", str(pack.migrations)]
    process = subprocess.Popen(
        [*command, "--executor", cluster.address, "--no-backup", *map(str, paths)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(running.exists)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 143, err
    assert "failed" in out
    assert all(recorded(path) in ([], list(REFS[:1])) for path in paths)


def test_an_executor_of_a_client_is_one_like_any_other(tmp_path: Path, cluster: Cluster):
    from distributed import Client

    paths = tenants(tmp_path / "db", 20)
    with Client(cluster.address, set_as_default=False) as client:
        outcomes = list(migrate_fleet(paths, [tenant_pack(tmp_path)], client.get_executor(pure=False)))
    assert {each.state for each in outcomes} == {"applied"}
    assert len(outcomes) == 20


def test_an_address_where_nobody_answers_is_an_error(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("distributed")
    from homie_migrations_core.fleet import dask_cluster

    monkeypatch.setattr(dask_cluster, "_SECONDS_TO_CONNECT", 1.0)
    with pytest.raises(ExecutorBroken, match="no Dask scheduler answers"):
        DaskWorkers(f"tcp://127.0.0.1:{free_port()}")
