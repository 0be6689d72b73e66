"""The tests that every pack has to pass."""

from homie_migrations_core.testing import PackContract


class TestPack(PackContract):
    """The file organizer's pack, which this one requires, is applied first by itself."""

    pack = "file_tags"
