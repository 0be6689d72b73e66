"""The file organizer's migrations, one file each."""
