"""
A data folder of many databases and packs, to look at what commands show of it: `python -m benchmarks.many_databases FOLDER`.

Twenty-five databases, forty packs and two hundred migrations: most are up to date; in some, migrations are pending, late,
edited, missing or ahead; some do not exist yet, one is damaged, and one was left by a pack that is not installed.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from homie_migrations_core import MigrationPack, MigrationRunner

DATABASES, PACKS, MIGRATIONS = 25, 40, 200
_SUBJECTS = "notes tasks files people places photos music mail calendar recipes budget books".split()
_WORDS = ("tables", "indexes", "add user preferences", "faster search", "drop old columns")
_PLUGIN = """
from pathlib import Path
from homie_migrations_core import MigrationPack, hookimpl

@hookimpl
def homie_migration_packs():
    return MigrationPack({name!r}, Path(__file__).parent / {name!r}, {database!r})
"""


def make(place: Path) -> tuple[Path, Path]:
    """Make the data folder and its packs; return the data folder, and the folder that goes on PYTHONPATH to install them."""
    site, data = place / "site", place / "data"
    modules = data / "modules"
    for folder in (site, modules):
        folder.mkdir(parents=True)
    packs = [_install(site, number) for number in range(PACKS)]
    for number in range(DATABASES):
        name = _database(number)
        own = [pack for pack in packs if pack.database == name]
        if number not in (7, 19):  # these do not exist yet
            MigrationRunner(modules / name, own, backup=False).apply()
            _disturb(modules / name, own, number)
    return data, site


def _database(number: int) -> str:
    return f"homie_{_pack(number)}.db"


def _pack(number: int) -> str:
    subject = _SUBJECTS[number % len(_SUBJECTS)]
    return subject if number < len(_SUBJECTS) else f"{subject}_extra_{number // len(_SUBJECTS)}"


def _install(site: Path, number: int) -> MigrationPack:
    """Register a pack as a distribution of its own, with five migrations."""
    name, database = _pack(number), _database(number % DATABASES)
    folder = site / name
    folder.mkdir()
    for version in range(1, MIGRATIONS // PACKS + 1):
        words = _WORDS[version - 1].replace(" ", "_")
        (folder / f"{version:03}_{words}.sql").write_text(f"CREATE TABLE {name}_{version} (id INTEGER PRIMARY KEY);\n")
    (site / f"{name}_plugin.py").write_text(_PLUGIN.format(name=name, database=database))
    information = site / f"homie_{name}_migrations-1.{number}.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: homie-{name.replace('_', '-')}-migrations\nVersion: 1.{number}.0\n"
    )
    (information / "entry_points.txt").write_text(f"[homie.migrations]\n{name} = {name}_plugin\n")
    return MigrationPack(name, folder, database)


def _disturb(path: Path, packs: list[MigrationPack], number: int) -> None:
    """Leave some databases in a state that needs somebody's attention."""
    pack = packs[0].name
    statements = {
        3: f"DELETE FROM schema_migrations WHERE pack = '{pack}' AND version = 5; DROP TABLE {pack}_5",
        4: f"DELETE FROM schema_migrations WHERE pack = '{pack}' AND version > 3; DROP TABLE {pack}_4; DROP TABLE {pack}_5",
        9: f"UPDATE schema_migrations SET checksum = 'edited' WHERE pack = '{pack}' AND version = 2",
        11: f"INSERT INTO schema_migrations (version, migration_name, pack) VALUES (6, '006_from_a_newer_release', '{pack}')",
        14: f"DELETE FROM schema_migrations WHERE pack = '{pack}' AND version = 3; DROP TABLE {pack}_3",
        16: "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_tables', 'gone_pack')",
    }
    if number == 21:
        path.write_text("not a database " * 100)
    elif number in statements:
        connection = sqlite3.connect(path)
        connection.executescript(statements[number])
        connection.close()


if __name__ == "__main__":
    made, installed = make(Path(sys.argv[1]))
    print(f"PYTHONPATH={installed} HOMIE_DATA_DIR={made} homie migrations status")
