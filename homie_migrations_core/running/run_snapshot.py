"""
The snapshot of one run: taken before its first change, kept while it may be needed, and removed if nothing came of the run.

How a snapshot is made, named and pruned is decided in `sqlite.snapshots`; when it is due, in `execution`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homie_migrations_core.errors import SnapshotFailed
from homie_migrations_core.model import Record
from homie_migrations_core.sqlite.snapshots import Keeper

if TYPE_CHECKING:
    from homie_migrations_core.sqlite.commits import CommitDetector


class RunSnapshot:
    """At most one snapshot, taken before the first change of a run."""

    def __init__(self, keeper: Keeper, *, wanted: bool) -> None:
        self._keeper, self._wanted = keeper, wanted
        self._considered = False
        self.needed = False
        """Whether it may be all that is left of the state before, so that it has to stay."""

    @property
    def path(self) -> Path | None:
        """Where the snapshot is, if there is one."""
        return self._keeper.snapshot

    def take_once(self, records: Callable[[], Sequence[Record]], *, holds_tables: bool, commits: CommitDetector) -> None:
        """
        Take the snapshot, unless it was due earlier in this run or the database is empty.

        The database is read over the connection of `commits`.

        Raises:
            SnapshotFailed, Stopped: As `Keeper.take`.
        """
        if not self._considered and self._wanted and holds_tables:
            self._keeper.take(records(), reader=commits.reader)
        self._considered = True

    def keep(self) -> None:
        """
        Give the snapshot its final name, because something is about to be committed.

        Raises:
            SnapshotFailed: That was not possible.
        """
        self._keeper.keep()

    def keep_in_any_case(self) -> None:
        """Keep the snapshot, under the name it has if need be, because the database may not be as it was."""
        self.needed = True
        with contextlib.suppress(SnapshotFailed):
            self._keeper.keep()

    def take_again(self, *, committed: bool) -> None:
        """Drop a snapshot that others may outdate, because the write lock is given up, and let another one be taken."""
        if not committed:
            self.settle(committed=False, finished=False)
            self._considered = False

    def settle(self, *, committed: bool, finished: bool) -> None:
        """Remove the snapshot if the run changed nothing. After a run that came to its end, remove old ones instead."""
        if not committed and not self.needed:
            self._keeper.drop()
        elif finished:
            self._keeper.prune()
