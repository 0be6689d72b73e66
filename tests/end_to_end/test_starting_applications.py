"""
The pages about starting applications, with the real servers: uvicorn, gunicorn, Django, units of systemd, a container's root.

What the pages show of tests and commands is run by tests/docs; here their files are started as their commands say.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from end_to_end.started_programs import (
    FAILS,
    LONG,
    NOBODY,
    ONCE,
    as_module,
    as_nobody,
    open_folder,  # noqa: F401  (a fixture)
    server,
    shell_command,
    write_files,
)
from helpers import query, recorded, tables
from pages.reading import text_of

FASTAPI, FLASK = "docs/how-to/start-with-fastapi.md", "docs/how-to/start-with-flask.md"
DJANGO, SYSTEMD, CONTAINER = (
    "docs/how-to/start-beside-django.md",
    "docs/how-to/start-with-systemd.md",
    "docs/how-to/start-in-a-container.md",
)
BOTH = ["notes:001_notes", "notes:002_more"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX servers")


def migration(folder: Path, code: str) -> None:
    """Add a second migration to the application."""
    (folder / "migrations" / "002_more.py").write_text(code, encoding="utf-8")


def on_a_free_port(command: list[str]) -> list[str]:
    """Return the command of a page with any free port instead of 8000."""
    assert any("8000" in word for word in command)
    return [word.replace("8000", "0") for word in command]


def wait_for(marker: Path) -> None:
    """Wait until a migration has shown that it runs."""
    end = time.monotonic() + 60
    while not marker.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- uvicorn ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_four_workers_of_uvicorn_apply_each_migration_once_and_all_serve(tmp_path):
    pytest.importorskip("uvicorn")
    write_files(FASTAPI, tmp_path)
    migration(tmp_path, ONCE)
    command = as_module(on_a_free_port(shell_command(FASTAPI, "uvicorn")))
    with server(command, tmp_path) as uvicorn:
        uvicorn.until("Application startup complete", times=4)
        assert len(json.loads(uvicorn.get("/notes"))) == 1
        assert uvicorn.end() == 0
    assert recorded(tmp_path / "notes.db") == BOTH


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "code"), [("1", 3), ("4", 0)])
def test_uvicorn_ends_with_the_message_of_a_failed_migration(tmp_path, workers, code):
    """And with code 0 if there are several workers, which the page warns of."""
    pytest.importorskip("uvicorn")
    write_files(FASTAPI, tmp_path)
    migration(tmp_path, FAILS)
    command = [word if word != "4" else workers for word in on_a_free_port(shell_command(FASTAPI, "uvicorn"))]
    with server(as_module(command), tmp_path) as uvicorn:
        assert uvicorn.process.wait(60) == code
        assert "Applying notes:002_more failed" in uvicorn.said()
    assert tables(tmp_path / "notes.db") == set()  # a new database is built whole or not at all


# --- gunicorn ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--preload"]], ids=["in each worker", "preloaded"])
def test_four_workers_of_gunicorn_apply_each_migration_once_and_all_serve(tmp_path, more):
    pytest.importorskip("gunicorn")
    write_files(FLASK, tmp_path)
    (tmp_path / "gunicorn.conf.py").unlink()
    migration(tmp_path, ONCE)
    command = [*as_module(on_a_free_port(shell_command(FLASK, "gunicorn"))), "--no-control-socket", *more]
    with server(command, tmp_path) as gunicorn:
        workers = gunicorn.until(r"Booting worker with pid: (\d+)", times=4)
        (applied_by,) = json.loads(gunicorn.get("/notes"))
        assert applied_by in ([str(gunicorn.process.pid)] if more else workers)
        assert gunicorn.end() == 0
        assert "Exception" not in gunicorn.said()
    assert recorded(tmp_path / "notes.db") == BOTH


@pytest.mark.slow
def test_the_main_process_of_gunicorn_applies_them_before_there_are_workers(tmp_path):
    pytest.importorskip("gunicorn")
    write_files(FLASK, tmp_path)
    migration(tmp_path, ONCE)
    command = as_module(["gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "app:create_app()"])
    with server(command, tmp_path) as gunicorn:
        assert json.loads(gunicorn.get("/notes")) == [str(gunicorn.process.pid)]
        (tmp_path / "migrations" / "003_reloaded.sql").write_text("INSERT INTO notes (text) VALUES ('reloaded')")
        gunicorn.process.send_signal(signal.SIGHUP)
        gunicorn.until(r"Booting worker with pid", times=8)
        end = time.monotonic() + 60
        while "reloaded" not in gunicorn.get("/notes") and time.monotonic() < end:
            time.sleep(0.05)
        assert json.loads(gunicorn.get("/notes")) == [str(gunicorn.process.pid), "reloaded"]
        assert gunicorn.end() == 0


@pytest.mark.slow
def test_sigterm_ends_gunicorn_while_its_main_process_migrates_and_the_next_start_goes_on(tmp_path):
    pytest.importorskip("gunicorn")
    write_files(FLASK, tmp_path)
    command = as_module(["gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "app:create_app()"])
    with server(command, tmp_path) as gunicorn:
        assert json.loads(gunicorn.get("/notes")) == []
        assert gunicorn.end() == 0
    marker = tmp_path / "runs"
    migration(tmp_path, LONG.format(marker=str(marker)))
    with server(command, tmp_path) as gunicorn:
        wait_for(marker)
        assert gunicorn.end() == -signal.SIGTERM
    migration(tmp_path, ONCE)
    with server(command, tmp_path) as gunicorn:
        assert json.loads(gunicorn.get("/notes")) == [str(gunicorn.process.pid)]
        assert gunicorn.end() == 0
    assert tables(tmp_path / "notes.db") == {"notes"}


@pytest.mark.slow
def test_gunicorn_ends_with_the_message_of_a_failed_migration(tmp_path):
    pytest.importorskip("gunicorn")
    write_files(FLASK, tmp_path)
    (tmp_path / "gunicorn.conf.py").unlink()
    migration(tmp_path, FAILS)
    with server([*as_module(on_a_free_port(shell_command(FLASK, "gunicorn"))), "--no-control-socket"], tmp_path) as gunicorn:
        assert gunicorn.process.wait(60) in (3, 1)  # 1 if another worker fails while it is ending
        assert "Applying notes:002_more failed" in gunicorn.said()
        assert "Worker failed to boot" in gunicorn.said()
    assert tables(tmp_path / "notes.db") == set()


# --- Django -----------------------------------------------------------------------------------------------------------------

IN_ONE_FILE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "website.one_file"
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, models, transaction
from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import LockTimeout
from notes.pack import NOTES, database

call_command("migrate", verbosity=0)
(NOTES.migrations / "002_authors.sql").write_text(
    "CREATE TABLE authors (note INTEGER REFERENCES notes (id), user INTEGER NOT NULL REFERENCES auth_user (id));"
)
with transaction.atomic():
    ada = User.objects.create(username="ada")
    try:
        MigrationRunner(database(), [NOTES], lock_timeout=0.2).apply()
    except LockTimeout:
        print("its own transaction is in the way")
MigrationRunner(database(), [NOTES]).apply()
with connection.cursor() as cursor:
    cursor.execute("INSERT INTO authors (user) VALUES (%s)", [ada.pk])

# Django rebuilds a table in order to change a column: a new table, a copy, a drop and a rename.
longer = models.CharField(max_length=200, null=True)
longer.set_attributes_from_name("first_name")
with connection.schema_editor() as editor:
    editor.alter_field(User, User._meta.get_field("first_name"), longer)
connection.check_constraints()
print([finding.message for finding in MigrationRunner(database(), [NOTES]).validate()])
with connection.cursor() as cursor:
    print(cursor.execute("SELECT username FROM authors JOIN auth_user ON auth_user.id = authors.user").fetchall())
"""


