"""Every command: what it does and says, for people, as JSON, quietly, and with more words."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, python_migration, query, recorded, run_sql, tables

TWO = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}
STATUS_KEYS = {"databases", "broken", "error"}
DATABASE_KEYS = {"path", "exists", "state", "packs"}
PACK_KEYS = {"name", "distribution", "distribution_version", "state", "current_version", "latest_version", "migrations"}
MIGRATION_KEYS = {"ref", "version", "name", "state", "applied_at"}


class Folder:
    """A folder of migrations and a database, and the options that name them."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.database = tmp_path / "tasks", tmp_path / "homie_tasks.db"
        self.folder.mkdir()
        self.add(TWO)
        self.options = ("--dir", self.folder, "--database", self.database)

    def add(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            (self.folder / name).write_text(content)


@pytest.fixture
def tasks(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# --- apply --------------------------------------------------------------------------------------------


def test_apply_says_which_file_where_that_came_from_and_that_it_is_new(homie, tasks: Folder):
    said = homie("apply", *tasks.options)

    assert said.code == 0
    assert said.err == ""
    assert said.out.splitlines() == [
        f"{tasks.database} (from --database): a new database",
        "  applied tasks:001_one",
        "  applied tasks:002_two",
    ]
    assert tables(tasks.database) == {"one", "two"}


def test_apply_says_that_a_database_is_there_already_and_that_there_is_nothing_to_do(homie, tasks: Folder):
    homie("apply", *tasks.options)
    before = fingerprint(tasks.database.parent)

    said = homie("apply", *tasks.options)

    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [f"{tasks.database} (from --database): an existing database", "  nothing to apply"]
    assert fingerprint(tasks.database.parent) == before


def test_a_database_of_zero_bytes_is_an_empty_one(homie, tasks: Folder):
    tasks.database.touch()
    assert "tasks: pending" in homie("status", *tasks.options).out
    assert f"{tasks.database} (from --database): an empty database" in homie("apply", *tasks.options).out
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_apply_of_something_new_to_a_database_with_data_says_where_the_snapshot_is(homie, tasks: Folder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    run_sql(tasks.database, "INSERT INTO one VALUES (1, 'kept')")

    said = homie("apply", *tasks.options)
    found = homie("apply", *tasks.options, "--json").json

    snapshots = list((tasks.database.parent / "backups").iterdir())
    assert said.code == 0
    assert len(snapshots) == 1
    assert f"  snapshot of the state before: {snapshots[0]}" in said.out.splitlines()
    assert query(snapshots[0], "SELECT text FROM one") == [("kept",)]
    assert found["databases"][0]["snapshot"] is None


def test_apply_without_a_backup_takes_none(homie, tasks: Folder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    said = homie("apply", *tasks.options, "--no-backup")
    assert (said.code, "snapshot" in said.out) == (0, False)
    assert not (tasks.database.parent / "backups").exists()


def test_apply_to_a_target_stops_there_and_never_goes_back(homie, tasks: Folder):
    tasks.add({"003_three.py": creates(3, "three")})
    assert homie("apply", *tasks.options, "--to", "tasks:002_two").code == 0
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]

    said = homie("apply", *tasks.options, "--to", "tasks:1")

    assert (said.code, "nothing to apply" in said.out) == (0, True)
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_a_failing_migration_is_told_with_its_line_and_what_was_applied_before_stays(homie, tasks: Folder):
    tasks.add(
        {"003_three.py": creates(3, "three").replace("CREATE TABLE three", "CREATE TABEL three"), "004_four.py": creates(4, "four")}
    )
    homie("apply", *tasks.options, "--to", "tasks:1", "--no-backup")

    said = homie("apply", *tasks.options, "--no-backup")

    assert said.code == 1
    assert "  applied tasks:002_two" in said.out.splitlines()
    assert "tasks:003_three failed" in said.err
    assert "003_three.py, line " in said.err
    assert "TABEL" in said.err
    assert len(problems(said.err)) == 1
    assert "nothing to apply" not in said.out
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_all_or_nothing_leaves_nothing_of_a_run_that_fails(homie, tasks: Folder):
    tasks.add(
        {"003_three.py": "def get_migration_version():\n    return 3\ndef apply_migration(conn):\n    raise ValueError('no')\n"}
    )
    homie("apply", *tasks.options, "--to", "tasks:1", "--no-backup")

    said = homie("apply", *tasks.options, "--no-backup", "--all-or-nothing")

    assert said.code == 1
    assert "applied tasks" not in said.out
    assert recorded(tasks.database) == ["tasks:001_one"]


@pytest.mark.parametrize("options", [(), ("--all-or-nothing",)], ids=["a new database", "all or nothing"])
def test_a_failure_does_not_say_that_something_stays_where_nothing_does(homie, tasks: Folder, options):
    tasks.add({"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn): raise ValueError('no')\n"})
    if options:
        homie("apply", *tasks.options, "--to", "tasks:1", "--no-backup")
    said = homie("apply", *tasks.options, *options, "--no-backup")
    assert said.code == 1
    assert "tasks:002_two" not in recorded(tasks.database)
    assert "what was applied before it stays" not in said.err


def test_late_migrations_need_the_option_that_allows_them(homie, tasks: Folder):
    tasks.add({"004_four.py": creates(4, "four")})
    homie("apply", *tasks.options)
    tasks.add({"003_three.py": creates(3, "three")})

    refused, planned = homie("apply", *tasks.options), homie("plan", *tasks.options)
    assert refused.code == planned.code == 1
    assert "--allow-late" in refused.err
    assert refused.out == ""
    assert "tasks:003_three" not in recorded(tasks.database)

    assert homie("plan", *tasks.options, "--allow-late").out.splitlines()[1:] == ["  1. tasks:003_three"]
    assert homie("apply", *tasks.options, "--allow-late", "--no-backup").code == 0
    assert "tasks:003_three" in recorded(tasks.database)


def test_an_edited_migration_is_a_warning_and_no_stop(homie, tasks: Folder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    tasks.add({"001_one.py": creates(1, "uno")})

    planned, applied = homie("plan", *tasks.options), homie("apply", *tasks.options, "--no-backup")

    assert planned.code == applied.code == 0
    assert planned.err.startswith("Warning: tasks:001_one was edited after it was applied")
    assert applied.err.startswith("Warning: tasks:001_one was edited after it was applied")
    assert len(problems(applied.err)) == 1
    assert "edited" in homie("status", *tasks.options).out


# --- status, plan, history, packs -------------------------------------------------------------------------


def test_status_of_what_is_not_there_yet_says_so(homie, tasks: Folder):
    said = homie("status", *tasks.options)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"{tasks.database}: new (not made yet)",
        "  tasks: pending, version 0 of 2",
        "    pending  001_one",
        "    pending  002_two",
    ]


def test_status_after_half_the_way_shows_both_halves(homie, tasks: Folder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    lines = homie("status", *tasks.options).out.splitlines()
    assert lines[:2] == [f"{tasks.database}: pending", "  tasks: pending, version 1 of 2"]
    assert lines[2].startswith("    applied  001_one  20")
    assert lines[3] == "    pending  002_two"


@pytest.mark.parametrize(
    ("applied", "plain", "checked"),
    [(None, 0, 3), ("tasks:1", 0, 3), ("tasks:2", 0, 0)],
    ids=["nothing", "half", "all"],
)
def test_check_ends_with_3_while_anything_is_pending(homie, tasks: Folder, applied, plain, checked):
    if applied:
        homie("apply", *tasks.options, "--to", applied)
    assert homie("status", *tasks.options).code == plain
    assert homie("status", *tasks.options, "--check").code == checked
    assert homie("status", *tasks.options, "--check", "--json").code == checked


def test_check_of_a_late_migration_ends_with_1_because_apply_would_refuse(homie, tasks: Folder):
    tasks.add({"004_four.py": creates(4, "four")})
    homie("apply", *tasks.options)
    tasks.add({"003_three.py": creates(3, "three")})
    assert homie("status", *tasks.options).code == 0
    assert homie("status", *tasks.options, "--check").code == 1


def test_plan_numbers_the_steps_and_changes_nothing(homie, tasks: Folder):
    said = homie("plan", *tasks.options)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [f"{tasks.database}: 2 steps to apply", "  1. tasks:001_one", "  2. tasks:002_two"]
    assert not tasks.database.exists()
    assert homie("plan", *tasks.options, "--to", "tasks:1").out.splitlines()[0].endswith(": 1 step to apply")


def test_history_tells_what_was_applied_in_that_order(homie, tasks: Folder):
    assert homie("history", *tasks.options).out == f"{tasks.database}: 0 migrations applied\n"
    homie("apply", *tasks.options)
    said = homie("history", *tasks.options)
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0] == f"{tasks.database}: 2 migrations applied"
    assert [line.split()[3] for line in lines[1:]] == ["tasks:001_one", "tasks:002_two"]
    assert all(line.split()[-1] == "ms" for line in lines[1:])


def test_history_of_an_installed_pack_says_which_release_applied_it(homie, installed, tmp_path: Path):
    installed.pack("tasks", TWO, version="1.4.2")
    homie("apply", "--pack", "tasks", "--data-dir", tmp_path)
    assert "by 1.4.2" in homie("history", "--pack", "tasks", "--data-dir", tmp_path).out


def test_packs_lists_what_is_installed_and_opens_no_database(homie, installed, tmp_path: Path):
    installed.pack("tasks", TWO, version="1.4.2")
    said = homie("packs")
    assert (said.code, said.err) == (0, "")
    assert any(
        line.split() == ["tasks", "tasks-dist", "1.4.2", "homie_tasks.db", "2", "migrations", "002_two"]
        for line in said.out.splitlines()
    )
    assert any(line.startswith("file_organizer  homie-file-organizer-migrations ") for line in said.out.splitlines())

    found = next(each for each in homie("packs", "--json").json["packs"] if each["name"] == "tasks")
    assert found == {
        "name": "tasks",
        "distribution": "tasks-dist",
        "distribution_version": "1.4.2",
        "database": "homie_tasks.db",
        "migrations": 2,
        "latest_version": 2,
    }


def test_packs_names_a_broken_one_and_why(homie, installed):
    installed.pack("tasks", {"003destination.py": creates(3, "x")})
    said = homie("packs")
    assert said.code == 1
    assert said.err.startswith("Broken: tasks of tasks-dist: 003destination.py is not a valid migration file name")
    assert "file_organizer" in said.out
    assert [each["entry_point"] for each in homie("packs", "--json").json["broken"]] == ["tasks"]


def test_without_any_pack_looking_says_so_and_changing_is_refused(homie, installed, tmp_path: Path):
    installed.nothing_else()
    data = tmp_path / "data"
    assert homie("status", "--data-dir", data).out == "No installed distribution registers migrations.\n"
    assert homie("packs").out == "No usable pack is installed.\n"
    said = homie("apply", "--data-dir", data)
    assert (said.code, said.out) == (2, "")
    assert "no installed distribution registers migrations" in said.err
    assert not data.exists()


# --- rollback and redo ------------------------------------------------------------------------------------


def test_rollback_takes_one_step_back_and_says_it(homie, tasks: Folder):
    homie("apply", *tasks.options)
    said = homie("rollback", "tasks", *tasks.options, "--yes", "--no-backup")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [f"{tasks.database} (from --database): an existing database", "  rolled back tasks:002_two"]
    assert tables(tasks.database) == {"one"}
    assert recorded(tasks.database) == ["tasks:001_one"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--steps", "2"), ["tasks:001_one"]),
        (("--steps", "99"), []),
        (("--to", "2"), ["tasks:001_one", "tasks:002_two"]),
        (("--to", "0"), []),
        (("--to", "3"), ["tasks:001_one", "tasks:002_two", "tasks:003_three"]),
    ],
)
def test_rollback_goes_as_far_as_it_is_told(homie, tasks: Folder, options, left):
    tasks.add({"003_three.py": creates(3, "three")})
    homie("apply", *tasks.options)
    assert homie("rollback", "tasks", *tasks.options, *options, "--yes", "--no-backup").code == 0
    assert recorded(tasks.database) == left


def test_a_rollback_of_nothing_says_that_there_is_nothing(homie, tasks: Folder):
    said = homie("rollback", "tasks", *tasks.options)
    assert said.code == 0
    assert said.out.splitlines() == [f"{tasks.database} (from --database): there is no database yet", "  nothing to roll back"]
    assert not tasks.database.exists()
    assert homie("redo", "tasks", *tasks.options).out.splitlines()[1:] == ["  nothing to redo"]


def test_a_rollback_without_a_way_back_is_refused_before_anything_runs(homie, tasks: Folder):
    tasks.add(
        {"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn): conn.execute('CREATE TABLE x (y)')\n"}
    )
    homie("apply", *tasks.options)
    before = fingerprint(tasks.database.parent)
    said = homie("rollback", "tasks", *tasks.options, "--to", "0", "--yes")
    assert (said.code, said.out) == (1, "")
    assert "tasks:003_three has no rollback_migration" in said.err
    assert fingerprint(tasks.database.parent) == before


def test_redo_rolls_back_and_applies_again(homie, tasks: Folder):
    homie("apply", *tasks.options)
    run_sql(tasks.database, "INSERT INTO two VALUES (1, 'gone after a redo')")
    said = homie("redo", "tasks", *tasks.options, "--yes", "--no-backup")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1:] == ["  rolled back tasks:002_two", "  applied tasks:002_two"]
    assert query(tasks.database, "SELECT * FROM two") == []
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_a_failing_redo_leaves_the_migration_applied(homie, tasks: Folder):
    homie("apply", *tasks.options)
    run_sql(tasks.database, "INSERT INTO two VALUES (1, 'kept')")
    tasks.add({"002_two.py": creates(2, "two").replace("CREATE TABLE two", "CREATE TABEL two")})
    assert homie("redo", "tasks", *tasks.options, "--yes", "--no-backup").code == 1
    assert query(tasks.database, "SELECT text FROM two") == [("kept",)]
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


# --- the same for machines, in silence, and with more words ---------------------------------------------------

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
def test_json_is_one_document_of_the_promised_shape(homie, tasks: Folder, command: str, applied: bool):
    if applied:
        homie("apply", *tasks.options)

    said = homie(command, *COMMANDS[command], *tasks.options, "--json")

    assert (said.code, said.err) == (0, "")
    document = said.json
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


def test_what_the_other_commands_add_to_the_document(homie, tasks: Folder):
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


def test_json_of_status_has_the_words_of_every_state(homie, tasks: Folder):
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


def test_records_of_a_pack_that_is_gone_are_orphaned_and_stop_nobody(homie, tasks: Folder, tmp_path: Path):
    homie("apply", *tasks.options)
    other = tmp_path / "other"
    other.mkdir()
    (other / "001_first.py").write_text(creates(1, "first"))
    here = ("--dir", other, "--database", tasks.database)
    assert "tasks: orphaned, version 2" in homie("status", *here).out
    assert homie("apply", *here, "--no-backup").code == 0
    assert homie("status", *here, "--check").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_commands_print_nothing_but_errors(homie, tasks: Folder, command: str):
    assert (quiet := homie(command, *COMMANDS[command], *tasks.options, "-q"))
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    refused = homie(command, *COMMANDS[command], "--dir", tasks.folder, "--database", tasks.folder, "--quiet")
    assert (refused.code, refused.out, len(problems(refused.err))) == (2, "", 1)


def test_quiet_packs_print_nothing(homie):
    assert (said := homie("packs", "-q"))
    assert (said.code, said.out, said.err) == (0, "", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_verbose_commands_add_the_traceback_of_an_error(homie, tasks: Folder, command: str):
    here = ("--dir", tasks.folder, "--database", tasks.folder)
    short = homie(command, *COMMANDS[command], *here)
    long = homie(command, *COMMANDS[command], *here, "-v")
    assert long.code == short.code == 2
    assert "Traceback (most recent call last)" in long.err
    assert long.err.endswith(short.err)


def test_verbose_apply_shows_the_authors_own_line(homie, tasks: Folder):
    tasks.add({"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn):\n    conn.execute('NONSENSE')\n"})
    said = homie("apply", *tasks.options, "--verbose")
    assert '003_three.py", line 3, in apply_migration' in said.err
    assert "Traceback" in said.err


def test_verbose_apply_tells_every_step_on_stderr(homie, tasks: Folder):
    said = homie("apply", *tasks.options, "-v")
    assert said.code == 0
    assert [line for line in said.err.splitlines() if "Applied" in line] == [
        f"Applied tasks:001_one in {tasks.database}",
        f"Applied tasks:002_two in {tasks.database}",
    ]


def test_a_verbose_call_leaves_the_logger_as_it_was(homie, tasks: Folder):
    import logging

    logger = logging.getLogger("homie_migrations")
    before = (logger.level, list(logger.handlers))
    homie("apply", *tasks.options, "-v")
    assert (logger.level, logger.handlers) == before


def test_what_a_migration_prints_is_no_part_of_the_document(homie, installed, tasks: Folder, tmp_path: Path):
    print_it = "def get_migration_version(): return 3\ndef apply_migration(conn): print('said by its author')\n"
    tasks.add({"003_three.py": print_it})
    said = homie("apply", *tasks.options, "--json")
    assert said.json["databases"][0]["applied"] == ["tasks:001_one", "tasks:002_two", "tasks:003_three"]
    assert said.err == "said by its author\n"

    installed.pack("loud", TWO, more="print('said by a plugin')")
    assert homie("packs", "--json").json["error"] is None


# --- failure as JSON ------------------------------------------------------------------------------------------


def test_a_failure_is_one_document_with_a_stable_code(homie, tasks: Folder):
    tasks.add({"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn): raise ValueError('no')\n"})
    homie("apply", *tasks.options, "--to", "tasks:1")

    said = homie("apply", *tasks.options, "--no-backup", "--json")

    assert said.code == 1
    database = said.json["databases"][0]
    assert database["applied"] == ["tasks:002_two"]
    assert database["packs"][0]["current_version"] == 2
    assert said.json["error"]["code"] == database["error"]["code"] == "migration_failed"
    assert problems(said.err) == [f"Error: {said.json['error']['message']}"]


def test_json_is_plain_ascii_whatever_a_path_holds(homie, tmp_path: Path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "001_one.py").write_text(creates(1, "one"))
    database = tmp_path / "a b#c?d%20é\n.db"
    said = homie("apply", "--dir", folder, "--database", database, "--json")
    assert said.code == 0
    assert said.out.isascii()
    assert said.json["databases"][0]["path"] == str(database)
    assert recorded(database) == ["tasks:001_one"]


def test_an_error_that_nobody_expected_is_one_line_and_one_document(homie, tasks: Folder, monkeypatch):
    from homie_migrations_core.runner import MigrationRunner

    def fails(self):
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(MigrationRunner, "status", fails)
    said = homie("status", *tasks.options, "--json", bug=True)
    assert said.code == 1
    assert said.json["error"]["code"] == "unexpected"
    assert len(problems(said.err)) == 1
    assert "ZeroDivisionError: a bug of ours" in said.err


def test_ctrl_c_while_looking_ends_with_130_and_a_document(homie, tasks: Folder, monkeypatch):
    from homie_migrations_core.runner import MigrationRunner

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(MigrationRunner, "status", interrupted)
    said = homie("status", *tasks.options, "--json")
    assert (said.code, said.err, said.json["error"]["code"]) == (130, "Stopped.\n", "run_stopped")


@pytest.mark.parametrize("command", ["apply", "rehearse", "check"])
def test_what_a_migration_and_its_children_print_is_no_part_of_the_document(homie_process, tmp_path: Path, command: str):
    folder = tmp_path / "loud"
    folder.mkdir()
    body = "print('by itself', flush=True)\nsubprocess.run([sys.executable, '-c', 'print(\"by a child\")'], check=True)"
    (folder / "001_loud.py").write_text(python_migration(1, body, head="import subprocess, sys"))
    database = () if command == "check" else ("--database", tmp_path / "homie_loud.db")
    said = homie_process(command, "--dir", folder, *database, "--json")
    assert said.code == 0, said.err
    assert said.json["error"] is None
    assert {"by itself", "by a child"} <= set(said.err.splitlines())
