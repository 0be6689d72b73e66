"""`should_stop` and `KeyboardInterrupt` in a program: they end every call of `MigrationRunner` and change nothing."""

from __future__ import annotations

import contextlib
import sqlite3
import time

import pytest
from helpers import creates, fingerprint, python_migration
from tasks_database import TasksDatabase

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import RunStopped


@pytest.mark.parametrize("moment", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "call", ["backup", "restore", "rehearse", "rehearse_rollback", "rehearse_reset", "rollback", "reset", "redo"]
)
def test_should_stop_ends_every_call_and_changes_nothing(tasks_database: TasksDatabase, call: str, moment: int):
    tasks_database.add("002_two.py", python_migration(2, "for i in range(99):\n    conn.execute('SELECT 1')"))
    arguments = {
        "restore": (tasks_database.snapshot(),),
        "rehearse_rollback": ("tasks",),
        "rollback": ("tasks",),
        "redo": ("tasks",),
    }
    before = fingerprint(tasks_database.path.parent)
    asked = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) >= moment

    runner = MigrationRunner(tasks_database.path, [MigrationPack("tasks", tasks_database.folder)], should_stop=should_stop)
    try:
        getattr(runner, call)(*arguments.get(call, ()))
    except RunStopped as stopped:
        assert stopped.path == str(tasks_database.path)
    else:  # it was not asked that often
        assert len(asked) < moment
        return
    assert fingerprint(tasks_database.path.parent) == before


@pytest.mark.parametrize("call", ["backup", "restore", "rehearse", "baseline"])
def test_ctrl_c_passes_through_every_call_and_changes_nothing(
    tasks_database: TasksDatabase, call: str, monkeypatch: pytest.MonkeyPatch
):
    from homie_migrations_core.progress import hearing_phases
    from homie_migrations_core.sqlite import copying, restoring

    tasks_database.add("002_two.py", creates(2, "two"))
    arguments = {"restore": (tasks_database.snapshot(),), "baseline": ("tasks", 2)}
    before = fingerprint(tasks_database.path.parent)
    for module in (copying, restoring):
        monkeypatch.setattr(module, "PAGES_A_STEP", 1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    runner = MigrationRunner(tasks_database.path, [MigrationPack("tasks", tasks_database.folder)])
    with hearing_phases(interrupt), pytest.raises(KeyboardInterrupt):
        getattr(runner, call)(*arguments.get(call, ()))
    assert fingerprint(tasks_database.path.parent) == before


def test_should_stop_ends_the_wait_to_read(tasks_database: TasksDatabase):
    tasks_database.add("002_two.py", creates(2, "two"))
    asked_at = time.monotonic() + 0.3
    pack = MigrationPack("tasks", tasks_database.folder)
    runner = MigrationRunner(tasks_database.path, [pack], lock_timeout=60.0, should_stop=lambda: time.monotonic() > asked_at)
    with contextlib.closing(sqlite3.connect(tasks_database.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunStopped):
            runner.apply()
