"""
The process that runs one benchmark of one checkout for `side_by_side`: `python worker.py CHECKOUT NAME FOLDER`.

It uses the checkout's own `benchmarks` package, because an older one may import modules that have moved since. On each
line of standard input it does one thing and answers with one line of JSON: `next` makes the next comparison ready,
`run N` runs its candidate N once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main(checkout: str, name: str, folder: str) -> None:
    """Serve until standard input ends."""
    sys.path[0] = checkout  # instead of the folder of this script, which may belong to another checkout
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a benchmark may print, and must not print between the answers
    import homie_migrations_core
    from benchmarks.__main__ import BENCHMARKS

    used = Path(homie_migrations_core.__file__).resolve()
    if not used.is_relative_to(checkout):
        raise SystemExit(f"the benchmarks of {checkout} would measure {used.parent}, which is another checkout")
    comparisons = BENCHMARKS[name](Path(folder))
    current: Any = None
    for line in sys.stdin:
        request = line.split()
        try:
            if request[0] == "next":
                current = next(comparisons, None)
                answer = _described(current)
            else:
                answer = {"seconds": current.candidates[int(request[1])].run()}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _described(comparison: Any) -> dict[str, object]:
    if comparison is None:
        return {"end": True}
    return {
        "title": comparison.title,
        "names": [each.name for each in comparison.candidates],
        "rounds": comparison.rounds,
        "budget": comparison.budget,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
