"""
The pack that is checked, the packs that it goes with, and the orders in which their migrations can be applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from homie_migrations_core.authoring.findings import Findings
from homie_migrations_core.authoring.scratch_databases import SCRATCH, ScratchDatabases
from homie_migrations_core.model import Pack, Step
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.files import UnusablePack, folder_of, list_files
from homie_migrations_core.packs.reading import read_pack
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.stopping import StopRequest


class TestedPack:
    """One pack while it is checked: its files as they were read once, and what was found so far."""

    __test__ = False  # nothing for pytest to collect

    def __init__(self, definition: MigrationPack, others: Sequence[MigrationPack], folder: Path, stop: StopRequest) -> None:
        self.name, self.stop = definition.name, stop
        self.unusable: list[str] = []
        """Why the files can't be used."""
        self._pack: Pack | None = None
        try:
            self.unusable = list_files(folder_of(definition.migrations))[2]
            self._pack = None if self.unusable else read_pack(definition)
        except UnusablePack as error:
            self.unusable = [str(error)]
        self.migrations = self._pack.migrations if self._pack else ()
        self.findings = Findings(self.name, self.migrations)
        self.others = tuple(self._readable(others))
        packs = (*([self._pack] if self._pack else []), *self.others)
        self.databases = ScratchDatabases(folder, definition.database, packs, stop)

    def _readable(self, others: Sequence[MigrationPack]) -> Iterator[Pack]:
        for other in others:
            if other.name != self.name:
                try:
                    yield read_pack(other)
                except UnusablePack as error:
                    self.findings.note(f"the other pack {other.name} can't be used: {error}")

    def runnable(self) -> Pack | None:
        """Return the pack; None, with a note, if its files are not good enough to run anything."""
        if self._pack is None or any(migration.problem for migration in self.migrations):
            self.findings.note("no migration was run, because the files have to be corrected first")
            return None
        return self._pack


def declared_steps(pack: Pack, others: Sequence[Pack]) -> tuple[list[Step], str]:
    """Return the pack's steps, each after what it and those before it require, and no others; or why there are none."""
    steps: dict[str, Step] = {}
    for migration in pack.migrations:
        plan = plan_apply(SCRATCH, (pack, *others), (), to=migration.ref)
        if plan.left_out:
            return [], next((each.reason for each in plan.left_out if each.pack == pack.name), plan.left_out[0].reason)
        for step in plan.steps:
            steps.setdefault(step.ref, step)
    return list(steps.values()), ""


def steps_with_others(pack: Pack, others: Sequence[Pack]) -> list[Step]:
    """Return all steps of these packs; those of `others` come first, where they can."""
    steps = {step.ref: step for step in plan_apply(SCRATCH, others, ()).steps}
    for step in plan_apply(SCRATCH, (pack, *others), ()).steps:
        steps.setdefault(step.ref, step)
    return list(steps.values())
