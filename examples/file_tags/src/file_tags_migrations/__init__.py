"""Tags for the destinations of the file organizer: a pack, a log of migration runs, and a database on another drive."""
