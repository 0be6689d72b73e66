"""SIGKILL at random moments: always at a boundary, nothing acknowledged is lost, the next run finishes without help."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = int(os.environ.get("HOMIE_KILLS", "200"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the campaign forks")
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_a_killed_run_leaves_the_database_at_a_boundary_and_the_next_one_finishes(tmp_path, journal_mode):
    seed = int(os.environ.get("HOMIE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"seed {seed} ({journal_mode}, {KILLS} kills)")
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "killing.py", journal_mode, str(KILLS), str(seed), tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-4000:]}"
    counts = json.loads(done.stdout)
    print(counts)
    assert counts["kills"] == KILLS
    assert counts["acknowledged_lost"] == 0
    # The campaign must have been able to see damage: kills in time, half-done work in the file, many boundaries.
    assert counts["in_time"] > KILLS / 2
    assert counts["left_journal"] > KILLS / 10
    assert sum(1 for count in counts["boundaries"] if count) >= 4
