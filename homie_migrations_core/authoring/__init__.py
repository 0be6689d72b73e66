"""What the author of a pack gets: `check` with sample rows and hazards, and the crash test."""
