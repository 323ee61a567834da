"""Manifests → what goes up (``agent.wire.reports``): trimmed, without secrets, stable for equal facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.kube import quantity
from agent.kube.convert.nodes import gpu_memory_mib
from agent.kube.convert.pods import asked_of, gpu_groups_of, is_finished
from agent.link.devices import Assignment, Holder, devices, indexes_of
from agent.wire import labels as names
from agent.wire.codec import from_dict
from agent.wire.phases import Phase
from agent.wire.reports import (
    ClusterReport,
    Condition,
    Dependency,
    EventReport,
    NodeReport,
    PodReport,
    ProjectReport,
    QueueReport,
    ReasonReport,
    RoleHealth,
    WorkloadReport,
)

Obj = Mapping[str, Any]
_NODE_LABELS = 40
_MESSAGE = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """What one pod holds of its node."""

    holder: Holder
    gpu_milli: int
    cpu_milli: int
    memory_bytes: int


def held_by(pod: Obj, device_mib: int = 0) -> Held:
    """Requests of a pod. ``device_mib``: memory of one device of its node, for requests in MiB."""
    meta, request = pod["metadata"], asked_of(dict(pod)).request
    share = request.gpu_fraction
    if not share and request.gpu_memory and device_mib:
        share = min(1000, -(-1000 * request.gpu_memory // device_mib))
    shared = bool(share or request.gpu_memory)
    groups = gpu_groups_of(dict(pod))
    if shared and not groups and (pod.get("spec") or {}).get("nodeName"):
        groups = tuple(f"{meta.get('uid', '')}/{number}" for number in range(request.gpu_devices))
    holder = Holder(
        pod=f"{meta.get('namespace', '')}/{meta['name']}",
        since=_placed_at(pod),
        whole=0 if shared else request.gpus,
        share_milli=share if shared else 0,
        groups=groups if shared else (),
    )
    milli = share * request.gpu_devices if shared else request.gpus * 1000
    return Held(holder, milli, request.cpu, request.memory)


def _placed_at(pod: Obj) -> str:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return str(condition.get("lastTransitionTime") or "")
    return str(pod["metadata"].get("creationTimestamp") or "")


def holds_node(pod: Obj) -> bool:
    """True while a pod takes room on its node."""
    return bool((pod.get("spec") or {}).get("nodeName")) and not is_finished(dict(pod))


def node_report(node: Obj, pool: str, pods: Sequence[Obj], assignment: Assignment) -> NodeReport:
    """``pods``: those that hold room on this node."""
    meta, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    marks = meta.get("labels") or {}
    room, taints = status.get("allocatable") or {}, spec.get("taints") or ()
    mib = gpu_memory_mib(marks)
    held = [held_by(pod, mib) for pod in pods]
    gpus = _amount(room.get(names.GPU_RESOURCE))
    total = max(gpus, _amount((status.get("capacity") or {}).get(names.GPU_RESOURCE)))
    return NodeReport(
        name=meta["name"],
        uid=meta.get("uid", ""),
        node_pool=pool,
        status=_node_status(status),
        created_at=meta.get("creationTimestamp", ""),
        simulated=any(taint.get("key") == names.SIMULATED_TAINT for taint in taints),
        unschedulable=bool(spec.get("unschedulable")),
        gpu_type=marks.get("nvidia.com/gpu.product"),
        gpu_memory_mib=mib or None,
        gpu_count=total,
        gpu_allocatable_milli=gpus * 1000,
        gpu_allocated_milli=sum(item.gpu_milli for item in held),
        devices=devices(total, [item.holder for item in held], assignment),
        cpu_allocatable_milli=_milli(room.get("cpu")),
        cpu_allocated_milli=sum(item.cpu_milli for item in held),
        memory_allocatable_bytes=_amount(room.get("memory")),
        memory_allocated_bytes=sum(item.memory_bytes for item in held),
        pods=len(pods),
        conditions=_conditions(status),
        taints=tuple(
            {key: str(value) for key, value in taint.items() if key in ("key", "value", "effect")} for taint in taints
        ),
        labels=dict(sorted(marks.items())[:_NODE_LABELS]),
        kubelet_version=(status.get("nodeInfo") or {}).get("kubeletVersion"),
    )


def _node_status(status: Obj) -> str:
    ready: Obj = next((item for item in status.get("conditions") or () if item.get("type") == "Ready"), {})
    return {"True": "Ready", "False": "NotReady"}.get(ready.get("status", ""), "Unknown")


def pod_report(pod: Obj, *, simulated: bool, device_mib: int, assignment: Assignment) -> PodReport:
    """``simulated``: its node is simulated. ``assignment``: the devices of its node."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    marks, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    containers = spec.get("containers") or ()
    held = held_by(pod, device_mib)
    reason, message = _why(status)
    placed = holds_node(pod)
    return PodReport(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta.get("uid", ""),
        workload_id=marks.get(names.WORKLOAD_ID),
        created_at=meta.get("creationTimestamp", ""),
        phase=status.get("phase") or "Pending",
        workload_name=marks.get(names.WORKLOAD_NAME),
        node=spec.get("nodeName"),
        node_pool=marks.get(names.NODE_POOL),
        simulated=simulated,
        ip=status.get("podIP"),
        attempt=_number(marks.get(names.ATTEMPT)),
        replica_index=_number(marks.get(names.REPLICA_INDEX)),
        containers=tuple(item.get("name", "") for item in containers),
        image=containers[0].get("image") if containers else None,
        started_at=_started(status),
        finished_at=_finished(status),
        exit_code=_exit_code(status),
        reason=reason,
        message=message[:_MESSAGE],
        deleting=bool(meta.get("deletionTimestamp")),
        gpu_milli=held.gpu_milli,
        gpu_devices=indexes_of(held.holder, assignment) if placed else (),
        cpu_milli=held.cpu_milli,
        memory_bytes=held.memory_bytes,
        pod_group=notes.get(names.POD_GROUP_NAME),
    )


