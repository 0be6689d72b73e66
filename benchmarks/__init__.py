"""
What the library costs, as ratios that are measured side by side in one run.

Beside plain `sqlite3` or the smallest Typer program:

    python -m benchmarks                    # everything, in about four minutes
    python -m benchmarks status apply       # only these
    python -m benchmarks --rounds 100 start # more rounds, whatever time they take

Beside another checkout, to see whether a change made something slower:

    git worktree add ../before v0.1.0
    python -m benchmarks --against ../before start status

The other checkout is run by the Python of its own `.venv` if it has one, otherwise by this Python. In each round both
checkouts run every measurement once, in random order, so that a busy machine slows both of them down. A ratio is the
time here divided by the time there: the median of all rounds, beside its quartiles. Rows that use no library (those
named `sqlite3`) have no goal; their ratios show how far chance alone goes.

`python -m benchmarks --help` lists the names. `HOMIE_BENCH_MB` is the size of the large database (1000 by default),
`TMPDIR` the disk that the databases are on (by default that of the checkout). Ratios are the result: seconds belong to
one machine. A missed goal is printed and is no failure; the exit code is 1 only if something could not be measured.
"""
