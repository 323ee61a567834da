"""A snapshot as JSON and back, so that a plan can be repeated elsewhere, exactly.

``dump`` writes only what differs from the defaults, keys sorted; ``load`` names the field that it cannot read.
"""

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from agent.scheduler.snapshot import Config, Pass, Snapshot

T = TypeVar("T")
VERSION = 1


def dump(snapshot: Snapshot, now: int, config: Config | None = None, passes: Mapping[str, Pass] | None = None) -> str:
    """One line of JSON: {"version", "now", "config", "snapshot", "passes"}; equal inputs give equal text.

    ``passes``: those that the plan goes on with, left out when there are none.
    """
    document = {
        "version": VERSION,
        "now": now,
        "config": encode(config or Config()),
        "snapshot": encode(snapshot),
    }
    if passes:
        document["passes"] = encode(passes)
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def load(text: str) -> tuple[Snapshot, int, Config, Mapping[str, Pass]]:
    """The inverse of ``dump``: what ``plan`` takes. Raises ValueError that says what is wrong where."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not a saved snapshot: {error}") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"not a saved snapshot of version {VERSION}")
    now = document.get("now")
    if type(now) is not int:
        raise ValueError(f"now is {now!r}, allowed is a whole number of nanoseconds")
    snapshot = decode(Snapshot, document.get("snapshot") or {}, "snapshot")
    passes = _decode(Mapping[str, Pass], document.get("passes") or {}, "passes")
    return snapshot, now, decode(Config, document.get("config") or {}, "config"), passes


def encode(value: object) -> Any:
    """Dataclasses become objects without the fields that have their default, enums their value, tuples, sets lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {}
        for field in dataclasses.fields(value):
            given = getattr(value, field.name)
            if given != _default(field):
                found[field.name] = encode(given)
        return found
    if isinstance(value, enum.IntEnum):
        return value.name
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [encode(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(map(encode, value), key=json.dumps)
    if isinstance(value, typing.Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else dataclasses.MISSING


def decode(kind: type[T], value: Any, where: str) -> T:
    """A value of the kind from its JSON."""
    return typing.cast(T, _decode(kind, value, where))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        many = (one for one in arguments if typing.get_origin(one) is tuple and isinstance(value, list))
        return _decode(next(many, next(one for one in arguments if one is not type(None))), value, where)
    if origin is tuple:
        return _decode_tuple(arguments, value, where)
    if origin is frozenset:
        return frozenset(_decode_tuple((arguments[0], Ellipsis), value, where))
    if origin is not None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}, allowed is an object")
        return {key: _decode(arguments[1], one, f"{where}.{key}") for key, one in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_object(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _decode_enum(kind, value, where)
    return value


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {value!r}, allowed is a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], one, f"{where}[{index}]") for index, one in enumerate(value))
    if len(value) != len(arguments):
        raise ValueError(f"{where} has {len(value)} parts, allowed are {len(arguments)}")
    return tuple(_decode(one, part, where) for one, part in zip(arguments, value, strict=True))


def _decode_object(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r}, allowed is an object")
    hints = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(value.keys() - names)
    if unknown:
        raise ValueError(f"{where} has no field {unknown[0]!r}, allowed are {', '.join(sorted(names))}")
    try:
        return kind(**{name: _decode(hints[name], one, f"{where}.{name}") for name, one in value.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _decode_enum(kind: type[enum.Enum], value: Any, where: str) -> enum.Enum:
    try:
        return kind[value] if issubclass(kind, enum.IntEnum) else kind(value)
    except (KeyError, ValueError) as error:
        allowed = ", ".join(one.name if issubclass(kind, enum.IntEnum) else str(one.value) for one in kind)
        raise ValueError(f"{where} is {value!r}, allowed are {allowed}") from error
