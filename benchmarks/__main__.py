"""`python -m benchmarks [--rounds N] [names...]`: the tables, with the goals beside them. A missed goal is no failure."""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks import applying, copies, databases_for_tests, nothing, processes, validating
from benchmarks.measuring import CommandFailed, Comparison, measure, table
from homie_migrations_core import HomieMigrationsError

BENCHMARKS: dict[str, Callable[[Path], Iterator[Comparison]]] = {
    "nothing": nothing.comparisons,
    "status": processes.status_comparisons,
    "start": processes.start_comparisons,
    "apply": applying.comparisons,
    "durability": applying.durability_comparisons,
    "copies": copies.comparisons,
    "validate": validating.comparisons,
    "tests": databases_for_tests.comparisons,
}


def main(arguments: list[str]) -> int:
    """0 once everything was measured, whatever came out; 1 if something did not do its work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What it costs, as ratios measured side by side.")
    parser.add_argument("--rounds", type=_positive, help="rounds for each table (by default what fits into four minutes in all)")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which of: {', '.join(BENCHMARKS)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    print(
        f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Typer {version('typer')}, {platform.system()}. "
        "Ratios are the result; the last column is this machine's."
    )
    dice, outcome = random.Random(), Outcome()
    for name in options.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=_real_disk()) as folder, outcome.noting_failure(name):
            for comparison in BENCHMARKS[name](Path(folder)):
                with outcome.noting_failure(comparison.title):
                    rows, rounds = measure(comparison, options.rounds, dice)
                    outcome.missed += [f"{comparison.title}: {row.name}" for row in rows if row.verdict == "missed"]
                    print(f"\n{table(comparison, rows, rounds)}", flush=True)
    print(f"\n{outcome.sentence()}")
    return 1 if outcome.failed else 0


class Outcome:
    """What the run comes to."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        self.failed: list[str] = []

    @contextmanager
    def noting_failure(self, what: str) -> Iterator[None]:
        """What did not do its work is said and counted; the rest is still measured."""
        try:
            yield
        except (CommandFailed, HomieMigrationsError) as error:
            self.failed.append(what)
            print(f"\n{what}: not measured, it failed. {error}", file=sys.stderr, flush=True)

    def sentence(self) -> str:
        """The last line."""
        missed = f"Goals missed: {len(self.missed)}" + (f" ({'; '.join(self.missed)})." if self.missed else ".")
        return f"{missed} Not measured: {len(self.failed)}." if self.failed else missed


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number of rounds is 1 or more")
    return int(text)


def _real_disk() -> str | None:
    """Where the temporary folder belongs: TMPDIR if it is set, else the checkout's disk: the system's own is often memory."""
    if "TMPDIR" in os.environ:
        return None
    folder = Path(__file__).resolve().parent.parent / "build"
    folder.mkdir(exist_ok=True)
    return str(folder)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
