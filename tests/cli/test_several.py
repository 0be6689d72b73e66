"""Several packs and databases in one call: a failure in one does not stop the others, and the exit code shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, recorded

from homie_migrations_core.cli.options import OutputOptions
from homie_migrations_core.cli.report import Report

FAILS = "def get_migration_version(): return 1\ndef apply_migration(conn): raise ValueError('not today')\n"
FILE = "homie_file_organizer.db"
OURS = ["file_organizer:001_destination_memory"]


def test_a_failing_migration_in_one_database_does_not_stop_another(homie, installed, tmp_path: Path):
    installed.pack("alpha", {"001_a.py": FAILS})
    installed.pack("zebra", {"001_z.py": creates(1, "z")})

    result = homie("apply", "--data-dir", tmp_path)

    assert result.code == 1
    assert recorded(tmp_path / "modules" / FILE) == OURS
    assert recorded(tmp_path / "modules" / "homie_zebra.db") == ["zebra:001_z"]
    assert "Applying alpha:001_a failed" in result.err
    assert len(problems(result.err)) == 1
    again = homie("apply", "--data-dir", tmp_path, "--json")
    assert again.code == 1
    assert [(Path(each["path"]).name, each.get("error", {}).get("code")) for each in again.json["databases"]] == [
        ("homie_alpha.db", "migration_failed"),
        (FILE, None),
        ("homie_zebra.db", None),
    ]


def test_a_file_that_is_not_a_database_does_not_stop_another_database(homie, tmp_path: Path):
    (tmp_path / "text.db").write_text("no database " * 100)
    result = homie("apply", "--database", tmp_path / "text.db", "--database", tmp_path / FILE)
    assert result.code == 2
    assert recorded(tmp_path / FILE) == OURS


# what a distribution gets wrong → what the message must contain
def broken_file_name(installed):
    installed.pack("stranger", {"003destination.py": creates(3, "x")})
    return "stranger of stranger-dist: 003destination.py is not a valid migration file name"


def missing_module(installed):
    installed.distribution("stranger-dist", {}, {"stranger": "stranger_plugin_that_is_not_there"})
    return "entry point stranger of stranger-dist: it can't be loaded (ModuleNotFoundError"


def failing_module(installed):
    installed.distribution("stranger-dist", {"stranger_plugin": "raise SystemExit('go away')"}, {"stranger": "stranger_plugin"})
    return "entry point stranger of stranger-dist: it can't be loaded (SystemExit: go away)"


def skipping_module(installed):
    code = "import pytest\npytest.skip('not on this machine', allow_module_level=True)"
    installed.distribution("stranger-dist", {"stranger_plugin": code}, {"stranger": "stranger_plugin"})
    return "entry point stranger of stranger-dist: it can't be loaded (Skipped: not on this machine)"


def no_hook(installed):
    installed.distribution("stranger-dist", {"stranger_plugin": ""}, {"stranger": "stranger_plugin"})
    return "entry point stranger of stranger-dist: it implements no hook"


def misspelt_hook(installed):
    code = "from homie_migrations_core import hookimpl\n@hookimpl\ndef homie_migration_pack(): ...\n"
    installed.distribution("stranger-dist", {"stranger_plugin": code}, {"stranger": "stranger_plugin"})
    return "entry point stranger of stranger-dist: it implements homie_migration_pack, but there is no such hook"


def empty_pack(installed):
    installed.pack("stranger", {})
    return "stranger of stranger-dist: it holds no migration"


def syntax_error(installed):
    installed.pack("stranger", {"001_one.py": "def ("})
    return "001_one.py, line 1: "


BROKEN = [broken_file_name, missing_module, failing_module, skipping_module, no_hook, misspelt_hook, empty_pack, syntax_error]


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda breaks: breaks.__name__)
def test_a_broken_distribution_is_named_the_exit_code_is_1_and_the_healthy_work_is_done(homie, installed, tmp_path: Path, breaks):
    words = breaks(installed)

    result = homie("apply", "--data-dir", tmp_path)

    assert result.code == 1
    assert words in result.err
    assert 1 <= len(problems(result.err)) <= 2
    assert recorded(tmp_path / "modules" / FILE) == OURS
    assert not (tmp_path / "modules" / "homie_stranger.db").exists()

    before = fingerprint(tmp_path)
    for command in ("status", "plan", "packs", "apply"):
        again = homie(command, *([] if command == "packs" else ["--data-dir", tmp_path]), "--json")
        assert again.code == 1, command
        assert [words.rpartition("dist: ")[2] in each["reason"] for each in again.json["broken"]] == [True], command
        assert again.json["broken"][0]["distribution"] == "stranger-dist"
        assert again.json["broken"][0].keys() == {"entry_point", "distribution", "reason"}
    assert fingerprint(tmp_path) == before


def test_the_healthy_pack_of_a_shared_database_is_applied_beside_a_broken_one(homie, installed, tmp_path: Path):
    installed.pack("stranger", {"001_one.py": "def ("}, database=FILE)
    result = homie("apply", "--data-dir", tmp_path)
    assert result.code == 1
    assert recorded(tmp_path / "modules" / FILE) == OURS
    assert "Left out: stranger: 001_one.py, line 1" in result.err
    assert len(problems(result.err)) == 1


def test_a_broken_pack_that_was_not_named_is_ignored(homie, installed, tmp_path: Path):
    installed.pack("stranger", {"001_one.py": "def ("}, database=FILE)
    installed.pack("other", {"x.py": ""}, database=FILE)
    result = homie("apply", "--data-dir", tmp_path, "--pack", "file_organizer")
    assert (result.code, result.err) == (0, "")
    assert recorded(tmp_path / "modules" / FILE) == OURS


@pytest.mark.parametrize("breaks", [broken_file_name, empty_pack, syntax_error], ids=lambda breaks: breaks.__name__)
@pytest.mark.parametrize("command", ["apply", "plan", "status"])
def test_a_broken_pack_that_is_named_itself_ends_with_1(homie, installed, tmp_path: Path, breaks, command):
    breaks(installed)
    result = homie(command, "--data-dir", tmp_path, "--pack", "stranger")
    assert result.code == 1
    assert len((result.err or result.out).splitlines()) <= 4
    assert list(tmp_path.iterdir()) == []


def test_status_shows_the_packs_that_are_named_and_no_other(homie, installed, tmp_path: Path):
    installed.pack("alpha", {"001_a.py": creates(1, "a")}, database=FILE)
    installed.pack("beta", {"001_b.py": creates(1, "b", requires=("alpha:1",))}, database=FILE)
    installed.pack("gone", {"001_g.py": creates(1, "g")}, database=FILE, distribution="gone-dist")
    homie("apply", "--data-dir", tmp_path, "--pack", "alpha", "--pack", "gone")
    (installed.site / "gone_dist_plugin" / "migrations" / "helpers.py").touch()  # from now on it is broken

    result = homie("status", "--data-dir", tmp_path, "--pack", "alpha", "--check")
    assert result.code == 0
    assert "alpha" in result.out
    for other in ("beta", "file_organizer", "gone"):
        assert f" {other} " not in result.out
    for names, state in ((["alpha"], "up_to_date"), (["beta"], "pending"), (["alpha", "beta"], "pending")):
        options = [option for name in names for option in ("--pack", name)]
        (shown,) = homie("status", "--data-dir", tmp_path, "--json", *options).json["databases"]
        assert ([each["name"] for each in shown["packs"]], shown["state"]) == (names, state)
    everything = homie("status", "--data-dir", tmp_path)
    assert everything.code == 1
    for name in ("alpha", "beta", "file_organizer", "gone"):
        assert name in everything.out


def test_a_pack_that_requires_a_broken_one_is_left_out_and_named(homie, installed, tmp_path: Path):
    installed.pack("stranger", {"001_one.py": "def ("}, database=FILE)
    installed.pack("needy", {"001_needs.py": creates(1, "needs", requires=("stranger:1",))}, database=FILE)
    result = homie("apply", "--data-dir", tmp_path)
    assert result.code == 1
    assert recorded(tmp_path / "modules" / FILE) == OURS
    assert "needy:001_needs requires stranger:1" in result.err
    assert len(result.err.splitlines()) == 2


def test_two_distributions_with_one_pack_name_are_both_named_and_neither_wins(homie, installed, tmp_path: Path):
    for distribution in ("first-dist", "second-dist"):
        installed.pack("stranger", {"001_one.py": creates(1, "one")}, distribution=distribution)
    result = homie("apply", "--data-dir", tmp_path, "--json")
    assert result.code == 1
    assert {each["distribution"] for each in result.json["broken"]} == {"first-dist", "second-dist"}
    assert recorded(tmp_path / "modules" / FILE) == OURS
    assert not (tmp_path / "modules" / "homie_stranger.db").exists()


def test_requirements_order_the_steps_across_packs(homie, installed, tmp_path: Path):
    installed.pack("alpha", {"001_a.py": creates(1, "a", requires=("zebra:1",))}, database="homie_zebra.db")
    installed.pack("zebra", {"001_z.py": creates(1, "z"), "002_z.py": creates(2, "zz")})
    assert homie("plan", "--data-dir", tmp_path, "--pack", "alpha").out.splitlines()[1:] == ["  1. zebra:001_z", "  2. alpha:001_a"]
    assert homie("apply", "--data-dir", tmp_path, "--to", "alpha:1").code == 0
    assert recorded(tmp_path / "modules" / "homie_zebra.db") == ["alpha:001_a", "zebra:001_z"]


def test_a_pack_that_others_require_is_not_rolled_back_from_under_them(homie, installed, tmp_path: Path):
    installed.pack("alpha", {"001_a.py": creates(1, "a", requires=("zebra:1",))}, database="homie_zebra.db")
    installed.pack("zebra", {"001_z.py": creates(1, "z")})
    homie("apply", "--data-dir", tmp_path)
    before = fingerprint(tmp_path)
    result = homie("rollback", "zebra", "--data-dir", tmp_path, "--yes")
    assert (result.code, result.out) == (1, "")
    assert "alpha:001_a is applied and requires zebra:1" in result.err
    assert fingerprint(tmp_path) == before


def test_observers_of_other_distributions_hear_of_a_run_of_the_command(homie, installed, tmp_path: Path):
    code = f"""
