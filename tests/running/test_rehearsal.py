"""A rehearsal follows the rules of a run, and says what a run would say."""

from __future__ import annotations

import logging
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, python_migration, query, recorded, run_sql, tables
from running.rehearsal_helpers import CHANGES, refs, rehearse, state_of

from homie_migrations_core import MigrationRunner, Run, Step, hookimpl
from homie_migrations_core.errors import (
    DatabaseIsAhead,
    ForeignKeysViolated,
    ForeignTrackingTable,
    HomieMigrationsError,
    MigrationFailed,
    MigrationLate,
    RehearsalFailed,
    RollbackRefused,
    SchemaLeftBroken,
    UnknownTarget,
)
from homie_migrations_core.model import RowCount
from homie_migrations_core.running.rehearsal import Loss

# --- what would fail ---------------------------------------------------------------------------------------------------

FAILURES = {
    "rows lose their parents": ("conn.execute('DELETE FROM drives WHERE id = 1')", ForeignKeysViolated, "files"),
    "NOT NULL on real rows": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, size INTEGER NOT NULL)')\n"
        "conn.execute('INSERT INTO n SELECT id, size FROM files')",
        MigrationFailed,
        "NOT NULL constraint failed: n.size",
    ),
    "a unique index on real rows": ("conn.execute('CREATE UNIQUE INDEX u ON files (drive)')", MigrationFailed, "UNIQUE"),
    "a view that breaks": (
        "conn.execute('CREATE VIEW v AS SELECT label FROM drives')\nconn.execute('DROP TABLE drives')\n"
        "conn.execute('DROP TABLE files')",
        SchemaLeftBroken,
        "v",
    ),
    "a last word": ("conn.execute('CREATE TABLE t (a)')\nconn.rollback()", MigrationFailed, "its last word was conn.rollback()"),
    "False": ("return False", MigrationFailed, "returned False"),
    "what is refused": ("conn.execute('VACUUM')", MigrationFailed, "VACUUM"),
}