@pytest.mark.slow
def test_in_one_file_django_and_a_pack_leave_each_others_tables_alone(tmp_path):
    pytest.importorskip("django")
    write_files(DJANGO, tmp_path)
    done = subprocess.run([sys.executable, "-c", IN_ONE_FILE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["its own transaction is in the way", "[]", "[('ada',)]"]


@pytest.mark.slow
def test_in_two_files_neither_has_a_table_of_the_other(tmp_path):
    pytest.importorskip("django")
    write_files(DJANGO, tmp_path)
    for command in ("migrate", "migrate_notes"):
        subprocess.run([sys.executable, "manage.py", command, "--verbosity", "0"], cwd=tmp_path, check=True, capture_output=True)
    assert tables(tmp_path / "notes.db") == {"notes"}
    assert "notes" not in tables(tmp_path / "website.db")
    assert not query(tmp_path / "website.db", "SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'")


# --- systemd ----------------------------------------------------------------------------------------------------------------


def unit(folder: Path) -> configparser.RawConfigParser:
    """Write the unit of the page with the paths of a folder into it, and read it."""
    text = text_of(SYSTEMD).partition("```ini\n")[2].partition("```")[0]
    text = text.replace("/opt/notes", str(folder / "opt"))
    (folder / "notes.service").write_text(text, encoding="utf-8")
    parsed = configparser.RawConfigParser(strict=True)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(text)
    return parsed


def installed_in(folder: Path) -> None:
    """Write the application of the other page to `opt`, with an environment whose programs are those of this one."""
    write_files(FLASK, folder / "opt")
    (folder / "opt" / "gunicorn.conf.py").unlink()
    programs = folder / "opt" / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, module in (("homie", "homie_migrations_core"), ("gunicorn", "gunicorn")):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
        (programs / name).chmod(0o755)


@pytest.mark.slow
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    installed_in(tmp_path)
    unit(tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "notes.service")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.slow
def test_the_commands_of_the_unit_run_as_its_user_who_may_write_its_state_only(open_folder):  # noqa: F811
    nobody = as_nobody()
    installed_in(open_folder)
    service = unit(open_folder)["Service"]
    state = open_folder / "state" / service["StateDirectory"]
    state.mkdir(parents=True)
    os.chown(state, NOBODY, NOBODY)

    def words(setting: str) -> list[str]:
        return shlex.split(service[setting].replace("%S", str(open_folder / "state")).replace("8000", "0").replace("()", "'()'"))

    name, value = words("Environment")[0].split("=")
    before = subprocess.run([*nobody, *words("ExecStartPre")], cwd=service["WorkingDirectory"], capture_output=True, check=False)
    assert before.returncode == 0, before.stderr
    assert recorded(state / "notes.db") == ["notes:001_notes"]
    log = open_folder / "server.log"
    with server([*nobody, *words("ExecStart")], Path(service["WorkingDirectory"]), log=log, **{name: value}) as gunicorn:
        assert json.loads(gunicorn.get("/notes")) == []
        assert gunicorn.end() == 0
    assert {path.name for path in state.iterdir()} == {"notes.db"}

    (open_folder / "opt" / "migrations" / "002_more.py").write_text(FAILS)
    failed = subprocess.run([*nobody, *words("ExecStartPre")], cwd=service["WorkingDirectory"], capture_output=True, check=False)
    assert failed.returncode == 1
    assert b"notes:002_more failed" in failed.stderr
    (open_folder / "opt" / "migrations" / "002_more.py").write_text(ONCE)
    asked = next(line for line in text_of(SYSTEMD).splitlines() if "status --check" in line).partition("=")[2]
    asked = asked.replace("%S", str(open_folder / "state")).replace("/opt/notes", str(open_folder / "opt"))
    assert subprocess.run([*nobody, *shlex.split(asked)], capture_output=True, check=False).returncode == 3


# --- a container ------------------------------------------------------------------------------------------------------------

READ_ONLY = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro /
mount -t tmpfs tmpfs /dev/shm
mount -t proc proc /proc
shift
exec "$@"
"""


@pytest.fixture
def container(open_folder):  # noqa: F811
    """Return the image's folder, the volume, and the words that run a command as in a container."""
    nobody = as_nobody()
    image, volume = open_folder / "app", open_folder / "data"
    write_files(FLASK, image)
    (image / "gunicorn.conf.py").unlink()
    write_files(CONTAINER, image)
    volume.mkdir()
    os.chown(volume, NOBODY, NOBODY)
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", READ_ONLY, "sh", str(volume)]
    probe = subprocess.run(
        [*namespaces, *nobody, "sh", "-c", "! touch app/x 2>&1 && touch data/x && rm data/x && echo $$"],
        cwd=open_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.stdout.split("\n")[-2:] != ["1", ""]:
        pytest.skip(f"no namespaces here: {probe.stdout}{probe.stderr}")
    return image, volume, [*namespaces, *nobody]


def dockerfile(image: Path, instruction: str) -> list[str]:
    """Return the words of an instruction in the page's Dockerfile."""
    lines = (image / "Dockerfile").read_text(encoding="utf-8").splitlines()
    found = next(line for line in lines if line.startswith(f"{instruction} "))
    words = json.loads(found.removeprefix(instruction))
    assert isinstance(words, list)
    return [sys.executable if word == "python" else word for word in words]


SORTS = """
def get_migration_version(): return 2
def apply_migration(conn):
    conn.execute("CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) "
                 "SELECT hex(randomblob(50)) AS text FROM n")
    conn.execute("CREATE INDEX big_text ON big (text)")
"""


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_a_large_index_needs_the_folder_for_temporary_files_that_the_dockerfile_names(container, named):
    image, volume, inside = container
    migration(image, SORTS)
    temporary = {"SQLITE_TMPDIR": str(volume)} if named else {}
    done = subprocess.run(
        [*inside, *dockerfile(image, "ENTRYPOINT"), "true"],
        cwd=image,
        env=os.environ | {"NOTES_DATABASE": str(volume / "notes.db")} | temporary,
        capture_output=True,
        check=False,
    )
    assert done.returncode == (0 if named else 1)
    assert (b"no writable folder for temporary files" in done.stderr) is not named
    assert "SQLITE_TMPDIR=/data" in (image / "Dockerfile").read_text()


@pytest.mark.slow
def test_the_entrypoint_migrates_on_a_read_only_root_as_another_user_and_becomes_the_program(container):
    image, volume, inside = container
    programs = as_module(dockerfile(image, "CMD"))
    command = [*dockerfile(image, "ENTRYPOINT"), *(word.replace("0.0.0.0:8000", "127.0.0.1:0") for word in programs)]
    migration(image, ONCE)
    with server([*inside, *command], image, log=volume.parent / "log", NOTES_DATABASE=str(volume / "notes.db")) as started:
        assert json.loads(started.get("/notes")) == ["1"]  # process 1 applied it
        assert "(1)" in started.until(r"Listening at: .*")[0]  # and process 1 is gunicorn now
    assert recorded(volume / "notes.db") == BOTH
    assert {path.name for path in image.iterdir()} == {"app.py", "test_app.py", "migrations", "entrypoint.py", "Dockerfile"}


@pytest.mark.slow
def test_sigterm_to_the_entrypoint_undoes_the_running_migration_at_once(container):
    image, volume, inside = container
    marker = volume / "runs"
    environment = {"NOTES_DATABASE": str(volume / "notes.db")}
    done = subprocess.run([*inside, *dockerfile(image, "ENTRYPOINT"), "true"], cwd=image, env=os.environ | environment, check=False)
    assert done.returncode == 0
    migration(image, LONG.format(marker=str(marker)))
    with server([*inside, *dockerfile(image, "ENTRYPOINT"), "true"], image, log=volume.parent / "log", **environment) as started:
        wait_for(marker)
        children = Path(f"/proc/{started.process.pid}/task/{started.process.pid}/children").read_text().split()
        begun = time.monotonic()
        os.kill(int(children[0]), signal.SIGTERM)
        assert started.process.wait(60) == 1
        assert time.monotonic() - begun < 5
        assert "run_stopped: Stopped on request" in started.said()
    assert recorded(volume / "notes.db") == ["notes:001_notes"]
    assert tables(volume / "notes.db") == {"notes"}
    assert {path.name for path in volume.iterdir()} == {"notes.db", "runs"}
