"""
Carry out a plan on a real database, and everything else that changes one.

A run's transactions, snapshot and observers are in `execution`; one step inside a transaction in `steps`, the checks before
its commit in `commit_checks`, the words of its failure in `failures`. Where the outcome is doubtful, `lost_transactions` and
`replaced_file` look at the file itself. `rehearsal` (with `step_recorder` and `losses`) does the same on a copy, `records` changes
records without running a migration, `restoring` brings a snapshot back, and `up_to_date` sees fast that there is nothing to do.
What should run is decided in planning, how SQLite is talked to in sqlite; nothing is printed.
"""
