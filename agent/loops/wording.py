"""What the scheduler writes for people, as manifests: conditions, Events, scheduling conditions. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.domain.reasons import Reason

Obj = dict[str, Any]
COMPONENT = "runai-scheduler"
LONGEST_MESSAGE = 1000
UNSCHEDULABLE = "Unschedulable"
GROUP_CONDITION = "UnschedulableOnNodePool"
INPUT = "run.ai/InvalidInput"
"""Condition of a thing that says something wrong; it is gone when that is mended."""


def stamp(now: float) -> str:
    """RFC 3339 of seconds since the epoch."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shorten(text: str, most: int = LONGEST_MESSAGE) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def pod_condition(reason: Reason, now: float) -> Obj:
    """``PodScheduled=False`` with the sentence, as kube-scheduler would write it."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": UNSCHEDULABLE,
        "message": shorten(reason.text),
        "lastTransitionTime": stamp(now),
    }


def told_on_pod(pod: Obj) -> str | None:
    """The sentence that a pod carries now; None if it carries none."""
    for condition in conditions_of(pod):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or "") if condition.get("reason") == UNSCHEDULABLE else None
    return None


def conditions_of(obj: Obj) -> Sequence[Obj]:
    """The conditions in an object's status."""
    return (obj.get("status") or {}).get("conditions") or ()


def told_of_input(obj: Obj) -> str | None:
    """What an object's condition says to be wrong with it; None without one."""
    return next((str(one.get("message") or "") for one in conditions_of(obj) if one.get("type") == INPUT), None)


def input_condition(reason: Reason | None, now: float) -> Obj:
    """The condition that names a mistake; without a reason, what takes it off (a strategic merge patch)."""
    if reason is None:
        return {"type": INPUT, "$patch": "delete"}
    said = {"reason": reason.code, "message": shorten(reason.text), "lastTransitionTime": stamp(now)}
    return {"type": INPUT, "status": "True", **said}


def group_conditions(
    reasons: Sequence[Reason], pool: str, before: Sequence[Mapping[str, Any]], now: float
) -> list[Obj]:
    """The scheduling conditions of a pod group in one node pool: the first reason is the one that people see.

    ``before``: what it carries now; the time of the transition stays while code and pool stay.
    """
    if not reasons:
        return []
    first = reasons[0]
    old = next((item for item in before if item.get("reason") == first.code and item.get("nodePool") == pool), None)
    count = max((int(item.get("transitionID") or 0) for item in before if _is_number(item)), default=0)
    condition = {
        "type": GROUP_CONDITION,
        "status": "True",
        "nodePool": pool,
        "reason": first.code,
        "message": shorten(first.text),
        "reasons": [_cause(reason) for reason in reasons[:10]],
        "transitionID": old["transitionID"] if old and old.get("transitionID") else str(count + 1),
        "lastTransitionTime": old["lastTransitionTime"] if old and old.get("lastTransitionTime") else stamp(now),
    }
    return [condition]


def _is_number(condition: Mapping[str, Any]) -> bool:
    return str(condition.get("transitionID") or "").isdecimal()


def _cause(reason: Reason) -> Obj:
    data = reason.data()
    details = {"facts": data["facts"], "causes": data["causes"]}
    return {"reason": reason.code, "message": shorten(reason.text), "details": details}


def same_conditions(left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists of scheduling conditions say the same."""
    keys = ("type", "nodePool", "reason", "message", "status")
    return [[item.get(key) for key in keys] for item in left] == [[item.get(key) for key in keys] for item in right]


def event(regarding: Obj, *, kind: str, reason: str, message: str, warning: bool, key: str, now: float) -> Obj:
    """An Event about an object. Its name comes from the object's uid and ``key``: telling it again changes nothing."""
    meta = regarding["metadata"]
    digest = hashlib.sha256(f"{meta.get('uid')}/{reason}/{key}".encode()).hexdigest()[:16]
    namespace = meta.get("namespace") or "default"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name'][:200]}.{digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": regarding.get("apiVersion", "v1"),
            "kind": kind,
            "name": meta["name"],
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
            **({"namespace": meta["namespace"]} if meta.get("namespace") else {}),
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": shorten(message),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": stamp(now),
        "lastTimestamp": stamp(now),
        "count": 1,
    }
