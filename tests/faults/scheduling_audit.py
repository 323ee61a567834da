"""Promises of the scheduler that the audit log shows, beside those of ``audit``: strangers' pods, gangs, evictions.

Pure. Each check answers with sentences, one a broken promise; an empty list is a pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.faults.audit import AGENT, Entry, bound_twice, over_capacity, read

RESERVATIONS = "runai-reservation"


def pods_of_others(entries: Iterable[Entry], schedulers: Collection[str], *, agent: str = AGENT) -> list[str]:
    """Writes of the agent to pods of another scheduler, whatever they were."""
    others: set[tuple[str, str]] = set()
    found = []
    for entry in entries:
        if entry.resource != "pods":
            continue
        if entry.verb == "create" and not entry.subresource and entry.user != agent:
            ours = (entry.body.get("spec") or {}).get("schedulerName") in schedulers
            (others.discard if ours else others.add)(entry.pod)
        elif entry.user == agent and entry.pod in others:
            part = f"/{entry.subresource}" if entry.subresource else ""
            found.append(f"{entry.verb} of pods{part} {entry.namespace}/{entry.name}, a pod of another scheduler")
    return found


def unexplained(entries: Iterable[Entry], *, agent: str = AGENT) -> list[str]:
    """Pods that the agent deleted without having written on them why (the condition ``DisruptionTarget``).

    Its own pods, which reserve devices, need no reason.
    """
    told: set[tuple[str, str]] = set()
    found = []
    for entry in entries:
        if entry.resource != "pods" or entry.user != agent or entry.namespace == RESERVATIONS:
            continue
        if entry.subresource == "status":
            told.add(entry.pod)
        elif entry.verb == "delete" and entry.pod not in told:
            found.append(f"pod {entry.namespace}/{entry.name} was evicted and nothing says why")
    return found


def removed(entries: Iterable[Entry], *, agent: str = AGENT) -> list[str]:
    """Anything but pods that a scheduler removed: namespaces, nodes, queues are not its own."""
    taken = ("delete", "deletecollection")
    kept = (one for one in entries if one.user == agent and one.verb in taken and one.resource != "pods")
    return [f"the scheduler removed {one.resource} {one.namespace}/{one.name}" for one in kept]


def partial(entries: Iterable[Entry], grace_s: float) -> list[str]:
    """Gangs of which some pods, and fewer than their minimum, had a node for longer than ``grace_s``.

    A gang's pods name it by annotation; its minimum is the ``minMember`` that its PodGroup was made with. What is
    partial at the end of the log counts as long as the log goes on.
    """
    entries = list(entries)
    minimum = _minimums(entries)
    gang_of: dict[tuple[str, str], tuple[str, str]] = {}
    held: dict[tuple[str, str], set[str]] = {gang: set() for gang in minimum}
    since: dict[tuple[str, str], float] = {}
    found = []
    for entry in entries:
        if entry.resource != "pods":
            continue
        if entry.verb == "create" and not entry.subresource:
            gang_of[entry.pod] = (entry.namespace, _annotation(entry.body, "pod-group-name"))
        gang = gang_of.get(entry.pod)
        if gang not in minimum:
            continue
        if entry.subresource == "binding":
            held[gang].add(entry.name)
        elif entry.verb == "delete" and not entry.subresource:
            held[gang].discard(entry.name)
        found += _judged(gang, 0 < len(held[gang]) < minimum[gang], since, entry.at, grace_s)
    end = entries[-1].at if entries else 0.0
    for gang in list(since):
        found += _judged(gang, False, since, end, grace_s)
    return found


def _judged(
    gang: tuple[str, str], is_partial: bool, since: dict[tuple[str, str], float], at: float, grace_s: float
) -> list[str]:
    if is_partial:
        since.setdefault(gang, at)
        return []
    lasted = at - since.pop(gang, at)
    return [f"gang {'/'.join(gang)} was partial for {lasted:.1f} s"] if lasted > grace_s else []


def _minimums(entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    made = (one for one in entries if one.resource == "podgroups" and one.verb == "create" and not one.subresource)
    return {(one.namespace, one.name): int((one.body.get("spec") or {}).get("minMember") or 1) for one in made}


def _annotation(body: Mapping[str, Any], name: str) -> str:
    return str(((body.get("metadata") or {}).get("annotations") or {}).get(name) or "")


def broken(
    log: Path, since: int, *, gpus: Mapping[str, int], schedulers: Collection[str], grace_s: float = 10.0
) -> list[str]:
    """All promises of a scheduler, those of ``audit`` included. ``gpus``: node → devices."""
    entries = read(log, since)
    real = [one for one in entries if one.namespace != RESERVATIONS]
    return [
        *bound_twice(entries),
        *over_capacity(real, gpus),
        *pods_of_others(real, schedulers),
        *unexplained(entries),
        *removed(entries),
        *partial(entries, grace_s),
    ]
