"""The commands about snapshots: backup, backups, restore."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from homie_migrations_core.cli.changing import Change
from homie_migrations_core.cli.options import (
    DatabaseOption,
    DataDirOption,
    DirOption,
    JsonOption,
    LockTimeoutOption,
    NoBackupOption,
    PackOption,
    QuietOption,
    VerboseOption,
    YesOption,
)
from homie_migrations_core.cli.output import Report
from homie_migrations_core.cli.targets import Target, select
from homie_migrations_core.cli.wording import restoring_in_words
from homie_migrations_core.errors import UsageProblem
from homie_migrations_core.packs.naming import is_snapshot_of

_backup, _backups, _restore = (typer.Typer(add_completion=False) for _ in range(3))
commands = {"backup": _backup, "backups": _backups, "restore": _restore}


@_backup.command("backup")
def backup(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take a checked snapshot, which is never pruned, into the folder `backups` beside each database."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder, changing=True)
        named = bool(database or pack)
        for target in scope.targets:
            if not named and not os.path.exists(target.path):  # no program has made it yet, so nothing can be lost
                report.say(f"{target.path}: there is no database yet")
                continue
            change = Change(report, scope, target, lock_timeout=lock_timeout)
            with report.database(target.path) as entry, change.made(entry) as runner:
                entry.taken(runner.backup())
            if change.stop.asked():
                break


@_backups.command("backups")
def backups(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the snapshots of each database, the newest first. Opens none of them, and no database."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder)
        for target in scope.targets:
            with report.database(target.path) as entry:
                entry.snapshots(target.runner(scope, lock_timeout=0.0).backups())


@_restore.command("restore")
def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A snapshot: its path, or its name in the folder `backups`.")],
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    yes: YesOption = False,
    no_backup: NoBackupOption = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Put a snapshot back, while other programs may have the database open. Asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder, changing=True)
        target, snapshot = _meant(file, scope.targets)
        change = Change(report, scope, target, lock_timeout=lock_timeout, backup=not no_backup, makes=True)
        with report.database(target.path) as entry, change.made(entry) as runner:
            if not yes:
                preview = runner.preview_restore(snapshot)
                change.ask(entry, f"putting back {snapshot} into", lambda: restoring_in_words(preview), yes=yes)
            entry.restored(runner.restore(snapshot))


def _meant(file: str, targets: tuple[Target, ...]) -> tuple[Target, Path]:
    """The database that a snapshot is for, and where the snapshot is."""
    given = Path(os.path.abspath(file))
    if not file or "\0" in file:
        raise UsageProblem("Nothing was put back: no file was named. Give the path of a snapshot.")
    if not os.path.exists(given) and os.path.basename(file) == file:
        found = [path for target in targets if os.path.exists(path := _folder_beside(target.path) / file)]
        given = found[0] if found else given
    if len(targets) == 1:
        target = targets[0]
    else:
        own = [each for each in targets if os.path.exists(each.path) and _folder_beside(each.path) == given.parent]
        own = [each for each in own or targets if is_snapshot_of(os.path.basename(os.path.realpath(each.path)), given.name)]
        if len(own) != 1:
            raise UsageProblem(
                f"Nothing was put back: it is not clear which database {given.name} is for. Name it with --database PATH."
            )
        target = own[0]
    return target, given


def _folder_beside(path: Path) -> Path:
    return Path(os.path.realpath(path)).parent / "backups"
