"""Node, NodePool and Topology manifests → the supply side of the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.domain.constraints import Taint
from agent.domain.nodes import DEFAULT_POOL, Node, NodePool, Topology, Usage
from agent.domain.quantities import LARGEST
from agent.kube import quantity
from agent.kube.convert.capacity import room_of
from agent.wire.labels import GPU_RESOURCE

Obj = dict[str, Any]
MIG_PREFIX = "nvidia.com/mig-"
GPU_MEMORY_LABEL = "nvidia.com/gpu.memory"
MIG_STRATEGY_LABEL = "nvidia.com/mig.strategy"
_PLAIN = ("cpu", "memory", "pods", GPU_RESOURCE)
_TIB = 1 << 40
NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class PoolRule:
    """Nodes whose label ``key`` has ``value`` belong to pool ``name``."""

    name: str
    key: str
    value: str


def pool_of(labels: Mapping[str, str], rules: Sequence[PoolRule], label: str) -> str:
    """The pool of a node: the first rule that matches (rules sorted by name), else its pool label, else default."""
    for rule in rules:
        if labels.get(rule.key) == rule.value:
            return rule.name
    return labels.get(label) or DEFAULT_POOL


def node_of(obj: Obj, pool: str, foreign: Usage = NO_USAGE) -> Node:
    """``foreign``: what pods of other schedulers take there. Amounts that make no sense count as nothing, and what a
    node offers beyond its capacity does not count."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels = meta.get("labels") or {}
    room, _ = room_of(status)
    others = {name: _amount(value) for name, value in room.items() if name not in _PLAIN}
    taints = tuple(
        Taint(item.get("key", ""), item.get("value") or "", item.get("effect", "")) for item in spec.get("taints") or ()
    )
    return Node(
        name=meta["name"],
        pool=pool,
        cpu=_amount(room.get("cpu"), scale=1000),
        memory=_amount(room.get("memory")),
        gpus=_amount(room.get(GPU_RESOURCE)),
        gpu_memory=gpu_memory_mib(labels),
        max_pods=_amount(room.get("pods", "110")),
        labels=labels,
        taints=taints,
        mig=tuple(sorted((name, count) for name, count in others.items() if name.startswith(MIG_PREFIX))),
        mig_strategy=labels.get(MIG_STRATEGY_LABEL, ""),
        extended=tuple(sorted((name, count) for name, count in others.items() if not name.startswith(MIG_PREFIX))),
        foreign=foreign,
        ready=_ready(status),
        unschedulable=bool(spec.get("unschedulable")),
    )


def _amount(value: object, *, scale: int = 1) -> int:
    if value is None:
        return 0
    try:
        found = quantity.milli(value) if scale == 1000 else quantity.whole(value)
    except ValueError:
        return 0
    return min(max(found, 0), LARGEST)


def gpu_memory_mib(labels: Mapping[str, str]) -> int:
    """MiB of one device from its label; values that can only be bytes are turned into MiB; 0 = unknown."""
    text = labels.get(GPU_MEMORY_LABEL, "")
    value = int(text) if text.isdecimal() and len(text) < 20 else 0
    return value >> 20 if value >= _TIB else value


def _ready(status: Obj) -> bool:
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in status.get("conditions") or ())


def node_pool_of(obj: Obj) -> tuple[NodePool, PoolRule]:
    """A NodePool object: its placement and its rule."""
    name, spec = obj["metadata"]["name"], obj.get("spec") or {}
    pool = NodePool(name, spec.get("placementGpu") or "binpack", spec.get("placementCpu") or "binpack")
    return pool, PoolRule(name, spec.get("labelKey", ""), spec.get("labelValue", ""))


def topology_of(obj: Obj) -> tuple[Topology, dict[str, str]]:
    """A Topology object and its aliases: alias → node label."""
    levels = [level for level in (obj.get("spec") or {}).get("levels") or () if level.get("nodeLabel")]
    topology = Topology(obj["metadata"]["name"], tuple(level["nodeLabel"] for level in levels))
    return topology, {level["alias"]: level["nodeLabel"] for level in levels if level.get("alias")}
