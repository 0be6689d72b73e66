"""The command `python -m benchmarks`: measures what is named, and prints a table for each comparison."""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks import applying, databases_for_tests, fleet, large_database, processes, up_to_date, validating
from benchmarks.measuring import CommandFailed, Comparison, Row, measure, table
from benchmarks.side_by_side import Checkout, compare_checkouts, side_by_side_table
from homie_migrations_core import HomieMigrationsError

# benchmarks/worker.py reads this name in other checkouts too.
BENCHMARKS: dict[str, Callable[[Path], Iterator[Comparison]]] = {
    "nothing": up_to_date.comparisons,
    "status": processes.status_comparisons,
    "start": processes.start_comparisons,
    "apply": applying.comparisons,
    "durability": applying.durability_comparisons,
    "copies": large_database.comparisons,
    "validate": validating.comparisons,
    "fleet": fleet.comparisons,
    "tests": databases_for_tests.comparisons,
}


def main(arguments: list[str]) -> int:
    """Measure and print. Return 0 if everything could be measured, whatever the result, and 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure what the library costs, as ratios that are measured side by side."
    )
    parser.add_argument("--rounds", type=_positive, help="rounds for each table (default: as many as fit into four minutes in all)")
    parser.add_argument(
        "--against", type=_checkout, metavar="FOLDER", help="compare with the checkout in FOLDER, instead of with plain sqlite3"
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of: {', '.join(BENCHMARKS)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)} (expected any of: {', '.join(BENCHMARKS)})")
    print(
        f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Typer {version('typer')}, {platform.system()}. "
        "Ratios are the result; seconds belong to this machine."
    )
    rng, outcome = random.Random(), Outcome()
    here = Checkout(Path(__file__).resolve().parent.parent, Path(sys.executable))
    for name in options.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=_real_disk()) as folder, outcome.reporting_failure(name):
            if options.against is not None:
                for title, compared, rounds in compare_checkouts(name, here, options.against, Path(folder), options.rounds, rng):
                    outcome.note(title, compared)
                    print(f"\n{side_by_side_table(title, compared, rounds)}", flush=True)
                continue
            for comparison in BENCHMARKS[name](Path(folder)):
                with outcome.reporting_failure(comparison.title):
                    rows, rounds = measure(comparison, options.rounds, rng)
                    outcome.note(comparison.title, rows)
                    print(f"\n{table(comparison, rows, rounds)}", flush=True)
    print(f"\n{outcome.sentence()}")
    return 1 if outcome.failed else 0


class Outcome:
    """Which goals were missed, and what could not be measured."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        self.failed: list[str] = []

    def note(self, title: str, rows: Sequence[Row]) -> None:
        """Remember the rows of a table that miss their goal."""
        self.missed += [f"{title}: {row.name}" for row in rows if row.verdict == "missed"]

    @contextmanager
    def reporting_failure(self, what: str) -> Iterator[None]:
        """Print and count what fails in this block, so that the rest is still measured."""
        try:
            yield
        except (CommandFailed, HomieMigrationsError) as error:
            self.failed.append(what)
            print(f"\n{what} was not measured: {error}", file=sys.stderr, flush=True)

    def sentence(self) -> str:
        """Return the last line of the output."""
        missed = f"Goals missed: {len(self.missed)}" + (f" ({'; '.join(self.missed)})." if self.missed else ".")
        return f"{missed} Not measured: {len(self.failed)}." if self.failed else missed


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number of rounds is 1 or more")
    return int(text)


def _checkout(text: str) -> Checkout:
    folder = Path(text).resolve()
    if not (folder / "benchmarks" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{folder} is not a checkout of this repository: it has no folder `benchmarks`")
    own = folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return Checkout(folder, own if own.exists() else Path(sys.executable))


def _real_disk() -> str | None:
    """Return the folder for temporary databases: on the checkout's disk, unless TMPDIR is set. The system's is often in memory."""
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
