"""How an error is laid out on the terminal: one to three lines a problem, several problems as a list."""

from __future__ import annotations

import pytest
from error_examples import AHEAD, DB, EXAMPLES, SHOWN

from homie_migrations_core import errors
from homie_migrations_core.cli.error_layout import WIDTH, error_lines, error_message


@pytest.mark.parametrize(("error", "shown"), list(zip(EXAMPLES, SHOWN, strict=True)), ids=lambda each: type(each).__name__)
def test_an_error_is_shown_as_the_file_has_it(error, shown: str):
    assert error_lines(error) == shown.splitlines()[1:]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_problem_takes_one_to_three_lines(error):
    lines = error_lines(error)
    problems = [each for each in lines if each.startswith("  - ")]
    assert len(lines) <= (3 if len(error.problems) <= 1 else 2 + 2 * len(problems))
    assert len(problems) == (len(error.problems) if len(error.problems) > 1 else 0)
    assert lines[0].startswith("Error: ")


def test_a_short_error_stays_on_one_line_and_a_longer_one_does_not():
    short = errors.HomieMigrationsError("No", "x" * (WIDTH - len("Error: No: . Go.")), "Go.")
    assert error_lines(short) == [f"Error: {short}"]
    assert len(error_lines(short)[0]) == WIDTH
    longer = errors.HomieMigrationsError("No", f"{short.problems[0]}x", "Go.")
    assert error_lines(longer) == [f"Error: No: {longer.problems[0]}.", "  Go."]
    longest = errors.HomieMigrationsError("No", f"{short.problems[0]}xxxxx", "Go.")
    assert error_lines(longest) == ["Error: No:", f"  {longest.problems[0]}.", "  Go."]


def test_an_error_of_one_text_stays_on_one_line_however_long_it_is():
    assert error_lines(errors.UsageProblem("x" * 300)) == [f"Error: {'x' * 300}"]


def test_reasons_of_different_kinds_are_listed_with_what_each_refused():
    mixed = errors.RunRefused.for_all([AHEAD, errors.RollbackRefused(DB, ["x", "y"], "")])
    assert error_lines(mixed) == [
        "Error: Nothing was changed, for 2 reasons:",
        f"  - Nothing was changed in {DB}: {AHEAD.problems[0]}.",
        f"    {AHEAD.advice}",
        f"  - Nothing was rolled back in {DB}: x; y.",
    ]


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("problem", "found"),
    [
        (RuntimeError("boom"), "RuntimeError: boom"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(0), "SystemExit: 0"),
        (Wordless(), "Wordless: (its text raises ValueError)"),
    ],
)
def test_an_exception_that_is_not_ours_is_called_unexpected(problem: BaseException, found: str):
    text = f"This should not have happened: {found}. Please report it, with the traceback that -v shows."
    assert error_message(problem) == text
    assert " ".join(line.strip() for line in error_lines(problem)) == f"Error: {text}"
