"""
Where the snapshots of a database are kept, and how many automatic ones stay.

Each database has a folder of its own, so that what a run lists does not grow with its neighbours. Earlier versions kept the
snapshots of all databases of a folder in one: those are still found.

What the files there are called is the business of `snapshot_names`, taking and removing them that of `snapshots`.
"""

from __future__ import annotations

import contextlib
import itertools
import os

from homie_migrations_core.errors import FolderUnusable
from homie_migrations_core.packs.naming import begin_of_snapshots
from homie_migrations_core.sqlite.snapshot_names import is_snapshot_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from dataclasses import dataclass
else:
    from homie_migrations_core.values import dataclass

FOLDER = "backups"
OWN_FOLDER = ".snapshots"
"""How the name of a database's folder in `backups` ends: a copy that somebody makes there by hand is called otherwise."""
KEPT = 5
"""How many automatic snapshots of one database stay, unless something else is asked for."""
_LONGEST_NAME = 200  # bytes of a database's file name in the name of its folder; file systems take 255
_DIGITS = 12
FEW = 200
"""Up to how many entries of the folder that earlier versions used are looked at after a run."""


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """The folder of the snapshots of one database."""

    database: str
    """The file name of the database, links followed."""
    path: str
    """The folder. It need not exist."""
    shared: str | None
    """Where earlier versions kept its snapshots, together with those of its neighbours; nowhere in a chosen folder."""

    def files(self, *endings: str) -> list[str]:
        """
        Return the paths of the database's snapshots with one of these endings, oldest first.

        Raises:
            FolderUnusable: The folder can't be read.
        """
        return self._select(self.path, _list(self.path), endings)

    def shared_files(self, *endings: str) -> list[str]:
        """Return those that earlier versions took. The cost grows with the number of the neighbours'. Raises what `files` does."""
        return [] if self.shared is None else self._select(self.shared, _list(self.shared), endings)

    def few_shared_files(self, *endings: str) -> list[str]:
        """
        Return those that earlier versions took, or none if so much is in their folder that looking would cost a run too much.

        Raises:
            OSError: The folder can't be read.
        """
        if self.shared is None:
            return []
        with os.scandir(self.shared) as entries:
            names = [each.name for each in itertools.islice(entries, FEW + 1)]
        return self._select(self.shared, names, endings) if len(names) <= FEW else []

    def _select(self, folder: str, names: Iterable[str], endings: Iterable[str]) -> list[str]:
        begin = begin_of_snapshots(self.database)  # first, because thousands of databases may share a folder
        own = sorted([name for name in names if name.startswith(begin)])
        return [os.path.join(folder, name) for name in own if any(is_snapshot_name(name, self.database, each) for each in endings)]

    def make(self) -> bool:
        """Make the folder, unless it is there. Return whether `backups` had to be made, too; a chosen folder is never made."""
        made = False
        while True:
            try:
                os.mkdir(self.path)
                return made
            except FileExistsError:
                return made
            except FileNotFoundError:
                if self.shared is None:
                    raise
            with contextlib.suppress(FileExistsError):  # a neighbour makes it, or takes it away while it is empty
                os.mkdir(self.shared)
                made = True

    def remove_if_empty(self) -> None:
        """Remove the folder, if nothing is in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
            if self.shared is not None:
                os.rmdir(self.shared)


@dataclass(frozen=True, slots=True)
class SnapshotStorage:
    """
    Where snapshots go, and how many automatic ones of one database stay after a run that succeeded.

    Without a `backup_dir`, they go into a folder of the database's own in the folder `backups` beside it. With one, the name of
    its folder in there is made of its file name and its whole path: databases of the same name never share one. With `keep=0`
    the run's own snapshot is removed too, once the run has succeeded.
    """

    backup_dir: str | None = None
    keep: int = KEPT

    def folder_of(self, path: str) -> SnapshotFolder:
        """Return the folder for the database at `path`, links followed."""
        folder, name = os.path.split(os.path.realpath(path))
        if self.backup_dir is None:
            shared = os.path.join(folder, FOLDER)
            return SnapshotFolder(name, os.path.join(shared, name + OWN_FOLDER), shared)
        import hashlib  # nothing else needs it where nothing is chosen

        digest = hashlib.sha256(os.fsencode(os.path.normcase(os.path.join(folder, name)))).hexdigest()[:_DIGITS]
        short = os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])
        return SnapshotFolder(name, os.path.join(self.backup_dir, f"{short}-{digest}"), None)

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


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        advice = "Run as its owner, or change its permissions."
        raise FolderUnusable(folder, f"can't be read ({error.strerror})", advice) from error
