"""Real entry points of real distributions: which packs are found, and which are broken and why."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys

import pytest
from helpers import PLUGIN_HEAD, SKIPS, creates, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.packs import discovery as plugins
from homie_migrations_core.packs.observers import Observers

FILES = {"001_a.py": creates(1, "a")}


def found(collected: plugins.Collected | None = None) -> dict[str, str | None]:
    """The packs of this test's distributions, by the distribution they came with."""
    packs = (collected or plugins.collect()).packs
    return {each.pack.name: each.distribution for each in packs if each.distribution != "homie-file-organizer-migrations"}


def broken(collected: plugins.Collected | None = None) -> dict[str, str]:
    """What is broken, by its label."""
    return {each.label: each.reason for each in (collected or plugins.collect()).broken}


# --- healthy ones -------------------------------------------------------------------------------------------


def test_a_pack_is_found_with_its_distribution(installed):
    folder = installed.pack("mail", FILES, database="app.db", version="2.5", distribution="acme-mail")
    (each,) = (each for each in plugins.collect().packs if each.pack.name == "mail")
    assert each.pack == MigrationPack("mail", "acme_mail_plugin.migrations", "app.db")
    assert (each.distribution, each.distribution_version, each.folder) == ("acme-mail", "2.5", str(folder))


def test_one_hook_may_hand_over_several_packs_or_none(installed, tmp_path):
    for name in ("one", "two"):
        write_pack(tmp_path / name, name, FILES)
    code = PLUGIN_HEAD + (
        f"@hookimpl\ndef homie_migration_packs():\n    return [MigrationPack(n, Path({str(tmp_path)!r}) / n) for n in "
        f"('one', 'two')]\n"
    )
    installed.distribution("several", {"several_plugin": code}, {"several": "several_plugin"})
    installed.distribution(
        "none", {"none_plugin": PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): return []\n"}, {"none": "none_plugin"}
    )
    collected = plugins.collect()
    assert found(collected) == {"one": "several", "two": "several"}
    assert broken(collected) == {}


def test_an_entry_point_may_name_an_object_in_a_module(installed, tmp_path):
    write_pack(tmp_path / "p", "p", FILES)
    code = (
        PLUGIN_HEAD
        + "class Plugin:\n    @hookimpl\n"
        + f"    def homie_migration_packs(self): return MigrationPack('p', Path({str(tmp_path / 'p')!r}))\n"
        + "plugin = Plugin()\n"
    )
    installed.distribution("object", {"object_plugin": code}, {"p": "object_plugin:plugin"})
    assert found() == {"p": "object"}


def test_a_plugin_that_only_observes_is_fine(installed):
    installed.distribution(
        "watch", {"watch_plugin": PLUGIN_HEAD + "@hookimpl\ndef homie_run_started(run): pass\n"}, {"watch": "watch_plugin"}
    )
    collected = plugins.collect()
    assert broken(collected) == {}
    assert [each.__name__ for each in collected.manager.get_plugins()].count("watch_plugin") == 1


def test_collecting_opens_no_migration_and_imports_no_package_of_them(installed):
    folder = installed.pack("mail", {"001_a.py": "raise SystemExit('was run')"})
    (folder / "__init__.py").write_text("raise SystemExit('was imported')")
    (folder / "001_a.py").chmod(0)
    assert found() == {"mail": "mail-dist"}
    assert "mail_plugin.migrations" not in sys.modules


# --- broken ones ----------------------------------------------------------------------------------------------

