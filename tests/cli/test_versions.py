"""`homie --version`: the core, and the distributions that register packs."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from helpers import creates
from typer.testing import CliRunner

from homie_migrations_core.cli.app import app

CORE = f"homie-migrations-core {version('homie-migrations-core')}"
ORGANIZER = f"homie-file-organizer-migrations {version('homie-file-organizer-migrations')}"


def versions() -> list[str]:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_the_core_comes_first_then_the_distributions_with_packs(installed):
    assert versions() == [CORE, ORGANIZER]
    installed.pack("tasks", {"001_one.py": creates(1, "one")}, version="1.4.2")
    assert versions() == [CORE, ORGANIZER, "tasks-dist 1.4.2"]


@pytest.mark.parametrize("code", ["raise SystemExit('go away')", "import nothing_of_that_name", "def ("])
def test_a_broken_entry_point_is_not_loaded(installed, code: str):
    installed.distribution("stranger-dist", {"stranger_plugin": code}, {"stranger": "stranger_plugin"}, version="0.3")
    assert versions() == [CORE, ORGANIZER, "stranger-dist 0.3"]


def test_entry_points_that_can_not_be_read_hide_no_version(installed):
    installed.distribution("stranger-dist", {"stranger_plugin": ""}, {"stranger": "stranger_plugin"}, version="0.3")
    (installed.site / "stranger_dist-0.3.dist-info" / "entry_points.txt").write_text("[homie.migrations]\nno equals sign\n")
    assert versions()[:2] == [CORE, ORGANIZER]
