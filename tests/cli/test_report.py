"""What all commands share: the JSON document, quiet and verbose calls, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.migration_folder import TWO, MigrationFolder
from helpers import creates, problems, python_migration, recorded, run_sql

STATUS_KEYS = {"databases", "broken", "error"}
DATABASE_KEYS = {"path", "exists", "state", "packs"}
PACK_KEYS = {"name", "distribution", "distribution_version", "state", "current_version", "latest_version", "migrations"}
MIGRATION_KEYS = {"ref", "version", "name", "state", "applied_at"}

COMMANDS = {
    "status": (),
    "plan": (),
    "apply": (),
    "history": (),
    "rollback": ("tasks", "--yes", "--no-backup"),
    "redo": ("tasks", "--yes", "--no-backup"),
}


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_document_of_the_promised_shape(homie, tasks: MigrationFolder, command: str, applied: bool):
    if applied:
        homie("apply", *tasks.options)

    result = homie(command, *COMMANDS[command], *tasks.options, "--json")

    assert (result.code, result.err) == (0, "")
    document = result.json
    assert document.keys() == STATUS_KEYS
    assert (document["broken"], document["error"]) == ([], None)
    (database,) = document["databases"]
    assert database.keys() >= DATABASE_KEYS
    assert database["path"] == str(tasks.database)
    assert database["exists"] is tasks.database.exists()
    (pack,) = database["packs"]
    assert pack.keys() >= PACK_KEYS
    assert (pack["name"], pack["distribution"], pack["distribution_version"]) == ("tasks", None, None)
    assert [each["ref"] for each in pack["migrations"]] == ["tasks:001_one", "tasks:002_two"]
    for number, migration in enumerate(pack["migrations"], start=1):
        assert migration.keys() >= MIGRATION_KEYS
        assert migration["version"] == number
        assert (migration["applied_at"] is None) == (migration["state"] == "pending")
    expected = {"apply": 2, "rollback": 1 if applied else 0}.get(command, 2 if applied else 0)
    assert pack["current_version"] == expected
    assert pack["latest_version"] == 2
    assert pack["state"] == ("up_to_date" if expected == 2 else "pending")
    assert database["state"] == ("up_to_date" if expected == 2 else "pending" if applied else "new")


def test_what_the_other_commands_add_to_the_document(homie, tasks: MigrationFolder):
    def only(command: str) -> dict:
        return homie(command, *COMMANDS[command], *tasks.options, "--json").json["databases"][0]

    assert only("plan")["plan"] == [{"ref": f"tasks:{name}", "direction": "apply"} for name in ("001_one", "002_two")]
    applied = only("apply")
    assert (applied["applied"], applied["snapshot"], applied["left_out"]) == (["tasks:001_one", "tasks:002_two"], None, [])
    assert only("apply")["applied"] == []
    history = only("history")["history"]
    assert [(each["ref"], each["pack"], each["version"], each["name"]) for each in history] == [
        ("tasks:001_one", "tasks", 1, "001_one"),
        ("tasks:002_two", "tasks", 2, "002_two"),
    ]
    assert all(each["applied_at"] and each["duration_ms"] >= 0 and len(each["checksum"]) == 64 for each in history)
    assert only("redo")["redone"] == ["tasks:002_two"]
    assert only("rollback")["rolled_back"] == ["tasks:002_two"]


def test_json_of_status_has_the_words_of_every_state(homie, tasks: MigrationFolder):
    def states() -> tuple[str, str, list[str]]:
        database = homie("status", *tasks.options, "--json").json["databases"][0]
        (pack,) = [each for each in database["packs"] if each["name"] == "tasks"]
        return database["state"], pack["state"], [each["state"] for each in pack["migrations"]]

    assert states() == ("new", "pending", ["pending", "pending"])
    tasks.add({"003_three.py": creates(3, "three")})
    homie("apply", *tasks.options)
    assert states() == ("up_to_date", "up_to_date", ["applied"] * 3)
    tasks.add({"003_three.py": creates(3, "drei")})
    assert states() == ("edited", "edited", ["applied", "applied", "edited"])
    (tasks.folder / "003_three.py").rename(tasks.folder / "003_drei.py")
    assert states() == ("replaced", "replaced", ["applied", "applied", "replaced"])
    (tasks.folder / "003_drei.py").unlink()
    assert states() == ("ahead", "ahead", ["applied", "applied", "ahead"])
    tasks.add({"004_four.py": creates(4, "four")})
    assert states()[2] == ["applied", "applied", "missing", "pending"]
    run_sql(tasks.database, "DELETE FROM schema_migrations WHERE version = 1")
    assert states()[2] == ["late", "applied", "missing", "pending"]


def test_records_of_an_uninstalled_pack_are_orphaned_and_stop_no_run(homie, tasks: MigrationFolder, tmp_path: Path):
    homie("apply", *tasks.options)
    other = tmp_path / "other"
    other.mkdir()
    (other / "001_first.py").write_text(creates(1, "first"))
    here = ("--dir", other, "--database", tasks.database)
    assert "tasks: orphaned, version 2" in homie("status", *here).out
    assert homie("apply", *here, "--no-backup").code == 0
    assert homie("status", *here, "--check").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_commands_print_nothing_but_errors(homie, tasks: MigrationFolder, command: str):
    assert (quiet := homie(command, *COMMANDS[command], *tasks.options, "-q"))
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    refused = homie(command, *COMMANDS[command], "--dir", tasks.folder, "--database", tasks.folder, "--quiet")
    assert (refused.code, refused.out, len(problems(refused.err))) == (2, "", 1)


def test_quiet_packs_print_nothing(homie):
    assert (result := homie("packs", "-q"))
    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_verbose_commands_add_the_traceback_of_an_error(homie, tasks: MigrationFolder, command: str):
    here = ("--dir", tasks.folder, "--database", tasks.folder)
    short = homie(command, *COMMANDS[command], *here)
    long = homie(command, *COMMANDS[command], *here, "-v")
    assert long.code == short.code == 2
    assert "Traceback (most recent call last)" in long.err
    assert long.err.endswith(short.err)


def test_verbose_apply_shows_the_authors_own_line(homie, tasks: MigrationFolder):
    tasks.add({"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn):\n    conn.execute('NONSENSE')\n"})
    result = homie("apply", *tasks.options, "--verbose")
    assert '003_three.py", line 3, in apply_migration' in result.err
    assert "Traceback" in result.err


def test_verbose_apply_reports_every_step_on_stderr(homie, tasks: MigrationFolder):
    result = homie("apply", *tasks.options, "-v")
    assert result.code == 0
    assert [line for line in result.err.splitlines() if "Applied" in line] == [
        f"Applied tasks:001_one in {tasks.database}",
        f"Applied tasks:002_two in {tasks.database}",
    ]


def test_a_verbose_call_leaves_the_logger_as_it_was(homie, tasks: MigrationFolder):
    import logging

    logger = logging.getLogger("homie_migrations")
    before = (logger.level, list(logger.handlers))
    homie("apply", *tasks.options, "-v")
    assert (logger.level, logger.handlers) == before


def test_the_output_of_a_migration_is_not_in_the_document(homie, installed, tasks: MigrationFolder, tmp_path: Path):
    print_it = "def get_migration_version(): return 3\ndef apply_migration(conn): print('said by its author')\n"
    tasks.add({"003_three.py": print_it})
    result = homie("apply", *tasks.options, "--json")
    assert result.json["databases"][0]["applied"] == ["tasks:001_one", "tasks:002_two", "tasks:003_three"]
    assert result.err == "said by its author\n"

    installed.pack("loud", TWO, more="print('said by a plugin')")
    assert homie("packs", "--json").json["error"] is None


def test_a_failure_is_one_document_with_a_stable_code(homie, tasks: MigrationFolder):
    tasks.add({"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn): raise ValueError('no')\n"})
    homie("apply", *tasks.options, "--to", "tasks:1")

    result = homie("apply", *tasks.options, "--no-backup", "--json")

    assert result.code == 1
    database = result.json["databases"][0]
    assert database["applied"] == ["tasks:002_two"]
    assert database["packs"][0]["current_version"] == 2
    assert result.json["error"]["code"] == database["error"]["code"] == "migration_failed"
    assert problems(result.err) == [f"Error: {result.json['error']['message']}"]


def test_json_is_plain_ascii_whatever_a_path_holds(homie, tmp_path: Path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "001_one.py").write_text(creates(1, "one"))
    database = tmp_path / "a b#c?d%20é\n.db"
    result = homie("apply", "--dir", folder, "--database", database, "--json")
    assert result.code == 0
    assert result.out.isascii()
    assert result.json["databases"][0]["path"] == str(database)
    assert recorded(database) == ["tasks:001_one"]


def test_an_unexpected_error_is_one_line_and_one_document(homie, tasks: MigrationFolder, monkeypatch):
    from homie_migrations_core.database_reader import DatabaseReader

    def fails(self):
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(DatabaseReader, "status", fails)
    result = homie("status", *tasks.options, "--json", bug=True)
    assert result.code == 1
    assert result.json["error"]["code"] == "unexpected"
    assert len(problems(result.err)) == 1
    assert "ZeroDivisionError: a bug of ours" in result.err


def test_ctrl_c_while_reading_ends_with_130_and_a_document(homie, tasks: MigrationFolder, monkeypatch):
    from homie_migrations_core.database_reader import DatabaseReader

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(DatabaseReader, "status", interrupted)
    result = homie("status", *tasks.options, "--json")
    assert (result.code, result.err, result.json["error"]["code"]) == (130, "Stopped.\n", "run_stopped")


@pytest.mark.parametrize("command", ["apply", "rehearse", "check"])
def test_the_output_of_a_migration_and_its_children_is_not_in_the_document(homie_process, tmp_path: Path, command: str):
    folder = tmp_path / "loud"
    folder.mkdir()
    body = "print('by itself', flush=True)\nsubprocess.run([sys.executable, '-c', 'print(\"by a child\")'], check=True)"
    (folder / "001_loud.py").write_text(python_migration(1, body, head="import subprocess, sys"))
    database = () if command == "check" else ("--database", tmp_path / "homie_loud.db")
    result = homie_process(command, "--dir", folder, *database, "--json")
    assert result.code == 0, result.err
    assert result.json["error"] is None
    assert {"by itself", "by a child"} <= set(result.err.splitlines())
