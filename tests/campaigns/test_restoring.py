"""
Kill a restore at a random time while other programs read and write: the database has the old state or the new one.

The seed is printed; HOMIE_KILLS_SEED sets it, and HOMIE_RESTORE_KILLS the number of kills.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter, deque
from pathlib import Path
from statistics import median
from typing import Self

import pytest
from helpers import creates, query, run_sql, snapshot_folder, write_pack

from homie_migrations_core import MigrationRunner

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")]

KILLS = int(os.environ.get("HOMIE_RESTORE_KILLS", "60"))
SEED = int(os.environ.get("HOMIE_KILLS_SEED", random.randrange(10**6)))
STATE = "SELECT count(*), sum(length(text)), min(tag), max(tag) FROM t"

RESTORES = """
import json, os, sys, time, traceback
from pathlib import Path
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.sqlite import copying, restoring, snapshots, rows, holders
copying.PAGES_A_STEP = restoring.PAGES_A_STEP = 10
for line in sys.stdin:
    path, snapshot, pack, seconds = json.loads(line)
    heard, tell = os.pipe()
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        try:
            MigrationRunner(path, [MigrationPack("p", Path(pack))], lock_timeout=10).restore(snapshot)
        except BaseException:
            os.write(tell, traceback.format_exc().encode()[-3000:])
        os._exit(0)
    os.close(tell)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process, 9)  # at worst it is a zombie
    status = os.waitpid(process, 0)[1]
    with os.fdopen(heard) as report:
        error = report.read()
    print(json.dumps([os.WIFSIGNALED(status), error, time.monotonic() - began]), flush=True)
"""

OTHER_PROGRAM = """
import select, sqlite3, sys, time
path, state, allowed = sys.argv[1], sys.argv[2], sys.argv[3:]
connection = sqlite3.connect(path, isolation_level=None, timeout=0.05)
print("ready", flush=True)
seen, written, problem = 0, 0, ""
while not select.select([0], [], [], 0.005)[0]:
    try:
        found = repr(connection.execute(state).fetchone())
        seen += 1
        if found not in allowed:
            problem = problem or f"saw {found}"
        connection.execute("INSERT INTO w VALUES (1)")
        written += 1
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            problem = problem or str(error)
    except sqlite3.Error as error:
        problem = problem or str(error)
connection.close()
print(seen, written, problem, flush=True)
"""


class Restorer:
    """Restore snapshots in processes of their own, which are killed on request."""

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._helper = subprocess.Popen(
            [sys.executable, "-c", RESTORES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._helper.communicate()

    def restore(self, path: Path, snapshot: Path, pack: Path, seconds: float | None = None) -> tuple[bool, float]:
        """Return whether the process was killed in time, and its seconds."""
        assert self._helper.stdin
        assert self._helper.stdout
        print(json.dumps([str(path), str(snapshot), str(pack), seconds]), file=self._helper.stdin, flush=True)
        killed, error, took = json.loads(self._helper.stdout.readline())
        assert not error, error
        return killed, took


def state(path: Path) -> str:
    """Return what identifies the state of a database. Raises if it is damaged. Opening it rolls a journal back."""
    connection = sqlite3.connect(path, timeout=10)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return repr(connection.execute(STATE).fetchone())
    finally:
        connection.close()


def examined(folder: Path) -> list[str]:
    """Return the states in the automatic snapshots, which must be complete, and remove them."""
    found = []
    for each in [*folder.glob("*.auto.db"), *folder.glob("*.begun.db")]:
        found.append(state(each))
        for left in folder.glob(f"{each.name}*"):
            left.unlink()
    return found


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_killed_restore_leaves_the_old_state_or_the_new_one_and_the_next_one_finishes(
    memory_folder: Path, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, pack = memory_folder / "data" / "homie_p.db", memory_folder / "pack"
    path.parent.mkdir()
    runner = MigrationRunner(path, [write_pack(pack, "p", {"001_one.py": creates(1, "one")})])
    run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE w (a); CREATE TABLE t (id INTEGER PRIMARY KEY, tag TEXT, text TEXT);")
    snapshots: dict[str, Path] = {}
    for tag, rows in (("a", 600), ("b", 900)):
        run_sql(
            path,
            f"""DELETE FROM t; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
            INSERT INTO t SELECT i, '{tag}', hex(zeroblob(200)) FROM n;""",
        )
        snapshots[state(path)] = runner.backup()
    now = state(path)
    assert len(snapshots) == 2
    chance, counts, took = random.Random(SEED), Counter[str](), deque[float](maxlen=9)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER_PROGRAM, str(path), STATE, *snapshots],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for each in programs:
            assert each.stdout
            assert each.stdout.readline() == "ready\n"
        with Restorer() as restorer:
            for _ in range(3):
                took.append(restorer.restore(path, snapshots[now], pack)[1])
            examined(snapshot_folder(path))
            for number in range(KILLS):
                (target,) = set(snapshots) - {now}
                seconds = chance.uniform(0, 1.1 * median(took))
                killed, duration = restorer.restore(path, snapshots[target], pack, seconds)
                found, kept = state(path), examined(snapshot_folder(path))
                counts["in time"] += killed
                counts["old" if found == now else "new"] += 1
                assert found in snapshots, f"kill {number} after {seconds}: {found}"
                assert found == now or now in kept, f"kill {number} after {seconds}: there is no snapshot of the state before"
                if not killed:
                    took.append(duration)
                    assert found == target
                if number % 5 == 0:
                    took.append(restorer.restore(path, snapshots[target], pack)[1])  # the machine may have become slower
                    counts["finished"] += 1
                    assert state(path) == target, f"after kill {number}"
                    examined(snapshot_folder(path))
                now = state(path)
    finally:
        said = [each.communicate("stop\n")[0] for each in programs]
    with capsys.disabled():
        print(
            f"\n{mode}: {KILLS} kills, {counts['in time']} in time, {counts['old']} left the old state, {counts['new']} the new one; "
            f"programs read and wrote {' and '.join(each.strip() for each in said)} times (HOMIE_KILLS_SEED={SEED})",
            file=sys.stderr,
        )
    for each in said:
        seen, written, problem = each.rstrip("\n").split(" ", 2)
        assert not problem
        assert int(seen) > KILLS // 2
        assert int(written) > KILLS // 4
    assert counts["in time"] > KILLS // 4
    assert min(counts["old"], counts["new"]) > 0
    assert query(path, "PRAGMA journal_mode") == [(mode,)]
