"""Desired objects minus observed ones are actions. Pure; the shell does them in order and may do them again.

Deletes only what carries the operator's own label, and only within what the caller says belongs to the matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.wire import labels

Object = Mapping[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Create:
    """It is not there. "Already exists" when doing it means that it was done before."""

    obj: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """It is there and differs in a field that we own: apply the whole desired object."""

    obj: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """``uid`` is the precondition: another object that took the name meanwhile is left alone."""

    kind: str
    namespace: str
    name: str
    uid: str


Action = Create | Patch | Delete


def key_of(obj: Object) -> Key:
    meta = obj["metadata"]
    return str(obj["kind"]), str(meta.get("namespace") or ""), str(meta["name"])


def is_ours(obj: Object) -> bool:
    return (obj["metadata"].get("labels") or {}).get(labels.MANAGED_BY) == labels.MANAGED_BY_OPERATOR


def reconcile(desired: Iterable[dict[str, Any]], observed: Iterable[Object]) -> list[Action]:
    """Actions that make ``observed`` equal to ``desired``: creates and patches in order, then deletes by name.

    ``observed`` is what there is of the same matter (e.g. all queues of one project). Doing the actions and asking
    again gives none. An object of a desired name that is not ours is never patched or deleted, see ``foreign``.
    """
    wanted = {key_of(obj): obj for obj in desired}
    there = {key_of(obj): obj for obj in observed}
    actions: list[Action] = []
    for key, obj in wanted.items():
        have = there.get(key)
        if have is None:
            actions.append(Create(obj))
        elif is_ours(have) and not _going(have) and not contains(have, obj):
            actions.append(Patch(obj))
    for key, old in sorted(there.items()):
        if key not in wanted and is_ours(old) and not _going(old):
            actions.append(Delete(key[0], key[1], key[2], str(old["metadata"].get("uid") or "")))
    return actions


def foreign(desired: Iterable[Object], observed: Iterable[Object]) -> list[Key]:
    """Names that we need and somebody else's objects have."""
    wanted = {key_of(obj) for obj in desired}
    return sorted(key_of(obj) for obj in observed if key_of(obj) in wanted and not is_ours(obj))


def contains(have: Any, want: Any) -> bool:
    """True when everything in ``want`` is so in ``have``; what others or the API server added does not matter."""
    if isinstance(want, Mapping):
        return isinstance(have, Mapping) and all(name in have and contains(have[name], want[name]) for name in want)
    if isinstance(want, (list, tuple)):
        return (
            isinstance(have, (list, tuple))
            and len(have) == len(want)
            and all(contains(one, other) for one, other in zip(have, want, strict=True))
        )
    return bool(have == want)


def _going(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def merge_patch(old: Any, new: Any) -> dict[str, Any]:
    """The JSON merge patch that turns ``old`` into ``new``; empty when they are equal."""
    change: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                change[name] = inner
        elif value != before:
            change[name] = value
    return change
