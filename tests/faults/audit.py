"""What the API server wrote down, and the promises that hold whatever dies: read from its audit log alone.

Pure but for reading the file. Each check answers with sentences, one a broken promise; an empty list is a pass. Refused
writes (400 and above) count for nothing. A bound pod that is deleted holds its devices until the last deletion in the
log: the first one only asks it to stop.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.wire import labels

AGENT = "system:serviceaccount:runai:runai-agent"
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One write that was done."""

    number: int
    verb: str
    user: str
    resource: str
    subresource: str
    namespace: str
    name: str
    body: Mapping[str, Any]
    code: int
    at: float = 0.0
    """When it was done, seconds since the epoch."""

    @property
    def key(self) -> Key:
        return self.resource, self.namespace, self.name

    @property
    def pod(self) -> tuple[str, str]:
        return self.namespace, self.name


def position(log: Path) -> int:
    """Where the log ends now; entries after it are those of what comes next."""
    return log.stat().st_size if log.exists() else 0


def read(log: Path, since: int = 0) -> list[Entry]:
    """Entries after ``since`` bytes. A last line that is being written is left out."""
    with log.open("rb") as lines:
        lines.seek(since)
        return [entry for number, line in enumerate(lines) if (entry := _entry(number, line)) is not None]


def _entry(number: int, line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    raw = json.loads(line)
    code = (raw.get("responseStatus") or {}).get("code", 0)
    if code >= 400 or raw.get("stage", "ResponseComplete") != "ResponseComplete":
        return None
    target, body = raw.get("objectRef") or {}, raw.get("requestObject") or {}
    name = target.get("name") or (body.get("metadata") or {}).get("name") or ""
    return Entry(
        number=number,
        verb=raw["verb"],
        user=(raw.get("user") or {}).get("username", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=name,
        body=body,
        code=code,
        at=_seconds(raw.get("stageTimestamp")),
    )


def _seconds(stamp: str | None) -> float:
    return datetime.fromisoformat(stamp).timestamp() if stamp else 0.0


def strangers(entries: Iterable[Entry], *, known: Iterable[Key] = (), agent: str = AGENT) -> list[str]:
    """Objects that the agent deleted and never made. ``known``: what it had made before the log begins."""
    made, found = set(known), []
    for entry in entries:
        if entry.user != agent or entry.subresource:
            continue
        if entry.verb == "create" or (entry.verb == "patch" and entry.code == 201):
            made.add(entry.key)
        elif entry.verb == "deletecollection":
            found.append(f"the agent deleted all {entry.resource} of {entry.namespace or 'the cluster'}")
        elif entry.verb == "delete" and entry.key not in made:
            found.append(f"the agent deleted {entry.resource} {entry.namespace}/{entry.name}, which it did not make")
    return found


def bound_twice(entries: Iterable[Entry]) -> list[str]:
    """Pods that were given two nodes in one life."""
    binds: Counter[tuple[str, str]] = Counter()
    found = []
    for entry in entries:
        if entry.resource != "pods":
            continue
        if entry.subresource == "binding":
            binds[entry.pod] += 1
            if binds[entry.pod] == 2:
                found.append(f"pod {entry.namespace}/{entry.name} was bound twice")
        elif entry.verb == "create" and not entry.subresource:
            binds[entry.pod] = 0
    return found


def surplus(entries: Iterable[Entry], asked: Mapping[str, int]) -> list[str]:
    """Pods beyond what Workloads ask for. ``asked``: workload → pods; only first attempts are counted, and a pod may
    come again once it was deleted."""
    alive: dict[tuple[str, str], set[str]] = defaultdict(set)
    found = []
    for entry in entries:
        if entry.resource != "pods" or entry.subresource:
            continue
        if entry.verb == "create":
            marks = (entry.body.get("metadata") or {}).get("labels") or {}
            name = marks.get(labels.WORKLOAD_NAME)
            if name not in asked or marks.get(labels.ATTEMPT, "0") != "0":
                continue
            alive[entry.namespace, name].add(entry.name)
            if len(alive[entry.namespace, name]) > asked[name]:
                have = len(alive[entry.namespace, name])
                found.append(f"workload {name} asks for {asked[name]} pods and got {have}: {entry.name}")
        elif entry.verb == "delete":
            for names in alive.values():
                names.discard(entry.name)
        elif entry.verb == "deletecollection":
            for (namespace, _), names in alive.items():
                if namespace == entry.namespace:
                    names.clear()
    return found


def missing(entries: Iterable[Entry], asked: Mapping[str, int]) -> list[str]:
    """Workloads of ``asked`` of which fewer pods were ever made."""
    made: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.resource == "pods" and entry.verb == "create" and not entry.subresource:
            marks = (entry.body.get("metadata") or {}).get("labels") or {}
            made[str(marks.get(labels.WORKLOAD_NAME))].add(entry.name)
    few = {name: len(made[name]) for name, want in asked.items() if len(made[name]) < want}
    return [f"workload {name} got {count} of {asked[name]} pods" for name, count in few.items()]


@dataclass(slots=True)
class _Life:
    """One pod from its creation to its last deletion."""

    whole: int = 0
    portion: int = 0
    """Thousandths of each of its shared devices."""
    groups: tuple[str, ...] = ()
    node: str = ""
    ends: int = 0
    """Number of the entry that took it away for good; 0: it is still there."""


def over_capacity(entries: Iterable[Entry], gpus: Mapping[str, int]) -> list[str]:
    """Nodes on which pods held more devices, or a shared device of which pods held more than all, at any moment.

    ``gpus``: node → devices. A pod that ended by itself is not seen to end: give pods that run on.
    """
    entries = list(entries)
    ends = _ends(entries)
    lives: dict[tuple[str, str], _Life] = {}
    found: list[str] = []
    for entry in entries:
        if entry.resource != "pods":
            continue
        if entry.verb == "create" and not entry.subresource:
            lives[entry.pod] = _born(entry, ends.get(entry.number, 0))
        life = lives.get(entry.pod)
        if life is None:
            continue
        if entry.verb == "patch" and not entry.subresource and (groups := _groups(entry.body)):
            life.groups = groups
        if entry.subresource == "binding":
            life.node = str((entry.body.get("target") or {}).get("name"))
            present = [other for other in lives.values() if other.node and not 0 < other.ends < entry.number]
            found += _too_much(life.node, present, gpus.get(life.node, 0), entry.name)
    return found


def _ends(entries: list[Entry]) -> dict[int, int]:
    """Number of a pod's creation → number of its last deletion before the name was taken again."""
    begun: dict[tuple[str, str], int] = {}
    ends: dict[int, int] = {}
    for entry in entries:
        if entry.resource != "pods" or entry.subresource:
            continue
        if entry.verb == "create":
            begun[entry.pod] = entry.number
        elif entry.verb == "delete" and entry.pod in begun:
            ends[begun[entry.pod]] = entry.number
    return ends


def _born(entry: Entry, ends: int) -> _Life:
    notes = (entry.body.get("metadata") or {}).get("annotations") or {}
    spec = entry.body.get("spec") or {}
    limits = [(one.get("resources") or {}).get("limits") or {} for one in spec.get("containers") or ()]
    whole = sum(int(limit.get(labels.GPU_RESOURCE, 0)) for limit in limits)
    portion = round(1000 * float(notes.get(labels.GPU_FRACTION, 0)))
    return _Life(whole=whole, portion=portion, ends=ends)


def _groups(body: Mapping[str, Any]) -> tuple[str, ...]:
    marks = (body.get("metadata") or {}).get("labels") or {}
    return tuple(
        str(value)
        for key, value in marks.items()
        if value and (key == labels.GPU_GROUP or key.startswith(f"{labels.GPU_GROUP}/"))
    )


def _too_much(node: str, present: list[_Life], gpus: int, last: str) -> list[str]:
    here = [life for life in present if life.node == node]
    shares: Counter[str] = Counter()
    for life in here:
        for group in life.groups:
            shares[group] += life.portion
    found = [
        f"shared device {group} of {node} held {total / 1000:.3f} of itself when {last} came"
        for group, total in shares.items()
        if total > 1000
    ]
    used = sum(life.whole for life in here) + len(shares)
    if used > gpus:
        found.append(f"node {node} has {gpus} GPUs and gave {used} when {last} came")
    return found


@dataclass(frozen=True)
class Promises:
    """The checks of a whole test in one call."""

    asked: Mapping[str, int]
    gpus: Mapping[str, int]
    known: frozenset[Key] = field(default_factory=frozenset)

    def broken(self, log: Path, since: int) -> list[str]:
        entries = read(log, since)
        return [
            *strangers(entries, known=self.known),
            *bound_twice(entries),
            *surplus(entries, self.asked),
            *missing(entries, self.asked),
            *over_capacity(entries, self.gpus),
        ]


SETTLED = frozenset({"Running", "Completed", "Failed", "Stopped"})


def silent(workloads: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Workloads that are neither up nor over and do not say why: no sentence, or no condition about it. One for whose
    pods the scheduler has just been asked has no reason yet."""
    for obj in workloads:
        status = obj.get("status") or {}
        ready = {item.get("type"): item for item in status.get("conditions") or ()}.get("Ready") or {}
        why = status.get("message") and (ready.get("message") or not status.get("reasons"))
        if status.get("phase") not in SETTLED and not (why and ready):
            yield f"workload {obj['metadata']['name']} is {status.get('phase')} and says nothing"
