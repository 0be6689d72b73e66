"""Everything that knows `sqlite3`; nothing outside this package does."""