def _why(status: Obj) -> tuple[str, str]:
    """Reason and message worth showing: of the pod, else a container that waits or ended badly, else its placing."""
    if status.get("reason"):
        return str(status["reason"]), str(status.get("message") or "")
    for item in _container_states(status):
        waiting, ended = item.get("waiting") or {}, item.get("terminated") or {}
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            return str(waiting["reason"]), str(waiting.get("message") or "")
        if ended and ended.get("exitCode"):
            return str(ended.get("reason") or "Error"), str(ended.get("message") or "")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("reason") or ""), str(condition.get("message") or "")
    return "", ""


def _container_states(status: Obj) -> Iterable[Obj]:
    for part in ("initContainerStatuses", "containerStatuses"):
        for item in status.get(part) or ():
            yield item.get("state") or {}


def _ends(status: Obj) -> list[Obj]:
    states = [(item.get("state") or {}) for item in status.get("containerStatuses") or ()]
    return [state["terminated"] for state in states if state.get("terminated")]


def _started(status: Obj) -> str | None:
    states = [(item.get("state") or {}) for item in status.get("containerStatuses") or ()]
    found = [(state.get("running") or state.get("terminated") or {}).get("startedAt") for state in states]
    return min((str(item) for item in found if item), default=None)


def _finished(status: Obj) -> str | None:
    return max((str(item["finishedAt"]) for item in _ends(status) if item.get("finishedAt")), default=None)


def _exit_code(status: Obj) -> int | None:
    codes = [int(item.get("exitCode") or 0) for item in _ends(status)]
    return max(codes, key=abs) if codes else None


def workload_report(obj: Obj, cluster_id: str) -> WorkloadReport:
    """A Workload with its status; ``managed`` when it came down the link of this cluster."""
    meta, status = obj["metadata"], obj.get("status") or {}
    marks, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    managed = is_ours(obj, cluster_id)
    uid = meta.get("uid", "")
    submitter = notes.get(names.SUBMITTED_BY) or marks.get(names.SUBMITTED_BY)
    return WorkloadReport(
        id=(marks.get(names.WORKLOAD_ID) or uid) if managed else uid,
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=uid,
        created_at=meta.get("creationTimestamp", ""),
        generation=int(meta.get("generation") or 0),
        spec=_without_values(obj.get("spec") or {}),
        phase=_phase(status.get("phase")),
        message=str(status.get("message") or ""),
        managed=managed,
        submitted_by=submitter,
        reasons=tuple(_read(ReasonReport, item) for item in status.get("reasons") or ()),
        conditions=_conditions(status),
        desired_pods=int(status.get("desiredPods") or 0),
        running_pods=int(status.get("runningPods") or 0),
        ready_pods=int(status.get("readyPods") or 0),
        failed_attempts=int(status.get("failedAttempts") or 0),
        allocated_gpu_milli=int(status.get("allocatedGpuMilli") or 0),
        node_pools=tuple(status.get("nodePools") or ()),
        started_at=status.get("startedAt"),
        completed_at=status.get("completedAt"),
        phase_since=status.get("phaseSince"),
        observed_generation=int(status.get("observedGeneration") or 0),
        deleting=bool(meta.get("deletionTimestamp")),
    )


