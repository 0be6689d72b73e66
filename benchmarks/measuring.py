"""
Rounds, ratios and tables. What is measured is left to the other modules.

Seconds belong to one machine and one moment, so no goal is given in seconds. In each round every candidate runs once, in
random order, and its time is divided by that of the floor in the same round; the median of these ratios is the result.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass


class CommandFailed(Exception):
    """What was to be measured did not work."""


@dataclass(frozen=True)
class Candidate:
    """One thing to measure. `run` does it once and returns the seconds it took."""

    name: str
    run: Callable[[], float]
    goal: float | None = None
    """The highest ratio that is good enough; None for a row that is only information."""


@dataclass(frozen=True)
class Comparison:
    """Candidates in one table. Times are divided by that of the first, the floor; `second_floor` names another one."""

    title: str
    candidates: Sequence[Candidate]
    rounds: int
    budget: float
    """Seconds after which no new round begins, once there were three: a slow disk must not take all day."""
    second_floor: str | None = None
    unit: str = "ms"


@dataclass(frozen=True)
class Row:
    """The result of one candidate."""

    name: str
    ratio: float
    quartiles: tuple[float, float]
    second_ratio: float | None
    seconds: float
    goal: float | None

    @property
    def verdict(self) -> str:
        """Return whether the goal is met; empty without a goal."""
        if self.goal is None:
            return ""
        return "met" if self.ratio <= self.goal else "missed"


def repeated(function: Callable[[], object], times: int) -> Callable[[], float]:
    """Return what measures one call as the mean of several, because a single short call is lost in the noise of the clock."""

    def run() -> float:
        started = time.perf_counter()
        for _ in range(times):
            function()
        return (time.perf_counter() - started) / times

    return run


def measure(comparison: Comparison, rounds: int | None, rng: random.Random) -> tuple[list[Row], int]:
    """Return a row for each candidate, and the number of rounds. If `rounds` is given, the budget does not count."""
    candidates = list(comparison.candidates)
    assert len({candidate.name for candidate in candidates}) == len(candidates), "two rows have the same name"
    for candidate in candidates:
        candidate.run()  # caches, byte code and the page cache are warm for all of them
    taken: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    began, done = time.monotonic(), 0
    while done < (rounds or comparison.rounds):
        if rounds is None and done >= 3 and time.monotonic() - began > comparison.budget:
            break
        for candidate in rng.sample(candidates, len(candidates)):
            taken[candidate.name].append(candidate.run())
        done += 1
    floor = taken[candidates[0].name]
    second = taken[comparison.second_floor] if comparison.second_floor else None
    return [result_row(each.name, taken[each.name], floor, second, goal=each.goal) for each in candidates], done


def result_row(
    name: str, taken: Sequence[float], floor: Sequence[float], second: Sequence[float] | None = None, *, goal: float | None = None
) -> Row:
    """Return the result of what took `taken` seconds in each round, in which the floors took `floor` and `second`."""
    ratios = [one / other for one, other in zip(taken, floor, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else (ratios[0],) * 3
    return Row(
        name,
        statistics.median(ratios),
        (low, high),
        statistics.median(one / other for one, other in zip(taken, second, strict=True)) if second else None,
        statistics.median(taken),
        goal,
    )


def table(comparison: Comparison, rows: Sequence[Row], rounds: int) -> str:
    """Return the rows as plain text."""
    scale = {"ms": 1e3, "us": 1e6}[comparison.unit]
    head = ["", "x floor", "IQR", "goal", "", f"{comparison.unit} here"]
    if comparison.second_floor:
        head.insert(3, "x 2nd")
    lines = [head]
    for number, row in enumerate(rows):
        floor = number == 0
        cells = [
            row.name + (" (floor)" if floor else " (2nd floor)" if row.name == comparison.second_floor else ""),
            f"{row.ratio:.2f}",
            "" if floor else f"{row.quartiles[0]:.2f}-{row.quartiles[1]:.2f}",
            f"<= {row.goal:g}" if row.goal is not None else "",
            row.verdict,
            f"{row.seconds * scale:.2f}",
        ]
        if comparison.second_floor:
            cells.insert(3, f"{row.second_ratio:.2f}")
        lines.append(cells)
    return "\n".join([f"{comparison.title} ({rounds} rounds)", *aligned(lines, left={0, len(head) - 2})])


def aligned(lines: Sequence[Sequence[str]], *, left: Collection[int]) -> Iterator[str]:
    """Yield the lines with their cells in columns, those of the columns in `left` aligned to the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
