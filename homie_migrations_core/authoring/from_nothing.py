"""
Whether a pack applies to a new database: with what it requires and no more, in one jump and step by step.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.authoring.scratch_databases import read_schema
from homie_migrations_core.authoring.tested_pack import TestedPack, declared_steps, steps_with_others
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Pack, Step
from homie_migrations_core.sqlite.schema_comparison import compare


def check_new_database(tested: TestedPack) -> None:
    """Apply the pack to new databases: step by step, in one transaction, and with the other packs of the database."""
    pack = tested.runnable()
    if pack is None:
        return
    steps, why_not = declared_steps(pack, tested.others)
    if why_not:
        tested.findings.add("does_not_apply", pack.migrations[0].ref, f"{pack.name} can't be applied: {why_not}.")
    elif (single := _step_by_step(tested, pack, steps)) and _in_one_jump(tested, pack, steps, single):
        _with_other_packs(tested, pack, steps)


def _step_by_step(tested: TestedPack, pack: Pack, steps: Sequence[Step]) -> str | None:
    """Return the path of the database; None if a step fails."""
    path = tested.databases.new()
    for number, step in enumerate(steps):
        if error := tested.databases.run(path, [step]):
            _explain(tested, pack, steps[: number + 1], error)
            return None
    return path


def _in_one_jump(tested: TestedPack, pack: Pack, steps: Sequence[Step], single: str) -> bool:
    """Return whether all steps work in one transaction; find what is different from the database `single`."""
    path = tested.databases.new()
    if error := tested.databases.run(path, steps):
        message = f"{error.ref} fails in the same transaction as the migrations before it: {error.found}."
        tested.findings.add("does_not_apply", error.ref, message)
        return False
    if differences := compare(read_schema(single), read_schema(path)):
        words = "; ".join(change.in_words() for change in differences)
        message = f"{pack.name} makes another schema in one transaction than step by step: {words}."
        tested.findings.add("jump_differs", pack.migrations[-1].ref, message)
    return True


def _with_other_packs(tested: TestedPack, pack: Pack, steps: Sequence[Step]) -> None:
    together = steps_with_others(pack, tested.others)
    error = tested.databases.run(tested.databases.new(), together) if together != steps else None
    if error is not None and error.ref.partition(":")[0] == pack.name:
        message = f"{error.ref} fails where the other packs of the database are applied: {error.found}."
        tested.findings.add("does_not_apply", error.ref, message)


def _explain(tested: TestedPack, pack: Pack, steps: Sequence[Step], error: MigrationFailed) -> None:
    """Say why the last of these steps failed with no more than what is declared."""
    if steps[-1].migration.pack != pack.name:
        tested.findings.note(f"no migration was run after {error.ref} of another pack failed: {error.found}")
        return
    helping = [other.name for other in tested.others if _would_help(tested, pack, other, error.ref)]
    if helping:
        message = f"{error.ref} works only where {' and '.join(helping)} is applied, which it does not require: {error.found}."
        tested.findings.add("undeclared_requirement", error.ref, message)
    else:
        tested.findings.add("does_not_apply", error.ref, f"{error.ref} fails on an empty database: {error.found}.")


def _would_help(tested: TestedPack, pack: Pack, other: Pack, ref: str) -> bool:
    steps = steps_with_others(pack, [other])
    refs = [step.ref for step in steps]
    return ref in refs and tested.databases.run(tested.databases.new(), steps[: refs.index(ref) + 1]) is None
