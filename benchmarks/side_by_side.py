"""The same benchmark in two checkouts, in two processes that take turns. What is measured is left to `worker.py`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.measuring import CommandFailed, Row, aligned, result_row

GOAL = 1.05
"""The highest ratio that a change may cause."""
_WITHOUT_LIBRARY = ("sqlite3", "python -c", "smallest Typer", "the bare")
"""How the names of measurements begin that use no library: their ratios show what chance does, and have no goal."""


@dataclass(frozen=True)
class Checkout:
    """A working copy of this repository, and the Python that runs it."""

    folder: Path
    python: Path


@dataclass(frozen=True)
class ComparedRow(Row):
    """One measurement in both checkouts. `ratio` is the time here divided by the time there."""

    @property
    def verdict(self) -> str:
        """Return whether the goal is met. It is missed for sure only if three quarters of the rounds missed it."""
        if self.goal is None or self.ratio <= self.goal:
            return super().verdict
        return "missed" if self.quartiles[0] > self.goal else "unclear"


class _Worker:
    """A process that runs one benchmark of one checkout, a measurement at a time."""

    def __init__(self, name: str, checkout: Checkout, folder: Path) -> None:
        folder.mkdir()
        packages = [checkout.folder, checkout.folder / "plugins" / "file_organizer_migrations" / "src"]
        self._of = checkout.folder
        self._process = subprocess.Popen(
            [str(checkout.python), str(Path(__file__).with_name("worker.py")), str(checkout.folder), name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, packages))},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, request: str) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{request}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise CommandFailed(f"the benchmark of {self._of} ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise CommandFailed(f"{self._of}: {answer['failed']}")
        return answer


def compare_checkouts(
    name: str, here: Checkout, there: Checkout, folder: Path, rounds: int | None, rng: random.Random
) -> Iterator[tuple[str, list[ComparedRow], int]]:
    """
    Yield for each comparison of a benchmark its title, a row for each measurement that both know, and the rounds.

    The ratio of a row is the time here divided by the time there, in the same round.

    Raises:
        CommandFailed: One of the two could not be measured.
    """
    with ExitStack() as stack:
        workers = [
            stack.enter_context(_Worker(name, checkout, folder / side)) for checkout, side in ((here, "here"), (there, "there"))
        ]
        while True:
            mine, other = (worker.ask("next") for worker in workers)
            if "end" in mine or "end" in other:
                return
            common = [each for each in mine["names"] if each in other["names"]]
            runs = [
                (worker, side, each, f"run {found['names'].index(each)}")
                for side, (worker, found) in enumerate(zip(workers, (mine, other), strict=True))
                for each in common
            ]
            taken: dict[str, tuple[list[float], list[float]]] = {each: ([], []) for each in common}
            for worker, _, _, request in runs:
                worker.ask(request)  # caches, byte code and the page cache are warm for all of them
            began, done = time.monotonic(), 0
            while done < (rounds or mine["rounds"]):
                if rounds is None and done >= 3 and time.monotonic() - began > 2 * mine["budget"]:
                    break
                for worker, side, each, request in rng.sample(runs, len(runs)):
                    taken[each][side].append(worker.ask(request)["seconds"])
                done += 1
            yield mine["title"], [_compared(each, *taken[each]) for each in common], done


def _compared(name: str, here: Sequence[float], there: Sequence[float]) -> ComparedRow:
    row = result_row(name, here, there, goal=None if name.startswith(_WITHOUT_LIBRARY) else GOAL)
    return ComparedRow(**vars(row))


def side_by_side_table(title: str, rows: Sequence[Row], rounds: int) -> str:
    """Return the rows as plain text."""
    lines = [["", "x other", "IQR", "goal", "", "ms here"]]
    lines += [
        [
            row.name,
            f"{row.ratio:.3f}",
            f"{row.quartiles[0]:.3f}-{row.quartiles[1]:.3f}",
            f"<= {row.goal:g}" if row.goal is not None else "",
            row.verdict,
            f"{row.seconds * 1e3:.2f}",
        ]
        for row in rows
    ]
    return "\n".join([f"{title} ({rounds} rounds)", *aligned(lines, left={0, 4})])
