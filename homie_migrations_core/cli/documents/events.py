"""
The lines of `--progress json`: one event each, on stderr. Their types; `event_lines` writes them.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from homie_migrations_core.cli.documents.changes import PlannedStep
from homie_migrations_core.vocabulary import Direction


class _Event(TypedDict):
    at: str
    """When it happened, in UTC, as ISO 8601 writes it: `2026-01-05T09:30:00.000Z`."""


class _RunEvent(_Event):
    path: str
    """The database."""
    rehearsal: bool
    """Whether it is a run on a temporary copy: of `rehearse`, or to find out what a question should say."""


class _StepEvent(_RunEvent):
    ref: str
    direction: Direction


class RunStarted(_RunEvent):
    """A plan is about to be carried out. Nothing was changed yet."""

    event: Literal["run_started"]
    steps: list[PlannedStep]
    """What is planned. A step that another process has done meanwhile is not begun."""


class StepStarted(_StepEvent):
    """A step has begun."""

    event: Literal["step_started"]


class StepProgress(_StepEvent):
    """How far a step is, as its migration reports it with `track`; several times a second at most."""

    event: Literal["step_progress"]
    done: int
    total: int | None
    """Null if it is not known."""


class StepFinished(_StepEvent):
    """A step was committed: it stays, whatever comes after. In a rehearsal, it has passed every check."""

    event: Literal["step_finished"]


class StepFailed(_StepEvent):
    """A step failed, or was stopped. An event `error` with the whole message follows."""

    event: Literal["step_failed"]
    code: str
    """The code of the error."""
    message: str


class RunFinished(_RunEvent):
    """A run has ended, with or without success."""

    event: Literal["run_finished"]
    finished: list[PlannedStep]
    """The steps that were committed, in order."""


class Phase(_Event):
    """What is being done outside of steps. Reported at its beginning, and then a few times a second at most."""

    event: Literal["phase"]
    path: str | None
    """The database, if it is about one."""
    phase: Literal["wait", "snapshot", "copy", "restore", "check"]
    what: str
    """The same in words; of `wait`, also which process is waited for, as far as the system tells."""
    done: int | None
    total: int | None
    """What `done` counts up to: pages of the file, or packs. Null if it is not known."""


class DatabaseFinished(_Event):
    """A database of a fleet is done, with the fields of its line in a report; of `fleet` commands only."""

    event: Literal["database_finished"]
    path: str
    state: str
    error_code: str | None
    message: str | None
    seconds: float
    done: int
    """How many databases are done."""
    total: int | None
    """Null if it is not known."""


class Error(_Event):
    """An error, as in the document of `--json`."""

    event: Literal["error"]
    code: str
    """Stable: programs compare it, never the words of the message."""
    message: str
    """What was refused or failed, what was found, and what to do next."""
    path: str | None
    """The database, if it is about one."""
    traceback: NotRequired[str]
    """With `-v`."""


class Broken(_Event):
    """An entry point or pack that can't be used."""

    event: Literal["broken"]
    entry_point: str | None
    """The name of the entry point, or of the pack."""
    distribution: str | None
    reason: str


class LeftOutEvent(_Event):
    """A pack that a run leaves, or would leave, as it is."""

    event: Literal["left_out"]
    pack: str | None
    reason: str


class Message(_Event):
    """A line that would otherwise be on stderr: a warning, a question, what a migration or its child process prints."""

    event: Literal["message"]
    text: str


EVENTS = (
    RunStarted,
    StepStarted,
    StepProgress,
    StepFinished,
    StepFailed,
    RunFinished,
    Phase,
    DatabaseFinished,
    Error,
    Broken,
    LeftOutEvent,
    Message,
)
