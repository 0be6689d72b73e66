"""
Changing databases, one after the other: what is announced, who is asked, how it ended, and how signals stop it.
"""

from __future__ import annotations

import contextlib
import os

from homie_migrations_core.cli.options import BackupDirOptions, BackupOptions, ConfirmationOptions, LockOptions, SnapshotOptions
from homie_migrations_core.cli.run_progress import run_progress
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.cli.wording import losses_in_words
from homie_migrations_core.errors import LockTimeout, RehearsalFailed, RunStopped, UsageProblem
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite.snapshot_storage import KEPT, SnapshotStorage
from homie_migrations_core.stopping import Stopped, ends_the_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from dataclasses import dataclass
    from typing import Self

    from homie_migrations_core.cli.progress import RunProgress
    from homie_migrations_core.cli.report import DatabaseReport, Report
    from homie_migrations_core.cli.targets import Selection, Target
    from homie_migrations_core.model import Plan
    from homie_migrations_core.runner import MigrationRunner
    from homie_migrations_core.running.rehearsal import Rehearsal
else:
    from homie_migrations_core.values import dataclass


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """How a command changes databases."""

    lock_timeout: float
    verb: str = ""
    """What it does to migrations (applied, rolled_back, redone, recorded); empty if it does something else."""
    backup: bool = True
    creates: bool = False
    """Whether it makes a database that does not exist."""
    yes: bool = False
    """Whether every question is answered with yes."""
    backup_dir: str | None = None
    keep: int = KEPT

    @classmethod
    def of(cls, options: LockOptions, *, verb: str = "", creates: bool = False) -> Self:
        """
        Return the settings that a command's options state; what a command has no option for has its default.

        Raises:
            UsageProblem, FolderUnusable: The options for snapshots contradict each other, or their folder can't be used.
        """
        backup = not (isinstance(options, BackupOptions) and options.no_backup)
        backup_dir = options.backup_dir if isinstance(options, BackupDirOptions) else None
        keep = options.keep if isinstance(options, SnapshotOptions) else None
        if not backup and keep is not None:
            raise UsageProblem("Nothing was done", "--no-backup and --keep were both given", "Give one of them.")
        if backup:
            storage_of(backup_dir).require()
        return cls(
            verb=verb,
            lock_timeout=options.lock_timeout,
            backup=backup,
            creates=creates,
            yes=isinstance(options, ConfirmationOptions) and options.yes,
            backup_dir=backup_dir,
            keep=KEPT if keep is None else keep,
        )


def storage_of(backup_dir: str | None) -> SnapshotStorage:
    """
    Return where snapshots are kept if `--backup-dir` was given like this.

    Raises:
        UsageProblem: It is empty, as from a shell variable that is not set.
    """
    if backup_dir == "":
        raise UsageProblem("Nothing was done", "--backup-dir is empty", "Name a folder, or leave the option out.")
    return SnapshotStorage(None if backup_dir is None else os.path.abspath(backup_dir))


@contextlib.contextmanager
def stoppable(report: Report) -> Iterator[SignalStop]:
    """Let signals ask for a stop, inside the context; the command then ends with their exit code."""
    stop = SignalStop()
    with stop_on_signals(stop):
        try:
            yield stop
        finally:
            if stop.asked():
                report.exit_with(stop.exit_code)


def change_databases(
    report: Report,
    selection: Selection,
    targets: Iterable[Target],
    settings: ChangeSettings,
    work: Callable[[DatabaseChange], None],
) -> None:
    """Do `work` on each database, and report it. After a signal no further database is begun."""
    for target in targets:
        with report.database(target.path) as database, stoppable(report) as stop:
            progress = run_progress(database)
            runner = target.runner(
                selection,
                lock_timeout=settings.lock_timeout,
                backup=settings.backup,
                backup_dir=settings.backup_dir,
                keep=settings.keep,
                should_stop=stop,
                observers=[progress],
            )
            database.about_to_change(target.path, target.origin, creates=settings.creates)
            DatabaseChange(database, runner, progress, stop, settings).carry_out(work)
        if stop.asked():
            break


class DatabaseChange:
    """A command's work on one database."""

    def __init__(
        self, report: DatabaseReport, runner: MigrationRunner, progress: RunProgress, stop: SignalStop, settings: ChangeSettings
    ) -> None:
        self.report, self.runner = report, runner
        self._progress, self._stop, self._settings = progress, stop, settings
        self.refs: list[str] = []
        """What was done, where no step of a run reports it."""

    def carry_out(self, work: Callable[[DatabaseChange], None]) -> None:
        """Do the work, and report how it ended."""
        completed = readable = False
        with hearing_phases(self._progress.phase, self._progress.note):
            try:
                work(self)
                completed = readable = True
            except (RunStopped, LockTimeout):
                raise
            except BaseException as error:  # a plugin's own may be none of `Exception`
                readable = not ends_the_run(error)
                raise
            finally:
                self._progress.close()
                if self._settings.verb:
                    refs = list(dict.fromkeys([*self._progress.finished, *self.refs]))
                    self.report.changed(self._settings.verb, refs, self.runner, completed=completed)
                if readable:  # else it would be waited for again
                    self.report.add_status_after(self.runner)

    def ask(self, action: str, explain: Callable[[], str]) -> None:
        """
        Ask whether to go on, unless `--yes` was given. `explain` returns what to know first, and is called only for a question.

        Raises:
            NobodyToAsk, ConfirmationDenied, RunStopped: Nobody agreed.
        """
        if self._settings.yes:
            return
        from homie_migrations_core.cli.asking import confirm, require_terminal

        question = f"{action} {self.report.path}"
        require_terminal(question)
        self.report.announce()
        note = explain()
        self._stop.raising = True  # a prompt has no time limit, and nothing is in progress that a signal could leave half done
        try:
            if self._stop.asked():  # it came before that
                raise Stopped
            snapshot = "a snapshot is taken first" if self._settings.backup else "no snapshot is taken"
            confirm(question, f"{note}; {snapshot}.")
        except Stopped as stopped:
            raise RunStopped(str(self.report.path)) from stopped
        finally:
            self._stop.raising = False

    def ask_about(self, action: str, plan: Plan, rehearse: Callable[[], Rehearsal]) -> None:
        """
        Ask whether to carry out a plan that rolls something back; a rehearsal counts what would be lost.

        Raises:
            NobodyToAsk, ConfirmationDenied, RunStopped: Nobody agreed.
            MigrationFailed: The rehearsal shows that the plan would fail. Nothing was changed.
        """

        def explain() -> str:
            self._progress.rehearsal = True
            try:
                rehearsal = rehearse()
            except RehearsalFailed as error:
                return f"Data in the tables and columns that they made may be lost: it could not be counted ({error.found})"
            finally:
                self._progress.rehearsal = False
                self._progress.close()
            if rehearsal.error is not None:
                raise rehearsal.error
            return losses_in_words(rehearsal.losses)

        if plan.steps:
            refs = ", ".join(dict.fromkeys(step.ref for step in plan.steps))
            self.ask(f"{action} {refs} in", explain)
