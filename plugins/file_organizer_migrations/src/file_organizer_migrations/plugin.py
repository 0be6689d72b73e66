"""The pack and its one hook, which the entry point names. Applications do not import this module at their start."""

from homie_migrations_core import MigrationPack, hookimpl

pack = MigrationPack(
    name="file_organizer",
    migrations="file_organizer_migrations.migrations",
    database="homie_file_organizer.db",
)


@hookimpl
def homie_migration_packs() -> MigrationPack:
    """Hand over the file organizer's pack."""
    return pack
