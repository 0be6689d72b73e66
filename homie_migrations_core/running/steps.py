"""
Run one migration inside the transaction that is open: its record, the author's code, its verification, and the checks.

Begins and ends no transaction, and tells no observer but how far the author's code is.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.forking import no_child_returns
from homie_migrations_core.model import Step
from homie_migrations_core.packs.files import UnusablePack
from homie_migrations_core.packs.loading import compile_ahead, load
from homie_migrations_core.progress import Listening
from homie_migrations_core.running.commit_checks import CommitChecks
from homie_migrations_core.running.failures import StepFailures, file_of, is_about_the_file, place_at, runs_script
from homie_migrations_core.sqlite import tracking
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.integrity import is_in_file
from homie_migrations_core.sqlite.script import Script
from homie_migrations_core.sqlite.sqlite_errors import is_database_error
from homie_migrations_core.stopping import Stopped, StopRequest, ends_the_run

AHEAD = 50
"""The number of steps that are prepared at once."""
_SMALL = 50_000
"""The most bytes of a script that is prepared: a larger one is work enough by itself."""


@dataclass
class StepRunner:
    """Runs the steps of one run, one at a time. `heard` takes the statements of the author's code."""

    packages: Mapping[str, str | None]
    pack_versions: Mapping[str, str | None]
    stop: StopRequest
    checks: CommitChecks
    failures: StepFailures
    progress: Callable[[Step, int, int | None], None]
    heard: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self._following: Iterator[Step] = iter(())
        self._prepared = 0
        self._scripts: dict[tuple[str, str], Script] = {}
        self._step: Step | None = None
        self._process = os.getpid()

    def expect(self, steps: Iterable[Step]) -> None:
        """Take the steps that will be run, in order, so that some can be prepared at once."""
        self._following, self._prepared, self._scripts = iter(steps), 0, {}

    def _prepare(self) -> None:
        """
        Compile and split the files of the next steps, one right after the other.

        Between two commits, for which the processor has to wait, each would take three times as long.
        """
        following = list(islice(self._following, AHEAD))
        self._prepared = len(following)
        for step in following:
            if not runs_script(step):
                compile_ahead(step.migration)
            elif len(content := _content_of(step)) <= _SMALL:
                with contextlib.suppress(UnicodeDecodeError):  # it is raised again when the turn of that file comes
                    script = self._scripts[step.ref, step.direction] = Script(content)
                    script.split()

    def run(self, connection: GuardedConnection, step: Step) -> None:
        """
        Run a step up to the moment before its commit. Whatever it raises, nothing is rolled back yet.

        Raises:
            MigrationFailed: The author's code failed, or left something broken.
            StateBeforeNeeded: The step must be begun again in a new transaction.
            Stopped: A stop was asked for.
            sqlite3.Error: The file can't be used.
        """
        if not self._prepared:
            self._prepare()
        self._prepared -= 1
        migration, self._step, scripted = step.migration, step, runs_script(step)
        self.checks.see_indexes_before(connection)
        started = time.monotonic()
        try:
            if step.direction == "apply":  # first, because a file that can't be written shows itself here
                tracking.record_applied(connection, migration, self.pack_versions.get(migration.pack))
            with Listening(self._tell_progress):
                self._run_code(connection, step, scripted=scripted)
            if step.direction == "apply":
                recorded = tracking.record_duration(connection, migration, round((time.monotonic() - started) * 1000))
            else:
                recorded = tracking.record_rolled_back(connection, migration)
        except Exception as error:
            if not is_database_error(error) or is_about_the_file(error):
                raise
            raise self.failures.failed(step, f"its record could not be kept ({error})") from error
        if not recorded:
            raise self.failures.failed(step, "its row in schema_migrations vanished (is there a trigger on that table?)")
        if not scripted and not is_in_file(connection):
            raise self.failures.failed(step, "the database was replaced by one in memory")
        self.checks.check(connection, step)

    def _tell_progress(self, done: int, total: int | None) -> None:
        if self._step is not None and os.getpid() == self._process:  # a forked child has no part in the run
            self.progress(self._step, done, total)

    def _run_code(self, connection: GuardedConnection, step: Step, *, scripted: bool) -> None:
        file = str(file_of(step))
        connection.arm(file, self.stop, self.heard)
        script: Script | None = None
        try:
            if scripted:
                content = _content_of(step)
                script = self._scripts.pop((step.ref, step.direction), None) or Script(content)
                connection.touched.may_refer = b"references" in content.lower()
                for statement in script:
                    connection.run_statement(statement)
            else:
                self._run_functions(connection, step)
            self._judge_ending(connection, step)
            self._disarm(connection, step)
        except BaseException as error:
            connection.abandon()
            if ends_the_run(error):
                raise
            if self.stop.asked():  # whatever the author's code made of it
                raise Stopped from error
            if isinstance(error, MigrationFailed) and error.ref == step.ref:
                raise
            raise self.failures.from_exception(connection, step, error, script) from error

    def _run_functions(self, connection: GuardedConnection, step: Step) -> None:
        migration, rolls_back = step.migration, step.direction == "rollback"
        with no_child_returns():
            functions = load(migration, self.packages.get(migration.pack))
        function = functions.rollback if rolls_back else functions.apply
        if function is None:
            raise UnusablePack(f"{migration.path.name} has no rollback_migration()")
        with no_child_returns():
            answer = function(connection)
        self._judge_answer(step, "rollback_migration" if rolls_back else "apply_migration", answer)
        if functions.verify is not None and not rolls_back:
            self._judge_ending(connection, step)
            with no_child_returns():
                answer = functions.verify(connection)
            self._judge_answer(step, "verify_migration", answer)

    def _judge_answer(self, step: Step, function: str, answer: Any) -> None:
        if answer is None:
            return
        if answer is False:
            found = f"{function}() returned False ({step.migration.path.name})"
            raise self.failures.failed(step, found, "Raise an exception that says what is wrong.")
        if isinstance(answer, GeneratorType | CoroutineType | AsyncGeneratorType) or inspect.isawaitable(answer):
            kind = "a generator" if isinstance(answer, GeneratorType | AsyncGeneratorType) else "a coroutine"
            if hasattr(answer, "close"):
                answer.close()  # or Python complains that it was never awaited
            found = f"{function}() returned {kind}, so none of its code ran ({step.migration.path.name})"
            raise self.failures.failed(step, found, "Make it a plain function.")

    def _judge_ending(self, connection: GuardedConnection, step: Step) -> None:
        if self.stop.asked():
            raise Stopped
        connection.look_for_end()
        if connection.ended is not None:
            raise self.failures.failed(step, connection.ended + place_at(step, connection.line), line=connection.line)
        if connection.rolled_back_last:
            raise self.failures.failed(
                step,
                f"its last word was conn.rollback(), and it returned as if nothing had happened{place_at(step, connection.line)}",
                "Let the error that made it roll back pass, so that it can be seen.",
                line=connection.line,
            )

    def _disarm(self, connection: GuardedConnection, step: Step) -> None:
        try:
            connection.disarm()
        except Exception as error:
            if not is_database_error(error) or connection.holds_transaction():
                raise
            found = f"it replaced the transaction that the runner had begun{place_at(step, None)}"
            raise self.failures.failed(step, found, "Leave the transaction to the runner.") from error


def _content_of(step: Step) -> bytes:
    """Return the content of the file whose code a step runs."""
    return (
        step.migration.rollback_content if step.direction == "rollback" and step.migration.rollback_path else step.migration.content
    )
