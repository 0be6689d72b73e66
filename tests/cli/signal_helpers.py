"""Signals, the endless migrations that they stop, and waiting for processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)] if os.name != "nt" else []
NAMES = [signal.Signals(number).name for number, _ in SIGNALS]
SECONDS = 8
"""How long a run may take to end: it is asked to within one, and this machine may be busy."""

BODIES = {
    "Python code": "for _ in range(10**6):\n        time.sleep(0.05)",
    "Python code that swallows errors": """for _ in range(10**6):
        try:
            time.sleep(0.05)
        except Exception:
            pass""",
    "one long call": "time.sleep(1000)",
    "one long statement": """conn.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO two SELECT i, NULL FROM n LIMIT -1 OFFSET 1"
    )""",
    "one long SELECT": """conn.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    ).fetchone()""",
    "many short statements": 'for i in range(10**9):\n        conn.execute("SELECT ?", (i,)).fetchall()',
    "one long script": """conn.executescript(
        "CREATE TABLE three (i); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n;"
    )""",
}


def endless(flag: Path, body: str, version: int = 2, function: str = "apply_migration") -> str:
    """Return a migration that touches the flag and then runs without end."""
    other = "" if function == "apply_migration" else "def apply_migration(conn):\n    conn.execute('CREATE TABLE two (a, b)')\n"
    return f"""
import time
from pathlib import Path

def get_migration_version():
    return {version}

{other}
def {function}(conn):
    conn.execute("CREATE TABLE IF NOT EXISTS two (a, b)")
    conn.execute("INSERT INTO one VALUES (2, 'must not stay')")
    Path({str(flag)!r}).touch()
    {body}
"""


def wait_for(condition: Callable[[], object], process) -> None:
    """Wait until the condition is true, while the process runs."""
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # A signal in the instant before the process enters a call that waits is not heard before that call ends: Python only looks
    # for one between two steps of its code, and when a signal interrupts the call.
    time.sleep(0.05)


def end(process, number: int) -> tuple[str, str]:
    """Send the signal, and wait for the end."""
    process.send_signal(number)
    return process.communicate(timeout=SECONDS)
