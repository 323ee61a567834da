"""Queue and PodGroup manifests → entitlement and gangs of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.domain.groups import DEFAULT_SUBGROUP, TRAIN, PodGroup, SubGroup, TopologyConstraint, preemptibility_of
from agent.domain.nodes import DEFAULT_POOL
from agent.domain.quantities import LARGEST, UNLIMITED
from agent.domain.queues import Queue, Share
from agent.domain.reasons import Reason, reason
from agent.kube import quantity
from agent.wire import labels as names
from agent.wire.objects import PRIORITIES

Obj = dict[str, Any]
LAST_START = "kai.scheduler/last-start-timestamp"
LAST_EVICTION = "kai.scheduler/last-eviction-timestamp"
STALE_SINCE = "kai.scheduler/stale-podgroup-timestamp"
_SCALE = {"gpu": 1000, "cpu": 1, "memory": 1_000_000}
"""Units of a Queue (GPUs, milli-cores, MB) → units of the domain."""
_WEIGHT_SCALE = 1000
_DEEPEST = 60
_DURATION = "a duration such as 30s or 1h30m"


@dataclass(frozen=True, slots=True)
class Priorities:
    """PriorityClasses of the cluster: value by name, and the global default (None: there is none)."""

    values: Mapping[str, int]
    default: int | None = None

    def of(self, name: str) -> int:
        """An unknown class counts as the global default, else as ``train``."""
        if name in self.values:
            return self.values[name]
        if name in PRIORITIES:
            return PRIORITIES[name]
        return TRAIN if self.default is None else self.default


def queue_of(obj: Obj) -> tuple[Queue, Reason | None]:
    """A queue and what is wrong with it. A resource that is left out is all zeros, as for the peers that read it."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    labels, resources = meta.get("labels") or {}, spec.get("resources") or {}
    wrong: Reason | None = None
    minimums: dict[str, int | None] = {}
    for field in ("preemptMinRuntime", "reclaimMinRuntime"):
        minimums[field], bad = _duration(spec, field)
        wrong = wrong or bad
    queue = Queue(
        name=meta["name"],
        parent=spec.get("parentQueue") or "",
        pool=labels.get(names.NODE_POOL) or DEFAULT_POOL,
        priority=int(spec.get("priority", 100) or 0),
        created=quantity.time_ns(meta.get("creationTimestamp")) or 0,
        gpu=_share(resources.get("gpu") or {}, _SCALE["gpu"]),
        cpu=_share(resources.get("cpu") or {}, _SCALE["cpu"]),
        memory=_share(resources.get("memory") or {}, _SCALE["memory"]),
        preempt_min_runtime=minimums["preemptMinRuntime"],
        reclaim_min_runtime=minimums["reclaimMinRuntime"],
        label=spec.get("displayName") or "",
        kind=_queue_kind(labels),
    )
    return queue, wrong


def _queue_kind(labels: Mapping[str, str]) -> str:
    if labels.get(names.PROJECT):
        return "project"
    return "department" if labels.get("run.ai/department") else "queue"


def _share(block: Obj, scale: int) -> Share:
    """Weights keep three decimals: only the ratio of siblings counts."""
    return Share(
        deserved=_amount(block.get("quota", 0), scale),
        limit=_amount(block.get("limit", 0), scale),
        weight=max(0, _amount(block.get("overQuotaWeight", 0), _WEIGHT_SCALE)),
    )


def _amount(value: float, scale: int) -> int:
    if value < 0:
        return UNLIMITED
    return min(round(value * scale), LARGEST)


def _duration(spec: Obj, field: str) -> tuple[int | None, Reason | None]:
    text = spec.get(field)
    if not text:
        return None, None
    try:
        return quantity.duration_ns(text), None
    except ValueError:
        return None, reason("Invalid", field=field, given=str(text), allowed=_DURATION)


