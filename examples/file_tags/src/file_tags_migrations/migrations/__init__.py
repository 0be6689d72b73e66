"""The migrations of the tags, one file each (a migration in SQL may have a second one for its rollback)."""
