"""What is wrong with objects that are used all the same: each becomes a condition and an Event on the thing itself."""

from __future__ import annotations

from typing import Any

from agent.domain.reasons import Reason, reason
from agent.grouping.rules import Group
from agent.wire import labels as names

Obj = dict[str, Any]
LARGEST_NOTES = 128 << 10
"""Bytes of a pod's annotations together. The API server takes twice as much, and whoever watches pods reads them each
time."""


def of_pod(obj: Obj) -> Reason | None:
    """Annotations that are so large that every reader of the pod feels it."""
    notes = obj["metadata"].get("annotations") or {}
    size = sum(map(len, notes.values()))
    if size <= LARGEST_NOTES:
        return None
    key = max(notes, key=lambda name: (len(notes[name]), name))
    most = f"at most {LARGEST_NOTES >> 10} KiB for all annotations together"
    done = "each reader of the pod reads them"
    given = f"{len(notes[key]) >> 10} KiB long"
    return reason("Unexpected", field=f'annotation "{key}"', given=given, expected=most, done=done)


def of_group(obj: Obj) -> Reason | None:
    """A gang of nobody. Groups that we made say their mistake otherwise (``of_virtual``)."""
    if (obj["metadata"].get("labels") or {}).get(names.MANAGED_BY) == "grouping":
        return None
    if (obj.get("spec") or {}).get("minMember") != 0:
        return None
    done = "its pods start one by one"
    return reason("Unexpected", field="minMember", given="0", expected="at least 1", done=done)


def of_virtual(group: Group) -> Reason | None:
    """What grouping found wrong with owners and annotations."""
    if group.mistake is None:
        return None
    field, given, expected, done = group.mistake
    return reason("Unexpected", field=field, given=given, expected=expected, done=done)
