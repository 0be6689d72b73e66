"""`backup`, `backups` and `restore`: take, list and restore snapshots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from homie_migrations_core.cli.changes import ChangeSettings, DatabaseChange, change_databases, storage_of
from homie_migrations_core.cli.documents import snapshots as documents
from homie_migrations_core.cli.options import (
    BackupDirOptions,
    BackupOptions,
    ConfirmationOptions,
    DatabaseOptions,
    LockOptions,
    OutputOptions,
    PackOptions,
    ProgressOptions,
    argument,
)
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import Selection, Target, select
from homie_migrations_core.cli.wording import counted, restoring_in_words, snapshot_time_in_words
from homie_migrations_core.errors import UsageProblem
from homie_migrations_core.model import Restored, Snapshot
from homie_migrations_core.packs.naming import is_snapshot_of, size_in_words
from homie_migrations_core.sqlite.snapshot_storage import SnapshotStorage

_KINDS = {"automatic": "automatic", "by_hand": "by hand", "begun": "by a run that was killed before it changed anything"}


class BackupsOptions(DatabaseOptions, PackOptions, BackupDirOptions, OutputOptions):
    """The options of `backups`."""


class BackupCommandOptions(DatabaseOptions, PackOptions, BackupDirOptions, LockOptions, ProgressOptions, OutputOptions):
    """The options of `backup`."""


class RestoreOptions(DatabaseOptions, PackOptions, ConfirmationOptions, BackupOptions, LockOptions, ProgressOptions, OutputOptions):
    """The options of `restore`."""

    file: str = argument("FILE", help="A snapshot: its path, or its name in the folder of the snapshots.")


def backup(options: BackupCommandOptions) -> None:
    """Take a checked snapshot of each database, which is never pruned."""

    def work(change: DatabaseChange) -> None:
        _report_backup(change.report, change.runner.backup())

    with Report(options) as report:
        selection = select(options, options.pack, changing=True)
        settings = ChangeSettings.of(options)
        targets = []
        for target in selection.targets:
            reason = "" if options.database or options.pack else _why_nothing_can_be_lost(target.path)
            if reason:
                report.write(f"{target.path}: {reason}")
            else:
                targets.append(target)
        change_databases(report, selection, targets, settings, work)


def backups(options: BackupsOptions) -> None:
    """List the snapshots of each database, the newest first. Opens none of them, and no database."""
    with Report(options) as report:
        selection = select(options, options.pack)
        storage_of(options.backup_dir).require(reading=True)
        for target in selection.targets:
            with report.database(target.path) as database:
                _report_snapshots(database, target.runner(selection, lock_timeout=0.0, backup_dir=options.backup_dir).backups())


def restore(options: RestoreOptions) -> None:
    """Restore a snapshot, while other programs may have the database open. Asks first."""
    with Report(options) as report:
        selection = select(options, options.pack, changing=True)
        settings = ChangeSettings.of(options, creates=True)
        target, snapshot = _target_and_snapshot(options.file, selection, storage_of(options.backup_dir))

        def work(change: DatabaseChange) -> None:
            if not options.yes:
                preview = change.runner.preview_restore(snapshot)
                change.ask(f"restoring {snapshot} into", lambda: restoring_in_words(preview))
            _report_restored(change.report, change.runner.restore(snapshot))

        change_databases(report, selection, [target], settings, work)


def _why_nothing_can_be_lost(path: str) -> str:
    """Return in words that no program has written anything to a database yet; nothing if one may have."""
    if not os.path.exists(path):
        return "there is no database yet"
    if os.path.getsize(path) == 0 and not os.path.exists(f"{path}-journal"):
        return "the database is empty"
    return ""


def _target_and_snapshot(file: str, selection: Selection, storage: SnapshotStorage) -> tuple[Target, Path]:
    """Return the database that a snapshot is for, and the path of the snapshot."""
    if not file or "\0" in file:
        raise UsageProblem("Nothing was restored", "no file was named", "Give the path of a snapshot.")
    given = _snapshot_path(file, selection.targets, storage)
    if len(selection.targets) == 1:
        return selection.targets[0], given
    folder = str(given.parent)
    beside = [each for each in selection.targets if os.path.exists(each.path) and folder in _folders(each, storage)]
    candidates = [
        each for each in beside or selection.targets if is_snapshot_of(os.path.basename(os.path.realpath(each.path)), given.name)
    ]
    if len(candidates) != 1:
        found = f"it is not clear which database {given.name} is for"
        raise UsageProblem("Nothing was restored", found, "Name it with --database PATH.")
    return candidates[0], given


def _snapshot_path(file: str, targets: Sequence[Target], storage: SnapshotStorage) -> Path:
    """Return the path of a snapshot. A bare name that is not here is looked for in the folders of the databases' snapshots."""
    given = Path(os.path.abspath(file))
    if not os.path.exists(given) and os.path.basename(file) == file:
        places = [os.path.join(folder, file) for target in targets for folder in _folders(target, storage)]
        found = next((path for path in places if os.path.exists(path)), None)
        return Path(found) if found else given
    return given


def _folders(target: Target, storage: SnapshotStorage) -> list[str]:
    """Return where the snapshots of a database are: in its own folder, and where earlier versions kept them."""
    folder = storage.folder_of(str(target.path))
    return [each for each in (folder.path, folder.shared) if each is not None]


def _report_backup(report: DatabaseReport, snapshot: Path) -> None:
    report.announce()
    report.add({"snapshot": str(snapshot)})
    report.write(f"  snapshot: {snapshot} ({size_in_words(os.path.getsize(snapshot))})")


def _report_snapshots(report: DatabaseReport, found: Sequence[Snapshot]) -> None:
    report.add(documents.snapshots(found))
    folders = dict.fromkeys(str(each.path.parent) for each in found)  # two, if an earlier version took some of them
    report.write(f"{report.path}: {counted(len(found), 'snapshot')}{' in ' if folders else ''}{' and '.join(folders)}")
    rows = [
        (snapshot_time_in_words(each.taken_at), size_in_words(each.size), each.applied, _KINDS[each.kind], each.path.name)
        for each in found
    ]
    report.table("  ", ("taken at", "size", "applied then", "taken", "file"), rows)


def _report_restored(report: DatabaseReport, found: Restored) -> None:
    report.announce()
    report.add(documents.restored(found))
    report.write(f"  restored {found.source}")
    for ref in found.pending_again:
        report.write(f"  pending again: {ref}")
    for ref in found.applied_again:
        report.write(f"  applied again: {ref}")
    if found.snapshot:
        report.write(f"  snapshot of the state before: {found.snapshot}")
