"""
Log one line for each step of a run: what was committed to which database, or what failed and why.

An observer hears of the steps of every pack, not only of its own. An application that configures logging finds the lines
under the logger `file_tags_migrations`. For the command line, which configures none, the environment variable
`FILE_TAGS_LOG` names a file that the lines are appended to.
"""

import logging
import os
import time

from homie_migrations_core import Run, Step, hookimpl

VARIABLE = "FILE_TAGS_LOG"

log = logging.getLogger("file_tags_migrations")
log.addHandler(logging.NullHandler())  # without any handler, Python prints errors on stderr


@hookimpl
def homie_run_started() -> None:
    """Open the log file, if one is named. It stays open until the process ends, as log files do."""
    file = os.environ.get(VARIABLE)
    if file and not any(isinstance(handler, logging.FileHandler) for handler in log.handlers):
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S UTC")
        formatter.converter = time.gmtime
        handler = logging.FileHandler(file, encoding="utf-8")
        handler.setFormatter(formatter)
        log.addHandler(handler)
        log.setLevel(logging.INFO)


@hookimpl
def homie_step_progress(step: Step, done: int, total: int | None) -> None:
    """Log how far a long step is. That is more than one line a step, so its level is DEBUG."""
    log.debug("%s: %s of %s", step.ref, done, total)


@hookimpl
def homie_step_finished(run: Run, step: Step) -> None:
    """Log a step that was committed."""
    log.info("%s %s", _subject(run, step), "applied" if step.direction == "apply" else "rolled back")


@hookimpl
def homie_step_failed(run: Run, step: Step, error: BaseException) -> None:
    """Log a step that failed and was undone, with the whole error on one line."""
    log.error("%s failed and was undone: %s", _subject(run, step), " ".join(str(error).split()))


def _subject(run: Run, step: Step) -> str:
    """Return which step of which database this is."""
    return f"{run.path.name}, step {run.plan.steps.index(step) + 1} of {len(run.plan.steps)}: {step.ref}"
