"""Values behave as those of `dataclasses`, which serves as the example, and cost no import of it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from homie_migrations_core import model, values


def declared(dataclass, field):
    @dataclass(frozen=True, slots=True)
    class Example:
        """An example."""

        name: str
        size: int = 3
        content: bytes = field(default=b"x", repr=False, compare=False)
        facts: Mapping[str, int] = field(default_factory=dict)

        @property
        def ref(self) -> str:
            return f"ref of {self.name}"

    return Example


OURS, ORIGINAL = declared(values.dataclass, values.field), declared(dataclasses.dataclass, dataclasses.field)
VALUES = [each for each in vars(model).values() if isinstance(each, type) and each.__module__ == model.__name__]


@pytest.mark.parametrize(
    "act",
    [
        lambda kind: repr(kind("a", 1, b"", {"b": 2})).replace("declared.<locals>.", ""),
        lambda kind: kind("a").ref,
        lambda kind: kind("a") == kind("a", content=b"y"),
        lambda kind: kind("a") == kind("a", 4),
        lambda kind: kind("a") == "a",
        lambda kind: kind("a").facts is kind("a").facts,
        lambda kind: kind.__doc__,
        lambda kind: kind.__match_args__,
        lambda kind: kind.__slots__,
        lambda kind: kind.__qualname__,
        lambda kind: kind.__module__,
        lambda kind: list(inspect.signature(kind).parameters),
        lambda kind: [(each.name, each.type, each.repr, each.compare) for each in dataclasses.fields(kind)],
        lambda kind: dataclasses.is_dataclass(kind("a")),
        lambda kind: dataclasses.asdict(kind("a", facts={"b": 2})),
        lambda kind: dataclasses.astuple(kind("a")),
        lambda kind: dataclasses.replace(kind("a"), size=9).size,
        lambda kind: copy.copy(kind("a")).name,
        lambda kind: copy.deepcopy(kind("a", facts={"b": 2})).facts,
        lambda kind: hasattr(kind("a"), "__dict__"),
    ],
)
def test_a_value_answers_as_a_dataclass_does(act):
    assert act(OURS) == act(ORIGINAL)


@pytest.mark.parametrize(
    "act",
    [
        lambda kind: kind(),
        lambda kind: kind("a", unknown=1),
        lambda kind: kind("a", 1, b"", {}, 5),
        lambda kind: setattr(kind("a"), "name", "b"),
        lambda kind: delattr(kind("a"), "name"),
        lambda kind: hash(kind("a")),  # it holds a dict
        lambda kind: dataclasses.replace(kind("a"), unknown=1),
    ],
)
def test_a_value_refuses_what_a_dataclass_refuses(act):
    def refusal(kind):
        with pytest.raises((TypeError, AttributeError)) as refused:
            act(kind)
        return refused.type, str(refused.value)

    assert refusal(OURS) == refusal(ORIGINAL)


def test_a_value_with_changes_is_another_one():
    before = OURS("a", 1)
    assert values.replace(before, name="b") == OURS("b", 1)
    assert before == OURS("a", 1)
    assert before.__replace__(size=2) == OURS("a", 2)  # what copy.replace calls since Python 3.13


def test_equal_values_have_one_hash():
    assert len({model.Step(model.Migration("p", 1, "001_one", Path("x"), content=content)) for content in (b"a", b"b")}) == 1


@pytest.mark.parametrize("name", ["path", "rollback_path"])
def test_a_path_that_was_given_as_text_is_a_path(name):
    given = {"path": "folder/001_one.py", "rollback_path": None, name: "folder/file"}
    as_text = model.Migration("p", 1, "001_one", **given)
    as_paths = model.Migration("p", 1, "001_one", **{key: value and Path(value) for key, value in given.items()})
    assert as_text == as_paths
    assert getattr(as_text, name) == Path("folder/file")
    assert isinstance(getattr(as_text, name), Path)
    assert isinstance(pickle.loads(pickle.dumps(model.Migration("p", 1, "001_one", **given))).path, Path)
    assert hash(model.Migration("p", 1, "001_one", **given)) == hash(as_paths)


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_value_of_the_library_is_frozen_pickled_and_known_to_dataclasses(kind):
    given = {name: f"a {name}" for name in kind.__slots__}
    value = kind(**given)
    assert pickle.loads(pickle.dumps(value)) == copy.copy(value) == value
    assert [each.name for each in dataclasses.fields(value)] == list(given) == list(inspect.signature(kind).parameters)
    assert {name: str(getattr(value, name)) for name in given} == given
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, kind.__slots__[0], "another")
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.unknown = 1


def test_making_and_comparing_values_loads_nothing_slow():
    code = (
        "import sys; from homie_migrations_core.model import Migration, Record\n"
        "assert Record(1, 'a', 'p') == Record(1, 'a', 'p', sequence=2)\n"
        "Migration('p', 1, 'a', 'a.py').ref\n"
        "print(sorted({'dataclasses', 'typing', 'pathlib', 're', 'inspect', 'datetime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_who_looks_at_the_fields_of_a_value_can_look_at_their_types():
    """As pydantic does, and with it FastAPI: first at the fields, then at the annotations."""
    code = """
import dataclasses, pathlib, typing
from homie_migrations_core import model
for kind in [each for each in vars(model).values() if isinstance(each, type) and each.__module__ == model.__name__]:
    assert dataclasses.is_dataclass(kind)
    assert list(typing.get_type_hints(kind)) == list(kind.__slots__), kind
print(typing.get_type_hints(model.DatabaseStatus)["path"] is pathlib.Path)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