BROKEN_MODULES = {
    "import": (
        "import no_such_module_of_ours",
        "it can't be loaded (ModuleNotFoundError: No module named 'no_such_module_of_ours')",
    ),
    "syntax": ("def x(:", "it can't be loaded (SyntaxError: invalid syntax"),
    "exit at import": ("raise SystemExit(3)", "it can't be loaded (SystemExit: 3)"),
    "exit at the call": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): raise SystemExit('no')",
        "it can't be loaded (SystemExit: no)",
    ),
    "raises": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): return 1 / 0",
        "it can't be loaded (ZeroDivisionError: division by zero)",
    ),
    "skipped at import": (
        "import pytest\npytest.skip('not here', allow_module_level=True)",
        "it can't be loaded (Skipped: not here)",
    ),
    "pytest's exit at the call": (
        PLUGIN_HEAD + "import pytest\n@hookimpl\ndef homie_migration_packs(): pytest.exit('enough')",
        "it can't be loaded (Exit: enough)",
    ),
    "a BaseException of its own": (
        "class Odd(BaseException): pass\nraise Odd('mine')",
        "it can't be loaded (Odd: mine)",
    ),
    "an exception whose text raises": (
        "class Mute(BaseException):\n    def __str__(self): return 1 / 0\nraise Mute",
        "it can't be loaded (Mute, whose text can't be read)",
    ),
    "raises when it is looked at": (
        PLUGIN_HEAD + "def __dir__(): raise SystemExit('closed')\n@hookimpl\ndef homie_migration_packs(): return []",
        "it can't be loaded (SystemExit: closed)",
    ),
    "no hook": ("x = 1", "it implements no hook of homie_migrations"),
    "unmarked hook": ("def homie_migration_packs(): return []", "its homie_migration_packs is not marked with @hookimpl"),
    "unmarked beside a marked one": (
        PLUGIN_HEAD + "def homie_migration_packs(): return []\n@hookimpl\ndef homie_run_started(run): pass\n",
        "its homie_migration_packs is not marked with @hookimpl",
    ),
    "typo": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_pack(): return []",
        "it implements homie_migration_pack, but there is no such hook",
    ),
    "typo beside a good one": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): return []\n@hookimpl\ndef homie_step_start(run): pass\n",
        "it implements homie_step_start, but there is no such hook",
    ),
    "hook of another name": (
        PLUGIN_HEAD + "@hookimpl\ndef migration_packs(): return []",
        "unknown hook 'migration_packs' in plugin",
    ),
    "marked with a strange name": (
        PLUGIN_HEAD + "@hookimpl(specname='homie_nothing')\ndef f(): return []",
        "unknown hook 'homie_nothing' in plugin",
    ),
    "wrong argument": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_run_started(runs): pass",
        "Argument(s) {'runs'} are declared in the hookimpl",
    ),
    "returns nothing": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): pass",
        "homie_migration_packs() returned None, which is not a MigrationPack",
    ),
    "returns a name": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): return ['a.migrations']",
        "homie_migration_packs() returned 'a.migrations', which is not a MigrationPack",
    ),
    "no pack": (
        PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): return MigrationPack('A-b', 'x')",
        "This is not a valid migration pack: its name is 'A-b'.",
    ),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN_MODULES.values(), ids=BROKEN_MODULES)
def test_a_broken_entry_point_is_named_and_never_hides_the_healthy_ones(installed, code, reason):
    installed.pack("healthy", FILES)
    installed.distribution("bad-dist", {"bad_plugin": code}, {"bad": "bad_plugin"}, version="0.3")
    installed.pack("also_healthy", FILES)
    collected = plugins.collect()
    assert found(collected) == {"healthy": "healthy-dist", "also_healthy": "also_healthy-dist"}
    (each,) = collected.broken
    assert each.reason.startswith(reason) or (reason[0].isupper() and reason in each.reason)  # pluggy's own words
    assert (each.entry_point, each.pack, each.distribution, each.distribution_version) == ("bad", None, "bad-dist", "0.3")


@pytest.mark.parametrize("value", ["no_such_plugin", "json:no_such_name", "a b c!", ""])
def test_an_entry_point_that_leads_nowhere_is_broken(installed, value):
    installed.pack("healthy", FILES)
    installed.distribution("bad-dist", {}, {"bad": value})
    collected = plugins.collect()
    assert found(collected) == {"healthy": "healthy-dist"}
    assert list(broken(collected)) == ["entry point bad"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "it holds no migration (was the distribution built without its migration files?)"),
        ({"001_a.py": "", "helpers.py": ""}, "helpers.py is not a valid migration file name"),
        ({"001_a.py": "", "001_b.sql": ""}, "001_a.py and 001_b.sql have the same version 1"),
    ],
)
def test_a_pack_whose_file_names_cannot_be_used_is_broken_under_its_own_name(installed, files, reason):
    installed.pack("bad", files, database="app.db", entry_point="elsewhere")
    (each,) = plugins.collect().broken
    assert reason in each.reason
    assert (each.label, each.pack, each.database) == ("bad (entry point elsewhere)", "bad", "app.db")


@pytest.mark.parametrize(
    "code", ["raise KeyboardInterrupt", PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): raise KeyboardInterrupt"]
)
def test_ctrl_c_while_entry_points_are_read_passes_through(installed, code):
    installed.distribution("slow-dist", {"slow_plugin": code}, {"slow": "slow_plugin"})
    with pytest.raises(KeyboardInterrupt):
        plugins.collect()


