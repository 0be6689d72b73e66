"""A folder of migrations and a database, which most tests of the command line start from."""

from __future__ import annotations

from pathlib import Path

from helpers import creates

TWO = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}


class MigrationFolder:
    """The folder `tasks`, the database `homie_tasks.db` beside it, which is not there yet, and the options that name them."""

    def __init__(self, place: Path, files: dict[str, str]) -> None:
        self.folder, self.database = place / "tasks", place / "homie_tasks.db"
        self.folder.mkdir()
        self.add(files)
        self.options = ("--dir", self.folder, "--database", self.database)

    def add(self, files: dict[str, str]) -> None:
        """Write these files (name → content) into the folder."""
        for name, content in files.items():
            (self.folder / name).write_text(content, encoding="utf-8")
