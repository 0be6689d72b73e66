"""
Tries one migration file on a scratch database: what comes before it, apply, rollback, apply again.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import collect
from homie_migrations_core.packs.naming import is_pack_name, split_ref
from homie_migrations_core.packs.reading import UnusablePack, read_pack
from homie_migrations_core.runner import MigrationRunner


def try_file(path: Path, say: Callable[[str], object]) -> None:
    """
    Try the migration in the file `path`; call `say` with a line for each thing that was done.

    The packs that it requires must be installed. No database but the scratch one is opened.

    Raises:
        HomieMigrationsError: A migration failed.
        UnusablePack: The file is not a migration, or the folder can't be used as a pack.
    """
    installed = [each.pack for each in collect().packs if Path(each.folder).resolve() == path.parent]
    own = installed[0] if installed else _pack_around(path)
    found = read_pack(own)
    migration = next((each for each in found.migrations if each.path.name == path.name), None)
    if migration is None:
        raise UnusablePack(f"{path.name} is not one of the migrations of {path.parent}")
    before = [each for each in found.migrations if each.version < migration.version]
    needed = {parts[0] for each in [*before, migration] for ref in each.requires if (parts := split_ref(ref))} - {own.name}
    packs = [own, *(each.pack for each in collect().packs if each.pack.name in needed)] if needed else [own]
    packs = [MigrationPack(each.name, each.migrations, own.database) for each in packs]
    with tempfile.TemporaryDirectory(prefix="homie-try-") as folder:
        runner = MigrationRunner(Path(folder) / own.database, packs, backup=False)
        say(f"Trying {migration.ref} on a scratch database")
        if before:
            for each in runner.apply(to=before[-1].ref):
                say(f"  applied {each.ref}, which comes before it")
        for each in runner.apply(to=migration.ref):
            say(f"  applied {each.ref}")
        if not migration.reversible:
            say("  it has no rollback_migration, so there is nothing to roll back")
            return
        runner.rollback(own.name, steps=1)
        say(f"  rolled back {migration.ref}")
        runner.apply(to=migration.ref)
        say(f"  applied {migration.ref} again")


def _pack_around(path: Path) -> MigrationPack:
    """Return the folder of a file as a pack; as a package where it is one, so that relative imports work."""
    names = [path.parent.name]
    top = path.parent
    while (top / "__init__.py").is_file() and (top.parent / "__init__.py").is_file():
        top = top.parent
        names.insert(0, top.name)
    dotted = ".".join(names)
    candidates = [path.parent.parent.name if path.parent.name == "migrations" else path.parent.name, "trial"]
    name = next(each for each in candidates if is_pack_name(each))
    try:
        spec = importlib.util.find_spec(dotted)
    except (ImportError, ValueError, AttributeError):
        spec = None
    places = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
    return MigrationPack(name, dotted if path.parent in places else path.parent)