@pytest.mark.parametrize("failure", ["raise SystemExit(1)", "1 / 0", SKIPS])
def test_a_pack_whose_parent_package_fails_is_broken_and_harms_no_other(installed, failure):
    installed.pack("healthy", FILES)
    code = PLUGIN_HEAD + "@hookimpl\ndef homie_migration_packs(): return MigrationPack('bad', 'failing_plugin.migrations')\n"
    installed.distribution("bad-dist", {"bad_plugin": code, "failing_plugin": failure}, {"bad": "bad_plugin"})
    collected = plugins.collect()
    assert found(collected) == {"healthy": "healthy-dist"}
    assert "its package failing_plugin.migrations can't be found" in broken(collected)["bad"]


def test_broken_packs_are_ordered_by_name(installed):
    installed.distribution("dist-3", {}, {"b": "no_such_plugin", "a": "no_such_plugin"})
    installed.distribution("dist-2", {}, {"b": "no_such_plugin"})
    installed.pack("z", {}, distribution="dist-4", entry_point="a")
    installed.pack("y", {}, distribution="dist-5", entry_point="a")
    installed.distribution("dist-1", {}, {"c": "x"})
    (installed.site / "dist_1-1.0.dist-info" / "entry_points.txt").write_text("[homie.migrations]\nno equals sign\n")
    assert [(each.entry_point, each.pack, each.distribution) for each in plugins.collect().broken] == [
        (None, None, "dist-1"),
        ("a", None, "dist-3"),
        ("a", "y", "dist-5"),
        ("a", "z", "dist-4"),
        ("b", None, "dist-2"),
        ("b", None, "dist-3"),
    ]


def test_a_plugin_may_have_names_of_its_own_that_begin_like_hooks(installed, tmp_path):
    write_pack(tmp_path / "p", "p", FILES)
    code = PLUGIN_HEAD + f"homie_folder = Path({str(tmp_path / 'p')!r})\ndef homie_helper(): return 'p'\n"
    code += "@hookimpl\ndef homie_migration_packs(): return MigrationPack(homie_helper(), homie_folder)\n"
    installed.distribution("own-names", {"own_plugin": code}, {"p": "own_plugin"})
    collected = plugins.collect()
    assert (found(collected), broken(collected)) == ({"p": "own-names"}, {})


def test_two_distributions_that_register_one_name_are_both_broken(installed):
    installed.pack("mail", FILES, distribution="first", entry_point="mail")
    installed.pack("mail", FILES, distribution="second", entry_point="mail", version="2.0")
    installed.pack("healthy", FILES)
    installed.pack("zzz", {}, distribution="third")
    installed.distribution("fourth", {}, {"zzzz": "no_such_plugin"})
    collected = plugins.collect()
    assert found(collected) == {"healthy": "healthy-dist"}
    reason = "the pack mail is registered more than once, by first and by second"
    assert [(each.pack, each.distribution, each.distribution_version, each.reason) for each in collected.broken[:2]] == [
        ("mail", "first", "1.0", reason),
        ("mail", "second", "2.0", reason),
    ]
    assert [each.distribution for each in collected.broken[2:]] == ["third", "fourth"]


def test_a_second_registration_counts_even_when_it_is_unusable_itself(installed):
    installed.pack("mail", FILES, distribution="first")
    installed.pack("mail", {}, distribution="second")
    collected = plugins.collect()
    assert found(collected) == {}
    assert {each.distribution: each.reason for each in collected.broken} == {
        "first": "the pack mail is registered more than once, by first and by second",
        "second": "it holds no migration (was the distribution built without its migration files?)",
    }


def test_two_entry_points_that_name_one_module_are_both_broken(installed, tmp_path):
    write_pack(tmp_path / "p", "p", FILES)
    code = PLUGIN_HEAD + f"@hookimpl\ndef homie_migration_packs(): return MigrationPack('p', Path({str(tmp_path / 'p')!r}))\n"
    installed.distribution("twice", {"twice_plugin": code}, {"one": "twice_plugin", "two": "twice_plugin"})
    collected = plugins.collect()
    assert found(collected) == {}
    reason = "the pack p is registered more than once, by twice and by twice"
    assert broken(collected) == {"p (entry point one)": reason, "p (entry point two)": reason}


def test_an_observer_that_is_registered_twice_is_called_once(installed, tmp_path):
    trace = tmp_path / "trace"
    code = PLUGIN_HEAD + f"@hookimpl\ndef homie_run_started(run):\n    with open({str(trace)!r}, 'a') as f: f.write('x')\n"
    installed.distribution("twice", {"twice_plugin": code}, {"one": "twice_plugin", "two": "twice_plugin"})
    collected = plugins.collect()
    assert broken(collected) == {}
    Observers(collected.manager).tell("homie_run_started", run=None)
    assert trace.read_text() == "x"


