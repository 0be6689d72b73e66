"""
How an error is laid out for people: what failed, what was found, what to do next, on lines of their own where they are long.

Returns lines; `output` writes them, and escapes what they hold.
"""

from __future__ import annotations

from homie_migrations_core.errors import HomieMigrationsError, RunRefused
from homie_migrations_core.errors.base import in_one_line, sentence

WIDTH = 100
"""What is not longer stays on one line."""


def error_code(problem: BaseException) -> str:
    """Return the stable code of an error; `unexpected` for one that is not ours."""
    return problem.code if isinstance(problem, HomieMigrationsError) else "unexpected"


def error_message(problem: BaseException) -> str:
    """Return the message of an error; one that is not ours is a bug, here or in a pack, and says so."""
    return in_one_line(*_parts(problem))


def error_lines(problem: BaseException, heading: str = "Error") -> list[str]:
    """Return one to three lines for an error of one problem, or a list under one heading for several."""
    reasons = problem.reasons if isinstance(problem, RunRefused) else ()
    if len(reasons) > 1:
        same = len({each.summary for each in reasons}) == 1
        lines = [f"{heading}: {_parts(problem)[0]}:"]
        for reason in reasons:
            found = "; ".join(reason.problems)
            lines.append(f"  - {sentence(found if same else f'{reason.summary}: {found}')}")
            if reason.advice:
                lines.append(f"    {reason.advice}")
        return lines
    summary, problems, advice = _parts(problem)
    next_step = [f"  {advice}"] if advice else []
    if len(problems) > 1:
        return [f"{heading}: {summary}:", *(f"  - {each}" for each in problems), *next_step]
    in_short = f"{heading}: {in_one_line(summary, problems, advice)}"
    if not problems or len(in_short) <= WIDTH:
        return [in_short]
    failed_and_found = f"{heading}: {in_one_line(summary, problems)}"
    if len(failed_and_found) <= WIDTH:
        return [failed_and_found, *next_step]
    return [f"{heading}: {summary}:", f"  {sentence(problems[0])}", *next_step]


def _parts(problem: BaseException) -> tuple[str, tuple[str, ...], str]:
    if isinstance(problem, HomieMigrationsError):
        return problem.summary, problem.problems, problem.advice
    try:
        text = str(problem)
    except Exception as error:  # the class is not ours
        text = f"(its text raises {type(error).__name__})"
    found = f"{type(problem).__name__}: {text}" if text else type(problem).__name__
    return "This should not have happened", (found,), "Please report it, with the traceback that -v shows."
