"""What a command does to one database: which file, who is asked, how it ended, and how signals stop it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from homie_migrations_core.cli.output import Entry, Report, Steps, confirm, somebody_to_ask
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.cli.targets import Scope, Target
from homie_migrations_core.cli.wording import losses_in_words
from homie_migrations_core.errors import LockTimeout, RehearsalFailed, RunStopped
from homie_migrations_core.model import Plan
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.runner import MigrationRunner
from homie_migrations_core.stopping import Stopped

if TYPE_CHECKING:
    from homie_migrations_core.running.rehearsal import Rehearsal


@contextlib.contextmanager
def stoppable(report: Report) -> Iterator[SignalStop]:
    """Inside, signals ask this for a stop, and the command ends with their exit code."""
    stop = SignalStop()
    with stop_on_signals(stop):
        try:
            yield stop
        finally:
            if stop.asked():
                report.exit_with(stop.exit_code)


class Change:
    """One command's work on one database. `verb` is what it does to migrations: applied, rolled_back, redone, recorded."""

    def __init__(
        self,
        report: Report,
        scope: Scope,
        target: Target,
        verb: str = "",
        *,
        lock_timeout: float,
        backup: bool = True,
        makes: bool = False,
    ) -> None:
        self._report, self._scope, self._target, self._verb = report, scope, target, verb
        self._lock_timeout, self._backup, self._makes = lock_timeout, backup, makes
        self.stop = SignalStop()
        self.refs: list[str] = []
        """What was done, where no step says it."""

    @contextlib.contextmanager
    def made(self, entry: Entry) -> Iterator[MigrationRunner]:
        """The front desk. What is done with it in here is said, and how it ended; signals stop it."""
        steps = self._steps = Steps(self._report, entry)
        runner = self._target.runner(
            self._scope, lock_timeout=self._lock_timeout, backup=self._backup, should_stop=self.stop, observers=[steps]
        )
        entry.about_to_change(self._target.path, self._target.origin, makes=self._makes)
        whole = readable = False
        with stop_on_signals(self.stop), hearing_phases(steps.phase):
            try:
                yield runner
                whole = readable = True
            except (RunStopped, LockTimeout):
                raise
            except Exception:
                readable = True
                raise
            finally:
                steps.over()
                if self.stop.asked():
                    self._report.exit_with(self.stop.exit_code)
                if self._verb:
                    entry.changed(self._verb, list(dict.fromkeys([*steps.refs, *self.refs])), runner, whole=whole)
                if readable:  # else it would be waited for again
                    entry.status_now(runner)

    def ask(self, entry: Entry, what: str, notes: Callable[[], str], *, yes: bool) -> None:
        """
        Somebody agreed, or said before that they do. `notes`, what they should know, are only made for somebody who reads them.

        Raises:
            NobodyToAsk, ConfirmationDenied, RunStopped: Nobody did.
        """
        if yes:
            return
        question = f"{what} {self._target.path}"
        somebody_to_ask(question)
        entry.announce()
        note = notes()
        self.stop.raising = True  # a prompt waits for ever, and nothing is at work that a signal could tear
        try:
            snapshot = "a snapshot is taken first" if self._backup else "no snapshot is taken"
            confirm(question, f"{note}; {snapshot}.")
        except Stopped as stopped:
            raise RunStopped(str(self._target.path)) from stopped
        finally:
            self.stop.raising = False

    def ask_about(self, entry: Entry, what: str, plan: Plan, rehearse: Callable[[], Rehearsal], *, yes: bool) -> None:
        """
        The same for a plan that takes something back: a rehearsal counts what would be lost.

        Raises:
            MigrationFailed: The rehearsal shows that it would fail; nothing was done.
        """

        def notes() -> str:
            self._steps.silent = True
            try:
                rehearsal = rehearse()
            except RehearsalFailed as error:
                return f"Data in the tables and columns that they made may be lost: it could not be counted ({error.found})"
            finally:
                self._steps.silent = False
                self._steps.over()
            if rehearsal.error is not None:
                raise rehearsal.error
            return losses_in_words(rehearsal.losses)

        if plan.steps:
            refs = ", ".join(dict.fromkeys(step.ref for step in plan.steps))
            self.ask(entry, f"{what} {refs} in", notes, yes=yes)
