"""Plausible use of GPUs that do not exist: which pod holds which device, and how busy it is. Pure.

The numbers follow from the pod's uid and the time alone, so that a restart changes nothing. They are made up, and the
exporter's help text says so; annotations ``local.run.ai/gpu-use: "0"`` (percent) and
``local.run.ai/gpu-memory-used`` (MiB) set a pod's own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.wire.labels import (
    GPU_DEVICES,
    GPU_FRACTION,
    GPU_FRACTION_DEVICES,
    GPU_GROUP,
    GPU_MEMORY,
    GPU_RESOURCE,
    WORKLOAD_TYPE,
)

USE = "local.run.ai/gpu-use"
MEMORY = "local.run.ai/gpu-memory-used"
WARM_UP_S = 20.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A running pod: whole devices (``milli`` 1000 each) or a part of some; ``groups`` are the scheduler's names."""

    uid: str
    namespace: str
    name: str
    node: str
    devices: int
    milli: int
    started: float
    groups: tuple[str, ...] = ()
    kind: str = ""
    fixed: float | None = None
    memory: float | None = None
    """MiB of each device that it is said to use."""
    told: tuple[int, ...] = ()
    """Devices that the scheduler told a sharing pod to use."""


@dataclass(slots=True)
class Node:
    """``slots``: pods on each device, by index."""

    name: str
    memory_mib: int
    slots: list[dict[str, Holder]] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    """Group of a shared device → its index."""


def holder(pod: Mapping[str, Any], started: float, device_mib: int) -> Holder | None:
    """The pod's GPUs; None for a pod without."""
    meta, spec = pod["metadata"], pod["spec"]
    annotations, labels = meta.get("annotations") or {}, meta.get("labels") or {}
    devices, milli = _asked(spec, annotations, device_mib)
    if devices == 0:
        return None
    groups = tuple(sorted(key.removeprefix(f"{GPU_GROUP}/") for key in labels if key.startswith(f"{GPU_GROUP}/")))
    return Holder(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        node=spec["nodeName"],
        devices=devices,
        milli=milli,
        started=started,
        groups=groups or ((labels[GPU_GROUP],) if labels.get(GPU_GROUP) else ()),
        kind=labels.get(WORKLOAD_TYPE, ""),
        fixed=_number(annotations.get(USE)),
        memory=_number(annotations.get(MEMORY)),
        told=tuple(int(word) for word in annotations.get(GPU_DEVICES, "").split(",") if word.isdigit()),
    )


def _asked(spec: Mapping[str, Any], annotations: Mapping[str, str], device_mib: int) -> tuple[int, int]:
    count = max(1, int(_number(annotations.get(GPU_FRACTION_DEVICES)) or 1))
    fraction, memory = _number(annotations.get(GPU_FRACTION)), _number(annotations.get(GPU_MEMORY))
    if fraction:
        return count, min(1000, round(fraction * 1000))
    if memory and device_mib:
        return count, min(1000, round(1000 * memory / device_mib))
    limits = [(item.get("resources") or {}).get("limits") or {} for item in spec.get("containers") or ()]
    return sum(int(_number(limit.get(GPU_RESOURCE)) or 0) for limit in limits), 1000


def _number(text: object) -> float | None:
    try:
        return float(str(text)) if text is not None else None
    except ValueError:
        return None


def assign(nodes: Mapping[str, Node], holders: Iterable[Holder]) -> None:
    """Give every pod its devices and free those of pods that are gone. A pod keeps what it has."""
    wanted = {item.uid: item for item in holders if item.node in nodes}
    placed: set[str] = set()
    for node in nodes.values():
        for slot in node.slots:
            for uid in [uid for uid in slot if uid not in wanted]:
                del slot[uid]
            placed.update(slot)
        node.groups = {group: index for group, index in node.groups.items() if node.slots[index]}
    for item in sorted(wanted.values(), key=lambda item: (item.started, item.uid)):
        if item.uid not in placed:
            _place(nodes[item.node], item)


