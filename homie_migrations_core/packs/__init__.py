"""
What a pack is and where it comes from: its definition, names and files, and reading them without running them.

Also the hooks, the discovery of entry points, and which packs belong to a database. Opens no database.
"""
