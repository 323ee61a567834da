"""Frozen dataclass ↔ JSON. The writer sends declared fields only; the reader ignores fields it does not know.

JSON names are lowerCamelCase. ``None`` is left out; tuples are arrays. Free-form mappings pass through untouched.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


@cache
def camel(name: str) -> str:
    """``gpu_portion_milli`` → ``gpuPortionMilli``."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def to_dict(value: Any) -> Any:
    """Plain JSON-ready data of a dataclass, tuple, enum or mapping."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {camel(name): to_dict(item) for name, item in pairs if item is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_dict(item) for item in value]
    if isinstance(value, dict):
        return {key: to_dict(item) for key, item in value.items()}
    return value


def to_json(value: Any) -> bytes:
    """Compact UTF-8 JSON with sorted keys, so that equal values have equal bytes."""
    return json.dumps(to_dict(value), separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def from_dict(cls: type[T], data: Any) -> T:
    """Build ``cls`` from JSON data. Unknown fields are ignored.

    Raises ``ValueError`` naming the field when a required one is missing or one has the wrong shape.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{cls.__name__}: expected an object, got {type(data).__name__}")
    values: dict[str, Any] = {}
    for name, key, hint, has_default in _fields(cls):
        if data.get(key) is not None:
            values[name] = _read(hint, data[key], f"{cls.__name__}.{key}")
        elif not has_default:
            if type(None) not in typing.get_args(hint):
                raise ValueError(f"{cls.__name__}: field {key!r} is missing")
            values[name] = None
    return cls(**values)


def from_json(cls: type[T], raw: bytes | str) -> T:
    """Raises ``ValueError`` for bytes that are not JSON or not of this shape."""
    return from_dict(cls, json.loads(raw))


_FIELDS: dict[Any, tuple[tuple[str, str, Any, bool], ...]] = {}
"""(name, JSON name, type hint, has a default) of each field, worked out once a class."""


def _fields(cls: Any) -> tuple[tuple[str, str, Any, bool], ...]:
    if cls in _FIELDS:
        return _FIELDS[cls]
    hints = typing.get_type_hints(cls)
    _FIELDS[cls] = tuple(
        (
            f.name,
            camel(f.name),
            hints[f.name],
            f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING,
        )
        for f in dataclasses.fields(cls)
    )
    return _FIELDS[cls]


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        return _read(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: expected a list, got {type(value).__name__}")
        inner = typing.get_args(hint)[0]
        return tuple(_read(inner, item, f"{where}[{index}]") for index, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint in (str, int, bool) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ValueError(f"{where}: expected {hint.__name__}, got {type(value).__name__}")
    return value
