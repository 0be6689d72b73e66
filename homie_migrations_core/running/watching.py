"""The protocol of an object that watches a step from inside its transaction, and what takes the warnings of a step."""

from __future__ import annotations

import logging
from typing import Protocol

from homie_migrations_core.model import Step
from homie_migrations_core.sqlite.guard import GuardedConnection

_log = logging.getLogger("homie_migrations")


class Warnings(Protocol):
    """Takes what is unusual about a step but does not stop it."""

    def warned(self, sentence: str) -> None:
        """Take a warning."""

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Take a problem that would have stopped the step, but for the reason for which its author accepts it."""


class Watcher(Warnings, Protocol):
    """Watches from inside the transaction of each step. An exception that it raises ends the run."""

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Do what is to be done before the step runs."""

    def heard(self, statement: str) -> None:
        """Take a statement that the step executes, with its parameters filled in."""

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """Do what is to be done once the step has passed every check, before it is committed."""


class LoggedWarnings:
    """Writes the warnings of a run on the database at `path` to the log."""

    def __init__(self, path: str) -> None:
        self._path = path

    def warned(self, sentence: str) -> None:
        """Log it."""
        _log.warning("%s", sentence, extra={"database": self._path})

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Log it with its reason."""
        _log.warning("%s", accepted_in_words(step, code, sentence, reason), extra={"database": self._path, "ref": step.ref})


def accepted_in_words(step: Step, code: str, sentence: str, reason: str) -> str:
    """Return the warning for a problem that the author of a migration accepts."""
    return f"{step.ref} leaves a problem that its file accepts ({code}): {sentence}. The reason given: {reason}"
