"""
Turn a folder of another tool's migrations into the files of a pack: number them, try them, and say what was done.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from homie_migrations_core.authoring.importing.originals import Excerpt, Original, Reading
from homie_migrations_core.authoring.importing.tools import TOOLS, read_folder
from homie_migrations_core.authoring.importing.trial import ROLLBACK_SUFFIX, Trial, try_history
from homie_migrations_core.authoring.scaffolding import words_of
from homie_migrations_core.authoring.scratch_databases import SCRATCH
from homie_migrations_core.errors import FolderUnusable, ImportRefused, RunStopped
from homie_migrations_core.stopping import Stopped, StopRequest

_WIDTH = 3


@dataclass(frozen=True, slots=True)
class ImportedMigration:
    """One migration of the new pack, and the file that it was made of."""

    name: str
    original: Path
    reversible: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """What another tool's folder becomes."""

    tool: str
    files: dict[str, str]
    """File name to content, ready for the folder of a pack."""
    migrations: tuple[ImportedMigration, ...]
    notes: tuple[str, ...] = ()
    """What was left behind or changed without harm, as sentences without a full stop."""


def import_folder(folder: Path, pack: str, stop: StopRequest | None = None) -> Imported:
    """
    Read a folder of another tool's migrations, number them from 001 in their order, and try them on scratch databases.

    A history with a gap would be worse than none, so nothing is returned unless every migration can be taken over. A down
    script that fails is left out, with a note. Where a migration leaves a reference or a view broken, which SQLite itself
    allowed, a comment accepts it, with a note.

    Raises:
        FolderUnusable: The folder does not exist, can't be read, or holds no migrations of a tool that is known.
        ImportRefused: Something can't be taken over; every problem, each with its file and line.
        RunStopped: A stop was asked for.
    """
    reading = _read(folder)
    originals = sorted(reading.originals, key=lambda each: each.order)
    _require_different_versions(reading, originals)
    scripts = _numbered(originals, reading)
    for excerpt in scripts.values():
        reading.problems += excerpt.problems_with_comments()
    trial = _tried(scripts, pack, stop or StopRequest())
    reading.problems += trial.refusals
    if trial.failure is not None and not reading.problems:  # else it may only follow from one of them
        reading.problems.append(trial.failure)
    if reading.problems:
        raise ImportRefused(str(folder), [str(each) for each in sorted(set(reading.problems))])
    files = {name: each.text for name, each in scripts.items() if name not in trial.bad_rollbacks}
    _add_notes(reading, trial, files)
    stems = [name.removesuffix(".sql") for name in scripts if not name.endswith(ROLLBACK_SUFFIX)]
    migrations = (
        ImportedMigration(stem, each.up.path, f"{stem}{ROLLBACK_SUFFIX}" in files)
        for stem, each in zip(stems, originals, strict=True)
    )
    return Imported(reading.tool, files, tuple(migrations), tuple(reading.notes))


def _read(folder: Path) -> Reading:
    try:
        reading = read_folder(folder)
    except FileNotFoundError as error:
        raise FolderUnusable(str(folder), "does not exist", "Name a folder of SQL migrations.") from error
    except NotADirectoryError as error:
        raise FolderUnusable(str(folder), "is not a folder", "Name the folder that holds the migration files.") from error
    except OSError as error:
        found = f"can't be read ({error.filename or folder}: {error.strerror})"
        raise FolderUnusable(str(folder), found, "Look at the permissions.") from error
    if not reading.originals and not reading.problems:
        advice = "Name the folder that holds the migration files themselves."
        raise FolderUnusable(str(folder), f"holds no migrations of {TOOLS}", advice)
    return reading


def _require_different_versions(reading: Reading, originals: Sequence[Original]) -> None:
    for first, second in pairwise(sorted(originals, key=lambda each: (str(each.version), str(each.up.path)))):
        if first.version == second.version:
            reading.problem(second.up.path, 1, f"it has the same version as {first.up.path.relative_to(reading.folder)}")


def _numbered(originals: Sequence[Original], reading: Reading) -> dict[str, Excerpt]:
    """Return the scripts under the file names that they have in the pack, in their order."""
    scripts: dict[str, Excerpt] = {}
    width = max(_WIDTH, len(str(len(originals))))
    for number, each in enumerate(originals, start=1):
        stem = f"{number:0{width}}_{words_of(each.title) or 'migration'}"
        scripts[f"{stem}.sql"] = each.up
        if not each.up.statements():
            reading.notes.append(f"{each.up.path} holds no statement, so {stem} changes nothing")
        if each.down is not None and each.down.statements():
            scripts[f"{stem}{ROLLBACK_SUFFIX}"] = each.down
        elif each.down is not None:
            reading.notes.append(f"{each.down.path} holds no statement to roll back, so {stem} can't be rolled back")
    return scripts


def _tried(scripts: dict[str, Excerpt], pack: str, stop: StopRequest) -> Trial:
    if not scripts:
        return Trial()
    with tempfile.TemporaryDirectory(prefix="homie-import-") as scratch:
        try:
            return try_history(scripts, pack, Path(scratch), stop)
        except Stopped as stopped:
            raise RunStopped(SCRATCH) from stopped


def _add_notes(reading: Reading, trial: Trial, files: dict[str, str]) -> None:
    for name, problem in trial.bad_rollbacks.items():
        stem = name.removesuffix(ROLLBACK_SUFFIX)
        reading.notes.append(f"the rollback of {stem} was left out: {problem}")
    for name, accepted in trial.accepted.items():
        for code, sentence in accepted.items():
            files[name] = f"-- accepts {code}: {reading.tool} applied it in this form\n{files[name]}"
            reading.notes.append(f"{name.removesuffix('.sql')} is accepted as it is, with a comment in its file: {sentence}")
