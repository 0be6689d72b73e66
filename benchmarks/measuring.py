"""
Rounds, ratios, tables. Knows nothing of what is measured.

Seconds belong to one machine and one moment, so none of them is a goal. In each round every candidate runs once,
in shuffled order, and is divided by the floor of that same round; the median of these ratios is the result.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


class CommandFailed(Exception):
    """Something that was to be measured did not do its work."""


@dataclass(frozen=True)
class Candidate:
    """One thing to measure: `run` does it once and returns the seconds it took."""

    name: str
    run: Callable[[], float]
    goal: float | None = None
    """The highest ratio that is good enough; None for rows that are there for information."""


@dataclass(frozen=True)
class Comparison:
    """Candidates in one table. The first is the floor; `second_floor` names another one to divide by."""

    title: str
    candidates: Sequence[Candidate]
    rounds: int
    budget: float
    """Seconds after which no new round begins, once there were three: slow disks must not take all day."""
    second_floor: str | None = None
    unit: str = "ms"


@dataclass(frozen=True)
class Row:
    """One candidate's result."""

    name: str
    ratio: float
    quartiles: tuple[float, float]
    second_ratio: float | None
    seconds: float
    goal: float | None

    @property
    def verdict(self) -> str:
        """Whether the goal is met; empty without one."""
        if self.goal is None:
            return ""
        return "met" if self.ratio <= self.goal else "missed"


def repeated(function: Callable[[], object], times: int) -> Callable[[], float]:
    """What one call takes, as the mean of several: a single short one drowns in the clock's noise."""

    def run() -> float:
        started = time.perf_counter()
        for _ in range(times):
            function()
        return (time.perf_counter() - started) / times

    return run


def measure(comparison: Comparison, rounds: int | None, dice: random.Random) -> tuple[list[Row], int]:
    """Every candidate's row, and how many rounds there were. With `rounds` given, the budget does not count."""
    candidates = list(comparison.candidates)
    assert len({candidate.name for candidate in candidates}) == len(candidates), "every row needs a name of its own"
    for candidate in candidates:
        candidate.run()  # caches, byte code and the page cache are warm for all of them
    taken: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    began, done = time.monotonic(), 0
    while done < (rounds or comparison.rounds):
        if rounds is None and done >= 3 and time.monotonic() - began > comparison.budget:
            break
        for candidate in dice.sample(candidates, len(candidates)):
            taken[candidate.name].append(candidate.run())
        done += 1
    floor = taken[candidates[0].name]
    second = taken[comparison.second_floor] if comparison.second_floor else None
    return [_row(candidate, taken[candidate.name], floor, second) for candidate in candidates], done


def _row(candidate: Candidate, taken: list[float], floor: list[float], second: list[float] | None) -> Row:
    ratios = [one / other for one, other in zip(taken, floor, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else (ratios[0],) * 3
    return Row(
        candidate.name,
        statistics.median(ratios),
        (low, high),
        statistics.median(one / other for one, other in zip(taken, second, strict=True)) if second else None,
        statistics.median(taken),
        candidate.goal,
    )


def table(comparison: Comparison, rows: Sequence[Row], rounds: int) -> str:
    """The rows as plain text."""
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
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    left = {0, len(head) - 2}
    text = [f"{comparison.title} ({rounds} rounds)"]
    for line in lines:
        cells = [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  " + "  ".join(cells).rstrip())
    return "\n".join(text)
