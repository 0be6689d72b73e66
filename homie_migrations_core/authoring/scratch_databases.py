"""
Scratch databases of a check: made, copied, migrated by the same `Execution` that migrates real ones, and read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from homie_migrations_core.authoring.contents import Contents, read_contents
from homie_migrations_core.authoring.hazards import Watch
from homie_migrations_core.errors import MigrationFailed, RunStopped
from homie_migrations_core.model import Pack, Plan, Step
from homie_migrations_core.packs.observers import Observers
from homie_migrations_core.planning.ownership import find_owner
from homie_migrations_core.running.execution import Execution
from homie_migrations_core.sqlite import schema
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.sqlite.throwaway import open_throwaway
from homie_migrations_core.stopping import Stopped, StopRequest

SCRATCH = "a scratch database"
"""How messages name it, because its path means nothing to the reader."""


class DatabaseState(NamedTuple):
    """What a scratch database holds."""

    schema: Schema
    rows: dict[str, Contents]


def read_state(path: str) -> DatabaseState:
    """Return the schema and all rows of a scratch database."""
    with open_throwaway(path) as database:
        return DatabaseState(schema.read_schema(database.connection), read_contents(database))


def read_schema(path: str) -> Schema:
    """Return the schema of a scratch database."""
    with open_throwaway(path) as database:
        return schema.read_schema(database.connection)


class ScratchDatabases:
    """A folder of scratch databases, and the packs that are applied to them."""

    def __init__(self, folder: Path, database: str, packs: Sequence[Pack], stop: StopRequest) -> None:
        self._folder, self._stop, self._number = folder, stop, 0
        self._owner = find_owner(database, packs, ())
        self._packages = {pack.name: pack.package for pack in packs}
        self._observers = Observers(None)

    def new(self) -> str:
        """Return the path of a database that does not exist yet."""
        self._number += 1
        return str(self._folder / f"{self._number}.db")

    def copy(self, path: str) -> str:
        """Copy a database that no connection has open, and return the path of the copy."""
        other = self.new()
        shutil.copyfile(path, other)
        return other

    def delete(self, path: str) -> None:
        """Delete a database, to make room."""
        for ending in ("", "-journal"):
            if os.path.exists(path + ending):
                os.unlink(path + ending)

    def run(self, path: str, steps: Sequence[Step], watch: Watch | None = None) -> MigrationFailed | None:
        """
        Carry out the steps, in one transaction if there is no database yet; return the failure if one fails.

        Raises:
            RunStopped, Stopped: The check was asked to stop.
        """
        if not os.path.exists(path) and not steps:
            Path(path).touch()
            return None
        if self._stop.asked():
            raise Stopped

        def due(now: Any) -> tuple[Plan, str | None]:
            recorded = {(record.pack, record.version) for record in now.records}
            left = [
                step
                for step in steps
                if ((step.migration.pack, step.migration.version) in recorded) == (step.direction == "rollback")
            ]
            return Plan(tuple(left)), self._owner

        execution = Execution(
            path,
            Plan(tuple(steps)),
            due,
            self._observers,
            self._packages,
            {},
            backup=False,
            stop=self._stop,
            watcher=watch or Watch(),
            scratch=True,
            in_place_of=SCRATCH,
        )
        try:
            execution.carry_out()
        except MigrationFailed as error:
            return error
        except RunStopped as stopped:  # the path means nothing to the reader
            raise RunStopped(SCRATCH, stopped.ref) from stopped
        return None
