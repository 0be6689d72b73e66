"""
The library beside other migration tools: the same work in whole processes, each tool in an environment of its own.

    make bench-peers                               # everything; writes the page docs/explanation/performance.md
    python -m benchmarks.peers --rounds 5          # fewer rounds, on a busy machine
    python -m benchmarks.peers --no-page           # print the table only

The environments are made in `.peers/`, which git ignores, when they are missing or when a release changed. `environments.py`
makes them, `projects.py` writes the same migrations for each tool, `page.py` writes the table, and `plot.py` draws it.
"""
