"""Which device of a node each pod holds. Kubernetes does not say; the scheduler counts only. Pure and deterministic.

Whole GPUs take the lowest free indexes in order of placement; a shared device is one index for all pods of its group.
A pod keeps what it had, so that a chart does not jump when another pod ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.wire.reports import GpuDevice


@dataclass(frozen=True, slots=True)
class Holder:
    """A pod on a node. ``whole`` devices, or ``share_milli`` of each device in ``groups`` (names of shared devices)."""

    pod: str
    """``namespace/name``."""
    since: str
    whole: int = 0
    share_milli: int = 0
    groups: tuple[str, ...] = ()


Assignment = Mapping[str, tuple[int, ...]]
"""Pod, or name of a shared device, → indexes."""


def assign(count: int, holders: Iterable[Holder], before: Assignment) -> dict[str, tuple[int, ...]]:
    """Indexes for every holder. More demand than devices (a node that lost one) leaves the rest without an index."""
    wanted = _wanted(holders)
    taken: dict[str, tuple[int, ...]] = {}
    used: set[int] = set()
    for name, number in wanted.items():
        kept = tuple(index for index in before.get(name, ()) if index < count and index not in used)[:number]
        taken[name] = kept
        used.update(kept)
    free = iter([index for index in range(count) if index not in used])
    for name, number in wanted.items():
        while len(taken[name]) < number and (index := next(free, None)) is not None:
            taken[name] = (*taken[name], index)
    return {name: tuple(sorted(indexes)) for name, indexes in taken.items() if indexes}


def _wanted(holders: Iterable[Holder]) -> dict[str, int]:
    """Pods and shared devices in order of placement, with how many devices each needs."""
    wanted: dict[str, int] = {}
    for holder in sorted(holders, key=lambda item: (item.since, item.pod)):
        if holder.whole:
            wanted[holder.pod] = holder.whole
        for group in holder.groups:
            wanted.setdefault(group_key(group), 1)
    return wanted


def group_key(group: str) -> str:
    """Key of a shared device in an assignment; no pod can have it."""
    return f"group:{group}"


def indexes_of(holder: Holder, assignment: Assignment) -> tuple[int, ...]:
    """Device indexes a pod holds."""
    if holder.whole:
        return assignment.get(holder.pod, ())
    return tuple(sorted(index for group in holder.groups for index in assignment.get(group_key(group), ())))


def devices(count: int, holders: Iterable[Holder], assignment: Assignment) -> tuple[GpuDevice, ...]:
    """One entry per device with what is allocated of it and to whom."""
    milli = [0] * count
    pods: list[list[str]] = [[] for _ in range(count)]
    for holder in sorted(holders, key=lambda item: item.pod):
        for index in indexes_of(holder, assignment):
            milli[index] += 1000 if holder.whole else holder.share_milli
            pods[index].append(holder.pod)
    return tuple(GpuDevice(index, min(1000, milli[index]), tuple(pods[index])) for index in range(count))
