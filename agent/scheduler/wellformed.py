"""Whether an object is made of what its class declares, before anything reckons with it or sorts by it.

The checks follow from the dataclasses' own annotations, so a new field is checked as soon as it is declared.
"""

import enum
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from agent.domain.quantities import LARGEST
from agent.domain.reasons import Reason, reason

Check = Callable[[Any], bool]
T = TypeVar("T")
FREE = ("min_available", "min_subgroup")
"""Numbers that have checks of their own, which say what is allowed."""


@dataclass(frozen=True, slots=True)
class Field:
    """How to judge one field. ``nested``: the class of its value when that is one object of ours."""

    name: str
    check: Check
    allowed: str
    nested: type | None


class Fields:
    """The fields of a class. ``types``: combinations of value types that passed; only ``deep`` ones need more."""

    def __init__(self, kind: type) -> None:
        hints = get_type_hints(kind)
        self.all = [_field(one.name, hints[one.name]) for one in fields(kind)]
        self.values = attrgetter(*(one.name for one in self.all))
        self.deep = [index for index, one in enumerate(self.all) if one.check not in (_text, _flag, _anything)]
        self.types: set[tuple[type, ...]] = set()


class Sieve:
    """Judges objects; a part that many objects share (a request, constraints) is judged once."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, Reason | None]] = {}

    def wrong(self, one: object) -> Reason | None:
        """The first field that is not what it must be, or None."""
        known = _fields_of(type(one))
        values = known.values(one)
        types = tuple(map(type, values))
        trusted = types in known.types
        for index in known.deep if trusted else range(len(values)):
            value, field = values[index], known.all[index]
            if field.nested is not None and isinstance(value, field.nested):
                if found := self._shared(value):
                    return found
            elif not (trusted and not value) and not field.check(value):
                return reason("Invalid", field=field.name, given=repr(value)[:80], allowed=field.allowed)
        known.types.add(types)
        return None

    def _shared(self, part: object) -> Reason | None:
        known = self._seen.get(id(part))
        if known is None:
            known = self._seen[id(part)] = (part, self.wrong(part))
        return known[1]

    def sound(self, kind: str, objects: Iterable[T], refused: dict[str, Reason]) -> list[T]:
        """The well-formed ones; the others are put down as refused under ``kind``/name."""
        found = []
        for one in objects:
            if wrong := self.wrong(one):
                refused[f"{kind}/{name_of(one)}"] = wrong
            else:
                found.append(one)
        return found


def name_of(one: object) -> str:
    """What a refusal calls the object."""
    name = getattr(one, "name", None) or getattr(one, "key", None) or getattr(one, "node", "")
    space = getattr(one, "namespace", None)
    return f"{space}/{name}" if space is not None else str(name)


def _fields_of(kind: type) -> Fields:
    known = FIELDS.get(kind)
    if known is None:
        known = FIELDS[kind] = Fields(kind)
    return known


FIELDS: dict[type, Fields] = {}


def _field(name: str, hint: Any) -> Field:
    check, allowed = _check(hint)
    nested = hint if isinstance(hint, type) and is_dataclass(hint) else None
    return Field(name, _anything if name in FREE else check, allowed, nested)


def _anything(value: Any) -> bool:
    return True


def _whole(value: Any) -> bool:
    return type(value) is int and -LARGEST <= value <= LARGEST


def _text(value: Any) -> bool:
    return type(value) is str


def _flag(value: Any) -> bool:
    return type(value) is bool


PLAIN: Mapping[Any, tuple[Check, str]] = {
    int: (_whole, f"a whole number, at most {LARGEST}"),
    str: (_text, "text"),
    bool: (_flag, "true or false"),
}


def _check(hint: Any) -> tuple[Check, str]:
    """How to tell that a value is of this annotation, and what to call it."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        check, allowed = _check(next(arg for arg in inner if arg is not type(None)))
        return (lambda value: value is None or check(value)), f"{allowed}, or nothing"
    if origin is tuple:
        return _tuple_check(inner)
    if origin is not None and issubclass(origin, Mapping):
        first, second = _check(inner[0])[0], _check(inner[1])[0]
        return (
            lambda value: isinstance(value, Mapping) and all(first(k) and second(v) for k, v in value.items())
        ), "a mapping"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return (lambda value: isinstance(value, hint)), "one of " + ", ".join(one.name for one in hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return (lambda value: isinstance(value, hint) and Sieve().wrong(value) is None), f"a {hint.__name__}"
    raise TypeError(f"no check for {hint}")


def _tuple_check(inner: tuple[Any, ...]) -> tuple[Check, str]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        each, allowed = _check(inner[0])
        return (lambda value: type(value) is tuple and all(map(each, value))), f"a tuple, each {allowed}"
    checks = [_check(arg)[0] for arg in inner]
    return (
        lambda value: (
            type(value) is tuple
            and len(value) == len(checks)
            and all(check(part) for check, part in zip(checks, value, strict=True))
        )
    ), f"a tuple of {len(inner)}"
