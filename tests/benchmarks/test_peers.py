"""The measurement beside other tools does the same work with each of them, and its page says what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from svg_texts import misplaced_texts

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # benchmarks is part of the repository and of no distribution

from benchmarks.measuring import CommandFailed, result_row  # noqa: E402
from benchmarks.peers import page  # noqa: E402
from benchmarks.peers.__main__ import versions  # noqa: E402
from benchmarks.peers.projects import OURS, PEERS, Tool  # noqa: E402
from benchmarks.peers.runs import COUNTS, PLAIN, Project  # noqa: E402

PROGRAMS = Path(sys.executable).parent


@pytest.mark.slow
@pytest.mark.parametrize("tool", [PLAIN, *OURS, *PEERS], ids=lambda tool: tool.name)
def test_a_tool_makes_every_table_and_has_nothing_to_do_then(tool: Tool, tmp_path: Path):
    project = Project(tool, PROGRAMS, tmp_path, 3)
    for _ in range(2):
        assert project.apply_to_new() > 0
        assert project.apply() > 0


def test_a_tool_that_does_not_do_the_work_is_an_error(tmp_path: Path):
    idle = Tool("idle", (), lambda _folder, _count: None, ("python", "-c", "pass"))
    with pytest.raises(CommandFailed, match="idle made 0 tables instead of 3"):
        Project(idle, PROGRAMS, tmp_path / "idle", 3).apply_to_new()
    failing = Tool("failing", (), lambda _folder, _count: None, ("python", "-c", "raise SystemExit('no such command')"))
    with pytest.raises(CommandFailed, match="ended with exit code 1: no such command"):
        Project(failing, PROGRAMS, tmp_path / "failing", 3).apply()


def test_the_table_has_a_line_for_each_tool_and_a_column_for_each_comparison():
    floor, tool = [1.0, 2.0, 4.0], [3.0, 4.0, 40.0]
    nothing = [result_row("python", floor, floor), result_row("tool", tool, floor)]
    apply = [result_row("plain", floor, floor), result_row("tool", [0.5, 1.0, 3.0], floor)]
    assert page.table({"Nothing": nothing, "Apply": apply}, {"tool": "1.2"}).splitlines() == [
        "| | version | Nothing | Apply |",
        "|---|---|---|---|",
        "| python |  | 1 |  |",
        "| tool | 1.2 | **3.00** (2.50 to 6.50) | **0.50** (0.50 to 0.62) |",
        "| plain |  |  | 1 |",
    ]


def test_what_was_measured_replaces_what_was_measured_before_and_nothing_else(tmp_path: Path):
    file = tmp_path / "page.md"
    file.write_text("# Head\n\n<!-- measured: peers -->\n\nold\n\n<!-- end -->\n\nText.\n", encoding="utf-8")
    page.write("new", file)
    assert file.read_text(encoding="utf-8") == "# Head\n\n<!-- measured: peers -->\n\nnew\n\n<!-- end -->\n\nText.\n"


def test_the_page_shows_every_tool_with_the_release_that_is_measured():
    lines = page.PAGE.read_text(encoding="utf-8").splitlines()
    for tool in PEERS:
        assert [line for line in lines if line.startswith(f"| {tool.name} | {versions()[tool.name]} |")], tool.name
    picture = page.PICTURE.read_text(encoding="utf-8")
    assert not misplaced_texts(picture)
    assert {picture.count(f">{tool.name}</text>") for tool in (*OURS, *PEERS)} == {1 + len(COUNTS)}
    assert all(f">{count:,} migrations on a new database</text>" in picture for count in COUNTS)
    columns = next(line for line in lines if line.startswith("| | version |"))
    assert columns.count(" on a new database") == len(COUNTS)
