"""The command `python -m benchmarks.scale`: measures, and writes the page with its plots."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import _real_disk
from benchmarks.measuring import CommandFailed
from benchmarks.scale import facts
from benchmarks.scale.axes import axes
from benchmarks.scale.page import PAGE, results_of, write
from benchmarks.scale.results import Measured, Results
from benchmarks.scale.rounds import ROUNDS, measure
from homie_migrations_core import HomieMigrationsError

FACTS, SAMPLES, FEW_SAMPLES = "facts", 200, 10


def main(arguments: list[str]) -> int:
    """Measure and write. What could be measured is written after each axis. Return 1 if something could not be measured."""
    names = [*axes(), FACTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="Measure how costs grow, and write the page.")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"repeatable; any of: {', '.join(names)}")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: write plots and tables from the stored numbers")
    parser.add_argument("--small", action="store_true", help="the smallest sizes only, to try the program on another --page")
    parser.add_argument(
        "--page", type=Path, default=PAGE, metavar="FILE", help="the page to write; its numbers are in a folder beside it"
    )
    parser.add_argument("--remark", default="", help="a sentence for the page about this measurement")
    options = parser.parse_args(arguments)
    if options.small and options.page.resolve() == PAGE:
        parser.error("--small is a try whose numbers mean nothing: name another --page")
    known, failed = axes(small=options.small), []
    results = Results.load(results_of(options.page))
    for name in [] if options.redraw else options.only or names:
        began = time.monotonic()
        try:
            _measure(name, results, options)
        except (CommandFailed, HomieMigrationsError) as error:
            failed.append(name)
            print(f"{name} was not measured: {error}", file=sys.stderr)
            continue
        print(f"{name}: measured in {time.monotonic() - began:.0f} s", flush=True)
        write(options.page, results, known)
    write(options.page, results, known)
    print(f"Written: {options.page}" + (f". Not measured: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _measure(name: str, results: Results, options: argparse.Namespace) -> None:
    place = _real_disk()
    if name == FACTS:
        with tempfile.TemporaryDirectory(prefix="scale-", dir=place) as folder:
            results.facts |= facts.measure(Path(folder), FEW_SAMPLES if options.small else SAMPLES)
    else:
        lines = measure(axes(small=options.small)[name], place, random.Random(), 1 if options.small else ROUNDS)
        results.axes[name] = Measured(lines, _about(options.remark))


def _about(remark: str) -> dict[str, str]:
    return {
        "day": str(datetime.datetime.now(datetime.UTC).date()),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "remark": remark,
    }


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