def _place(node: Node, item: Holder) -> None:
    """What it was told; else its group's device, then shared ones with room, then free ones in order."""
    if item.told and all(index < len(node.slots) for index in item.told):
        for index in item.told:
            node.slots[index][item.uid] = item
        return
    known = [node.groups[group] for group in item.groups if group in node.groups]
    room = [i for i, slot in enumerate(node.slots) if slot and item.milli + sum(h.milli for h in slot.values()) <= 1000]
    free = [index for index, slot in enumerate(node.slots) if not slot]
    if item.groups or item.milli == 1000:
        room = []
    chosen = list(dict.fromkeys([*known, *room, *free]))[: item.devices]
    for index in chosen:
        node.slots[index][item.uid] = item
    for group, index in zip((g for g in item.groups if g not in node.groups), chosen[len(known) :], strict=False):
        node.groups[group] = index


def utilisation(item: Holder, index: int, now: float) -> float:
    """Percent: a warm-up, then waves around a level of its own; people at a workspace come and go."""
    if item.fixed is not None:
        return min(100.0, max(0.0, item.fixed))
    age = max(0.0, now - item.started)
    base = 60 + 35 * _chance(item.uid, "level")
    if item.kind in ("workspace", "inference"):
        busy = math.sin(now / 180 + 6.28 * _chance(item.uid, "phase")) > 0
        base = base * 0.7 if busy else 0.0
    wave = 6 * math.sin(now / 40 + 6.28 * _chance(item.uid, str(index)))
    level = (base + wave if base else 0.0) * min(1.0, 0.1 + age / WARM_UP_S) * item.milli / 1000
    return min(100.0, max(0.0, level))


def memory_mib(item: Holder, index: int, now: float, device_mib: int) -> int:
    """Grows while it warms up to between half and nine tenths of what it may use."""
    if item.memory is not None:
        return round(min(max(0.0, item.memory), device_mib))
    full = (0.5 + 0.4 * _chance(item.uid, "memory")) * device_mib * item.milli / 1000
    return round(full * min(1.0, 0.2 + max(0.0, now - item.started) / WARM_UP_S))


def _chance(uid: str, what: str) -> float:
    return int.from_bytes(hashlib.sha256(f"{uid}/{what}".encode()).digest()[:4], "big") / 2**32


def page(nodes: Mapping[str, Node], now: float) -> str:
    """The exporter's answer. A shared device has a line for each of its pods, all with the device's own value."""
    metrics: dict[str, tuple[str, list[str]]] = {
        "DCGM_FI_DEV_GPU_UTIL": ("GPU utilization (in %).", []),
        "DCGM_FI_DEV_FB_USED": ("Framebuffer memory used (in MiB).", []),
        "DCGM_FI_DEV_FB_FREE": ("Framebuffer memory free (in MiB).", []),
    }
    for name in sorted(nodes):
        node = nodes[name]
        for index, slot in enumerate(node.slots):
            used = min(node.memory_mib, sum(memory_mib(item, index, now, node.memory_mib) for item in slot.values()))
            busy = min(100.0, sum(utilisation(item, index, now) for item in slot.values()))
            values = (f"{busy:.1f}", str(used), str(node.memory_mib - used))
            for labels in _labels(node, index, slot):
                for metric, value in zip(metrics, values, strict=True):
                    metrics[metric][1].append(f"{metric}{{{labels}}} {value}")
    parts = []
    for metric, (text, lines) in metrics.items():
        note = "SIMULATED: no such GPU exists and nothing is measured."
        parts += [f"# HELP {metric} {text} {note}", f"# TYPE {metric} gauge", *lines]
    return "\n".join(parts) + "\n"


def _labels(node: Node, index: int, slot: Mapping[str, Holder]) -> list[str]:
    uuid = hashlib.sha256(f"{node.name}/{index}".encode()).hexdigest()[:12]
    device = f'gpu="{index}",UUID="GPU-simulated-{uuid}",device="nvidia{index}",Hostname="{node.name}"'
    if not slot:
        return [device]
    return [f'{device},namespace="{item.namespace}",pod="{item.name}",container="main"' for item in slot.values()]
