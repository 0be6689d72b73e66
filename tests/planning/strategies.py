"""What Hypothesis draws for the laws of planning: packs that require each other, and what a database holds of them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, settings
from hypothesis import strategies as st
from planning.builders import keys, keys_of_refs, migration, pack_of, row

NAMES = "abcd"

laws = settings(max_examples=100, deadline=None)


@st.composite
def packs_and_records(draw, *, healthy: bool = False):
    """Packs with any requirements, cycles included, and the records of a database that holds some of their migrations."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    known = st.builds(
        lambda pack, version, with_name: f"{pack}:{version:03}" + (f"_m{version}" if with_name else ""),
        st.sampled_from(NAMES),
        st.integers(1, 4),
        st.booleans(),
    )
    packs = []
    for name in names:
        versions = draw(st.sets(st.integers(1, 4), min_size=1))
        packs.append(
            pack_of(
                name,
                *(
                    migration(
                        name,
                        version,
                        requires=tuple(draw(st.lists(known, max_size=2, unique=True))) if draw(st.integers(0, 2)) == 0 else (),
                        problem=f"{version} is odd" if not healthy and draw(st.integers(0, 9)) == 0 else None,
                        reversible=draw(st.integers(0, 4)) > 0,
                    )
                    for version in versions
                ),
            )
        )
    records = []
    for name in NAMES:
        shipped = next(([m.version for m in pack.migrations] for pack in packs if pack.name == name), [1, 2])
        records += [row(name, version) for version in shipped[: draw(st.integers(0, len(shipped)))]]
    return packs, records


@st.composite
def resettable(draw):
    """The same where everything that is recorded can be rolled back, applied at any times."""
    packs, records = draw(packs_and_records(healthy=True))
    packs = [all_reversible(pack) for pack in packs]
    names = {pack.name for pack in packs}
    times = st.sampled_from([None, "2023", "2024", "2025"])
    records = [replace(record, applied_at=draw(times)) for record in records if record.pack in names]
    assume(not has_cycle(packs, keys(records)))
    return packs, records


def all_reversible(pack):
    """Return the pack with a rollback for each migration."""
    return replace(pack, migrations=tuple(replace(m, reversible=True) for m in pack.migrations))


def has_cycle(packs, recorded) -> bool:
    """Whether some of what is recorded requires each other, the order within a pack included."""
    needs = {}
    for pack in packs:
        own = [m for m in pack.migrations if (pack.name, m.version) in recorded]
        for below, m in zip([None, *own], own, strict=False):
            mine = keys_of_refs(m.requires) | ({(pack.name, below.version)} if below else set())
            needs[pack.name, m.version] = mine & recorded
    while free := [key for key, mine in needs.items() if not mine & needs.keys()]:
        for key in free:
            del needs[key]
    return bool(needs)
