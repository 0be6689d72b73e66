"""Where the database of a pack lies, and what plugins say about it."""

from __future__ import annotations

import pytest
from helpers import PLUGIN_HEAD, SKIPS

from homie_migrations_core.errors import PackBroken
from homie_migrations_core.packs import discovery as plugins
from homie_migrations_core.packs.locations import database_file


def path_plugin(installed, name: str, body: str) -> None:
    code = PLUGIN_HEAD + f"@hookimpl\ndef homie_database_path(database, data_dir):\n    {body}\n"
    installed.distribution(name, {f"{name}_plugin": code}, {name: f"{name}_plugin"})


def test_a_database_lies_in_modules_unless_a_plugin_says_otherwise(installed, tmp_path):
    path_plugin(installed, "silent", "return None")
    answer = database_file("homie_a.db", tmp_path, plugins.collect())
    assert answer == (tmp_path / "modules" / "homie_a.db", False)


def test_the_first_answer_wins_and_is_asked_with_the_facts(installed, tmp_path):
    path_plugin(installed, "silent", "return None")
    path_plugin(installed, "says", "return data_dir / 'elsewhere' / database")
    answer = database_file("homie_a.db", tmp_path, plugins.collect())
    assert answer == (tmp_path / "elsewhere" / "homie_a.db", True)
    assert not (tmp_path / "elsewhere").exists()


def test_the_answer_may_be_text(installed, tmp_path):
    path_plugin(installed, "says", "return str(data_dir / 'as_text.db')")
    assert database_file("a.db", tmp_path, plugins.collect()) == (tmp_path / "as_text.db", True)


@pytest.mark.parametrize("body", ["raise RuntimeError('no disk')", "raise SystemExit(2)", SKIPS, "return 3"])
def test_a_plugin_that_fails_to_answer_is_an_error(installed, tmp_path, body):
    path_plugin(installed, "fails", body)
    with pytest.raises(PackBroken, match="homie_database_path failed for homie_a.db"):
        database_file("homie_a.db", tmp_path, plugins.collect())
