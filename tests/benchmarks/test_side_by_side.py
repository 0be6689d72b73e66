"""Two checkouts are compared in processes that take turns."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # benchmarks is part of the repository and of no distribution

from benchmarks.measuring import result_row  # noqa: E402
from benchmarks.side_by_side import ComparedRow  # noqa: E402


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_checkout_compared_with_itself_has_a_ratio_for_each_measurement():
    done = run("--against", str(ROOT), "--rounds", "1", "nothing")
    assert (done.returncode, done.stderr) == (0, "")
    rows = re.findall(r"^  (\S.*?) +\d+\.\d{3} +\d+\.\d{3}-\d+\.\d{3}", done.stdout, re.MULTILINE)
    assert (
        rows
        == [
            "sqlite3: connect, SELECT version, close",
            "MigrationRunner(path, packs=[pack]).apply()",
            "run_migrations(path, [pack])",
        ]
        * 2
    )
    assert "Goals missed: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--against", "tests"], "is not a checkout of this repository"), (["nonsense"], "there is no benchmark nonsense")],
)
def test_what_cannot_be_measured_is_a_usage_error(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("here", "there", "goal", "verdict"),
    [
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], 1.05, "met"),
        ([1.2, 1.2, 1.2], [1.0, 1.0, 1.0], 1.05, "missed"),
        ([1.0, 1.2, 1.4], [1.0, 1.0, 1.4], 1.05, "met"),
        ([0.9, 1.1, 1.4], [1.0, 1.0, 1.0], 1.05, "unclear"),
        ([1.2, 1.2, 1.2], [1.0, 1.0, 1.0], None, ""),
    ],
)
def test_a_goal_is_missed_only_if_most_rounds_missed_it(here, there, goal, verdict):
    assert ComparedRow(**vars(result_row("x", here, there, goal=goal))).verdict == verdict
