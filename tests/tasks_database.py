"""A small database that tests of signals and stops start from."""

from __future__ import annotations

import shutil
from pathlib import Path

from helpers import creates, query, recorded, run_sql, tables

from homie_migrations_core import MigrationPack, MigrationRunner


class TasksDatabase:
    """A database at version 1 of the pack `tasks`, with one row, and the folder of the pack."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.path, self.flag = tmp_path / "tasks", tmp_path / "homie_tasks.db", tmp_path / "begun"
        self.folder.mkdir()
        (self.folder / "001_one.py").write_text(creates(1, "one"))
        self.options = ("--dir", self.folder, "--database", self.path, "--no-backup")
        assert len(MigrationRunner(self.path, [MigrationPack("tasks", self.folder)], backup=False).apply()) == 1
        run_sql(self.path, "INSERT INTO one VALUES (1, 'must stay')")

    def add(self, name: str, content: str) -> None:
        """Write a file into the folder of the pack."""
        (self.folder / name).write_text(content)

    def call(self, command: str, *more: object) -> tuple[object, ...]:
        """Return the arguments of a command, and prepare something for it to do."""
        place = self.options[:4]
        if command == "repair":
            self.add("001_one.py", creates(1, "one") + "EDITED = True\n")
        if command in ("apply", "rehearse", "baseline"):
            self.add("002_two.py", creates(2, "two"))
        if command == "restore":
            return (command, self.snapshot(), *place, *more, "--yes")
        if command == "baseline":
            return (command, "tasks", "2", *place, *more)
        if command in ("rollback", "redo"):
            return (command, "tasks", *place, *more, "--yes")
        if command == "repair":
            return (command, "tasks:1", *place, *more, "--yes")
        return (command, *place, *more, *(["--yes"] if command == "reset" else []))

    def snapshot(self) -> Path:
        """Return a copy of the database that differs from it."""
        copy = self.folder.parent / "copy.db"
        if not copy.exists():
            shutil.copyfile(self.path, copy)
            run_sql(copy, "INSERT INTO one VALUES (-2, 'of the copy')")
        return copy

    def is_unchanged(self) -> bool:
        """Whether it is still at version 1, and no file is left beside it. Fails the test if not."""
        assert recorded(self.path) == ["tasks:001_one"]
        assert tables(self.path) == {"one"}
        assert query(self.path, "SELECT * FROM one") == [(1, "must stay")]
        assert query(self.path, "PRAGMA integrity_check") == [("ok",)]
        assert {path.name for path in self.path.parent.iterdir()} <= {"tasks", "homie_tasks.db", "begun"}
        return True
