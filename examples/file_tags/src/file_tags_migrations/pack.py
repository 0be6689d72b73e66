"""The pack. It names the file organizer's database, so both packs share one file."""

from homie_migrations_core import MigrationPack, hookimpl

pack = MigrationPack(
    name="file_tags",
    migrations="file_tags_migrations.migrations",
    database="homie_file_organizer.db",
)


@hookimpl
def homie_migration_packs() -> MigrationPack:
    """Hand over the pack of the tags."""
    return pack
