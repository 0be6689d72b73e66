"""
The root of the errors, and their three parts: what was refused or failed, what was found, what to do next.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class HomieMigrationsError(Exception):
    """
    Base class of every error that this library raises on purpose.

    `summary` says what was refused or failed, `problems` holds each thing that was found, `advice` says what to do
    next. `str(error)` is all of it in one line, unless the name of a file or the text of another exception has
    several.
    """

    code = "error"
    exit_code = 1

    def __init__(self, summary: str, problems: str | Sequence[str] = (), advice: str = "") -> None:
        self.summary, self.advice = summary, advice
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(in_one_line(summary, self.problems, advice))

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.args), self.__dict__  # an error of a worker process keeps its class and its facts


def _remade(kind: type[HomieMigrationsError], args: tuple[object, ...]) -> HomieMigrationsError:
    return kind.__new__(kind, *args)


def in_one_line(summary: str, problems: Sequence[str] = (), advice: str = "") -> str:
    """Return the three parts of an error as one text."""
    found = f"{summary}: {'; '.join(problems)}" if problems else summary
    return f"{sentence(found)} {advice}" if advice else sentence(found) if problems else found


def sentence(text: str) -> str:
    """Return the text with a full stop, unless it ends like a sentence already."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
