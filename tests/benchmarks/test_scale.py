"""The measurement of how costs grow: it runs, its arithmetic is right, and the page shows the numbers that are stored."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from pathlib import Path

import pytest
from svg_texts import misplaced_texts

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # benchmarks is part of the repository and of no distribution

from benchmarks.measuring import CommandFailed  # noqa: E402
from benchmarks.scale import __main__ as program  # noqa: E402
from benchmarks.scale import coordinator, drawing, laws, page, paper, rounds  # noqa: E402
from benchmarks.scale.__main__ import FACTS  # noqa: E402
from benchmarks.scale.axes import axes  # noqa: E402
from benchmarks.scale.drawing import Curve, plot, ticks  # noqa: E402
from benchmarks.scale.numbers import duration, number, size  # noqa: E402
from benchmarks.scale.results import Line, Measured, Point, Results  # noqa: E402
from benchmarks.scale.rounds import Axis, Work, measure  # noqa: E402
from benchmarks.scale.tables import NO_BREAK, law_in_words, table  # noqa: E402
from homie_migrations_core.fleet import spreading  # noqa: E402

STORED = Results.load(page.results_of(page.PAGE))
PICTURES = page.pictures(STORED, axes())
ABOUT = {"day": "2026-01-02", "python": "3.11", "sqlite": "3.40", "system": "Linux", "cores": "2", "remark": ""}


def line(name: str, values: dict[int, float], **options) -> Line:
    return Line(name, tuple(Point(size, value, value, value, 1) for size, value in values.items()), **options)


# --- the page ------------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_stored_numbers():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_tables(text, page.tables(STORED, axes())) == text, "`python -m benchmarks.scale --redraw` writes it again"


def test_the_pictures_show_the_stored_numbers():
    folder = page.results_of(page.PAGE).parent
    stored = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
    assert stored == PICTURES, "`python -m benchmarks.scale --redraw` draws them again"


def test_the_page_shows_every_axis_with_its_picture_and_when_it_was_measured():
    text = page.PAGE.read_text(encoding="utf-8")
    assert list(STORED.axes) == list(axes())
    for name, measured in STORED.axes.items():
        assert f"<!-- measured: {name} -->" in text
        assert re.search(rf"!\[[^\]]{{40,}}\]\(scale/{name}\.svg\)", text)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", measured.about["day"])
    assert "(scale/paper.svg)" in text


def test_every_assumption_of_the_calculation_is_explained_on_the_page():
    text = page.PAGE.read_text(encoding="utf-8")
    used = set(re.findall(r"\(([A-Z])\)", "".join(paper.tables(STORED).values())))
    assert used == set(re.findall(r"^\| ([A-Z]) \|", text, re.MULTILINE))


def test_the_calculation_hands_out_as_many_files_as_a_fleet_does():
    assert paper.CHUNK == spreading._MOST_PATHS_A_TASK
    assert f"Tasks hold up to {paper.CHUNK} files" in page.PAGE.read_text(encoding="utf-8")


def test_a_table_is_put_between_its_marks_and_a_page_without_them_is_refused():
    text = "a\n<!-- measured: x -->\n<!-- end -->\nb\n<!-- measured: y -->\nold\n<!-- end -->\n"
    once = page.with_tables(text, {"x": "1", "y": "2"})
    assert once == "a\n<!-- measured: x -->\n\n1\n\n<!-- end -->\nb\n<!-- measured: y -->\n\n2\n\n<!-- end -->\n"
    assert page.with_tables(once, {"x": "1", "y": "2"}) == once
    with pytest.raises(ValueError, match="0 places for the table 'z'"):
        page.with_tables(text, {"z": "3"})


# --- measuring -------------------------------------------------------------------------------------------------------------


def test_every_kind_of_work_is_measured_at_every_size_in_turns(tmp_path: Path):
    ran: list[tuple[str, int]] = []

    @contextmanager
    def work(folder: Path, size: int):
        assert folder.is_dir()

        def run(name: str, value: float):
            ran.append((name, size))
            return value

        yield [Work("ours", lambda: run("ours", size * 2.0), "bare"), Work("bare", lambda: run("bare", float(size)), floor=True)]

    lines = measure(Axis("x", "things", "seconds", (1, 2), work), str(tmp_path), random.Random(1), 3)
    assert [(each.name, each.beside, each.floor) for each in lines] == [("ours", "bare", False), ("bare", None, True)]
    assert lines[0].points == (Point(1, 2.0, 2.0, 2.0, 3), Point(2, 4.0, 4.0, 4.0, 3))
    assert len(ran) == 2 + 2 * 3 + 2 * 3, "what is warm at the first size is not counted"
    assert not list(tmp_path.iterdir())


def test_sizes_that_would_take_too_long_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 1_000_000, 50))
    monkeypatch.setattr(rounds.time, "monotonic", lambda: next(clock))

    @contextmanager
    def work(_folder: Path, _size: int):
        yield [Work("ours", lambda: 1.0)]

    (only,) = measure(Axis("x", "things", "seconds", (1, 10, 100), work), str(tmp_path), random.Random(1))
    assert [point.size for point in only.points] == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.slow
def test_a_try_measures_everything_and_writes_a_whole_page(tmp_path: Path):
    target = tmp_path / "scale.md"
    shutil.copyfile(page.PAGE, target)
    only = [] if importlib.util.find_spec("distributed") else [f"--only={each}" for each in (*axes(), FACTS) if each != "machines"]
    command = [sys.executable, "-m", "benchmarks.scale", "--small", "--page", str(target), *only]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = Results.load(tmp_path / "scale" / "measured.json")
    assert page.with_tables(target.read_text(encoding="utf-8"), page.tables(results, axes(small=True))) == target.read_text(
        encoding="utf-8"
    )
    for name, measured in results.axes.items():
        assert all(point.value > 0 for each in measured.lines for point in each.points)
        assert (tmp_path / "scale" / f"{name}.svg").is_file()


@pytest.mark.parametrize("name", ["rows", "bytes"])
def test_a_try_of_one_axis_writes_its_table_and_its_picture(name: str, tmp_path: Path):
    target = tmp_path / "scale.md"
    target.write_text(f"# A page\n\n<!-- measured: {name} -->\n<!-- end -->\n", encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.scale", "--small", "--only", name, "--page", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "scale" / "measured.json").read_text(encoding="utf-8"))
    assert list(stored["axes"]) == [name]
    assert all(f"| {each['name']}" in target.read_text(encoding="utf-8").replace("*", "") for each in stored["axes"][name]["lines"])
    assert (tmp_path / "scale" / f"{name}.svg").is_file()


def test_an_axis_that_cannot_be_measured_is_named_and_the_others_are_written(tmp_path: Path, monkeypatch, capsys):
    @contextmanager
    def works(_folder: Path, size: int):
        yield [Work("ours", lambda: size * 0.001)]

    @contextmanager
    def fails(_folder: Path, _size: int):
        raise CommandFailed("it is not installed")
        yield

    few = {"rows": Axis("rows", "rows", "seconds", (1, 10), fails), "bytes": Axis("bytes", "bytes", "seconds", (1, 10), works)}
    monkeypatch.setattr(program, "axes", lambda **_: few)
    target = tmp_path / "scale.md"
    target.write_text("<!-- measured: bytes -->\n<!-- end -->\n<!-- measured: rows -->\n<!-- end -->\n", encoding="utf-8")
    assert program.main(["--only", "rows", "--only", "bytes", "--page", str(target)]) == 1
    assert "rows was not measured: it is not installed" in capsys.readouterr().err
    assert "| ours | 1 ms | 10 ms | 1 ms × n | 10 × |" in target.read_text(encoding="utf-8").replace(NO_BREAK, " ")
    assert list(Results.load(tmp_path / "scale" / "measured.json").axes) == ["bytes"]


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_the_coordinator_is_measured_with_every_outcome_and_its_report(tmp_path: Path):
    report = tmp_path / "report.jsonl"
    found = coordinator.hand_out("at_once", 300, report, tmp_path)
    assert found["seconds"] > 0
    assert found["megabytes"] > 5
    paths = [json.loads(each)["path"] for each in report.read_text(encoding="utf-8").splitlines()]
    assert len(set(paths)) == len(paths) == 300


def test_a_try_is_refused_on_the_page_itself():
    command = [sys.executable, "-m", "benchmarks.scale", "--small"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "name another --page" in done.stderr


# --- laws and tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law", [(3.0, 0.0, 0.0), (0.0, 0.5, 0.0), (2.0, 0.01, 0.0), (1e-4, 2e-6, 0.0), (0.0, 0.0, 1e-6), (1e-3, 1e-4, 1e-7)]
)
def test_a_law_is_found_again(law: tuple[float, float, float]):
    constant, each, square = law
    found = laws.fitted(line("x", {size: constant + each * size + square * size**2 for size in (10, 100, 1_000, 10_000)}).points)
    assert (found.constant, found.each, found.square) == pytest.approx(law, rel=1e-6, abs=1e-15)
    assert found.distance == pytest.approx(0, abs=1e-9)


def test_a_law_has_no_more_parts_than_it_needs():
    found = laws.fitted(line("x", {1: 2.1, 10: 2.0, 100: 2.0, 1_000: 2.2}).points)
    assert (found.each, found.square) == (0, 0)
    assert found.constant == pytest.approx(2.07, abs=0.05)


def test_a_law_has_no_negative_part():
    found = laws.fitted(line("x", {1: 5.0, 10: 4.0, 100: 3.0}).points)
    assert (found.each, found.square) == (0, 0)
    assert 3 < found.constant < 5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({10: 0.002, 1_000: 0.002}, "2 ms"),
        ({10: 0.01, 1_000: 1.0}, "1 ms × n"),
        ({1: 2.001, 1_000: 3.0}, "2 s + 1 ms × n"),
        ({10: 0.0001, 1_000: 1.0, 10_000: 100.0}, "1 µs × n²"),
        ({1: 1.0, 10: 100.0, 100: 1.0}, "no simple law"),
    ],
)
def test_a_law_in_words(values: dict[int, float], words: str):
    assert law_in_words(line("x", values)).replace(NO_BREAK, " ") == words


def test_a_table_compares_each_line_with_the_one_that_does_the_same():
    measured = Measured((line("ours", {1: 0.002, 10: 0.02}, beside="bare"), line("bare", {1: 0.001, 10: 0.01}, floor=True)), ABOUT)
    assert table(measured, "seconds").replace(NO_BREAK, " ").splitlines()[:4] == [
        "|  | 1 | 10 | law | 10 × as many | ÷ sqlite3 |",
        "| --- | --- | --- | --- | --- | --- |",
        "| ours | 2 ms | 20 ms | 2 ms × n | 10 × | 2 |",
        "| *bare* | 1 ms | 10 ms | 1 ms × n | 10 × |  |",
    ]
    assert "measured on 2026-01-02 with CPython 3.11 and SQLite 3.40, on Linux with 2 cores" in table(measured, "seconds")


def test_a_table_of_a_single_size_has_no_growth():
    rows = table(Measured((line("ours", {10: 0.002}),), ABOUT), "seconds").replace(NO_BREAK, " ").splitlines()
    assert rows[2] == "| ours | 2 ms | 2 ms |  |"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(0.4123), "0.41"),
        (number(12.34), "12.3"),
        (number(9.996), "10"),
        (number(1_234), "1,230"),
        (number(10_000_000), "10,000,000"),
        (duration(6.6e-11), "66 ps"),
        (duration(4.2e-8), "42 ns"),
        (duration(8.3e-5), "83 µs"),
        (duration(0.41), "410 ms"),
        (duration(119), "119 s"),
        (duration(150), "2.5 min"),
        (duration(9_000), "2.5 h"),
        (duration(200_000), "2.31 days"),
        (size(8_192), "8.19 kB"),
        (size(2.21e9), "2.21 GB"),
        (size(1e13), "10 TB"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str):
    assert written == expected


# --- on paper --------------------------------------------------------------------------------------------------------------


def test_the_calculation_on_paper_follows_from_what_was_measured():
    files = [
        line("fleet apply, no snapshots", {10_000: 10.0}),
        line("fleet apply, with snapshots", {10_000: 20.0}),
        line("fleet apply, nothing to do", {10_000: 1.0}),
        line("fleet status", {10_000: 2.0}),
    ]
    outcomes = [
        line("no worker, with a report", {1_000: 100_000.0}),
        line("two processes that answer at once", {1_000: 50_000.0}),
        line("two Dask workers that answer at once", {1_000: 10_000.0}),
    ]
    lines = {
        "bytes": [line("snapshot", {1: 0.01, 100: 1.0})],
        "files": files,
        "outcomes": outcomes,
        "memory": [line("two processes that answer at once", {1_000: 30.0, 10_000: 30.0})],
    }
    facts = {
        "snapshots of a database after one run": 1,
        "folders of a database for its snapshots": 1,
        "bytes of a report line": 140,
        "paths in a report line": 1,
        "bytes of a failed report line": 180,
        "paths in a failed report line": 2,
        "syncs a database, with a snapshot": 20,
    }
    results = Results({name: Measured(tuple(each), ABOUT) for name, each in lines.items()}, facts)
    found = paper.tables(results)
    rows = dict(re.findall(r"^\| (.*?) \| .* \| (.*?) \|$", "\n".join(found.values()), re.MULTILINE))
    assert rows["small files, with snapshots"] == "3.33 min"  # 100,000 at 500 a second
    assert rows["machines that it keeps busy"] == "20"  # 10,000 ÷ 500
    assert rows["one Dask coordinator for all"] == "16.7 min"  # 10,000,000 at 10,000 a second, not at 50,000
    assert rows["a hard disk, no snapshots"] == "83.3 min"  # 300,000 transactions at 60 a second
    assert rows["databases of 1 MB: their snapshots alone"] == "16.7 min"  # 100,000 times 10 ms
    assert rows["size at which a snapshot takes as long as the migrations"] == "100 kB"  # 1 ms at 10 ms a MB
    assert rows["syncs of 3 ms, 2 databases at a time"] == "50 min"  # 100,000 times 60 ms, two at a time
    assert rows["one report for all"] == "2 GB"  # 10,000,000 lines of 200 bytes
    assert rows["their lines"] == "3 MB"  # 10,000 lines of 300 bytes
    assert rows["inodes, one machine"] == "700,000"  # a database, its folder and five snapshots
    assert rows["memory of the coordinator"] == "30 MB"
    dask = next(curve for curve in paper.curves(results) if "Dask" in curve.name)
    assert dict(dask.points)[1_000] == pytest.approx(1_000 / 3_600), "more machines do not help a coordinator that is full"


# --- plots -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_no_text_of_a_plot_is_cut_off_or_lies_on_another(picture: str):
    assert not misplaced_texts(picture)


@pytest.mark.parametrize(
    ("name", "misplaced"),
    [
        ("short", []),
        ("a name that is longer than the room that there is for the names of lines", ["a name that is longer than the"]),
    ],
)
def test_a_text_that_is_cut_off_is_found(name: str, misplaced: list[str]):
    found = misplaced_texts(plot("A plot", "things", "seconds", [Curve(name, [(1, 0.001), (10, 0.01)])]))
    assert [each[: len("a name that is longer than the")] for each in found] == misplaced


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_a_plot_is_small_has_a_title_and_fetches_nothing(picture: str):
    assert len(picture) < 10_000
    assert ElementTree.fromstring(picture).findtext("{http://www.w3.org/2000/svg}title")
    assert not re.search(r"@font-face|@import|href=|url\(", picture)
    assert "prefers-color-scheme:dark" in picture


def test_points_are_drawn_where_they_belong():
    picture = plot(
        "A plot", "things", "seconds", [Curve("one", [(1, 0.001), (10, 0.01), (100, 0.1)]), Curve("two", [(1, 1.0), (100, 1.0)])]
    )
    lines = re.findall(r'class="line" d="M([\d. L]+)"', picture)
    rising, level = ([tuple(map(float, each.split())) for each in found.split("L")] for found in lines[:2])
    assert rising[0][0] < rising[1][0] < rising[2][0]
    assert rising[0][1] - rising[1][1] == pytest.approx(rising[1][1] - rising[2][1], abs=0.2), "powers of ten are equally far apart"
    assert level[0][1] == level[1][1] < rising[2][1], "more is higher"


@pytest.mark.parametrize(("least", "most"), [(24.8, 25.1), (11, 28), (0.0001, 100), (500, 1_500)])
def test_an_axis_has_at_least_two_marks(least: float, most: float):
    heights = drawing._heights([least, most])
    found = ticks(*heights)
    assert len(found) >= 2
    assert all(heights[0] <= each <= heights[1] for each in found)
