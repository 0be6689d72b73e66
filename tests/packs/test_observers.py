"""Which hooks of a run observers hear, and that one which raises does no harm."""

from __future__ import annotations

import logging

import pytest
from helpers import creates, python_migration, recorded, run_sql, write_pack

from homie_migrations_core import MigrationRunner, hookimpl
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Step
from homie_migrations_core.packs.observers import OBSERVING_HOOKS

FILES = {"001_a.py": creates(1, "a")}


class RecordingObserver:
    """Writes down every hook that a run calls."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def _note(self, hook: str, step: Step | None = None, more: str = "") -> None:
        self.entries.append(" ".join([hook, *([step.direction, step.ref] if step else []), *([more] if more else [])]))

    @hookimpl
    def homie_run_started(self, run):
        self._note("run started", more=",".join(step.ref for step in run.plan.steps))

    @hookimpl
    def homie_step_started(self, run, step):
        self._note("step started", step)

    @hookimpl
    def homie_step_progress(self, run, step, done, total):
        self._note("progress", step, f"{done}/{total}")

    @hookimpl
    def homie_step_finished(self, run, step):
        self._note("step finished", step, "recorded" if step.ref in recorded(run.path) else "not recorded")

    @hookimpl
    def homie_step_failed(self, run, step, error):
        self._note("step failed", step, type(error).__name__)

    @hookimpl
    def homie_run_finished(self, run):
        self._note("run finished", more=run.path.name)


def test_every_hook_of_a_run_is_called_in_order_and_finished_means_committed(tmp_path, pack):
    database = tmp_path / "homie_p.db"
    MigrationRunner(database, [pack]).apply(to="p:1")
    recording = RecordingObserver()
    MigrationRunner(database, [pack], observers=[recording], backup=False).apply()
    MigrationRunner(database, [pack], observers=[recording], backup=False).rollback("p")
    MigrationRunner(database, [pack], observers=[recording], backup=False).apply(to="p:1")  # nothing to do: no run
    assert recording.entries == [
        "run started p:002_b",
        "step started apply p:002_b",
        "step finished apply p:002_b recorded",
        "run finished homie_p.db",
        "run started p:002_b",
        "step started rollback p:002_b",
        "step finished rollback p:002_b not recorded",
        "run finished homie_p.db",
    ]


def test_a_failed_step_is_reported_and_the_run_is_over(tmp_path):
    pack = write_pack(tmp_path / "p", "p", {"001_a.sql": "SELECT nothing;", "002_b.py": creates(2, "b")})
    recording = RecordingObserver()
    with pytest.raises(MigrationFailed):
        MigrationRunner(tmp_path / "homie_p.db", [pack], observers=[recording]).apply()
    assert recording.entries == [
        "run started p:001_a,p:002_b",
        "step started apply p:001_a",
        "step failed apply p:001_a MigrationFailed",
        "run finished homie_p.db",
    ]


class FailingObserver:
    """Raises an error in every hook."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    @hookimpl
    def homie_run_started(self, run):
        raise self.error

    @hookimpl
    def homie_step_started(self, step):
        raise self.error

    @hookimpl
    def homie_step_progress(self, done):
        raise self.error

    @hookimpl
    def homie_step_finished(self, step):
        raise self.error

    @hookimpl
    def homie_step_failed(self, error):
        raise self.error

    @hookimpl
    def homie_run_finished(self):
        raise self.error


OBSERVED = sorted(OBSERVING_HOOKS)


def test_the_two_observers_of_these_tests_implement_every_hook_there_is():
    for observer in (FailingObserver, RecordingObserver):
        assert sorted(name for name in vars(observer) if name.startswith("homie_")) == OBSERVED


class Odd(BaseException):
    """As pytest's and other tools' own: not an `Exception`."""


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, Odd, GeneratorExit])
def test_an_observer_that_raises_is_logged_and_harms_neither_the_run_nor_the_others(tmp_path, caplog, error):
    progress = "from homie_migrations_core import track\nfor _ in track(range(3)): pass"
    files = {"001_a.py": creates(1, "a"), "002_b.py": python_migration(2, progress), "003_c.sql": "SELECT nothing;"}
    database, recording = tmp_path / "app.db", RecordingObserver()
    run_sql(database, "CREATE TABLE mine (x)")
    observers = [FailingObserver(error("of an observer")), recording, FailingObserver(error("of an observer"))]
    with caplog.at_level(logging.ERROR, "homie_migrations"), pytest.raises(MigrationFailed) as failure:
        MigrationRunner(database, [write_pack(tmp_path / "p", "p", files)], observers=observers).apply()
    assert failure.value.ref == "p:003_c"
    assert recorded(database) == ["p:001_a", "p:002_b"]
    assert recording.entries == [
        "run started p:001_a,p:002_b,p:003_c",
        "step started apply p:001_a",
        "step finished apply p:001_a recorded",
        "step started apply p:002_b",
        "progress apply p:002_b 3/3",
        "step finished apply p:002_b recorded",
        "step started apply p:003_c",
        "step failed apply p:003_c MigrationFailed",
        "run finished app.db",
    ]
    for hook in OBSERVED:
        assert f"An observer failed in {hook}; the run continues." in caplog.messages
    assert {record.exc_info[0] for record in caplog.records if record.exc_info} == {error}


def test_installed_plugins_and_observers_that_were_passed_are_both_called(installed, tmp_path):
    trace = tmp_path / "trace"
    more = f"""
        @hookimpl
        def homie_step_finished(run, step):
            Path({str(trace)!r}).write_text(step.ref)
    """
    installed.pack("mail", FILES, more=more)
    recording = RecordingObserver()
    MigrationRunner(tmp_path / "homie_mail.db", observers=[recording]).apply()
    assert trace.read_text() == "mail:001_a"
    assert "step finished apply mail:001_a recorded" in recording.entries


def test_ctrl_c_in_an_observer_stops_the_run(tmp_path, pack):
    class Impatient:
        @hookimpl
        def homie_step_started(self, run, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MigrationRunner(tmp_path / "homie_p.db", [pack], observers=[Impatient()]).apply()
