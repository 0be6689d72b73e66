"""
Make frozen values as `dataclasses` does, for a fraction of what importing `dataclasses` costs.

That import takes longer than everything else that a start-up or `status` does. Type checkers see the original, so a module
with values begins like this:

    if TYPE_CHECKING:
        from dataclasses import dataclass, field
    else:
        from homie_migrations_core.values import dataclass, field

Only `@dataclass(frozen=True, slots=True)` without inheritance is offered. Such values compare, hash, print, pickle and match as
the original's do, and the functions of `dataclasses` and `copy` take them: what those need is made when they ask for it.

One thing is added: an attribute that is declared as a `Path` may be given as text. It is a `Path` when it is read.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import replace as replace
    from pathlib import Path
    from typing import Any

_MISSING: Any = object()
_PATHS = ("Path", "Path | None")
"""The annotations of attributes that may be given as text."""


class _Field:
    """What `field` declares."""

    __slots__ = ("compare", "default", "default_factory", "repr")

    def __init__(self, default: object, default_factory: Any, *, repr: bool, compare: bool) -> None:  # noqa: A002
        self.default, self.default_factory, self.repr, self.compare = default, default_factory, repr, compare


def field(
    *,
    default: object = _MISSING,
    default_factory: Any = _MISSING,
    repr: bool = True,  # noqa: A002  # the names are those of `dataclasses`
    compare: bool = True,
) -> Any:
    """Declare an attribute as `dataclasses.field` does."""
    return _Field(default, default_factory, repr=repr, compare=compare)


def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
    """Return the decorator that makes a class one of frozen values with slots."""
    assert frozen
    assert slots
    return _make


def path_from(text: str) -> Path:
    """Return a text as an argument for a value's attribute that is a `Path`. For nothing else: it is still a text."""
    return text  # type: ignore[return-value]


class _Value:
    """The methods of every value."""

    __slots__ = ()
    if TYPE_CHECKING:
        _declared: dict[str, _Field]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, each in self._declared.items() if each.repr)
        return f"{self.__class__.__qualname__}({shown})"

    def __setattr__(self, name: str, value: object) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __getstate__(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self._declared)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        for name, value in zip(self._declared, state, strict=True):
            _setter_of(type(self), name)(self, value)

    def __replace__(self, /, **changes: object) -> Any:
        for name in self._declared:
            if name not in changes:
                changes[name] = getattr(self, name)
        return type(self)(**changes)


def _make(cls: type) -> type:
    content = dict(vars(cls))
    for name in ("__dict__", "__weakref__"):
        content.pop(name, None)
    declared: dict[str, _Field] = {}
    for name in cls.__annotations__:
        default = content.pop(name, _MISSING)
        declared[name] = default if isinstance(default, _Field) else _Field(default, _MISSING, repr=True, compare=True)
    names = tuple(declared)
    content = {
        "__init__": _MadeOnUse(_init_of),
        "__eq__": _MadeOnUse(_eq_of),
        "__hash__": _MadeOnUse(_hash_of),
        "__dataclass_fields__": _MadeOnUse(lambda made: _original_of(made).__dataclass_fields__),
        "__dataclass_params__": _MadeOnUse(lambda made: _original_of(made).__dataclass_params__),
        **content,
        "__qualname__": cls.__qualname__,
        "__slots__": names,
        "__match_args__": names,
        "_declared": declared,
    }
    made = type(cls)(cls.__name__, (_Value,), content)
    for name, annotation in cls.__annotations__.items():
        if annotation in _PATHS:
            setattr(made, name, _PathAttribute(vars(made)[name]))
    return made


class _MadeOnUse:
    """An attribute of a class that takes its own place when it is first asked for."""

    __slots__ = ("_make", "_name", "_owner")

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type) -> Any:
        made = self._make(self._owner)
        setattr(self._owner, self._name, made)
        return made.__get__(instance, owner) if hasattr(made, "__get__") else made


class _PathAttribute:
    """An attribute that turns a text into a `Path` when it is first read: importing pathlib takes long."""

    __slots__ = ("read", "write")

    def __init__(self, slot: Any) -> None:
        self.read, self.write = slot.__get__, slot.__set__

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        value = self.read(instance)
        if type(value) is str:
            from pathlib import Path

            value = Path(value)
            self.write(instance, value)
        return value


def _setter_of(cls: type, name: str) -> Any:
    attribute = vars(cls)[name]
    return attribute.write if isinstance(attribute, _PathAttribute) else attribute.__set__


def _init_of(cls: Any) -> Any:
    """Return `__init__` of a class of values, written out: a loop would take several times as long for each value."""
    known: dict[str, Any] = {"_MISSING": _MISSING}
    parameters, lines = [], []
    for name, each in cls._declared.items():
        known[f"_set_{name}"] = _setter_of(cls, name)
        value = name
        if each.default_factory is not _MISSING:
            known[f"_make_{name}"] = each.default_factory
            parameters.append(f"{name}=_MISSING")
            value = f"_make_{name}() if {name} is _MISSING else {name}"
        elif each.default is not _MISSING:
            known[f"_default_{name}"] = each.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f" _set_{name}(self, {value})")
    made = _written(cls, f"__init__(self, {', '.join(parameters)})", lines, known)
    made.__annotations__ = {**cls.__annotations__, "return": "None"}
    return made


def _eq_of(cls: Any) -> Any:
    one, other = _compared(cls, "self"), _compared(cls, "other")
    lines = [f" return {one} == {other} if other.__class__ is self.__class__ else NotImplemented"]
    return _written(cls, "__eq__(self, other)", lines, {})


def _hash_of(cls: Any) -> Any:
    return _written(cls, "__hash__(self)", [f" return hash({_compared(cls, 'self')})"], {})


def _compared(cls: Any, name: str) -> str:
    return f"({''.join(f'{name}.{attribute},' for attribute, each in cls._declared.items() if each.compare)})"


def _written(cls: Any, signature: str, lines: list[str], known: dict[str, Any]) -> Any:
    """Return a method of a class that is compiled from its text, as `dataclasses` does."""
    exec(f"def {signature}:\n" + "\n".join(lines), known)
    made = known[signature.partition("(")[0]]
    made.__qualname__ = f"{cls.__qualname__}.{made.__name__}"
    made.__module__ = cls.__module__
    return made


def _original_of(cls: Any) -> Any:
    """
    Return the class that `dataclasses` makes of the same declaration.

    Whoever looks at it may look at the types of the attributes next, as pydantic does, so what only annotations name is imported
    into the module of the class: by its function `import_annotated`, if it has one.
    """
    import dataclasses
    import sys

    if (import_annotated := getattr(sys.modules.get(cls.__module__), "import_annotated", None)) is not None:
        import_annotated()

    def field_of(each: _Field) -> Any:
        given = {"default": each.default, "default_factory": each.default_factory}
        return dataclasses.field(
            repr=each.repr, compare=each.compare, **{name: value for name, value in given.items() if value is not _MISSING}
        )

    fields = [(name, cls.__annotations__[name], field_of(each)) for name, each in cls._declared.items()]
    return dataclasses.make_dataclass(cls.__name__, fields, frozen=True)


if not TYPE_CHECKING:

    def replace(value: Any, /, **changes: object) -> Any:
        """Return a value with some attributes changed, as `dataclasses.replace` does."""
        return value.__replace__(**changes)
