"""The file organizer's pack passes the tests that every pack has to pass."""

from homie_migrations_core.testing import PackContract


class TestPack(PackContract):
    pack = "file_organizer"
