"""Plugins are registered without pluggy where that means the same: the same packs, errors, names and calls."""

from __future__ import annotations

import itertools
import re
from types import ModuleType

import pluggy
import pytest
from helpers import PLUGIN_HEAD
from hypothesis import given
from hypothesis import strategies as st

from homie_migrations_core import hookimpl
from homie_migrations_core.packs import hookspecs
from homie_migrations_core.packs.files import UnusablePack
from homie_migrations_core.packs.plugins import HOOKS, Plugins

FLAGS = ("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast")


def module_of(code: str, name: str = "some_plugin") -> ModuleType:
    module = ModuleType(name)
    exec(PLUGIN_HEAD + code, vars(module))
    return module


def outcome(plugins: Plugins, modules: list[object]) -> list[object]:
    """What registering the modules one after the other and asking each for its packs comes to."""
    told: list[object] = []
    for module in modules:
        try:
            plugins.register(module)
            told.append(plugins.packs_of(module))
        except UnusablePack as error:
            told.append(re.sub(r"0x[0-9a-f]+", "an address", str(error)))  # a generator, asked twice, is another one
        except Exception as error:
            told.append(repr(error))
    manager = plugins.manager
    told.append(manager.list_name_plugin())
    calls = {hook: getattr(manager.hook, hook).get_hookimpls() for hook in sorted(HOOKS)}
    return [*told, {hook: [(each.plugin_name, each.function, each.opts) for each in found] for hook, found in calls.items()}]


def both_ways(modules: list[object]) -> tuple[bool, list[object], list[object]]:
    """Whether pluggy was left out until the end, and the outcome of both ways."""
    without, with_pluggy = Plugins(), Plugins()
    assert with_pluggy.manager is with_pluggy.manager  # from now on pluggy registers everything
    for module in modules:
        try:
            without.register(module)
        except Exception:
            continue
    left_out = without._manager is None
    return left_out, outcome(Plugins(), modules), outcome(with_pluggy, modules)


PLAIN = {
    "one hook": "@hookimpl\ndef homie_migration_packs(): return MigrationPack('a', 'b')",
    "several packs": "@hookimpl\ndef homie_migration_packs(): return [MigrationPack('a', 'b'), MigrationPack('c', 'd')]",
    "no packs": "@hookimpl\ndef homie_migration_packs(): return ()",
    "not a pack": "@hookimpl\ndef homie_migration_packs(): return 3",
    "fails": "@hookimpl\ndef homie_migration_packs(): return 1 / 0",
    "needs an argument of its own": "@hookimpl\ndef homie_migration_packs(*, more): return []",
    "a mark of pluggy's own": "import pluggy\n@pluggy.HookimplMarker('homie_migrations')\ndef homie_migration_packs(): return []",
    "a mark of another project": (
        "import pluggy\n@pluggy.HookimplMarker('other')\ndef homie_helper(): pass\n@hookimpl\ndef homie_migration_packs(): return []"
    ),
    "ordered": "@hookimpl(tryfirst=True)\ndef homie_migration_packs(): return []\n@hookimpl(trylast=True)\ndef homie_run_started(): pass",
    "observer": "@hookimpl\ndef homie_step_failed(error, run): pass\n@hookimpl\ndef homie_run_finished(): pass",
    "any arguments": "@hookimpl\ndef homie_run_started(*args, **more): pass",
    "names of its own": "homie_folder = 3\ndef homie_helper(): pass\n@hookimpl\ndef homie_migration_packs(): return []",
}
NOT_PLAIN = {
    "no hook": "x = 1",
    "unmarked": "def homie_migration_packs(): return []",
    "unmarked value": "homie_migration_packs = []",
    "typo": "@hookimpl\ndef homie_migration_pack(): return []",
    "another name": "@hookimpl\ndef migration_packs(): return []",
    "specname": "@hookimpl(specname='homie_migration_packs')\ndef packs(): return [MigrationPack('a', 'b')]",
    "specname beside": (
        "@hookimpl(specname='homie_migration_packs')\ndef packs(): return [MigrationPack('a', 'b')]\n"
        "@hookimpl\ndef homie_migration_packs(): return [MigrationPack('c', 'd')]"
    ),
    "optional": "@hookimpl(optionalhook=True)\ndef homie_later(): pass\n@hookimpl\ndef homie_migration_packs(): return []",
    "wrapper": "@hookimpl(wrapper=True)\ndef homie_run_started(run): return (yield)",
    "wrapper that does not yield": "@hookimpl(wrapper=True)\ndef homie_run_started(run): return 1",
    "old wrapper": "@hookimpl(hookwrapper=True)\ndef homie_run_started(run): yield",
    "strange argument": "@hookimpl\ndef homie_run_started(runs): pass",
    "strange argument with a value": "@hookimpl\ndef homie_run_started(run, more=1): pass",
    "a wrapped function": (
        "import functools\ndef inner(runs): pass\n@hookimpl\n@functools.wraps(inner)\ndef homie_run_started(run): pass"
    ),
    "a wrapped implementation": (
        "import functools\n@hookimpl\ndef inner(run): pass\n@functools.wraps(inner)\ndef homie_run_started(runs): pass"
    ),
    "a static method": "@hookimpl\n@staticmethod\ndef homie_run_started(run): pass",
    "a method": "class C:\n    @hookimpl\n    def homie_run_started(self, run): pass\nhomie_run_started = C().homie_run_started",
    "a function of a class": "class C:\n    @hookimpl\n    def homie_run_started(self, run): pass\nhomie_run_started = C.homie_run_started",
    "a marked object": "class C:\n    def __call__(self): return []\nhomie_migration_packs = hookimpl(C())",
    "a marked object of its own name": "class C:\n    def __call__(self): return []\nhomie_packs = hookimpl(C())",
    "a mark that is none": "def homie_migration_packs(): return []\nhomie_migration_packs.homie_migrations_impl = 3",
    "a list of names": "@hookimpl\ndef homie_migration_packs(): return []\ndef __dir__(): return ['homie_migration_packs']",
}