def group_of(
    obj: Obj, priorities: Priorities, aliases: Mapping[str, Mapping[str, str]]
) -> tuple[PodGroup, Reason | None]:
    """A pod group and what is wrong with it. ``aliases``: topology → level alias → node label."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    priority = priorities.of(spec.get("priorityClassName") or labels.get("priorityClassName") or "")
    root, wrong = _tree(spec, aliases)
    delay, bad_delay = _duration(spec, "preemptionDelay")
    grace, bad_grace = _duration(spec, "stalenessGracePeriod")
    group = PodGroup(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        queue=spec.get("queue") or labels.get(names.QUEUE) or "",
        uid=meta.get("uid", ""),
        pool=labels.get(names.NODE_POOL) or DEFAULT_POOL,
        priority=priority,
        preemptibility=preemptibility_of(spec.get("preemptibility") or labels.get(names.PREEMPTIBILITY, ""), priority),
        created=quantity.time_ns(meta.get("creationTimestamp")) or 0,
        root=root,
        last_start=quantity.time_ns(notes.get(LAST_START)),
        last_eviction=quantity.time_ns(notes.get(LAST_EVICTION)),
        stale_since=quantity.time_ns(notes.get(STALE_SINCE)),
        preemption_delay=max(0, delay or 0),
        staleness_grace=grace,
    )
    return group, wrong or bad_delay or bad_grace


def _tree(spec: Obj, aliases: Mapping[str, Mapping[str, str]]) -> tuple[SubGroup, Reason | None]:
    """The tree of sub-groups; without any, one leaf."""
    topology = _topology(spec.get("topologyConstraint"), aliases)
    parts: list[Obj] = list(spec.get("subGroups") or ())
    minimum = spec.get("minMember")
    if not parts:
        return SubGroup(DEFAULT_SUBGROUP, 1 if minimum is None else minimum, topology=topology), None
    known = {part["name"]: part for part in parts}
    children: dict[str, list[Obj]] = {}
    wrong: Reason | None = None
    if len(known) < len(parts):
        wrong = reason("Invalid", field="subGroups", given="one name twice", allowed="a name once")
    for part in parts:
        parent = part.get("parent") or ""
        if parent and parent not in known:
            wrong = reason("Invalid", field=f"parent of sub-group {part['name']}", given=parent, allowed="a sub-group")
        children.setdefault(parent, []).append(part)
    if wrong is None:
        wrong = _crooked(children, len(known))
    if wrong is not None:
        return SubGroup(DEFAULT_SUBGROUP, 1), wrong
    tops = tuple(_sub_group(part, children, aliases) for part in children[""])
    return SubGroup("", 0, tops, spec.get("minSubGroup"), topology), None


def _crooked(children: Mapping[str, list[Obj]], count: int) -> Reason | None:
    """A reason when not all sub-groups hang under the root (a loop), or some hang too deep."""
    level, reached, depth = [""], 0, 0
    while level and depth <= _DEEPEST:
        level = [part["name"] for parent in level for part in children.get(parent, ())]
        reached, depth = reached + len(level), depth + 1
    if level:
        return reason("Invalid", field="depth of sub-groups", given="too deep", allowed=f"at most {_DEEPEST}")
    if reached < count:
        return reason("Invalid", field="parent of sub-groups", given="a loop", allowed="a tree")
    return None


def _sub_group(part: Obj, children: Mapping[str, list[Obj]], aliases: Mapping[str, Mapping[str, str]]) -> SubGroup:
    topology, minimum = _topology(part.get("topologyConstraint"), aliases), part.get("minMember")
    below = children.get(part["name"])
    if not below:
        return SubGroup(part["name"], 1 if minimum is None else minimum, topology=topology)
    parts = tuple(_sub_group(child, children, aliases) for child in below)
    return SubGroup(part["name"], 0, parts, part.get("minSubGroup"), topology)


def _topology(spec: Obj | None, aliases: Mapping[str, Mapping[str, str]]) -> TopologyConstraint | None:
    if not spec or not (
        spec.get("topology") or spec.get("requiredTopologyLevel") or spec.get("preferredTopologyLevel")
    ):
        return None
    name = spec.get("topology") or ""
    known = aliases.get(name, {})
    required, preferred = spec.get("requiredTopologyLevel") or "", spec.get("preferredTopologyLevel") or ""
    return TopologyConstraint(name, known.get(required, required), known.get(preferred, preferred))
