"""
Try an imported history on scratch databases: every migration is applied, rolled back where it can be, and applied again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homie_migrations_core.authoring.hazards import Watch
from homie_migrations_core.authoring.importing.originals import Excerpt, Problem
from homie_migrations_core.authoring.scratch_databases import ScratchDatabases
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Step
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.reading import read_pack
from homie_migrations_core.progress import tell_phase
from homie_migrations_core.sqlite.guarded_transaction import Refused
from homie_migrations_core.sqlite.integrity import ACCEPTABLE_CODES
from homie_migrations_core.stopping import StopRequest

ROLLBACK_SUFFIX = ".rollback.sql"
_MOST_ATTEMPTS = 100
"""How many statements that fail are looked for; each of them needs another attempt."""

_TRYING = "trying the migrations"
_NOT_IN_A_TRANSACTION = "from within a transaction"
"""How SQLite refuses VACUUM."""


@dataclass
class Trial:
    """What was found when a history was tried."""

    refusals: list[Problem] = field(default_factory=list)
    """The statements that no migration may run."""
    failure: Problem | None = None
    """The first other reason why a migration can't be applied. It may only follow from a refusal."""
    bad_rollbacks: dict[str, Problem] = field(default_factory=dict)
    """The names of rollback scripts that fail, or after which something is broken or can't be applied again, and why."""
    accepted: dict[str, dict[str, str]] = field(default_factory=dict)
    """By file name: the codes of what a migration leaves broken for a later one to repair, with a sentence each."""


def try_history(scripts: Mapping[str, Excerpt], pack: str, folder: Path, stop: StopRequest) -> Trial:
    """
    Try scripts, which have the file names of a pack, below `folder`.

    A statement that no migration may run is found, left out, and the attempt repeated, so that all of them are found.

    Raises:
        RunStopped, Stopped: A stop was asked for.
    """
    trial = _Trial(scripts, pack, folder, stop)
    if trial.apply_all():
        trial.roll_back_each()
    return trial.found


class _Statements:
    """A script of the trial, with each statement on a line of its own, and the line of the original that it comes from."""

    def __init__(self, excerpt: Excerpt) -> None:
        self._path, self._statements = excerpt.path, excerpt.statements()
        self.first_line = excerpt.first_line

    def content(self) -> str:
        """Return the script. What a later migration may repair is accepted, and noted when it happens."""
        accepts = "".join(f"-- accepts {code}: the history goes on\n" for code in sorted(ACCEPTABLE_CODES))
        return "".join(f"{statement}\n" for _, statement in self._statements) + accepts

    def problem(self, found: str, line: int | None) -> Problem:
        """Return what was found in a line of this script as a problem of the original."""
        place = self._at(line)
        return Problem(self._path, self.first_line if place is None else self._statements[place][0], found)

    def drop(self, line: int | None) -> bool:
        """Leave out the statement that begins in this line of the script, if there is one."""
        place = self._at(line)
        if place is not None:
            del self._statements[place]
        return place is not None

    def _at(self, line: int | None) -> int | None:
        begin = 1
        for place, (_, statement) in enumerate(self._statements):
            if begin == line:
                return place
            begin += statement.count("\n") + 1
        return None


class _Noting(Watch):
    """Notes what the migrations leave broken."""

    def __init__(self, accepted: dict[str, dict[str, str]]) -> None:
        super().__init__()
        self._accepted = accepted

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Note one thing that a migration leaves broken."""
        self._accepted.setdefault(step.migration.path.name, {})[code] = sentence


class _Trial:
    """The trial of one history."""

    def __init__(self, scripts: Mapping[str, Excerpt], pack: str, folder: Path, stop: StopRequest) -> None:
        self._scripts = {name: _Statements(excerpt) for name, excerpt in scripts.items()}
        self._definition = MigrationPack(pack, folder / "migrations")
        self._folder = folder / "migrations"
        self._folder.mkdir()
        for name in self._scripts:
            self._write(name)
        self._databases = ScratchDatabases(folder, self._definition.database, [read_pack(self._definition)], stop)
        self._attempts = 0
        self.found = Trial()

    def apply_all(self) -> bool:
        """Apply everything to a new database, as often as statements are left out. Return whether that was possible."""
        while True:
            tell_phase(_TRYING)
            path = self._databases.new()
            failure = self._databases.run(path, self._steps(), _Noting(self.found.accepted))
            self._databases.delete(path)
            if failure is None:
                return self.found.failure is None
            problem = self._problem(failure)
            if _is_refused(failure):
                self.found.refusals.append(problem)
            else:
                self.found.failure = self.found.failure or problem
            if not self._leave_out(failure):
                return False

    def roll_back_each(self) -> None:
        """Apply one migration after the other; roll each back on a copy, where it can be, and apply it again there."""
        path = self._databases.new()
        steps: list[Step] = []
        every = self._steps()
        for number, step in enumerate(every):
            tell_phase(_TRYING, number, len(every))
            steps.append(step)
            if step.migration.rollback_path is None:
                continue
            if (failure := self._databases.run(path, steps)) is not None:
                self.found.failure = self._problem(failure)
                return
            steps.clear()
            self._roll_back(step, path)

    def _roll_back(self, step: Step, path: str) -> None:
        name = f"{step.migration.name}{ROLLBACK_SUFFIX}"
        while True:
            left: dict[str, dict[str, str]] = {}
            copy = self._databases.copy(path)
            failure = self._databases.run(copy, [Step(step.migration, "rollback")], _Noting(left))
            again = self._databases.run(copy, [step]) if failure is None else None
            self._databases.delete(copy)
            if failure is None:
                sentences = [f"after it, {sentence}" for each in left.values() for sentence in each.values()]
                if again is not None:
                    sentences.append(f"after it, the migration can't be applied again ({_reason(again)})")
                if sentences:
                    self.found.bad_rollbacks[name] = self._scripts[name].problem("; ".join(sentences), None)
                return
            if not _is_refused(failure):
                self.found.bad_rollbacks[name] = self._problem(failure)
                return
            self.found.refusals.append(self._problem(failure))
            if not self._leave_out(failure):
                return
            (step,) = [each for each in self._steps() if each.ref == step.ref]  # with the rollback as it is now

    def _problem(self, failure: MigrationFailed) -> Problem:
        return self._script_of(failure).problem(_reason(failure), failure.line)

    def _leave_out(self, failure: MigrationFailed) -> bool:
        """Leave out the statement that failed, so that the ones after it are tried. False if that can't be done."""
        self._attempts += 1
        if self._attempts >= _MOST_ATTEMPTS or not self._script_of(failure).drop(failure.line):
            return False
        self._write(_file_name(failure))
        return True

    def _script_of(self, failure: MigrationFailed) -> _Statements:
        return self._scripts[_file_name(failure)]

    def _steps(self) -> list[Step]:
        return [Step(each) for each in read_pack(self._definition).migrations]

    def _write(self, name: str) -> None:
        (self._folder / name).write_text(self._scripts[name].content(), encoding="utf-8", newline="")


def _is_refused(failure: MigrationFailed) -> bool:
    """Return whether no migration may run the statement, so that the failure follows from nothing else."""
    return isinstance(failure.__cause__, Refused) or _NOT_IN_A_TRANSACTION in failure.found


def _file_name(failure: MigrationFailed) -> str:
    assert failure.file is not None  # every failure of a step has one
    return Path(failure.file).name


def _reason(failure: MigrationFailed) -> str:
    """Return what was found, without the place in the scratch file."""
    name = _file_name(failure)
    return failure.found.removesuffix(f" ({name}, line {failure.line})").removesuffix(f" ({name})")