from pathlib import Path
from homie_migrations_core import hookimpl
@hookimpl
def homie_step_finished(run, step):
    Path({str(tmp_path / "heard")!r}).open("a").write(step.ref + " ")
"""
    installed.distribution(
        "listener-dist", {"listener_plugin": code.replace('.open("a").write', ".write_text")}, {"listener": "listener_plugin"}
    )
    assert homie("apply", "--data-dir", tmp_path / "data").code == 0
    assert (tmp_path / "heard").read_text() == "file_organizer:001_destination_memory "
    assert "listener" not in homie("packs").out


def test_a_failing_observer_is_reported_and_does_not_stop_the_run(homie, installed, tmp_path: Path):
    code = "from homie_migrations_core import hookimpl\n@hookimpl\ndef homie_step_started(run, step): raise ValueError('deaf')\n"
    installed.distribution("listener-dist", {"listener_plugin": code}, {"listener": "listener_plugin"})
    result = homie("apply", "--data-dir", tmp_path)
    assert result.code == 0
    assert recorded(tmp_path / "modules" / FILE) == OURS
    assert result.err == "Error: An observer failed in homie_step_started; the run continues. (ValueError: deaf)\n"


# --- which exit code wins --------------------------------------------------------------------------------


def test_2_beats_1(homie, installed, tmp_path: Path):
    installed.pack("alpha", {"001_a.py": FAILS}, database=FILE)
    (tmp_path / "text.db").write_text("no database " * 100)
    one, two = ("--database", tmp_path / FILE), ("--database", tmp_path / "text.db")
    assert homie("apply", *one).code == 1
    assert homie("apply", *two, "--pack", "alpha").code == 2
    assert homie("apply", *one, *two, "--pack", "alpha").code == 2
    assert homie("apply", *two, *one, "--pack", "alpha").code == 2


def test_1_beats_3(homie, installed, tmp_path: Path):
    assert homie("status", "--check", "--data-dir", tmp_path).code == 3
    installed.pack("stranger", {"x.py": ""})
    assert homie("status", "--check", "--data-dir", tmp_path).code == 1


def test_2_beats_3(homie, tmp_path: Path):
    (tmp_path / "text.db").write_text("no database " * 100)
    given = ("--database", tmp_path / FILE, "--database", tmp_path / "text.db")
    assert homie("status", "--check", *given).code == 2
    assert homie("status", "--check", *given[2:], *given[:2]).code == 2


@pytest.mark.parametrize(
    ("codes", "strongest"),
    [((3, 4), 4), ((4, 3, 1), 1), ((1, 2), 2), ((3, 4, 1, 2), 2), ((2, 130), 130), ((1, 143), 143), ((3,), 3), ((), 0)],
)
def test_2_beats_1_beats_4_beats_3_and_an_interruption_beats_all(codes, strongest):
    with pytest.raises(SystemExit) as ended, Report(OutputOptions()) as report:
        for code in codes:
            report.exit_with(code)
    assert ended.value.code == strongest
