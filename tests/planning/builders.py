"""Short ways to write down packs, migrations and records for the tests of planning, which need no files."""

from __future__ import annotations

from pathlib import Path

from homie_migrations_core.model import Migration, Pack, Plan, Record, Step

DB = "data/homie_a.db"


def migration(pack: str, version: int, **facts) -> Migration:
    """Return a migration that can be rolled back, with a checksum made of its name; `facts` replace the defaults."""
    name = f"{version:03}_m{version}"
    facts = {"checksum": f"sum of {pack}:{name}", "reversible": True, **facts}
    return Migration(pack, version, name, Path(pack, f"{name}.py"), **facts)


def pack_of(name: str, *migrations: int | Migration, database: str = "") -> Pack:
    """Return a pack of these versions, or of these very migrations."""
    made = (migration(name, each) if isinstance(each, int) else each for each in migrations)
    return Pack(name, database or f"homie_{name}.db", tuple(sorted(made, key=lambda each: each.version)))


def row(pack: str | None, version: int, **facts) -> Record:
    """Return the record that `pack_of`'s migration leaves; `facts` replace the defaults."""
    name = f"{version:03}_m{version}"
    facts = {"applied_at": "2024-05-06 07:08:09", "checksum": f"sum of {pack}:{name}", **facts}
    return Record(version, facts.pop("name", name), pack, **facts)


def record_of(step: Step) -> Record:
    """Return the record that a step leaves."""
    return row(step.migration.pack, step.migration.version)


def refs(plan: Plan) -> list[str]:
    """Return the refs of a plan's steps, in order."""
    return [step.ref for step in plan.steps]


def keys(records) -> set[tuple[str, int]]:
    """Return the pack and the version of each record."""
    return {(record.pack, record.version) for record in records}


def keys_of_refs(requires) -> set[tuple[str, int]]:
    """Return the pack and the version of each ref. Written apart from the code under test on purpose."""
    return {(ref.partition(":")[0], int(ref.partition(":")[2].partition("_")[0])) for ref in requires}
