"""
Offer authors new packs, imports of other tools' migrations, `check`, the crash test, and trials of one file.

Knows how to make databases that are thrown away, fill them with sample rows, and judge what a migration does to them; the
pytest plugin is made of that, too. Leaves migrating to `running/`, SQLite to `sqlite/`, printing to `cli/`, and pytest to
`testing.py`. Offers `create_pack` and `create_migration` (`scaffolding.py`, which fills in the files in `templates/`),
`import_folder` (`importing/`), `check_pack` and its parts (`check.py`), `kill_everywhere` (`crash_test.py`), `try_file`
(`trial.py`), and for tests `PackChoice`, `DatabaseTemplates` and `missing_from_wheel`. Opens no database of anybody's.
"""
