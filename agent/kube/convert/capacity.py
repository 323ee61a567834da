"""What a node may be given: what it offers, and never more than it has, whatever it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.domain.reasons import Reason, reason
from agent.kube import quantity

Room = Mapping[str, Any]


def room_of(status: Mapping[str, Any]) -> tuple[Room, Reason | None]:
    """Allocatable amounts by resource, each at most the node's capacity of it; and the first that was more."""
    offered, has = status.get("allocatable") or {}, status.get("capacity") or {}
    false = [name for name, value in offered.items() if name in has and _more(value, has[name])]
    if not false:
        return offered, None
    first = min(false)
    wrong = reason(
        "Invalid",
        field=f"allocatable {first} of the node",
        given=str(offered[first]),
        allowed=f"at most its capacity of {has[first]}",
    )
    return {**offered, **{name: has[name] for name in false}}, wrong


def _more(value: object, limit: object) -> bool:
    if value == limit:
        return False
    try:
        return quantity.milli(value) > quantity.milli(limit)
    except ValueError:
        return False
