"""The truth about a database: replay, validation, detection of a version, and diagrams. Changes nothing."""