def test_of_one_distribution_found_twice_the_first_counts(installed, tmp_path, monkeypatch):
    installed.pack("mail", FILES, distribution="acme", version="1.0")
    hidden = tmp_path / "site-of-the-system"
    info = hidden / "acme-0.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 0.9\n")
    (info / "entry_points.txt").write_text("[homie.migrations]\nmail = acme_plugin\nold = no_such_plugin\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(hidden)])
    importlib.invalidate_caches()

    def is_the_first() -> bool:
        (each,) = (each for each in plugins.collect().packs if each.pack.name == "mail")
        return each.distribution_version == "1.0" and broken() == {}

    assert is_the_first()
    installed.distribution("stranger", {}, {})  # its malformed file makes them be read one by one
    (installed.site / "stranger-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nno equals sign\n")
    assert is_the_first()


@pytest.mark.parametrize("content", [b"[homie.migrations]\nno equals sign\n", b"[homie.migrations]\nbad = \xff\xfe\n"])
def test_a_malformed_file_of_entry_points_is_named_and_hides_no_other(installed, content):
    installed.pack("healthy", FILES)
    installed.distribution("bad-dist", {}, {"bad": "x"})
    (installed.site / "bad_dist-1.0.dist-info" / "entry_points.txt").write_bytes(content)
    collected = plugins.collect()
    assert found(collected) == {"healthy": "healthy-dist"}
    assert list(broken(collected)) == ["distribution bad-dist"]
    assert broken(collected)["distribution bad-dist"].startswith("its entry_points.txt can't be read (")


def test_a_malformed_file_of_other_entry_points_is_ignored(installed):
    installed.pack("healthy", FILES)
    installed.distribution("bad-dist", {}, {"bad": "x"})
    (installed.site / "bad_dist-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nno equals sign\n")
    collected = plugins.collect()
    assert (found(collected), broken(collected)) == ({"healthy": "healthy-dist"}, {})


def test_a_distribution_without_metadata_does_not_stop_the_others(installed):
    installed.pack("healthy", FILES)
    installed.pack("bare", FILES)
    (installed.site / "bare_dist-1.0.dist-info" / "METADATA").unlink()
    importlib.invalidate_caches()
    assert "healthy" in found()


def test_a_broken_pack_never_stops_a_healthy_one_of_the_same_database(installed, tmp_path, caplog):
    installed.pack("healthy", FILES, database="homie_app.db")
    installed.pack("bad", {"helpers.py": ""}, database="homie_app.db")
    database = tmp_path / "homie_app.db"
    with caplog.at_level(logging.ERROR, "homie_migrations"):
        assert [each.ref for each in MigrationRunner(database).apply()] == ["healthy:001_a"]
    assert "The pack bad was left out: helpers.py is not a valid migration file name" in caplog.text
    assert MigrationRunner(database).status().packs["bad"].state == "broken"


# --- what is not read ---------------------------------------------------------------------------------------------------


def test_a_runner_with_its_own_packs_reads_no_entry_point(tmp_path, pack):
    code = f"""
import sys
from pathlib import Path
from homie_migrations_core import MigrationPack, MigrationRunner
MigrationRunner({str(tmp_path / "homie_p.db")!r}, [MigrationPack("p", Path({str(tmp_path / "p")!r}))]).apply()
print(sorted({{"importlib_metadata", "importlib.metadata"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_of_a_distribution_is_told_for_its_packages(installed):
    installed.pack("mail", FILES, version="2.5")
    (installed.site / "mail_dist-2.5.dist-info" / "top_level.txt").write_text("mail_plugin\n")
    assert plugins.version_of("mail_plugin.migrations") == "2.5"
    assert plugins.version_of("no_such_package_of_ours") is None
    installed.pack("bare", FILES)
    (installed.site / "bare_dist-1.0.dist-info" / "METADATA").unlink()
    (installed.site / "bare_dist-1.0.dist-info" / "top_level.txt").write_text("bare_plugin\n")
    importlib.invalidate_caches()
    assert plugins.version_of("bare_plugin.migrations") is None
    (installed.site / "bare_dist-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bare-dist\nVersion: 1.0\n")
    (installed.site / "bare_dist-1.0.dist-info" / "top_level.txt").write_text("mail_plugin\n")
    importlib.invalidate_caches()
    assert plugins.version_of("mail_plugin.migrations") is None  # of two that bring it, none is guessed at
