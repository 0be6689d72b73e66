"""The tables of the page about what was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.scale.laws import FAR, fitted
from benchmarks.scale.numbers import duration, number
from benchmarks.scale.results import Line, Measured

SECONDS, NO_BREAK = "seconds", "\u00a0"


def table(measured: Measured, unit: str) -> str:
    """Return a line for each kind of work with its value at each size, and when and with what that was measured."""
    sizes = sorted({point.size for line in measured.lines for point in line.points})
    step = f"{number(sizes[-1] / sizes[-2])} × as many" if len(sizes) > 1 else "as many"
    head = ["", *(f"{size:,}" for size in sizes), "law" if unit == SECONDS else "last ÷ first", step]
    rows = [_row(line, sizes, unit) for line in measured.lines]
    if any(line.beside for line in measured.lines):
        head.append("÷ sqlite3")
        for row, line in zip(rows, measured.lines, strict=True):
            row.append(number(line.last.value / measured.line(line.beside).last.value) if line.beside else "")
    return "\n".join([markdown(head, rows), "", _about(measured)])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _row(line: Line, sizes: Sequence[int], unit: str) -> list[str]:
    written = written_in(unit)
    values = {point.size: _together(written(point.value)) for point in line.points}
    law = law_in_words(line) if unit == SECONDS else f"{line.last.value / line.points[0].value:.2f}"
    return [f"*{line.name}*" if line.floor else line.name, *(values.get(size, "") for size in sizes), law, _step(line)]


def written_in(unit: str) -> Callable[[float], str]:
    """Return what writes a value of this unit."""
    return duration if unit == SECONDS else number


def law_in_words(line: Line) -> str:
    """Return the law of a line, with n for the size; nothing if no such law describes it."""
    law = fitted(line.points)
    if law.distance > FAR:
        return "no simple law"
    parts = [duration(law.constant)] if law.constant else []
    parts += [f"{duration(law.each)} × n"] if law.each else []
    parts += [f"{duration(law.square)} × n²"] if law.square else []
    return " + ".join(map(_together, parts))


def _together(words: str) -> str:
    """Return words that are not broken over lines: a number stays beside its unit."""
    return words.replace(" ", NO_BREAK)


def _step(line: Line) -> str:
    return "" if len(line.points) < 2 else _together(f"{number(line.points[-1].value / line.points[-2].value)} ×")


def _about(measured: Measured) -> str:
    rounds = ", ".join(str(point.rounds) for point in measured.lines[0].points)
    about = measured.about
    sentences = [
        f"Medians, measured on {about['day']} with CPython {about['python']} and SQLite {about['sqlite']}, on {about['system']} "
        f"with {about['cores']} cores. Rounds at each size: {rounds}.",
        f"Furthest from its median at the largest size: {_spread(measured)}.",
        about["remark"],
    ]
    return " ".join(filter(None, sentences))


def _spread(measured: Measured) -> str:
    """Return the line whose rounds lie furthest apart at the largest size, and how far."""
    line = max(measured.lines, key=lambda line: max(line.last.high / line.last.value, line.last.value / line.last.low))
    if line.last.rounds == 1:
        return "unknown, one round"
    return f"“{line.name}”, {number(line.last.low / line.last.value)} to {number(line.last.high / line.last.value)} times"
