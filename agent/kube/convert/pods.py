"""Pod manifests → requests, states and pods of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.domain.constraints import Constraints
from agent.domain.nodes import Usage
from agent.domain.pods import Pod, PodStatus, Request, status_of
from agent.domain.reasons import Reason, reason
from agent.kube import quantity
from agent.kube.convert.claims import device_claim_keys
from agent.kube.convert.constraints import host_ports
from agent.kube.convert.nodes import MIG_PREFIX
from agent.wire import labels as names

Obj = dict[str, Any]
FRACTION_RULE = "a number above 0 and at most 1"
_GROUP_PREFIX = f"{names.GPU_GROUP}/"
_TASK_PRIORITY = "kai.scheduler/task-priority"
_LEADER_LABELS = {
    "training.kubeflow.org/job-role": ("master", "launcher"),
    "ray.io/node-type": ("head",),
}
_LARGE = 10**9


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pod asks for; ``wrong`` names the mistake if it asks for nonsense."""

    request: Request
    wrong: Reason | None = None


def is_finished(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_gated(pod: Obj) -> bool:
    return bool((pod.get("spec") or {}).get("schedulingGates"))


def asked_of(pod: Obj) -> Asked:
    """Sum of the containers, at least the largest init container, plus sidecars and overhead, as Kubernetes counts."""
    try:
        total = _effective(pod.get("spec") or {})
    except ValueError as error:
        return Asked(Request(), reason("Invalid", field="resources", given=str(error), allowed="quantities"))
    cpu, memory = total.pop("cpu", 0), total.pop("memory", 0)
    gpus = total.pop(names.GPU_RESOURCE, 0)
    mig = tuple(sorted((name, count) for name, count in total.items() if name.startswith(MIG_PREFIX) and count))
    extended = tuple(sorted((name, n) for name, n in total.items() if not name.startswith(MIG_PREFIX) and n))
    shared = _shared(pod["metadata"].get("annotations") or {})
    if isinstance(shared, Reason):
        return Asked(Request(cpu=cpu, memory=memory), shared)
    fraction, mib, devices = shared
    request = Request(cpu, memory, gpus, fraction, mib, devices, mig, extended, claims=device_claim_keys(pod))
    if request.shared and gpus:
        wrong = reason("Invalid", field="GPU request", given="whole and shared", allowed="one of them")
        return Asked(request, wrong)
    return Asked(request)


def _effective(spec: Obj) -> dict[str, int]:
    total: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    first: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, _requests(container))
    for container in spec.get("initContainers") or ():
        own = _requests(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        for name, value in own.items():
            first[name] = max(first.get(name, 0), value)
    _add(total, sidecars)
    for name, value in first.items():
        total[name] = max(total.get(name, 0), value)
    _add(total, _amounts(spec.get("overhead") or {}))
    return total


def _requests(container: Obj) -> dict[str, int]:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(resources: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: quantity.milli(value) if name == "cpu" else quantity.whole(value) for name, value in resources.items()
    }


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _shared(annotations: Mapping[str, str]) -> tuple[int, int, int] | Reason:
    """(milli-GPU, MiB, devices) of the annotations; a valid fraction wins over memory."""
    fraction, memory = annotations.get(names.GPU_FRACTION), annotations.get(names.GPU_MEMORY)
    if fraction is None and memory is None:
        return (0, 0, 1)
    devices = _count(annotations.get(names.GPU_FRACTION_DEVICES, "1"))
    if devices is None:
        given = annotations[names.GPU_FRACTION_DEVICES]
        return reason("Invalid", field=names.GPU_FRACTION_DEVICES, given=given, allowed="a whole number above 0")
    milli = _fraction(fraction) if fraction is not None else None
    if milli is not None:
        return (milli, 0, devices)
    if memory is None:
        return reason("Invalid", field=names.GPU_FRACTION, given=fraction or "", allowed=FRACTION_RULE)
    mib = _count(memory)
    if mib is None:
        return reason("Invalid", field=names.GPU_MEMORY, given=memory, allowed="a whole number of MiB above 0")
    return (0, mib, devices)


def _fraction(text: str) -> int | None:
    try:
        milli = quantity.milli(text)
    except ValueError:
        return None
    return milli if 0 < milli <= 1000 else None


def _count(text: str) -> int | None:
    value = int(text) if text.isdecimal() and len(text) < 10 else 0
    return value if 0 < value < _LARGE else None


def gpu_groups_of(pod: Obj) -> tuple[str, ...]:
    """Names of the shared devices a bound pod holds, from the labels that binding it wrote."""
    labels = pod["metadata"].get("labels") or {}
    many = tuple(sorted(key.removeprefix(_GROUP_PREFIX) for key in labels if key.startswith(_GROUP_PREFIX)))
    return many or ((labels[names.GPU_GROUP],) if labels.get(names.GPU_GROUP) else ())


def gpu_group_labels(groups: Iterable[str]) -> dict[str, str]:
    """The labels that ``gpu_groups_of`` reads."""
    chosen = tuple(groups)
    if len(chosen) == 1:
        return {names.GPU_GROUP: chosen[0]}
    return {f"{_GROUP_PREFIX}{group}": group for group in chosen}


def old_gpu_group_labels(pod: Obj) -> list[str]:
    """Keys of such labels that a pod carries already (from a bind that did not come to be)."""
    labels = pod["metadata"].get("labels") or {}
    return [key for key in labels if key == names.GPU_GROUP or key.startswith(_GROUP_PREFIX)]


def state_of(pod: Obj, now: int, *, binding: bool = False) -> PodStatus:
    """The pod's state at ``now`` (ns). ``binding``: a bind of ours is on its way."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    return status_of(
        status.get("phase") or "Pending",
        node=(pod.get("spec") or {}).get("nodeName") or "",
        deleted_at=quantity.time_ns(meta.get("deletionTimestamp")),
        binding=binding,
        gated=is_gated(pod),
        now=now,
    )


def pod_of(
    pod: Obj, *, group: str, subgroup: str, status: PodStatus, request: Request, constraints: Constraints
) -> Pod:
    meta, spec = pod["metadata"], pod.get("spec") or {}
    labels = meta.get("labels") or {}
    node = spec.get("nodeName") or ""
    task_priority = labels.get(_TASK_PRIORITY, "")
    return Pod(
        uid=meta["uid"],
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        group=group,
        status=status,
        request=request,
        constraints=constraints,
        node=node,
        gpu_groups=gpu_groups_of(pod) if node else (),
        subgroup=subgroup,
        task_priority=int(task_priority) if task_priority.lstrip("-").isdecimal() else 0,
        leader=int(any(labels.get(key, "").lower() in values for key, values in _LEADER_LABELS.items())),
        created=quantity.time_ns(meta.get("creationTimestamp")) or 0,
        nominated_node=(pod.get("status") or {}).get("nominatedNodeName") or "",
        labels=labels,
        qos=(pod.get("status") or {}).get("qosClass") or "",
    )


def scheduled_at(pod: Obj) -> int | None:
    """When it was bound (ns), from its condition."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return quantity.time_ns(condition.get("lastTransitionTime"))
    return None


def usage_of(pod: Obj) -> Usage:
    """What a pod of another scheduler takes on its node."""
    request = asked_of(pod).request
    extended = tuple(sorted((*request.extended, *request.mig)))
    ports = tuple(host_ports(pod.get("spec") or {}))
    return Usage(request.cpu, request.memory, request.gpus, 1, extended, ports)


def sum_usage(parts: Iterable[Usage]) -> Usage:
    cpu = memory = gpus = pods = 0
    extended: dict[str, int] = {}
    ports: list[tuple[str, str, int]] = []
    for part in parts:
        cpu, memory, gpus, pods = cpu + part.cpu, memory + part.memory, gpus + part.gpus, pods + part.pods
        _add(extended, dict(part.extended))
        ports += part.host_ports
    return Usage(cpu, memory, gpus, pods, tuple(sorted(extended.items())), tuple(sorted(ports)))
