"""What a type checker must find out about the public names. Checked by mypy, never run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import assert_type

from file_organizer_migrations.migration_runner import MigrationRunner as FileOrganizerRunner
from file_organizer_migrations.migration_runner import run_migrations as run_file_organizer_migrations
from homie_migrations_core import (
    BrokenPack,
    Collected,
    DatabaseStatus,
    HomieMigrationsError,
    LeftOut,
    Migration,
    MigrationPack,
    MigrationRunner,
    MigrationStatus,
    PackStatus,
    Plan,
    Record,
    RegisteredPack,
    Run,
    Step,
    arun_migrations,
    collect,
    data_dir,
    database_file,
    hookimpl,
    run_migrations,
    try_migration,
    wait_or_stop,
)
from homie_migrations_core.compat import MigrationRunner as RunnerOfOneFolder
from homie_migrations_core.errors import DatabaseNotCurrent, PackBroken
from homie_migrations_core.fleet import FleetFinding, Outcome, PackVersions, fleet_status, migrate_fleet, validate_fleet

# A pack as its author makes it.
pack = MigrationPack(name="file_organizer", migrations=Path("migrations"), database="homie_file_organizer.db")
assert_type(pack.name, str)
assert_type(pack.migrations, str | Path)
assert_type(pack.database, str)


@hookimpl
def homie_migration_packs() -> MigrationPack:
    return MigrationPack("file_organizer", "file_organizer_migrations.migrations")


assert_type(homie_migration_packs(), MigrationPack)


class Observer:
    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        assert_type(run.path, Path)
        assert_type(run.plan, Plan)
        assert_type(step.ref, str)
        assert_type(step.migration, Migration)


# A run, and what comes back from it.
runner = MigrationRunner("homie_file_organizer.db")
runner = MigrationRunner(
    Path("x.db"), packs=[pack], only={"a"}, backup=True, lock_timeout=30.0, should_stop=lambda: False, observers=[Observer()]
)
runner = MigrationRunner("x.db", [pack], backup_dir=Path("snapshots"), keep=2)
assert_type(runner.path, Path)
assert_type(runner.apply(), list[Migration])
assert_type(runner.apply(to="file_organizer:3", all_or_nothing=True, allow_late=True), list[Migration])
assert_type(runner.rollback("file_organizer"), list[Migration])
assert_type(runner.rollback("file_organizer", to=0), list[Migration])
assert_type(runner.rollback("file_organizer", steps=1), list[Migration])
assert_type(runner.redo("file_organizer"), list[Migration])
assert_type(runner.plan(), Plan)
assert_type(runner.plan(to="file_organizer:3").steps, tuple[Step, ...])
assert_type(runner.history(), tuple[Record, ...])
assert_type(run_migrations("x.db"), int)
assert_type(run_migrations(Path("x.db"), [pack], backup=False), int)
assert_type(try_migration(__file__), int)


# A start beside an event loop, and one that must not migrate.
async def start() -> None:
    assert_type(await arun_migrations("x.db"), int)
    assert_type(await arun_migrations(Path("x.db"), [pack], backup=False), int)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        runner = MigrationRunner("x.db", lock_timeout=300, should_stop=stop.is_set)
        assert_type(await wait_or_stop(thread.submit(runner.apply), stop), list[Migration])


asyncio.run(start())
try:
    runner.require_current()
except DatabaseNotCurrent as pending:
    assert_type(pending.path, str)
    assert_type(pending.pending, tuple[str, ...])
    assert_type(pending.exists, bool)

# What a program needs that keeps its database in the data folder, and its own pack in mind.
collected = collect()
assert_type(collected, Collected)
assert_type(collected.packs, tuple[RegisteredPack, ...])
assert_type(collected.packs[0].pack, MigrationPack)
assert_type(collected.packs[0].distribution, str | None)
assert_type(collected.broken, tuple[BrokenPack, ...])
assert_type(collected.broken[0].pack, str | None)
assert_type(data_dir(), Path)
assert_type(data_dir("data"), Path)
assert_type(database_file("x.db", data_dir(Path("data")), collected), tuple[Path, bool])
runner = MigrationRunner("x.db", database="homie_x.db", collected=collected, make_parents=True)
assert_type(runner.left_out, tuple[BrokenPack | LeftOut, ...])
assert_type(runner.left_out[0].reason, str)
assert_type(runner.snapshot, Path | None)
try:
    raise PackBroken(runner.left_out)
except PackBroken as broken:
    assert_type(broken.broken, tuple[BrokenPack | LeftOut, ...])

# A status.
status = runner.status()
assert_type(status, DatabaseStatus)
assert_type(status.path, Path)
assert_type(status.exists, bool)
assert_type(status.packs, Mapping[str, PackStatus])
assert_type(status.packs["a"].current_version, int)
assert_type(status.packs["a"].latest_version, int)
assert_type(status.packs["a"].migrations, tuple[MigrationStatus, ...])
assert_type(status.packs["a"].migrations[0].applied_at, str | None)
assert_type(status.records, tuple[Record, ...])

# An error.
try:
    runner.apply()
except HomieMigrationsError as error:
    assert_type(error.code, str)
    assert_type(error.exit_code, int)

# What a frozen value must not allow; an unused ignore is an error too.
pack.name = "other"  # type: ignore[misc]
status.exists = False  # type: ignore[misc]
MigrationPack("a", migrations=3)  # type: ignore[arg-type]


# A backend's runner over its own folder of migrations.
class Backend(RunnerOfOneFolder):
    pack_name = "backend"
    folder = Path("migrations")


assert_type(Backend("x.db").apply_migrations(), int)
assert_type(Backend(Path("x.db")).get_migration_status()["current_version"], int)

# The names that the file organizer's users have always called.
assert_type(run_file_organizer_migrations(Path("x.db")), int)
assert_type(FileOrganizerRunner("x.db").apply_migrations(), int)
told = FileOrganizerRunner(Path("x.db")).get_migration_status()
assert_type(told["current_version"], int)
assert_type(told["pending_migrations"][0]["name"], str)
assert_type(told["applied_migrations"][0]["version"], int)

# Many databases.
for outcome in migrate_fleet(["a.db", Path("b.db")], [pack], ThreadPoolExecutor(8), canaries=1, max_failures=3):
    assert_type(outcome, Outcome)
    assert_type(outcome.applied, tuple[str, ...])
    assert_type(outcome.error_code, str | None)
for fleet_state in fleet_status(iter(["a.db"]), [pack], jobs=2):
    assert_type(fleet_state.packs, tuple[PackVersions, ...])
for validated in validate_fleet(["a.db"], [pack]):
    assert_type(validated.findings, tuple[FleetFinding, ...])
