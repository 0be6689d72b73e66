"""One history of migrations, written down in the shape of each tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Change(NamedTuple):
    """One migration: what the SQL is, whatever the tool."""

    title: str
    up: str
    down: str


HISTORY = (
    Change(
        "create_notes",
        """-- Notes; each has a title.
CREATE TABLE notes (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL DEFAULT 'a;b -- no comment', -- the title; never empty
    [body text] TEXT
);
CREATE INDEX idx_notes_title ON notes (title) WHERE title <> 'x;y';
INSERT INTO notes (title, [body text]) VALUES ('first; of two', 'one
line
and another');
""",
        "DROP TABLE notes;\n",
    ),
    Change(
        "Count-Notes",
        """CREATE TABLE counts (n INTEGER NOT NULL);
INSERT INTO counts SELECT count(*) FROM notes;
CREATE TRIGGER count_notes AFTER INSERT ON notes
BEGIN
    UPDATE counts SET n = n + 1;
    UPDATE counts SET n = n; -- one more; END
END;
INSERT INTO notes (title) VALUES ('counted');
""",
        "DROP TRIGGER count_notes;\nDROP TABLE counts;\n",
    ),
    Change(
        "rebuild",
        """PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE new_notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, pinned INTEGER NOT NULL DEFAULT 0);
INSERT INTO new_notes (id, title) SELECT id, upper(title) FROM notes;
DROP TABLE notes;
ALTER TABLE new_notes RENAME TO notes;
COMMIT;
CREATE VIEW pinned AS SELECT title FROM notes WHERE pinned /* or not */;
""",
        """DROP VIEW pinned;
ALTER TABLE notes DROP COLUMN pinned;
ALTER TABLE notes ADD COLUMN [body text] TEXT;
CREATE INDEX idx_notes_title ON notes (title) WHERE title <> 'x;y';
CREATE TRIGGER count_notes AFTER INSERT ON notes
BEGIN
    UPDATE counts SET n = n + 1;
END;
""",
    ),
)
STAMPS = ("20240301100000", "20240601095959", "20250402170430")

Files = dict[str, str]


def dbmate() -> Files:
    """As `dbmate new` begins a file; a comment above the marker, and one marker with an option."""
    shape = "-- why: {title}\n\n-- migrate:up transaction:true\n{up}\n-- migrate:down\n{down}\n"
    return {f"{stamp}_{each.title}.sql": shape.format(**each._asdict()) for stamp, each in zip(STAMPS, HISTORY, strict=True)}


def goose() -> Files:
    """As `goose create NAME sql` begins a file: one statement between the markers needs no semicolon."""
    files = {}
    for number, each in enumerate(HISTORY, start=1):
        before, trigger, after = each.up.partition("CREATE TRIGGER")
        up = before
        if trigger:
            body, _, rest = after.partition("\nEND;")
            up += f"-- +goose StatementBegin\nCREATE TRIGGER{body}\nEND\n-- +goose StatementEnd{rest}"
        down = f"-- +goose StatementBegin\n{each.down}-- +goose StatementEnd\n"
        files[f"{number:05}_{each.title}.sql"] = f"-- +goose Up\n{up}\n-- +goose Down\n{down}"
    return files


def golang_migrate() -> Files:
    """As `migrate create -ext sql -seq NAME` names the two files. The numbers have no padding here, and 10 comes last."""
    files = {}
    for number, each in zip((1, 9, 10), HISTORY, strict=True):
        files[f"{number}_{each.title}.up.sql"] = each.up
        files[f"{number}_{each.title}.down.sql"] = each.down
    return files


def sqlx() -> Files:
    """As `sqlx migrate add -r NAME` names the two files."""
    files = {}
    for stamp, each in zip(STAMPS, HISTORY, strict=True):
        files[f"{stamp}_{each.title}.up.sql"] = f"-- Add up migration script here\n{each.up}"
        files[f"{stamp}_{each.title}.down.sql"] = f"-- Add down migration script here\n{each.down}"
    return files


def sqlx_without_down() -> Files:
    """As `sqlx migrate add NAME` names the file."""
    return {
        f"{stamp}_{each.title}.sql": f"-- Add migration script here\n{each.up}" for stamp, each in zip(STAMPS, HISTORY, strict=True)
    }


def diesel() -> Files:
    """As `diesel migration generate NAME` names the folder and begins the files."""
    files = {".keep": ""}
    for day, each in enumerate(HISTORY, start=8):
        folder = f"2024-03-{day:02}-100000_{each.title}"
        files[f"{folder}/up.sql"] = f"-- Your SQL goes here\n{each.up}"
        files[f"{folder}/down.sql"] = f"-- This file should undo anything in `up.sql`\n{each.down}"
        files[f"{folder}/metadata.toml"] = "run_in_transaction = true # as by default\n"
    return files


def refinery() -> Files:
    """Names have no dash there; 2 comes before 10; folders below are looked into."""
    folders = ("", "later/", "later/")
    return {
        f"{folder}V{version}__{each.title.replace('-', '_')}.sql": each.up
        for folder, version, each in zip(folders, (2, 10, 11), HISTORY, strict=True)
    }


SHAPES: dict[str, Callable[[], Files]] = {
    "dbmate": dbmate,
    "goose": goose,
    "golang-migrate": golang_migrate,
    "sqlx": sqlx,
    "sqlx without down scripts": sqlx_without_down,
    "diesel": diesel,
    "refinery": refinery,
}
ONE_WAY = frozenset({"sqlx without down scripts", "refinery"})


def write_folder(folder: Path, files: Files, *, windows: bool = False) -> Path:
    """Write the files of a folder; as Windows editors do, with CRLF and a byte-order mark, if asked to."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text.replace("\n", "\r\n").encode("utf-8-sig") if windows and name.endswith(".sql") else text.encode()
        path.write_bytes(content)
    return folder
