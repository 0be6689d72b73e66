"""
Migrations for the SQLite databases of Python applications, shipped as packs by the distributions that need them.

The public names are listed here, and load when they are first used: importing the package costs almost nothing. Public
besides are the modules `errors` (every exception), `fleet` (many databases), `compat` (the calls of Homie's earlier runner)
and `testing` (the pytest plugin). Everything else may change.

(PYTEST_DONT_REWRITE: without this, pytest warns that it came too late to rewrite the asserts of this distribution.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.broken import BrokenPack as BrokenPack
    from homie_migrations_core.cli.try_file import try_migration as try_migration
    from homie_migrations_core.errors import HomieMigrationsError as HomieMigrationsError
    from homie_migrations_core.event_loop import wait_or_stop as wait_or_stop
    from homie_migrations_core.model import DatabaseStatus as DatabaseStatus
    from homie_migrations_core.model import Finding as Finding
    from homie_migrations_core.model import LeftOut as LeftOut
    from homie_migrations_core.model import Migration as Migration
    from homie_migrations_core.model import MigrationStatus as MigrationStatus
    from homie_migrations_core.model import PackStatus as PackStatus
    from homie_migrations_core.model import Plan as Plan
    from homie_migrations_core.model import Record as Record
    from homie_migrations_core.model import Repair as Repair
    from homie_migrations_core.model import Restored as Restored
    from homie_migrations_core.model import Run as Run
    from homie_migrations_core.model import Snapshot as Snapshot
    from homie_migrations_core.model import Step as Step
    from homie_migrations_core.packs.definition import MigrationPack as MigrationPack
    from homie_migrations_core.packs.discovery import collect as collect
    from homie_migrations_core.packs.hookspecs import hookimpl as hookimpl
    from homie_migrations_core.packs.locations import data_dir as data_dir
    from homie_migrations_core.packs.locations import database_file as database_file
    from homie_migrations_core.packs.registered import Collected as Collected
    from homie_migrations_core.packs.registered import RegisteredPack as RegisteredPack
    from homie_migrations_core.progress import track as track
    from homie_migrations_core.runner import MigrationRunner as MigrationRunner
    from homie_migrations_core.running.rehearsal import Rehearsal as Rehearsal
    from homie_migrations_core.startup import arun_migrations as arun_migrations
    from homie_migrations_core.startup import run_migrations as run_migrations

__version__ = "0.1.0"

_HOMES = {
    "BrokenPack": "broken",
    "Collected": "packs.registered",
    "DatabaseStatus": "model",
    "Finding": "model",
    "HomieMigrationsError": "errors",
    "LeftOut": "model",
    "Migration": "model",
    "MigrationPack": "packs.definition",
    "MigrationRunner": "runner",
    "MigrationStatus": "model",
    "PackStatus": "model",
    "Plan": "model",
    "Record": "model",
    "Rehearsal": "running.rehearsal",
    "RegisteredPack": "packs.registered",
    "Repair": "model",
    "Restored": "model",
    "Run": "model",
    "Snapshot": "model",
    "Step": "model",
    "arun_migrations": "startup",
    "collect": "packs.discovery",
    "data_dir": "packs.locations",
    "database_file": "packs.locations",
    "hookimpl": "packs.hookspecs",
    "run_migrations": "startup",
    "track": "progress",
    "try_migration": "cli.try_file",
    "wait_or_stop": "event_loop",
}
__all__ = [*_HOMES]  # noqa: PLE0604  (the names are the keys above)


if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = __import__(f"{__name__}.{_HOMES[name]}", fromlist=(name,))  # importlib would have to be imported itself
        value = getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