@pytest.mark.parametrize("code", PLAIN.values(), ids=PLAIN)
def test_a_plain_module_is_registered_without_pluggy_and_means_the_same(code):
    left_out, without, with_pluggy = both_ways([module_of(code)])
    assert left_out
    assert without == with_pluggy


@pytest.mark.parametrize("code", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_every_other_plugin_is_left_to_pluggy(code):
    left_out, without, with_pluggy = both_ways([module_of(code)])
    assert not left_out
    assert without == with_pluggy


@pytest.mark.parametrize("first", [*PLAIN, *NOT_PLAIN])
def test_two_plugins_mean_the_same_in_any_order(first):
    codes = PLAIN | NOT_PLAIN
    for second in codes:
        _, without, with_pluggy = both_ways([module_of(codes[first], "first"), module_of(codes[second], "second")])
        assert without == with_pluggy, second


def test_objects_modules_of_one_name_and_modules_that_come_twice_mean_the_same():
    one, other = module_of(PLAIN["one hook"]), module_of(PLAIN["observer"])
    nameless = module_of(PLAIN["one hook"], "")

    class Plugin:
        @hookimpl
        def homie_migration_packs(self):
            return []

    for modules in ([one, one], [one, other], [other, one, one], [nameless], [one, Plugin(), one], [Plugin], [None], [other, None]):
        _, without, with_pluggy = both_ways(modules)
        assert without == with_pluggy, modules


def test_a_stand_in_in_a_module_is_asked_for_nothing():
    class StandIn:
        @property
        def __class__(self):
            raise RuntimeError("asked")

        def __getattr__(self, name):
            raise RuntimeError("asked")

    module = module_of(PLAIN["one hook"])
    vars(module)["session"] = StandIn()
    plugins = Plugins()
    plugins.register(module)
    assert [each.name for each in plugins.packs_of(module)] == ["a"]
    assert plugins._manager is None


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from([*sorted(HOOKS), "homie_typo", "other"]),
                "arguments": st.lists(st.sampled_from(["run", "step", "error", "self", "database"]), unique=True, max_size=3),
                "default": st.booleans(),
                "flags": st.sets(st.sampled_from(FLAGS), max_size=2),
                "specname": st.sampled_from([None, None, "homie_run_started", "homie_nothing"]),
                "marked": st.sampled_from([True, True, True, False]),
                "yields": st.booleans(),
            }
        ),
        max_size=4,
    )
)
def test_any_module_means_the_same(functions):
    code = ""
    for each in functions:
        arguments = [f"{argument}=None" if each["default"] else argument for argument in each["arguments"]]
        options = [*(f"{flag}=True" for flag in sorted(each["flags"])), f"specname={each['specname']!r}"]
        code += f"@hookimpl({', '.join(options)})\n" if each["marked"] else ""
        code += f"def {each['name']}({', '.join(arguments)}): {'yield' if each['yields'] else 'return []'}\n"
    _, without, with_pluggy = both_ways([module_of(code)])
    assert without == with_pluggy


# --- marks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=len(FLAGS))))
@pytest.mark.parametrize("specname", [None, "homie_run_started"])
def test_an_implementation_is_marked_as_pluggy_marks_it(flags, specname):
    options = {**dict(zip(FLAGS, flags, strict=True)), "specname": specname}

    def function(run): ...

    def same(run): ...

    assert hookimpl(**options)(function) is function
    assert vars(function) == vars(pluggy.HookimplMarker("homie_migrations")(**options)(same))


def test_a_mark_without_options_takes_the_function_itself():
    def function(run): ...

    def same(run): ...

    assert hookimpl(function) is function
    assert vars(function) == vars(pluggy.HookimplMarker("homie_migrations")(same))


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_specification_is_marked_as_pluggy_marks_it(name):
    def same(): ...

    marked = getattr(hookspecs, name)
    expected = pluggy.HookspecMarker("homie_migrations")(same, firstresult=name == "homie_database_path")
    assert marked.homie_migrations_spec == expected.homie_migrations_spec


# --- when pluggy is loaded --------------------------------------------------------------------------------------------


def test_the_manager_is_there_when_a_hook_other_than_the_packs_is_implemented():
    plugins = Plugins()
    plugins.register(module_of(PLAIN["one hook"], "packs"))
    assert plugins.manager_for(["homie_database_path", "homie_run_started"]) is None
    plugins.register(module_of("@hookimpl\ndef homie_database_path(database): return Path(database)", "places"))
    assert plugins.manager_for(["homie_run_started"]) is None
    manager = plugins.manager_for(["homie_database_path"])
    assert manager is plugins.manager is plugins.manager_for(["homie_run_started"])
    assert [name for name, _ in manager.list_name_plugin()] == ["packs", "places"]
    assert str(manager.hook.homie_database_path(database="x.db", data_dir=None)) == "x.db"


def test_what_is_registered_with_the_manager_is_asked_too():
    plugins = Plugins()
    plugins.register(module_of(PLAIN["one hook"], "packs"))
    late = module_of("@hookimpl\ndef homie_database_path(): return Path('late')", "late")
    plugins.manager.register(late)
    assert str(plugins.manager_for(["homie_database_path"]).hook.homie_database_path(database="x", data_dir=None)) == "late"
