"""
Migrated databases for tests: each is made once by the real runner, and copied after that.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

from homie_migrations_core.authoring.pack_choice import files_of
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.runner import MigrationRunner


class DatabaseTemplates:
    """
    One migrated database for each set of packs and target that was asked for.

    A template is copied as a file, which is wrong for a database in use: the copy could be half of a change, and
    closing the file would drop the locks of this process (https://sqlite.org/howtocorrupt.html, section 2.2). It is
    safe here, because the only connection to a template is closed before its first copy and it is never opened again: it
    is complete, without a journal beside it, and there is no lock to lose.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, dict[object, Path]()
        self._numbers = itertools.count()

    def copy(self, packs: Sequence[MigrationPack], to: str | None, target: Path) -> None:
        """
        Copy a database to which the packs were applied as far as `to` to the file `target`.

        Raises:
            HomieMigrationsError: A migration failed, or there is no such target.
        """
        key = (to, *((pack, files_of(pack)) for pack in packs))
        if key not in self._made:
            self._made[key] = self._make(packs, to)
        shutil.copyfile(self._made[key], target)

    def new_folder(self) -> Path:
        """Make an empty folder for one test's database."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def _make(self, packs: Sequence[MigrationPack], to: str | None) -> Path:
        path = self.new_folder() / packs[0].database
        if to == f"{packs[0].name}:0":
            path.touch()
        else:
            MigrationRunner(path, packs, backup=False).apply(to=to)
        return path
