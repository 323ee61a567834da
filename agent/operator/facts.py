"""Typed readings of manifests: the few facts about pods, nodes and pod groups that the operator decides on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.wire import labels as names

Manifest = Mapping[str, Any]
_MIG = re.compile(r"nvidia\.com/mig-(\d+)g\.\d+gb$")


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """State of one container: exactly one of waiting, running, terminated is true once the kubelet has spoken."""

    name: str
    image: str = ""
    ready: bool = False
    restarts: int = 0
    waiting: str = ""
    """Reason word of a waiting container: ``ContainerCreating``, ``ImagePullBackOff`` …"""
    waiting_message: str = ""
    running: bool = False
    exit_code: int | None = None
    signal: int | None = None
    ended_reason: str = ""
    ended_message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    last_exit_code: int | None = None
    last_reason: str = ""
    last_message: str = ""


@dataclass(frozen=True, slots=True)
class PodFacts:
    name: str
    namespace: str
    uid: str
    index: int
    attempt: int
    phase: str
    node: str = ""
    pool: str = names.DEFAULT_NODE_POOL
    deleting: bool = False
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    unschedulable: str = ""
    """The scheduler's sentence, when it has looked and found no place."""
    unschedulable_since: datetime | None = None
    ready: bool = False
    disrupted: str = ""
    """Why somebody other than the workload ended it (node drained, evicted, node gone); empty otherwise."""
    evicted: str = ""
    """What the scheduler said when it chose to evict it."""
    reason: str = ""
    message: str = ""
    image: str = ""
    revision: str = ""
    idle_since: datetime | None = None
    """Since when its GPUs have done nothing."""
    gpu_memory_excess: str = ""
    """What it uses beyond what it asked for, as a sentence; empty while it does not."""
    memory_limit: str = ""
    gpu_milli: int = 0
    containers: tuple[ContainerFacts, ...] = ()
    before: tuple[ContainerFacts, ...] = ()
    """Containers that run before these, one after the other."""
    set_up: bool = False
    """The kubelet has its volumes and its network: what was in the way of them is no more."""
    obstacle: tuple[str, str] = ("", "")
    """Reason and sentence of the kubelet's Event on why that cannot be; nothing once it is ``set_up``."""

    @property
    def scheduled(self) -> bool:
        return bool(self.node)

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def active(self) -> bool:
        return not self.finished

    @property
    def finished_at(self) -> datetime | None:
        return max((c.finished_at for c in self.containers if c.finished_at), default=None)

    @property
    def started_at(self) -> datetime | None:
        return min((c.started_at for c in self.containers if c.started_at), default=None)

    @property
    def restarts(self) -> int:
        return sum(container.restarts for container in self.containers)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    name: str
    ready: bool = True
    ready_message: str = ""
    not_ready_since: datetime | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """Why a pod group waits, as its scheduler wrote it."""

    name: str
    reasons: tuple[tuple[str, str, str, Mapping[str, object]], ...] = ()
    """(code, sentence, node pool, details)"""


def moment(text: object) -> datetime | None:
    """RFC 3339 → aware datetime; None for what is missing or no time."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def number(text: object) -> int:
    """A label that should hold a number; 0 where it does not."""
    return int(text) if isinstance(text, str) and text.isdigit() else 0


def pod_facts(pod: Manifest) -> PodFacts:
    """Facts of a pod manifest; fields that are missing read as not yet."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    scheduled, disruption = conditions.get("PodScheduled") or {}, conditions.get("DisruptionTarget") or {}
    waits = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    labels = meta.get("labels") or {}
    first = (spec.get("containers") or [{}])[0]
    return PodFacts(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta.get("uid", ""),
        index=number(labels.get(names.REPLICA_INDEX)),
        attempt=number(labels.get(names.ATTEMPT)),
        phase=status.get("phase") or "Pending",
        node=spec.get("nodeName") or "",
        pool=labels.get(names.NODE_POOL) or names.DEFAULT_NODE_POOL,
        deleting=bool(meta.get("deletionTimestamp")),
        created_at=moment(meta.get("creationTimestamp")),
        scheduled_at=moment(scheduled.get("lastTransitionTime")) if spec.get("nodeName") else None,
        unschedulable=str(scheduled.get("message") or scheduled.get("reason")) if waits else "",
        unschedulable_since=moment(scheduled.get("lastTransitionTime")) if waits else None,
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        disrupted=_disruption(status, disruption),
        evicted=str(disruption.get("message") or "") if disruption.get("status") == "True" else "",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        image=first.get("image") or "",
        revision=labels.get(names.REVISION) or "",
        idle_since=moment((meta.get("annotations") or {}).get(names.GPU_IDLE_SINCE)),
        gpu_memory_excess=str((meta.get("annotations") or {}).get(names.GPU_MEMORY_EXCESS) or ""),
        memory_limit=str(((first.get("resources") or {}).get("limits") or {}).get("memory") or ""),
        gpu_milli=gpu_milli(pod),
        containers=tuple(_container(item) for item in status.get("containerStatuses") or ()),
        before=tuple(_container(item) for item in status.get("initContainerStatuses") or ()),
        set_up=(conditions.get("PodReadyToStartContainers") or {}).get("status") == "True",
    )


