"""
Every error that this library raises on purpose, with its three parts, a stable code and an exit code.

Knows neither SQLite nor files nor the terminal; the command line lays an error out for people. Imports nothing but
itself, and each module of it only when one of its errors is needed: most calls raise none.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.errors.base import HomieMigrationsError as HomieMigrationsError
    from homie_migrations_core.errors.failures import CommitUnconfirmed as CommitUnconfirmed
    from homie_migrations_core.errors.failures import DatabaseInterrupted as DatabaseInterrupted
    from homie_migrations_core.errors.failures import DatabaseReplaced as DatabaseReplaced
    from homie_migrations_core.errors.failures import ExecutorBroken as ExecutorBroken
    from homie_migrations_core.errors.failures import ForeignKeysViolated as ForeignKeysViolated
    from homie_migrations_core.errors.failures import LockTimeout as LockTimeout
    from homie_migrations_core.errors.failures import MigrationFailed as MigrationFailed
    from homie_migrations_core.errors.failures import MigrationNotUndone as MigrationNotUndone
    from homie_migrations_core.errors.failures import NotReplayable as NotReplayable
    from homie_migrations_core.errors.failures import PacksDiffer as PacksDiffer
    from homie_migrations_core.errors.failures import RecordNotKept as RecordNotKept
    from homie_migrations_core.errors.failures import RehearsalFailed as RehearsalFailed
    from homie_migrations_core.errors.failures import RunBrokenOff as RunBrokenOff
    from homie_migrations_core.errors.failures import RunStopped as RunStopped
    from homie_migrations_core.errors.failures import SchemaLeftBroken as SchemaLeftBroken
    from homie_migrations_core.errors.failures import SnapshotFailed as SnapshotFailed
    from homie_migrations_core.errors.failures import WorkerDied as WorkerDied
    from homie_migrations_core.errors.refusals import BaselineRefused as BaselineRefused
    from homie_migrations_core.errors.refusals import ConfirmationDenied as ConfirmationDenied
    from homie_migrations_core.errors.refusals import DatabaseIsAhead as DatabaseIsAhead
    from homie_migrations_core.errors.refusals import DatabaseNotCurrent as DatabaseNotCurrent
    from homie_migrations_core.errors.refusals import ForeignTrackingTable as ForeignTrackingTable
    from homie_migrations_core.errors.refusals import ImportRefused as ImportRefused
    from homie_migrations_core.errors.refusals import MigrationLate as MigrationLate
    from homie_migrations_core.errors.refusals import MigrationReplaced as MigrationReplaced
    from homie_migrations_core.errors.refusals import OwnerUnclear as OwnerUnclear
    from homie_migrations_core.errors.refusals import PackBroken as PackBroken
    from homie_migrations_core.errors.refusals import RepairRefused as RepairRefused
    from homie_migrations_core.errors.refusals import RollbackRefused as RollbackRefused
    from homie_migrations_core.errors.refusals import RunRefused as RunRefused
    from homie_migrations_core.errors.refusals import VersionUnclear as VersionUnclear
    from homie_migrations_core.errors.usage import DatabaseDamaged as DatabaseDamaged
    from homie_migrations_core.errors.usage import DatabaseNotReachable as DatabaseNotReachable
    from homie_migrations_core.errors.usage import DatabaseNotWritable as DatabaseNotWritable
    from homie_migrations_core.errors.usage import DatabaseUnusable as DatabaseUnusable
    from homie_migrations_core.errors.usage import FolderUnusable as FolderUnusable
    from homie_migrations_core.errors.usage import NewerSQLiteNeeded as NewerSQLiteNeeded
    from homie_migrations_core.errors.usage import NobodyToAsk as NobodyToAsk
    from homie_migrations_core.errors.usage import NotADatabase as NotADatabase
    from homie_migrations_core.errors.usage import NotCreated as NotCreated
    from homie_migrations_core.errors.usage import NothingInstalled as NothingInstalled
    from homie_migrations_core.errors.usage import PackInvalid as PackInvalid
    from homie_migrations_core.errors.usage import PackNotChosen as PackNotChosen
    from homie_migrations_core.errors.usage import ReportUnusable as ReportUnusable
    from homie_migrations_core.errors.usage import SnapshotUnusable as SnapshotUnusable
    from homie_migrations_core.errors.usage import UnknownPack as UnknownPack
    from homie_migrations_core.errors.usage import UnknownTarget as UnknownTarget
    from homie_migrations_core.errors.usage import UsageProblem as UsageProblem

__all__ = [
    "BaselineRefused",
    "CommitUnconfirmed",
    "ConfirmationDenied",
    "DatabaseDamaged",
    "DatabaseInterrupted",
    "DatabaseIsAhead",
    "DatabaseNotCurrent",
    "DatabaseNotReachable",
    "DatabaseNotWritable",
    "DatabaseReplaced",
    "DatabaseUnusable",
    "ExecutorBroken",
    "FolderUnusable",
    "ForeignKeysViolated",
    "ForeignTrackingTable",
    "HomieMigrationsError",
    "ImportRefused",
    "LockTimeout",
    "MigrationFailed",
    "MigrationLate",
    "MigrationNotUndone",
    "MigrationReplaced",
    "NewerSQLiteNeeded",
    "NobodyToAsk",
    "NotADatabase",
    "NotCreated",
    "NotReplayable",
    "NothingInstalled",
    "OwnerUnclear",
    "PackBroken",
    "PackInvalid",
    "PackNotChosen",
    "PacksDiffer",
    "RecordNotKept",
    "RehearsalFailed",
    "RepairRefused",
    "ReportUnusable",
    "RollbackRefused",
    "RunBrokenOff",
    "RunRefused",
    "RunStopped",
    "SchemaLeftBroken",
    "SnapshotFailed",
    "SnapshotUnusable",
    "UnknownPack",
    "UnknownTarget",
    "UsageProblem",
    "VersionUnclear",
    "WorkerDied",
]

_MODULES = ("base", "usage", "refusals", "failures")

if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> object:
        if name in __all__:
            for each in _MODULES:
                module = __import__(f"{__name__}.{each}", fromlist=(name,))  # importlib would have to be imported itself
                if hasattr(module, name):
                    globals()[name] = getattr(module, name)
                    return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
