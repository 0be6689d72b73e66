"""The command `python -m benchmarks.peers`: makes the environments, measures, and writes the page."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import sqlite3
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import homie_migrations_core
from benchmarks.__main__ import _positive, _real_disk
from benchmarks.measuring import CommandFailed, Row, measure
from benchmarks.measuring import table as as_text
from benchmarks.peers import page
from benchmarks.peers.environments import ROOT, environment, release_of, version_of
from benchmarks.peers.plot import draw
from benchmarks.peers.projects import OURS, PEERS, Tool
from benchmarks.peers.runs import PLAIN, PYTHON, comparisons


def main(arguments: list[str]) -> int:
    """Measure, print the tables, and write the page. Return 1 if a tool could not be installed or did not do its work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure the library beside other tools.")
    parser.add_argument("--rounds", type=_positive, help="rounds for each table (default: as many as fit into eight minutes)")
    parser.add_argument("--no-page", action="store_true", help="only print the tables, and leave the page as it is")
    parser.add_argument("--remark", default="", help="a sentence for the page about this measurement")
    options = parser.parse_args(arguments)
    try:
        tools = environments()
        python = environment("plain", [])
        results: dict[str, tuple[list[Row], int]] = {}
        with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=_real_disk()) as folder:
            for comparison in comparisons(tools, python, Path(folder)):
                rows, rounds = measure(comparison, options.rounds, random.Random())
                results[comparison.title] = rows, rounds
                print(f"\n{as_text(comparison, rows, rounds)}", flush=True)
        if not options.no_page:
            write_page(results, options.remark)
    except CommandFailed as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return 1
    return 0


def environments() -> dict[Tool, Path]:
    """Return the folder of programs for each tool; both of ours share one, with this checkout installed as it is."""
    ours = environment("homie-migrations", ["-e", str(ROOT)])
    peers = {tool: environment(tool.distributions[0], [release_of(each) for each in tool.distributions]) for tool in PEERS}
    return dict.fromkeys(OURS, ours) | peers


def versions() -> dict[str, str]:
    """Return the version that the table shows for each row."""
    found = {tool.name: version_of(release_of(tool.distributions[0])) for tool in PEERS}
    found |= {tool.name: homie_migrations_core.__version__ for tool in OURS}
    return found | {PYTHON: platform.python_version(), PLAIN.name: sqlite3.sqlite_version}


def write_page(results: Mapping[str, tuple[Sequence[Row], int]], remark: str) -> None:
    """Write the table and the picture."""
    rounds = ", ".join(str(rounds) for _, rounds in results.values())
    day = datetime.datetime.now(datetime.UTC).date()
    about = (
        f"Measured on {day} with CPython {platform.python_version()} and SQLite {sqlite3.sqlite_version}, on {platform.system()} "
        f"{platform.machine()} with {os.cpu_count()} cores. Rounds: {rounds}."
    )
    rows_of = {title: rows for title, (rows, _) in results.items()}
    page.write("\n".join([page.table(rows_of, versions()), "", " ".join(filter(None, [about, remark]))]))
    page.PICTURE.write_text(draw(rows_of, (PYTHON, PLAIN.name)), encoding="utf-8")
    print(f"\nWritten: {page.PAGE.relative_to(ROOT)}, {page.PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