def gpu_milli(pod: Manifest) -> int:
    """Milli-GPU a pod asks for over all its devices. A request in MiB counts nothing here: its share is the node's."""
    annotations = pod["metadata"].get("annotations") or {}
    devices = number(annotations.get(names.GPU_FRACTION_DEVICES)) or 1
    try:
        fraction = float(annotations.get(names.GPU_FRACTION) or 0)
    except ValueError:
        fraction = 0.0
    if 0 < fraction <= 1:
        return round(fraction * 1000) * devices
    total = 0
    for container in (pod.get("spec") or {}).get("containers") or ():
        resources = container.get("resources") or {}
        count = (resources.get("limits") or {}).get(names.GPU_RESOURCE)
        if count is None:
            count = (resources.get("requests") or {}).get(names.GPU_RESOURCE)
        total += number(str(count)) * 1000
        total += sum(_mig_milli(name, amount) for name, amount in (resources.get("limits") or {}).items())
    return total


def _mig_milli(name: str, amount: object) -> int:
    """A slice ``mig-<g>g.<mem>gb`` counts as g GPUs, as in quotas (kai.md section 3.14)."""
    match = _MIG.match(name)
    return int(match[1]) * 1000 * number(str(amount)) if match else 0


def _disruption(status: Manifest, condition: Manifest) -> str:
    if status.get("phase") != "Failed":
        return ""
    if condition.get("status") == "True":
        return str(condition.get("message") or condition.get("reason") or "disrupted")
    if status.get("reason") in ("Evicted", "NodeLost", "Shutdown", "Terminated", "NodeShutdown", "Preempting"):
        return str(status.get("message") or status.get("reason"))
    return ""


def _container(status: Manifest) -> ContainerFacts:
    state = status.get("state") or {}
    waiting, running, ended = state.get("waiting") or {}, state.get("running"), state.get("terminated")
    last = (status.get("lastState") or {}).get("terminated") or {}
    return ContainerFacts(
        name=status.get("name", ""),
        image=status.get("image") or "",
        ready=bool(status.get("ready")),
        restarts=int(status.get("restartCount") or 0),
        waiting=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        running=running is not None,
        exit_code=ended.get("exitCode") if ended else None,
        signal=ended.get("signal") if ended else None,
        ended_reason=(ended or {}).get("reason") or "",
        ended_message=(ended or {}).get("message") or "",
        started_at=moment((running or ended or {}).get("startedAt")),
        finished_at=moment((ended or {}).get("finishedAt")),
        last_exit_code=last.get("exitCode"),
        last_reason=last.get("reason") or "",
        last_message=last.get("message") or "",
    )


def node_facts(node: Manifest) -> NodeFacts:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    ready: Manifest = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    is_ready = ready.get("status") == "True"
    return NodeFacts(
        name=node["metadata"]["name"],
        ready=is_ready,
        ready_message="" if is_ready else str(ready.get("message") or "the kubelet has not reported"),
        not_ready_since=None if is_ready else moment(ready.get("lastTransitionTime")),
        simulated=any(taint.get("key") == names.SIMULATED_TAINT for taint in spec.get("taints") or ()),
    )


def group_facts(group: Manifest) -> GroupFacts:
    """The scheduling conditions of a PodGroup (kai.md section 1.2), flattened to (code, sentence, pool, details)."""
    found: list[tuple[str, str, str, Mapping[str, object]]] = []
    for condition in (group.get("status") or {}).get("schedulingConditions") or ():
        if condition.get("status", "True") != "True":
            continue
        pool = str(condition.get("nodePool") or "")
        causes = condition.get("reasons") or ()
        for cause in causes:
            code, text = str(cause.get("reason") or ""), str(cause.get("message") or "")
            found.append((code, text, pool, cause.get("details") or {}))
        if not causes:
            found.append((str(condition.get("reason") or ""), str(condition.get("message") or ""), pool, {}))
    return GroupFacts(group["metadata"]["name"], tuple(found))
