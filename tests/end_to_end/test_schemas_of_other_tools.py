"""What other tools write into a schema equals what a person writes for it."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from end_to_end.other_tools import ALEMBIC, SQLITE_UTILS, Commands, Projects, schema_of, write
from helpers import query, run_sql, write_pack

from homie_migrations_core import MigrationRunner

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


def test_what_alembic_writes_equals_the_same_written_by_hand(commands: Commands, tmp_path: Path):
    ALEMBIC.skip_if_missing()
    commands.start_project(ALEMBIC, tmp_path)
    theirs, ours = ("".join(textwrap.dedent(each[side]) for each in ALEMBIC_FORMS) for side in (0, 1))
    head = "import sqlalchemy as sa\nfrom alembic import op\n\nrevision = 'one'\ndown_revision = None\n\n\n"
    write(tmp_path, "alembic/versions/one.py", f"{head}def upgrade():\n{textwrap.indent(theirs, '    ')}")
    commands.run_all("alembic upgrade head", tmp_path)
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
def test_what_a_batch_of_alembic_leaves_equals_what_people_write(by_hand: str, projects: Projects, tmp_path: Path):
    """Of `created_at` and `pinned`, as the page's second revision leaves them."""
    database = projects.copy(ALEMBIC, 2, tmp_path)
    (sql,) = query(database, "SELECT sql FROM sqlite_schema WHERE name = 'notes'")[0]
    assert "created_at DATETIME DEFAULT (CURRENT_TIMESTAMP)" in sql
    assert "pinned BOOLEAN DEFAULT 0 NOT NULL" in sql
    run_sql(
        tmp_path / "short.db",
        "CREATE TABLE t (id INTEGER NOT NULL, at DATETIME DEFAULT (CURRENT_TIMESTAMP), "
        "n INTEGER DEFAULT 0 NOT NULL, PRIMARY KEY (id))",
    )
    pack = write_pack(tmp_path / "by_hand", "p", {"001_t.sql": f"CREATE TABLE t ({by_hand});"})
    assert MigrationRunner(tmp_path / "short.db", packs=[pack]).detect("p").version == 1


def test_a_migration_may_use_sqlite_utils(projects: Projects, tmp_path: Path):
    """The functions of the page's set, moved into a pack, make the same database as the tool."""
    theirs = projects.copy(SQLITE_UTILS, 3, tmp_path / "theirs")
    (source,) = SQLITE_UTILS.history()[0].values()
    bodies = re.findall(r"^def (?:m(\d+)_\w+)\(db\):\n((?:    .*\n)+)", source, re.MULTILINE)
    files = {
        f"{number}_moved.py": f"import sqlite_utils\n\ndef get_migration_version():\n    return {int(number)}\n\n"
        f"def apply_migration(conn):\n    db = sqlite_utils.Database(conn)\n{body}"
        for number, body in bodies
    }
    pack = write_pack(tmp_path / "migrations", "notes", files)
    ours = tmp_path / "ours.db"
    # In a process of its own, because pytest turns that library's warnings into errors.
    script = (
        "import sys; from homie_migrations_core import MigrationPack, MigrationRunner; from pathlib import Path; "
        "print(len(MigrationRunner(sys.argv[1], packs=[MigrationPack('notes', Path(sys.argv[2]))]).apply()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(ours), str(pack.migrations)], capture_output=True, check=True, text=True
    )
    assert done.stdout == "3\n"
    assert [each for each in schema_of(ours) if "migrations" not in each[1]] == [
        each for each in schema_of(theirs) if "migrations" not in each[1]
    ]
