"""
Where the snapshots of a database are kept, and how many automatic ones stay.

What the files there are called is the business of `snapshot_names`, taking and removing them that of `snapshots`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from homie_migrations_core.errors import FolderUnusable

FOLDER = "backups"
KEPT = 5
"""How many automatic snapshots of one database stay, unless something else is asked for."""
_LONGEST_NAME = 200  # bytes of a database's file name in the name of its folder; file systems take 255
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class SnapshotStorage:
    """
    Where snapshots go, and how many automatic ones of one database stay after a run that succeeded.

    Without a `backup_dir`, they go into the folder `backups` beside the database. With one, each database has a folder of its
    own in there, whose name is made of its file name and its whole path: databases of the same name never share one. With
    `keep=0` the run's own snapshot is removed too, once the run has succeeded.
    """

    backup_dir: str | None = None
    keep: int = KEPT

    def folder_of(self, path: str) -> Path:
        """Return the folder of the database at `path`, links followed. It need not exist."""
        real = os.path.realpath(path)
        if self.backup_dir is None:
            return Path(real).parent / FOLDER
        import hashlib  # nothing else needs it where nothing is chosen

        digest = hashlib.sha256(os.fsencode(os.path.normcase(real))).hexdigest()[:_DIGITS]
        name = os.fsdecode(os.fsencode(os.path.basename(real))[:_LONGEST_NAME])
        return Path(self.backup_dir) / f"{name}-{digest}"

    def require(self, *, reading: bool = False) -> None:
        """
        Refuse a chosen folder that is not there: it may be on a disk that is not mounted.

        With `reading`, it need not be writable.

        Raises:
            FolderUnusable: There is no such folder, or it can't be written to.
        """
        if self.backup_dir is None:
            return
        if not os.path.isdir(self.backup_dir):
            found = "is not a folder" if os.path.lexists(self.backup_dir) else "does not exist"
        elif not reading and not os.access(self.backup_dir, os.W_OK | os.X_OK):
            found = "is not writable for this user"
        else:
            return
        advice = "Make the folder or mount its disk, or choose another one for the snapshots."
        raise FolderUnusable(self.backup_dir, found, advice)


DEFAULT_STORAGE = SnapshotStorage()
