"""
Ten million files on a hundred machines, worked out on paper.

Every number is measured on the page, an assumption that is listed with its name, or a public document's; the tables show the
arithmetic with all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scale.drawing import Curve
from benchmarks.scale.laws import fitted
from benchmarks.scale.numbers import duration, number, size
from benchmarks.scale.results import Results
from benchmarks.scale.tables import markdown
from homie_migrations_core.sqlite.snapshot_storage import KEPT

Row = tuple[str, str, str]

FILES, MACHINES = 10_000_000, 100
EACH = FILES // MACHINES
MIGRATIONS = 3
PROCESSES, THREADS = 2, 8
CHUNK = 64
"""The most paths in a task of a fleet."""
WITH_SNAPSHOT = "syncs a database, with a snapshot"

DATABASE_BYTES, PATH_BYTES, FAILING = 1_000_000, 60, 0.001
SLOW_SYNC, HARD_DISK, DASK_TASK = 0.003, 60, 0.0003
BYTES_AN_INODE, ENTRIES_A_FOLDER, OPEN_FILES = 16_384, 10_000_000, 1_024
NEEDED = ("bytes", "files", "outcomes", "memory")
"""The axes without which nothing can be worked out."""


@dataclass(frozen=True)
class Rates:
    """What the calculation takes from the measurements: databases a second on one machine, and so on."""

    plain: float
    snapshots: float
    nothing: float
    status: float
    coordinator: float
    dask: float
    lines: float
    seconds_a_megabyte: float
    memory_an_outcome: float
    memory: float
    memory_files: int

    @classmethod
    def of(cls, results: Results) -> Rates:
        """Take them from the largest sizes that were measured."""
        files, outcomes = results.axes["files"], results.axes["outcomes"]

        def rate(name: str) -> float:
            last = files.line(name).last
            return last.size / last.value

        snapshot = results.axes["bytes"].line("snapshot")
        memory = results.axes["memory"].line("two processes that answer at once")
        return cls(
            rate("fleet apply, no snapshots"),
            rate("fleet apply, with snapshots"),
            rate("fleet apply, nothing to do"),
            rate("fleet status"),
            outcomes.line("two processes that answer at once").last.value,
            outcomes.line("two Dask workers that answer at once").last.value,
            outcomes.line("no worker, with a report").last.value,
            fitted(snapshot.points).growth(snapshot.last.size),
            fitted(memory.points).each,
            memory.last.value,
            memory.last.size,
        )


def tables(results: Results) -> dict[str, str]:
    """Return the tables by their names on the page."""
    rates, facts = Rates.of(results), results.facts
    rows = {
        "machines": _machines(rates),
        "coordinators": _coordinators(rates),
        "disks": _disks(rates, facts),
        "space": _space(facts),
        "reports": _reports(rates, facts),
        "limits": _limits(rates, facts),
    }
    found = {f"paper: {name}": markdown(("what", "how", "result"), each) for name, each in rows.items()}
    return found | {"facts": _facts(facts)}


def _facts(facts: dict[str, float]) -> str:
    values = [(name, size(value) if name.startswith("bytes") else number(value)) for name, value in facts.items()]
    return markdown(("", "measured"), values)


def _machines(rates: Rates) -> list[Row]:
    each = f"{EACH:,}"
    return [
        ("files of one machine", f"{FILES:,} ÷ {MACHINES}", each),
        ("small files, no snapshots", f"{each} ÷ {number(rates.plain)} a second", duration(EACH / rates.plain)),
        ("small files, with snapshots", f"{each} ÷ {number(rates.snapshots)} a second", duration(EACH / rates.snapshots)),
        ("a second run, nothing to do", f"{each} ÷ {number(rates.nothing)} a second", duration(EACH / rates.nothing)),
        ("`fleet status`", f"{each} ÷ {number(rates.status)} a second", duration(EACH / rates.status)),
        (
            "all ten million on a single machine, with snapshots",
            f"{FILES:,} ÷ {number(rates.snapshots)} a second",
            duration(FILES / rates.snapshots),
        ),
        ("a hundred canaries before the others", f"100 ÷ {number(rates.snapshots)} a second", duration(100 / rates.snapshots)),
    ]


def _coordinators(rates: Rates) -> list[Row]:
    together, dask = MACHINES * rates.snapshots, number(rates.dask)
    return [
        ("what a hundred machines do", f"{MACHINES} × {number(rates.snapshots)} a second", f"{number(together)} a second"),
        ("what one coordinator takes through Dask", "measured, two workers", f"{dask} a second"),
        (f"which are tasks of up to {CHUNK} files", f"{dask} ÷ {CHUNK}", f"{number(rates.dask / CHUNK)} a second"),
        ("machines that it keeps busy", f"{dask} ÷ {number(rates.snapshots)}", number(rates.dask / rates.snapshots)),
        (
            "one Dask coordinator for all",
            f"{FILES:,} ÷ the smaller of {number(together)} and {dask} a second",
            duration(FILES / min(together, rates.dask)),
        ),
        ("a coordinator on each machine", "as one machine", duration(EACH / rates.snapshots)),
        (
            f"Dask's scheduler, tasks of {CHUNK} files",
            f"{FILES:,} ÷ {CHUNK} × {duration(DASK_TASK)} (D)",
            duration(FILES / CHUNK * DASK_TASK),
        ),
        ("Dask's scheduler, a task for each file", f"{FILES:,} × {duration(DASK_TASK)} (D)", duration(FILES * DASK_TASK)),
    ]


def _disks(rates: Rates, facts: dict[str, float]) -> list[Row]:
    rows = [
        (
            "databases of 1 MB: their snapshots alone",
            f"{EACH:,} × {duration(rates.seconds_a_megabyte)} a MB (M)",
            duration(EACH * rates.seconds_a_megabyte),
        ),
        (
            "size at which a snapshot takes as long as the migrations",
            f"1 ÷ {number(rates.plain)} a second ÷ {duration(rates.seconds_a_megabyte)} a MB",
            size(1e6 / rates.plain / rates.seconds_a_megabyte),
        ),
        (
            "a hard disk, no snapshots",
            f"{EACH:,} × {MIGRATIONS} transactions ÷ {HARD_DISK} a second (H)",
            duration(EACH * MIGRATIONS / HARD_DISK),
        ),
    ]
    for workers in (PROCESSES, THREADS) if WITH_SNAPSHOT in facts else ():
        syncs = facts[WITH_SNAPSHOT]
        rows.append(
            (
                f"syncs of 3 ms, {workers} databases at a time",
                f"{EACH:,} × {syncs:g} syncs × {duration(SLOW_SYNC)} (S) ÷ {workers}",
                duration(EACH * syncs * SLOW_SYNC / workers),
            )
        )
    return rows


def _space(facts: dict[str, float]) -> list[Row]:
    taken, folders = facts["snapshots of a database after one run"], facts["folders of a database for its snapshots"]
    inodes, one_run = EACH * (1 + KEPT * taken + folders), EACH * DATABASE_BYTES
    return [
        ("snapshots of one run, all machines", f"{FILES:,} × {size(DATABASE_BYTES)} (M)", size(FILES * DATABASE_BYTES)),
        ("the same, one machine", f"{EACH:,} × {size(DATABASE_BYTES)} (M)", size(one_run)),
        (f"the {KEPT} that are kept, one machine", f"{KEPT} × {size(one_run)}", size(KEPT * one_run)),
        ("folders for snapshots, all databases of a machine in one folder", f"{EACH:,} × {folders:g}", f"{EACH * folders:,.0f}"),
        (
            "databases in one folder at which that is full",
            f"{ENTRIES_A_FOLDER:,} entries (E) ÷ {folders:g}",
            f"{ENTRIES_A_FOLDER / folders:,.0f}",
        ),
        ("inodes, one machine", f"{EACH:,} × (1 + {KEPT} × {taken:g} + {folders:g})", f"{inodes:,.0f}"),
        (
            "size of an ext4 file system with so many",
            f"{inodes:,.0f} × {BYTES_AN_INODE:,} bytes (I)",
            size(inodes * BYTES_AN_INODE),
        ),
    ]


def _reports(rates: Rates, facts: dict[str, float]) -> list[Row]:
    line = facts["bytes of a report line"] + facts["paths in a report line"] * PATH_BYTES
    failed = facts["bytes of a failed report line"] + facts["paths in a failed report line"] * PATH_BYTES
    failures = FILES * FAILING
    return [
        ("the list of paths", f"{FILES:,} × ({PATH_BYTES} (P) + 1) bytes", size(FILES * (PATH_BYTES + 1))),
        ("one report for all", f"{FILES:,} × {line:g} bytes", size(FILES * line)),
        ("time to write it", f"{FILES:,} ÷ {number(rates.lines)} lines a second", duration(FILES / rates.lines)),
        ("the report of one machine", f"{EACH:,} × {line:g} bytes", size(EACH * line)),
        ("databases that fail", f"{FILES:,} × {FAILING:.1%} (F)", f"{failures:,.0f}"),
        ("their lines", f"{failures:,.0f} × {failed:g} bytes", size(failures * failed)),
        ("reading them, ten seconds each", f"{failures:,.0f} × 10 s", duration(failures * 10)),
        (
            "running them again on one machine",
            f"{failures:,.0f} ÷ {number(rates.snapshots)} a second",
            duration(failures / rates.snapshots),
        ),
    ]


def _limits(rates: Rates, facts: dict[str, float]) -> list[Row]:
    growing = FILES * rates.memory_an_outcome
    rows = [
        (
            "memory of the coordinator",
            f"{number(rates.memory)} MB at {rates.memory_files:,} files, and the law of its line",
            f"{number(rates.memory + growing)} MB",
        ),
    ]
    if "memory of a worker" in facts:
        used = facts["memory of a worker"]
        rows += [
            ("memory of the workers, one machine", f"{PROCESSES} × {number(used)} MB", f"{number(PROCESSES * used)} MB"),
            ("open files of one worker", f"measured; a usual limit is {OPEN_FILES:,} (L)", number(facts["open files of a worker"])),
        ]
    needed = f"{MACHINES} × {PROCESSES} workers, at least; a usual limit is {OPEN_FILES:,} (L)"
    return [*rows, ("connections of Dask's scheduler", needed, f"{MACHINES * PROCESSES}")]


def curves(results: Results) -> list[Curve]:
    """Return how long ten million files take with one machine to a thousand."""
    rates = Rates.of(results)
    machines = (1, 10, 100, 1_000)
    slow = results.facts.get(WITH_SNAPSHOT, 0) * SLOW_SYNC / PROCESSES

    def hours(name: str, seconds_of_one_machine: float, least: float = 0.0) -> Curve:
        return Curve(name, [(number, max(FILES * seconds_of_one_machine / number, least) / 3_600) for number in machines])

    found = [
        hours("small files, one coordinator a machine", 1 / rates.snapshots),
        hours("small files, one Dask coordinator", 1 / rates.snapshots, FILES / rates.dask),
        hours("1 MB each, one coordinator a machine", 1 / rates.snapshots + rates.seconds_a_megabyte),
    ]
    return found + ([hours("small files, syncs of 3 ms", max(slow, 1 / rates.snapshots))] if slow else [])
