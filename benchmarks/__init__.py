"""
What the library costs, as ratios against plain `sqlite3` or plain Typer, measured side by side in one run.

`python -m benchmarks` runs everything, `python -m benchmarks status apply` only what is named.
"""
