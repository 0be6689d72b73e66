"""
What the author of a pack gets: new packs and migrations, imports of other tools' migrations, `check`, the crash test,
trials of one file, and what the pytest plugin is made of.

Knows how to make databases that are thrown away, fill them with sample rows, and judge what a migration does to them.
Leaves migrating to `running/`, SQLite to `sqlite/`, printing to `cli/`, and pytest to `testing.py`. Offers `check_pack`
and its parts (`check.py`), `create_pack` and `create_migration` (`scaffolding.py`, which fills in the files in `templates/`),
`import_folder` (`importing/`), `kill_everywhere` (`crash_test.py`), `try_file` (`trial.py`), and for tests `PackChoice`,
`DatabaseTemplates` and `missing_from_wheel`. Opens no database of anybody's.
"""