def is_ours(obj: Obj, cluster_id: str) -> bool:
    """It came down the link and belongs to this cluster: both labels say so."""
    marks = obj["metadata"].get("labels") or {}
    return marks.get(names.MANAGED_BY) == names.MANAGED_BY_CONTROL_PLANE and marks.get(names.CLUSTER_ID) == cluster_id


def _without_values(spec: Obj) -> dict[str, object]:
    """The spec without the values of environment variables: they may be secret."""
    shown = dict(spec)
    if "environment" in shown:
        shown["environment"] = [{"name": item.get("name", "")} for item in spec.get("environment") or ()]
    return shown


def _phase(text: object) -> Phase:
    if not text:
        return Phase.CREATING
    return Phase(str(text)) if text in set(Phase) else Phase.UNKNOWN


def project_report(obj: Obj) -> ProjectReport:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase = "Deleting" if obj["metadata"].get("deletionTimestamp") else str(status.get("phase") or "Creating")
    return ProjectReport(
        name=obj["metadata"]["name"],
        namespace=str(status.get("namespace") or spec.get("namespace") or ""),
        phase=phase,
        message=str(status.get("message") or ""),
        queues=tuple(_read(QueueReport, item) for item in status.get("queues") or ()),
    )


def cluster_report(config: Obj | None, *, version: str, kubernetes: str, runs_as: str) -> ClusterReport:
    """From the RunaiConfig's status that the operator writes; without one, what the link role knows itself."""
    status = (config or {}).get("status") or {}
    return ClusterReport(
        agent_version=version,
        kubernetes_version=str(status.get("kubernetesVersion") or kubernetes),
        runs_as=runs_as,
        roles=tuple(_read(RoleHealth, item) for item in status.get("roles") or ()),
        dependencies=tuple(_read(Dependency, item) for item in status.get("dependencies") or ()),
        conditions=_conditions(status),
        node_pools=tuple(status.get("nodePools") or ()),
    )


def event_report(obj: Obj) -> EventReport:
    meta, about = obj["metadata"], obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime") or meta.get("creationTimestamp") or ""
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime") or first
    source = (obj.get("source") or {}).get("component") or obj.get("reportingComponent") or ""
    return EventReport(
        uid=meta.get("uid", ""),
        namespace=meta.get("namespace", ""),
        kind=about.get("kind", ""),
        name=about.get("name", ""),
        object_uid=about.get("uid", ""),
        type=obj.get("type") or "Normal",
        reason=obj.get("reason") or "",
        message=str(obj.get("message") or obj.get("note") or "")[:_MESSAGE],
        count=int(obj.get("count") or series.get("count") or 1),
        first_at=str(first),
        last_at=str(last),
        source=source,
    )


def _conditions(status: Obj) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=str(item.get("type") or ""),
            status=str(item.get("status") or ""),
            reason=str(item.get("reason") or ""),
            message=str(item.get("message") or "")[:_MESSAGE],
            last_transition_time=item.get("lastTransitionTime"),
        )
        for item in status.get("conditions") or ()
    )


def _read(cls: type[Any], item: Any) -> Any:
    return from_dict(cls, item)


def _amount(value: object) -> int:
    return _guarded(quantity.whole, value)


def _milli(value: object) -> int:
    return _guarded(quantity.milli, value)


def _guarded(read: Any, value: object) -> int:
    try:
        return int(read(value)) if value is not None else 0
    except ValueError:
        return 0


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdigit() else 0
