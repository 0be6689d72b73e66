"""A folder with packs that can be rewritten, and one database, for the tests of inspection."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import fingerprint, run_sql, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.model import Finding

PAGE = (Path(__file__).parents[2] / "docs/reference/validate-findings.md").read_text(encoding="utf-8")
DOCUMENTED = {code for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)}
"""The codes that the reference names."""


class Workspace:
    """A folder with packs, written and rewritten by a test, and one database."""

    def __init__(self, folder: Path, database: str = "homie_p.db") -> None:
        self.folder, self.path = folder, folder / database
        self.packs: dict[str, MigrationPack] = {}

    def write(self, pack: str, **files: str) -> None:
        """Write a pack: `_001_one="..."` becomes 001_one.sql, or 001_one.py if the text is Python."""
        content = {f"{name[1:]}{'.py' if 'def ' in text else '.sql'}": text for name, text in files.items()}
        self.packs[pack] = write_pack(self.folder / pack, pack, content, database=self.path.name)

    def remove(self, pack: str, name: str) -> str:
        """Remove a migration's file and return its content."""
        file = next(file for file in (self.folder / pack).iterdir() if file.stem == name)
        content = file.read_text()
        file.unlink()
        return content

    def runner(self, *packs: str, **options: object) -> MigrationRunner:
        return MigrationRunner(self.path, [self.packs[name] for name in packs or self.packs], backup=False, **options)  # type: ignore[arg-type]

    def apply(self, *packs: str, allow_late: bool = False) -> None:
        self.runner(*packs).apply(allow_late=allow_late)

    def findings(self, *packs: str) -> list[Finding]:
        """Return what `validate` finds, and assert that it changed nothing and that each sentence is one line."""
        before = fingerprint(self.folder)
        findings = self.runner(*packs).validate()
        assert fingerprint(self.folder) == before
        for each in findings:
            assert "\n" not in each.message + each.advice, "one sentence is one line"
            assert each.advice.endswith(".")
            assert not each.message.endswith((".", " ")), "the sentence is cut off"
            assert each.code in DOCUMENTED, "docs/reference/validate-findings.md names every code"
        return findings

    def codes(self, *packs: str) -> list[str]:
        return [each.code for each in self.findings(*packs)]


def run_by_another_library(path: Path, script: str) -> None:
    """
    Do what `run_sql` does with another build of SQLite.

    In a process of its own: two libraries in one process don't see each other's locks.
    """
    code = (
        "import sys, pysqlite3 as s; c = s.connect(sys.argv[1], isolation_level=None); c.executescript(sys.stdin.read()); c.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], input=script, encoding="utf-8", check=True)


needs_another = pytest.mark.skipif(find_spec("pysqlite3") is None, reason="there is no other build of SQLite here")
BY = pytest.mark.parametrize(
    "by", [run_sql, pytest.param(run_by_another_library, marks=needs_another)], ids=["this build", "another build"]
)


def apply_all_but_one(workspace: Workspace, *bodies: str, number: int = 2) -> None:
    """Apply migrations with these bodies except one, which is written afterwards and therefore late."""
    workspace.write("p", **{f"_{version:03}_step": body for version, body in enumerate(bodies, start=1)})
    content = workspace.remove("p", f"{number:03}_step")
    workspace.apply("p")
    workspace.write("p", **{f"_{number:03}_step": content})
