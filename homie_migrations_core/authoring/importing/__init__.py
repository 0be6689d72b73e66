"""
Migrations that were written for another tool, as the files of a pack.

Knows the shapes in which dbmate, goose (SQL), golang-migrate, sqlx, diesel and refinery keep their migrations
(`tools.py`, `sections.py`), and tries what it has read on scratch databases (`trial.py`). Leaves the writing of a pack to
`scaffolding.py`. Offers `import_folder` in `importer.py`. The originals are only read.
"""
