"""Whether a pack applies to a new database, with what it requires and no more."""

from __future__ import annotations

from pathlib import Path

from checked_packs import codes, only
from helpers import creates, python_migration, write_pack

from homie_migrations_core.authoring.check import (
    check_from_nothing,
    check_hazards,
    check_pack,
)


def test_a_migration_that_fails_at_once_is_named_with_its_line(tmp_path: Path):
    body = "conn.execute('INSERT INTO nowhere VALUES (1)')"
    finding = only(
        check_pack(write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body), "002_b.py": creates(2, "b")}))
    )
    assert (finding.code, finding.subject) == ("does_not_apply", "p:001_a")
    assert "no such table: nowhere (001_a.py, line 8" in finding.message


def test_a_requirement_that_nobody_ships_is_a_finding(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a", requires=("q:1",))})
    finding = only(check_pack(pack))
    assert finding.code == "does_not_apply"
    assert "requires q:1, which no usable pack of this database ships" in finding.message


def test_a_requirement_that_is_used_and_not_declared_is_named(tmp_path: Path):
    other = write_pack(tmp_path / "a_q", "a_q", {"001_users.py": creates(1, "users")})
    bystander = write_pack(tmp_path / "r", "r", {"001_r.py": creates(1, "r")})
    body = "conn.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES users (id))')"
    files = {"001_notes.py": python_migration(1, body, rollback="conn.execute('DROP TABLE notes')")}
    finding = only(check_pack(write_pack(tmp_path / "p", "p", files), [other, bystander]))
    assert (finding.code, finding.subject) == ("undeclared_requirement", "p:001_notes")
    assert "works only where a_q is applied, which it does not require" in finding.message
    files = {"001_notes.py": python_migration(1, body, rollback="conn.execute('DROP TABLE notes')", requires=("a_q:1",))}
    assert check_pack(write_pack(tmp_path / "p", "p", files), [other, bystander]).passed


def test_what_a_later_migration_declares_does_not_help_an_earlier_one(tmp_path: Path):
    other = write_pack(tmp_path / "a", "a", {"001_users.py": creates(1, "users")})
    files = {
        "001_uses.py": python_migration(1, "conn.execute('INSERT INTO users (text) VALUES (1)')", rollback="pass"),
        "002_declares.py": creates(2, "notes", requires=("a:1",)),
    }
    found = check_from_nothing(write_pack(tmp_path / "p", "p", files), [other])
    assert codes(found) == ["undeclared_requirement"]


def test_rows_of_another_pack_are_not_to_be_changed_undeclared_even_if_only_where_it_is_there(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"001_users.py": creates(1, "users")})
    body = "if conn.execute(\"SELECT 1 FROM sqlite_master WHERE name = 'users'\").fetchone():\n    conn.execute('UPDATE users SET id = id')"
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body, rollback="pass")})
    finding = only(check_pack(pack, [other]))
    assert finding.code == "undeclared_requirement"
    assert "changes rows of users, a table of the pack u, which it does not require" in finding.message
    assert check_hazards(pack, [other]) == [finding]
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body, rollback="pass", requires=("u:1",))})
    assert check_pack(pack, [other]).passed


def test_one_jump_and_single_steps_make_the_same_schema(tmp_path: Path):
    counter = tmp_path / "runs"
    body = f"""
    from pathlib import Path
    runs = Path({str(counter)!r})
    before = int(runs.read_text()) if runs.exists() else 0
    runs.write_text(str(before + 1))
    conn.execute("CREATE TABLE run_%s (a)" % min(before, 1))
    """
    found = check_from_nothing(write_pack(tmp_path / "p", "p", {"001_a.py": python_migration(1, body)}))
    assert codes(found) == ["jump_differs"]
    assert "table run_1 added" in found[0].message


def test_what_can_not_share_a_transaction_does_not_apply(tmp_path: Path):
    body = "conn.create_function('upper', 1, lambda text: 'x')"
    files = {"001_a.py": python_migration(1, body), "002_b.py": creates(2, "b")}
    found = check_from_nothing(write_pack(tmp_path / "p", "p", files))
    assert codes(found) == ["does_not_apply"]
    assert "in the same transaction as the migrations before it" in found[0].message
