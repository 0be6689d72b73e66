"""
`DatabaseView`: what is known about one database at one moment, and the plans and refusals that follow from it.

It brings the packs, the records and the caller's choice together for `planning/`, which decides. It reads nothing itself.
"""

from __future__ import annotations

from homie_migrations_core import errors
from homie_migrations_core.packs import naming
from homie_migrations_core.values import path_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass, replace

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.errors import RunRefused
    from homie_migrations_core.model import DatabaseStatus, LeftOut, Migration, Pack, Plan, Record, Repair, State
    from homie_migrations_core.packs.source import PackSource
    from homie_migrations_core.sqlite.tracking import Tracking
else:
    from homie_migrations_core.values import dataclass, replace

# The rules of `planning/` are imported where they are asked for: a status has no use for plans, and a plan none for a status.


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """One database: its packs that can be read, those that cannot, and what it records."""

    path: str
    source: PackSource
    packs: tuple[Pack, ...]
    broken: tuple[BrokenPack, ...]
    tracking: Tracking

    def at(self, tracking: Tracking) -> DatabaseView:
        """Return the view of the same database and packs with what the database records now."""
        return replace(self, tracking=tracking)

    # --- records ------------------------------------------------------------------------------------

    @property
    def owner(self) -> str | None:
        """The pack to which rows without a pack's name belong; None if several could be."""
        from homie_migrations_core.planning.ownership import find_owner

        packs = [pack for pack in self.packs if self.source.includes(pack.name)]
        broken = [each for each in self.broken if self.source.includes(each.pack)]
        return find_owner(self.source.database, packs, broken)

    @property
    def attributed(self) -> tuple[Record, ...]:
        """The records with their packs' names, as far as those are known."""
        return self._attribute()[0]

    def records(self) -> tuple[Record, ...]:
        """
        Return the records with their packs' names.

        Raises:
            PackNotChosen: As `refuse_unknown_file`.
            OwnerUnclear: The rows of an earlier table cannot be said to belong to one pack.
        """
        self.refuse_unknown_file()
        records, unclear = self._attribute()
        if unclear is not None:
            raise unclear
        return records

    def _attribute(self) -> tuple[tuple[Record, ...], RunRefused | None]:
        if self.tracking.shape != "earlier":
            return self.tracking.records, None
        from homie_migrations_core.planning.ownership import attribute_records

        return attribute_records(self.path, self.tracking.records, self.owner, self.packs)

    def refuse_unknown_file(self) -> None:
        """
        Refuse a file with tables, no record, and a name that no pack gave it: it is probably a typing error.

        Raises:
            PackNotChosen: It is such a file.
        """
        if self.tracking.records or not self.tracking.holds_tables or self.source.names_file():
            return
        assert self.source.collected is not None
        raise errors.PackNotChosen(
            self.path,
            "it holds tables but no record of a migration, and no installed pack is for a file of that name",
            [each.pack.name for each in self.source.collected.packs],
        )

    # --- states -------------------------------------------------------------------------------------

    def status(self, *, exists: bool, state: State | None = None) -> DatabaseStatus:
        """
        Return the state of every migration of the chosen packs.

        `state` is what reading the file found, if that decides everything.

        Raises:
            PackNotChosen: As `refuse_unknown_file`.
        """
        from homie_migrations_core.planning.status import describe_database

        self.refuse_unknown_file()
        empty = not (self.tracking.holds_tables or state)
        return describe_database(
            path_from(self.path),
            self.packs,
            self.broken,
            self.attributed,
            exists=exists,
            empty=empty,
            state=state,
            only=self.source.only,
        )

    # --- plans --------------------------------------------------------------------------------------

    def plan_apply(self, *, to: str | None = None, allow_late: bool = False) -> Plan:
        """
        Return the steps that bring the database up to date.

        Raises:
            PackBroken: The pack that `to` names cannot be used.
            RunRefused, UnknownTarget, UnknownPack: As `plan_apply`.
        """
        from homie_migrations_core.planning.applying import plan_apply

        if to is not None and (parts := naming.split_ref(to)):
            self.require_usable(parts[0])
        return plan_apply(self.path, self.packs, self.records(), to=to, only=self.source.only, allow_late=allow_late)

    def left_out(self, plan: Plan) -> tuple[BrokenPack | LeftOut, ...]:
        """
        Return the packs that the plan has to leave alone, and why.

        Raises:
            PackBroken: Those are all there are.
        """
        everything: tuple[BrokenPack | LeftOut, ...] = (*self.broken, *plan.left_out)
        unusable = tuple(each for each in everything if self.source.includes(each.pack))
        if unusable and not {pack.name for pack in self.packs} - {each.pack for each in plan.left_out}:
            raise errors.PackBroken(unusable, done="Nothing was done")
        return unusable

    def plan_rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> Plan:
        """
        Return the steps that roll the pack back: `steps` of them (1 by default), or all above version `to`.

        Raises:
            UnknownTarget: Both are given, or they are out of range.
            PackBroken, UnknownPack, RollbackRefused: As `plan_rollback`.
        """
        from homie_migrations_core.planning.rolling_back import plan_rollback

        if to is not None and steps is not None:
            raise errors.UnknownTarget(f"{pack}:{to}", "a version and a number of steps were given", "Give one of them.")
        if (to is not None and to < 0) or (steps is not None and steps < 1):
            raise errors.UnknownTarget(f"{pack}:{to if to is not None else steps}", "there is nothing below 0", "Give 0 or more.")
        records = self.records()
        return plan_rollback(self.path, self.packs, records, self.require_usable(pack), to=to, steps=steps or 1)

    def plan_rollback_down_to(self, pack: str, version: int) -> Plan:
        """Return the steps that roll back what is left of the pack from `version` on; there may be none."""
        from homie_migrations_core.model import Plan

        steps = sum(1 for record in self.records() if record.pack == pack and record.version >= version)
        return self.plan_rollback(pack, steps=steps) if steps else Plan()

    def plan_redo(self, pack: str) -> Plan:
        """Return the steps that roll back the pack's newest migration and apply it again. Raises as `plan_rollback`."""
        from homie_migrations_core.planning.rolling_back import plan_redo

        records = self.records()
        return plan_redo(self.path, self.packs, records, self.require_usable(pack))

    def plan_reset(self) -> Plan:
        """
        Return the steps that roll everything back, or all of the packs that were chosen.

        Raises:
            PackBroken: A pack with records cannot be used.
            RollbackRefused, UnknownPack: As `plan_reset`.
        """
        from homie_migrations_core.planning.rolling_back import plan_reset

        records = self.records()
        recorded = {record.pack for record in records}
        for each in self.broken:
            if each.pack in recorded and self.source.includes(each.pack):
                raise errors.PackBroken([each], done="Nothing was rolled back")
        return plan_reset(self.path, self.packs, records, self.source.only)

    # --- single records -----------------------------------------------------------------------------

    def plan_baseline(self, pack: str, version: int) -> tuple[Migration, ...]:
        """
        Return the migrations of the pack that are to be recorded without being run.

        Raises:
            BaselineRefused, UnknownPack, UnknownTarget: As `plan_baseline`, or the database is empty.
        """
        from homie_migrations_core.planning.records import plan_baseline

        records = self.records()
        migrations = plan_baseline(self.path, self.packs, records, self.require_usable(pack), version)
        if not self.tracking.holds_tables:
            raise errors.BaselineRefused(
                self.path, ["it holds no table, so nothing of the pack can be there"], "Use `homie migrations apply`."
            )
        return migrations

    def plan_repair(self, ref: str, *, remove: bool = False) -> Repair:
        """Return what becomes of the record that `ref` names. Raises as `plan_repair`."""
        from homie_migrations_core.planning.records import plan_repair

        records = self.records()
        if parts := naming.split_ref(ref):
            self.require_usable(parts[0])
        return plan_repair(self.path, self.packs, records, ref, remove=remove)

    def require_usable(self, pack: str) -> str:
        """
        Return the pack's name.

        Raises:
            PackBroken: The pack cannot be used.
        """
        if unusable := [each for each in self.broken if each.pack == pack]:
            raise errors.PackBroken(unusable, done="Nothing was done")
        return pack