@pytest.mark.parametrize(("body", "kind", "words"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("together", [False, True], ids=["step by step", "all or nothing"])
def test_what_would_fail_is_told_and_a_run_says_the_same(
    data_folder: Path, database: Path, pack, body: str, kind: type[MigrationFailed], words: str, together: bool
):
    before = state_of(data_folder)
    made = pack("conn.execute('CREATE TABLE first (a)')", textwrap.dedent(body), "pass")
    found = rehearse(database, made, all_or_nothing=together)
    assert type(found.error) is kind
    assert found.error.ref == "p:002_m2"
    assert found.error.path == str(database)
    assert words in found.error.found
    assert not found.succeeded
    assert refs(found) == ["p:001_m1"]
    assert [step.ref for step in found.plan.steps] == ["p:001_m1", "p:002_m2", "p:003_m3"]
    assert state_of(data_folder) == before

    with pytest.raises(kind) as failed:
        MigrationRunner(database, [made]).apply(all_or_nothing=together)
    assert str(failed.value) == str(found.error)
    assert recorded(database) == ([] if together else ["p:001_m1"])


def test_a_verification_that_fails_on_real_rows_is_told(database: Path, pack):
    verify = "if conn.execute('SELECT 1 FROM files WHERE size IS NULL').fetchone():\n    raise ValueError('a size is missing')"
    made = pack(python_migration(1, "pass", verify=verify))
    error = rehearse(database, made).error
    assert error is not None
    assert "a size is missing" in error.found


# --- the same rules as a run ---------------------------------------------------------------------------------------------


def test_a_target_stops_a_rehearsal(database: Path, pack):
    made = pack("pass", "pass", "raise RuntimeError")
    assert refs(rehearse(database, made, to="p:2")) == ["p:001_m1", "p:002_m2"]
    with pytest.raises(UnknownTarget):
        rehearse(database, made, to="p:9")


def test_all_or_nothing_is_one_transaction_here_too(database: Path, pack):
    made = pack("conn.create_function('answer', 0, lambda: 42)\nconn.execute('CREATE TEMP TABLE scrap (a)')", "pass")
    alone, together = rehearse(database, made), rehearse(database, made, all_or_nothing=True)
    assert refs(alone) == refs(together) == ["p:001_m1", "p:002_m2"]

    heard = []

    class Listens:
        @hookimpl
        def homie_step_started(self, run: Run, step: Step) -> None:
            heard.append(f"started {step.migration.version}")

        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            heard.append(f"finished {step.migration.version}")

    rehearse(database, made, all_or_nothing=True, observers=(Listens(),))
    assert heard == ["started 1", "started 2", "finished 1", "finished 2"]


@pytest.mark.parametrize("together", [False, True], ids=["step by step", "all or nothing"])
def test_a_step_that_had_to_be_begun_again_is_told_once(database: Path, pack, together: bool):
    """What was broken before is looked at first, once a step has outgrown SQLite's cache."""
    run_sql(database, "INSERT INTO files VALUES (9, 99, 0)")
    made = pack(
        "conn.execute('CREATE TABLE t (a)')\nconn.execute('INSERT INTO t VALUES (1)')",
        "conn.execute('PRAGMA cache_size=10')\nconn.execute('UPDATE files SET size = 1')\n"
        "conn.executemany('INSERT INTO t VALUES (?)', [('x' * 3000,)] * 5000)",
    )
    found = rehearse(database, made, all_or_nothing=together)
    assert found.error is None
    assert refs(found) == ["p:001_m1", "p:002_m2"]
    assert [step.rows for step in found.steps] == [
        (RowCount("t", None, 1),),
        (RowCount("files", 5, 5), RowCount("t", 1, 5001)),
    ]


def test_what_is_late_needs_the_same_leave_as_for_a_run(database: Path, pack):
    made = pack("pass", m003_m3__py=python_migration(3, "pass"))
    MigrationRunner(database, [made], backup=False).apply()
    made = pack("pass", "conn.execute('CREATE TABLE late (a)')")
    with pytest.raises(MigrationLate) as refused:
        rehearse(database, made)
    assert refused.value.late == ("p:002_m2",)
    assert refs(rehearse(database, made, allow_late=True)) == ["p:002_m2"]
    assert tables(database) == {"drives", "files"}


def test_a_database_that_is_ahead_is_refused_without_a_copy(data_folder: Path, database: Path, pack):
    MigrationRunner(database, [pack("pass", "pass")], backup=False).apply()
    (Path(pack("pass").migrations) / "002_m2.py").unlink()
    before = state_of(data_folder)
    with pytest.raises(DatabaseIsAhead):
        rehearse(database, pack("pass"))
    assert state_of(data_folder) == before


def test_another_tools_table_is_refused(data_folder: Path, database: Path, pack):
    run_sql(database, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
    before = state_of(data_folder)
    with pytest.raises(ForeignTrackingTable):
        rehearse(database, pack("pass"))
    assert state_of(data_folder) == before


def test_a_database_with_the_earlier_table_is_rehearsed_and_keeps_it(data_folder: Path, database: Path, pack):
    run_sql(database, EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_m1');")
    before = state_of(data_folder)
    assert refs(rehearse(database, pack("raise RuntimeError", "conn.execute('CREATE TABLE t (a)')"))) == ["p:002_m2"]
    assert state_of(data_folder) == before


def test_what_a_migration_leaves_on_its_connection_does_not_reach_the_next(database: Path, pack):
    made = pack(
        "conn.create_function('answer', 0, lambda: 42)\nconn.row_factory = sqlite3.Row",
        "assert conn.row_factory is None\nconn.execute('SELECT answer()')",
    )
    error = rehearse(database, made).error
    assert error is not None
    assert "no such function: answer" in error.found


# --- who hears of it -------------------------------------------------------------------------------------------------------


class Hears:
    """Everything that an observer can hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        self.heard.append("run started")

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        self.heard.append(f"started {step.ref}")

    @hookimpl
    def homie_step_progress(self, run: Run, step: Step, done: int, total: int | None) -> None:
        self.heard.append(f"{done} of {total}")

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        self.heard.append(f"finished {step.ref}")

    @hookimpl
    def homie_step_failed(self, run: Run, step: Step, error: BaseException) -> None:
        self.heard.append(f"failed {step.ref}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        self.heard.append("run finished")


def test_installed_plugins_do_not_hear_of_a_rehearsal_but_the_runners_own_observers_do(
    installed, data_folder: Path, tmp_path: Path
):
    note = tmp_path / "heard"
    body = "from homie_migrations_core import track\nfor _ in track([1, 2]):\n    pass\nconn.execute('CREATE TABLE t (a)')"
    more = f"""
        def note(what):
            with open({str(note)!r}, "a") as file:
                file.write(what + " ")

        @hookimpl
        def homie_run_started(run):
            note("run")

        @hookimpl
        def homie_step_finished(run, step):
            note(step.ref)
    """
    installed.pack("p", {"001_m1.py": python_migration(1, body)}, more=more)
    hears = Hears()
    runner = MigrationRunner(data_folder / "homie_p.db", observers=[hears])
    assert refs(runner.rehearse()) == ["p:001_m1"]
    assert not note.exists()
    assert hears.heard == ["run started", "started p:001_m1", "2 of 2", "finished p:001_m1", "run finished"]
    runner.apply()
    assert note.read_text() == "run p:001_m1 "


def test_an_observer_that_raises_harms_no_rehearsal(database: Path, pack, caplog: pytest.LogCaptureFixture):
    class Raises:
        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            raise RuntimeError("oops")

    assert rehearse(database, pack("pass"), observers=(Raises(),)).succeeded
    assert "oops" in caplog.text


def test_no_log_line_says_that_something_was_applied_to_the_real_database(database: Path, pack, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "homie_migrations"):
        rehearse(database, pack(*CHANGES))
    assert f"in {database}" not in caplog.text


# --- the way back ------------------------------------------------------------------------------------------------------------

BACK = (
    python_migration(1, "conn.execute('CREATE TABLE a (x)')", rollback="conn.execute('DROP TABLE a')"),
    python_migration(
        2,
        "conn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')",
        rollback="conn.execute('ALTER TABLE drives DROP COLUMN seen')",
    ),
    python_migration(3, "pass", rollback="conn.execute('DELETE FROM drives WHERE id = 1')"),
)


@pytest.fixture
def applied(database: Path, pack) -> MigrationRunner:
    """Three migrations are applied, and people have worked since then."""
    runner = MigrationRunner(database, [pack(*BACK)], backup=False)
    runner.apply()
    run_sql(database, "INSERT INTO a VALUES (1), (2); UPDATE drives SET seen = 'yes' WHERE id < 3;")
    return runner


def test_a_rollback_is_rehearsed_with_what_would_be_lost(data_folder: Path, database: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    before = state_of(data_folder)
    found = applied.rehearse_rollback("p", to=0)
    assert [(step.ref, step.direction) for step in found.steps] == [(f"p:00{n}_m{n}", "rollback") for n in (3, 2, 1)]
    assert found.losses == (Loss("a", None, 2), Loss("drives", None, 1), Loss("drives", "seen", 2))
    assert applied.rehearse_rollback("p").losses == (Loss("drives", None, 1),)
    assert applied.rehearse_rollback("p", steps=2).plan == applied.plan_rollback("p", steps=2)
    assert state_of(data_folder) == before


def test_a_rollback_that_would_fail_is_told_and_a_real_one_says_the_same(database: Path, applied: MigrationRunner):
    found = applied.rehearse_rollback("p")
    assert type(found.error) is ForeignKeysViolated
    assert found.error.direction == "rollback"
    with pytest.raises(ForeignKeysViolated) as failed:
        applied.rollback("p")
    assert str(failed.value) == str(found.error)


def test_a_rollback_that_is_refused_is_refused_in_a_rehearsal_too(database: Path, pack):
    runner = MigrationRunner(database, [pack("pass")], backup=False)
    runner.apply()
    with pytest.raises(RollbackRefused):
        runner.rehearse_rollback("p")
    with pytest.raises(RollbackRefused):
        runner.rehearse_reset()


def test_a_redo_is_rehearsed_with_both_directions(database: Path, data_folder: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    before = state_of(data_folder)
    found = applied.rehearse_redo("p")
    assert [(step.ref, step.direction) for step in found.steps] == [("p:003_m3", "rollback"), ("p:003_m3", "apply")]
    assert found.losses == (Loss("drives", None, 1),)
    assert state_of(data_folder) == before


def test_values_that_a_rebuild_forgets_are_a_loss(database: Path, pack):
    body = """
    conn.execute('CREATE TABLE drives_new (id INTEGER PRIMARY KEY, label TEXT)')
    conn.execute('INSERT INTO drives_new (id) SELECT id FROM drives')
    conn.execute('DROP TABLE drives')
    conn.execute('ALTER TABLE drives_new RENAME TO drives')
    """
    assert Loss("drives", "label", 2) in rehearse(database, pack("pass", textwrap.dedent(body))).losses


def test_what_a_redo_makes_anew_was_lost_on_the_way(database: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    applied.rollback("p")
    run_sql(database, "UPDATE drives SET seen = 'precious'")
    (loss,) = applied.rehearse_redo("p").losses
    assert (loss.table, loss.column) == ("drives", "seen")
    assert loss.count == query(database, "SELECT count(*) FROM drives")[0][0]


def test_a_reset_is_rehearsed(database: Path, data_folder: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    before = state_of(data_folder)
    found = applied.rehearse_reset()
    assert [step.ref for step in found.steps] == ["p:003_m3", "p:002_m2", "p:001_m1"]
    assert found.plan == applied.plan_reset()
    assert sum(loss.count for loss in found.losses) == 5
    assert state_of(data_folder) == before


def test_a_rehearsal_of_nothing_to_roll_back_needs_no_copy(database: Path, pack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a copy was made"))
    runner = MigrationRunner(database, [pack("pass")])
    assert (
        runner.rehearse_rollback("p").plan.steps == runner.rehearse_reset().plan.steps == runner.rehearse_redo("p").plan.steps == ()
    )


def test_errors_of_a_rehearsal_are_of_the_one_root() -> None:
    assert issubclass(RehearsalFailed, HomieMigrationsError)


def test_rehearsals_at_once_do_not_sweep_each_other_away(database: Path, pack):
    given, failures = pack("pass"), []

    def rehearse_often() -> None:
        try:
            for _ in range(15):
                MigrationRunner(database, [given]).rehearse()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=rehearse_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
